//! NG-RO's resource documents (`ro_tasks`), read into types (NG-RO engine 2.2, 2.3).
//!
//! Read leniently where releases differ and a missing field has a meaning, strictly where a wrong reading would lose an element: a document
//! that is not understood is an error that names it, and nothing of its services is taken over.

use std::time::Duration;

use serde_json::{Map, Value};
use vimhost_model::{
    ActionId, Collection, Item, ItemId, ItemList, NsrId, RecordId, TargetId, TaskAction, TaskId, Timestamp, VimId,
};

/// How long NG-RO's lock on a document keeps other processes away (NG-RO engine 8, 15).
const LOCK: f64 = 300.0;

/// A resource document as the database has it.
#[derive(Debug, Clone, PartialEq)]
pub struct RawDocument {
    /// The document.
    pub document: Value,
    /// Keys of `vim_info.created_items` that are not null, in the database's order: the order in which the elements were made.
    pub created_items: Vec<String>,
}

impl RawDocument {
    /// A document whose created items are in the order of its map.
    #[must_use]
    pub fn of(document: Value) -> Self {
        let items = document.pointer("/vim_info/created_items").map(items_of);
        Self {
            created_items: items.unwrap_or_default(),
            document,
        }
    }
}

/// The created items of a map that are not gone: null means that the connector has deleted it.
pub(super) fn items_of(map: &Value) -> Vec<String> {
    let entries = map.as_object().into_iter().flatten();
    entries
        .filter(|(_, there)| !there.is_null())
        .map(|(item, _)| item.clone())
        .collect()
}

/// A document that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {document}: {what}")]
pub struct Unreadable {
    /// Its `_id`, or its place where it has none.
    pub document: String,
    /// What is wrong with it; no value that could be a secret.
    pub what: String,
    /// The services that its tasks name, as far as they can be read.
    pub services: Vec<NsrId>,
}

/// A mark that a process of NG-RO works on a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// `<process>:<worker>`
    pub by: String,
    /// When it was set, in seconds.
    pub at: f64,
}

impl Lock {
    /// How long it still counts; none when it is the remains of a process that died.
    #[must_use]
    pub fn lasts(&self, now: Timestamp) -> Option<Duration> {
        let left = self.at + LOCK - now.as_seconds();
        // Over-long ones are of a clock that is ahead: no lock is renewed for longer than this at once.
        (left > 0.0).then(|| Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX))
    }
}

/// A resource document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// `_id`
    pub id: String,
    /// `target_id`
    pub target: TargetId,
    /// Who works on it, or died at it.
    pub lock: Option<Lock>,
    /// Whether a worker ever had it.
    pub was_taken: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub modified_at: Timestamp,
    /// `vim_info`
    pub vim_info: Map<String, Value>,
    /// What is there of `vim_info.created_items`, oldest first.
    pub created_items: Vec<String>,
    /// Its tasks; null ones are left out (D27).
    pub tasks: Vec<Task>,
}

/// Where a task writes to, by position: `<collection>:<record>:<list>.<position>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Collection of the record.
    pub collection: Collection,
    /// The record.
    pub record: RecordId,
    /// The list.
    pub list: ItemList,
    /// Position when the task was planned.
    pub position: usize,
}

/// State of a task (NG-RO engine 9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not begun.
    Scheduled,
    /// Begun.
    Build,
    /// In service.
    Done,
    /// Failed.
    Failed,
    /// Over.
    Finished,
    /// Nothing was to be done.
    Superseded,
}

/// What a task is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An item that vimhost knows.
    Known(Item),
    /// Another one, service function chaining for instance.
    Other(String),
}

