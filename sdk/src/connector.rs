//! What every connector is: the trait [`Connector`] and its records.

use crate::bindings::base::exports::vimhost::connector::connector::Guest;
pub use crate::bindings::base::exports::vimhost::connector::connector::{
    AnswerCredential, CheckReport, CredentialSlot, Descriptor, EgressWish, HeaderPlace, OriginScope, Place,
    ProposedOrigin, TokenPlace, UseOfCredential,
};
use crate::types::{Account, Error};

/// Who a connector is, and whether an account works. A type that implements this and any of the capabilities becomes a
/// component with [`export_connector!`](crate::export_connector).
///
/// The functions have no `self`: an instance lives for one call, so there is nothing to keep.
pub trait Connector {
    /// Says who the connector is and what it needs. Without network, journal or cache; must not fail.
    fn describe() -> Descriptor;

    /// Tries the account, changing nothing: reach the VIM, log in, list something small.
    ///
    /// # Errors
    ///
    /// Why the account does not work.
    fn check(account: &Account) -> Result<CheckReport, Error>;
}

impl<T: Connector> Guest for T {
    fn describe() -> Descriptor {
        crate::host::start();
        T::describe()
    }

    fn check(account: Account) -> Result<CheckReport, Error> {
        crate::host::start();
        T::check(&account)
    }
}

impl UseOfCredential {
    /// A credential in a header, toward the origin of the account's URL.
    #[must_use]
    pub fn header(method: &str, path: &str, name: &str) -> Self {
        let place = Place::Header(HeaderPlace {
            name: name.to_owned(),
            prefix: None,
        });
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            origins: OriginScope::AccountUrl,
            place,
        }
    }

    /// A credential in a JSON body, toward the origin of the account's URL.
    #[must_use]
    pub fn json(method: &str, path: &str, pointer: &str) -> Self {
        let place = Place::JsonPointer(pointer.to_owned());
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            origins: OriginScope::AccountUrl,
            place,
        }
    }

    /// The same use, toward every origin the operator granted to the account.
    #[must_use]
    pub fn toward_granted(mut self) -> Self {
        self.origins = OriginScope::Granted;
        self
    }
}
