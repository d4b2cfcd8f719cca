//! Neutron of the tests: its collections in memory, with the rules that the connector depends on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};
use vimhost_sdk::http::{Answer, Exchange, Fault, Method};

use super::keystone::PROJECT;

pub const HOST: &str = "neutron.example:9696";

/// Collections: path, word for many, word for one.
const COLLECTIONS: [(&str, &str, &str); 6] = [
    ("networks", "networks", "network"),
    ("subnets", "subnets", "subnet"),
    ("ports", "ports", "port"),
    ("floatingips", "floatingips", "floatingip"),
    ("security-groups", "security_groups", "security_group"),
    (
        "l2-gateway-connections",
        "l2_gateway_connections",
        "l2_gateway_connection",
    ),
];

/// What is to happen instead of, or after, the next request that fits.
pub enum Fate {
    /// It is refused.
    Refused(Answer),
    /// It is done, and the answer is lost.
    Lost,
}

#[derive(Default)]
pub struct Neutron {
    elements: RefCell<BTreeMap<&'static str, Vec<Value>>>,
    made: Cell<u32>,
    fates: RefCell<VecDeque<(Method, &'static str, Fate)>>,
    /// External networks from which no router leads to any port.
    pub unreachable: RefCell<Vec<String>>,
    /// Largest page.
    pub page: Cell<Option<usize>>,
}

impl Neutron {
    /// Answers a request to Neutron; `None` for one to somebody else. A lost answer is a fault.
    pub fn answer(&self, exchange: &Exchange) -> Option<Result<Answer, Fault>> {
        if exchange.target.origin.authority != HOST {
            return None;
        }
        let path = exchange.target.path.strip_prefix("/v2.0/").unwrap_or_default();
        let mut parts = path.split('/');
        let (collection, id) = (parts.next().unwrap_or_default(), parts.next());
        let fate = {
            let mut fates = self.fates.borrow_mut();
            let at = fates
                .iter()
                .position(|(method, at, _)| *method == exchange.method && *at == collection);
            at.and_then(|at| fates.remove(at)).map(|(_, _, fate)| fate)
        };
        match fate {
            Some(Fate::Refused(answer)) => Some(Ok(answer)),
            Some(Fate::Lost) => {
                self.act(exchange, collection, id);
                Some(Err(Fault::Lost("connection reset".into())))
            }
            None => Some(Ok(self.act(exchange, collection, id))),
        }
    }

    /// Decides about the next request of this method to this collection.
    pub fn next(&self, method: Method, collection: &'static str, fate: Fate) {
        self.fates.borrow_mut().push_back((method, collection, fate));
    }

    /// Puts an element there, as somebody else would.
    pub fn put(&self, collection: &'static str, element: Value) {
        self.elements.borrow_mut().entry(collection).or_default().push(element);
    }

    /// Elements of a collection.
    pub fn all(&self, collection: &str) -> Vec<Value> {
        self.elements.borrow().get(collection).cloned().unwrap_or_default()
    }

    /// Empties everything.
    pub fn clear(&self) {
        self.elements.borrow_mut().clear();
        self.fates.borrow_mut().clear();
    }

    fn act(&self, exchange: &Exchange, collection: &str, id: Option<&str>) -> Answer {
        if collection == "extensions" {
            let aliases = [
                "standard-attr-description",
                "port-security",
                "router",
                "revision-if-match",
            ];
            let extensions: Vec<Value> = aliases.iter().map(|alias| json!({ "alias": alias })).collect();
            return Answer::new(200).json(&json!({ "extensions": extensions }));
        }
        if collection == "l2-gateways" {
            let gateways = [json!({"id": "11111111-gw", "name": "edge"})];
            return Answer::new(200).json(&json!({ "l2_gateways": gateways }));
        }
        let Some(&(path, many, one)) = COLLECTIONS.iter().find(|(path, _, _)| *path == collection) else {
            return error(404, "HTTPNotFound", "The resource could not be found.");
        };
        match (exchange.method, id) {
            (Method::Get, None) => self.list(path, many, &exchange.target.query),
            (Method::Get, Some(id)) => match self.find(path, id) {
                Some(element) => Answer::new(200).json(&json!({ one: element })),
                None => missing(one, id),
            },
            (Method::Post, None) => match self.make(path, body(exchange, one)) {
                Ok(element) => Answer::new(201).json(&json!({ one: element })),
                Err(refusal) => refusal,
            },
            (Method::Put, Some(id)) => self.change(path, one, id, exchange),
            (Method::Delete, Some(id)) => self.delete(path, one, id),
            _ => error(405, "MethodNotAllowed", "no"),
        }
    }

    fn list(&self, path: &str, many: &str, told: &str) -> Answer {
        let mut found = self.all(path);
        let mut filters = query(told);
        let marker = filters.remove("marker").and_then(|mut marker| marker.pop());
        filters.remove("limit");
        let fields = filters.remove("fields");
        for (name, values) in &filters {
            let shown = |element: &Value| {
                let value = &element[name];
                let other = || {
                    if value.is_null() {
                        String::new()
                    } else {
                        value.to_string()
                    }
                };
                value.as_str().map_or_else(other, str::to_owned)
            };
            found.retain(|element| values.contains(&shown(element)));
        }
        if let Some(marker) = marker {
            let at = found.iter().position(|element| element["id"] == *marker).unwrap();
            found.drain(..=at);
        }
        let mut answer = Map::new();
        if let Some(page) = self.page.get()
            && found.len() > page
        {
            found.truncate(page);
            let next = json!([{"rel": "next", "href": "http://elsewhere.example/?marker=x"}]);
            answer.insert(format!("{many}_links"), next);
        }
        if let Some(fields) = fields {
            for element in &mut found {
                element.as_object_mut().unwrap().retain(|name, _| fields.contains(name));
            }
        }
        answer.insert(many.to_owned(), json!(found));
        Answer::new(200).json(&answer)
    }

