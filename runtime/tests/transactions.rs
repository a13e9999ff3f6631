//! A pipeline of transactions, whose brokers and processes stop throughout, gives each output once.

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::peers::Asker;
use crate::support::{BRISK, Brokers, Talker, cluster_set};

/// Two processes of the pipeline; one that ends is started again.
struct Workers<'a> {
    start: &'a (dyn Fn(usize) -> Talker + Sync),
    running: [Mutex<Talker>; 2],
    over: AtomicBool,
}

impl Workers<'_> {
    fn kill(&self, which: usize) {
        let _ = self.running[which].lock().expect("no panic").process.kill();
    }

    fn keep_up(&self) {
        while !self.over.load(Ordering::Relaxed) {
            for (which, worker) in self.running.iter().enumerate() {
                let mut worker = worker.lock().expect("no panic");
                if worker.process.try_wait().expect("it is ours").is_some() {
                    *worker = (self.start)(which);
                }
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// How much is copied: how many records there are, how many of them come in a second, and how many
/// a transaction takes at most.
pub struct Load {
    records: &'static str,
    per_second: &'static str,
    batch: &'static str,
}

/// As fast as they can be written.
const WHOLE: Load = Load { records: "100000", per_second: "0", batch: "250" };
/// For as long as slow brokers stop and start.
pub const PACED: Load = Load { records: "6000", per_second: "80", batch: "10" };

/// Runs a pipeline to its end. As outputs come, its processes are killed in turn, and in the turns
/// between `disturb` is called: with which turn it is, and without one once all outputs are there.
pub fn each_output_once(
    asker: &Asker,
    bootstrap: &str,
    prefix: &str,
    load: &Load,
    mut disturb: impl FnMut(Option<usize>),
) {
    let talk = |more: &[&str]| asker.start(bootstrap, prefix, more);
    let mut filler = talk(&["fill", load.records, load.per_second]);
    assert_eq!(filler.next(), "created");
    let start = |which: usize| talk(&["copy", load.batch, &format!("worker-{which}")]);
    let running = [Mutex::new(start(0)), Mutex::new(start(1))];
    let workers = Workers { start: &start, running, over: AtomicBool::new(false) };
    let mut watcher = talk(&["watch", load.records]);
    let (mut turns, mut kills) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| workers.keep_up());
        // Ends the other thread, whatever becomes of this one.
        let over = Over(&workers.over);
        loop {
            match &*watcher.next() {
                "end" => break,
                "all seen" => disturb(None),
                _ if turns % 3 == 1 => {
                    workers.kill(turns / 3 % 2);
                    kills += 1;
                    turns += 1;
                }
                _ => {
                    disturb(Some(turns));
                    turns += 1;
                }
            }
            watcher.tell("done");
        }
        drop(over);
    });
    assert!(kills >= 5, "{kills} processes were killed");
    assert!(watcher.process.wait().expect("it ends").success());
    assert_eq!(filler.next(), "filled");
}

/// Stops and starts each broker in turn, too.
fn while_brokers_stop(asker: Option<Asker>) {
    let Some(asker) = asker else { return };
    let (mut cluster, bootstrap) = cluster_set(BRISK, Stdio::inherit());
    let mut down = None;
    each_output_once(&asker, &bootstrap, "", &WHOLE, |turn| {
        if let Some(broker) = down.take() {
            cluster.start(broker);
        } else if let Some(turn) = turn {
            let broker = turn / 3 % 3 + 1;
            cluster.stop(broker);
            down = Some(broker);
        }
    });
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn confluent_kafkas_pipeline_gives_each_output_once_while_all_of_it_stops_in_turn() {
    while_brokers_stop(Asker::confluent("pipeline.py"));
}

#[test]
fn the_java_clients_pipeline_gives_each_output_once_while_all_of_it_stops_in_turn() {
    while_brokers_stop(Asker::java("Pipeline"));
}
