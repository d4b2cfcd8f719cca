//! What a deploy request asks for (`deploy_schema` of NG-RO's `validation.py`), parsed once at the edge.
//!
//! Items and VNFs are open objects: what vimhost does not know is kept and written to the record. The top level is closed.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use vimhost_model::{ActionId, ItemId, ItemList, RecordId, TargetId, hex};

use crate::Error;

/// Items of a list, VNFs of a request: more is refused. A service of OSM has a few hundred at most.
const MAX_ITEMS: usize = 10_000;

/// A parsed deploy request.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// The id the client chose.
    pub action_id: Option<ActionId>,
    /// SHA-256 of the body: the same id with the same digest is the same request.
    pub digest: String,
    /// The wanted state.
    pub wanted: Wanted,
}

/// Everything a service is to consist of. What is absent is to be deleted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Name of the service, needed as soon as a network or VM is made.
    pub name: Option<String>,
    /// Items of the NS record: networks, images, flavours, groups, shared volumes.
    pub ns: Vec<(ItemList, Vec<WantedItem>)>,
    /// VNFs.
    pub vnfs: Vec<WantedVnf>,
    /// Templates by location key.
    pub cloud_init_content: Map<String, Value>,
}

/// One VNF.
#[derive(Debug, Clone)]
pub struct WantedVnf {
    /// Id of the VNF record.
    pub id: RecordId,
    /// Its networks.
    pub vld: Vec<WantedItem>,
    /// Its VMs.
    pub vdur: Vec<WantedItem>,
    /// The VNF as sent.
    pub document: Map<String, Value>,
    /// Where it stands in the request, for error texts: `vnf:0`.
    pub path: String,
}

/// One item.
#[derive(Debug, Clone)]
pub struct WantedItem {
    /// Its id; its position as text when the request gives none, as in NG-RO.
    pub id: ItemId,
    /// Targets it is wanted on, with the parameters for each.
    pub targets: Vec<(TargetId, Value)>,
    /// Sharing key.
    pub common_id: Option<String>,
    /// The item as sent, `id` filled in.
    pub document: Value,
    /// Where it stands in the request: `vnf:0:vdur:1`.
    pub path: String,
}

impl DeployRequest {
    /// Parses a body.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the field, also for a command: that is no wanted state (see [`crate::operation`]).
    pub fn parse(body: Value) -> Result<Self, Error> {
        let digest = digest_of(&body);
        let Value::Object(mut body) = body else {
            return Err(Error::shape("", "a deploy request is a map"));
        };
        let action_id = match body.remove("action_id") {
            None => None,
            Some(Value::String(text)) if text.chars().count() <= 255 => {
                Some(ActionId::new(text).map_err(|error| Error::shape("action_id", error.to_string()))?)
            }
            Some(_) => return Err(Error::shape("action_id", "is not a text of 1 to 255 characters")),
        };
        let name = match body.remove("name") {
            None => None,
            Some(value) => Some(short_text("name", &value)?),
        };
        let mut wanted = Wanted {
            name,
            ..Wanted::default()
        };
        let mut ns_vld = Vec::new();
        for (key, value) in body {
            match key.as_str() {
                "ns" => {
                    let Value::Object(mut ns) = value else {
                        return Err(Error::shape("ns", "is not a map"));
                    };
                    ns_vld = items("ns:vld", ns.remove("vld"))?;
                }
                "vnf" => wanted.vnfs = vnfs(value)?,
                "image" | "flavor" | "affinity-or-anti-affinity-group" | "shared-volumes" => {
                    if let Some(list) = ItemList::from_name(&key) {
                        wanted.ns.push((list, items(&key, Some(value))?));
                    }
                }
                "cloud_init_content" => {
                    let Value::Object(map) = value else {
                        return Err(Error::shape("cloud_init_content", "is not a map"));
                    };
                    wanted.cloud_init_content = map;
                }
                // Releases 14 and later; LCM sends it for descriptors that have it.
                "vnffg" if value.as_array().is_some_and(Vec::is_empty) || value.is_null() => {}
                "vnffg" => return Err(Error::shape("vnffg", "service function chains are not served")),
                other => {
                    return Err(Error::shape(
                        "",
                        format!("Additional properties are not allowed ('{other}' was unexpected)"),
                    ));
                }
            }
        }
        wanted.ns.push((ItemList::Vld, ns_vld));
        // Networks first, as NG-RO orders a service's tasks.
        wanted.ns.sort_by_key(|(list, _)| *list);
        Ok(Self {
            action_id,
            digest,
            wanted,
        })
    }
}

