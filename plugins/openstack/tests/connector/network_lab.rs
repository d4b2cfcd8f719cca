//! A laboratory of Keystone and Neutron; the other services answer just enough for a check.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use vimhost_sdk::http::{Answer, Exchange, Fault};
use vimhost_sdk::prelude::*;
use vimhost_sdk::testkit::TestKit;

use crate::stubs::keystone::{self, Keystone};
use crate::stubs::neutron::Neutron;

/// A token as the host makes them.
pub const TOKEN: &str = "abcde-task-1";

pub struct Lab {
    pub kit: TestKit,
    pub keystone: Rc<Keystone>,
    pub neutron: Rc<Neutron>,
    /// What hosts answer instead of what they would.
    pub faults: Rc<RefCell<BTreeMap<String, Fault>>>,
    pub account: Account,
}

impl Lab {
    pub fn new() -> Self {
        Self::with(json!({}))
    }

    /// With settings of the account.
    pub fn with(config: Value) -> Self {
        let lab = Self {
            kit: TestKit::new(),
            keystone: Rc::default(),
            neutron: Rc::default(),
            faults: Rc::default(),
            account: account(&config),
        };
        let (keystone, neutron) = (Rc::clone(&lab.keystone), Rc::clone(&lab.neutron));
        let faults = Rc::clone(&lab.faults);
        lab.kit.vim(move |exchange| {
            if let Some(fault) = faults.borrow().get(&exchange.target.origin.authority) {
                return Err(fault.clone());
            }
            if let Some(answer) = keystone.stops(exchange) {
                return Ok(answer);
            }
            neutron.answer(exchange).unwrap_or_else(|| Ok(other(exchange)))
        });
        lab
    }

    /// Lets a host answer nothing but this.
    pub fn fault(&self, host: &str, fault: Fault) {
        self.faults.borrow_mut().insert(host.to_owned(), fault);
    }

    /// How often requests of this method went to a collection of Neutron.
    pub fn count(&self, request: &str) -> usize {
        let requests = self.kit.requests();
        requests.iter().filter(|sent| sent.starts_with(request)).count()
    }
}

pub fn account(config: &Value) -> Account {
    keystone::account(&config.to_string())
}

/// Nova, Glance, Cinder and Placement, as far as a check looks.
fn other(exchange: &Exchange) -> Answer {
    let ok = |body: Value| Answer::new(200).json(&body);
    let path = exchange.target.path.as_str();
    match exchange.target.origin.authority.as_str() {
        "nova.example:8774" if path == "/v2.1/" => {
            ok(json!({"version": {"id": "v2.1", "version": "2.93", "min_version": "2.1", "status": "CURRENT"}}))
        }
        "nova.example:8774" => ok(json!({"servers": []})),
        "glance.example:9292" => ok(json!({"images": [{"id": "image-1"}]})),
        "cinder.example:8776" if path == "/v3/" => {
            ok(json!({"versions": [{"id": "v3.0", "version": "3.70", "min_version": "3.0"}]}))
        }
        "cinder.example:8776" => ok(json!({"volumes": []})),
        "placement.example:8778" => {
            ok(json!({"versions": [{"id": "v1.0", "max_version": "1.39", "min_version": "1.0"}]}))
        }
        host => panic!("nobody is at {host}"),
    }
}
