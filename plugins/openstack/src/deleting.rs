//! Deleting an element by the journal and by the id that the host names.

use vimhost_sdk::prelude::*;

use crate::compute::SETTLED;

/// Deletes what the journal names of this kind of element, and `id`, unless the journal names it too. `find` looks for elements by
/// their token.
pub(crate) fn delete(
    call: &Call,
    kinds: &[&str],
    id: Option<&str>,
    find: impl Fn(&str) -> Result<Vec<String>, Failure>,
    delete: impl Fn(&str) -> Result<Removal, Failure>,
) -> Result<Removal, Failure> {
    let removal = call.delete_journalled(
        |kind| kinds.contains(&kind),
        SETTLED,
        |_, token| find(token),
        |_, id| delete(id),
    )?;
    let journalled = |id: &str| call.journal.iter().any(|entry| entry.element.as_deref() == Some(id));
    Ok(match id.filter(|id| !journalled(id)) {
        Some(id) => removal.and(delete(id)?),
        None => removal,
    })
}
