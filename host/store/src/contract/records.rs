//! Records of services, which belong to other programs.

use std::sync::Arc;

use serde_json::{Value, json};
use vimhost_model::{Collection, FieldPath, Item, ItemList, NsrId, RecordChange, RecordId};

use super::Subject;
use super::sample::{accept, claim, create, id, resource, vnfr};
use crate::{Error, Store};

/// A store with a resource, through whose saves records are changed.
struct Changer {
    store: Arc<dyn Store>,
}

impl Changer {
    async fn new(subject: &dyn Subject) -> Self {
        let store = subject.store();
        let new = resource("changer", "changer", vec![create("changer", "act", 0, Item::Net)]);
        accept(&*store, "changer", "act", vec![new]).await;
        Self { store }
    }

    async fn make(&self, changes: &[RecordChange]) {
        let claim = claim(&*self.store, "changer").await;
        let resource = self.store.resource(&id("changer")).await.unwrap().unwrap();
        self.store.save_resource(&claim, &resource, changes, &[]).await.unwrap();
    }
}

fn vm(name: &str) -> RecordChange {
    RecordChange {
        item: Some((ItemList::Vdur, id(name))),
        ..RecordChange::to_record(Collection::Vnfrs, id("ns-vnf"))
    }
}

fn with_status(mut change: RecordChange, status: &str) -> RecordChange {
    change.set.push((FieldPath::keys(["status"]), json!(status)));
    change
}

async fn read(store: &dyn Store) -> Value {
    let record = store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap();
    record.unwrap().document
}

async fn put(store: &dyn Store, document: Value) {
    let record: RecordId = id("ns-vnf");
    store
        .put_record(Collection::Vnfrs, &record, document, None)
        .await
        .unwrap();
}

/// Also after an item in the middle was changed, and after a restart.
pub async fn a_record_comes_back_whole_with_unknown_keys_and_lists_in_order(subject: &mut dyn Subject) {
    let document = json!({
        "_id": "ns-vnf", "nsr-id-ref": "ns", "x": {"deep": [1, {"y": null}], "float": 1.5}, "other-list": [{"id": "q"}],
        "vdur": [{"id": "z", "u": [1]}, {"id": "a", "u": {"k": "ü\u{0}"}}, {"no-id": true}, {"id": "m"}],
        "vld": [], "ip-address": null
    });
    let changer = Changer::new(subject).await;
    put(&*changer.store, document.clone()).await;
    assert_eq!(read(&*changer.store).await, document);
    changer.make(&[with_status(vm("a"), "ACTIVE")]).await;
    drop(changer);
    subject.reopen().await;
    let mut expected = document;
    expected["vdur"][1]["status"] = json!("ACTIVE");
    assert_eq!(read(&*subject.store()).await, expected);

    // A list that is missing, null or no list stays so.
    for odd in [json!({"_id": "ns-vnf"}), json!({"vdur": null}), json!({"vdur": "text"})] {
        put(&*subject.store(), odd.clone()).await;
        assert_eq!(read(&*subject.store()).await, odd);
    }
    let store = subject.store();
    assert!(store.delete_record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap());
    assert!(!store.delete_record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap());
    assert_eq!(store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap(), None);
    assert_eq!(store.record(Collection::Nsrs, &id("ns-vnf")).await.unwrap(), None);
}

/// The revision grows with each change, also with one made by a save.
pub async fn a_record_is_written_at_the_revision_it_was_read_at(subject: &mut dyn Subject) {
    let changer = Changer::new(subject).await;
    let store = &changer.store;
    let record: RecordId = id("ns-vnf");
    let write = |document, expected| store.put_record(Collection::Vnfrs, &record, document, expected);
    let absent = write(json!({}), Some(1)).await;
    assert!(matches!(absent, Err(Error::Conflict { .. })), "{absent:?}");
    let first = write(vnfr("ns", &["a"]), None).await.unwrap();
    let second = write(vnfr("ns", &["a"]), Some(first)).await.unwrap();
    assert!(second > first);
    changer.make(&[with_status(vm("a"), "ACTIVE")]).await;
    let stale = write(vnfr("ns", &[]), Some(second)).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    let read = store.record(Collection::Vnfrs, &record).await.unwrap().unwrap();
    assert!(read.revision > second);
    assert_eq!(read.document["vdur"][0]["status"], "ACTIVE");
    write(vnfr("ns", &[]), Some(read.revision)).await.unwrap();
    write(vnfr("ns", &["b"]), None).await.unwrap();
}

