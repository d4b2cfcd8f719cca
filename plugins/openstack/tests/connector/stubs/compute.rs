//! Nova, Cinder and Glance of the tests. Whatever takes time moves with each look at it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};
use vimhost_keystone::time;
use vimhost_sdk::http::{Answer, Exchange, Fault, Method};

use super::neutron::{self, Fate, Neutron};

pub const NOVA: &str = "nova.example:8774";
pub const CINDER: &str = "cinder.example:8776";
pub const GLANCE: &str = "glance.example:9292";

pub struct Compute {
    servers: RefCell<Vec<Value>>,
    volumes: RefCell<Vec<Value>>,
    pub flavors: RefCell<Vec<Value>>,
    pub groups: RefCell<Vec<Value>>,
    pub images: RefCell<Vec<Value>>,
    pub types: RefCell<Vec<Value>>,
    pub migrations: RefCell<Vec<Value>>,
    pub hosts: RefCell<Vec<Value>>,
    actions: RefCell<Vec<(String, Value)>>,
    made: Cell<u32>,
    /// Newest microversion: 2 and this.
    pub newest: Cell<u16>,
    /// Largest page of servers.
    pub page: Cell<usize>,
    /// Looks that a server and a volume are being made for.
    pub building: Cell<u32>,
    /// Status that a new server or volume comes to.
    pub server_becomes: Cell<&'static str>,
    pub volume_becomes: Cell<&'static str>,
    /// Actions that Nova takes and does not bring about.
    pub failing: RefCell<BTreeSet<&'static str>>,
    /// The `Date` of Nova's answers.
    pub date: RefCell<Option<&'static str>>,
    fates: RefCell<VecDeque<(Method, &'static str, Fate)>>,
}

impl Default for Compute {
    fn default() -> Self {
        let flavor = |id: &str, ram: u64, vcpus: u64, disk: u64| {
            json!({"id": id, "name": id, "ram": ram, "vcpus": vcpus, "disk": disk, "swap": "",
                   "OS-FLV-EXT-DATA:ephemeral": 0, "extra_specs": {}})
        };
        let host = |name: &str, state: &str, zone: &str| json!({"host": name, "state": state, "status": "enabled", "zone": zone, "binary": "nova-compute"});
        Self {
            servers: RefCell::default(),
            volumes: RefCell::default(),
            flavors: RefCell::new(vec![flavor("m1.small", 2048, 1, 20), flavor("m1.large", 8192, 4, 80)]),
            groups: RefCell::default(),
            images: RefCell::new(vec![
                json!({"id": "image-1", "name": "ubuntu", "status": "active", "checksum": "c1", "os_hash_value": "h1"}),
                json!({"id": "image-2", "name": "ubuntu", "status": "queued", "checksum": null}),
            ]),
            types: RefCell::new(vec![json!({"id": "1", "name": "fast", "extra_specs": {}})]),
            migrations: RefCell::default(),
            hosts: RefCell::new(vec![
                host("host1", "up", "nova"),
                host("host2", "up", "nova"),
                host("host3", "down", "nova"),
                host("host4", "up", "edge"),
            ]),
            actions: RefCell::default(),
            made: Cell::new(0),
            newest: Cell::new(93),
            page: Cell::new(1000),
            building: Cell::new(1),
            server_becomes: Cell::new("ACTIVE"),
            volume_becomes: Cell::new("available"),
            failing: RefCell::default(),
            date: RefCell::default(),
            fates: RefCell::default(),
        }
    }
}

impl Compute {
    pub fn servers(&self) -> Vec<Value> {
        self.servers.borrow().clone()
    }

    pub fn volumes(&self) -> Vec<Value> {
        self.volumes.borrow().clone()
    }

    /// Decides about the next request of this method to a path that ends so.
    pub fn next(&self, method: Method, path: &'static str, fate: Fate) {
        self.fates.borrow_mut().push_back((method, path, fate));
    }