/// A task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The request.
    pub action_id: ActionId,
    /// The service.
    pub nsr_id: NsrId,
    /// `<action_id>:<n>`
    pub id: TaskId,
    /// How far it is.
    pub status: Status,
    /// What it does.
    pub action: TaskAction,
    /// To what.
    pub kind: Kind,
    /// Where results go.
    pub place: Place,
    /// The item's id, of `target_record_id`.
    pub item: Option<ItemId>,
    /// Creation parameters or arguments.
    pub params: Option<Value>,
    /// Look for it first.
    pub find_params: Option<Value>,
    /// References of what it needs.
    pub depends_on: Vec<String>,
    /// Sharing key.
    pub common_id: Option<String>,
    /// Index of the VNF's management interface.
    pub mgmt_vnf_interface: Option<usize>,
    /// Index of the VDU's.
    pub mgmt_vdu_interface: Option<usize>,
    /// Deletion of a VM that is made anew: what was made with the old one.
    pub created_items: Vec<String>,
    /// Deletion of a VM that is made anew: volumes that outlive it.
    pub volumes_to_hold: Vec<VimId>,
    /// Creation of a VM that is made anew: volumes of the old one, as created items.
    pub previous_volumes: Option<Value>,
}

/// Reads a document.
///
/// # Errors
/// What is wrong with the first field that cannot be understood.
pub fn parse(raw: &RawDocument, place: usize) -> Result<Document, Unreadable> {
    let document = &raw.document;
    let id = text(document, "_id");
    let tasks = document.get("tasks").and_then(Value::as_array);
    let tasks = tasks.map(Vec::as_slice).unwrap_or_default();
    let unreadable = |what: String| {
        let mut services: Vec<NsrId> = tasks
            .iter()
            .filter_map(|task| NsrId::new(text(task, "nsr_id")?).ok())
            .collect();
        services.sort();
        services.dedup();
        Unreadable {
            document: id.map_or_else(|| format!("number {place}"), str::to_owned),
            what,
            services,
        }
    };
    let Some(id) = id else {
        return Err(unreadable("_id: is not a text".to_owned()));
    };
    let target = text(document, "target_id").ok_or_else(|| unreadable("target_id: is not a text".to_owned()))?;
    let target = target
        .parse::<TargetId>()
        .map_err(|error| unreadable(format!("target_id: {error}")))?;
    if !document.get("tasks").is_some_and(Value::is_array) {
        return Err(unreadable("tasks: is not a list".to_owned()));
    }
    let locked_at = document.get("locked_at").and_then(Value::as_f64).unwrap_or_default();
    let locked_by = text(document, "locked_by").filter(|by| !by.is_empty());
    let tasks = tasks.iter().enumerate().filter(|(_, task)| !task.is_null());
    let tasks = tasks
        .map(|(index, value)| task(value).map_err(|what| unreadable(format!("tasks.{index}.{what}"))))
        .collect::<Result<Vec<Task>, Unreadable>>()?;
    let vim_info = match document.get("vim_info") {
        Some(Value::Object(map)) => map.clone(),
        None | Some(Value::Null) => Map::new(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return Err(unreadable("vim_info: is not a map".to_owned()));
        }
    };
    Ok(Document {
        id: id.to_owned(),
        target,
        lock: locked_by.map(|by| Lock {
            by: by.to_owned(),
            at: locked_at,
        }),
        was_taken: locked_at != 0.0,
        created_at: seconds(document, "created_at"),
        modified_at: seconds(document, "modified_at"),
        vim_info,
        created_items: raw.created_items.clone(),
        tasks,
    })
}

