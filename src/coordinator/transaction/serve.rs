//! Requests to a transaction coordinator.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::coordinator::transaction::TransactionCoordinator;
use crate::coordinator::transaction::decide::{self, End, Ending, Init, Prepared, Session};
use crate::coordinator::transaction::entry::Entry;
use crate::coordinator::transaction::pending::{Waiting, refuse, respond};
use crate::coordinator::{Context, Journal, Requester, shard_of};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::TransactionState;
use crate::ids::{PartitionId, ProducerEpoch, ProducerId, TopicName};
use crate::machine::Effects;
use crate::message::coordinator::CoordinatorKind;
use crate::message::produce::{InitProducerIdRequest, InitProducerIdResponse};
use crate::message::transaction::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AddedTransaction,
    DescribeTransactionsRequest, DescribeTransactionsResponse, DescribedTransaction, EndTxnRequest,
    EndTxnResponse, ListTransactionsRequest, ListTransactionsResponse,
};
use crate::message::{Request, Response};
use crate::time::{Duration, Timestamp};

/// A client's request, while it is served.
struct Asked<'a> {
    to: Requester,
    request: &'a Arc<Request>,
}

impl TransactionCoordinator {
    pub(super) fn serve(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        to: Requester,
        request: &Arc<Request>,
        out: &mut Effects,
    ) {
        let asked = Asked { to, request };
        if let Request::InitProducerId(init) = &**request {
            self.init_producer_id(ctx, journal, &asked, init, out);
        } else if let Request::AddPartitionsToTxn(add) = &**request {
            let [add] = &*add.transactions else {
                panic!("the broker takes requests apart by transactional id");
            };
            self.add_partitions(ctx, journal, &asked, add, out);
        } else if let Request::AddOffsetsToTxn(add) = &**request {
            self.add_offsets(ctx, journal, &asked, add, out);
        } else if let Request::EndTxn(end) = &**request {
            self.end(ctx, journal, &asked, end, out);
        } else if let Request::DescribeTransactions(ask) = &**request {
            respond(to, Response::DescribeTransactions(self.describe(ask)), out);
        } else if let Request::ListTransactions(ask) = &**request {
            respond(to, Response::ListTransactions(self.list(ctx, ask)), out);
        } else {
            refuse(to, request, ErrorCode::InvalidRequest, out);
        }
    }

    fn init_producer_id(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        asked: &Asked<'_>,
        init: &InitProducerIdRequest,
        out: &mut Effects,
    ) {
        let id = init.transactional_id.as_ref().expect("it came here by its transactional id");
        let result = self.decide_init(ctx, journal, id, init, out);
        let entry = match result {
            Ok(entry) => entry,
            Err(error) => return respond(asked.to, identified(Err(error)), out),
        };
        let session = (entry.producer_id, entry.producer_epoch);
        let known = self.entries.get(id);
        // KIP-360: a repeated question, whose answer stands.
        if known.is_some_and(|known| known.producer_epoch == entry.producer_epoch)
            && known.is_some_and(|known| known.producer_id == entry.producer_id)
            && known.is_some_and(|known| known.state == TransactionState::Empty)
        {
            return respond(asked.to, identified(Ok(session)), out);
        }
        let response = identified(Ok(session));
        let waiting = self.waiting(ctx, asked, response);
        if let Err(error) = self.transit(ctx, journal, id, Some(entry), Some(waiting), out) {
            respond(asked.to, identified(Err(error)), out);
        }
    }