    /// Puts a server there that runs, or changes one.
    pub fn put_server(&self, id: &str, status: &str, updated: u64) {
        let mut servers = self.servers.borrow_mut();
        if let Some(server) = servers.iter_mut().find(|server| server["id"] == id) {
            server["status"] = json!(status);
            server["_updated"] = json!(updated);
            return;
        }
        servers.push(json!({
            "id": id, "name": id, "status": status, "OS-EXT-STS:task_state": null, "metadata": {}, "created": "2001",
            "flavor": {"id": "m1.small"}, "image": {"id": "image-1"}, "OS-EXT-SRV-ATTR:host": "host1",
            "OS-EXT-AZ:availability_zone": "nova", "os-extended-volumes:volumes_attached": [],
            "OS-EXT-SRV-ATTR:user_data": "secret", "_updated": updated,
        }));
    }

    /// Changes a field of a server.
    pub fn set(&self, id: &str, key: &str, value: Value) {
        let mut servers = self.servers.borrow_mut();
        let server = servers.iter_mut().find(|server| server["id"] == id).unwrap();
        server[key] = value;
    }

    pub fn server(&self, id: &str) -> Option<Value> {
        self.servers().into_iter().find(|server| server["id"] == id)
    }

    pub fn remove_server(&self, id: &str) {
        self.servers.borrow_mut().retain(|server| server["id"] != id);
    }

    /// Detaches a volume.
    pub fn free_volume(&self, id: &str) {
        let mut volumes = self.volumes.borrow_mut();
        let volume = volumes.iter_mut().find(|volume| volume["id"] == id).unwrap();
        volume["status"] = json!("available");
        volume["attachments"] = json!([]);
    }

    /// Changes a field of a volume.
    pub fn set_volume(&self, id: &str, key: &str, value: Value) {
        let mut volumes = self.volumes.borrow_mut();
        let volume = volumes.iter_mut().find(|volume| volume["id"] == id).unwrap();
        volume[key] = value;
    }

    pub fn put_volume(&self, volume: Value) {
        self.volumes.borrow_mut().push(volume);
    }

    pub fn answer(&self, exchange: &Exchange, neutron: &Neutron) -> Option<Result<Answer, Fault>> {
        let authority = exchange.target.origin.authority.as_str();
        if ![NOVA, CINDER, GLANCE].contains(&authority) {
            return None;
        }
        let fate = {
            let mut fates = self.fates.borrow_mut();
            let fits = |(method, path, _): &(Method, &str, Fate)| {
                *method == exchange.method && exchange.target.path.ends_with(path)
            };
            let at = fates.iter().position(fits);
            at.and_then(|at| fates.remove(at)).map(|(_, _, fate)| fate)
        };
        let act = || match authority {
            NOVA => self.nova(exchange, neutron),
            CINDER => self.cinder(exchange),
            _ => self.glance(exchange),
        };
        Some(match fate {
            Some(Fate::Refused(answer)) => Ok(answer),
            Some(Fate::Lost) => {
                act();
                Err(Fault::Lost("connection reset".into()))
            }
            None => Ok(act()),
        })
    }

    fn id(&self, kind: &str) -> String {
        self.made.set(self.made.get() + 1);
        format!("{kind}-{}", self.made.get())
    }

