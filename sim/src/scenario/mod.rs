//! Scenario files.
//!
//! One TOML file is one situation. Its first comment line is the claim that it tests. Every key is
//! known or refused, with file, line and the nearest known key. Everything has a default: an empty
//! file is a cluster of three brokers and three controllers, one topic, one producer, one consumer.
//!
//! Durations are `"10s"`, `"250ms"`, `"5us"`, `"2m"`; ranges of them `"1ms..50ms"`, drawn by seed;
//! probabilities `"2/1000"`; number ranges `"10..200"`. Settings have Kafka's names:
//!
//! ```toml
//! # What is acknowledged survives any crash of a leader.
//! seed = 42                         # of a run that names none
//! defects = ["truncate-to-hw"]      # switches of the zoo; "none" for none
//! swarm = true                      # draw per seed which faults exist, and how often
//! require = ["acked >= 100", "fault.crash >= 1"]   # less: undecided, not held
//!
//! [cluster]
//! brokers = 5                       # b1 .. b5, node ids 1 .. 5
//! controllers = 3                   # c1 .. c3, node ids 101 .. 103
//! racks = ["east", "west"]          # given in turn
//!
//! [topic]                           # settings of every topic, under Kafka's names
//! min.insync.replicas = 2
//!
//! [[topics]]
//! name = "orders"
//! partitions = 10
//! replication-factor = 3
//! # assignments = [[1, 2, 3]]       # instead of the two above: replicas by partition
//! config = { "retention.ms" = 60000 }
//!
//! [broker]                          # also [controller] [quorum] [producer] [consumer] [admin]
//! replica.lag.time.max.ms = 10000
//!
//! [phases]
//! boot = "60s"                      # until everything serves; not in time: undecided
//! safety = "60s"                    # faults rage; a script ends it when it ends
//! liveness = "60s"                  # the core heals and must make progress; "0s": no such phase
//!
//! [workload]
//! producers = 3                     # p1 .. ; values are unique
//! consumers = 2                     # k1 .. ; each reads everything from the start
//! every = "5ms..20ms"               # between two sends of a producer
//! keys = 50                         # per producer; 0: no keys
//! padding = "0..200"                # bytes beside a value's identity
//! pending = 64                      # sends unanswered at most
//! records = 0                       # per producer; 0: no end
//! automatic = true                  # false: only a script sends
//!
//! [network]                         # on every link; ratios may be ranges, drawn per run
//! delay = "200us..2ms"
//! loss = "0/1000..5/1000"           # also duplicate, reorder, corrupt, reset, ghost
//!
//! [disk]                            # latencies: append, flush, save, load
//! flush = "500us..4ms"
//!
//! [clock]
//! skew = "0s..500ms"
//! drift-ppm = "0..200"
//!
//! [atlas]                           # which faults are survivable
//! on = true
//! brokers = 1                       # away at the same time at most
//! controllers = 1
//!
//! [[fault]]                         # a source: strikes again and again
//! kind = "crash"                    # see below
//! target = "leader"
//! every = "2s..10s"
//! for = "500ms..5s"
//! exists = "1/2"                    # in half of all runs
//! amount = "10ms..500ms"            # of slowness, lag or clock jump
//! count = 0                         # at most so many; 0: no limit
//! ```
//!
//! Kinds: `crash power pause wipe shutdown isolate deafen mute split cut clog reset lag disk-slow
//! disk-stall disk-error disk-full disk-rot clock-jump clock-freeze reassign elect churn configure
//! grow roll`. Targets: `broker controller server leader follower active-controller producer consumer
//! client anyone`.
//!
//! # Scripts
//!
//! A directed scenario says what happens, one `[[step]]` after the other. A step waits `after` the
//! one before, then until all of `when` hold (`within` so long, 60s by default, `or` else:
//! `"undecided"`, `"skip"` this step, `"go on"` with it anyway, `"end"` the script). Then it fixes its
//! `bind`ings, checks `expect` (not true: the schedule did not come about, undecided) and `assert`
//! (not true: violated), and carries out its `do`. The safety phase ends with the last step.
//! Scripts begin when the topics exist and every partition has its whole ISR.
//!
//! ```toml
//! [workload]
//! automatic = false
//!
//! [[step]]
//! bind = ["old = leader(orders-0)", "heir = follower(orders-0)"]
//! do = ["hold stale Fetch response $old -> $heir", "send p1 orders-0 3"]
//!
//! [[step]]
//! when = ["leo(orders-0, $heir) >= 3", "held(stale) >= 1"]
//! do = ["crash $old"]
//!
//! [[step]]
//! when = "leader(orders-0) == $heir"
//! within = "30s"
//! do = ["release stale", "start $old"]
//! ```
//!
//! Processes: `b1 c1 p1 k1 a1`, `leader(orders-0)`, `leader(orders-0, b2)` (whom b2 believes to lead),
//! `preferred(orders-0)`, `follower(orders-0)`, `follower(orders-0, 2)` (the second replica that does
//! not lead), `controller` (the active one), `$name`. Where several may stand: `[b1, b2]`, `brokers`,
//! `controllers`, `servers`, `clients`, `all`, each with `except b1` or `except [b1, b2]` behind it.
//! What `leader`, `isr` and the like say is the state of the most advanced controller, unless a node is named.
//!
//! Conditions (`not C`, `C or D`; a list means all):
//!
//! | condition | |
//! |---|---|
//! | `leader(orders-0) == b1`, `controller != none` | processes compare with `==` `!=` |
//! | `isr(orders-0) has b3`, `elr(orders-0) lacks b1`, `replicas(orders-0) == [b1, b2]` | sets: `has lacks == !=`; `isr(orders-0, b1)` is what b1, leading, has had confirmed |
//! | `leo(orders-0, b2) >= 3` | numbers: `== != >= <= > <`, on the right a number, a duration (ms), or another quantity, each `+ N` |
//! | `leo start hw (part, node)` | of a replica |
//! | `epoch(part) partition_epoch(part)` | leader and partition epoch, `(part, node)`: in a broker's image |
//! | `sent acked failed unknown pending consumed` | of all clients, or `acked(p1)` |
//! | `held(name)` | messages kept back by that hold now |
//! | `quorum_epoch quorum_leo quorum_hw (c1)` | of a raft node, brokers included |
//! | `broker_epoch(b1) starts(b1) partitions(orders) time waited` | |
//! | `up(b1) down(b1) registered(b1) fenced(b1) serving(brokers)` | of all in the group |
//! | `leads(b1, orders-0) follows(b1, orders-0)` | by the replica's own state |
//! | `exists(orders) reassigning(orders-0)` | |
//!
//! Actions:
//!
//! | action | |
//! |---|---|
//! | `crash start restart pause resume wipe shutdown reset` + processes | `restart` is a crash and a start at once; `wipe` replaces the disk of a stopped process (and stops a running one); `reset` its connections |
//! | `power b1`, `power b1 lost`, `kept`, `torn` | what was not flushed: by seed, all lost, all kept, all kept but the last batch torn |
//! | `cut b1 -> b2`, `cut b1 <-> brokers`, `clog`, `lag b1 -> b2 by 10ms..20ms`, `heal b1 -> b2`, `heal everything`, `isolate b1` | links, one way or both |
//! | `hold NAME Fetch request b2 -> b1` | keeps back every such message; `nth 3`: just the third from now; `from 3`: the third and all later; `count 2`: two of them; `any` api |
//! | `release NAME`, `release NAME 1`, `drop NAME` | lets all go and ends the hold; lets the oldest one go; loses them and ends the hold |
//! | `send p1 orders-0 3`, `send p1 orders`, `flush p1`, `workload on` | records to a partition, or by key |
//! | `reassign orders-0 to [b2, b3]`, `cancel orders-0`, `elect orders-0`, `elect orders-0 unclean` | |
//! | `create t partitions 2`, `create t on [b1, b2]`, `delete t`, `grow t to 4`, `set t min.insync.replicas 1`, `set t retention.ms default`, `trim orders-0 to 5` | |
//! | `clock b1 forward 5s`, `back 5s`, `freeze`, `thaw` | the wall clock |
//! | `disk b1 error`, `full`, `ok`, `stall 5s`, `slow 1ms..9ms`, `rot orders-0` | |
//! | `end` | ends the script |

pub mod model;
pub mod parse;
pub mod read;
pub mod script;
pub mod text;
pub mod value;

pub use model::{
    Atlas, CONTROLLER_BASE, Clock, Cluster, Disk, Fault, FaultKind, Network, Phases, RatioRange,
    Requirement, Scenario, Target, Topic, Workload,
};
pub use text::Error;

#[cfg(test)]
mod tests;