    /// The entry with the session that InitProducerId gives.
    fn decide_init(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        id: &Arc<str>,
        init: &InitProducerIdRequest,
        out: &mut Effects,
    ) -> Result<Entry, ErrorCode> {
        let timeout = init.transaction_timeout;
        if timeout == Duration::ZERO || timeout > ctx.config.transaction_max_timeout {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let rules = Self::rules(ctx);
        let Some(entry) = self.entries.get(id).map(Arc::clone) else {
            if self.pending.contains_key(id) {
                return Err(ErrorCode::ConcurrentTransactions);
            }
            let new = journal.producer_id().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
            let entry = Entry::new(new, timeout, rules.now);
            return Ok(Entry { producer_epoch: ProducerEpoch(0), ..entry });
        };
        if self.pending.contains_key(id) {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let given = (init.producer_id != ProducerId::NONE)
            .then_some((init.producer_id, init.producer_epoch));
        match decide::init(&entry, given, timeout, rules)? {
            Init::Write(entry) => Ok(entry),
            Init::Rotate => {
                let new = journal.producer_id().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
                Ok(decide::rotate(&entry, new, given.is_some(), timeout, rules))
            }
            Init::Abort => {
                // KAFKA-5231: with the old epoch its producer could write behind the marker.
                let keeps_epoch = ctx.defects.has(Defect::InitpidNoBump);
                self.abort(ctx, journal, id, keeps_epoch, out);
                Err(ErrorCode::ConcurrentTransactions)
            }
        }
    }

    fn waiting(&self, ctx: &Context<'_>, asked: &Asked<'_>, response: Response) -> Waiting {
        Waiting {
            to: asked.to,
            request: Arc::clone(asked.request),
            response,
            until: ctx.now.mono + ctx.config.request_timeout,
        }
    }

    /// What is known of a transactional id, unless that is about to change (KAFKA-18660).
    fn settled(&self, id: &str) -> Result<Arc<Entry>, ErrorCode> {
        if self.pending.contains_key(id) {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        self.entries.get(id).map(Arc::clone).ok_or(ErrorCode::InvalidProducerIdMapping)
    }

    fn add_partitions(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        asked: &Asked<'_>,
        add: &AddedTransaction,
        out: &mut Effects,
    ) {
        let id = &add.transactional_id;
        let session = (add.producer_id, add.producer_epoch);
        let done = |each: &dyn Fn(&(TopicName, i32)) -> ErrorCode| {
            let results = add.partitions.iter();
            let results = results.map(|at| (at.0.clone(), at.1, each(at))).collect();
            Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
                error: ErrorCode::None,
                transactions: alloc::vec![(Arc::clone(id), results)],
            })
        };
        // All or nothing: of what cannot be ended nothing is begun.
        let fault = |at: &(TopicName, i32)| addable(ctx, add, at).err();
        if add.partitions.iter().any(|at| fault(at).is_some()) {
            let error = |at: &_| fault(at).unwrap_or(ErrorCode::OperationNotAttempted);
            return respond(asked.to, done(&error), out);
        }
        if add.verify_only {
            let entry = self.settled(id);
            let verified = |at: &(TopicName, i32)| {
                let entry = entry.as_ref().map_err(|error| *error);
                let verified = entry.and_then(|entry| decide::verify(entry, session, at));
                verified.err().unwrap_or(ErrorCode::None)
            };
            return respond(asked.to, done(&verified), out);
        }
        let all = done(&|_| ErrorCode::None);
        let added = self.enrol(ctx, journal, asked, (id, session), &add.partitions, all, out);
        if let Err(error) = added {
            respond(asked.to, done(&|_| error), out);
        }
    }

    fn add_offsets(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        asked: &Asked<'_>,
        add: &AddOffsetsToTxnRequest,
        out: &mut Effects,
    ) {
        let id = &add.transactional_id;
        let done = |error| Response::AddOffsetsToTxn(AddOffsetsToTxnResponse { error });
        let session = (add.producer_id, add.producer_epoch);
        let kind = CoordinatorKind::Group;
        let shard = shard_of(ctx.image, kind, &add.group);
        let shard = shard.ok_or(ErrorCode::CoordinatorNotAvailable);
        let added = shard.and_then(|shard| {
            let partitions = [(TopicName::from(kind.topic()), shard.partition)];
            let response = done(ErrorCode::None);
            self.enrol(ctx, journal, asked, (id, session), &partitions, response, out)
        });
        if let Err(error) = added {
            respond(asked.to, done(error), out);
        }
    }

    /// Adds partitions to a transaction and answers when they are.
    #[expect(clippy::too_many_arguments, reason = "what a decision rests on, one by one")]
    fn enrol(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        asked: &Asked<'_>,
        (id, session): (&Arc<str>, Session),
        partitions: &[(TopicName, i32)],
        response: Response,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let entry = self.settled(id)?;
        match decide::add(&entry, session, partitions, Self::rules(ctx))? {
            None => {
                respond(asked.to, response, out);
                Ok(())
            }
            Some(entry) => {
                let waiting = self.waiting(ctx, asked, response);
                self.transit(ctx, journal, id, Some(entry), Some(waiting), out)
            }
        }
    }

    fn end(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        asked: &Asked<'_>,
        end: &EndTxnRequest,
        out: &mut Effects,
    ) {
        let ended = self.decide_end(ctx, journal, asked, end, out);
        if let Err(error) = ended {
            refuse(asked.to, asked.request, error, out);
        }
    }

    fn decide_end(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        asked: &Asked<'_>,
        end: &EndTxnRequest,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let id = &end.transactional_id;
        let entry = self.entries.get(id).map(Arc::clone);
        let entry = entry.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let busy = self.pending.contains_key(id);
        let session = (end.producer_id, end.producer_epoch);
        let ending = Ending { session, commit: end.commit, version: end.version };
        let done = |(producer_id, producer_epoch)| {
            let error = ErrorCode::None;
            Response::EndTxn(EndTxnResponse { error, producer_id, producer_epoch })
        };
        match decide::end(&entry, ending, busy, Self::rules(ctx))? {
            End::Done => {
                respond(asked.to, done(entry.next_session()), out);
                Ok(())
            }
            End::Prepare(Prepared { entry: mut next, rotates }) => {
                if rotates {
                    let new = journal.producer_id();
                    next.next_producer_id = new.ok_or(ErrorCode::CoordinatorLoadInProgress)?;
                }
                let response = done(next.next_session());
                let waiting = self.waiting(ctx, asked, response);
                self.transit(ctx, journal, id, Some(next), Some(waiting), out)
            }
        }
    }

    fn describe(&self, ask: &DescribeTransactionsRequest) -> DescribeTransactionsResponse {
        let describe = |id: &Arc<str>| {
            let entry = self.entries.get(id);
            let error = match entry {
                Some(_) => ErrorCode::None,
                None => ErrorCode::TransactionalIdNotFound,
            };
            DescribedTransaction {
                transactional_id: Arc::clone(id),
                error,
                state: Arc::from(entry.map_or("", |entry| entry.state.name())),
                timeout: entry.map_or(Duration::ZERO, |entry| entry.timeout),
                start: entry.map_or(Timestamp::NONE, |entry| entry.start),
                producer_id: entry.map_or(ProducerId::NONE, |entry| entry.producer_id),
                producer_epoch: entry.map_or(ProducerEpoch::NONE, |entry| entry.producer_epoch),
                partitions: entry
                    .map_or_else(Vec::new, |entry| entry.partitions.iter().cloned().collect()),
            }
        };
        let transactions = ask.transactional_ids.iter().map(describe).collect();
        DescribeTransactionsResponse { transactions }
    }

    fn list(&self, ctx: &Context<'_>, ask: &ListTransactionsRequest) -> ListTransactionsResponse {
        let wanted = |entry: &Entry| {
            let state = entry.state.name();
            let long = ask
                .longer_than
                .is_none_or(|longer| entry.start.saturating_add(longer) < ctx.now.wall);
            (ask.states.is_empty() || ask.states.iter().any(|asked| &**asked == state))
                && (ask.producer_ids.is_empty() || ask.producer_ids.contains(&entry.producer_id))
                && long
        };
        let listed = self.entries.iter().filter(|(_, entry)| wanted(entry));
        let listed = listed
            .map(|(id, entry)| (Arc::clone(id), entry.producer_id, Arc::from(entry.state.name())));
        ListTransactionsResponse {
            error: ErrorCode::None,
            unknown_states: ask.unknown_states(),
            transactions: listed.collect(),
        }
    }
}

/// Whether a partition can be added to a transaction, for who asks.
///
/// # Errors
/// `TOPIC_AUTHORIZATION_FAILED` to a client that names an internal topic, or
/// `UNKNOWN_TOPIC_OR_PARTITION`.
fn addable(
    ctx: &Context<'_>,
    add: &AddedTransaction,
    (topic, partition): &(TopicName, i32),
) -> Result<(), ErrorCode> {
    if add.by_client && CoordinatorKind::owns(topic) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let id = ctx.image.names.get(topic);
    id.and_then(|id| ctx.image.partition(PartitionId { topic: *id, partition: *partition }))
        .map_or(Err(ErrorCode::UnknownTopicOrPartition), |_| Ok(()))
}

fn identified(session: Result<(ProducerId, ProducerEpoch), ErrorCode>) -> Response {
    let (error, (producer_id, producer_epoch)) = match session {
        Ok(session) => (ErrorCode::None, session),
        Err(error) => (error, (ProducerId::NONE, ProducerEpoch::NONE)),
    };
    Response::InitProducerId(InitProducerIdResponse { error, producer_id, producer_epoch })
}
