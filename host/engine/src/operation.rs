//! What an operation on a service asks for (schemas of NG-RO's `validation.py`), parsed once at the edge.
//!
//! Each topic has a body of its own. Its top level is closed; beside the topic's own keys it may hold those that LCM passes on with the
//! parameters of its operation (`PASSED_ON`). Further in, keys that are not known are ignored: nothing of these bodies is
//! written to a record.
//!
//! The operations on one VM (start, stop, rebuild, console) have one key that names the operation. It has to be that of the URL:
//! NG-RO took the key and ignored the URL, and took an `action_id` for an operation (D35).
//!
//! The one command that is posted as a deploy, `key_injection`, becomes an operation too.

mod key_injection;

use serde_json::{Map, Value, json};
use vimhost_model::{ActionId, ActionKind, ItemId, RecordId, TargetId, VimId};

use crate::Error;
use crate::derive::{self, Field};
use crate::wanted::digest_of;

pub use key_injection::KeyInjection;

/// VNFs and VDUs of one request: more is refused. A service of OSM has a few hundred at most.
const MAX_ITEMS: usize = 10_000;

/// Keys of LCM's operations that say nothing to a resource orchestrator. Time limits (`timeout_ns_…`) are LCM's too.
const PASSED_ON: [&str; 4] = [
    "lcmOperationType",
    "nsInstanceId",
    "verticalScale",
    "targetHostK8sLabels",
];

/// What the URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Power on.
    Start,
    /// Power off.
    Stop,
    /// Make it anew from its image, in place.
    Rebuild,
    /// Open a console.
    Console,
    /// Move to another host.
    Migrate,
    /// Give it another flavour.
    VerticalScale,
    /// Heal: delete and make anew.
    Recreate,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Stop,
        Self::Rebuild,
        Self::Console,
        Self::Migrate,
        Self::VerticalScale,
        Self::Recreate,
    ];

    /// The word in the URL, and the key of an operate body.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Rebuild => "rebuild",
            Self::Console => "console",
            Self::Migrate => "migrate",
            Self::VerticalScale => "verticalscale",
            Self::Recreate => "recreate",
        }
    }

    /// The topic of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == word)
    }
}

/// A parsed request.
#[derive(Debug, Clone)]
pub struct OperationRequest {
    /// The id the client chose.
    pub action_id: Option<ActionId>,
    /// SHA-256 of topic and body.
    pub digest: String,
    /// What is to be done.
    pub operation: Operation,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A power action on one VM.
    Power(Power, Place),
    /// A console of one VM.
    Console(Place),
    /// Move VMs of a VNF.
    Migrate {
        /// The VNF.
        vnf: RecordId,
        /// One VDU; none: all.
        vdu: Option<Replica>,
        /// Where to; none: the VIM chooses.
        host: Option<String>,
    },
    /// Give a VM another size.
    VerticalScale {
        /// The VNF.
        vnf: RecordId,
        /// The VDU.
        vdu: Replica,
        /// Its new size.
        size: Size,
    },
    /// Make VMs anew.
    Recreate {
        /// By VNF.
        vnfs: Vec<Healed>,
        /// Templates by location key, for VDUs whose user data are to be rendered anew.
        cloud_init_content: Map<String, Value>,
    },
    /// Let a public key into VMs.
    InjectKey(KeyInjection),
}

impl Operation {
    /// The kind of action it is.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Power(..) | Self::Console(_) => ActionKind::Operate,
            Self::Migrate { .. } => ActionKind::Migrate,
            Self::VerticalScale { .. } => ActionKind::VerticalScale,
            Self::Recreate { .. } => ActionKind::Recreate,
            Self::InjectKey(_) => ActionKind::InjectSshKey,
        }
    }
}

/// Power actions that LCM knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Start.
    Start,
    /// Shut down.
    Stop,
    /// Rebuild in place.
    Rebuild,
}

impl Power {
    /// NG-RO's word in the task's parameters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "shutoff",
            Self::Rebuild => "rebuild",
        }
    }
}

/// One VM. NG-RO's `vdu_index` is not among it: LCM fills in the replica's count, NG-RO took it for a position (D8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The VNF.
    pub vnf: RecordId,
    /// The VDU.
    pub vdu: ItemId,
    /// The account.
    pub target: TargetId,
    /// The VM as the client knows it.
    pub server: VimId,
}

/// A replica of a VDU of the descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Name or id of the VDU in the descriptor.
    pub name: String,
    /// Which one.
    pub count_index: u64,
}

/// Size of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// MiB.
    pub ram: u64,
    /// Virtual CPUs.
    pub vcpus: u64,
    /// GiB.
    pub disk: u64,
}