    fn nova(&self, exchange: &Exchange, neutron: &Neutron) -> Answer {
        let path = exchange.target.path.strip_prefix("/v2.1/").unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let query = neutron::query(&exchange.target.query);
        let given = |name: &str| query.get(name).and_then(|values| values.first()).map(String::as_str);
        let answer = match (exchange.method, parts.as_slice()) {
            (Method::Get, [""]) => ok(&json!({"version": {
                "id": "v2.1", "version": format!("2.{}", self.newest.get()), "min_version": "2.1",
            }})),
            (Method::Get, ["servers", "detail"] | ["servers"]) => self.listed(&given),
            (Method::Post, ["servers"]) => self.make_server(exchange, neutron),
            (Method::Get, ["servers", id]) => match self.look(id) {
                Some(server) => ok(&json!({"server": shown(&server)})),
                None => missing(&format!("Instance {id} could not be found.")),
            },
            (Method::Delete, ["servers", id]) => self.change(id, |server| {
                server["OS-EXT-STS:task_state"] = json!("deleting");
                server["_left"] = json!(1);
                server["_then"] = json!({"_gone": true});
                Answer::new(204)
            }),
            (Method::Post, ["servers", id, "action"]) => self.take_action(id, &body(exchange)),
            (Method::Get, ["servers", id, "os-instance-actions"]) => {
                let all = self.actions.borrow();
                let ours: Vec<&Value> = all
                    .iter()
                    .filter(|(of, _)| of == id)
                    .map(|(_, action)| action)
                    // As Nova does it: the newest first.
                    .rev()
                    .collect();
                ok(&json!({ "instanceActions": ours }))
            }
            (Method::Post, ["servers", _, "remote-consoles"]) => {
                ok(&json!({"remote_console": {"type": "novnc", "url": "https://vnc.example/vnc_auto.html?path=x"}}))
            }
            (Method::Get, ["os-migrations"]) => ok(&json!({"migrations": *self.migrations.borrow()})),
            (Method::Get, ["os-services"]) => {
                let all = self.hosts.borrow();
                let found: Vec<&Value> = all
                    .iter()
                    .filter(|host| given("host").is_none_or(|wanted| host["host"] == wanted))
                    .collect();
                ok(&json!({ "services": found }))
            }
            (Method::Get, ["flavors", "detail"] | ["flavors"]) => ok(&json!({"flavors": *self.flavors.borrow()})),
            (Method::Post, ["flavors"]) => {
                let flavor = body(exchange)["flavor"].clone();
                let mut all = self.flavors.borrow_mut();
                let taken = |key: &str| all.iter().any(|other| other[key] == flavor[key]);
                if taken("id") || taken("name") {
                    return error(409, "conflictingRequest", "Flavor already exists.");
                }
                all.push(flavor.clone());
                ok(&json!({ "flavor": flavor }))
            }
            (Method::Get, ["flavors", id]) => one("flavor", &self.flavors.borrow(), id),
            (Method::Delete, ["flavors", id]) => remove(&mut self.flavors.borrow_mut(), id, 202),
            (Method::Post, ["flavors", id, "os-extra_specs"]) => {
                let mut all = self.flavors.borrow_mut();
                match all.iter_mut().find(|flavor| flavor["id"] == *id) {
                    Some(flavor) => {
                        flavor["extra_specs"] = body(exchange)["extra_specs"].clone();
                        ok(&body(exchange))
                    }
                    None => missing("Flavor could not be found."),
                }
            }
            (Method::Get, ["os-server-groups"]) => {
                let offset = given("offset").map_or(0, |offset| offset.parse().unwrap());
                let groups: Vec<Value> = self.groups.borrow().iter().skip(offset).cloned().collect();
                ok(&json!({ "server_groups": groups }))
            }
            (Method::Post, ["os-server-groups"]) => {
                let mut group = body(exchange)["server_group"].clone();
                group["id"] = json!(self.id("group"));
                self.groups.borrow_mut().push(group.clone());
                ok(&json!({ "server_group": group }))
            }
            (Method::Get, ["os-server-groups", id]) => one("server_group", &self.groups.borrow(), id),
            (Method::Delete, ["os-server-groups", id]) => remove(&mut self.groups.borrow_mut(), id, 204),
            _ => missing("The resource could not be found."),
        };
        match *self.date.borrow() {
            Some(date) => answer.header("Date", date),
            None => answer,
        }
    }

