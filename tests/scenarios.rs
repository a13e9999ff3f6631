//! Every scenario's claim holds, over several seeds.

/// One test per scenario file: `name = "file" seeds`.
macro_rules! claims {
    ($($name:ident = $file:literal over $seeds:expr,)*) => {$(
        #[test]
        fn $name() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/", $file, ".toml");
            seedlog_sim::check(file, $seeds);
        }
    )*};
}

claims! {
    what_is_acknowledged_survives_broker_failover = "broker_failover" over 0..3,
    two_replicas_survive_broker_failover = "broker_failover_rf2" over 0..3,
    metadata_survives_controller_failover = "controller_failover" over 0..4,
    what_is_acknowledged_survives_power_loss = "power_loss" over 0..4,
    a_partitioned_network_loses_nothing = "network_partition" over 0..4,
    an_asymmetric_partition_loses_nothing = "asymmetric_partition" over 0..4,
    chaos_on_the_wire_loses_nothing = "message_chaos" over 0..4,
    broken_connections_lose_nothing = "broken_connections" over 0..4,
    slow_disks_lose_nothing = "slow_disk" over 0..4,
    failing_disks_lose_nothing = "disk_faults" over 0..4,
    skewed_clocks_lose_nothing = "clock_skew" over 0..4,
    a_rolling_restart_loses_nothing = "rolling_restart" over 0..4,
    partitions_move_without_loss = "reassignment" over 0..4,
    topics_come_and_go = "topic_churn" over 0..4,
    at_most_once_never_reorders = "at_most_once" over 0..4,
    an_unclean_election_loses_and_all_agree_again = "unclean_election" over 0..4,
    who_was_away_too_long_begins_again = "retention" over 0..4,
    committed_transactions_are_read_whole_and_aborted_ones_never = "atomic_visibility" over 0..4,
    a_zombie_producer_is_fenced = "zombie_producer" over 0..4,
    a_transaction_out_of_time_is_aborted = "transaction_timeout" over 0..4,
    a_producer_whose_epochs_run_out_goes_on = "producer_epochs" over 0..4,
    a_producer_at_its_last_epoch_goes_on = "last_epoch" over 0..2,
    offsets_hold_as_their_transaction_ends = "transaction_offsets" over 0..2,
    transactions_survive_their_coordinators = "txn_coordinator_failover" over 0..3,
    classic_groups_rebalance = "group_rebalance" over 0..3,
    static_members_find_their_places_kept = "static_members" over 0..3,
    groups_of_the_new_protocol_rebalance = "group_rebalance_848" over 0..3,
    groups_survive_their_coordinators = "group_coordinator_failover" over 0..3,
    members_begin_where_their_reset_policy_says = "offset_reset" over 0..3,
    offsets_are_kept_for_as_long_as_retention_has_it = "offset_retention" over 0..3,
    a_topic_that_was_made_again_is_read_from_its_beginning = "reborn_topic" over 0..3,
    of_two_under_one_name_the_older_is_fenced = "twin_members" over 0..3,
    a_late_sync_gets_no_part_of_another_generation = "late_sync" over 0..3,
    what_is_committed_first_is_never_done_twice = "commit_first" over 0..4,
    what_is_done_at_least_once_is_never_left_out = "at_least_once" over 0..5,
    any_mix_of_faults_and_workloads_is_survived = "everything" over 0..8,
    any_mix_of_faults_is_survived = "swarm" over 0..8,
    a_pipeline_delivers_exactly_once = "eos_pipeline" over 0..3,
    a_zombie_pipeline_delivers_nothing_twice = "zombie_consumer" over 0..2,
    no_money_is_spent_twice = "ledger_double_spend" over 0..3,
    who_comes_back_to_a_new_group_is_no_zombie = "ledger_comes_back" over 0..3,
    transfers_make_and_lose_no_money = "ledger_transfers" over 0..3,
    a_hundred_tickets_a_second_stay_in_order = "tickets" over 0..2,
    what_fails_is_retried_and_then_a_dead_letter = "retry_dead_letter" over 0..3,
}
