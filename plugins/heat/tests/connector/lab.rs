//! A laboratory: the test kit in front of Keystone and Heat.

use std::rc::Rc;

use serde_json::{Value, json};
use vimhost_heat::Heat as Plugin;
use vimhost_sdk::http::Fault;
use vimhost_sdk::log::Level;
use vimhost_sdk::prelude::*;
use vimhost_sdk::testkit::TestKit;

use crate::heat::{self, Heat};
use crate::keystone::{self, Keystone, PROJECT};

/// A token as the host makes them.
pub const TOKEN: &str = "abcde-task-1";

/// The stack of most tests.
pub const NAME: &str = "vnf-1";

pub struct Lab {
    pub kit: TestKit,
    pub keystone: Rc<Keystone>,
    pub heat: Rc<Heat>,
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
            heat: Rc::default(),
            account: keystone::account(&config.to_string()),
        };
        let url = format!("http://{}/v1/{PROJECT}", heat::HOST);
        lab.keystone.catalogue.borrow_mut().as_array_mut().unwrap().push(json!({
            "type": "orchestration", "name": "heat", "endpoints": [
                {"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": url},
            ],
        }));
        let (keystone, heat) = (Rc::clone(&lab.keystone), Rc::clone(&lab.heat));
        lab.kit.vim(move |exchange| {
            if let Some(answer) = keystone.stops(exchange) {
                return Ok(answer);
            }
            match exchange.target.origin.authority.as_str() {
                heat::HOST => heat.answer(exchange),
                other => Err(Fault::NotReached(format!("nobody is at {other}"))),
            }
        });
        lab
    }

    /// What was sent to Heat since the exchanges were forgotten last, as `GET /stacks/vnf-1`.
    pub fn sent(&self) -> Vec<String> {
        let base = format!("/v1/{PROJECT}");
        let exchanges = self.kit.exchanges();
        let to_heat = exchanges
            .iter()
            .filter(|sent| sent.target.origin.authority == heat::HOST);
        to_heat
            .map(|sent| {
                let path = sent.target.path.strip_prefix(&base).unwrap_or(&sent.target.path);
                format!("{} {path}", sent.method)
            })
            .collect()
    }

    /// The body of the last request.
    pub fn last_body(&self) -> Value {
        let exchanges = self.kit.exchanges();
        let body = exchanges.last().unwrap().body.clone();
        serde_json::from_slice(&body.unwrap()).unwrap()
    }

    /// Messages of warnings.
    pub fn warnings(&self) -> Vec<String> {
        let lines = self.kit.log();
        let warnings = lines.into_iter().filter(|line| line.level == Level::Warn);
        warnings.map(|line| line.message).collect()
    }

    pub fn create(&self) -> Result<CreateStep, Error> {
        Plugin::create_stack(&self.account, &self.kit.call(TOKEN), request())
    }

    /// An update by an operation.
    pub fn update(&self, stack: &StackRef, letters: &str) -> Result<UpdateStep, Error> {
        let call = self.kit.operation(TOKEN, letters);
        Plugin::update_stack(&self.account, &call, stack, UpdateMode::Partial, content())
    }

    pub fn delete(&self, stack: &StackRef) -> Result<DeleteStep, Error> {
        Plugin::delete_stack(&self.account, &self.kit.call(TOKEN), stack)
    }

    pub fn observe(&self, stacks: &[StackRef]) -> Result<ObservedStacks, Error> {
        Plugin::observe_stacks(&self.account, stacks, None)
    }
}

/// The stack of most tests, by what is known of it.
pub fn stack(id: Option<&str>) -> StackRef {
    StackRef {
        name: NAME.into(),
        id: id.map(str::to_owned),
    }
}

pub fn content() -> StackContent {
    StackContent {
        template: Some("heat_template_version: 2021-04-16".into()),
        files: vec![("nested/a.yaml".into(), "x: 1".into())],
        parameters: r#"{"nfv": {"VDU": {}}}"#.into(),
        timeout_minutes: Some(20),
        ..StackContent::default()
    }
}

pub fn request() -> StackRequest {
    StackRequest {
        name: NAME.into(),
        content: content(),
    }
}

/// The id of what was made.
pub fn made(step: CreateStep) -> String {
    match step {
        CreateStep::Done(created) => created.id,
        CreateStep::Pending(pending) => panic!("it waits: {}", pending.reason),
    }
}
