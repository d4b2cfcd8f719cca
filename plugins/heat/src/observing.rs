//! How stacks are: one list for many of them, in as few requests as URLs allow.
//!
//! A list leaves out what is deleted, and what it leaves out for any other reason. So each stack that it does not show is asked for by
//! itself before it counts as gone; and a request that fails fails the observation.

use std::collections::BTreeMap;

use vimhost_sdk::prelude::*;

use crate::finding::At;
use crate::stack::Stack;
use crate::vim::{NOT_FOUND, Vim};

pub(crate) fn observe(vim: &Vim, stacks: &[StackRef]) -> Result<ObservedStacks, Error> {
    let mut ids: Vec<&str> = stacks.iter().filter_map(|stack| stack.id.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    // One stack is asked for directly: as cheap as a list, and final when it is gone.
    let listed = if ids.len() > 1 {
        list(vim, &ids)?
    } else {
        BTreeMap::new()
    };
    let mut observed = ObservedStacks::default();
    for stack in stacks {
        let found = match stack.id.as_deref() {
            Some(id) => match listed.get(id) {
                Some(found) => Some(found.clone()),
                None => known(vim, At { name: &stack.name, id })?,
            },
            None => vim.find(&stack.name)?,
        };
        match found.filter(|found| !found.is_deleted()) {
            Some(found) => observed.changed.push(found.observation()),
            None => observed.gone.push(stack.clone()),
        }
    }
    Ok(observed)
}

/// Stacks by id; those that are deleted are not in the answer.
fn list(vim: &Vim, ids: &[&str]) -> Result<BTreeMap<String, Stack>, Failure> {
    let heat = vim.heat()?;
    let request = heat.get(["stacks"]).doing("looking at stacks");
    let mut listed = BTreeMap::new();
    for item in heat.list_many(&request, "stacks", "id", ids)? {
        let stack = Stack::read(item)?;
        listed.insert(stack.id.clone(), stack);
    }
    Ok(listed)
}

/// A stack by name and id, if Heat knows it.
fn known(vim: &Vim, at: At<'_>) -> Result<Option<Stack>, Failure> {
    match vim.show(at) {
        Ok(stack) => Ok(Some(stack)),
        Err(failure) if failure.status == Some(NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure),
    }
}
