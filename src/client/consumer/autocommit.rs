//! `enable.auto.commit`: what the application has polled before is committed for it.

use crate::client::consumer::Consumer;
use crate::defect::Defect;
use crate::time::Instant;

/// A moment at which it may be time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The application polls: it is done with all that it got before.
    Poll,
    /// It is being handed records.
    Delivery,
}

impl Consumer {
    fn commits_by_itself(&self) -> bool {
        self.setup.config.enable_auto_commit && self.group.is_some()
    }

    /// Commits if `auto.commit.interval.ms` has passed.
    pub(super) fn auto_commit(&mut self, now: Instant, moment: Moment) {
        // What a poll hands out counts as processed with the next one: a crash in between must not
        // skip it (Jepsen, 2024-11-13).
        let right = if self.setup.defects.has(Defect::AutocommitLatestPoll) {
            Moment::Delivery
        } else {
            Moment::Poll
        };
        let interval = self.setup.config.auto_commit_interval;
        let Some(group) = &mut self.group else { return };
        if moment != right || group.auto_at > now || !group.commits.is_empty() {
            return;
        }
        group.auto_at = now + interval;
        // The next one is as good as another try.
        self.commit_for_itself(now, now + interval);
    }

    /// Commits before something is given up: by a revocation, or by closing.
    pub(super) fn commit_for_itself(&mut self, now: Instant, until: Instant) {
        let positions = self.polled_positions();
        let last = self.group.as_ref().and_then(|group| group.commits.back());
        let new = last.is_none_or(|last| last.positions != positions);
        if self.commits_by_itself() && new && !positions.is_empty() {
            // A member between two generations has nothing to say; others read again from where it
            // committed last.
            let _refused = self.commit(now, None, positions, until);
        }
    }
}