/// And so is a document that is no map.
pub async fn two_items_of_one_id_are_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let record: RecordId = id("ns-vnf");
    for document in [vnfr("ns", &["a", "b", "a"]), json!([]), json!("text")] {
        let refused = store.put_record(Collection::Vnfrs, &record, document, None).await;
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    }
    assert_eq!(store.record(Collection::Vnfrs, &record).await.unwrap(), None);
    // One id in two lists is fine.
    put(
        &*store,
        json!({"vdur": [{"id": "a"}], "vld": [{"id": "a"}], "nsr-id-ref": "ns"}),
    )
    .await;
}

/// A bad one among several leaves all as they were.
pub async fn several_records_are_written_together_or_not_at_all(subject: &mut dyn Subject) {
    let store = subject.store();
    let good = (Collection::Nsrs, id("ns"), json!({"name": "service"}));
    let bad = (Collection::Vnfrs, id("ns-vnf"), vnfr("ns", &["a", "a"]));
    let refused = store.put_records(vec![good.clone(), bad]).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    assert_eq!(store.record(Collection::Nsrs, &id("ns")).await.unwrap(), None);

    let vnf = (Collection::Vnfrs, id("ns-vnf"), vnfr("ns", &["a"]));
    store.put_records(vec![good, vnf]).await.unwrap();
    assert!(store.record(Collection::Nsrs, &id("ns")).await.unwrap().is_some());
    assert_eq!(read(&*store).await, vnfr("ns", &["a"]));
}

/// LCM removes a scaled-in item and the later ones move up.
pub async fn an_item_is_addressed_by_id_whatever_its_position(subject: &mut dyn Subject) {
    let changer = Changer::new(subject).await;
    put(&*changer.store, vnfr("ns", &["a", "b", "c"])).await;
    put(&*changer.store, vnfr("ns", &["b", "c"])).await;
    let mut change = with_status(vm("c"), "ACTIVE");
    change
        .set
        .push((FieldPath::keys(["vim_info", "vim:x"]).key("vim_id"), json!("vm1")));
    change
        .set
        .push((FieldPath::keys(["interfaces"]).index(0).key("mac"), json!("fa")));
    change.unset.push(FieldPath::keys(["vdu-name"]));
    changer.make(&[change]).await;
    let document = read(&*changer.store).await;
    assert_eq!(document["vdur"][0], vnfr("ns", &["b"])["vdur"][0]);
    assert_eq!(
        document["vdur"][1],
        json!({"id": "c", "status": "ACTIVE", "vim_info": {"vim:x": {"vim_id": "vm1"}},
               "interfaces": [{"name": "eth0", "mac": "fa"}]})
    );
}

/// An item whose id is a number as text is not mistaken for a position.
pub async fn an_item_without_id_is_known_by_its_position(subject: &mut dyn Subject) {
    let changer = Changer::new(subject).await;
    put(
        &*changer.store,
        json!({"vdur": [{"name": "first"}, {"name": "second"}, {"id": "0", "name": "third"}, {"name": "fourth"}]}),
    )
    .await;
    let changes = [
        with_status(vm("1"), "of the second"),
        with_status(vm("0"), "of the third"),
        with_status(vm("2"), "of nobody: this position has an id"),
        with_status(vm("03"), "of nobody"),
    ];
    changer.make(&changes).await;
    let status = |document: &Value, index: usize| document["vdur"][index]["status"].clone();
    let document = read(&*changer.store).await;
    assert_eq!(status(&document, 0), Value::Null);
    assert_eq!(status(&document, 1), "of the second");
    assert_eq!(status(&document, 2), "of the third");
    assert_eq!(status(&document, 3), Value::Null);
}

/// A change without an item to insert does not make one.
pub async fn a_removed_item_is_not_brought_back(subject: &mut dyn Subject) {
    let changer = Changer::new(subject).await;
    put(&*changer.store, vnfr("ns", &["a", "b"])).await;
    put(&*changer.store, vnfr("ns", &["b"])).await;
    changer
        .make(&[with_status(vm("a"), "DELETED"), with_status(vm("b"), "ACTIVE")])
        .await;
    let document = read(&*changer.store).await;
    assert_eq!(document["vdur"].as_array().unwrap().len(), 1);
    assert_eq!(document["vdur"][0]["status"], "ACTIVE");
    // Nor a record.
    changer
        .store
        .delete_record(Collection::Vnfrs, &id("ns-vnf"))
        .await
        .unwrap();
    changer.make(&[with_status(vm("b"), "DELETED")]).await;
    assert_eq!(
        changer.store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap(),
        None
    );
}