fn task(value: &Value) -> Result<Task, String> {
    let needed = |field: &str| text(value, field).ok_or_else(|| format!("{field}: is not a text"));
    let wrong = |field: &'static str| move |error: vimhost_model::IdError| format!("{field}: {error}");
    let action = match needed("action")? {
        "CREATE" => TaskAction::Create,
        "DELETE" => TaskAction::Delete,
        "EXEC" => TaskAction::Exec,
        other => return Err(format!("action: '{}' is not known", short(other))),
    };
    let item = needed("item")?;
    let kind = match serde_json::from_value::<Item>(Value::String(item.to_owned())) {
        Ok(item) => Kind::Known(item),
        Err(_) => Kind::Other(short(item)),
    };
    let status = match needed("status")? {
        "SCHEDULED" => Status::Scheduled,
        "BUILD" | "PROCESSING" => Status::Build,
        // The word of a connectivity service is put in the place of the task's (D20).
        "DONE" | "ACTIVE" => Status::Done,
        "FAILED" | "ERROR" | "VIM_ERROR" => Status::Failed,
        "FINISHED" => Status::Finished,
        "SUPERSEDED" => Status::Superseded,
        other => return Err(format!("status: '{}' is not known", short(other))),
    };
    let place = place(needed("target_record")?).ok_or("target_record: names no place in a record")?;
    let held = value.get("volumes_to_hold").and_then(Value::as_array);
    let index = |field: &str| {
        let index = value.get(field).and_then(Value::as_u64);
        index.and_then(|index| usize::try_from(index).ok())
    };
    let given = |field: &str| value.get(field).filter(|given| !given.is_null()).cloned();
    Ok(Task {
        action_id: ActionId::new(needed("action_id")?).map_err(wrong("action_id"))?,
        nsr_id: NsrId::new(needed("nsr_id")?).map_err(wrong("nsr_id"))?,
        id: TaskId::new(needed("task_id")?).map_err(wrong("task_id"))?,
        status,
        action,
        item: text(value, "target_record_id").and_then(|text| item_of(text, &place)),
        kind,
        place,
        params: given("params"),
        find_params: given("find_params"),
        depends_on: texts(value, "depends_on"),
        common_id: text(value, "common_id").filter(|id| !id.is_empty()).map(str::to_owned),
        mgmt_vnf_interface: index("mgmt_vnf_interface"),
        mgmt_vdu_interface: index("mgmt_vdu_interface"),
        created_items: value.get("created_items").map(items_of).unwrap_or_default(),
        volumes_to_hold: ids(held.map(Vec::as_slice).unwrap_or_default()),
        previous_volumes: given("previous_created_volumes"),
    })
}

/// `vnfrs:<record>:vdur.0.vim_info.vim:<id>`, with or without what comes after the position.
fn place(text: &str) -> Option<Place> {
    let (collection, rest) = text.split_once(':')?;
    let (record, rest) = rest.split_once(':')?;
    let (list, rest) = rest.split_once('.')?;
    let position = rest.split('.').next()?;
    Some(Place {
        collection: Collection::from_name(collection)?,
        record: RecordId::new(record).ok()?,
        list: ItemList::from_name(list)?,
        position: position.parse().ok()?,
    })
}

/// The item of `vnfrs:<record>:vdur.<item>`, when it is one of the place's own list. Of a connectivity service `.sdn` is appended.
fn item_of(text: &str, place: &Place) -> Option<ItemId> {
    let list = format!(
        "{}:{}:{}.",
        place.collection.as_str(),
        place.record,
        place.list.as_str()
    );
    let item = text.strip_prefix(&list)?;
    ItemId::new(item.strip_suffix(".sdn").unwrap_or(item)).ok()
}

/// Ids of a list of texts; whatever is none is left out.
pub(super) fn ids(list: &[Value]) -> Vec<VimId> {
    list.iter().filter_map(|id| VimId::new(id.as_str()?).ok()).collect()
}

fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field).and_then(Value::as_str)
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let list = value.get(field).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Seconds with fraction as a time; the beginning of time where there is none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a number that is no time is cut to the last one there is, as `as` does"
)]
fn seconds(value: &Value, field: &str) -> Timestamp {
    let seconds = value.get(field).and_then(Value::as_f64).unwrap_or_default();
    Timestamp((seconds * 1000.0).round() as i64)
}

