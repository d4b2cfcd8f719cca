//! A database as OSM and NG-RO left it, and a VIM with what NG-RO's connector had made in it.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mock_vim::Faults;
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};
use vimhost_mongod::Kind;
use vimhost_tests::{Cluster, Host, Lcm, PASSWORD, Setup, VimUser, binary, start_vim, wait_until};

pub const LIMIT: Duration = Duration::from_secs(60);
pub const TARGET: &str = "vim:cloud";

/// JSON as a document of MongoDB.
pub fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Bson::Int64(integer),
            None => Bson::Double(number.as_f64().unwrap()),
        },
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(values) => Bson::Array(values.iter().map(bson).collect()),
        Value::Object(map) => Bson::Document(map.iter().map(|(key, value)| (key.clone(), bson(value))).collect()),
    }
}

fn document(value: &Value) -> Document {
    bson(value).as_document().unwrap().clone()
}

/// Now, in seconds, as NG-RO writes it.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What NG-RO's connector made for one VM.
pub struct Vm {
    pub id: String,
    pub info: Value,
}

pub struct World {
    pub vim: mock_vim::Server,
    user: VimUser,
    cluster: Cluster,
    uri: String,
    name: String,
    pub database: mongodb::Database,
}

impl World {
    /// OSM with one account, and nothing deployed.
    pub async fn new(name: &str) -> Self {
        let vim = start_vim(Faults::default()).await.unwrap();
        let user = VimUser::log_in(&vim).await.unwrap();
        let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
        let name = format!("takeover-{name}-{}", std::process::id());
        let database = Client::with_uri_str(&uri).await.unwrap().database(&name);
        let world = Self {
            cluster: Cluster::new(&uri, &name).unwrap(),
            user,
            uri,
            name,
            database,
            vim,
        };
        world
            .insert("admin", &json!({"_id": "version", "status": "ENABLED"}))
            .await;
        let account = json!({
            "_id": "cloud", "name": "cloud", "vim_type": "mock", "vim_url": world.vim.url(), "vim_user": "mock",
            "vim_tenant_name": "mock", "vim_password": PASSWORD, "schema_version": "1.0", "config": {},
            "_admin": {"operationalState": "ENABLED", "detailed-status": "", "operations": []},
        });
        world.insert("vim_accounts", &account).await;
        world
    }

    pub async fn insert(&self, collection: &str, value: &Value) {
        let collection = self.database.collection::<Document>(collection);
        collection.insert_one(document(value)).await.unwrap();
    }

    pub async fn set(&self, id: &str, set: Document) {
        let tasks = self.database.collection::<Document>("ro_tasks");
        let changed = tasks.update_one(doc! {"_id": id}, doc! {"$set": set}).await.unwrap();
        assert_eq!(changed.matched_count, 1, "{id}");
    }

    /// Every collection with its documents, as texts in order.
    pub async fn all(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::new();
        for name in self.database.list_collection_names().await.unwrap() {
            let collection = self.database.collection::<Document>(&name);
            let mut cursor = collection.find(doc! {}).sort(doc! {"_id": 1}).await.unwrap();
            let mut documents = Vec::new();
            while cursor.advance().await.unwrap() {
                documents.push(cursor.deserialize_current().unwrap().to_string());
            }
            all.insert(name, documents);
        }
        all
    }

    /// Makes an element in the VIM, without any token of vimhost's; answers its id.
    pub async fn make(&self, kind: &str, body: Value) -> String {
        self.user.make(kind, &body).await.unwrap()
    }

    pub fn preset(&self, network: &str) -> String {
        let inventory = self.vim.inventory();
        let found = inventory.networks.iter().find(|known| known.meta.name == network);
        found.unwrap().meta.id.clone()
    }

    pub fn image(&self) -> String {
        let inventory = self.vim.inventory();
        let found = inventory.images.iter().find(|known| known.meta.name == "ubuntu18.04");
        found.unwrap().meta.id.clone()
    }

