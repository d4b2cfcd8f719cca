//! The engine's face to the northbound interfaces.

use std::sync::Arc;

use tracing::Instrument as _;
use vimhost_connector::{Connectors, InstallError, KeyInjector, PluginInfo};
use vimhost_model::{ActionId, ActionKind, Collection, HostId, NsrId, Record, RecordId, TargetId};
use vimhost_store::{Change, Committed, Page, Store, seal::KeyRing};

use crate::derive::templates::{InProcess, Templates};
use crate::lcm::{Lcm, LcmConfig, Parts};
use crate::operation::OperationRequest;
use crate::plan::{self, Comparison, Plan};
use crate::schedule::{Held, LeaseTerms, Scheduler};
use crate::wanted::DeployRequest;
use crate::{ActionReport, Clock, Error};

/// How often planning is repeated when somebody else's commit came between. Commits of one service are rare; a handful of
/// collisions in a row means that something is wrong.
const PLAN_TRIES: usize = 8;

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Name of this host in leases.
    pub host: HostId,
    /// Calls in flight per account.
    pub calls_per_account: usize,
    /// Calls that may begin in a second per account; none: as many as there are.
    pub calls_per_second: Option<std::num::NonZeroU32>,
    /// How often idle elements are observed; none: never.
    pub idle_period: Option<std::time::Duration>,
    /// How leases last where several hosts share the store; none where one has it.
    pub leases: Option<LeaseTerms>,
    /// Settings of the life cycle of VNF instances.
    pub lcm: LcmConfig,
}

/// Answer to an accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The service.
    pub nsr_id: NsrId,
    /// The action to ask for.
    pub action_id: ActionId,
    /// The same request was accepted before; nothing was planned.
    pub repeated: bool,
}

/// A request that becomes an action.
enum Asked<'r> {
    Deploy(&'r DeployRequest),
    Operation(&'r OperationRequest),
}

/// Plans, runs and reports.
pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) connectors: Arc<dyn Connectors>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) templates: Arc<dyn Templates>,
    pub(crate) schedule: Arc<Scheduler>,
    lcm: Arc<Lcm>,
    /// What begins the ids of new elements.
    pub(crate) installation: String,
}

