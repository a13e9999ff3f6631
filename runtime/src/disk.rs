//! What a process keeps over a restart of itself: logs and small files, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::{LogId, Offset};
use seedlog::machine::{Effect, FileKey, Input, LogName, Survived, SurvivedLog};
use seedlog::message::LogRange;
use seedlog::record::BatchHeader;

#[derive(Default)]
pub struct Disk {
    files: BTreeMap<FileKey, Bytes>,
    logs: BTreeMap<LogId, Log>,
}

struct Log {
    name: Arc<LogName>,
    /// By base offset.
    batches: BTreeMap<Offset, Bytes>,
}

impl Disk {
    /// What the next incarnation finds: everything, since a memory loses nothing.
    pub fn survived(&self) -> Survived {
        let logs = self.logs.iter().map(|(id, log)| SurvivedLog {
            log: *id,
            name: Arc::clone(&log.name),
            chunks: log.batches.values().cloned().collect(),
        });
        let files = self.files.iter().map(|(key, value)| (*key, value.clone()));
        Survived { files: files.collect(), logs: logs.collect() }
    }

    /// The batches that an answer names.
    pub fn read(&self, range: LogRange) -> Vec<Bytes> {
        let Some(log) = self.logs.get(&range.log) else { return Vec::new() };
        log.batches.range(range.from..range.to).map(|(_, batch)| batch.clone()).collect()
    }

    fn log(&mut self, id: LogId) -> &mut Log {
        self.logs.get_mut(&id).expect("a log is created before it is used")
    }

    /// Carries out an effect on the disk; others come back.
    pub fn carry_out(&mut self, effect: Effect) -> Result<Option<Input>, Effect> {
        match effect {
            Effect::Create { log, name } => {
                self.logs.insert(log, Log { name, batches: BTreeMap::new() });
            }
            Effect::Append { log, base, batch } => {
                self.log(log).batches.insert(base, batch);
            }
            Effect::Flush { log, upto } => return Ok(Some(Input::Flushed { log, upto })),
            Effect::Truncate { log, to } => {
                self.log(log).batches.split_off(&to);
            }
            Effect::Trim { log, to } => {
                self.log(log).batches.retain(|_, batch| ends(batch) > to);
            }
            Effect::Rewrite { log, from, to, batches } => {
                let stored = &mut self.log(log).batches;
                stored.retain(|base, _| *base < from || *base >= to);
                stored.extend(batches.iter().map(|batch| (base(batch), batch.clone())));
            }
            Effect::Remove { log } => {
                self.logs.remove(&log);
            }
            Effect::Save { file, value } => {
                self.files.insert(file, value);
                return Ok(Some(Input::Saved { file }));
            }
            Effect::Delete { file } => {
                self.files.remove(&file);
            }
            Effect::Load { log, from, max_bytes } => {
                let batches = self.load(log, from, max_bytes);
                return Ok(Some(Input::Loaded { log, from, batches }));
            }
            other @ (Effect::Connect { .. }
            | Effect::Close { .. }
            | Effect::Send { .. }
            | Effect::Respond { .. }
            | Effect::Return { .. }
            | Effect::Note(_)
            | Effect::Halt) => return Err(other),
        }
        Ok(None)
    }

    fn load(&mut self, log: LogId, from: Offset, max_bytes: u32) -> Arc<[Bytes]> {
        let mut left = usize::try_from(max_bytes).expect("32 bits fit");
        let mut loaded = Vec::new();
        for batch in self.log(log).batches.values().filter(|batch| ends(batch) > from) {
            if !loaded.is_empty() && batch.len() > left {
                break;
            }
            left = left.saturating_sub(batch.len());
            loaded.push(batch.clone());
        }
        loaded.into()
    }
}

fn base(batch: &Bytes) -> Offset {
    BatchHeader::parse(batch).expect("the core appends good batches").base_offset
}

fn ends(batch: &Bytes) -> Offset {
    BatchHeader::parse(batch).expect("the core appends good batches").last_offset().next()
}
