//! Looking at stacks: by name and id, by name alone, and by name where the id that is known leads nowhere.
//!
//! | what is known | what is done |
//! | --- | --- |
//! | name and id | the stack is asked for directly |
//! | no id | the name is looked up, and the stack of that name is used |
//! | an id of which Heat says 404 | the same; when there is none of that name, the stack is gone |
//! | an id that is `DELETE_COMPLETE` | the same, where a live stack is expected |

use serde::Deserialize;
use vimhost_sdk::prelude::*;
use vimhost_sdk::warn;

use crate::stack::Stack;
use crate::vim::{NOT_FOUND, Vim};

#[derive(Deserialize)]
struct Shown {
    stack: Stack,
}

/// A stack that is addressed by name and id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: &'a str,
}

impl Vim {
    /// A stack by name and id, also one that is gone and that Heat still knows of.
    pub(crate) fn show(&self, at: At<'_>) -> Result<Stack, Failure> {
        self.shown(&[at.name, at.id])
    }

    /// A stack by name and id that lives.
    ///
    /// # Errors
    ///
    /// One that is gone is as one that Heat does not know.
    pub(crate) fn live(&self, at: At<'_>) -> Result<Stack, Failure> {
        let stack = self.show(at)?;
        if stack.is_deleted() {
            return Err(gone(at));
        }
        Ok(stack)
    }

    /// A stack by its name, also one whose name is about to be free.
    pub(crate) fn named(&self, name: &str) -> Result<Option<Stack>, Failure> {
        match self.shown(&[name]) {
            Ok(stack) => Ok(Some(stack)),
            Err(failure) if failure.status == Some(NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A stack that lives, by its name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Stack>, Failure> {
        Ok(self.named(name)?.filter(|stack| !stack.is_deleted()))
    }

    /// Does something to a stack by name and id; where there is no id, or Heat does not know it, to the live stack of that name.
    ///
    /// # Errors
    ///
    /// What `run` fails with; `not-found` where there is no such stack.
    pub(crate) fn on_stack<T>(
        &self,
        stack: &StackRef,
        run: impl Fn(At<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let name = stack.name.as_str();
        let unknown = match stack.id.as_deref() {
            Some(id) => match run(At { name, id }) {
                Err(failure) if failure.status == Some(NOT_FOUND) => failure,
                result => return result,
            },
            None => {
                let mut failure = Failure::from(Error::not_found(format!("there is no stack {name}")));
                failure.status = Some(NOT_FOUND);
                failure
            }
        };
        let found = self.find(name)?;
        let found = found.filter(|found| stack.id.as_ref() != Some(&found.id));
        let Some(found) = found else {
            return Err(unknown);
        };
        warn!(
            "stack_id lost",
            stack = name,
            given = stack.id.as_deref().unwrap_or_default(),
            found = found.id
        );
        run(At { name, id: &found.id })
    }

    fn shown(&self, path: &[&str]) -> Result<Stack, Failure> {
        let what = path.first().copied().unwrap_or_default();
        let response = self.send(path, |heat, path| {
            // Outputs may reach into nested stacks, and nobody here reads them.
            heat.get(path.iter().copied())
                .query("resolve_outputs", "false")
                .doing(format!("looking at stack {what}"))
        })?;
        Ok(response.json::<Shown>()?.stack)
    }
}

/// What Heat says of an id that it does not know.
fn gone(at: At<'_>) -> Failure {
    let message = format!("stack {} with the id {} has been deleted", at.name, at.id);
    let mut failure = Failure::from(Error::not_found(message));
    failure.status = Some(NOT_FOUND);
    failure
}
