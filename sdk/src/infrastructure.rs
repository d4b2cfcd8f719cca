//! Networks, images, flavours, placement groups, volumes and servers: the trait [`Infrastructure`] and its records.

use crate::bindings::infrastructure::exports::vimhost::connector::infrastructure::Guest;
pub use crate::bindings::infrastructure::exports::vimhost::connector::infrastructure::{
    CloudConfig, CloudFile, CloudUser, DiskSource, Filter, FlavourData, FloatingIp, Found, GroupRequest, InterfaceKind,
    InterfaceUse, IpProfile, IpVersion, NetworkKind, NetworkRequest, NewDisk, PortSecurityDisableStrategy,
    ProviderNetwork, ServerDisk, ServerInterface, ServerRequest, VolumeRequest,
};
use crate::error::unsupported;
use crate::host::start;
use crate::types::{Account, Call, CreateStep, DeleteStep, ElementKind, Error, Observed, OwnedPage};

type Result<T> = std::result::Result<T, Error>;

/// A connector of infrastructure elements. What is not implemented answers that it is unsupported.
///
/// The finding functions change nothing. The creating ones look at `call.journal` first
/// ([`Call::create_once`]); the deleting ones take what the journal names as well as the id
/// ([`Call::delete_journalled`]). All may be repeated.
///
/// # Errors
///
/// All functions fail with what the VIM said; see [`Error`].
#[expect(
    unused_variables,
    reason = "what is not implemented looks at nothing; the names are the documentation"
)]
#[expect(clippy::missing_errors_doc, reason = "said once, for all of them")]
pub trait Infrastructure {
    /// Networks that match; none is an answer.
    fn find_networks(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        unsupported("find-networks")
    }

    /// Images that match; none is an answer.
    fn find_images(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        unsupported("find-images")
    }

    /// A flavour that is exactly as asked, the name apart.
    fn find_flavour(account: &Account, data: FlavourData) -> Result<Option<Found>> {
        unsupported("find-flavour")
    }

    /// Flavours that match by name or id; none is an answer.
    fn find_flavours(account: &Account, filter: Filter) -> Result<Vec<Found>> {
        unsupported("find-flavours")
    }

    /// A placement group by its id.
    fn find_group(account: &Account, id: &str) -> Result<Option<Found>> {
        unsupported("find-group")
    }

    /// Makes a network with its subnet.
    fn create_network(account: &Account, call: &Call, request: NetworkRequest) -> Result<CreateStep> {
        unsupported("create-network")
    }

    /// Makes a flavour.
    fn create_flavour(account: &Account, call: &Call, request: FlavourData) -> Result<CreateStep> {
        unsupported("create-flavour")
    }

    /// Makes a placement group.
    fn create_group(account: &Account, call: &Call, request: GroupRequest) -> Result<CreateStep> {
        unsupported("create-group")
    }

    /// Makes a volume that belongs to no server.
    fn create_volume(account: &Account, call: &Call, request: VolumeRequest) -> Result<CreateStep> {
        unsupported("create-volume")
    }

    /// Makes a server with its ports and disks.
    fn create_server(account: &Account, call: &Call, request: ServerRequest) -> Result<CreateStep> {
        unsupported("create-server")
    }

    /// Deletes a network this connector made. Not existing is success.
    fn delete_network(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        unsupported("delete-network")
    }

    /// Deletes a flavour. Not existing is success.
    fn delete_flavour(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        unsupported("delete-flavour")
    }

    /// Deletes a placement group. Not existing is success.
    fn delete_group(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        unsupported("delete-group")
    }

    /// Deletes a volume. Not existing is success.
    fn delete_volume(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep> {
        unsupported("delete-volume")
    }

    /// Deletes a server with its ports and volumes, except volumes in `hold` and those journalled as `volume:keep`.
    fn delete_server(account: &Account, call: &Call, id: Option<&str>, hold: &[String]) -> Result<DeleteStep> {
        unsupported("delete-server")
    }

    /// How elements are, many at once; see the contract for what a cursor means.
    fn observe(account: &Account, kind: ElementKind, ids: &[String], cursor: Option<&[u8]>) -> Result<Observed> {
        unsupported("observe")
    }

    /// Elements of a kind whose token begins with `prefix`, a page at a time; with an empty prefix all that carry one.
    fn list_owned(account: &Account, kind: ElementKind, prefix: &str, cursor: Option<&[u8]>) -> Result<OwnedPage> {
        unsupported("list-owned")
    }
}

impl<T: Infrastructure> Guest for T {
    fn find_networks(account: Account, filter: Filter) -> Result<Vec<Found>> {
        start();
        T::find_networks(&account, filter)
    }

    fn find_images(account: Account, filter: Filter) -> Result<Vec<Found>> {
        start();
        T::find_images(&account, filter)
    }

    fn find_flavour(account: Account, data: FlavourData) -> Result<Option<Found>> {
        start();
        T::find_flavour(&account, data)
    }

    fn find_flavours(account: Account, filter: Filter) -> Result<Vec<Found>> {
        start();
        T::find_flavours(&account, filter)
    }

    fn find_group(account: Account, id: String) -> Result<Option<Found>> {
        start();
        T::find_group(&account, &id)
    }

    fn create_network(account: Account, call: Call, request: NetworkRequest) -> Result<CreateStep> {
        start();
        T::create_network(&account, &call, request)
    }

    fn create_flavour(account: Account, call: Call, request: FlavourData) -> Result<CreateStep> {
        start();
        T::create_flavour(&account, &call, request)
    }

    fn create_group(account: Account, call: Call, request: GroupRequest) -> Result<CreateStep> {
        start();
        T::create_group(&account, &call, request)
    }

    fn create_volume(account: Account, call: Call, request: VolumeRequest) -> Result<CreateStep> {
        start();
        T::create_volume(&account, &call, request)
    }

    fn create_server(account: Account, call: Call, request: ServerRequest) -> Result<CreateStep> {
        start();
        T::create_server(&account, &call, request)
    }

    fn delete_network(account: Account, call: Call, id: Option<String>) -> Result<DeleteStep> {
        start();
        T::delete_network(&account, &call, id.as_deref())
    }

    fn delete_flavour(account: Account, call: Call, id: Option<String>) -> Result<DeleteStep> {
        start();
        T::delete_flavour(&account, &call, id.as_deref())
    }

    fn delete_group(account: Account, call: Call, id: Option<String>) -> Result<DeleteStep> {
        start();
        T::delete_group(&account, &call, id.as_deref())
    }

    fn delete_volume(account: Account, call: Call, id: Option<String>) -> Result<DeleteStep> {
        start();
        T::delete_volume(&account, &call, id.as_deref())
    }

    fn delete_server(account: Account, call: Call, id: Option<String>, hold: Vec<String>) -> Result<DeleteStep> {
        start();
        T::delete_server(&account, &call, id.as_deref(), &hold)
    }

    fn observe(account: Account, kind: ElementKind, ids: Vec<String>, cursor: Option<Vec<u8>>) -> Result<Observed> {
        start();
        T::observe(&account, kind, &ids, cursor.as_deref())
    }

    fn list_owned(account: Account, kind: ElementKind, prefix: String, cursor: Option<Vec<u8>>) -> Result<OwnedPage> {
        start();
        T::list_owned(&account, kind, &prefix, cursor.as_deref())
    }
}
