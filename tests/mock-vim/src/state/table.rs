//! One collection: its elements, its indexes, and what was deleted.
//!
//! Elements are shared (`Arc`): an answer or a snapshot takes pointers under the lock and is turned into JSON outside of
//! it. A change replaces the element. What always holds: every element is in each index exactly once, under its present
//! values; `update` re-indexes, so nothing else may change an element.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use crate::elements::{Element, Meta};

/// How many deletions of a kind are remembered. Ten times what a large test deletes between two looks; beyond it the
/// oldest are forgotten, and who asks for changes since before those is told to start over. More would only make the
/// state file longer.
const TOMBSTONES_KEPT: usize = 20_000;

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) token: Option<String>,
    pub(crate) seq: u64,
}

/// What is stored of a table; indexes are made again at load.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub(crate) struct Saved<T> {
    items: Vec<Arc<T>>,
    tombstones: Vec<Arc<Tombstone>>,
    horizon: u64,
}

/// What a file of before this kind holds of it.
impl<T> Default for Saved<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            tombstones: Vec::new(),
            horizon: 0,
        }
    }
}

/// A part of a listing.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<Arc<T>>,
    /// Where the next page goes on.
    pub(crate) next: Option<u64>,
}

/// What changed after some sequence number.
#[derive(Debug)]
pub(crate) struct Changes<T> {
    pub(crate) changed: Vec<Arc<T>>,
    pub(crate) deleted: Vec<Arc<Tombstone>>,
    /// The sequence number of the last one, when there are more.
    pub(crate) cut_at: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Table<T> {
    items: BTreeMap<u64, Arc<T>>,
    by_id: HashMap<String, u64>,
    by_name: BTreeSet<(String, u64)>,
    by_token: BTreeSet<(String, u64)>,
    by_seq: BTreeMap<u64, u64>,
    tombstones: BTreeMap<u64, Arc<Tombstone>>,
    /// Deletions up to this sequence number may be forgotten.
    horizon: u64,
    presets: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            by_id: HashMap::new(),
            by_name: BTreeSet::new(),
            by_token: BTreeSet::new(),
            by_seq: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            horizon: 0,
            presets: 0,
        }
    }
}

impl<T: Element> Table<T> {
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<T>> {
        self.items.get(self.by_id.get(id)?)
    }

    pub(crate) fn by_number(&self, number: u64) -> Option<&Arc<T>> {
        self.items.get(&number)
    }

