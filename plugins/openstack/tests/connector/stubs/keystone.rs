//! Keystone of the tests: one user, one application credential, tokens that can be revoked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde_json::{Value, json};
use vimhost_sdk::http::{Answer, Exchange, Method};
use vimhost_sdk::types::{Account, Credential};

pub const PROJECT: &str = "0f0e0d0c0b0a09080706050403020100";

/// Hosts of the services.
pub const HOST: &str = "keystone.example:5000";

pub struct Keystone {
    /// Tokens that are valid.
    tokens: RefCell<BTreeSet<String>>,
    issued: Cell<u32>,
    /// Seconds that a token lives.
    pub lifetime: Cell<u64>,
    /// `catalog` of the next answers.
    pub catalogue: RefCell<Value>,
    pub roles: RefCell<Vec<&'static str>>,
    /// Answer of the next log in, instead of a token.
    pub refusal: RefCell<Option<Answer>>,
    /// Bodies of all log ins.
    pub asked: RefCell<Vec<Value>>,
}

impl Default for Keystone {
    fn default() -> Self {
        Self {
            tokens: RefCell::default(),
            issued: Cell::new(0),
            lifetime: Cell::new(3600),
            catalogue: RefCell::new(catalogue()),
            roles: RefCell::new(vec!["member", "admin"]),
            refusal: RefCell::default(),
            asked: RefCell::default(),
        }
    }
}

impl Keystone {
    /// Answers a request to Keystone; `None` for one to somebody else.
    fn answer(&self, exchange: &Exchange) -> Option<Answer> {
        if exchange.target.origin.authority != HOST {
            return None;
        }
        if (exchange.method, exchange.target.path.as_str()) != (Method::Post, "/v3/auth/tokens") {
            return Some(error(404, "Could not find the requested page."));
        }
        let body: Value = serde_json::from_slice(exchange.body.as_deref().unwrap_or_default()).unwrap();
        self.asked.borrow_mut().push(body.clone());
        if let Some(refusal) = self.refusal.borrow_mut().take() {
            return Some(refusal);
        }
        let identity = &body["auth"]["identity"];
        let is_user = identity["password"]["user"]["password"] == "password-handle";
        let is_credential = identity["application_credential"]["secret"] == "secret-handle";
        if !is_user && !is_credential {
            return Some(error(401, "The request you have made requires authentication."));
        }
        self.issued.set(self.issued.get() + 1);
        let token = format!("token-{}", self.issued.get());
        self.tokens.borrow_mut().insert(token.clone());
        let roles: Vec<Value> = self
            .roles
            .borrow()
            .iter()
            .map(|name| json!({"id": name, "name": name}))
            .collect();
        let token_document = json!({
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": after_new_year(self.lifetime.get()),
            "project": {"id": PROJECT, "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "user": {"id": "u1", "name": "demo"},
            "roles": roles,
            "catalog": *self.catalogue.borrow(),
        });
        Some(
            Answer::new(201)
                .header("X-Subject-Token", &token)
                .json(&json!({"token": token_document})),
        )
    }

    /// What stops a request before it comes to its service: that it is one to Keystone itself, or what [`Keystone::refuses`] says.
    pub fn stops(&self, exchange: &Exchange) -> Option<Answer> {
        self.answer(exchange).or_else(|| self.refuses(exchange))
    }

    /// What a service says to a request: nothing when it carries a valid token, else 401.
    fn refuses(&self, exchange: &Exchange) -> Option<Answer> {
        let token = exchange.header("x-auth-token").unwrap_or_default();
        if self.tokens.borrow().contains(token) {
            None
        } else {
            Some(error(401, "The request you have made requires authentication."))
        }
    }

    /// Forgets all tokens, as a restart with other keys does.
    pub fn revoke(&self) {
        self.tokens.borrow_mut().clear();
    }

    /// How many tokens were given.
    pub fn issued(&self) -> u32 {
        self.issued.get()
    }
}

fn after_new_year(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    assert!(hours < 24, "the tests' tokens live less than a day");
    format!("2026-01-01T{hours:02}:{minutes:02}:{seconds:02}.000000Z")
}

fn error(status: u16, message: &str) -> Answer {
    Answer::new(status).json(&json!({"error": {"code": status, "message": message, "title": "Error"}}))
}

/// An account of the one user, with these settings.
pub fn account(config: &str) -> Account {
    Account {
        id: "vim-1".into(),
        name: "lab".into(),
        url: "http://keystone.example:5000/v3".into(),
        user: Some("demo".into()),
        tenant: Some("demo".into()),
        credentials: vec![Credential {
            name: "password".into(),
            handle: "password-handle".into(),
        }],
        config: config.into(),
    }
}

/// All services, in one region, by one interface.
pub fn catalogue() -> Value {
    let service = |kind: &str, url: String| {
        json!({"type": kind, "name": kind, "endpoints": [
            {"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": url},
        ]})
    };
    json!([
        service("identity", "http://keystone.example:5000/v3".to_owned()),
        service("compute", "http://nova.example:8774/v2.1".to_owned()),
        service("network", "http://neutron.example:9696".to_owned()),
        service("image", "http://glance.example:9292".to_owned()),
        service("volumev3", format!("http://cinder.example:8776/v3/{PROJECT}")),
        service("placement", "http://placement.example:8778".to_owned()),
    ])
}
