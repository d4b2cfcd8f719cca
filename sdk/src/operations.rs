//! Changing a server that exists: the trait [`Operations`] and its records.

use crate::bindings::operations::exports::vimhost::connector::operations::Guest;
pub use crate::bindings::operations::exports::vimhost::connector::operations::{
    Console, OperateStep, Operated, PowerAction,
};
use crate::error::unsupported;
use crate::host::start;
use crate::types::{Account, Call, Error, Pending};

type Result<T> = std::result::Result<T, Error>;

/// A connector that operates servers. What is not implemented answers that it is unsupported.
///
/// Each function is called until it is done, and may be repeated after a crash at any point.
///
/// # Errors
///
/// All functions fail with what the VIM said; see [`Error`].
#[expect(
    unused_variables,
    reason = "what is not implemented looks at nothing; the names are the documentation"
)]
#[expect(clippy::missing_errors_doc, reason = "said once, for all of them")]
pub trait Operations {
    /// Performs a power action. Asking for the state a server already has is success.
    fn power(account: &Account, call: &Call, server: &str, action: PowerAction) -> Result<OperateStep> {
        unsupported("power")
    }

    /// Moves a server, to `host` or where the VIM chooses.
    fn migrate(account: &Account, call: &Call, server: &str, host: Option<&str>) -> Result<OperateStep> {
        unsupported("migrate")
    }

    /// Gives a server another flavour, and confirms it.
    fn resize(account: &Account, call: &Call, server: &str, flavour: &str) -> Result<OperateStep> {
        unsupported("resize")
    }

    /// Opens a console, `novnc` when no type is given.
    fn get_console(account: &Account, server: &str, console_type: Option<&str>) -> Result<Console> {
        unsupported("get-console")
    }
}

impl<T: Operations> Guest for T {
    fn power(account: Account, call: Call, server: String, action: PowerAction) -> Result<OperateStep> {
        start();
        T::power(&account, &call, &server, action)
    }

    fn migrate(account: Account, call: Call, server: String, host: Option<String>) -> Result<OperateStep> {
        start();
        T::migrate(&account, &call, &server, host.as_deref())
    }

    fn resize(account: Account, call: Call, server: String, flavour: String) -> Result<OperateStep> {
        start();
        T::resize(&account, &call, &server, &flavour)
    }

    fn get_console(account: Account, server: String, console_type: Option<String>) -> Result<Console> {
        start();
        T::get_console(&account, &server, console_type.as_deref())
    }
}

impl From<Operated> for OperateStep {
    fn from(operated: Operated) -> Self {
        Self::Done(operated)
    }
}

impl From<Pending> for OperateStep {
    fn from(pending: Pending) -> Self {
        Self::Pending(pending)
    }
}
