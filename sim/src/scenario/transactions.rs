//! What producers do that send transactions.

use std::sync::Arc;

use super::model::Workload;
use super::parse::u32_of;
use super::read::Table;
use super::text::Error;
use super::value::{Range, Ratio};

/// Producers that send everything in transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transactions {
    /// The first so many producers.
    pub producers: u32,
    /// Records of one transaction.
    pub size: Range,
    /// How many transactions their application gives up.
    pub aborts: Ratio,
    /// Transactional ids, given in turn; empty: the processes' names.
    pub ids: Vec<Arc<str>>,
}

impl Transactions {
    /// Reads `[transactions]`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and its cure.
    pub(super) fn read(root: &mut Table<'_>, workload: &Workload) -> Result<Option<Self>, Error> {
        let Some(mut table) = root.table("transactions")? else { return Ok(None) };
        let producers = table.number("producers", 1, u64::from(workload.producers))?;
        let transactions = Transactions {
            producers: producers.map_or(workload.producers, u32_of),
            size: table.range("size")?.unwrap_or(Range::new(1, 5)),
            aborts: table.ratio("aborts")?.unwrap_or(Ratio::new(1, 5)),
            ids: table.strings("ids")?.into_iter().map(|(_, id)| id.into()).collect(),
        };
        table.end()?;
        Ok(Some(transactions))
    }

    /// The transactional id of a producer, from 0; none if it sends without.
    #[must_use]
    pub fn id(&self, producer: u32) -> Option<Arc<str>> {
        if producer >= self.producers {
            return None;
        }
        let own = || Arc::from(format!("p{}", producer + 1));
        let index = usize::try_from(producer).expect("few producers");
        Some(self.ids.get(index % self.ids.len().max(1)).cloned().unwrap_or_else(own))
    }
}
