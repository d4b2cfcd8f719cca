//! OSM's LCM as a client: its URLs with two slashes, its YAML, its whole VNF copies (`ng_ro.py` of LCM).

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::Host;

/// The records of a service as NBI makes them: nothing deployed yet.
#[derive(Debug, Clone)]
pub struct Records {
    /// NS record.
    pub nsr: Value,
    /// VNF records.
    pub vnfrs: Vec<Value>,
}

impl Records {
    /// The service of the fixture with what a deployment wrote taken out, its accounts replaced, and a second VNF like the first.
    ///
    /// # Errors
    /// When the fixture is not of the known shape.
    pub fn fixture(text: &str, account: &str) -> anyhow::Result<Self> {
        let text = text.replace("bad7338b-ae46-43d4-a434-c3337a8054ac", account);
        let fixture: Value = serde_json::from_str(&text)?;
        let first = |key: &str| {
            fixture
                .get(key)
                .and_then(|list| list.get(0))
                .cloned()
                .context("fixture has no records")
        };
        let (mut nsr, mut vnfr) = (first("nsrs")?, first("vnfrs")?);
        let nothing_deployed = |record: &mut Value, lists: &[&str]| {
            for list in lists {
                for item in record
                    .get_mut(*list)
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    strip(item);
                }
            }
        };
        nothing_deployed(&mut nsr, &["vld", "image", "flavor"]);
        nothing_deployed(&mut vnfr, &["vdur"]);
        remove(&mut vnfr, "ip-address");
        let second = serde_json::from_str(
            &vnfr
                .to_string()
                .replace(
                    "1b6a4eb3-4fbf-415e-985c-4aeb3161eec0",
                    "17892d73-aa19-4b87-9a00-1d094f07a6b3",
                )
                .replace(
                    "38912ff7-5bdd-4228-911f-c2bee259c44a",
                    "5a1f7a8e-50ea-4d79-a0ac-1a3e7c3b2c11",
                )
                .replace("vnf1", "vnf2"),
        )?;
        Ok(Self {
            nsr,
            vnfrs: vec![vnfr, second],
        })
    }

    /// The NS id.
    #[must_use]
    pub fn id(&self) -> String {
        self.nsr
            .get("_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    /// Writes the records, as NBI and LCM do.
    ///
    /// # Errors
    /// When the host refuses.
    pub async fn put(&self, host: &Host) -> anyhow::Result<()> {
        host.admin_ok(
            "PUT",
            &format!("/v1/records/nsrs/{}", self.id()),
            Some(self.nsr.clone()),
        )
        .await?;
        for vnfr in &self.vnfrs {
            put_vnfr(host, vnfr).await?;
        }
        Ok(())
    }

    /// LCM's body for instantiate and scale: copies of the VNF records with `vim_info` filled for the target.
    #[must_use]
    pub fn deploy_body(&self, action_id: &str, account: &str) -> Value {
        let target = format!("vim:{account}");
        let with_target = |item: &Value, info: Value| {
            let mut item = item.clone();
            if let Some(map) = item.as_object_mut() {
                map.insert("vim_info".to_owned(), json!({&target: info}));
            }
            item
        };
        let list = |record: &Value, key: &str| record.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let vld: Vec<Value> = list(&self.nsr, "vld")
            .iter()
            .map(|item| {
                let mgmt = item.get("id").and_then(Value::as_str) == Some("mgmtnet");
                let name = if mgmt { json!("osm-ext") } else { Value::Null };
                with_target(item, json!({"vim_account_id": account, "vim_network_name": name}))
            })
            .collect();
        // LCM fills only what the target uses: the first image and flavour; the alternative images stay without target.
        let used = |key: &str| -> Vec<Value> {
            list(&self.nsr, key)
                .iter()
                .map(|item| {
                    if item.get("id").and_then(Value::as_str) == Some("0") {
                        with_target(item, json!({}))
                    } else {
                        item.clone()
                    }
                })
                .collect()
        };
        let vnf: Vec<Value> = self
            .vnfrs
            .iter()
            .map(|vnfr| {
                let mut vnfr = vnfr.clone();
                let vdur: Vec<Value> = list(&vnfr, "vdur")
                    .iter()
                    .filter(|vdur| vdur.get("status").and_then(Value::as_str) != Some("DELETING"))
                    .map(|vdur| with_target(vdur, json!({})))
                    .collect();
                if let Some(map) = vnfr.as_object_mut() {
                    map.insert("vdur".to_owned(), Value::Array(vdur));
                }
                vnfr
            })
            .collect();
        json!({
            "action_id": action_id, "name": self.nsr.get("name"), "ns": {"vld": vld}, "vnf": vnf,
            "image": used("image"), "flavor": used("flavor"), "affinity-or-anti-affinity-group": [],
            "cloud_init_content": {"6d9e1ca1-f387-4d01-9876-066fc7311e0f:file:cloud-config.txt":
                "#cloud-config\nhostname: {{ OSM.member_vnf_index }}-{{ OSM.vdu_id }}\n"},
        })
    }
}

/// Takes out what a deployment writes.
fn strip(item: &mut Value) {
    for key in ["vim_info", "ip-address", "status", "vim-id"] {
        remove(item, key);
    }
    for interface in item
        .get_mut("interfaces")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        for key in ["ip-address", "mac-address", "compute_node", "pci", "vlan"] {
            remove(interface, key);
        }
    }
}

