//! Records of a network service, and changes to them.
//!
//! `nsrs` and `vnfrs` belong to other programs: vimhost sets single fields in them and keeps every key it does not know. A
//! change addresses an item by its id, never by its position, because LCM removes scaled-in items and shifts the later ones
//! (NG-RO D26).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ItemId, RecordId, Revision};

/// A collection of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collection {
    /// Network services.
    Nsrs,
    /// VNFs.
    Vnfrs,
    /// VNF descriptors.
    Vnfds,
}

impl Collection {
    /// Its name in the database and in references.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nsrs => "nsrs",
            Self::Vnfrs => "vnfrs",
            Self::Vnfds => "vnfds",
        }
    }

    /// The collection of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Nsrs, Self::Vnfrs, Self::Vnfds]
            .into_iter()
            .find(|c| c.as_str() == name)
    }

    /// The lists of items that records of this collection hold.
    #[must_use]
    pub fn lists(self) -> &'static [ItemList] {
        match self {
            Self::Nsrs => &[
                ItemList::Vld,
                ItemList::Image,
                ItemList::Flavor,
                ItemList::AffinityGroup,
                ItemList::SharedVolumes,
            ],
            Self::Vnfrs => &[ItemList::Vld, ItemList::Vdur],
            Self::Vnfds => &[],
        }
    }
}

/// A list of items in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ItemList {
    /// Virtual links.
    #[serde(rename = "vld")]
    Vld,
    /// Images.
    #[serde(rename = "image")]
    Image,
    /// Flavours.
    #[serde(rename = "flavor")]
    Flavor,
    /// Placement groups.
    #[serde(rename = "affinity-or-anti-affinity-group")]
    AffinityGroup,
    /// Volumes that belong to no VM.
    #[serde(rename = "shared-volumes")]
    SharedVolumes,
    /// VMs.
    #[serde(rename = "vdur")]
    Vdur,
}

impl ItemList {
    /// Its key in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vld => "vld",
            Self::Image => "image",
            Self::Flavor => "flavor",
            Self::AffinityGroup => "affinity-or-anti-affinity-group",
            Self::SharedVolumes => "shared-volumes",
            Self::Vdur => "vdur",
        }
    }

    /// The list of that key.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Vld,
            Self::Image,
            Self::Flavor,
            Self::AffinityGroup,
            Self::SharedVolumes,
            Self::Vdur,
        ]
        .into_iter()
        .find(|list| list.as_str() == name)
    }
}

/// One item of one record: `<collection>:<record id>:<list>.<item id>`, NG-RO's `target_record_id`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemRef {
    /// Collection of the record.
    pub collection: Collection,
    /// The record.
    pub record: RecordId,
    /// The list.
    pub list: ItemList,
    /// The item's `id`, or its position as text when it has none.
    pub item: ItemId,
}

impl fmt::Display for ItemRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}.{}",
            self.collection.as_str(),
            self.record,
            self.list.as_str(),
            self.item
        )
    }
}
impl fmt::Debug for ItemRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A record with its revision in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// The whole document, lists included.
    pub document: Value,
    /// Grows with each change; what `If-Match` compares.
    pub revision: Revision,
}

/// One step of a path into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Segment {
    /// Position in a list that nobody reorders while the item lives (`interfaces`).
    Index(usize),
    /// Key of a map.
    Key(String),
}

/// A path into a document or item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldPath(pub Vec<Segment>);

impl FieldPath {
    /// A path of keys.
    pub fn keys<S: Into<String>>(keys: impl IntoIterator<Item = S>) -> Self {
        Self(keys.into_iter().map(|key| Segment::Key(key.into())).collect())
    }

    /// The path with one more key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// The path with one more position.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }
}

/// A change to one record: fields of the record itself, or of one item in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordChange {
    /// Collection of the record.
    pub collection: Collection,
    /// The record.
    pub record: RecordId,
    /// The item the paths start at; none: the record itself.
    pub item: Option<(ItemList, ItemId)>,
    /// The item to append when the record has none of that id. Without it a missing item is left missing: what a client
    /// removed is not brought back.
    pub insert: Option<Value>,
    /// Fields to set.
    pub set: Vec<(FieldPath, Value)>,
    /// Fields to remove.
    pub unset: Vec<FieldPath>,
}