    /// Those of a name, in order of creation.
    pub(crate) fn named<'t>(&'t self, name: &str) -> impl Iterator<Item = &'t Arc<T>> + use<'t, T> {
        self.by_name
            .range((name.to_owned(), 0)..=(name.to_owned(), u64::MAX))
            .filter_map(move |(_, number)| self.items.get(number))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.items.values()
    }

    /// How many count for a quota.
    pub(crate) fn counted(&self) -> u64 {
        (self.items.len() as u64).saturating_sub(self.presets)
    }

    pub(crate) fn insert(&mut self, item: T) -> Arc<T> {
        let item = Arc::new(item);
        self.index(item.meta());
        self.items.insert(item.meta().number, Arc::clone(&item));
        item
    }

    /// Changes an element; the change has this sequence number.
    pub(crate) fn update(&mut self, id: &str, seq: u64, change: impl FnOnce(&mut T)) -> Option<Arc<T>> {
        let old = Arc::clone(self.get(id)?);
        self.unindex(old.meta());
        let mut item = T::clone(&old);
        change(&mut item);
        item.meta_mut().seq = seq;
        Some(self.insert(item))
    }

    /// Deletes an element and remembers that it was there.
    pub(crate) fn remove(&mut self, id: &str, seq: u64) -> Option<Arc<T>> {
        let item = self.items.remove(self.by_id.get(id)?)?;
        let meta = item.meta();
        self.unindex(meta);
        self.tombstones.insert(
            seq,
            Arc::new(Tombstone {
                id: meta.id.clone(),
                name: meta.name.clone(),
                token: meta.token.clone(),
                seq,
            }),
        );
        while self.tombstones.len() > TOMBSTONES_KEPT {
            if let Some((forgotten, _)) = self.tombstones.pop_first() {
                self.horizon = forgotten;
            }
        }
        Some(item)
    }

    /// Forgets everything, deletions too, as of this sequence number.
    pub(crate) fn clear(&mut self, seq: u64) {
        *self = Self {
            horizon: seq,
            ..Self::default()
        };
    }

    pub(crate) fn page(&self, filter: &Filter) -> Page<T> {
        let chosen = self.chosen(filter);
        let mut numbers: Box<dyn Iterator<Item = &u64>> = match &chosen {
            Some(numbers) => Box::new(numbers.iter()),
            None => Box::new(self.items.keys()),
        };
        if filter.after > 0 {
            // From the key on and not by skipping, so that a long listing costs the same for each of its pages.
            let from = filter.after.saturating_add(1)..;
            numbers = match &chosen {
                Some(numbers) => Box::new(numbers.range(from)),
                None => Box::new(self.items.range(from).map(|(number, _)| number)),
            };
        }
        let mut matching = numbers
            .filter_map(|number| self.items.get(number))
            .filter(|item| filter.matches(item.as_ref()));
        let items: Vec<Arc<T>> = matching.by_ref().take(filter.limit).cloned().collect();
        let more = matching.next().is_some();
        let next = items.last().filter(|_| more).map(|item| item.meta().number);
        Page { items, next }
    }

    /// The numbers one of the indexes gives for a filter, or `None` when every element must be looked at.
    fn chosen(&self, filter: &Filter) -> Option<BTreeSet<u64>> {
        let exactly = |index: &BTreeSet<(String, u64)>, keys: &[String]| {
            let mut numbers = BTreeSet::new();
            for key in keys {
                numbers.extend(
                    index
                        .range((key.clone(), 0)..=(key.clone(), u64::MAX))
                        .map(|(_, number)| *number),
                );
            }
            numbers
        };
        if !filter.ids.is_empty() {
            Some(filter.ids.iter().filter_map(|id| self.by_id.get(id).copied()).collect())
        } else if !filter.tokens.is_empty() {
            Some(exactly(&self.by_token, &filter.tokens))
        } else if !filter.token_prefixes.is_empty() {
            let mut numbers = BTreeSet::new();
            for prefix in &filter.token_prefixes {
                let found = self
                    .by_token
                    .range((prefix.clone(), 0)..)
                    .take_while(|(token, _)| token.starts_with(prefix));
                numbers.extend(found.map(|(_, number)| *number));
            }
            Some(numbers)
        } else if !filter.names.is_empty() {
            Some(exactly(&self.by_name, &filter.names))
        } else {
            None
        }
    }

    /// Changes and deletions after a sequence number, oldest first; `None` when some may be forgotten.
    pub(crate) fn changes(&self, since: u64, limit: usize) -> Option<Changes<T>> {
        // Who knows nothing yet misses nothing by not hearing of old deletions.
        if since < self.horizon && since > 0 {
            return None;
        }
        let from = since.saturating_add(1);
        let mut changed = self.by_seq.range(from..).peekable();
        let mut deleted = self.tombstones.range(from..).peekable();
        let mut changes = Changes {
            changed: Vec::new(),
            deleted: Vec::new(),
            cut_at: None,
        };
        let mut last = since;
        for taken in 0.. {
            let change_first = match (changed.peek(), deleted.peek()) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((change, _)), Some((deletion, _))) => change < deletion,
            };
            if taken == limit {
                changes.cut_at = Some(last);
                break;
            }
            if change_first {
                if let Some((seq, number)) = changed.next() {
                    last = *seq;
                    changes.changed.extend(self.items.get(number).cloned());
                }
            } else if let Some((seq, tombstone)) = deleted.next() {
                last = *seq;
                changes.deleted.push(Arc::clone(tombstone));
            }
        }
        Some(changes)
    }

    pub(crate) fn save(&self) -> Saved<T> {
        Saved {
            items: self.items.values().cloned().collect(),
            tombstones: self.tombstones.values().cloned().collect(),
            horizon: self.horizon,
        }
    }

    pub(crate) fn load(saved: Saved<T>) -> Self {
        let mut table = Self {
            horizon: saved.horizon,
            ..Self::default()
        };
        for item in saved.items {
            table.index(item.meta());
            table.items.insert(item.meta().number, item);
        }
        table.tombstones = saved
            .tombstones
            .into_iter()
            .map(|tombstone| (tombstone.seq, tombstone))
            .collect();
        table
    }

    fn index(&mut self, meta: &Meta) {
        self.by_id.insert(meta.id.clone(), meta.number);
        self.by_name.insert((meta.name.clone(), meta.number));
        if let Some(token) = &meta.token {
            self.by_token.insert((token.clone(), meta.number));
        }
        self.by_seq.insert(meta.seq, meta.number);
        self.presets += u64::from(meta.preset);
    }

    fn unindex(&mut self, meta: &Meta) {
        self.by_id.remove(&meta.id);
        self.by_name.remove(&(meta.name.clone(), meta.number));
        if let Some(token) = &meta.token {
            self.by_token.remove(&(token.clone(), meta.number));
        }
        self.by_seq.remove(&meta.seq);
        self.presets -= u64::from(meta.preset);
    }
}
