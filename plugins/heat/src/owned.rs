//! Our own stacks, for an audit: all of the project, a page at a time, since Heat looks for whole tags and not for how they begin.

use vimhost_sdk::prelude::*;

use crate::stack::Stack;
use crate::vim::Vim;

/// Stacks of one page.
const PAGE: usize = 200;

pub(crate) fn list(vim: &Vim, prefix: &str, cursor: Option<&[u8]>) -> Result<OwnedPage, Error> {
    let after = cursor.map(std::str::from_utf8).transpose();
    let after = after.map_err(|_| Error::bad_request("listing our stacks: the cursor is none of this connector's"))?;
    let heat = vim.heat()?;
    let request = heat
        .get(["stacks"])
        .query("limit", PAGE.to_string())
        .doing("listing our stacks");
    // Heat does not say where a list says it that there is more; a page that is full says so.
    let (items, _) = heat.page(&request, "stacks", after)?;
    let is_full = items.len() >= PAGE;
    let mut page = OwnedPage::default();
    for item in items {
        let stack = Stack::read(item)?;
        page.cursor = is_full.then(|| stack.id.clone().into_bytes());
        if let Some(token) = stack.token(prefix) {
            page.elements.push(Owned {
                id: stack.id.clone(),
                token: token.to_owned(),
                name: Some(stack.name.clone()),
            });
        }
    }
    Ok(page)
}
