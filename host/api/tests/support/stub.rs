//! A VIM that does at once whatever it is asked, unless it is told to hold servers back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Semaphore;
use vimhost_connector::{
    Call, Capabilities, CheckReport, Connector, Connectors, CreateRequest, Created, CredentialSlot, DeleteRequest,
    DeleteStep, Descriptor, ElementKind, ElementStatus, Error, ErrorKind, FindRequest, Found, InjectionError,
    InterfaceObservation, KeyInjection, KeyInjector, LoadError, Observation, Observed, OperateRequest, Operated,
    OwnedPage, PluginInfo, PluginState, ServerObservation, Step,
};
use vimhost_model::{TargetId, VimAccount, VimId};

/// The VIM, and the plugin that serves it.
#[derive(Clone)]
pub struct StubVim(Arc<State>);

struct State {
    hold_servers: AtomicBool,
    /// Servers that may be made while they are held back.
    permits: Semaphore,
    refuse: AtomicBool,
    elements: Mutex<BTreeMap<String, Element>>,
    made: AtomicUsize,
    /// Calls that are held back.
    held: AtomicUsize,
    injections: Mutex<Vec<KeyInjection>>,
}

impl Default for StubVim {
    fn default() -> Self {
        Self(Arc::new(State {
            hold_servers: AtomicBool::new(false),
            permits: Semaphore::new(0),
            refuse: AtomicBool::new(false),
            elements: Mutex::default(),
            made: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            injections: Mutex::default(),
        }))
    }
}

#[derive(Clone)]
struct Element {
    name: Option<String>,
    ports: Vec<(VimId, VimId)>,
}

impl StubVim {
    /// How many elements exist.
    pub fn count(&self) -> usize {
        self.0.elements.lock().unwrap().len()
    }

    /// From here on a server is made only when [`StubVim::let_one_server_go`] was called for it.
    pub fn hold_servers(&self) {
        self.0.hold_servers.store(true, Ordering::SeqCst);
    }

    /// How many calls are held back now.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    /// Keys that were let into its servers, and how.
    pub fn injections(&self) -> Vec<KeyInjection> {
        self.0.injections.lock().unwrap().clone()
    }

    pub fn let_one_server_go(&self) {
        self.0.permits.add_permits(1);
    }

    /// From here on every check fails.
    pub fn refuse_checks(&self) {
        self.0.refuse.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn make(&self, kind: &str, name: Option<String>, networks: Vec<VimId>) -> Created {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let id: VimId = format!("{kind}-{number}").parse().unwrap();
        let ports: Vec<(VimId, VimId)> = networks
            .into_iter()
            .enumerate()
            .map(|(index, network)| (format!("port-{number}-{index}").parse().unwrap(), network))
            .collect();
        let interfaces = ports.iter().map(|(port, _)| Some(port.clone())).collect();
        self.elements.lock().unwrap().insert(
            id.to_string(),
            Element {
                name: name.clone(),
                ports,
            },
        );
        Created { id, name, interfaces }
    }
}

/// Its servers let everybody in.
#[async_trait]
impl KeyInjector for StubVim {
    async fn inject(&self, injection: &KeyInjection) -> Result<(), InjectionError> {
        self.0.injections.lock().unwrap().push(injection.clone());
        Ok(())
    }
}

struct StubConnector(Arc<State>);

#[async_trait]
impl Connectors for StubVim {
    async fn open(&self, account: &VimAccount) -> Result<Arc<dyn Connector>, LoadError> {
        if account.vim_type != "stub" {
            return Err(LoadError::NoPlugin {
                vim_type: account.vim_type.clone(),
                known: "stub".to_owned(),
            });
        }
        Ok(Arc::new(StubConnector(self.0.clone())))
    }

    async fn close(&self, _target: &TargetId) {}

    // It sends nothing.
    fn set_send_deadline(&self, _target: &TargetId, _until: Option<std::time::Instant>) {}