/// A word of a document as an error may show it.
fn short(word: &str) -> String {
    word.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vm() -> Value {
        json!({
            "_id": "op-1:3", "target_id": "vim:6a", "locked_by": null, "locked_at": 1_700_000_000,
            "created_at": 1_700_000_301.2, "modified_at": 1_700_000_330.9, "to_check_at": 1_700_086_730.9,
            "vim_info": {"created": true, "created_items": {"port:p1": true, "port:p0": null}, "vim_id": "vm1"},
            "tasks": [null, {
                "action_id": "op-1", "nsr_id": "ns", "task_id": "op-1:3", "status": "DONE", "action": "CREATE", "item": "vdu",
                "target_record": "vnfrs:v:vdur.2.vim_info.vim:6a", "target_record_id": "vnfrs:v:vdur.an.id",
                "depends_on": ["nsrs:ns:image.0"], "mgmt_vnf_interface": 0, "params": {"name": "vm"}}],
        })
    }

    #[test]
    fn the_references_example_is_read() {
        let document = parse(&RawDocument::of(vm()), 0).unwrap();
        assert_eq!(document.created_items, ["port:p1"]);
        assert_eq!((document.lock, document.was_taken), (None, true));
        assert_eq!(document.modified_at, Timestamp(1_700_000_330_900));
        let task = &document.tasks[0];
        assert_eq!((task.status, task.action), (Status::Done, TaskAction::Create));
        assert_eq!(task.kind, Kind::Known(Item::Vdu));
        assert_eq!((task.place.position, task.place.list), (2, ItemList::Vdur));
        assert_eq!(task.item.as_ref().unwrap().as_str(), "an.id");
        assert_eq!(task.mgmt_vnf_interface, Some(0));
    }

    #[test]
    fn a_lock_counts_for_five_minutes_and_one_that_was_released_never() {
        let lock = Lock {
            by: "0123456789ab:3".to_owned(),
            at: 1_700_000_000.5,
        };
        assert!(lock.lasts(Timestamp(1_700_000_300_000)).is_some());
        assert_eq!(lock.lasts(Timestamp(1_700_000_301_000)), None);
        let mut released = vm();
        released["locked_at"] = json!(9_999_999_999_i64);
        assert_eq!(parse(&RawDocument::of(released), 0).unwrap().lock, None);
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_document_service_and_field() {
        for (path, value, says) in [
            ("/target_id", json!("6a"), "target_id"),
            ("/tasks", json!({}), "tasks: is not a list"),
            ("/vim_info", json!([]), "vim_info"),
            ("/tasks/1/status", json!("ODD"), "tasks.1.status: 'ODD'"),
            ("/tasks/1/action", json!("PATCH"), "tasks.1.action: 'PATCH'"),
            ("/tasks/1/target_record", json!("vnfrs:v:vdur"), "tasks.1.target_record"),
            ("/tasks/1/task_id", json!(7), "tasks.1.task_id"),
        ] {
            let mut document = vm();
            *document.pointer_mut(path).unwrap() = value;
            let error = parse(&RawDocument::of(document), 0).unwrap_err();
            assert!(error.to_string().starts_with("document op-1:3: "), "{error}");
            assert!(error.what.starts_with(says), "{error}");
            if path != "/tasks" {
                assert_eq!(error.services, ["ns".parse().unwrap()], "{path}");
            }
        }
        let nameless = parse(&RawDocument::of(json!({"tasks": []})), 4).unwrap_err();
        assert_eq!(nameless.document, "number 4");
    }

    #[test]
    fn other_items_and_the_words_of_connectivity_services_are_known() {
        let mut document = vm();
        document["tasks"][1]["item"] = json!("sfp");
        document["tasks"][1]["status"] = json!("ACTIVE");
        let task = parse(&RawDocument::of(document), 0).unwrap().tasks.remove(0);
        assert_eq!((task.kind, task.status), (Kind::Other("sfp".to_owned()), Status::Done));
        let place = place("nsrs:ns:vld.0.vim_info.wim:w").unwrap();
        let item = item_of("nsrs:ns:vld.data.sdn", &place).unwrap();
        assert_eq!(item.as_str(), "data");
        assert_eq!(item_of("nsrs:other:vld.data", &place), None);
    }
}