/// A VNF to be healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healed {
    /// The VNF.
    pub vnf: RecordId,
    /// Its VDUs; none named: all.
    pub vdus: Vec<Replica>,
}

impl OperationRequest {
    /// Parses the body of a topic.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the field.
    pub fn parse(topic: Topic, body: Value) -> Result<Self, Error> {
        let digest = digest_of(&json!([topic.as_str(), &body]));
        let Value::Object(mut body) = body else {
            return Err(Error::shape("", format!("a {} request is a map", topic.as_str())));
        };
        let action_id = match body.remove("action_id") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.chars().count() <= 255 => {
                Some(ActionId::new(text).map_err(|error| Error::shape("action_id", error.to_string()))?)
            }
            Some(_) => return Err(Error::shape("action_id", "is not a text of 1 to 255 characters")),
        };
        let word = [topic.as_str()];
        let own: &[&str] = match topic {
            Topic::Migrate => &["vnfInstanceId", "vdu", "migrateToHost"],
            Topic::VerticalScale => &["changeVnfFlavorData"],
            Topic::Recreate => &["healVnfData", "cloud_init_content"],
            Topic::Start | Topic::Stop | Topic::Rebuild | Topic::Console => &word,
        };
        close(&body, own)?;
        let operation = match topic {
            Topic::Start => Operation::Power(Power::Start, place(topic, &body)?),
            Topic::Stop => Operation::Power(Power::Stop, place(topic, &body)?),
            Topic::Rebuild => Operation::Power(Power::Rebuild, place(topic, &body)?),
            Topic::Console => Operation::Console(place(topic, &body)?),
            Topic::Migrate => migrate(&body)?,
            Topic::VerticalScale => vertical_scale(&body)?,
            Topic::Recreate => recreate(&body)?,
        };
        Ok(Self {
            action_id,
            digest,
            operation,
        })
    }
}

/// Refuses what the top level may not hold.
fn close(body: &Map<String, Value>, own: &[&str]) -> Result<(), Error> {
    let known = |key: &str| own.contains(&key) || PASSED_ON.contains(&key) || key.starts_with("timeout_ns_");
    match body.keys().find(|key| !known(key)) {
        None => Ok(()),
        Some(other) => Err(Error::shape(
            "",
            format!("Additional properties are not allowed ('{other}' was unexpected)"),
        )),
    }
}

fn place(topic: Topic, body: &Map<String, Value>) -> Result<Place, Error> {
    let field = required(body, topic.as_str())?;
    // Checked although it is not used: whoever sends something else here means another interface.
    shaped(field.whole_of("vdu_index"))?;
    Ok(Place {
        vnf: id(&field, "vnf_id", RecordId::new)?,
        vdu: id(&field, "vdu_id", ItemId::new)?,
        target: id(&field, "target_vim", |text| text.parse())?,
        server: id(&field, "vim_vm_id", VimId::new)?,
    })
}

fn migrate(body: &Map<String, Value>) -> Result<Operation, Error> {
    let vdu = match optional(body, "vdu") {
        None => None,
        Some(field) => Some(replica(&field, "vduId", "vduCountIndex")?),
    };
    let host = match optional(body, "migrateToHost") {
        None => None,
        Some(field) => Some(shaped(field.text())?).filter(|host| !host.is_empty()),
    };
    if host.as_ref().is_some_and(|host| host.len() > 255) {
        return Err(Error::shape("migrateToHost", "is not a text of 1 to 255 characters"));
    }
    let vnf = required(body, "vnfInstanceId")?;
    Ok(Operation::Migrate {
        vnf: parsed(&vnf, RecordId::new)?,
        vdu,
        host,
    })
}

fn vertical_scale(body: &Map<String, Value>) -> Result<Operation, Error> {
    let data = required(body, "changeVnfFlavorData")?;
    let params = shaped(data.require("additionalParams", "an object"))?;
    let size = |key: &str, least: u64| -> Result<u64, Error> {
        let number = shaped(params.require_whole(key))?;
        if number < least {
            return Err(Error::shape(
                format!("{}:{key}", params.path()),
                format!("is less than {least}"),
            ));
        }
        Ok(number)
    };
    Ok(Operation::VerticalScale {
        vnf: id(&data, "vnfInstanceId", RecordId::new)?,
        size: Size {
            ram: size("virtualMemory", 1)?,
            vcpus: size("numVirtualCpu", 1)?,
            disk: size("sizeOfStorage", 0)?,
        },
        vdu: replica(&params, "vduid", "vduCountIndex")?,
    })
}

