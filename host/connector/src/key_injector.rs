//! Letting a public key into a VM, as a task that lets a key in asks for it: what the host does to a VM itself, beside the VIM.
//!
//! Not a function of the contract: it is the same for every VIM, it needs a socket, which no plugin has, and a private key, which no
//! plugin sees. So the engine knows it as a trait of its own.

use std::net::IpAddr;

use async_trait::async_trait;
use vimhost_model::Secret;

/// A key to be let in, and how to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInjection {
    /// Where the VM is, by its record.
    pub address: IpAddr,
    /// Whom to log in as; the key is let in for the same user.
    pub user: String,
    /// The key: one line in OpenSSH's form.
    pub public_key: String,
    /// The service's own key, in OpenSSH's form; tried first.
    pub private_key: Option<Secret>,
    /// A password; tried when the key is refused.
    pub password: Option<Secret>,
}

/// Why a key was not let in. The texts are for people, bounded, and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectionError {
    /// It may pass: a VM that boots, an address that is not routed yet, a login that cloud-init has still to make.
    #[error("{0}")]
    Passing(String),
    /// It stays until somebody changes something: an address that is never dialled, a private key that cannot be read.
    #[error("{0}")]
    Lasting(String),
}

/// Lets keys into VMs.
#[async_trait]
pub trait KeyInjector: Send + Sync {
    /// Adds the key to those that may log in as the user. A key that is there already is not added again, so a call can be repeated.
    ///
    /// It ends within a time of its own, and leaves no connection behind when it is dropped.
    ///
    /// # Errors
    /// Whether another try can help, and why this one did not. The VM may have the key all the same.
    async fn inject(&self, injection: &KeyInjection) -> Result<(), InjectionError>;
}
