//! A pipeline of transactions, whose brokers and processes stop throughout, gives each output once.

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::peers::Asker;
use crate::support::{BRISK, Talker, cluster_set};

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

/// Stops and starts each broker and kills each process in turn, as outputs come.
fn each_output_once(asker: Option<Asker>) {
    let Some(asker) = asker else { return };
    let (mut cluster, bootstrap) = cluster_set(BRISK, Stdio::inherit());
    assert_eq!(asker.start(&bootstrap, &["fill"]).next(), "filled");
    let start = |which: usize| asker.start(&bootstrap, &["copy", &format!("worker-{which}")]);
    let running = [Mutex::new(start(0)), Mutex::new(start(1))];
    let workers = Workers { start: &start, running, over: AtomicBool::new(false) };
    let mut watcher = asker.start(&bootstrap, &["watch"]);
    let mut say = |command: &str, broker: usize| {
        cluster.tell(&format!("broker {command} {broker}"));
        assert!(cluster.next().starts_with(&format!("broker {broker} {command}")));
    };
    let (mut turns, mut kills, mut down) = (0, 0, None);
    thread::scope(|scope| {
        scope.spawn(|| workers.keep_up());
        // Ends the other thread, whatever becomes of this one.
        let over = Over(&workers.over);
        loop {
            match (&*watcher.next(), turns % 3) {
                ("end", _) => break,
                ("all seen", _) => down.take().into_iter().for_each(|broker| say("start", broker)),
                (_, 0) => {
                    let broker = turns / 3 % 3 + 1;
                    say("stop", broker);
                    down = Some(broker);
                    turns += 1;
                }
                (_, 1) => {
                    workers.kill(turns / 3 % 2);
                    kills += 1;
                    turns += 1;
                }
                (_, _) => {
                    down.take().into_iter().for_each(|broker| say("start", broker));
                    turns += 1;
                }
            }
            watcher.tell("done");
        }
        drop(over);
    });
    assert!(kills >= 5, "{kills} processes were killed");
    assert!(watcher.process.wait().expect("it ends").success());
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn confluent_kafkas_pipeline_gives_each_output_once_while_all_of_it_stops_in_turn() {
    each_output_once(Asker::confluent("pipeline.py"));
}

#[test]
fn the_java_clients_pipeline_gives_each_output_once_while_all_of_it_stops_in_turn() {
    each_output_once(Asker::java("Pipeline"));
}