    fn find(&self, path: &str, id: &str) -> Option<Value> {
        self.all(path).into_iter().find(|element| element["id"] == id)
    }

    fn make(&self, path: &'static str, mut element: Value) -> Result<Value, Answer> {
        self.made.set(self.made.get() + 1);
        let made = self.made.get();
        let id = format!("{}-{made}", path.trim_end_matches('s'));
        match path {
            "networks" => {
                let vlan = element["provider:segmentation_id"].clone();
                let is_used = |other: &Value| !vlan.is_null() && other["provider:segmentation_id"] == vlan;
                if self.all("networks").iter().any(is_used) {
                    return Err(error(409, "VlanIdInUse", "The VLAN is in use."));
                }
                set(&mut element, "status", json!("ACTIVE"));
            }
            "subnets" => {
                let network = element["network_id"].as_str().unwrap_or_default();
                if self.find("networks", network).is_none() {
                    return Err(missing("network", network));
                }
            }
            "ports" => {
                let fixed = element.get("fixed_ips").cloned();
                let fixed = fixed.unwrap_or_else(|| json!([{"ip_address": format!("10.0.0.{made}")}]));
                set(&mut element, "fixed_ips", fixed);
                set(&mut element, "device_id", json!(""));
                set(&mut element, "status", json!("DOWN"));
            }
            "floatingips" => {
                let network = element["floating_network_id"].as_str().unwrap_or_default().to_owned();
                if self.unreachable.borrow().contains(&network) {
                    return Err(error(
                        404,
                        "ExternalGatewayForFloatingIPNotFound",
                        "External network is not reachable.",
                    ));
                }
                set(&mut element, "floating_ip_address", json!(format!("203.0.113.{made}")));
                set(&mut element, "revision_number", json!(1));
            }
            _ => {}
        }
        set(&mut element, "id", json!(id));
        set(&mut element, "project_id", json!(PROJECT));
        self.put(path, element.clone());
        Ok(element)
    }

    fn change(&self, path: &'static str, one: &str, id: &str, exchange: &Exchange) -> Answer {
        let mut elements = self.elements.borrow_mut();
        let found = elements
            .entry(path)
            .or_default()
            .iter_mut()
            .find(|element| element["id"] == id);
        let Some(element) = found else {
            return missing(one, id);
        };
        let revision = element["revision_number"].as_u64();
        if let Some(wanted) = exchange.header("if-match")
            && Some(wanted)
                != revision
                    .map(|revision| format!("revision_number={revision}"))
                    .as_deref()
        {
            return error(
                412,
                "RevisionNumberConstraintFailed",
                "Constrained to another revision.",
            );
        }
        for (name, value) in body(exchange, one).as_object().unwrap() {
            set(element, name, value.clone());
        }
        if let Some(revision) = revision {
            set(element, "revision_number", json!(revision + 1));
        }
        Answer::new(200).json(&json!({ one: element }))
    }

    fn delete(&self, path: &'static str, one: &str, id: &str) -> Answer {
        let is_on = |port: &Value| port["network_id"] == id;
        if path == "networks" && self.all("ports").iter().any(is_on) {
            return error(
                409,
                "NetworkInUse",
                "Unable to complete operation on network. There are one or more ports still in use.",
            );
        }
        let mut elements = self.elements.borrow_mut();
        let of_path = elements.entry(path).or_default();
        let before = of_path.len();
        of_path.retain(|element| element["id"] != id);
        if of_path.len() == before {
            return missing(one, id);
        }
        match path {
            "networks" => {
                let subnets = elements.entry("subnets").or_default();
                subnets.retain(|subnet| subnet["network_id"] != id);
            }
            "ports" => {
                for address in elements.entry("floatingips").or_default() {
                    if address["port_id"] == id {
                        set(address, "port_id", Value::Null);
                    }
                }
            }
            _ => {}
        }
        Answer::new(204)
    }
}

fn body(exchange: &Exchange, one: &str) -> Value {
    let body: Value = serde_json::from_slice(exchange.body.as_deref().unwrap_or_default()).unwrap();
    body[one].clone()
}

fn set(element: &mut Value, name: &str, value: Value) {
    element.as_object_mut().unwrap().insert(name.to_owned(), value);
}

fn missing(one: &str, id: &str) -> Answer {
    error(404, "NotFound", &format!("{one} {id} could not be found."))
}

/// A refusal in Neutron's form.
pub fn error(status: u16, kind: &str, message: &str) -> Answer {
    Answer::new(status).json(&json!({"NeutronError": {"type": kind, "message": message, "detail": ""}}))
}

/// A query taken apart.
pub fn query(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        query.entry(decoded(name)).or_default().push(decoded(value));
    }
    query
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(&rest[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}
