//! A change to a record as an update the server evaluates on the document as it is then.
//!
//! An item is found by its id in the same atomic step that changes it, whatever happened to its place in the list since anybody
//! read it. Plain operators with array filters would do the same for the usual case; they would also pad a list that is too
//! short, make a map where somebody has put a list, and fail as a whole on a `null` on the way or a key with a dot. So the rules of
//! [`RecordChange::apply`] are spelled out as expressions, and a test holds both against each other.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;
use vimhost_model::{FieldPath, ItemList, RecordChange, Segment};
use vimhost_store::Error;

use crate::bson::value_of;
use crate::records::MARKS;

/// Fields changed in one stage. Each is a level or two of nesting, of which the server takes 180.
const FIELDS_PER_STAGE: usize = 16;

/// Longest path. Each step is some six levels of nesting.
const LONGEST_PATH: usize = 12;

/// The stages of a change. Empty when it does nothing.
///
/// # Errors
/// When it cannot be made in any document.
pub(crate) fn stages(change: &RecordChange) -> Result<Vec<Document>, Error> {
    let changes = Changes::of(change)?;
    match &change.item {
        None => Ok(changes.chunks().iter().map(of_record).collect()),
        Some((list, _)) if !change.collection.lists().contains(list) => Ok(Vec::new()),
        Some((list, id)) => {
            let insert = change
                .insert
                .as_ref()
                .map(|item| inserted(change, *list, id.as_str(), item));
            let insert = insert.transpose()?;
            let chunks = changes.chunks();
            let mut stages: Vec<_> = chunks
                .iter()
                .map(|node| of_item(*list, id.as_str(), node, insert.as_ref()))
                .collect();
            if let (Some(_), true) = (&insert, stages.is_empty()) {
                stages.push(of_item(*list, id.as_str(), &Node::default(), insert.as_ref()));
            }
            Ok(stages)
        }
    }
}

/// The item that is appended, with the change made in it.
fn inserted(change: &RecordChange, list: ItemList, id: &str, item: &Value) -> Result<Bson, Error> {
    let mut item = item.clone();
    change.apply(&mut item);
    let own = item.get("id").and_then(Value::as_str).filter(|own| !own.is_empty());
    if own.is_some_and(|own| own != id) {
        let reason = format!("an item to be appended to '{}' as '{id}' has another id", list.as_str());
        return Err(Error::corrupt("a change", reason));
    }
    // Without it the same change would append the item again.
    if let Some(map) = item.as_object_mut() {
        map.insert("id".to_owned(), Value::from(id));
    }
    value_of("a change", item)
}

/// What to set and what to remove, in order.
struct Changes(Vec<(FieldPath, Option<Bson>)>);

impl Changes {
    fn of(change: &RecordChange) -> Result<Self, Error> {
        let set = change.set.iter().map(|(path, value)| (path, Some(value)));
        let unset = change.unset.iter().map(|path| (path, None));
        let mut all = Vec::new();
        for (path, value) in set.chain(unset) {
            let first = path.0.first();
            // A document's id and the marks of the store are nobody's to change.
            let own = |key: &str| change.item.is_none() && [MARKS, "_id"].contains(&key);
            match first {
                None => continue,
                Some(Segment::Key(key)) if own(key) => continue,
                Some(Segment::Key(_) | Segment::Index(_)) => {}
            }
            let nul = |segment: &Segment| matches!(segment, Segment::Key(key) if key.contains('\0'));
            if path.0.len() > LONGEST_PATH || path.0.iter().any(nul) {
                return Err(Error::corrupt(
                    "a change",
                    "the path is too long or holds a NUL character",
                ));
            }
            let value = value.map(|value| value_of("a change", value.clone())).transpose()?;
            all.push((path.clone(), value));
        }
        Ok(Self(all))
    }

    fn chunks(&self) -> Vec<Node> {
        let chunk = |changes: &[(FieldPath, Option<Bson>)]| {
            let mut root = Node::default();
            for (path, value) in changes {
                root.add(&path.0, value.as_ref());
            }
            root
        };
        self.0.chunks(FIELDS_PER_STAGE).map(chunk).collect()
    }
}

/// What happens to a value and to what is in it.
#[derive(Debug, Default)]
struct Node {
    keys: BTreeMap<String, Step>,
    indexes: BTreeMap<usize, Step>,
}

/// What happens at a key or a position. Changes are in order, so one to a value that was just set is made in that value.
#[derive(Debug)]
enum Step {
    Set(Bson),
    Unset,
    Into(Node),
}