impl Wanted {
    /// The wanted items of a list of the NS record; absent lists are empty.
    #[must_use]
    pub fn ns_items(&self, list: ItemList) -> &[WantedItem] {
        self.ns
            .iter()
            .find(|(of, _)| *of == list)
            .map_or(&[], |(_, items)| items.as_slice())
    }
}

/// SHA-256 of a JSON value, keys in order, hexadecimal.
#[must_use]
pub fn digest_of(value: &Value) -> String {
    // serde_json's maps are sorted, so equal bodies have equal texts whatever order they were sent in.
    hex(&Sha256::digest(value.to_string().as_bytes()))
}

pub(crate) fn short_text(path: &str, value: &Value) -> Result<String, Error> {
    let text = value.as_str().filter(|text| (1..=255).contains(&text.chars().count()));
    text.map(str::to_owned)
        .ok_or_else(|| Error::shape(path, "is not a text of 1 to 255 characters"))
}

fn vnfs(value: Value) -> Result<Vec<WantedVnf>, Error> {
    let Value::Array(list) = value else {
        return Err(Error::shape("vnf", "is not a list"));
    };
    if list.len() > MAX_ITEMS {
        return Err(Error::shape("vnf", format!("has more than {MAX_ITEMS} entries")));
    }
    let mut vnfs: Vec<WantedVnf> = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let path = format!("vnf:{index}");
        let Value::Object(mut document) = value else {
            return Err(Error::shape(path, "is not a map"));
        };
        let id = match document.get("_id") {
            Some(Value::String(text)) if looks_like_uuid(text) => text.clone(),
            Some(_) => return Err(Error::shape(format!("{path}:_id"), "is not a UUID")),
            None => return Err(Error::shape(path, "'_id' is a required property")),
        };
        let id = RecordId::new(id).map_err(|error| Error::shape(format!("{path}:_id"), error.to_string()))?;
        if vnfs.iter().any(|vnf| vnf.id == id) {
            return Err(Error::shape(
                format!("{path}:_id"),
                format!("VNF '{id}' stands in the request twice"),
            ));
        }
        let vld = items(&format!("{path}:vld"), document.remove("vld"))?;
        let vdur = items(&format!("{path}:vdur"), document.remove("vdur"))?;
        vnfs.push(WantedVnf {
            id,
            vld,
            vdur,
            document,
            path,
        });
    }
    Ok(vnfs)
}

fn looks_like_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Parses a list of items; absent is empty.
pub(crate) fn items(path: &str, value: Option<Value>) -> Result<Vec<WantedItem>, Error> {
    let list = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Error::shape(path, "is not a list")),
    };
    if list.len() > MAX_ITEMS {
        return Err(Error::shape(path, format!("has more than {MAX_ITEMS} entries")));
    }
    let mut ids = std::collections::HashSet::new();
    let mut items = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let item = item(format!("{path}:{index}"), index, value)?;
        if !ids.insert(item.id.clone()) {
            return Err(Error::shape(
                format!("{}:id", item.path),
                format!("id '{}' stands in the list twice", item.id),
            ));
        }
        items.push(item);
    }
    Ok(items)
}

