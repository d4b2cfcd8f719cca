//! How a mock VIM is set up.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::faults::Faults;

/// Tokens live an hour, as Keystone's do by default.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// How a mock VIM is set up; the default listens on a free port of loopback and keeps its state in memory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may log in.
    pub credentials: Credentials,
    /// Where the state is kept over restarts; in memory only when absent.
    pub state_file: Option<PathBuf>,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// What goes wrong from the start; `POST /admin/reset` comes back to these.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credentials: Credentials::default(),
            state_file: None,
            token_lifetime: TOKEN_LIFETIME,
            faults: Faults::default(),
        }
    }
}

/// Who may log in: `mock`, `mock`, `mock` by default.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password; never printed.
    pub password: String,
    /// The tenant's name.
    pub tenant: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            user: "mock".to_owned(),
            password: "mock".to_owned(),
            tenant: "mock".to_owned(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &"***")
            .field("tenant", &self.tenant)
            .finish()
    }
}