    fn listed<'q>(&self, given: &dyn Fn(&str) -> Option<&'q str>) -> Answer {
        let mut found = self.servers();
        // The newest first.
        found.reverse();
        match given("changes-since").map(|since| time::epoch_seconds(since).unwrap()) {
            Some(since) => found.retain(|server| server["_updated"].as_u64().unwrap() >= since),
            None => found.retain(|server| server["status"] != "DELETED"),
        }
        if let Some(tag) = given("tags") {
            found.retain(|server| server["tags"].as_array().is_some_and(|tags| tags.contains(&json!(tag))));
        }
        if let Some(name) = given("name") {
            found.retain(|server| format!("^{}$", server["name"].as_str().unwrap()) == name);
        }
        if let Some(marker) = given("marker") {
            let Some(at) = found.iter().position(|server| server["id"] == marker) else {
                return error(400, "badRequest", "marker not found");
            };
            found.drain(..=at);
        }
        let limit = given("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
        let most = limit.min(self.page.get());
        let full = found.len() >= most;
        found.truncate(most);
        let servers: Vec<Value> = found.iter().map(shown).collect();
        let mut answer = json!({ "servers": servers });
        // As Nova does it: a full page has a link, whether or not anything follows.
        if full && !found.is_empty() {
            answer["servers_links"] = json!([{"rel": "next", "href": "http://elsewhere.example/"}]);
        }
        ok(&answer)
    }

    /// A look at a server; what it is at goes on by one.
    fn look(&self, id: &str) -> Option<Value> {
        let mut servers = self.servers.borrow_mut();
        let server = servers.iter_mut().find(|server| server["id"] == id)?;
        let left = server["_left"].as_u64().unwrap_or(0);
        if left > 0 {
            server["_left"] = json!(left - 1);
            return Some(server.clone());
        }
        if let Some(then) = server["_then"].take().as_object() {
            server["OS-EXT-STS:task_state"] = Value::Null;
            for (key, value) in then {
                server[key.as_str()] = value.clone();
            }
        }
        let server = server.clone();
        if server["_gone"] != json!(true) {
            return (server["status"] != "DELETED").then_some(server);
        }
        servers.retain(|server| server["id"] != id);
        for volume in self.volumes.borrow_mut().iter_mut() {
            if volume["attachments"][0]["server_id"] == id {
                volume["status"] = json!("available");
                volume["attachments"] = json!([]);
            }
        }
        None
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Value) -> Answer) -> Answer {
        let mut servers = self.servers.borrow_mut();
        match servers.iter_mut().find(|server| server["id"] == id) {
            Some(server) => change(server),
            None => missing(&format!("Instance {id} could not be found.")),
        }
    }

    fn make_server(&self, exchange: &Exchange, neutron: &Neutron) -> Answer {
        let asked = body(exchange)["server"].clone();
        let id = self.id("server");
        let devices = asked["block_device_mapping_v2"].as_array().cloned().unwrap_or_default();
        let mut attached = Vec::new();
        for device in devices.iter().filter(|device| device["source_type"] == "volume") {
            let mut volumes = self.volumes.borrow_mut();
            let Some(volume) = volumes.iter_mut().find(|volume| volume["id"] == device["uuid"]) else {
                return error(
                    400,
                    "badRequest",
                    "Block Device Mapping is Invalid: failed to get volume.",
                );
            };
            if volume["status"] != "available" {
                return error(400, "badRequest", "Invalid volume: status must be 'available'.");
            }
            volume["status"] = json!("in-use");
            volume["attachments"] = json!([{"server_id": id}]);
            attached.push(json!({"id": volume["id"]}));
        }
        for port in asked["networks"].as_array().into_iter().flatten() {
            let mut put = exchange.clone();
            put.method = Method::Put;
            put.target.origin.authority = neutron::HOST.to_owned();
            put.target.path = format!("/v2.0/ports/{}", port["port"].as_str().unwrap());
            put.target.query = String::new();
            put.body = Some(serde_json::to_vec(&json!({"port": {"device_id": id}})).unwrap());
            let bound = neutron.answer(&put).unwrap().unwrap();
            if bound.status != 200 {
                return error(400, "badRequest", "Port could not be found.");
            }
        }
        let image = asked.get("imageRef").map_or(json!(""), |image| json!({ "id": image }));
        self.servers.borrow_mut().push(json!({
            "id": id, "name": asked["name"], "status": "BUILD", "OS-EXT-STS:task_state": "spawning",
            "metadata": asked["metadata"], "tags": asked["tags"], "flavor": {"id": asked["flavorRef"]}, "image": image,
            "OS-EXT-SRV-ATTR:host": "host1", "OS-EXT-AZ:availability_zone": "nova", "created": "2001",
            "os-extended-volumes:volumes_attached": attached, "_asked": asked, "_updated": 1_000_000_000,
            "_left": self.building.get(), "_then": {"status": self.server_becomes.get()},
        }));
        Answer::new(202).json(&json!({"server": {"id": id}}))
    }

