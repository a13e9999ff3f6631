//! One run of a scenario: phases, decisions, verdict.
