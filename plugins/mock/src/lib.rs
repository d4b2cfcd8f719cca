//! The mock connector: drives the mock VIM over HTTP, or answers by itself.
//!
//! It is the example a plugin author reads and the double that tests and benchmarks run on, so it does everything a real
//! connector does (session, tokens, journal, waiting, incremental observation) against a VIM simple enough to see it.
//!
//! An account whose URL is `mock:` has no VIM: the module `standalone` answers at once and never leaves the sandbox.
//! Its stacks live in the host's cache (`standalone_stacks`).

#![forbid(unsafe_code)]

mod descriptor;
mod elements;
mod finding;
mod observing;
mod operating;
mod server;
mod stacks;
mod standalone;
mod standalone_stacks;
mod vim;

use vimhost_sdk::prelude::*;

use vim::{Collection, Vim};

type Result<T> = std::result::Result<T, Error>;

/// The connector.
pub struct Mock;

vimhost_sdk::export_connector!(Mock: infrastructure, operations, stacks, connectivity);

impl Connector for Mock {
    fn describe() -> Descriptor {
        descriptor::describe()
    }

    fn check(account: &Account) -> Result<CheckReport> {
        if standalone::is(account) {
            return Ok(standalone::check());
        }
        Vim::of(account)?.look()?;
        Ok(CheckReport {
            vim_version: Some("mock VIM, v1".to_owned()),
            ..CheckReport::default()
        })
    }
}

impl Infrastructure for Mock {
    fn find_networks(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        if standalone::is(account) {
            return Ok(standalone::find("network", &filter));
        }
        finding::networks(&Vim::of(account)?, &filter)
    }

    fn find_images(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        if standalone::is(account) {
            return Ok(standalone::find("image", &filter));
        }
        finding::images(&Vim::of(account)?, &filter)
    }

    fn find_flavour(account: &Account, data: FlavourData) -> Result<Option<Found>> {
        if standalone::is(account) {
            return Ok(Some(standalone::find_flavour(&data)));
        }
        finding::flavour(&Vim::of(account)?, &data)
    }

    fn find_flavours(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        if standalone::is(account) {
            return Ok(standalone::find("flavour", &filter));
        }
        finding::flavours(&Vim::of(account)?, &filter)
    }

    fn find_group(account: &Account, id: &str) -> Result<Option<Found>> {
        if standalone::is(account) {
            return Ok(Some(standalone::found(id.to_owned(), None)));
        }
        finding::group(&Vim::of(account)?, id)
    }

    fn create_network(account: &Account, call: &Call, request: NetworkRequest) -> Result<CreateStep> {
        if standalone::is(account) {
            return standalone::create("network", call, &request.name);
        }
        elements::network(&Vim::of(account)?, call, &request)
    }

    fn create_flavour(account: &Account, call: &Call, request: FlavourData) -> Result<CreateStep> {
        if standalone::is(account) {
            return standalone::create("flavour", call, request.name.as_deref().unwrap_or(&call.token));
        }
        elements::flavour(&Vim::of(account)?, call, &request)
    }

    fn create_group(account: &Account, call: &Call, request: GroupRequest) -> Result<CreateStep> {
        if standalone::is(account) {
            return standalone::create("group", call, &request.name);
        }
        elements::group(&Vim::of(account)?, call, &request)
    }

    fn create_volume(account: &Account, call: &Call, request: VolumeRequest) -> Result<CreateStep> {
        if standalone::is(account) {
            return standalone::create("volume", call, &request.name);
        }
        elements::volume(&Vim::of(account)?, call, &request)
    }

    fn create_server(account: &Account, call: &Call, request: ServerRequest) -> Result<CreateStep> {
        if standalone::is(account) {
            return standalone::create_server(call, &request);
        }
        server::create(&Vim::of(account)?, call, &request)
    }

    fn delete_network(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        delete(account, Collection::Networks, call, id)
    }

    fn delete_flavour(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        delete(account, Collection::Flavours, call, id)
    }

    fn delete_group(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        delete(account, Collection::Groups, call, id)
    }

    fn delete_volume(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        delete(account, Collection::Volumes, call, id)
    }

    fn delete_server(account: &Account, call: &Call, id: Option<&str>, hold: &[String]) -> Result<DeleteStep> {
        if standalone::is(account) {
            return standalone::delete(call);
        }
        server::delete(&Vim::of(account)?, call, id, hold)
    }

    fn observe(account: &Account, kind: ElementKind, ids: &[String], cursor: Option<&[u8]>) -> Result<Observed> {
        if standalone::is(account) {
            return Ok(standalone::observe(kind, ids));
        }
        observing::observe(&Vim::of(account)?, collection(kind)?, ids, cursor)
    }

    fn list_owned(account: &Account, kind: ElementKind, prefix: &str, cursor: Option<&[u8]>) -> Result<OwnedPage> {
        if standalone::is(account) {
            return Err(standalone::not_listed());
        }
        observing::list_owned(&Vim::of(account)?, collection(kind)?, prefix, cursor)
    }
}

