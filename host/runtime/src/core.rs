//! What the runtime and every connector it handed out share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use vimhost_connector::LoadError;
use vimhost_model::VimAccount;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::account::{AccountState, Accounts, Content};
use crate::context::Ctx;
use crate::engine::{self, Ticker};
use crate::image::Images;
use crate::plugin::Plugin;
use crate::registry::Registry;
use crate::{Allocation, Error, Limits, Quarantine, RuntimeConfig};

/// An engine with the host's functions linked.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<Ctx>,
}

impl Machine {
    fn new(engine: Engine) -> Result<Self, Error> {
        let linker = crate::link::linker(&engine)?;
        Ok(Self { engine, linker })
    }
}

/// The shared parts.
pub(crate) struct Core {
    pub(crate) limits: Arc<Limits>,
    /// Serves all plugins that fit its slots.
    pub(crate) machine: Machine,
    /// Serves the others, on demand; none when the first is on demand already.
    pub(crate) spare: Option<Machine>,
    pub(crate) allocation: Allocation,
    /// In front of the pool, whose being full is an error and not a wait.
    pub(crate) slots: Semaphore,
    pub(crate) ticker: Ticker,
    pub(crate) images: Images,
    pub(crate) registry: Registry,
    pub(crate) accounts: Accounts,
    pub(crate) quarantine: Quarantine,
    guests: Threads,
}

impl Core {
    pub(crate) fn new(config: RuntimeConfig) -> Result<Arc<Self>, Error> {
        let RuntimeConfig {
            cache_dir,
            host_key,
            limits,
            workers,
            slots,
            allocation,
            quarantine,
            resolver,
        } = config;
        let slots = slots.clamp(1, Semaphore::MAX_PERMITS);
        let (engine, allocation) = engine::build(allocation, &limits, slots)?;
        let mut engines = vec![engine.clone()];
        let spare = if allocation == Allocation::Pooled {
            let (engine, _) = engine::build(Allocation::OnDemand, &limits, slots)?;
            engines.push(engine.clone());
            Some(Machine::new(engine)?)
        } else {
            None
        };
        Ok(Arc::new(Self {
            images: Images::open(&cache_dir, host_key)?,
            machine: Machine::new(engine)?,
            spare,
            allocation,
            slots: Semaphore::new(slots),
            ticker: Ticker::start(engines)?,
            registry: Registry::default(),
            accounts: Accounts::new(resolver)?,
            guests: Threads::start(workers)?,
            limits: Arc::new(limits),
            quarantine,
        }))
    }

    /// The threads that run guests.
    pub(crate) fn guests(&self) -> &tokio::runtime::Handle {
        &self.guests.handle
    }

    /// The plugin that serves an account now, and the account's state with it.
    ///
    /// # Errors
    /// When no usable plugin serves its type, or the account does not fit.
    pub(crate) fn bind(
        &self,
        account: &VimAccount,
        content: Content,
    ) -> Result<(Arc<Plugin>, Arc<AccountState>), LoadError> {
        let plugin = self.registry.serving(&account.vim_type)?;
        let state = self.accounts.state(account, content, &plugin, &self.limits)?;
        Ok((plugin, state))
    }
}

/// A tokio runtime of the guests' own, so that the API, the engine and the database driver never queue behind them.
struct Threads {
    handle: tokio::runtime::Handle,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Threads {
    fn start(workers: usize) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers.max(1))
            .thread_name("vimhost-guest")
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which is not allowed where the last owner is an async task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