    /// A VM with a port in each network and two volumes, the second of which is to be kept.
    pub async fn make_vm(&self, name: &str, networks: &[String], flavour: &str, group: Option<&str>) -> Vm {
        let mut ports = Vec::new();
        for (index, network) in networks.iter().enumerate() {
            let port = json!({"name": format!("eth{index}"), "network": network});
            ports.push(self.make("ports", port).await);
        }
        let mut volumes = Vec::new();
        for index in 0..2 {
            let volume = json!({"name": format!("{name}vd{index}"), "size": 1});
            volumes.push(self.make("volumes", volume).await);
        }
        let server = json!({"name": name, "flavour": flavour, "image": self.image(), "group": group, "ports": ports, "volumes": volumes});
        let id = self.make("servers", server).await;
        let inventory = self.vim.inventory();
        let of_port = |id: &String| {
            let port = inventory.ports.iter().find(|port| port.meta.id == *id).unwrap();
            json!({"vim_interface_id": id, "vim_net_id": port.network, "ip_address": port.ip.to_string(), "mac_address": port.mac,
                   "compute_node": null, "pci": null, "vlan": null, "vim_info": "{}"})
        };
        let interfaces: Vec<Value> = ports.iter().map(of_port).collect();
        let mut items: Vec<(String, Value)> = ports.iter().map(|id| (format!("port:{id}"), json!(true))).collect();
        items.push((format!("volume:{}", volumes[0]), json!(true)));
        items.push((format!("volume:{}:keep", volumes[1]), json!(true)));
        let items: serde_json::Map<String, Value> = items.into_iter().collect();
        let info = json!({
            "created": true, "created_items": items, "vim_id": id, "vim_name": name, "vim_status": "ACTIVE", "vim_details": "{}",
            "vim_message": null, "refresh_at": -1, "interfaces_vim_ids": ports, "interfaces": interfaces, "interfaces_backup": [],
        });
        Vm { id, info }
    }

    /// Runs the command; the exit code, the report and what was said.
    pub fn import(&self, arguments: &[&str]) -> (i32, Value, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        let report = serde_json::from_slice(&stdout).unwrap_or(Value::Null);
        (status.code().unwrap(), report, said)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary().unwrap());
        command
            .args(["import-ng-ro", "-o", "json", "--mongodb-database", &self.name])
            .args(arguments)
            .env("VIMHOST_MONGODB_URI", &self.uri);
        command
    }

    /// A host on the database, that follows OSM's accounts in it.
    pub fn setup(&self) -> Setup {
        let mut setup = self.cluster.setup("one");
        for (name, value) in [("OSMRO_DATABASE_URI", &self.uri), ("OSMRO_DATABASE_NAME", &self.name)] {
            setup.environment.push((name.to_owned(), value.clone()));
        }
        setup
    }

    /// A host that has the account.
    pub async fn start(&self) -> Host {
        let host = Host::start(&self.setup()).unwrap();
        wait_until("the account", LIMIT, || async {
            let (status, account) = host.admin("GET", "/v1/vims/cloud", None).await?;
            Ok(status == 200 && account["state"] == "ENABLED")
        })
        .await
        .unwrap();
        host
    }
}

/// A document of NG-RO with its tasks.
pub fn ro_task(id: &str, vim_info: Value, tasks: Vec<Value>) -> Value {
    let at = now() - 3600.0;
    json!({"_id": id, "target_id": TARGET, "locked_by": null, "locked_at": at.floor() as i64 - 300, "created_at": at,
           "modified_at": at + 1.0, "to_check_at": -1, "vim_info": vim_info, "tasks": tasks})
}

/// A CREATE as NG-RO plans it.
pub fn create(nsr: &str, id: &str, item: &str, at: (&str, usize, &str), more: Value) -> Value {
    let (list, position, item_id) = at;
    let (action, _) = id.rsplit_once(':').unwrap();
    let mut task = json!({
        "action_id": action, "nsr_id": nsr, "task_id": id, "status": "DONE", "action": "CREATE", "item": item,
        "target_record": format!("{list}.{position}.vim_info.{TARGET}"), "target_record_id": format!("{list}.{item_id}"),
    });
    for (key, value) in more.as_object().unwrap() {
        task[key] = value.clone();
    }
    task
}

/// The parameters of a VM, as NG-RO derives them.
pub fn vm_params(nsr: &str, name: &str) -> Value {
    json!({
        "name": name, "description": "vm", "start": true, "image_id": format!("TASK-nsrs:{nsr}:image.0"),
        "flavor_id": format!("TASK-nsrs:{nsr}:flavor.0"),
        "affinity_group_list": [{"affinity_group_id": format!("TASK-nsrs:{nsr}:affinity-or-anti-affinity-group.0")}],
        "net_list": [
            {"name": "eth0", "net_id": format!("TASK-nsrs:{nsr}:vld.mgmt"), "type": "virtual", "use": "mgmt"},
            {"name": "eth1", "net_id": format!("TASK-nsrs:{nsr}:vld.data"), "type": "virtual", "use": "bridge", "model": "PARAVIRT"}],
        "cloud_config": null, "disk_list": [{"size": 1, "keep": false}, {"size": 1, "keep": true}],
        "availability_zone_index": null, "availability_zone_list": null,
    })
}

