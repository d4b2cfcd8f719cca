//! Heat in memory, with the rules that the connector depends on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde_json::{Value, json};
use vimhost_sdk::http::{Answer, Exchange, Fault, Method};

use crate::keystone::PROJECT;

pub const HOST: &str = "heat.example:8004";

/// What becomes of the next request of a method to a path that ends so.
pub enum Fate {
    /// It is answered so, and does nothing.
    Answered(Answer),
    /// It does its work, and the answer is lost.
    Lost,
    /// It does not arrive, and nobody is told.
    Swallowed,
}

#[derive(Debug, Clone)]
pub struct Stack {
    pub name: String,
    pub id: String,
    pub status: String,
    pub tags: Vec<String>,
    /// Whether its name is free again.
    pub purged: bool,
    pub updates: u32,
}

impl Stack {
    fn is_deleted(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    fn shown(&self) -> Value {
        json!({
            "id": self.id, "stack_name": self.name, "stack_status": self.status,
            "stack_status_reason": format!("Stack {} says so", self.status),
            "creation_time": "2026-01-01T00:00:00Z", "updated_time": null, "tags": self.tags,
            "parameters": {"nfv": "{\"VDU\": {\"VDU1\": {}}}", "OS::stack_id": self.id, "size": "3"},
            "disable_rollback": true, "timeout_mins": 20, "links": [],
        })
    }
}

#[derive(Default)]
pub struct Heat {
    pub stacks: RefCell<Vec<Stack>>,
    made: Cell<u32>,
    fates: RefCell<Vec<(Method, String, Fate)>>,
    /// What Heat takes for its own address.
    pub address: RefCell<Option<String>>,
    /// Resources marked unhealthy, as `stack/resource reason`.
    pub marked: RefCell<Vec<String>>,
    pub resources: RefCell<Vec<Value>>,
    /// Reasons of failures, the newest first.
    pub failures: RefCell<Vec<String>>,
}

impl Heat {
    /// A stack that is there already.
    pub fn put(&self, name: &str, status: &str, tags: &[&str]) -> String {
        self.made.set(self.made.get() + 1);
        let id = format!("00000000-0000-4000-8000-{:012}", self.made.get());
        self.stacks.borrow_mut().push(Stack {
            name: name.to_owned(),
            id: id.clone(),
            status: status.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            purged: false,
            updates: 0,
        });
        id
    }

    /// Ends what is going on with a stack; a deletion frees the name.
    pub fn set(&self, id: &str, status: &str) {
        let mut stacks = self.stacks.borrow_mut();
        let stack = stacks.iter_mut().find(|stack| stack.id == id).unwrap();
        status.clone_into(&mut stack.status);
        stack.purged = stack.is_deleted();
    }

    pub fn stack(&self, id: &str) -> Stack {
        self.stacks
            .borrow()
            .iter()
            .find(|stack| stack.id == id)
            .cloned()
            .unwrap()
    }

    /// What becomes of the next request of this method to a path that ends so.
    pub fn next(&self, method: Method, ending: &str, fate: Fate) {
        self.fates.borrow_mut().push((method, ending.to_owned(), fate));
    }

    pub fn answer(&self, exchange: &Exchange) -> Result<Answer, Fault> {
        let fate = {
            let mut fates = self.fates.borrow_mut();
            let meant = fates
                .iter()
                .position(|(method, ending, _)| *method == exchange.method && exchange.target.path.ends_with(ending));
            meant.map(|at| fates.remove(at).2)
        };
        match fate {
            Some(Fate::Answered(answer)) => Ok(answer),
            Some(Fate::Lost) => {
                self.work(exchange);
                Err(Fault::Lost("connection reset".into()))
            }
            Some(Fate::Swallowed) => Err(Fault::Lost("connection reset".into())),
            None => Ok(self.work(exchange)),
        }
    }

    fn work(&self, exchange: &Exchange) -> Answer {
        assert_eq!(exchange.header("accept"), Some("application/json"));
        let base = format!("/v1/{PROJECT}/");
        let Some(path) = exchange.target.path.strip_prefix(&base) else {
            return page_not_found();
        };
        let parts: Vec<&str> = path.split('/').collect();
        match (exchange.method, parts.as_slice()) {
            (Method::Get, ["build_info"]) => {
                Answer::new(200).json(&json!({"api": {"revision": "27"}, "engine": {"revision": "27"}}))
            }
            (Method::Get, ["stacks"]) => self.list(&exchange.target.query),
            (Method::Post, ["stacks"]) => self.create(&body(exchange)),
            (_, ["stacks", name]) => self.redirect(name, &exchange.target.query),
            (method, ["stacks", name, id, rest @ ..]) => self.one(method, name, id, rest, exchange),
            _ => page_not_found(),
        }
    }

    fn create(&self, body: &Value) -> Answer {
        let name = body["stack_name"].as_str().unwrap();
        if self
            .stacks
            .borrow()
            .iter()
            .any(|stack| stack.name == name && !stack.purged)
        {
            let words = format!("The Stack ({name}) already exists.");
            return error(409, "StackExists", &words);
        }
        let tags: Vec<&str> = body["tags"].as_str().unwrap().split(',').collect();
        let id = self.put(name, "CREATE_IN_PROGRESS", &tags);
        Answer::new(201).json(&json!({"stack": {"id": id, "links": []}}))
    }

