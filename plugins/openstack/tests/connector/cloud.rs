//! A cloud in memory: the test kit in front of stubs of Keystone, Nova, Neutron, Glance and Cinder, with the rules of each
//! that the connector depends on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::{Answer, Exchange, Fault};
use vimhost_sdk::prelude::*;
use vimhost_sdk::testkit::TestKit;

use crate::stubs::compute::Compute;
use crate::stubs::keystone::{Keystone, account};
use crate::stubs::neutron::{self, Neutron};

/// Calls of one task until it must be done; each is one look at something that moves with every look.
const MOST_CALLS: usize = 60;

#[derive(Default)]
pub struct Services {
    pub keystone: Keystone,
    pub neutron: Neutron,
    pub compute: Compute,
    /// Servers whose ports changed, as Neutron tells.
    pub changed_ports: RefCell<Vec<String>>,
    /// Whether Neutron refuses filters that it has not declared, `changed_since` among them.
    pub validates_filters: Cell<bool>,
}

impl Services {
    fn answer(&self, exchange: &Exchange) -> Result<Answer, Fault> {
        if let Some(answer) = self.keystone.stops(exchange) {
            return Ok(answer);
        }
        if exchange.target.query.contains("changed_since=") {
            if self.validates_filters.get() {
                let words = "['changed_since'] is invalid attribute for filtering";
                return Ok(neutron::error(400, "HTTPBadRequest", words));
            }
            let ports: Vec<_> = self
                .changed_ports
                .borrow()
                .iter()
                .map(|id| json!({ "device_id": id }))
                .collect();
            return Ok(Answer::new(200).json(&json!({ "ports": ports })));
        }
        if let Some(answer) = self.neutron.answer(exchange) {
            return answer;
        }
        self.compute
            .answer(exchange, &self.neutron)
            .unwrap_or_else(|| Err(Fault::NotReached(format!("nobody is {}", exchange.target.origin))))
    }
}

pub struct Cloud {
    pub kit: TestKit,
    pub services: Rc<Services>,
    pub account: Account,
}

impl Cloud {
    pub fn new() -> Self {
        Self::with("{}")
    }

    /// A cloud whose account has these settings.
    pub fn with(config: &str) -> Self {
        let services = Rc::new(Services::default());
        let kit = TestKit::new();
        let behind = Rc::clone(&services);
        kit.vim(move |exchange| behind.answer(exchange));
        services
            .neutron
            .put("networks", json!({"id": "net-1", "name": "mgmt", "status": "ACTIVE"}));
        services.neutron.put(
            "networks",
            json!({"id": "net-ext", "name": "public", "router:external": true}),
        );
        Self {
            kit,
            services,
            account: account(config),
        }
    }

    pub fn nova(&self) -> &Compute {
        &self.services.compute
    }

    /// What was sent to a service since the exchanges were forgotten last, as `GET /servers/detail`; versions are not counted.
    pub fn sent(&self, host: &str) -> Vec<String> {
        let exchanges = self.kit.exchanges();
        let to_host = exchanges
            .iter()
            .filter(|sent| sent.target.origin.authority.starts_with(host));
        to_host
            .filter(|sent| !sent.target.path.ends_with('/'))
            .map(|sent| format!("{} {}", sent.method, sent.target.path_and_query()))
            .collect()
    }

    /// Two interfaces, the first with a floating address, and a new root volume.
    pub fn request(&self) -> ServerRequest {
        let interface = |floating_ip| ServerInterface {
            network: "net-1".into(),
            floating_ip,
            ..ServerInterface::default()
        };
        ServerRequest {
            name: "vdu".into(),
            start: true,
            image: Some("image-1".into()),
            flavour: "m1.small".into(),
            interfaces: vec![interface(Some(FloatingIp::Any)), interface(None)],
            disks: vec![ServerDisk {
                root: true,
                source: DiskSource::New(NewDisk {
                    size: 4,
                    image: Some("the descriptor's reference".into()),
                }),
                keep: false,
            }],
            ..ServerRequest::default()
        }
    }

    /// Calls until it is done, with journal and state as a host keeps them.
    pub fn create_server(&self, token: &str, request: &ServerRequest) -> Result<Created, Error> {
        self.created(token, |call| {
            OpenStack::create_server(&self.account, call, request.clone())
        })
    }

    pub fn created(&self, token: &str, create: impl Fn(&Call) -> Result<CreateStep, Error>) -> Result<Created, Error> {
        let mut state = None;
        for _ in 0..MOST_CALLS {
            let call = Call {
                state: state.take(),
                ..self.kit.call(token)
            };
            match create(&call)? {
                CreateStep::Done(created) => return Ok(created),
                CreateStep::Pending(pending) => state = pending.state,
            }
        }
        panic!("{token} is never made; the journal: {:?}", self.kit.journal_lines());
    }

    pub fn delete_server(&self, token: &str, id: Option<&str>, hold: &[String]) -> Result<(), Error> {
        self.deleted(token, |call| OpenStack::delete_server(&self.account, call, id, hold))
    }

    pub fn deleted(&self, token: &str, delete: impl Fn(&Call) -> Result<DeleteStep, Error>) -> Result<(), Error> {
        for _ in 0..MOST_CALLS {
            match delete(&self.kit.call(token))? {
                DeleteStep::Done => return Ok(()),
                DeleteStep::Accepted | DeleteStep::Pending(_) => {}
            }
        }
        panic!("{token} is never deleted; the journal: {:?}", self.kit.journal_lines());
    }

    /// An operation until it is done.
    pub fn operated(
        &self,
        letters: &str,
        operate: impl Fn(&Call) -> Result<OperateStep, Error>,
    ) -> Result<Operated, Error> {
        let mut state = None;
        for _ in 0..MOST_CALLS {
            let call = Call {
                state: state.take(),
                ..self.kit.operation("t1", letters)
            };
            match operate(&call)? {
                OperateStep::Done(operated) => return Ok(operated),
                OperateStep::Pending(pending) => {
                    state = pending.state;
                    self.kit.advance(Duration::from_secs(1));
                }
            }
        }
        panic!("operation {letters} never ends");
    }

    pub fn power(&self, letters: &str, server: &str, action: PowerAction) -> Result<Operated, Error> {
        self.operated(letters, |call| OpenStack::power(&self.account, call, server, action))
    }

    /// How many elements of each kind there are: servers, volumes, ports, floating addresses.
    pub fn count(&self) -> (usize, usize, usize, usize) {
        (
            self.nova().servers().len(),
            self.nova().volumes().len(),
            self.services.neutron.all("ports").len(),
            self.services.neutron.all("floatingips").len(),
        )
    }

    /// Looks at a volume, which moves it on.
    pub fn observe_volume(&self, id: &str) {
        let ids = [id.to_owned()];
        OpenStack::observe(&self.account, ElementKind::Volume, &ids, None).expect("an observation");
    }

    /// Observes to the end, page after page; answers what was told and the cursor.
    pub fn observe(&self, ids: &[String], cursor: Option<Vec<u8>>) -> (Vec<Observation>, Vec<String>, Option<Vec<u8>>) {
        let (mut changed, mut gone, mut cursor) = (Vec::new(), Vec::new(), cursor);
        loop {
            let observed =
                OpenStack::observe(&self.account, ElementKind::Server, ids, cursor.as_deref()).expect("an observation");
            changed.extend(observed.changed);
            gone.extend(observed.gone);
            cursor = observed.cursor;
            if !observed.more {
                return (changed, gone, cursor);
            }
        }
    }
}
