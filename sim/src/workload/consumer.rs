//! An application that reads everything.

use std::sync::Arc;

use seedlog::ids::{CallId, TopicName};
use seedlog::op::{ConsumedRecord, Op, Outcome};
use seedlog::time::Duration;

use crate::cluster::Process;
use crate::scenario::Scenario;
use crate::world::{ProcessId, World};

/// One consumer process: it has all partitions of all topics assigned and polls without a pause.
#[derive(Clone, Debug)]
pub struct ConsumerClient {
    pub process: ProcessId,
    /// From 0.
    pub number: u32,
    life: u64,
    calls: u64,
    polling: Option<CallId>,
    topics: Arc<[TopicName]>,
    /// The next offset to read, by topic and partition, in this life.
    positions: Vec<Vec<i64>>,
    max_records: usize,
    pub consumed: u64,
}

/// How long a poll waits for records.
const TIMEOUT: Duration = Duration::from_millis(500);

impl ConsumerClient {
    #[must_use]
    pub fn new(scenario: &Scenario, number: u32, process: ProcessId) -> Self {
        let positions = |topic: &crate::scenario::Topic| {
            vec![0; usize::try_from(topic.partitions).expect("few partitions")]
        };
        ConsumerClient {
            process,
            number,
            life: 0,
            calls: 0,
            polling: None,
            topics: scenario.topics.iter().map(|topic| topic.name.clone()).collect(),
            positions: scenario.topics.iter().map(positions).collect(),
            max_records: usize::try_from(scenario.workload.poll_records).unwrap_or(usize::MAX),
            consumed: 0,
        }
    }

    fn call(&mut self, world: &mut World<Process>, op: Op) -> CallId {
        self.calls += 1;
        let call = CallId((self.life << 40) + self.calls);
        world.call(self.process, call, Arc::new(op));
        call
    }

    /// Takes all partitions and begins to poll; also after a restart.
    pub fn started(&mut self, world: &mut World<Process>) {
        let mut all = Vec::new();
        for (topic, positions) in self.topics.iter().zip(&self.positions) {
            for partition in 0..positions.len() {
                all.push((topic.clone(), i32::try_from(partition).expect("few partitions")));
            }
        }
        self.call(world, Op::Assign(all));
        self.poll(world);
    }

    fn poll(&mut self, world: &mut World<Process>) {
        let op = Op::Poll { max_records: self.max_records, timeout: TIMEOUT };
        self.polling = Some(self.call(world, op));
    }

    /// The process died; the next life reads from the beginning.
    pub fn gone(&mut self) {
        self.life += 1;
        self.polling = None;
        for positions in &mut self.positions {
            positions.fill(0);
        }
    }

    /// The records of a poll, if the answered call was one.
    pub fn returned(
        &mut self,
        world: &mut World<Process>,
        call: CallId,
        outcome: &Outcome,
    ) -> Option<Arc<[ConsumedRecord]>> {
        if self.polling != Some(call) {
            return None;
        }
        self.poll(world);
        let Outcome::Polled(records) = outcome else { return None };
        self.consumed += u64::try_from(records.len()).expect("a length fits u64");
        for record in records.iter() {
            let topic = self.topics.iter().position(|name| *name == record.topic);
            let partition = usize::try_from(record.partition).ok();
            let Some((topic, partition)) = topic.zip(partition) else { continue };
            if let Some(position) = self.positions[topic].get_mut(partition) {
                *position = record.offset.0 + 1;
            }
        }
        (!records.is_empty()).then(|| Arc::clone(records))
    }

    /// A partition of which it has not yet read an acknowledged offset, and where it is there.
    #[must_use]
    pub fn behind(&self, acked: &[Vec<i64>]) -> Option<(usize, usize, i64)> {
        for (topic, (positions, highest)) in self.positions.iter().zip(acked).enumerate() {
            let pairs = positions.iter().zip(highest).enumerate();
            let mut behind = pairs.filter(|(_, (position, highest))| *position <= highest);
            if let Some((partition, (position, _))) = behind.next() {
                return Some((topic, partition, *position));
            }
        }
        None
    }
}
