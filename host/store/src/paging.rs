//! How every implementation pages its listings.

use crate::Page;

/// Most entries of one page, whatever the caller asks for: an answer stays bounded.
const LARGEST_PAGE: usize = 1000;

fn entries(limit: usize) -> usize {
    limit.clamp(1, LARGEST_PAGE)
}

/// How many rows or documents to ask for: one more than the page holds, to know whether there is a next one.
#[must_use]
pub fn rows(limit: usize) -> i64 {
    i64::try_from(entries(limit).saturating_add(1)).unwrap_or(i64::MAX)
}

/// The page of what [`rows`] found; `cursor` says where the page after an entry starts.
#[must_use]
pub fn cut<T>(mut found: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> String) -> Page<T> {
    let more = found.len() > entries(limit);
    found.truncate(entries(limit));
    let next = found.last().filter(|_| more).map(cursor);
    Page { entries: found, next }
}
