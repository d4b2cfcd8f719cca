//! Services of an SDN controller or WAN manager: the trait [`Connectivity`] and its records.

use crate::bindings::connectivity::exports::vimhost::connector::connectivity::Guest;
pub use crate::bindings::connectivity::exports::vimhost::connector::connectivity::{
    EditStep, Encapsulation, Endpoint, ServiceRequest, ServiceType,
};
use crate::host::start;
use crate::types::{Account, Call, CreateStep, DeleteStep, Error, Observed, Pending};

type Result<T> = std::result::Result<T, Error>;

/// A connector of connectivity services.
///
/// # Errors
///
/// All functions fail with what the controller said; see [`Error`].
#[expect(clippy::missing_errors_doc, reason = "said once, for all of them")]
pub trait Connectivity {
    /// Makes a service.
    fn create_service(account: &Account, call: &Call, request: ServiceRequest) -> Result<CreateStep>;

    /// Changes the ends of a service.
    fn edit_service(account: &Account, call: &Call, id: &str, request: ServiceRequest) -> Result<EditStep>;

    /// Deletes a service. Not existing is success.
    fn delete_service(account: &Account, call: &Call, id: Option<&str>) -> Result<DeleteStep>;

    /// How services are; rules as for `Infrastructure::observe`.
    fn observe_services(account: &Account, ids: &[String], cursor: Option<&[u8]>) -> Result<Observed>;
}

impl<T: Connectivity> Guest for T {
    fn create_service(account: Account, call: Call, request: ServiceRequest) -> Result<CreateStep> {
        start();
        T::create_service(&account, &call, request)
    }

    fn edit_service(account: Account, call: Call, id: String, request: ServiceRequest) -> Result<EditStep> {
        start();
        T::edit_service(&account, &call, &id, request)
    }

    fn delete_service(account: Account, call: Call, id: Option<String>) -> Result<DeleteStep> {
        start();
        T::delete_service(&account, &call, id.as_deref())
    }

    fn observe_services(account: Account, ids: Vec<String>, cursor: Option<Vec<u8>>) -> Result<Observed> {
        start();
        T::observe_services(&account, &ids, cursor.as_deref())
    }
}

impl From<Pending> for EditStep {
    fn from(pending: Pending) -> Self {
        Self::Pending(pending)
    }
}