    fn take_action(&self, id: &str, asked: &Value) -> Answer {
        let (word, argument) = asked.as_object().unwrap().iter().next().unwrap();
        let server = self.server(id);
        let current = server
            .as_ref()
            .and_then(|server| server["status"].as_str())
            .unwrap_or_default()
            .to_owned();
        let rests = if current == "SHUTOFF" { "SHUTOFF" } else { "ACTIVE" };
        let (name, task, then) = match word.as_str() {
            "os-start" => ("start", "powering-on", json!({"status": "ACTIVE"})),
            "os-stop" => ("stop", "powering-off", json!({"status": "SHUTOFF"})),
            "pause" => ("pause", "pausing", json!({"status": "PAUSED"})),
            "unpause" => ("unpause", "unpausing", json!({"status": "ACTIVE"})),
            "suspend" => ("suspend", "suspending", json!({"status": "SUSPENDED"})),
            "resume" => ("resume", "resuming", json!({"status": "ACTIVE"})),
            "reboot" => ("reboot", "rebooting", json!({"status": "ACTIVE"})),
            "rebuild" => ("rebuild", "rebuilding", json!({"status": rests})),
            "resize" => (
                "resize",
                "resize_prep",
                json!({"status": "VERIFY_RESIZE", "_rests": rests, "_old": server.as_ref().map(|server| server["flavor"].clone()),
                       "flavor": {"id": argument["flavorRef"]}}),
            ),
            "migrate" => (
                "migrate",
                "resize_prep",
                json!({"status": "VERIFY_RESIZE", "_rests": rests, "OS-EXT-SRV-ATTR:host": target(argument)}),
            ),
            "os-migrateLive" => (
                "live-migration",
                "migrating",
                json!({"OS-EXT-SRV-ATTR:host": target(argument)}),
            ),
            "confirmResize" => {
                if current != "VERIFY_RESIZE" {
                    return error(409, "conflictingRequest", "Cannot 'confirmResize' instance.");
                }
                // While it is confirmed neither status nor task tells so, and its record is no finished one any more.
                if server.as_ref().is_some_and(|server| server["_confirming"] == true) {
                    return error(400, "badRequest", "Instance has not been resized.");
                }
                let rests = server.map(|server| server["_rests"].clone());
                ("confirmResize", "", json!({ "status": rests, "_confirming": false }))
            }
            "forceDelete" => ("delete", "deleting", json!({"_gone": true})),
            _ => return error(400, "badRequest", "There is no such action."),
        };
        let fails = self.failing.borrow().contains(name);
        let message = if fails { json!("Error") } else { Value::Null };
        self.actions.borrow_mut().push((
            id.to_owned(),
            json!({"action": name, "start_time": "2001-09-09T01:46:40.000000", "message": message}),
        ));
        self.change(id, |server| {
            server["_left"] = json!(1);
            server["_then"] = if fails { json!({}) } else { then };
            server["OS-EXT-STS:task_state"] = if task.is_empty() { Value::Null } else { json!(task) };
            if name == "confirmResize" {
                server["_left"] = json!(2);
                server["_confirming"] = json!(true);
            }
            Answer::new(202)
        })
    }

