//! Feeds send when they are due; what they were told is acknowledged is to be read.

use super::{Run, Token};
use crate::scenario::script::{Action, NodeExpr, Part, Role, Who};

impl Run {
    /// Every feed begins to send.
    pub(super) fn begin_feeding(&mut self) {
        for feed in 0..self.workload.feeders.len() {
            self.next_feed(feed);
        }
    }

    fn next_feed(&mut self, feed: usize) {
        let pause = self.workload.feeders[feed].pause();
        self.world.control(self.world.now() + pause, Token::Feed(feed).encode());
    }

    pub(super) fn feed_due(&mut self, feed: usize) {
        let feeder = &self.workload.feeders[feed];
        let wants = feeder.wants(self.workload.sending);
        if wants && self.world.is_up(feeder.process) {
            let number = u32::try_from(feed + 1).expect("few feeds");
            self.decided(&Action::Feed(NodeExpr::Who(Who { role: Role::Feed, number })));
        }
        self.next_feed(feed);
    }

    /// One send of a feed: of what it has to repeat, or of something new.
    pub(super) fn feed(&mut self, node: &NodeExpr) -> bool {
        let Some(process) = self.node(node) else { return false };
        let mut feeders = self.workload.feeders.iter_mut();
        let Some(feeder) = feeders.find(|feeder| feeder.process == process) else { return false };
        feeder.send(&mut self.world);
        true
    }

    /// An acknowledged input that an application has not done with.
    pub(super) fn unprocessed(&self) -> Option<String> {
        let topics = self.scenario.topics.iter().zip(&self.workload.acked);
        for (topic, highest) in topics {
            for (partition, highest) in (0..).zip(highest).filter(|(_, highest)| **highest >= 0) {
                let missing = |app: &std::sync::Arc<crate::app::AppTable>| {
                    self.watch.apps.unprocessed(app, &topic.name, partition, *highest)
                };
                if let Some(missing) = self.scenario.apps.iter().find_map(missing) {
                    return Some(missing);
                }
            }
        }
        self.unprocessed_by_itself()
    }

    /// An application of which the run proves nothing, as it has processed nothing; unless the
    /// scenario asks for no more. How much of its input it has time for, the scenario may say for
    /// all of its applications at once.
    pub(super) fn idle_app(&self) -> Option<String> {
        let mut required = self.scenario.require.iter().chain(&self.scenario.atlas.require);
        let required = required.find(|required| required.name.starts_with("processed"));
        if required.is_some_and(|required| required.at_least == 0) {
            return None;
        }
        let checkers = self.watch.checkers.as_ref()?;
        let (view, parts) = (self.view(), self.partitions());
        let idle = self.scenario.apps.iter().filter(|app| !self.watch.apps.has_worked(app));
        idle.filter_map(|app| {
            let last = |part: &Part| checkers.last_visible(view.id(part)?);
            let mut parts = parts.iter().filter(|part| app.input.contains(&part.topic));
            let inputs: Vec<&str> = app.input.iter().map(|topic| &**topic).collect();
            let inputs = inputs.join(", ");
            let why = match (parts.any(|part| last(part).is_some()), required) {
                (false, _) => format!("nothing lies in its input {inputs}"),
                (true, None) => format!("it had too little time for its input {inputs}"),
                (true, Some(_)) => return None,
            };
            Some(format!("the {} processed nothing: {why}", app.name))
        })
        .next()
    }

    /// What one application has sent to another, or to itself (a message that goes round once
    /// more), and has not been done with. Only checkers know what lies at the end of a log.
    fn unprocessed_by_itself(&self) -> Option<String> {
        let checkers = self.watch.checkers.as_ref()?;
        let view = self.view();
        for part in self.partitions() {
            let last = view.id(&part).and_then(|id| checkers.last_visible(id));
            let Some(last) = last else { continue };
            let missing = |app: &std::sync::Arc<crate::app::AppTable>| {
                self.watch.apps.unprocessed(app, &part.topic, part.partition, last.0)
            };
            if let Some(missing) = self.scenario.apps.iter().find_map(missing) {
                return Some(missing);
            }
        }
        None
    }
}