impl Operations for Mock {
    fn power(account: &Account, call: &Call, server: &str, action: PowerAction) -> Result<OperateStep> {
        if standalone::is(account) {
            return Ok(standalone::power(action));
        }
        operating::power(&Vim::of(account)?, call, server, action)
    }

    fn migrate(account: &Account, call: &Call, server: &str, host: Option<&str>) -> Result<OperateStep> {
        if standalone::is(account) {
            return Ok(standalone::operated(ElementStatus::Active, "ACTIVE"));
        }
        operating::migrate(&Vim::of(account)?, call, server, host)
    }

    fn resize(account: &Account, call: &Call, server: &str, flavour: &str) -> Result<OperateStep> {
        if standalone::is(account) {
            return Ok(standalone::operated(ElementStatus::Active, "ACTIVE"));
        }
        operating::resize(&Vim::of(account)?, call, server, flavour)
    }

    fn get_console(account: &Account, server: &str, console_type: Option<&str>) -> Result<Console> {
        if standalone::is(account) {
            return Err(Error::unsupported("an account at `mock:` has no consoles"));
        }
        operating::console(&Vim::of(account)?, server, console_type)
    }
}

impl Stacks for Mock {
    fn create_stack(account: &Account, call: &Call, request: StackRequest) -> Result<CreateStep> {
        if standalone::is(account) {
            return standalone_stacks::create(call, &request);
        }
        stacks::create(&Vim::of(account)?, call, &request)
    }

    fn update_stack(
        account: &Account,
        call: &Call,
        stack: &StackRef,
        mode: UpdateMode,
        content: StackContent,
    ) -> Result<UpdateStep> {
        if standalone::is(account) {
            return standalone_stacks::update(call, stack, mode, &content);
        }
        stacks::update(&Vim::of(account)?, call, stack, mode, &content)
    }

    fn find_stack(account: &Account, name: &str) -> Result<Option<StackObservation>> {
        if standalone::is(account) {
            return Ok(standalone_stacks::find(name));
        }
        stacks::find(&Vim::of(account)?, name)
    }

    fn observe_stacks(account: &Account, stacks: &[StackRef], cursor: Option<&[u8]>) -> Result<ObservedStacks> {
        if standalone::is(account) {
            return Ok(standalone_stacks::observe(stacks));
        }
        stacks::observe(&Vim::of(account)?, stacks, cursor)
    }

    fn list_resources(account: &Account, stack: &StackRef, depth: u8) -> Result<Vec<StackResource>> {
        if standalone::is(account) {
            return standalone_stacks::resources(stack, depth);
        }
        stacks::resources(&Vim::of(account)?, stack, depth)
    }

    fn get_content(account: &Account, stack: &StackRef) -> Result<StackContent> {
        if standalone::is(account) {
            return standalone_stacks::content(stack);
        }
        stacks::content(&Vim::of(account)?, stack)
    }

    fn mark_unhealthy(
        account: &Account,
        call: &Call,
        stack: &StackRef,
        resource_name: &str,
        reason: &str,
    ) -> Result<UpdateStep> {
        if standalone::is(account) {
            return standalone_stacks::mark_unhealthy(stack, resource_name, reason);
        }
        stacks::mark_unhealthy(&Vim::of(account)?, call, stack, resource_name, reason)
    }

    fn delete_stack(account: &Account, call: &Call, stack: &StackRef) -> Result<DeleteStep> {
        if standalone::is(account) {
            return standalone_stacks::delete(call, stack);
        }
        stacks::delete(&Vim::of(account)?, call, stack)
    }
}

impl Connectivity for Mock {
    fn create_service(account: &Account, call: &Call, request: ServiceRequest) -> Result<CreateStep> {
        if standalone::is(account) {
            return standalone::create(Collection::Services.kind(), call, &request.name);
        }
        elements::service(&Vim::of(account)?, call, &request)
    }

    fn edit_service(account: &Account, _: &Call, id: &str, request: ServiceRequest) -> Result<EditStep> {
        if !standalone::is(account) {
            elements::edit_service(&Vim::of(account)?, id, &request)?;
        }
        Ok(EditStep::Done)
    }

    fn delete_service(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        delete(account, Collection::Services, call, id)
    }

    fn observe_services(account: &Account, ids: &[String], cursor: Option<&[u8]>) -> Result<Observed> {
        Self::observe(account, ElementKind::ConnectivityService, ids, cursor)
    }
}

fn collection(kind: ElementKind) -> Result<Collection> {
    Collection::of(kind).ok_or_else(|| Error::unsupported(format!("the mock VIM has nothing of kind {kind:?}")))
}

fn delete(account: &Account, collection: Collection, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
    if standalone::is(account) {
        return standalone::delete(call);
    }
    elements::delete(&Vim::of(account)?, collection, call, id)
}
