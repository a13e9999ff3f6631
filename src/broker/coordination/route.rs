//! Which coordinator a request is for.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::message::Request;
use crate::message::commit::OffsetFetchRequest;
use crate::message::consumer_group::ConsumerGroupDescribeRequest;
use crate::message::coordinator::CoordinatorKind;
use crate::message::group::{DeleteGroupsRequest, DescribeGroupsRequest};
use crate::message::transaction::{AddPartitionsToTxnRequest, DescribeTransactionsRequest};

/// Whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The coordinator of this group or transactional id.
    Key(CoordinatorKind, Arc<str>),
    /// A part each: the key, and what is asked about it.
    Keys(CoordinatorKind, Vec<(Arc<str>, Request)>),
    /// Every coordinator of this broker.
    All(CoordinatorKind),
}

/// None for requests that are no coordinator's.
pub(super) fn route(request: &Request) -> Option<Route> {
    group(request).or_else(|| transaction(request))
}

fn group(request: &Request) -> Option<Route> {
    let key = |key: &Arc<str>| Some(Route::Key(CoordinatorKind::Group, Arc::clone(key)));
    let keys = |parts: Vec<(Arc<str>, Request)>| Some(Route::Keys(CoordinatorKind::Group, parts));
    if let Request::JoinGroup(request) = request {
        key(&request.group)
    } else if let Request::SyncGroup(request) = request {
        key(&request.group)
    } else if let Request::Heartbeat(request) = request {
        key(&request.group)
    } else if let Request::LeaveGroup(request) = request {
        key(&request.group)
    } else if let Request::ConsumerGroupHeartbeat(request) = request {
        key(&request.group)
    } else if let Request::OffsetCommit(request) = request {
        key(&request.committer.group)
    } else if let Request::TxnOffsetCommit(request) = request {
        key(&request.committer.group)
    } else if let Request::OffsetDelete(request) = request {
        key(&request.group)
    } else if let Request::OffsetFetch(request) = request {
        keys(each(&request.groups, |asked| {
            let require_stable = request.require_stable;
            let groups = alloc::vec![asked.clone()];
            let part = OffsetFetchRequest { groups, require_stable };
            (asked.group.clone(), Request::OffsetFetch(part))
        }))
    } else if let Request::DescribeGroups(request) = request {
        keys(each(&request.groups, |group| {
            let part = DescribeGroupsRequest { groups: alloc::vec![group.clone()] };
            (group.clone(), Request::DescribeGroups(part))
        }))
    } else if let Request::ConsumerGroupDescribe(request) = request {
        keys(each(&request.groups, |group| {
            let part = ConsumerGroupDescribeRequest { groups: alloc::vec![group.clone()] };
            (group.clone(), Request::ConsumerGroupDescribe(part))
        }))
    } else if let Request::DeleteGroups(request) = request {
        keys(each(&request.groups, |group| {
            let part = DeleteGroupsRequest { groups: alloc::vec![group.clone()] };
            (group.clone(), Request::DeleteGroups(part))
        }))
    } else {
        let all = matches!(request, Request::ListGroups(_));
        all.then_some(Route::All(CoordinatorKind::Group))
    }
}

fn transaction(request: &Request) -> Option<Route> {
    let kind = CoordinatorKind::Transaction;
    let key = |key: &Arc<str>| Some(Route::Key(kind, Arc::clone(key)));
    let keys = |parts: Vec<(Arc<str>, Request)>| Some(Route::Keys(kind, parts));
    if let Request::InitProducerId(request) = request {
        key(request.transactional_id.as_ref()?)
    } else if let Request::AddOffsetsToTxn(request) = request {
        key(&request.transactional_id)
    } else if let Request::EndTxn(request) = request {
        key(&request.transactional_id)
    } else if let Request::AddPartitionsToTxn(request) = request {
        keys(each(&request.transactions, |asked| {
            let part = AddPartitionsToTxnRequest { transactions: alloc::vec![asked.clone()] };
            (asked.transactional_id.clone(), Request::AddPartitionsToTxn(part))
        }))
    } else if let Request::DescribeTransactions(request) = request {
        keys(each(&request.transactional_ids, |id| {
            let part = DescribeTransactionsRequest { transactional_ids: alloc::vec![id.clone()] };
            (id.clone(), Request::DescribeTransactions(part))
        }))
    } else {
        let all = matches!(request, Request::ListTransactions(_));
        all.then_some(Route::All(kind))
    }
}

fn each<T>(asked: &[T], part: impl Fn(&T) -> (Arc<str>, Request)) -> Vec<(Arc<str>, Request)> {
    asked.iter().map(part).collect()
}