fn remove(value: &mut Value, key: &str) {
    value
        .as_object_mut()
        .map(|map: &mut Map<String, Value>| map.remove(key));
}

/// Writes one VNF record.
///
/// # Errors
/// When the host refuses.
async fn put_vnfr(host: &Host, vnfr: &Value) -> anyhow::Result<()> {
    let id = vnfr
        .get("_id")
        .and_then(Value::as_str)
        .context("VNF record without id")?;
    host.admin_ok("PUT", &format!("/v1/records/vnfrs/{id}"), Some(vnfr.clone()))
        .await?;
    Ok(())
}

/// LCM's client.
pub struct Lcm<'h> {
    host: &'h Host,
}

impl<'h> Lcm<'h> {
    /// A client of a host.
    #[must_use]
    pub fn new(host: &'h Host) -> Self {
        Self { host }
    }

    /// One request, LCM's way; the status and the YAML body.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let method: reqwest::Method = method.parse()?;
        // LCM formats `<base>/<path>` with a base that ends in a slash: two slashes after `ro`.
        let mut request = self
            .host
            .http
            .request(method, format!("{}//{path}", self.host.ng_ro))
            .header("Accept", "application/yaml")
            .header("content-type", "application/yaml");
        if let Some(body) = body {
            request = request.body(serde_saphyr::to_string(body)?);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let value = if text.trim().is_empty() {
            Value::Null
        } else {
            serde_saphyr::from_str(&text).with_context(|| format!("not YAML: {text}"))?
        };
        Ok((status, value))
    }

    /// Deploys; answers the action id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn deploy(&self, nsr: &str, body: &Value) -> anyhow::Result<String> {
        let (status, answer) = self.call("POST", &format!("ns/v1/deploy/{nsr}"), Some(body)).await?;
        if status != 200 {
            bail!("deploy answered {status}: {answer}");
        }
        answer
            .get("action_id")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .context("deploy answered no action_id")
    }

    /// Asks for an operation on what is deployed; answers the action id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn operate(&self, topic: &str, nsr: &str, body: &Value) -> anyhow::Result<String> {
        let (status, answer) = self.call("POST", &format!("ns/v1/{topic}/{nsr}"), Some(body)).await?;
        if status != 200 {
            bail!("{topic} answered {status}: {answer}");
        }
        answer
            .get("action_id")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .with_context(|| format!("{topic} answered no action_id"))
    }

    /// LCM's body of start, stop, rebuild and console, made of a VNF record as it is now. What LCM calls the index is the count of the
    /// replica.
    #[must_use]
    pub fn operate_body(topic: &str, vnfr: &Value, vdur: &Value) -> Value {
        let target = vdur
            .get("vim_info")
            .and_then(Value::as_object)
            .and_then(|map| map.keys().next());
        json!({topic: {
            "vim_vm_id": vdur.get("vim-id"), "vnf_id": vnfr.get("_id"), "vdu_id": vdur.get("id"),
            "vdu_index": vdur.get("count-index"), "target_vim": target, "vim_account_id": vnfr.get("vim-account-id"),
        }})
    }

    /// LCM's body for letting a key into a VM.
    #[must_use]
    pub fn inject_body(vnf: &str, vdu: &str, key: &str, user: &str) -> Value {
        json!({"action": {"action": "inject_ssh_key", "key": key, "user": user}, "vnf": [{"_id": vnf, "vdur": [{"id": vdu}]}]})
    }

    /// LCM's terminate body.
    #[must_use]
    pub fn terminate_body(action_id: &str) -> Value {
        json!({"ns": {"vld": []}, "vnf": [], "image": [], "flavor": [], "action_id": action_id})
    }

    /// The status of an action.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn status(&self, nsr: &str, action: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.call("GET", &format!("ns/v1/deploy/{nsr}/{action}"), None).await?;
        if status == 200 {
            Ok(answer)
        } else {
            bail!("status answered {status}: {answer}")
        }
    }

    /// Waits until an action is over.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub async fn wait_done(&self, nsr: &str, action: &str, limit: Duration) -> anyhow::Result<Value> {
        let deadline = std::time::Instant::now() + limit;
        loop {
            let answer = self.status(nsr, action).await?;
            match answer.get("status").and_then(Value::as_str) {
                Some("DONE") => return Ok(answer),
                Some("BUILD") if std::time::Instant::now() < deadline => {}
                _ => bail!("action {action} is not done: {answer:#}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
