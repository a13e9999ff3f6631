//! Disk faults.

use bytes::Bytes;
use seedlog::ids::{CallId, Offset};
use seedlog::machine::{FileKey, Input};
use seedlog::message::{LogRange, Records, Response, fetch};

use super::peer::*;
use crate::world::{DiskFaults, Fault, PowerLoss, ProcessId, Ratio, Seed, Span, World};

/// Appends `before` batches, flushes them, and appends `after` more.
fn written(seed: u64, before: u64, after: u64) -> (World<Peer>, ProcessId) {
    let (mut world, process) = disk(seed, writer);
    send(&mut world, process, 1..=before);
    call(&mut world, process, CallId(0));
    world.run_for(millis(10), &mut ());
    send(&mut world, process, before + 1..=before + after);
    world.run_for(millis(10), &mut ());
    (world, process)
}

fn stored(world: &World<Peer>, process: ProcessId) -> usize {
    world.disk(process).batches(LOG).count()
}

fn delivered(world: &World<Peer>, fault: Fault) -> u64 {
    world.delivered_faults().get(fault)
}

fn is_flushed(input: &Input) -> bool {
    *input == Input::Flushed { log: LOG, upto: upto() }
}

fn is_lost(input: &Input) -> bool {
    *input == Input::Lost { log: LOG }
}

#[test]
fn a_process_crash_keeps_the_page_cache_and_a_later_power_loss_does_not() {
    let (mut world, process) = written(1, 2, 3);
    world.crash(process, &mut ());
    world.start(process, &mut ());
    let chunks = &world.node(process).expect("up").survived.logs[0].chunks;
    assert_eq!(chunks.iter().map(|chunk| chunk[0]).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    world.power_loss(process, PowerLoss::KeepNothing, &mut ());
    assert_eq!(stored(&world, process), 2);
    assert_eq!(delivered(&world, Fault::LostWrites), 1);
    world.start(process, &mut ());
    assert_eq!(world.node(process).expect("up").survived.logs[0].chunks.len(), 2);
}

#[test]
fn a_power_loss_keeps_any_prefix_of_what_was_not_flushed() {
    let mut outcomes = std::collections::BTreeSet::new();
    let mut faults = [0; 3];
    for seed in 0..200 {
        let (mut world, process) = written(seed, 2, 3);
        world.power_loss(process, PowerLoss::Drawn, &mut ());
        let batches: Vec<Bytes> =
            world.disk(process).batches(LOG).map(|(_, bytes)| bytes.clone()).collect();
        let torn = batches.iter().filter(|batch| batch.len() < 40).count();
        assert!(batches.iter().zip(1..).all(|(batch, fill)| batch.iter().all(|b| *b == fill)));
        assert!(torn == 0 || batches.last().is_some_and(|last| last.len() < 40));
        outcomes.insert((batches.len() - torn, torn));
        let kinds = [Fault::LostWrites, Fault::UnackedWrite, Fault::TornWrite];
        for (total, kind) in faults.iter_mut().zip(kinds) {
            *total += delivered(&world, kind);
        }
    }
    let all = [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (4, 1), (5, 0)];
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), all);
    assert!(faults.iter().all(|count| (30..200).contains(count)), "{faults:?}");
}

#[test]
fn a_flush_under_way_counts_only_when_it_ends_even_if_the_process_is_dead_by_then() {
    for crash_after_ms in [0, 20] {
        let (mut world, process) = disk(1, writer);
        world.set_disk(
            process,
            DiskFaults { flush: Span::exactly(millis(10)), ..Default::default() },
        );
        send(&mut world, process, 1..=3);
        call(&mut world, process, CallId(0));
        world.run_for(millis(1), &mut ());
        world.crash(process, &mut ());
        world.run_for(millis(crash_after_ms), &mut ());
        world.power_loss(process, PowerLoss::KeepNothing, &mut ());
        assert_eq!(stored(&world, process), if crash_after_ms > 10 { 3 } else { 0 });
        world.start(process, &mut ());
        world.run_for(millis(50), &mut ());
        assert_eq!(count(&world, process, is_flushed), 0, "an answer to another incarnation");
    }
}

#[test]
fn a_stalled_disk_ends_nothing_until_it_goes_on() {
    let (mut world, process) = disk(1, writer);
    world.stall_disk(process, true);
    send(&mut world, process, 1..=1);
    call(&mut world, process, CallId(0));
    call(&mut world, process, SAVE);
    world.run_for(millis(500), &mut ());
    assert_eq!(world.node(process).expect("up").seen.len(), 4, "only the calls");
    assert_eq!(delivered(&world, Fault::DiskStall), 2);
    world.stall_disk(process, false);
    world.run_for(millis(1), &mut ());
    assert_eq!(count(&world, process, is_flushed), 1);
    assert!(world.disk(process).file(FileKey::HighWatermarks).is_some());
}

#[test]
fn an_error_loses_the_write_and_tells_the_process() {
    let (mut world, process) = written(1, 2, 0);
    world.fail_disk(process, Some(LOG));
    send(&mut world, process, 3..=3);
    world.run_for(millis(10), &mut ());
    assert_eq!(count(&world, process, is_lost), 1);
    assert!(world.disk(process).batches(LOG).all(|(base, bytes)| base.0 < 2 || bytes.len() < 40));
    world.fail_disk(process, None);
    call(&mut world, process, CallId(0));
    world.run_for(millis(10), &mut ());
    assert_eq!((count(&world, process, is_lost), count(&world, process, is_flushed)), (2, 1));
    assert_eq!(delivered(&world, Fault::DiskError), 2);
}