impl Engine {
    /// Starts the engine: claims the accounts that no other host has and takes up what was not over. Templates are rendered in this
    /// process, whose memory they do not bound: for whoever trusts who writes them.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn start(
        config: EngineConfig,
        store: Arc<dyn Store>,
        connectors: Arc<dyn Connectors>,
        injector: Arc<dyn KeyInjector>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        let templates = Arc::new(InProcess);
        Self::start_with_templates(config, store, connectors, injector, keys, clock, templates).await
    }

    /// Starts the engine as [`Engine::start`] does, with what is to render templates.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn start_with_templates(
        config: EngineConfig,
        store: Arc<dyn Store>,
        connectors: Arc<dyn Connectors>,
        injector: Arc<dyn KeyInjector>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        templates: Arc<dyn Templates>,
    ) -> Result<Arc<Self>, Error> {
        let installation = store
            .installation()
            .await
            .map_err(|error| Error::of_store("reading whose installation this is", error))?;
        let (with, by) = (connectors.clone(), keys.clone());
        let settings = config.lcm.clone();
        let (tell, hints) = tokio::sync::mpsc::unbounded_channel();
        let schedule = Scheduler::start(config, store.clone(), with, injector, by, clock.clone(), tell).await?;
        let lcm = Lcm::start(
            settings,
            Parts {
                store: store.clone(),
                connectors: connectors.clone(),
                keys: keys.clone(),
                clock: clock.clone(),
                schedule: schedule.clone(),
                installation: installation.clone(),
            },
            hints,
        );
        let engine = Arc::new(Self {
            lcm,
            store,
            connectors,
            keys,
            clock,
            templates,
            schedule,
            installation,
        });
        engine.resume_rotation();
        Ok(engine)
    }

    /// Lets running calls end, at most until `patience` is over, and gives the accounts up. What is not over is taken up by
    /// the next start.
    pub async fn stop(&self, patience: std::time::Duration) {
        self.schedule.stop(patience).await;
    }

    /// The store is this host's alone until then at least: calls are made until shortly before, and go on when this is told anew. For a store
    /// without leases that another host may be let into when this one was silent.
    pub fn alone_until(&self, until: std::time::Instant) {
        self.schedule.alone_until(until);
    }

    /// Another host has the store: nothing is begun and nothing is sent to a VIM any more. What is left to do is ending.
    pub fn cut_off(&self) {
        self.schedule.cut_off();
    }

    /// The life cycle of VNF instances.
    #[must_use]
    pub fn lcm(&self) -> &Arc<Lcm> {
        &self.lcm
    }

    /// Plugins, usable or not.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginInfo> {
        self.connectors.plugins()
    }

    /// Keeps a component in the plugin directory and takes it up.
    ///
    /// # Errors
    /// When it cannot be used; the one that serves then stays.
    pub async fn install_plugin(&self, name: &str, component: Vec<u8>) -> Result<PluginInfo, InstallError> {
        self.connectors.install(name, component).await
    }

    /// Takes up the file of a name in the plugin directory, or all that are new or changed.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be used.
    pub async fn reload_plugins(&self, name: Option<&str>) -> Result<Vec<PluginInfo>, InstallError> {
        self.connectors.reload(name).await
    }

    /// Hints of what changes from now on.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<Change> {
        self.store.changes()
    }

    /// Whether requests can be accepted.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn ready(&self) -> Result<(), Error> {
        self.store
            .ping()
            .await
            .map_err(|error| Error::of_store("checking the store", error))
    }

    /// A record of a collection.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn record(&self, collection: Collection, id: &RecordId) -> Result<Option<Record>, Error> {
        self.store
            .record(collection, id)
            .await
            .map_err(|error| Error::of_store("reading a record", error))
    }

    /// Writes a record for the program that owns it (OSM's NBI and LCM where they share no database with vimhost).
    ///
    /// # Errors
    /// When it was changed since `expected`, or is no record.
    pub async fn put_record(
        &self,
        collection: Collection,
        id: &RecordId,
        document: serde_json::Value,
        expected: Option<u64>,
    ) -> Result<u64, Error> {
        match self.store.put_record(collection, id, document, expected).await {
            Err(vimhost_store::Error::Corrupt { what, reason }) => Err(Error::shape("", format!("{what}: {reason}"))),
            other => other.map_err(|error| Error::of_store("writing a record", error)),
        }
    }

    /// Removes a record for the program that owns it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn delete_record(&self, collection: Collection, id: &RecordId) -> Result<(), Error> {
        let existed = self
            .store
            .delete_record(collection, id)
            .await
            .map_err(|error| Error::of_store("removing a record", error))?;
        if existed {
            Ok(())
        } else {
            Err(Error::not_found("record", id))
        }
    }

    /// Ids and names of services.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn services(&self, after: Option<&str>, limit: usize) -> Result<Page<(NsrId, String)>, Error> {
        self.store
            .services(after, limit)
            .await
            .map_err(|error| Error::of_store("listing services", error))
    }

    /// Brings a service to the wanted state. The answer means that the action is on disk and will be carried out.
    ///
    /// The same action id with the same body answers the first acceptance; with another body it gets a new id.
    ///
    /// # Errors
    /// When the service is unknown or the request cannot be planned; nothing is stored then.
    pub async fn deploy(&self, nsr: &NsrId, request: &DeployRequest) -> Result<Accepted, Error> {
        self.accept(nsr, &Asked::Deploy(request)).await
    }

    /// Does something with what a service has. The answer means that the action is on disk and will be carried out; the action id is
    /// treated as by [`Engine::deploy`].
    ///
    /// # Errors
    /// When the service is unknown, or has no VM that the request could be about; nothing is stored then.
    pub async fn operate(&self, nsr: &NsrId, request: &OperationRequest) -> Result<Accepted, Error> {
        self.accept(nsr, &Asked::Operation(request)).await
    }

    async fn accept(&self, nsr: &NsrId, asked: &Asked<'_>) -> Result<Accepted, Error> {
        let (chosen, digest, kind) = match asked {
            Asked::Deploy(request) => (&request.action_id, &request.digest, ActionKind::Deploy),
            Asked::Operation(request) => (&request.action_id, &request.digest, request.operation.kind()),
        };
        let mut action_id = chosen.clone().unwrap_or_else(ActionId::random);
        for _ in 0..PLAN_TRIES {
            let held = self.schedule.hold(nsr).await;
            if let Some(header) = self.header(nsr, &action_id).await? {
                if header.body_digest == *digest {
                    return Ok(Accepted {
                        nsr_id: nsr.clone(),
                        action_id,
                        repeated: true,
                    });
                }
                // NG-RO D5: another request under the same id gets an id of its own.
                action_id = ActionId::random();
            }
            let plan = match asked {
                Asked::Deploy(request) => self.prepare(nsr, &action_id, request, Comparison::Presence).await?,
                Asked::Operation(request) => self.prepare_operation(nsr, &action_id, &request.operation).await?,
            };
            match self.commit(plan, kind, digest, held).await? {
                Ok(Committed::Accepted) => {
                    return Ok(Accepted {
                        nsr_id: nsr.clone(),
                        action_id,
                        repeated: false,
                    });
                }
                // Planned anew on what is there now; a header that came meanwhile is met at the next turn.
                Ok(Committed::Exists(_)) | Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store("accepting an action", error)),
            }
        }
        Err(Error::Unavailable {
            reason: format!("network service '{nsr}' is being planned by others; try again"),
        })
    }

    /// Commits a plan and starts its tasks, both or neither: a task of its own, because a client that hangs up ends its request's task
    /// and must not come between the two.
    async fn commit(
        &self,
        plan: Plan,
        kind: ActionKind,
        digest: &str,
        held: Held,
    ) -> Result<Result<Committed, vimhost_store::Error>, Error> {
        let commit = plan.commit(kind, digest);
        let (store, schedule) = (self.store.clone(), self.schedule.clone());
        let committing = async move {
            let committed = store.commit_action(commit).await;
            match &committed {
                Ok(Committed::Accepted) => {
                    tracing::info!(
                        nsr_id = %plan.nsr_id, action_id = %plan.action_id, tasks = plan.task_count(), "action accepted"
                    );
                    schedule.accepted(&plan);
                }
                Err(vimhost_store::Error::Unavailable { .. }) => schedule.perhaps_accepted(&plan),
                Ok(Committed::Exists(_)) | Err(_) => {}
            }
            drop(held);
            committed
        };
        tokio::spawn(committing.in_current_span())
            .await
            .map_err(|error| crate::accounts::internal("accepting an action", error))
    }

    async fn header(&self, nsr: &NsrId, action: &ActionId) -> Result<Option<vimhost_model::ActionHeader>, Error> {
        self.store
            .action(nsr, action)
            .await
            .map_err(|error| Error::of_store("reading an action", error))
    }

    /// What a deploy of the request would do; touches nothing.
    ///
    /// # Errors
    /// As for [`Engine::deploy`].
    pub async fn plan(&self, nsr: &NsrId, request: &DeployRequest) -> Result<Plan, Error> {
        let action_id = request.action_id.clone().unwrap_or_else(ActionId::random);
        self.prepare(nsr, &action_id, request, Comparison::Parameters).await
    }

    /// Terminates a service: a deploy with nothing wanted.
    ///
    /// # Errors
    /// As for [`Engine::deploy`].
    pub async fn terminate(&self, nsr: &NsrId, action_id: Option<ActionId>) -> Result<Accepted, Error> {
        let request = DeployRequest {
            action_id,
            digest: "terminate".to_owned(),
            wanted: crate::wanted::Wanted::default(),
        };
        self.deploy(nsr, &request).await
    }

    /// How an action stands.
    ///
    /// # Errors
    /// When the service has no such action.
    pub async fn action(&self, nsr: &NsrId, action: &ActionId) -> Result<ActionReport, Error> {
        let mut report = self.action_state(nsr, action).await?;
        for task in &mut report.tasks {
            for value in task.task.params.iter_mut().chain(task.task.find_params.iter_mut()) {
                plan::fill_texts(value, &*self.store).await?;
            }
        }
        Ok(report)
    }

    /// How an action stands, large texts left out of its tasks' parameters: what a watcher asks at each hint.
    ///
    /// # Errors
    /// When the service has no such action.
    pub async fn action_state(&self, nsr: &NsrId, action: &ActionId) -> Result<ActionReport, Error> {
        let doing = "reading an action";
        let header = self
            .store
            .action(nsr, action)
            .await
            .map_err(|error| Error::of_store(doing, error))?
            .ok_or_else(|| Error::not_found("action", action))?;
        let resources = self
            .store
            .resources_of_action(nsr, action)
            .await
            .map_err(|error| Error::of_store(doing, error))?;
        Ok(ActionReport::new(header, resources))
    }

    /// Headers of a service's actions, or of all, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn actions(
        &self,
        nsr: Option<&NsrId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<vimhost_model::ActionHeader>, Error> {
        match self.store.actions(nsr, after, limit).await {
            Err(vimhost_store::Error::Missing { .. }) if after.is_some() => Err(Error::BadRequest {
                reason: "the cursor is none of this listing".to_owned(),
            }),
            other => other.map_err(|error| Error::of_store("listing actions", error)),
        }
    }

    /// Forgets a service's tasks (NG-RO `DELETE deploy`). What may still exist in a VIM stays known. True when there was anything.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn forget(&self, nsr: &NsrId) -> Result<bool, Error> {
        self.store
            .forget_service(nsr)
            .await
            .map_err(|error| Error::of_store("forgetting a service", error))
    }

    /// Which host drives which account.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn leases(&self) -> Result<Vec<vimhost_store::Lease>, Error> {
        self.store
            .leases()
            .await
            .map_err(|error| Error::of_store("listing leases", error))
    }

    /// This host in leases.
    #[must_use]
    pub fn host(&self) -> &HostId {
        self.schedule.host()
    }

    /// Targets this host drives, for health and status.
    #[must_use]
    pub fn driven(&self) -> Vec<TargetId> {
        self.schedule.driven()
    }
}