fn recreate(body: &Map<String, Value>) -> Result<Operation, Error> {
    let list = required(body, "healVnfData")?;
    let Some(entries) = list.value().as_array() else {
        return Err(Error::shape("healVnfData", "is not a list"));
    };
    if entries.is_empty() {
        return Err(Error::shape("healVnfData", "names no VNF"));
    }
    bounded("healVnfData", entries.len())?;
    let mut vnfs = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let entry = Field::new(format!("healVnfData:{index}"), entry);
        let mut vdus = Vec::new();
        if let Some(params) = shaped(entry.get("additionalParams"))? {
            let named = shaped(params.list("vdu"))?;
            bounded(&format!("{}:vdu", params.path()), named.len())?;
            for vdu in named {
                vdus.push(replica(&vdu, "vdu-id", "count-index")?);
            }
        }
        vnfs.push(Healed {
            vnf: id(&entry, "vnfInstanceId", RecordId::new)?,
            vdus,
        });
    }
    let cloud_init_content = match optional(body, "cloud_init_content") {
        None => Map::new(),
        Some(field) => shaped(field.object())?.clone(),
    };
    Ok(Operation::Recreate {
        vnfs,
        cloud_init_content,
    })
}

fn replica(field: &Field<'_>, name: &str, count: &str) -> Result<Replica, Error> {
    Ok(Replica {
        name: shaped(field.require_text(name))?,
        count_index: shaped(field.whole_of(count))?.unwrap_or(0),
    })
}

fn bounded(path: &str, length: usize) -> Result<(), Error> {
    if length > MAX_ITEMS {
        return Err(Error::shape(path, format!("has more than {MAX_ITEMS} entries")));
    }
    Ok(())
}

fn optional<'v>(body: &'v Map<String, Value>, key: &str) -> Option<Field<'v>> {
    let value = body.get(key).filter(|value| !value.is_null());
    value.map(|value| Field::new(key, value))
}

fn required<'v>(body: &'v Map<String, Value>, key: &str) -> Result<Field<'v>, Error> {
    optional(body, key).ok_or_else(|| Error::shape("", format!("'{key}' is a required property")))
}

