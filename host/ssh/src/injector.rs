//! The injector: bounds around one connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use russh::keys::PrivateKey;
use tokio::net::TcpStream;
use tokio::time::timeout;
use vimhost_connector::{InjectionError, KeyInjection, KeyInjector};

use crate::reach::Reach;
use crate::session::{self, Login};

/// How long a VM may take to accept a connection. NG-RO waits 30 s; what has not answered three requests to connect will not answer
/// the fifth either, and LCM gives up after 600 s, within which there are to be as many tries as can be.
const CONNECT: Duration = Duration::from_secs(10);

/// How long hand-shake, login and command may take together. A server that looks up the name of its client first, in vain, takes 30 s
/// for it; NG-RO gives the login 60 s.
const EXCHANGE: Duration = Duration::from_secs(60);

/// Settings of the injector.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port of the SSH servers of VMs.
    pub port: u16,
    /// Which addresses are dialled.
    pub reach: Reach,
}

/// Lets keys in by SSH.
#[derive(Debug)]
pub struct SshInjector {
    config: Config,
}

impl SshInjector {
    /// An injector with these settings.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }
}

#[async_trait]
impl KeyInjector for SshInjector {
    async fn inject(&self, injection: &KeyInjection) -> Result<(), InjectionError> {
        self.config
            .reach
            .check(injection.address)
            .map_err(InjectionError::Lasting)?;
        let key = injection
            .private_key
            .as_ref()
            .map(|key| PrivateKey::from_openssh(key.expose()));
        let key = key.transpose().map_err(|error| {
            InjectionError::Lasting(format!("the service's private key cannot be used to log in: {error}"))
        })?;
        let login = Login {
            user: &injection.user,
            key: key.map(Arc::new),
            password: injection.password.as_ref(),
        };
        let address = SocketAddr::new(injection.address, self.config.port);
        let stream = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(InjectionError::Passing(format!("cannot connect to {address}: {error}"))),
            Err(_) => {
                let why = format!("{address} did not answer within {} s", CONNECT.as_secs());
                return Err(InjectionError::Passing(why));
            }
        };
        let adding = session::add_key(stream, injection.address, &login, &injection.public_key);
        match timeout(EXCHANGE, adding).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(InjectionError::Passing(why))) => Err(InjectionError::Passing(format!("{address}: {why}"))),
            Ok(Err(error @ InjectionError::Lasting(_))) => Err(error),
            Err(_) => {
                let why = format!("{address} took longer than {} s to let the key in", EXCHANGE.as_secs());
                Err(InjectionError::Passing(why))
            }
        }
    }
}