    fn redirect(&self, name: &str, query: &str) -> Answer {
        let stacks = self.stacks.borrow();
        let Some(stack) = stacks.iter().find(|stack| stack.name == name && !stack.purged) else {
            return not_found(name);
        };
        let address = self.address.borrow().clone();
        let address = address.unwrap_or_else(|| format!("http://{HOST}"));
        let location = format!("{address}/v1/{PROJECT}/stacks/{name}/{}?{query}", stack.id);
        Answer::new(302).header("Location", &location).json(&json!({
            "message": "The resource was found", "code": "302 Found", "title": "Found",
        }))
    }

    fn list(&self, query: &str) -> Answer {
        let ids: BTreeSet<&str> = query.split('&').filter_map(|part| part.strip_prefix("id=")).collect();
        let stacks = self.stacks.borrow();
        let live = stacks
            .iter()
            .filter(|stack| !stack.is_deleted() && (ids.is_empty() || ids.contains(stack.id.as_str())));
        let value = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name));
        let after = value("marker=");
        let shown = live
            .skip_while(|stack| after.is_some_and(|after| stack.id != after))
            .skip(usize::from(after.is_some()))
            .take(value("limit=").map_or(usize::MAX, |limit| limit.parse().unwrap()));
        let shown: Vec<Value> = shown.map(Stack::shown).collect();
        Answer::new(200).json(&json!({ "stacks": shown }))
    }

    fn one(&self, method: Method, name: &str, id: &str, rest: &[&str], exchange: &Exchange) -> Answer {
        let mut stacks = self.stacks.borrow_mut();
        let Some(stack) = stacks.iter_mut().find(|stack| stack.name == name && stack.id == id) else {
            return not_found(name);
        };
        match (method, rest) {
            (Method::Get, []) => Answer::new(200).json(&json!({"stack": stack.shown()})),
            (Method::Patch | Method::Put, []) if !stack.is_deleted() => {
                let body = body(exchange);
                stack.tags = body["tags"].as_str().unwrap().split(',').map(str::to_owned).collect();
                stack.updates += 1;
                "UPDATE_IN_PROGRESS".clone_into(&mut stack.status);
                // With a filler, which is not to be read.
                Answer::new(202).header("content-type", "text/html")
            }
            (Method::Delete, []) if !stack.is_deleted() => {
                "DELETE_IN_PROGRESS".clone_into(&mut stack.status);
                Answer::new(204)
            }
            (Method::Get, ["template"]) => Answer::new(200).json(&json!({"heat_template_version": "2021-04-16"})),
            (Method::Get, ["files"]) => Answer::new(200).json(&json!({"nested/a.yaml": "x: 1"})),
            (Method::Get, ["environment"]) => Answer::new(200).json(&json!({"parameter_defaults": {}})),
            (Method::Get, ["resources"]) => Answer::new(200).json(&json!({"resources": *self.resources.borrow()})),
            (Method::Get, ["resources", resource, "events"]) => {
                let of_failures =
                    "resource_action=CREATE&resource_action=UPDATE&resource_status=FAILED&sort_dir=desc&limit=1";
                assert_eq!((*resource, exchange.target.query.as_str()), (name, of_failures));
                let failures = self.failures.borrow();
                if failures.is_empty() {
                    return error(404, "NotFound", &format!("No events found for resource {name}"));
                }
                let event = |reason: &String| json!({"resource_name": name, "resource_status_reason": reason});
                let newest: Vec<Value> = failures.iter().take(1).map(event).collect();
                Answer::new(200).json(&json!({ "events": newest }))
            }
            (Method::Patch, ["resources", resource]) if !stack.is_deleted() => {
                let body = body(exchange);
                assert_eq!(body.as_object().unwrap().len(), 2, "Heat refuses any other key");
                assert_eq!(body["mark_unhealthy"], true);
                let reason = body["resource_status_reason"].as_str().unwrap();
                self.marked.borrow_mut().push(format!("{name}/{resource} {reason}"));
                Answer::new(200).json(&Value::Null)
            }
            (Method::Get | Method::Head | Method::Post | Method::Put | Method::Patch | Method::Delete, _) => {
                not_found(name)
            }
        }
    }
}

fn body(exchange: &Exchange) -> Value {
    serde_json::from_slice(exchange.body.as_deref().unwrap_or_default()).unwrap()
}

fn not_found(name: &str) -> Answer {
    error(
        404,
        "EntityNotFound",
        &format!("The Stack ({name}) could not be found."),
    )
}

/// A refusal in Heat's form.
pub fn error(status: u16, kind: &str, words: &str) -> Answer {
    Answer::new(status).json(&json!({
        "code": status, "title": "Error", "explanation": "The request was refused.",
        "error": {"type": kind, "message": words, "traceback": null},
    }))
}

/// What Heat, or a proxy before it, says of a path that it does not know.
pub fn page_not_found() -> Answer {
    let mut answer = Answer::new(404).header("content-type", "text/html");
    answer.body = b"<html><head><title>404 Not Found</title></head></html>".to_vec();
    answer
}