/// Repeated, it changes the item that is there.
pub async fn an_insert_appends_once(subject: &mut dyn Subject) {
    let changer = Changer::new(subject).await;
    put(&*changer.store, vnfr("ns", &["a"])).await;
    let mut change = with_status(vm("b"), "BUILD");
    change.insert = Some(json!({"id": "b", "vdu-name": "new"}));
    changer.make(&[change.clone()]).await;
    change.set[0].1 = json!("ACTIVE");
    changer.make(&[change.clone(), change]).await;
    let document = read(&*changer.store).await;
    assert_eq!(document["vdur"].as_array().unwrap().len(), 2);
    assert_eq!(document["vdur"][0]["id"], "a");
    assert_eq!(
        document["vdur"][1],
        json!({"id": "b", "vdu-name": "new", "status": "ACTIVE"})
    );

    // Into a list that is missing; without an id of its own the item gets the one it is addressed by.
    put(&*changer.store, json!({"nsr-id-ref": "ns"})).await;
    let mut change = vm("n");
    change.insert = Some(json!({"vdu-name": "new"}));
    changer.make(&[change.clone()]).await;
    changer.make(&[change]).await;
    assert_eq!(
        read(&*changer.store).await["vdur"],
        json!([{"id": "n", "vdu-name": "new"}])
    );
}

/// Lists and items are not touched, unless the path leads there.
pub async fn fields_of_the_record_itself_are_changed_alone(subject: &mut dyn Subject) {
    let changer = Changer::new(subject).await;
    put(&*changer.store, vnfr("ns", &["a"])).await;
    let mut change = RecordChange::to_record(Collection::Vnfrs, id("ns-vnf"));
    change.set.push((FieldPath::keys(["ip-address"]), json!("10.0.0.5")));
    change.unset.push(FieldPath::keys(["_admin", "nsState"]));
    changer.make(&[change]).await;
    let mut expected = vnfr("ns", &["a"]);
    expected["ip-address"] = json!("10.0.0.5");
    expected["_admin"] = json!({});
    assert_eq!(read(&*changer.store).await, expected);

    let mut change = RecordChange::to_record(Collection::Vnfrs, id("ns-vnf"));
    change
        .set
        .push((FieldPath::keys(["vdur"]).index(0).key("id"), json!("b")));
    changer.make(&[change]).await;
    changer.make(&[with_status(vm("b"), "ACTIVE")]).await;
    assert_eq!(read(&*changer.store).await["vdur"][0]["status"], "ACTIVE");
}

/// Replacing a record does not move it.
pub async fn vnf_records_of_a_service_come_in_the_order_they_were_made(subject: &mut dyn Subject) {
    let store = subject.store();
    let service: NsrId = id("ns");
    for name in ["z", "a", "m"] {
        let document = json!({"nsr-id-ref": "ns", "vdur": [{"id": name}]});
        store
            .put_record(Collection::Vnfrs, &id(name), document, None)
            .await
            .unwrap();
    }
    let foreign = json!({"nsr-id-ref": "other"});
    store
        .put_record(Collection::Vnfrs, &id("b"), foreign, None)
        .await
        .unwrap();
    let replaced = json!({"nsr-id-ref": "ns", "vdur": []});
    store
        .put_record(Collection::Vnfrs, &id("z"), replaced.clone(), None)
        .await
        .unwrap();
    let records = store.vnfrs_of(&service).await.unwrap();
    let ids: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["z", "a", "m"]);
    assert_eq!(records[0].document, replaced);
    assert_eq!(records[1].document["vdur"], json!([{"id": "a"}]));
    assert_eq!(store.vnfrs_of(&id("nobody")).await.unwrap(), []);
}

/// Service records only, by id.
pub async fn services_are_listed_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["c", "a", "b"] {
        let document = json!({"name": format!("service {name}")});
        store
            .put_record(Collection::Nsrs, &id(name), document, None)
            .await
            .unwrap();
    }
    store
        .put_record(Collection::Vnfrs, &id("aa"), json!({}), None)
        .await
        .unwrap();
    let page = store.services(None, 2).await.unwrap();
    assert_eq!(
        page.entries,
        [(id("a"), "service a".to_owned()), (id("b"), "service b".to_owned())]
    );
    let page = store.services(page.next.as_deref(), 2).await.unwrap();
    assert_eq!(page.entries, [(id("c"), "service c".to_owned())]);
    assert_eq!(page.next, None);
}
