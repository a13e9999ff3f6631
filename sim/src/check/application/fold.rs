//! The state of a ledger's account is what its postings add up to: L4.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use seedlog::client::app::processor::{State, entry_digest};
use seedlog::event::{ApplicationNote, Event, RestoredNote};
use seedlog::ids::{Offset, TopicName};
use seedlog::time::Instant;

use super::super::tally::Check;
use super::{Invariant, Posted, Reader, Visible};

/// Changes of a partition at which it can be told what they add up to: more than come while
/// somebody restores.
const REMEMBERED: usize = 1 << 14;

/// What a partition of a changelog adds up to.
#[derive(Clone, Debug, Default)]
struct Folded {
    state: State,
    /// Of the state now.
    digest: u64,
    /// The offset after a change, and the digest from there on.
    digests: VecDeque<(Offset, u64)>,
    /// Older ones are forgotten.
    is_cut: bool,
}

impl Folded {
    fn change(&mut self, offset: Offset, key: &Bytes, value: Option<&Bytes>) {
        let before = match value {
            Some(value) => {
                self.digest = self.digest.wrapping_add(entry_digest(key, value));
                self.state.insert(key.clone(), value.clone())
            }
            None => self.state.remove(key),
        };
        if let Some(before) = before {
            self.digest = self.digest.wrapping_sub(entry_digest(key, &before));
        }
        self.digests.push_back((offset.next(), self.digest));
        if self.digests.len() > REMEMBERED {
            self.digests.pop_front();
            self.is_cut = true;
        }
    }

    /// Of what lies below an offset; none if that is forgotten.
    fn below(&self, upto: Offset) -> Option<u64> {
        let after = self.digests.partition_point(|(offset, _)| *offset <= upto);
        match after.checked_sub(1) {
            Some(last) => Some(self.digests[last].1),
            None => (!self.is_cut).then_some(0),
        }
    }
}

/// L4: every posting has the balance that its account's committed postings add up to, whoever wrote
/// it, and after whichever restart; and who takes over a partition has the state that its committed
/// changelog adds up to.
#[derive(Clone, Debug)]
pub struct DeterministicFold {
    reader: Reader,
    balances: BTreeMap<Arc<str>, i64>,
    changelog: Option<TopicName>,
    /// By partition.
    folded: BTreeMap<i32, Folded>,
    judged: u64,
}

impl DeterministicFold {
    #[must_use]
    pub fn new(reader: Reader, changelog: Option<TopicName>) -> Self {
        DeterministicFold {
            reader,
            balances: BTreeMap::new(),
            changelog,
            folded: BTreeMap::new(),
            judged: 0,
        }
    }

    fn posted(&mut self, posted: &Posted) -> Result<(), String> {
        let Some(left) = posted.left else { return Ok(()) };
        self.judged += 1;
        let sum = self.balances.entry(Arc::clone(&posted.account)).or_insert(0);
        let before = *sum;
        *sum += posted.delta;
        if *sum == left {
            return Ok(());
        }
        Err(format!(
            "{posted} leaves {left} on {}, but the postings before it add up to {before}, and it \
             adds {:+}: its writer had another state",
            posted.account, posted.delta
        ))
    }

    fn restored(&mut self, note: &RestoredNote) -> Result<(), String> {
        if self.changelog.as_ref() != Some(&note.changelog) {
            return Ok(());
        }
        let RestoredNote { by, changelog, partition, upto, digest } = note;
        let folded = self.folded.get(partition);
        let Some(expected) = folded.map_or(Some(0), |folded| folded.below(*upto)) else {
            return Ok(());
        };
        self.judged += 1;
        if expected == *digest {
            return Ok(());
        }
        let keys = folded.map_or(0, |folded| folded.state.len());
        Err(format!(
            "{by} has restored another state from {changelog}-{partition} than what is committed \
             there below offset {upto} adds up to: its digest is {digest:016x} and not \
             {expected:016x}; {keys} keys are there now"
        ))
    }
}

impl Invariant for DeterministicFold {
    fn name(&self) -> &str {
        "DeterministicFold"
    }

    fn promise(&self) -> Check {
        Check::DeterministicFold
    }

    fn judged(&self) -> Option<u64> {
        Some(self.judged)
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        let Visible { topic, partition, record, .. } = *visible;
        if Some(topic) == self.changelog.as_ref()
            && let Some(key) = &record.key
        {
            let folded = self.folded.entry(partition).or_default();
            folded.change(record.offset, key, record.value.as_ref());
        }
        self.reader.visible(visible).map_or(Ok(()), |posted| self.posted(&posted))
    }

    fn noted(&mut self, event: &Event, _: Instant) -> Result<(), String> {
        let Event::Application(note) = event else { return Ok(()) };
        let ApplicationNote::Restored(note) = &**note else { return Ok(()) };
        self.restored(note)
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Shown, posting, reader};
    use seedlog::client::app::processor::digest;

    use super::*;

    #[test]
    fn l4_a_balance_that_the_postings_do_not_add_up_to() {
        let mut fold = DeterministicFold::new(reader(), None);
        let mut post = |delta: i64, left: Option<i64>| {
            fold.posted(&Posted { left, ..posting("x", "a", delta) })
        };
        assert_eq!(post(5, Some(5)), Ok(()));
        assert_eq!(post(-3, Some(2)), Ok(()));
        assert_eq!(post(100, None), Ok(()), "an account without a balance");
        let told = "request x (changes a by +1; by x1 at 0.000s) leaves 6 on a, but the postings \
                    before it add up to 2, and it adds +1: its writer had another state";
        assert_eq!(post(1, Some(6)), Err(told.into()));
        assert_eq!(fold.judged(), Some(3));
    }

    #[test]
    fn l4_a_restored_state_that_the_committed_changelog_does_not_add_up_to() {
        let mut shown = Shown::new(DeterministicFold::new(reader(), Some("balances".into())));
        let changes = [("a", Some("1")), ("b", Some("2")), ("a", None), ("b", Some("3"))];
        for (key, value) in changes {
            shown.keeps(key, value);
        }
        let state = |entries: &[(&'static str, &'static str)]| -> u64 {
            let entries = entries.iter().map(|(key, value)| ((*key).into(), (*value).into()));
            digest(&entries.collect())
        };
        assert_eq!(shown.restores(4, state(&[("b", "3")])), Ok(()));
        assert_eq!(shown.restores(2, state(&[("a", "1"), ("b", "2")])), Ok(()), "as it was there");
        assert_eq!(shown.invariant.judged(), Some(2));
        assert_eq!(shown.restores(0, state(&[])), Ok(()), "before all");
        let (wrong, right) = (state(&[("b", "2")]), state(&[("b", "3")]));
        let told = format!(
            "x1 has restored another state from balances-0 than what is committed there below \
             offset 4 adds up to: its digest is {wrong:016x} and not {right:016x}; 1 keys are \
             there now"
        );
        assert_eq!(shown.restores(4, wrong), Err(told));
    }

    #[test]
    fn what_is_long_past_is_forgotten_and_not_judged() {
        let mut folded = Folded::default();
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"v"));
        for offset in 0..=i64::try_from(REMEMBERED).unwrap() {
            folded.change(Offset(offset), &key, Some(&value));
        }
        assert_eq!(folded.below(Offset(1)), None);
        assert_eq!(folded.below(Offset(2)), Some(entry_digest(&key, &value)));
    }
}