impl RecordChange {
    /// A change to an item, empty yet.
    #[must_use]
    pub fn to_item(item: &ItemRef) -> Self {
        Self {
            collection: item.collection,
            record: item.record.clone(),
            item: Some((item.list, item.item.clone())),
            insert: None,
            set: Vec::new(),
            unset: Vec::new(),
        }
    }

    /// A change to a record's own fields, empty yet.
    #[must_use]
    pub fn to_record(collection: Collection, record: RecordId) -> Self {
        Self {
            collection,
            record,
            item: None,
            insert: None,
            set: Vec::new(),
            unset: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.insert.is_none() && self.set.is_empty() && self.unset.is_empty()
    }

    /// Makes the change in the document its paths start at: the item, or the record.
    ///
    /// A map on the way that is missing or null is made; a value on the way that is no map, or a list that is too short, ends
    /// the path without a change: the record was reshaped by somebody, and its shape is theirs.
    pub fn apply(&self, document: &mut Value) {
        for (path, value) in &self.set {
            set(document, &path.0, value);
        }
        for path in &self.unset {
            unset(document, &path.0);
        }
    }
}

fn set(document: &mut Value, path: &[Segment], value: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *document = value.clone();
        return;
    };
    match first {
        Segment::Key(key) => {
            if document.is_null() {
                *document = Value::Object(Map::new());
            }
            if let Some(map) = document.as_object_mut() {
                set(map.entry(key.clone()).or_insert(Value::Null), rest, value);
            }
        }
        Segment::Index(index) => {
            if let Some(inner) = document.as_array_mut().and_then(|list| list.get_mut(*index)) {
                set(inner, rest, value);
            }
        }
    }
}

fn unset(document: &mut Value, path: &[Segment]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    match first {
        Segment::Key(key) => {
            let Some(map) = document.as_object_mut() else { return };
            if rest.is_empty() {
                map.remove(key);
            } else if let Some(inner) = map.get_mut(key) {
                unset(inner, rest);
            }
        }
        Segment::Index(index) => {
            if let Some(inner) = document.as_array_mut().and_then(|list| list.get_mut(*index)) {
                unset(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(set: Vec<(FieldPath, Value)>, unset: Vec<FieldPath>) -> RecordChange {
        let mut change = RecordChange::to_record(Collection::Vnfrs, "v".parse().unwrap());
        change.set = set;
        change.unset = unset;
        change
    }

    #[test]
    fn a_change_sets_single_fields_and_keeps_the_rest() {
        let mut item =
            json!({"id": "a", "vim_info": {"vim:x": {"own": 1}}, "interfaces": [{"name": "eth0"}], "z": [1]});
        let path = FieldPath::keys(["vim_info", "vim:x"]);
        change(
            vec![
                (path.clone().key("vim_id"), json!("vm1")),
                (FieldPath::keys(["interfaces"]).index(0).key("pci"), Value::Null),
                (FieldPath::keys(["interfaces"]).index(5).key("pci"), json!("lost")),
                (FieldPath::keys(["new", "deep"]), json!(true)),
            ],
            vec![path.key("own"), FieldPath::keys(["absent", "key"])],
        )
        .apply(&mut item);
        assert_eq!(
            item,
            json!({"id": "a", "vim_info": {"vim:x": {"vim_id": "vm1"}}, "interfaces": [{"name": "eth0", "pci": null}],
                   "new": {"deep": true}, "z": [1]})
        );
    }

    #[test]
    fn a_record_that_somebody_reshaped_is_left_alone() {
        let mut item = json!({"interfaces": "text"});
        change(
            vec![(FieldPath::keys(["interfaces"]).index(0).key("pci"), json!(1))],
            vec![],
        )
        .apply(&mut item);
        assert_eq!(item, json!({"interfaces": "text"}));
    }
}
