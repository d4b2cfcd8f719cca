//! OSM's records, as far as a takeover reads them: who is an item, and what was seen of it last.

use std::collections::HashMap;

use serde_json::Value;
use vimhost_model::{Collection, ItemId, ItemList, ItemRef, NsrId, RecordId, TargetId, VimId};

use super::document::Place;

/// The records of all services, by collection and id.
#[derive(Debug, Clone, Default)]
pub struct Records {
    documents: HashMap<(Collection, RecordId), Value>,
}

impl Records {
    /// The records of two collections; a document without an id is none.
    #[must_use]
    pub fn of(nsrs: Vec<Value>, vnfrs: Vec<Value>) -> Self {
        let of = |collection: Collection, documents: Vec<Value>| {
            documents.into_iter().filter_map(move |document| {
                let id = RecordId::new(document.get("_id")?.as_str()?).ok()?;
                Some(((collection, id), document))
            })
        };
        let all = of(Collection::Nsrs, nsrs).chain(of(Collection::Vnfrs, vnfrs));
        Self {
            documents: all.collect(),
        }
    }

    fn get(&self, collection: Collection, id: &RecordId) -> Option<&Value> {
        self.documents.get(&(collection, id.clone()))
    }

    /// The name of a service; none when it has no record.
    #[must_use]
    pub fn service(&self, nsr: &NsrId) -> Option<String> {
        let record = self.get(Collection::Nsrs, &nsr.retype().ok()?)?;
        let name = record.get("name").and_then(Value::as_str);
        Some(name.unwrap_or_else(|| nsr.as_str()).to_owned())
    }

    fn items(&self, collection: Collection, record: &RecordId, list: ItemList) -> Vec<(ItemId, &Value)> {
        let record = self.get(collection, record);
        let items = record.and_then(|record| record.get(list.as_str())?.as_array());
        let items = items.into_iter().flatten().enumerate();
        items
            .filter_map(|(position, item)| {
                let id = match item.get("id") {
                    Some(Value::String(id)) => id.clone(),
                    Some(Value::Number(id)) => id.to_string(),
                    _ => position.to_string(),
                };
                Some((ItemId::new(id).ok()?, item))
            })
            .collect()
    }

    /// The item at a place of which a task knows the position only. The one whose record has the element's id is it, wherever it stands:
    /// positions shift when LCM takes items out (D26).
    #[must_use]
    pub fn item_at(&self, place: &Place, target: &TargetId, element: Option<&VimId>) -> Option<ItemId> {
        let items = self.items(place.collection, &place.record, place.list);
        let target = target.to_string();
        let has = |item: &Value, element: &VimId| {
            let id = item.get("vim_info").and_then(|map| map.get(&target)?.get("vim_id"));
            id.and_then(Value::as_str) == Some(element.as_str())
        };
        let by_element = element.and_then(|element| items.iter().find(|(_, item)| has(item, element)));
        by_element
            .or_else(|| items.get(place.position))
            .map(|(id, _)| id.clone())
    }

    /// What the record shows of an item on a target.
    #[must_use]
    pub fn shown(&self, item: &ItemRef, target: &TargetId) -> Option<&Value> {
        let items = self.items(item.collection, &item.record, item.list);
        let (_, document) = items.into_iter().find(|(id, _)| *id == item.item)?;
        document.get("vim_info")?.get(target.to_string())
    }
}