impl Node {
    fn add(&mut self, path: &[Segment], value: Option<&Bson>) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let new = || Step::Into(Self::default());
        let step = match first {
            Segment::Key(key) => self.keys.entry(key.clone()).or_insert_with(new),
            Segment::Index(index) => self.indexes.entry(*index).or_insert_with(new),
        };
        if rest.is_empty() {
            *step = value.map_or(Step::Unset, |value| Step::Set(value.clone()));
            return;
        }
        match step {
            Step::Into(node) => node.add(rest, value),
            Step::Set(whole) => within(whole, rest, value),
            Step::Unset => {
                let mut node = Self::default();
                node.add(rest, value);
                // What is set below what was removed begins anew.
                if value.is_some() {
                    let mut whole = Bson::Null;
                    within(&mut whole, rest, value);
                    *step = Step::Set(whole);
                }
            }
        }
    }

    /// Whether it makes a map where there is nothing: only something that is set does.
    fn creates(&self) -> bool {
        self.keys.values().any(|step| match step {
            Step::Set(_) => true,
            Step::Unset => false,
            Step::Into(node) => node.creates(),
        })
    }
}

/// A change in a value at hand.
fn within(whole: &mut Bson, path: &[Segment], value: Option<&Bson>) {
    let Some((first, rest)) = path.split_first() else {
        if let Some(value) = value {
            *whole = value.clone();
        }
        return;
    };
    match first {
        Segment::Key(key) => {
            if matches!(whole, Bson::Null) && value.is_some() {
                *whole = Bson::Document(Document::new());
            }
            let Bson::Document(map) = whole else { return };
            if rest.is_empty() && value.is_none() {
                map.remove(key);
            } else if value.is_some() || map.contains_key(key) {
                within(map.entry(key.clone()).or_insert(Bson::Null), rest, value);
            }
        }
        Segment::Index(index) => {
            if let Bson::Array(list) = whole
                && let Some(inner) = list.get_mut(*index)
                && !(rest.is_empty() && value.is_none())
            {
                within(inner, rest, value);
            }
        }
    }
}

fn literal(value: impl Into<Bson>) -> Document {
    doc! {"$literal": value.into()}
}

fn position(index: usize) -> Bson {
    Bson::Int64(i64::try_from(index).unwrap_or(i64::MAX))
}

/// The value of `input` with the node's changes made in it.
fn changed(node: &Node, input: impl Into<Bson>, depth: usize) -> Bson {
    let (var, value) = (format!("v{depth}"), format!("$$v{depth}"));
    let mut branches = Vec::new();
    if !node.keys.is_empty() {
        let mut map: Bson = doc! {"$ifNull": [&value, {}]}.into();
        for (key, step) in &node.keys {
            let there = doc! {"$getField": {"field": literal(key.as_str()), "input": &value}};
            map = match step {
                Step::Unset => doc! {"$unsetField": {"field": literal(key.as_str()), "input": map}},
                Step::Set(set) => {
                    doc! {"$setField": {"field": literal(key.as_str()), "input": map, "value": literal(set.clone())}}
                }
                Step::Into(inner) => {
                    let inner = changed(inner, there, depth + 1);
                    doc! {"$setField": {"field": literal(key.as_str()), "input": map, "value": inner}}
                }
            }
            .into();
        }
        let kinds: &[&str] = if node.creates() {
            &["object", "missing", "null"]
        } else {
            &["object"]
        };
        branches.push(doc! {"case": {"$in": [{"$type": &value}, kinds]}, "then": map});
    }
    if !node.indexes.is_empty() {
        let at = format!("p{depth}");
        let this = doc! {"$arrayElemAt": [&value, format!("$${at}")]};
        let here = |(index, step): (&usize, &Step)| {
            let then = match step {
                Step::Set(set) => literal(set.clone()).into(),
                Step::Unset => return None,
                Step::Into(inner) => changed(inner, this.clone(), depth + 1),
            };
            Some(doc! {"case": {"$eq": [format!("$${at}"), position(*index)]}, "then": then})
        };
        let cases: Vec<_> = node.indexes.iter().filter_map(here).collect();
        if !cases.is_empty() {
            let each = doc! {"$switch": {"branches": cases, "default": this.clone()}};
            let list = doc! {"$map": {"input": {"$range": [0, {"$size": &value}]}, "as": at, "in": each}};
            branches.push(doc! {"case": {"$isArray": &value}, "then": list});
        }
    }
    if branches.is_empty() {
        return input.into();
    }
    let result = doc! {"$switch": {"branches": branches, "default": &value}};
    doc! {"$let": {"vars": {var: input.into()}, "in": result}}.into()
}

fn of_record(node: &Node) -> Document {
    doc! {"$replaceWith": changed(node, "$$ROOT", 0)}
}

