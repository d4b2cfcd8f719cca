//! Nova: which microversion is spoken for what, and a server as Nova shows it.
//!
//! Servers are read in Nova's oldest microversion. It shows all that a record needs, the flavour's id among it (which is gone
//! from 2.47 on), and leaves out the user data, which can be 64 KiB a server. Everything else is asked for in the newest
//! microversion that the request gains something from, and never in a newer one than the account's settings allow.

use serde::Deserialize;
use serde_json::{Map, Value};
use vimhost_keystone::{Api, Microversion, Service};
use vimhost_sdk::prelude::{Error, Failure};

use crate::vim::Vim;

/// The key of an element's token in the metadata of servers and volumes.
pub(crate) const TOKEN: &str = "vimhost-token";

/// How long after a lost answer Nova, Cinder or Glance may still bring an element about: two of their RPC time-outs of 60 s.
pub(crate) const SETTLED: std::time::Duration = std::time::Duration::from_secs(120);

/// Nova in its oldest microversion.
pub(crate) fn nova(vim: &Vim) -> Result<Api<'_>, Failure> {
    vim.cloud.api(Service::Compute)
}

/// Nova in a microversion, or the newest below it that cloud and account have.
pub(crate) fn nova_at(vim: &Vim, newest: Microversion) -> Result<Api<'_>, Failure> {
    let newest = vim.settings.microversion.map_or(newest, |most| most.min(newest));
    nova(vim)?.speaking(newest)
}

/// Nova in a microversion that something cannot be done without.
pub(crate) fn nova_with<'v>(vim: &'v Vim, needed: Microversion, what: &str) -> Result<Api<'v>, Failure> {
    let nova = nova_at(vim, needed)?;
    if nova.supports(needed.major, needed.minor) {
        return Ok(nova);
    }
    let most = match nova.microversion() {
        Some(most) => format!("{most} is the newest that the cloud and the account's settings allow"),
        None => "the cloud has none".to_owned(),
    };
    Err(Error::unsupported(format!("{what} needs Nova's microversion {needed}, and {most}")).into())
}

/// A server as Nova shows it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Server(pub(crate) Map<String, Value>);

/// A server that is there, or none.
pub(crate) fn server(nova: &Api<'_>, id: &str) -> Result<Option<Server>, Failure> {
    #[derive(Deserialize)]
    struct Shown {
        server: Server,
    }
    let request = nova.get(["servers", id]).doing(format!("looking at server {id}"));
    let shown: Option<Shown> = nova.read_optional(request)?;
    Ok(shown.map(|shown| shown.server))
}

impl Server {
    /// A text of it; empty texts are none.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Its id; empty when Nova shows none.
    pub(crate) fn id(&self) -> &str {
        self.text("id").unwrap_or_default()
    }

    /// Nova's status word; `UNKNOWN` when there is none, as Nova says of servers whose cell does not answer.
    pub(crate) fn status(&self) -> &str {
        self.text("status").unwrap_or("UNKNOWN")
    }

    /// What is being done to it.
    pub(crate) fn task(&self) -> Option<&str> {
        self.text("OS-EXT-STS:task_state")
    }

    /// The host it runs on; shown to administrators.
    pub(crate) fn host(&self) -> Option<&str> {
        self.text("OS-EXT-SRV-ATTR:host")
    }

    /// Its availability zone.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.text("OS-EXT-AZ:availability_zone")
    }

    /// Its flavour's id.
    pub(crate) fn flavour(&self) -> Option<&str> {
        self.0.get("flavor")?.get("id")?.as_str().filter(|id| !id.is_empty())
    }

    /// Its image's id; none when it boots from a volume, where Nova shows an empty text.
    pub(crate) fn image(&self) -> Option<&str> {
        self.0.get("image")?.get("id")?.as_str().filter(|id| !id.is_empty())
    }

    /// Its volumes.
    pub(crate) fn volumes(&self) -> Vec<String> {
        let attached = self
            .0
            .get("os-extended-volumes:volumes_attached")
            .and_then(Value::as_array);
        let ids = attached.into_iter().flatten();
        ids.filter_map(|volume| volume.get("id")?.as_str().map(str::to_owned))
            .collect()
    }

    /// The token it carries.
    pub(crate) fn token(&self) -> Option<&str> {
        self.0.get("metadata")?.get(TOKEN)?.as_str()
    }

    /// Why it is in error.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.0.get("fault")?.get("message")?.as_str()
    }

    /// Whether Nova is deleting it.
    pub(crate) fn goes(&self) -> bool {
        matches!(self.task(), Some("deleting" | "soft-deleting"))
    }
}