fn item(path: String, index: usize, value: Value) -> Result<WantedItem, Error> {
    let Value::Object(mut document) = value else {
        return Err(Error::shape(path, "is not a map"));
    };
    let id = match document.get("id") {
        None => index.to_string(),
        Some(Value::String(text)) => text.clone(),
        // LCM sends the id of an alternative image as integer.
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => {
            return Err(Error::shape(
                format!("{path}:id"),
                "is not a text of 1 to 255 characters",
            ));
        }
    };
    let id = ItemId::new(id).map_err(|error| Error::shape(format!("{path}:id"), error.to_string()))?;
    document.insert("id".to_owned(), Value::String(id.to_string()));
    let common_id = match document.get("common_id") {
        None | Some(Value::Null) => None,
        Some(value) => Some(short_text(&format!("{path}:common_id"), value)?),
    };
    let mut targets = Vec::new();
    match document.get("vim_info") {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (target, info) in map {
                if info.is_null() {
                    continue;
                }
                let place = || format!("{path}:vim_info:{target}");
                let parsed: TargetId = target
                    .parse()
                    .map_err(|error| Error::shape(place(), format!("{error}")))?;
                if !info.is_object() {
                    return Err(Error::shape(place(), "is not a map"));
                }
                targets.push((parsed, info.clone()));
            }
        }
        Some(_) => return Err(Error::shape(format!("{path}:vim_info"), "is not a map")),
    }
    Ok(WantedItem {
        id,
        targets,
        common_id,
        document: Value::Object(document),
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: Value) -> (String, String) {
        let Error::Shape { path, reason } = DeployRequest::parse(body).unwrap_err() else {
            panic!("not refused for its shape");
        };
        (path, reason)
    }

    #[test]
    fn a_terminate_body_of_lcm_wants_nothing() {
        let request =
            DeployRequest::parse(json!({"ns": {"vld": []}, "vnf": [], "image": [], "flavor": [], "action_id": "op:1"}))
                .unwrap();
        assert_eq!(request.action_id.unwrap().as_str(), "op:1");
        assert!(request.wanted.vnfs.is_empty() && request.wanted.ns.iter().all(|(_, items)| items.is_empty()));
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(refused(json!([])).0, "");
        assert_eq!(
            refused(json!({"nonsense": 1})).1,
            "Additional properties are not allowed ('nonsense' was unexpected)"
        );
        assert_eq!(refused(json!({"action_id": ""})).0, "action_id");
        assert_eq!(refused(json!({"vnf": [{}]})).0, "vnf:0");
        assert_eq!(refused(json!({"vnf": [{"_id": "x"}]})).0, "vnf:0:_id");
        let vnf = json!({"_id": "1b6a4eb3-4fbf-415e-985c-4aeb3161eec0"});
        assert_eq!(refused(json!({"vnf": [vnf, vnf]})).0, "vnf:1:_id");
        assert_eq!(refused(json!({"image": [{"id": ""}]})).0, "image:0:id");
        assert_eq!(refused(json!({"image": [{"id": "a"}, {"id": "a"}]})).0, "image:1:id");
        assert_eq!(
            refused(json!({"flavor": [{"vim_info": {"mars": {}}}]})).0,
            "flavor:0:vim_info:mars"
        );
        assert_eq!(refused(json!({"ns": {"vld": {}}})).0, "ns:vld");
        assert_eq!(
            refused(json!({"vnffg": [{"sfp": []}]})),
            ("vnffg".to_owned(), "service function chains are not served".to_owned())
        );
        assert!(DeployRequest::parse(json!({"vnffg": []})).is_ok());
    }

    #[test]
    fn an_item_without_id_is_known_by_its_position_and_an_integer_id_is_text() {
        let request =
            DeployRequest::parse(json!({"image": [{"image": "a"}, {"id": 7, "vim_info": {"vim:x": null}}]})).unwrap();
        let images = request.wanted.ns_items(ItemList::Image);
        assert_eq!(images[0].id.as_str(), "0");
        assert_eq!(images[1].document["id"], "7");
        assert!(images[1].targets.is_empty());
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_keys() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b": {"d": 3, "c": 2}, "a": 1}"#).unwrap();
        assert_eq!(digest_of(&one), digest_of(&two));
    }
}