/// The list with the change made in the item of that id, or in the item at the position of that number when it has no id.
fn of_item(list: ItemList, id: &str, node: &Node, insert: Option<&Bson>) -> Document {
    let field = format!("${}", list.as_str());
    let named = doc! {"$and": [
        {"$eq": [{"$type": "$$i"}, "object"]}, {"$eq": [{"$type": "$$i.id"}, "string"]}, {"$ne": ["$$i.id", ""]},
    ]};
    let ids = doc! {"$map": {"input": &field, "as": "i", "in": {"$cond": [named, "$$i.id", null]}}};
    let by_id = doc! {"$indexOfArray": ["$$ids", literal(id)]};
    let at: Bson = match id.parse::<i32>() {
        Ok(number) if number >= 0 && number.to_string() == id => {
            let unnamed = doc! {"$and": [
                {"$lt": [by_id.clone(), 0]}, {"$gt": [{"$size": "$$ids"}, number]},
                {"$eq": [{"$arrayElemAt": ["$$ids", number]}, null]},
            ]};
            doc! {"$cond": [unnamed, number, by_id]}.into()
        }
        _ => by_id.into(),
    };
    let item = changed(node, doc! {"$arrayElemAt": [&field, "$$at"]}, 0);
    let each = doc! {"$cond": [{"$eq": ["$$p", "$$at"]}, item, {"$arrayElemAt": [&field, "$$p"]}]};
    let list_with = doc! {"$map": {"input": {"$range": [0, {"$size": &field}]}, "as": "p", "in": each}};
    let list_without: Bson = match insert {
        Some(item) => doc! {"$concatArrays": [&field, [literal(item.clone())]]}.into(),
        None => field.clone().into(),
    };
    let in_list = doc! {"$let": {"vars": {"ids": ids}, "in": {"$let": {
        "vars": {"at": at}, "in": {"$cond": [{"$gte": ["$$at", 0]}, list_with, list_without]},
    }}}};
    let no_list: Bson = match insert {
        Some(item) => {
            let missing = doc! {"$in": [{"$type": &field}, ["missing", "null"]]};
            doc! {"$cond": [missing, [literal(item.clone())], &field]}.into()
        }
        None => field.clone().into(),
    };
    doc! {"$set": {list.as_str(): {"$cond": [{"$isArray": &field}, in_list, no_list]}}}
}

#[cfg(test)]
mod tests {
    use mongodb::Client;
    use serde_json::{Map, json};
    use vimhost_model::{Collection, Segment};
    use vimhost_mongod::{Kind, shared};

    use super::*;
    use crate::bson;