    fn cinder(&self, exchange: &Exchange) -> Answer {
        let path = exchange.target.path.strip_prefix("/v3/").unwrap();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let query = neutron::query(&exchange.target.query);
        match (exchange.method, parts.as_slice()) {
            (Method::Get, ["volumes", "detail"]) => {
                let mut found = self.volumes();
                if let Some(wanted) = query.get("metadata").and_then(|values| values.first()) {
                    let wanted: Value = serde_json::from_str(wanted).unwrap();
                    found.retain(|volume| volume["metadata"] == wanted);
                }
                let volumes: Vec<Value> = found.iter().map(shown).collect();
                ok(&json!({ "volumes": volumes }))
            }
            (Method::Post, ["volumes"]) => {
                let mut volume = body(exchange)["volume"].clone();
                let image = volume["imageRef"].clone();
                volume["id"] = json!(self.id("volume"));
                volume["status"] = json!("creating");
                volume["bootable"] = json!(if image.is_null() { "false" } else { "true" });
                volume["volume_image_metadata"] = json!({ "image_id": image });
                volume["attachments"] = json!([]);
                volume["_left"] = json!(self.building.get());
                volume["_then"] = json!(self.volume_becomes.get());
                self.volumes.borrow_mut().push(volume.clone());
                Answer::new(202).json(&json!({"volume": shown(&volume)}))
            }
            (Method::Get, ["volumes", id]) => match self.look_at_volume(id) {
                Some(volume) => ok(&json!({"volume": shown(&volume)})),
                None => missing("Volume could not be found."),
            },
            (Method::Delete, ["volumes", id]) => {
                let mut volumes = self.volumes.borrow_mut();
                let Some(volume) = volumes.iter_mut().find(|volume| volume["id"] == *id) else {
                    return missing("Volume could not be found.");
                };
                if volume["status"] != "available" && volume["status"] != "error" {
                    return error(
                        400,
                        "badRequest",
                        "Invalid volume: Volume status must be available or error.",
                    );
                }
                volume["status"] = json!("deleting");
                volume["_left"] = json!(1);
                volume["_then"] = json!("gone");
                Answer::new(202)
            }
            (Method::Post, ["volumes", _, "action"]) => Answer::new(200),
            (Method::Get, ["types"]) => ok(&json!({"volume_types": *self.types.borrow()})),
            _ => missing("The resource could not be found."),
        }
    }

    fn look_at_volume(&self, id: &str) -> Option<Value> {
        let mut volumes = self.volumes.borrow_mut();
        let volume = volumes.iter_mut().find(|volume| volume["id"] == id)?;
        let left = volume["_left"].as_u64().unwrap_or(0);
        if left > 0 {
            volume["_left"] = json!(left - 1);
            return Some(volume.clone());
        }
        if let Some(then) = volume["_then"].take().as_str() {
            volume["status"] = json!(then);
        }
        let volume = volume.clone();
        if volume["status"] == "gone" {
            volumes.retain(|volume| volume["id"] != id);
            return None;
        }
        Some(volume)
    }

    fn glance(&self, exchange: &Exchange) -> Answer {
        let path = exchange.target.path.strip_prefix("/v2/").unwrap();
        let query = neutron::query(&exchange.target.query);
        let images = self.images.borrow();
        match path.split_once('/') {
            Some((_, id)) => images
                .iter()
                .find(|image| image["id"] == id)
                .map_or_else(|| missing("No image found."), ok),
            None => {
                let name = query.get("name").and_then(|values| values.first());
                let found: Vec<&Value> = images
                    .iter()
                    .filter(|image| name.is_none_or(|name| image["name"] == **name))
                    .collect();
                ok(&json!({ "images": found }))
            }
        }
    }
}

fn target(argument: &Value) -> Value {
    argument["host"]
        .as_str()
        .map_or_else(|| json!("host2"), |host| json!(host))
}

fn shown(element: &Value) -> Value {
    let mut shown = element.clone();
    shown.as_object_mut().unwrap().retain(|key, _| !key.starts_with('_'));
    shown
}

fn body(exchange: &Exchange) -> Value {
    serde_json::from_slice(exchange.body.as_deref().unwrap()).unwrap()
}

fn ok(body: &Value) -> Answer {
    Answer::new(200).json(body)
}

fn one(word: &str, all: &[Value], id: &str) -> Answer {
    match all.iter().find(|element| element["id"] == id) {
        Some(element) => ok(&json!({ word: element })),
        None => missing("The resource could not be found."),
    }
}

fn remove(all: &mut Vec<Value>, id: &str, status: u16) -> Answer {
    let before = all.len();
    all.retain(|element| element["id"] != id);
    if all.len() == before {
        missing("The resource could not be found.")
    } else {
        Answer::new(status)
    }
}

fn missing(message: &str) -> Answer {
    error(404, "itemNotFound", message)
}

/// A refusal in Nova's and Cinder's form.
pub fn error(status: u16, kind: &str, message: &str) -> Answer {
    Answer::new(status).json(&json!({ kind: {"code": status, "message": message} }))
}