/// A member that is an id.
fn id<T, E: std::fmt::Display>(
    field: &Field<'_>,
    key: &str,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<T, Error> {
    parsed(&shaped(field.require(key, "a text"))?, parse)
}

fn parsed<T, E: std::fmt::Display>(field: &Field<'_>, parse: impl FnOnce(String) -> Result<T, E>) -> Result<T, Error> {
    let text = shaped(field.text())?;
    parse(text).map_err(|error| Error::shape(field.path(), error.to_string()))
}

/// A field of another shape, for a client.
fn shaped<T>(read: Result<T, derive::Error>) -> Result<T, Error> {
    read.map_err(|error| Error::shape(error.path().unwrap_or_default().to_owned(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(topic: Topic, body: Value) -> String {
        match OperationRequest::parse(topic, body.clone()) {
            Err(Error::Shape { path, .. }) => path,
            other => panic!("{body} was not refused for its shape: {other:?}"),
        }
    }

    fn operate() -> Value {
        json!({"vim_vm_id": "vm1", "vnf_id": "v", "vdu_id": "d", "vdu_index": 1, "target_vim": "vim:x", "vim_account_id": "x"})
    }

    #[test]
    fn the_bodies_of_lcm_are_understood() {
        let parse = |topic, body| OperationRequest::parse(topic, body).unwrap();
        let place = Place {
            vnf: "v".parse().unwrap(),
            vdu: "d".parse().unwrap(),
            target: "vim:x".parse().unwrap(),
            server: "vm1".parse().unwrap(),
        };
        let stop = parse(Topic::Stop, json!({"stop": operate()}));
        assert_eq!(stop.operation, Operation::Power(Power::Stop, place.clone()));
        assert_eq!(stop.action_id, None);
        let console = parse(Topic::Console, json!({"console": operate()}));
        assert_eq!(console.operation, Operation::Console(place));
        let replica = |name: &str, count_index| Replica {
            name: name.to_owned(),
            count_index,
        };
        let migrate = parse(
            Topic::Migrate,
            json!({"lcmOperationType": "migrate", "nsInstanceId": "n", "vnfInstanceId": "v", "migrateToHost": "",
                   "vdu": {"vduId": "vm", "vduCountIndex": 2}}),
        );
        assert_eq!(
            migrate.operation,
            Operation::Migrate {
                vnf: "v".parse().unwrap(),
                vdu: Some(replica("vm", 2)),
                host: None
            }
        );
        let scale = parse(
            Topic::VerticalScale,
            json!({"lcmOperationType": "verticalscale", "verticalScale": "CHANGE_VNFFLAVOR", "nsInstanceId": "n",
                   "changeVnfFlavorData": {"vnfInstanceId": "v", "additionalParams": {
                       "vduid": "vm", "vduCountIndex": 0, "virtualMemory": "2048", "numVirtualCpu": 2, "sizeOfStorage": 20}}}),
        );
        assert_eq!(
            scale.operation,
            Operation::VerticalScale {
                vnf: "v".parse().unwrap(),
                vdu: replica("vm", 0),
                size: Size {
                    ram: 2048,
                    vcpus: 2,
                    disk: 20
                }
            }
        );
        let heal = parse(
            Topic::Recreate,
            json!({"action_id": "op", "lcmOperationType": "heal", "nsInstanceId": "n", "timeout_ns_heal": 60, "healVnfData": [
                {"vnfInstanceId": "v", "cause": "dead", "additionalParams": {"run-day1": true, "vdu": [
                    {"vdu-id": "vm", "count-index": 1, "run-day1": false}, {"vdu-id": "other"}]}},
                {"vnfInstanceId": "w"}]}),
        );
        assert_eq!(
            heal.operation,
            Operation::Recreate {
                vnfs: vec![
                    Healed {
                        vnf: "v".parse().unwrap(),
                        vdus: vec![replica("vm", 1), replica("other", 0)]
                    },
                    Healed {
                        vnf: "w".parse().unwrap(),
                        vdus: vec![]
                    }
                ],
                cloud_init_content: Map::new()
            }
        );
        assert_eq!(heal.action_id.unwrap().as_str(), "op");
    }

    #[test]
    fn d35_the_key_of_an_operation_is_that_of_the_url_and_an_action_id_is_no_operation() {
        assert_eq!(refused(Topic::Stop, json!({"start": operate()})), "");
        assert_eq!(refused(Topic::Stop, json!({"stop": operate(), "start": operate()})), "");
        let request = OperationRequest::parse(Topic::Start, json!({"action_id": "a", "start": operate()})).unwrap();
        assert_eq!(request.action_id.unwrap().as_str(), "a");
    }

    #[test]
    fn each_wrong_field_is_named() {
        let with = |key: &str, value: Value| {
            let mut body = operate();
            body[key] = value;
            json!({"stop": body})
        };
        for (key, value) in [
            ("vnf_id", Value::Null),
            ("vdu_id", json!("")),
            ("vdu_index", json!("first")),
            ("target_vim", json!("mars")),
            ("vim_vm_id", json!(["vm"])),
        ] {
            assert_eq!(refused(Topic::Stop, with(key, value)), format!("stop:{key}"));
        }
        for (topic, body, path) in [
            (Topic::Stop, json!([]), ""),
            (Topic::Stop, json!({}), ""),
            (Topic::Stop, json!({"stop": 5}), "stop"),
            (Topic::Migrate, json!({"nonsense": 1, "vnfInstanceId": "v"}), ""),
            (Topic::Migrate, json!({"vdu": {"vduId": "a"}}), ""),
            (Topic::Migrate, json!({"vnfInstanceId": "v", "vdu": {}}), "vdu:vduId"),
            (
                Topic::Migrate,
                json!({"vnfInstanceId": "v", "migrateToHost": {}}),
                "migrateToHost",
            ),
            (Topic::VerticalScale, json!({}), ""),
            (
                Topic::VerticalScale,
                json!({"changeVnfFlavorData": {"vnfInstanceId": "v"}}),
                "changeVnfFlavorData:additionalParams",
            ),
            (Topic::Recreate, json!({}), ""),
            (Topic::Recreate, json!({"healVnfData": []}), "healVnfData"),
            (Topic::Recreate, json!({"healVnfData": {}}), "healVnfData"),
            (
                Topic::Recreate,
                json!({"healVnfData": [{}]}),
                "healVnfData:0:vnfInstanceId",
            ),
            (
                Topic::Recreate,
                json!({"healVnfData": [{"vnfInstanceId": "v", "additionalParams": {"vdu": [{"count-index": 1}]}}]}),
                "healVnfData:0:additionalParams:vdu:0:vdu-id",
            ),
            (Topic::Recreate, json!({"healVnfData": [], "action_id": 5}), "action_id"),
        ] {
            assert_eq!(refused(topic, body.clone()), path, "{body}");
        }
        let mut scale = json!({"changeVnfFlavorData": {"vnfInstanceId": "v", "additionalParams": {
            "vduid": "vm", "virtualMemory": 0, "numVirtualCpu": 2, "sizeOfStorage": 20}}});
        assert_eq!(
            refused(Topic::VerticalScale, scale.clone()),
            "changeVnfFlavorData:additionalParams:virtualMemory"
        );
        scale["changeVnfFlavorData"]["additionalParams"]["virtualMemory"] = json!(1);
        assert!(OperationRequest::parse(Topic::VerticalScale, scale).is_ok());
    }
}