    /// Numbers that are the same for the same seed (xorshift).
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }

        fn key(&mut self) -> String {
            ["a", "b", "x.y", "$z", "0", "id"][usize::try_from(self.below(6)).unwrap()].to_owned()
        }

        fn value(&mut self, depth: u64) -> Value {
            match self.below(if depth > 2 { 5 } else { 9 }) {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(self.below(9)),
                3 => json!("$$ROOT"),
                4 => json!(1.5),
                5 | 6 => Value::Array((0..self.below(3)).map(|_| self.value(depth + 1)).collect()),
                _ => {
                    let count = self.below(4);
                    let entries = (0..count).map(|_| (self.key(), self.value(depth + 1)));
                    Value::Object(entries.collect::<Map<_, _>>())
                }
            }
        }

        fn path(&mut self) -> FieldPath {
            let mut path = FieldPath(vec![Segment::Key(self.key())]);
            for _ in 0..self.below(3) {
                path = if self.below(4) == 0 {
                    path.index(usize::try_from(self.below(3)).unwrap())
                } else {
                    path.key(self.key())
                };
            }
            path
        }

        fn change(&mut self) -> RecordChange {
            let mut change = RecordChange::to_record(Collection::Vnfrs, "v".parse().unwrap());
            let items = ["p", "q", "1", "7", "absent"];
            if self.below(4) > 0 {
                let item = items[usize::try_from(self.below(5)).unwrap()];
                change.item = Some((ItemList::Vdur, item.parse().unwrap()));
                if self.below(3) == 0 {
                    change.insert = Some(json!({"new": 1}));
                }
            }
            change.set = (0..self.below(6)).map(|_| (self.path(), self.value(1))).collect();
            change.unset = (0..self.below(4)).map(|_| self.path()).collect();
            // Ids are what items are known by; the contract suite has the check that changes one.
            let keeps_id = |path: &FieldPath| !matches!(path.0.first(), Some(Segment::Key(key)) if key == "id");
            change.set.retain(|(path, _)| keeps_id(path) && path.0.len() < 4);
            change.unset.retain(keeps_id);
            change
        }

        fn document(&mut self) -> Value {
            let mut document = self.value(0);
            if !document.is_object() {
                document = json!({});
            }
            let mut items = vec![
                json!({"id": "p"}),
                json!({}),
                json!({"id": "q"}),
                json!("odd"),
                Value::Null,
            ];
            for item in &mut items {
                if let (Some(map), Value::Object(more)) = (item.as_object_mut(), self.value(1)) {
                    more.into_iter()
                        .filter(|(key, _)| key != "id")
                        .for_each(|(key, value)| {
                            map.insert(key, value);
                        });
                }
            }
            if self.below(8) > 0 {
                document["vdur"] = Value::Array(items);
            } else if self.below(2) == 0 {
                document["vdur"] = self.value(3);
            }
            document
        }
    }

    /// The change as the model makes it, in the item the rules lead to.
    fn expected(mut document: Value, change: &RecordChange) -> Value {
        let Some((list, id)) = &change.item else {
            change.apply(&mut document);
            return document;
        };
        let id_of = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
        let insert = || inserted(change, *list, id.as_str(), change.insert.as_ref().unwrap()).unwrap();
        match document.get_mut(list.as_str()) {
            Some(Value::Array(items)) => {
                let by_id = items
                    .iter()
                    .position(|item| id_of(item).as_deref() == Some(id.as_str()));
                let number = id.as_str().parse::<usize>().ok();
                let unnamed = |number: &usize| items.get(*number).is_some_and(|item| id_of(item).is_none());
                match by_id.or_else(|| number.filter(unnamed)) {
                    Some(at) => change.apply(&mut items[at]),
                    None if change.insert.is_some() => items.push(json_of(insert())),
                    None => {}
                }
            }
            None | Some(Value::Null) if change.insert.is_some() => {
                document[list.as_str()] = Value::Array(vec![json_of(insert())]);
            }
            _ => {}
        }
        document
    }

    fn json_of(value: Bson) -> Value {
        bson::json(doc! {"v": value})["v"].clone()
    }

    /// The model leaves a null where a path ends for want of a list; the server leaves nothing. Neither means anything.
    fn without_nulls(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.values_mut().for_each(without_nulls);
                map.retain(|_, value| !value.is_null() && *value != json!({}));
            }
            Value::Array(items) => items.iter_mut().for_each(without_nulls),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[tokio::test]
    async fn the_server_makes_a_change_as_the_model_does() {
        let seed = std::env::var("VIMHOST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
        println!("VIMHOST_SEED={seed}");
        let mut random = Random(seed);
        let client = Client::with_uri_str(shared(Kind::ReplicaSet).await.unwrap())
            .await
            .unwrap();
        let collection = client.database("vimhost_pipeline").collection::<Document>("records");
        let mut changed = 0;
        for round in 0..1500 {
            let (document, change) = (random.document(), random.change());
            let Value::Object(map) = document.clone() else { panic!() };
            let mut kept = bson::document("it", map).unwrap();
            kept.insert("_id", round);
            let stages = stages(&change).unwrap();
            if stages.is_empty() {
                continue;
            }
            // A field name that begins with a dollar is nothing for the first level of a document.
            let top = |path: &FieldPath| matches!(path.0.first(), Some(Segment::Key(key)) if key.starts_with('$'));
            let paths = change.set.iter().map(|(path, _)| path).chain(&change.unset);
            if kept.keys().any(|key| key.starts_with('$')) || (change.item.is_none() && paths.into_iter().any(top)) {
                continue;
            }
            collection.insert_one(kept).await.unwrap();
            collection.update_one(doc! {"_id": round}, stages).await.unwrap();
            let mut found = collection.find_one(doc! {"_id": round}).await.unwrap().unwrap();
            found.remove("_id");
            let (mut found, mut expected) = (bson::json(found), expected(document.clone(), &change));
            changed += usize::from(found != document);
            without_nulls(&mut found);
            without_nulls(&mut expected);
            assert_eq!(found, expected, "{document} changed by {change:?}");
        }
        assert!(changed > 300, "only {changed} changes changed anything");
        client.database("vimhost_pipeline").drop().await.unwrap();
    }

    #[test]
    fn a_change_that_no_record_can_take_is_refused() {
        let mut change = RecordChange::to_record(Collection::Vnfrs, "v".parse().unwrap());
        change.set = vec![(FieldPath::keys(["a\0b"]), json!(1))];
        assert!(stages(&change).is_err());
        change.set = vec![(FieldPath::keys(["a"; 13]), json!(1))];
        assert!(stages(&change).is_err());
        change.set = vec![
            (FieldPath::keys(["_id"]), json!(1)),
            (FieldPath::keys([MARKS]), json!(1)),
        ];
        assert_eq!(stages(&change).unwrap().len(), 0);
        change.item = Some((ItemList::Vdur, "a".parse().unwrap()));
        change.insert = Some(json!({"id": "b"}));
        change.set.clear();
        assert!(stages(&change).is_err());
    }
}