pub fn vm_needs(nsr: &str) -> Value {
    let ids = [
        "image.0",
        "flavor.0",
        "vld.mgmt",
        "vld.data",
        "affinity-or-anti-affinity-group.0",
    ];
    json!(ids.map(|id| format!("nsrs:{nsr}:{id}")))
}

/// A VDU of a record.
pub fn vdur(id: &str, count: usize, vm: Option<&Vm>) -> Value {
    let mut vdur = json!({
        "id": id, "_id": id, "vdu-name": "vm", "vdu-id-ref": "vm", "count-index": count, "ns-image-id": "0", "ns-flavor-id": "0",
        "affinity-or-anti-affinity-group-id": ["0"], "virtual-storages": [], "additionalParams": {},
        "interfaces": [
            {"name": "eth0", "ns-vld-id": "mgmt", "mgmt-interface": true, "mgmt-vnf": true, "type": "PARAVIRT"},
            {"name": "eth1", "ns-vld-id": "data", "type": "PARAVIRT"}],
    });
    if let Some(vm) = vm {
        let mut shown = vm.info.clone();
        for own in ["created", "created_items", "refresh_at", "interfaces_vim_ids"] {
            shown.as_object_mut().unwrap().remove(own);
        }
        shown["interfaces_backup"] = shown["interfaces"].clone();
        vdur["vim_info"] = json!({TARGET: shown});
        vdur["vim-id"] = json!(vm.id);
        vdur["status"] = json!("ACTIVE");
    }
    vdur
}

/// The records of a service; `ids` are those of its elements in the VIM.
pub fn nsr(id: &str, ids: [&str; 5]) -> Value {
    let on = |vim_id: &str, status: &str| json!({TARGET: {"vim_id": vim_id, "vim_status": status, "vim_details": null, "vim_message": null}});
    let [mgmt, data, image, flavour, group] = ids;
    json!({
        "_id": id, "id": id, "name": "web",
        "vld": [{"id": "mgmt", "name": "mgmt", "mgmt-network": true, "vim_info": on(mgmt, "ACTIVE")},
                {"id": "data", "name": "data", "vim_info": on(data, "ACTIVE")}],
        "image": [{"id": "0", "image": "ubuntu18.04", "vim_info": on(image, "DONE")}],
        "flavor": [{"id": "0", "name": "small", "memory-mb": 1024, "storage-gb": 10, "vcpu-count": 1, "vim_info": on(flavour, "DONE")}],
        "affinity-or-anti-affinity-group":
            [{"id": "0", "name": "apart", "type": "anti-affinity", "scope": "nfvi-node", "vim_info": on(group, "DONE")}],
    })
}

/// LCM's body: the service as its records have it now, with the VDUs that are to be.
pub async fn body(host: &Host, nsr: &str, vnf: &str, action: &str, vdus: &[&str]) -> Value {
    let record = |collection: &'static str, id: &str| {
        let path = format!("/v1/records/{collection}/{id}");
        async move { host.admin_ok("GET", &path, None).await.unwrap() }
    };
    let (ns, vnfr) = (record("nsrs", nsr).await, record("vnfrs", vnf).await);
    let wanted = |list: &Value| -> Vec<Value> {
        let items = list.as_array().unwrap().iter().cloned();
        items
            .map(|mut item| {
                let network = if item["id"] == "mgmt" {
                    json!("osm-ext")
                } else {
                    Value::Null
                };
                item["vim_info"] = json!({TARGET: {"vim_network_name": network}});
                item
            })
            .collect()
    };
    let vdur: Vec<Value> = wanted(&vnfr["vdur"])
        .into_iter()
        .filter(|vdur| vdus.contains(&vdur["id"].as_str().unwrap()))
        .collect();
    // LCM sends the whole record of the VNF.
    let mut of_vnf = vnfr;
    of_vnf["vdur"] = json!(vdur);
    json!({
        "action_id": action, "name": "web", "ns": {"vld": wanted(&ns["vld"])}, "image": wanted(&ns["image"]), "flavor": wanted(&ns["flavor"]),
        "affinity-or-anti-affinity-group": wanted(&ns["affinity-or-anti-affinity-group"]), "cloud_init_content": {},
        "vnf": [of_vnf],
    })
}

/// Terminates a service with LCM's calls, and forgets it.
pub async fn terminate(host: &Host, nsr: &str) {
    let lcm = Lcm::new(host);
    let action = lcm.deploy(nsr, &Lcm::terminate_body("end")).await.unwrap();
    lcm.wait_done(nsr, &action, LIMIT).await.unwrap();
    let (status, _) = lcm.call("DELETE", &format!("ns/v1/deploy/{nsr}"), None).await.unwrap();
    assert_eq!(status, 204);
}