    fn plugins(&self) -> Vec<PluginInfo> {
        let slot = CredentialSlot {
            name: "password".to_owned(),
            description: "login".to_owned(),
            required: false,
            uses: vec![],
        };
        vec![PluginInfo {
            file: "stub.wasm".to_owned(),
            digest: "0".repeat(64),
            state: PluginState::Ready,
            descriptor: Some(Descriptor {
                name: "stub".to_owned(),
                version: "1.0.0".to_owned(),
                description: "a VIM that says yes".to_owned(),
                vim_types: vec!["stub".to_owned()],
                config_schema: json!({}),
                credentials: vec![slot],
                answer_credentials: vec![],
                egress: vec![],
                tokens: vec![],
            }),
            capabilities: Capabilities {
                infrastructure: true,
                operations: true,
                ..Capabilities::default()
            },
            rules_digest: None,
        }]
    }
}

#[async_trait]
impl Connector for StubConnector {
    async fn check(&self) -> Result<CheckReport, Error> {
        if self.0.refuse.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Auth, "the VIM refused the credentials"));
        }
        Ok(CheckReport {
            vim_version: Some("stub 1".to_owned()),
            warnings: vec!["the quota of servers is used up".to_owned()],
            ..CheckReport::default()
        })
    }

    async fn find(&self, request: FindRequest) -> Result<Vec<Found>, Error> {
        let name = match request {
            FindRequest::Images(filter) | FindRequest::Networks(filter) | FindRequest::Flavours(filter) => {
                filter.name.or(filter.id.map(|id| id.to_string()))
            }
            FindRequest::Flavour(_) | FindRequest::Group(_) => None,
        };
        let found = |name: String| Found {
            id: format!("existing-{name}").parse().unwrap(),
            name: Some(name),
            status_text: None,
            details: json!({}),
        };
        Ok(name.filter(|name| name != "missing").map(found).into_iter().collect())
    }

    async fn create(&self, _call: Call, request: CreateRequest) -> Result<Step<Created>, Error> {
        let created = match request {
            CreateRequest::Server(server) => {
                if self.0.hold_servers.load(Ordering::SeqCst) {
                    self.0.held.fetch_add(1, Ordering::SeqCst);
                    self.0.permits.acquire().await.unwrap().forget();
                    self.0.held.fetch_sub(1, Ordering::SeqCst);
                }
                let networks = server
                    .interfaces
                    .into_iter()
                    .map(|interface| interface.network)
                    .collect();
                self.0.make("server", Some(server.name), networks)
            }
            CreateRequest::Network(network) => self.0.make("network", Some(network.name), vec![]),
            CreateRequest::Flavour(flavour) => self.0.make("flavour", flavour.name, vec![]),
            CreateRequest::Group(group) => self.0.make("group", Some(group.name), vec![]),
            CreateRequest::Volume(volume) => self.0.make("volume", Some(volume.name), vec![]),
            CreateRequest::Service(service) => self.0.make("service", Some(service.name), vec![]),
        };
        Ok(Step::Done(created))
    }

    async fn delete(&self, _call: Call, request: DeleteRequest) -> Result<DeleteStep, Error> {
        if let Some(id) = request.id {
            self.0.elements.lock().unwrap().remove(id.as_str());
        }
        Ok(DeleteStep::Done)
    }

    async fn observe(&self, kind: ElementKind, ids: &[VimId], _cursor: Option<Vec<u8>>) -> Result<Observed, Error> {
        let elements = self.0.elements.lock().unwrap();
        let mut observed = Observed::default();
        for id in ids {
            let Some(element) = elements.get(id.as_str()).cloned().or_else(|| existing(id)) else {
                observed.gone.push(id.clone());
                continue;
            };
            let interfaces = element
                .ports
                .iter()
                .enumerate()
                .map(|(index, (port, network))| InterfaceObservation {
                    id: port.clone(),
                    network: Some(network.clone()),
                    mac_address: Some(format!("fa:16:3e:00:00:{index:02x}")),
                    ip_addresses: vec![format!("10.9.0.{}", index + 5)],
                    compute_node: Some("node-1".to_owned()),
                    pci: None,
                    vlan: None,
                    details: json!({}),
                });
            let server = ServerObservation {
                interfaces: interfaces.collect(),
                ..ServerObservation::default()
            };
            observed.changed.push(Observation {
                id: id.clone(),
                name: element.name,
                status: ElementStatus::Active,
                status_text: "ACTIVE".to_owned(),
                message: None,
                details: json!({"status": "ACTIVE"}),
                server: (kind == ElementKind::Server).then_some(server),
            });
        }
        Ok(observed)
    }

    async fn operate(&self, _call: Call, _request: OperateRequest) -> Result<Step<Operated>, Error> {
        Ok(Step::Done(Operated::default()))
    }

    async fn list_owned(
        &self,
        _kind: ElementKind,
        _prefix: &str,
        _cursor: Option<Vec<u8>>,
    ) -> Result<OwnedPage, Error> {
        Ok(OwnedPage::default())
    }
}

/// What `find` found exists without having been made.
fn existing(id: &VimId) -> Option<Element> {
    let name = id.as_str().strip_prefix("existing-")?;
    Some(Element {
        name: Some(name.to_owned()),
        ports: vec![],
    })
}
