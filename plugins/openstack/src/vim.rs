//! The VIM of an account, as one call sees it: its settings and its cloud.

use vimhost_keystone::{Api, Cloud, Service};
use vimhost_sdk::prelude::*;

use crate::settings::Settings;

/// A VIM. Making one sends nothing.
pub(crate) struct Vim {
    pub(crate) settings: Settings,
    pub(crate) cloud: Cloud,
}

impl Vim {
    pub(crate) fn of(account: &Account) -> Result<Self, Error> {
        Ok(Self {
            settings: Settings::of(account)?,
            cloud: Cloud::of(account)?,
        })
    }

    /// Neutron.
    pub(crate) fn network(&self) -> Result<Api<'_>, Failure> {
        self.cloud.api(Service::Network)
    }
}
