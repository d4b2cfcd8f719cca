//! The OpenStack connector: Nova, Neutron, Glance, Cinder and Placement by their own APIs.
//!
//! It does what OSM's own connector does, at the settings that one takes, without its defects; tests are named after those
//! (`o14_…`). Which element keeps its token where, and how it is found again, stands in `docs/connectors/openstack.md`.
//!
//! Each function of the contract is one line here; what it means to a service lies in the module of that service.

#![forbid(unsafe_code)]

mod calendar;
mod check;
mod cidr;
mod compute;
mod deleting;
mod descriptor;
mod epa;
mod flavours;
mod groups;
mod images;
mod neutron;
mod observing;
mod operations;
mod patience;
mod prospects;
mod quotas;
mod schema;
mod server;
mod settings;
mod undo;
mod user_data;
mod vim;
mod volumes;

use vimhost_sdk::prelude::*;

use vim::Vim;

type Result<T> = std::result::Result<T, Error>;

/// The connector.
pub struct OpenStack;

vimhost_sdk::export_connector!(OpenStack: infrastructure, operations);

impl Connector for OpenStack {
    fn describe() -> Descriptor {
        descriptor::describe()
    }

    fn check(account: &Account) -> Result<CheckReport> {
        check::check(&Vim::of(account)?)
    }
}

impl Infrastructure for OpenStack {
    fn find_networks(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        neutron::networks::find(&Vim::of(account)?, &filter)
    }

    fn find_images(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        images::find(&Vim::of(account)?, &filter)
    }

    fn find_flavour(account: &Account, data: FlavourData) -> Result<Option<Found>> {
        flavours::find_exact(&Vim::of(account)?, &data)
    }

    fn find_flavours(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        flavours::find(&Vim::of(account)?, &filter)
    }

    fn find_group(account: &Account, id: &str) -> Result<Option<Found>> {
        groups::find(&Vim::of(account)?, id)
    }

    fn create_network(account: &Account, call: &Call, request: NetworkRequest) -> Result<CreateStep> {
        neutron::networks::create(&Vim::of(account)?, call, &request)
    }

    fn create_flavour(account: &Account, call: &Call, request: FlavourData) -> Result<CreateStep> {
        flavours::create(&Vim::of(account)?, call, &request)
    }

    fn create_group(account: &Account, call: &Call, request: GroupRequest) -> Result<CreateStep> {
        groups::create(&Vim::of(account)?, call, &request)
    }

    fn create_volume(account: &Account, call: &Call, request: VolumeRequest) -> Result<CreateStep> {
        volumes::create(&Vim::of(account)?, call, &request)
    }

    fn create_server(account: &Account, call: &Call, request: ServerRequest) -> Result<CreateStep> {
        server::create(&Vim::of(account)?, call, &request)
    }

    fn delete_network(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        neutron::networks::delete(&Vim::of(account)?, call, id)
    }

    fn delete_flavour(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        flavours::delete(&Vim::of(account)?, call, id)
    }

    fn delete_group(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        groups::delete(&Vim::of(account)?, call, id)
    }

    fn delete_volume(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        volumes::delete(&Vim::of(account)?, call, id)
    }

    fn delete_server(account: &Account, call: &Call, id: Option<&str>, hold: &[String]) -> Result<DeleteStep> {
        server::delete(&Vim::of(account)?, call, id, hold)
    }

    fn observe(account: &Account, kind: ElementKind, ids: &[String], cursor: Option<&[u8]>) -> Result<Observed> {
        observing::observe(&Vim::of(account)?, kind, ids, cursor)
    }

    fn list_owned(account: &Account, kind: ElementKind, prefix: &str, cursor: Option<&[u8]>) -> Result<OwnedPage> {
        observing::list_owned(&Vim::of(account)?, kind, prefix, cursor)
    }
}

impl Operations for OpenStack {
    fn power(account: &Account, call: &Call, server: &str, action: PowerAction) -> Result<OperateStep> {
        operations::power(&Vim::of(account)?, call, server, action)
    }

    fn migrate(account: &Account, call: &Call, server: &str, host: Option<&str>) -> Result<OperateStep> {
        operations::migrate(&Vim::of(account)?, call, server, host)
    }

    fn resize(account: &Account, call: &Call, server: &str, flavour: &str) -> Result<OperateStep> {
        operations::resize(&Vim::of(account)?, call, server, flavour)
    }

    fn get_console(account: &Account, server: &str, console_type: Option<&str>) -> Result<Console> {
        operations::console(&Vim::of(account)?, server, console_type)
    }
}
