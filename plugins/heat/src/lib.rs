//! The connector of Heat: stacks of OpenStack's orchestration service, version 1 of its API.
//!
//! A stack is addressed by name and id wherever its id is known, which Heat answers at once; by name alone it answers with a
//! redirect, so a name costs two requests. What is asked of Heat for each function, and where tokens are kept, stands in
//! `docs/connectors/heat.md`.
//!
//! Each function of the contract is one line here; what it means to Heat lies in the module of that function.

#![forbid(unsafe_code)]

mod check;
mod content;
mod creating;
mod deleting;
mod descriptor;
mod finding;
mod observing;
mod owned;
mod resources;
mod schema;
mod settings;
mod stack;
mod updating;
mod vim;

use vimhost_sdk::prelude::*;

use vim::Vim;

type Result<T> = std::result::Result<T, Error>;

/// The connector.
pub struct Heat;

vimhost_sdk::export_connector!(Heat: infrastructure, stacks);

impl Connector for Heat {
    fn describe() -> Descriptor {
        descriptor::describe()
    }

    fn check(account: &Account) -> Result<CheckReport> {
        check::check(&Vim::of(account)?)
    }
}

/// For audits alone: elements other than stacks are made by other connectors.
impl Infrastructure for Heat {
    fn list_owned(account: &Account, kind: ElementKind, prefix: &str, cursor: Option<&[u8]>) -> Result<OwnedPage> {
        if kind != ElementKind::Stack {
            return Err(Error::unsupported("Heat's connector makes stacks only"));
        }
        owned::list(&Vim::of(account)?, prefix, cursor)
    }
}

impl Stacks for Heat {
    fn create_stack(account: &Account, call: &Call, request: StackRequest) -> Result<CreateStep> {
        creating::create(&Vim::of(account)?, call, &request)
    }

    fn update_stack(
        account: &Account,
        call: &Call,
        stack: &StackRef,
        mode: UpdateMode,
        content: StackContent,
    ) -> Result<UpdateStep> {
        updating::update(&Vim::of(account)?, call, stack, mode, &content)
    }

    fn find_stack(account: &Account, name: &str) -> Result<Option<StackObservation>> {
        let found = Vim::of(account)?.find(name)?;
        Ok(found.as_ref().map(stack::Stack::observation))
    }

    fn observe_stacks(account: &Account, stacks: &[StackRef], _cursor: Option<&[u8]>) -> Result<ObservedStacks> {
        observing::observe(&Vim::of(account)?, stacks)
    }

    fn list_resources(account: &Account, stack: &StackRef, depth: u8) -> Result<Vec<StackResource>> {
        resources::list(&Vim::of(account)?, stack, depth)
    }

    fn get_content(account: &Account, stack: &StackRef) -> Result<StackContent> {
        content::get(&Vim::of(account)?, stack)
    }

    fn mark_unhealthy(
        account: &Account,
        call: &Call,
        stack: &StackRef,
        resource_name: &str,
        reason: &str,
    ) -> Result<UpdateStep> {
        resources::mark_unhealthy(&Vim::of(account)?, call, stack, resource_name, reason)
    }

    fn delete_stack(account: &Account, call: &Call, stack: &StackRef) -> Result<DeleteStep> {
        deleting::delete(&Vim::of(account)?, call, stack)
    }
}