#[test]
fn nothing_is_written_behind_a_failed_write_until_the_process_knows() {
    let (mut world, process) = written(1, 2, 0);
    world.fail_disk(process, Some(LOG));
    send(&mut world, process, 3..=5);
    world.run_for(millis(10), &mut ());
    assert_eq!(count(&world, process, is_lost), 1);
    assert!(world.disk(process).batches(LOG).all(|(base, bytes)| base.0 < 2 || bytes.len() < 40));
    send(&mut world, process, 6..=6);
    world.run_for(millis(10), &mut ());
    let last = world.disk(process).batches(LOG).last().expect("one");
    assert_eq!((last.0, last.1.len()), (Offset(5), 40), "it may go on if it wants to");
}

#[test]
fn errors_come_as_often_as_their_ratio_says() {
    let (mut world, process) = disk(1, writer);
    world.set_disk(process, DiskFaults { error: Ratio::new(1, 4), ..Default::default() });
    for number in 1..=100 {
        send(&mut world, process, number..=number);
        world.run_for(millis(1), &mut ());
    }
    let lost = count(&world, process, is_lost);
    assert!((10..40).contains(&lost));
    assert_eq!(delivered(&world, Fault::DiskError), u64::try_from(lost).expect("few"));
}

#[test]
fn a_full_disk_takes_nothing_until_there_is_room() {
    let (mut world, process) = disk(1, writer);
    world.fill_disk(process, true);
    send(&mut world, process, 1..=1);
    call(&mut world, process, SAVE);
    world.run_for(millis(10), &mut ());
    assert_eq!(stored(&world, process), 0);
    assert_eq!(count(&world, process, is_lost), 1);
    assert_eq!(count(&world, process, |input| matches!(input, Input::LostFile { .. })), 1);
    assert_eq!(delivered(&world, Fault::DiskFull), 2);
    world.fill_disk(process, false);
    send(&mut world, process, 1..=1);
    world.run_for(millis(10), &mut ());
    assert_eq!(stored(&world, process), 1);
}

#[test]
fn rot_flips_one_bit_of_one_stored_batch() {
    let (mut world, process) = written(1, 3, 0);
    assert!(world.rot(process, LOG, Some(Offset(1))));
    assert!(!world.rot(process, LOG, Some(Offset(9))));
    let flipped: Vec<u32> = world
        .disk(process)
        .batches(LOG)
        .zip(1_u8..)
        .map(|((_, batch), fill)| batch.iter().map(|byte| (byte ^ fill).count_ones()).sum())
        .collect();
    assert_eq!(flipped, [0, 1, 0]);
    assert!(world.rot(process, LOG, None));
    assert_eq!(delivered(&world, Fault::BitRot), 2);
}

/// What a crash in the middle of a save leaves of the file, over many seeds.
fn after_a_crash_in_a_save(faults: &DiskFaults, power: bool) -> Vec<Option<Bytes>> {
    let crash = |seed| {
        let (mut world, process) = disk(seed, writer);
        world.set_disk(process, faults.clone());
        call(&mut world, process, SAVE);
        world.step(&mut ());
        if power {
            world.run_for(millis(50), &mut ());
            world.power_loss(process, PowerLoss::Drawn, &mut ());
        } else {
            world.crash(process, &mut ());
        }
        let file = world.disk(process).file(FileKey::HighWatermarks).cloned();
        let is_torn = file.as_ref().is_some_and(|file| file.len() < NEW.len());
        assert_eq!(u64::from(is_torn), delivered(&world, Fault::TornFile));
        file
    };
    (0..50).map(crash).collect()
}

#[test]
fn a_crash_leaves_the_old_or_the_new_file() {
    let files = after_a_crash_in_a_save(&DiskFaults::default(), false);
    assert!(files.iter().flatten().all(|file| file == NEW));
    assert!((10..40).contains(&files.iter().flatten().count()));
    let files = after_a_crash_in_a_save(&DiskFaults::default(), true);
    assert!(files.iter().all(|file| file.as_deref() == Some(NEW)), "saved is durable");
}

#[test]
fn a_save_in_place_may_be_torn_by_a_crash_and_lost_by_a_power_loss() {
    let faults = DiskFaults { torn_saves: true, ..Default::default() };
    for power in [false, true] {
        let files = after_a_crash_in_a_save(&faults, power);
        let torn = files.iter().flatten().filter(|file| file.len() < NEW.len()).count();
        assert!(torn > 10);
        assert!(files.iter().flatten().all(|file| NEW.starts_with(file)));
    }
}

#[test]
fn an_answer_that_names_stored_batches_is_sent_with_their_bytes() {
    let (world, process) = written(1, 5, 0);
    let range = LogRange { log: LOG, from: Offset(1), to: Offset(3), bytes: 80 };
    let partition = fetch::FetchedPartition {
        topic: seedlog::ids::TopicRef::Name("t".into()),
        partition: 0,
        error: seedlog::error::ErrorCode::None,
        high_watermark: Offset(5),
        last_stable_offset: Offset(5),
        log_start_offset: Offset(0),
        diverging: None,
        current_leader: None,
        aborted: Vec::new(),
        records: Records::Stored(range),
    };
    let mut response = std::sync::Arc::new(Response::Fetch(fetch::FetchResponse {
        error: seedlog::error::ErrorCode::None,
        partitions: vec![partition],
    }));
    world.resolve(process, &mut response);
    let Response::Fetch(response) = response.as_ref() else { panic!("it was one") };
    let chunks = response.partitions[0].records.chunks();
    assert_eq!(chunks.iter().map(|chunk| chunk[0]).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(world.seed(), Seed(1));
}
