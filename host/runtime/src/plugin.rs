//! A plugin that serves calls: linked once, instantiated per call.

use std::fmt;
use std::sync::Arc;

use vimhost_connector::{Capabilities, Descriptor};
use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::CONTRACT;
use crate::bindings::guest;
use crate::context::Ctx;
use crate::error::text_of;
use crate::link::check_contract;
use crate::metrics::PluginMetrics;
use crate::quarantine::Conduct;

/// Digits of a digest that people see.
const SHORT: usize = 12;

/// Who a plugin is, for logs and errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SHA-256 of the component, hexadecimal.
    pub(crate) digest: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.get(..SHORT).unwrap_or(&self.digest);
        f.write_str("plugin ")?;
        for word in [&self.name, &self.version].into_iter().filter(|word| !word.is_empty()) {
            write!(f, "{word} ")?;
        }
        write!(f, "(digest {digest})")
    }
}

/// A plugin that serves calls.
pub(crate) struct Plugin {
    pub(crate) identity: Arc<Identity>,
    pub(crate) descriptor: Descriptor,
    pub(crate) rules_digest: String,
    pub(crate) metrics: Arc<PluginMetrics>,
    pub(crate) conduct: Arc<Conduct>,
    pub(crate) code: Arc<Code>,
}

/// A linked component and the interfaces it exports.
pub(crate) struct Code {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<Ctx>,
    pub(crate) connector: guest::connector::GuestIndices,
    pub(crate) infrastructure: Option<guest::infrastructure::GuestIndices>,
    pub(crate) operations: Option<guest::operations::GuestIndices>,
    pub(crate) stacks: Option<guest::stacks::GuestIndices>,
    pub(crate) connectivity: Option<guest::connectivity::GuestIndices>,
}

impl Code {
    /// Links a component.
    ///
    /// # Errors
    /// What it lacks, or imports in vain.
    pub(crate) fn link(engine: &Engine, common: &Linker<Ctx>, component: &Component) -> Result<Self, String> {
        for (name, _) in component.component_type().exports(engine) {
            let (base, version) = name.split_once('@').unwrap_or((name, ""));
            check_contract(base, version)?;
        }
        let exported = |interface: &str| {
            let name = format!("vimhost:connector/{interface}@{CONTRACT}.0");
            component.get_export_index(None, name.as_str()).is_some()
        };
        if !exported("connector") {
            return Err(format!(
                "it does not export vimhost:connector/connector@{CONTRACT}.x, so it is no connector"
            ));
        }
        let linker = crate::link::linker_for(common, engine, component)?;
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| format!("it cannot be linked: {}", text_of(&error)))?;
        macro_rules! indices {
            ($interface:ident) => {
                guest::$interface::GuestIndices::new(&pre).map_err(|error| {
                    format!(
                        "its interface {} is incomplete: {}",
                        stringify!($interface),
                        text_of(&error)
                    )
                })
            };
        }
        macro_rules! optional {
            ($interface:ident) => {
                if exported(stringify!($interface)) {
                    Some(indices!($interface)?)
                } else {
                    None
                }
            };
        }
        Ok(Self {
            engine: engine.clone(),
            connector: indices!(connector)?,
            infrastructure: optional!(infrastructure),
            operations: optional!(operations),
            stacks: optional!(stacks),
            connectivity: optional!(connectivity),
            pre,
        })
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities {
            infrastructure: self.infrastructure.is_some(),
            operations: self.operations.is_some(),
            stacks: self.stacks.is_some(),
            connectivity: self.connectivity.is_some(),
        }
    }

    /// Looks at the types of every exported function. Names alone were compared when linking.
    ///
    /// # Errors
    /// The function that is not as the contract says.
    pub(crate) fn check_types(&self, store: &mut Store<Ctx>, instance: &Instance) -> wasmtime::Result<()> {
        self.connector.load(&mut *store, instance)?;
        macro_rules! check {
            ($($interface:ident)*) => { $(
                if let Some(indices) = &self.$interface {
                    indices.load(&mut *store, instance)?;
                }
            )* };
        }
        check!(infrastructure operations stacks connectivity);
        Ok(())
    }
}
