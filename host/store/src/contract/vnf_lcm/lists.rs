//! Lists, and what is found by package and by account.

use serde_json::Value;
use vimhost_model::vnf::{ProblemDetails, VnfInstance, VnfLcmOpOcc};

use super::data::{DONE, begin, begun, end_with, enter, instance, instantiated, op_occ, read};
use crate::contract::sample::{id, target};
use crate::contract::{Subject, every_page};
use crate::{InstanceWrite, ListQuery, Listed, Store};

#[derive(Clone, Copy)]
enum List {
    Instances,
    OpOccs,
}

/// Every page of two, to the end.
async fn listed(store: &dyn Store, list: List, query: &ListQuery) -> Vec<Listed> {
    let read = async |after: Option<String>, limit| match list {
        List::Instances => store.vnf_instances(query, after.as_deref(), limit).await,
        List::OpOccs => store.op_occs(query, after.as_deref(), limit).await,
    };
    every_page(2, read).await
}

fn query(id: Option<&str>, of: Option<&str>, states: &[&str]) -> ListQuery {
    ListQuery {
        id: id.map(str::to_owned),
        of: of.map(str::to_owned),
        states: states.iter().map(|state| (*state).to_owned()).collect(),
        whole: false,
    }
}

/// Each combination of filters finds what it should of `all` (id, what it is of, state).
async fn finds_what_is_asked_for(store: &dyn Store, list: List, all: &[(&str, &str, &str)], states: [&str; 2]) {
    let one = all[0].0;
    let asked: [&[&str]; 4] = [&[], &states[..1], &states, &[states[1], "UNHEARD_OF", states[1]]];
    for id in [None, Some(one), Some("nobody")] {
        for of in [None, Some(all[0].1), Some("another")] {
            for states in asked {
                let query = query(id, of, states);
                let mut expected: Vec<&str> = all
                    .iter()
                    .filter(|(name, _, _)| id.is_none_or(|id| id == *name))
                    .filter(|(_, entry_of, _)| of.is_none_or(|of| of == *entry_of))
                    .filter(|(_, _, state)| states.is_empty() || states.contains(state))
                    .map(|(name, _, _)| *name)
                    .collect();
                expected.sort_unstable();
                let found = listed(store, list, &query).await;
                let found: Vec<&str> = found.iter().map(|entry| entry.id.as_str()).collect();
                assert_eq!(found, expected, "{query:?}");
            }
        }
    }
}

/// By id, by VNFD, by state.
pub async fn instances_are_listed_by_id_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    let states = ["INSTANTIATED", "NOT_INSTANTIATED"];
    let all = [
        ("e", "vnfd", states[0]),
        ("a", "vnfd", states[1]),
        ("d", "vnfd", states[0]),
        ("f", "other", states[0]),
        ("b", "other", states[1]),
        ("g", "vnfd", states[1]),
        ("c", "vnfd", states[0]),
    ];
    for (name, vnfd, state) in all {
        let mut added = if state == states[0] {
            instantiated(name, "a")
        } else {
            instance(name)
        };
        added.vnfd_id = id(vnfd);
        store.add_vnf_instance(&added, &[]).await.unwrap();
    }
    finds_what_is_asked_for(&*store, List::Instances, &all, states).await;
}

/// By id, by instance, by state, also after the state has changed.
pub async fn occurrences_are_listed_by_id_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    let states = ["COMPLETED", "STARTING"];
    let all = [
        ("e", "i", states[0]),
        ("a", "i", states[0]),
        ("d", "i", states[0]),
        ("f", "j", states[0]),
        ("b", "j", states[1]),
        ("g", "i", states[0]),
        ("c", "i", states[1]),
    ];
    for name in ["i", "j"] {
        store.add_vnf_instance(&instance(name), &[]).await.unwrap();
    }
    for (name, of, state) in all {
        let mut occurrence = begin(&*store, &op_occ(name, of, None)).await;
        if state == states[0] {
            enter(&*store, &mut occurrence, &DONE, InstanceWrite::Release).await;
        }
    }
    finds_what_is_asked_for(&*store, List::OpOccs, &all, states).await;
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What a client sees in two objects; the second only when it is wanted.
pub async fn an_entry_of_a_list_is_the_document_in_two_parts(subject: &mut dyn Subject) {
    let store = subject.store();
    store.add_vnf_instance(&instantiated("i", "a"), &[]).await.unwrap();
    let mut occurrence = begin(&*store, &op_occ("o", "i", Some("a"))).await;
    occurrence.error = Some(ProblemDetails::new(500, "no quota"));
    enter(&*store, &mut occurrence, &DONE[..1], InstanceWrite::None).await;
    let documents = [
        (
            List::Instances,
            "i",
            serde_json::to_value(instantiated("i", "a")).unwrap(),
            VnfInstance::DEFAULT_EXCLUDED,
        ),
        (
            List::OpOccs,
            "o",
            serde_json::to_value(&occurrence).unwrap(),
            VnfLcmOpOcc::DEFAULT_EXCLUDED,
        ),
    ];
    for (list, name, document, excluded) in documents {
        let expected = Listed::of(name, document, &excluded);
        for of in [query(None, None, &[]), query(Some(name), None, &[])] {
            let short = listed(&*store, list, &of).await;
            assert_eq!(parsed(&short[0].head), parsed(&expected.head));
            assert_eq!((short[0].id.as_str(), short[0].rest.as_str()), (name, ""));
            let whole = listed(&*store, list, &ListQuery { whole: true, ..of }).await;
            assert_eq!(parsed(&whole[0].head), parsed(&expected.head));
            assert_eq!(parsed(&whole[0].rest), parsed(&expected.rest));
        }
    }
}

async fn in_use(store: &dyn Store, package: &str) -> bool {
    store.package_in_use(&id(package)).await.unwrap()
}

/// Until the last instance of it is gone, or belongs to another.
pub async fn a_package_is_in_use_while_an_instance_is_of_it(subject: &mut dyn Subject) {
    let store = subject.store();
    assert!(!in_use(&*store, "package").await);
    let mut occurrence = begun(&*store, "i", None).await;
    store.add_vnf_instance(&instance("j"), &[]).await.unwrap();
    assert!(in_use(&*store, "package").await && !in_use(&*store, "newer").await);
    store.delete_vnf_instance(&id("j"), 1, &[]).await.unwrap();
    assert!(in_use(&*store, "package").await);
    end_with(&*store, &mut occurrence, |instance| instance.own.package = id("newer")).await;
    assert!(in_use(&*store, "newer").await && !in_use(&*store, "package").await);
}

/// By id; those without a stack are on none.
pub async fn instances_are_found_by_their_account(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["c", "a", "b"] {
        store.add_vnf_instance(&instantiated(name, "one"), &[]).await.unwrap();
    }
    store.add_vnf_instance(&instantiated("d", "two"), &[]).await.unwrap();
    store.add_vnf_instance(&instance("e"), &[]).await.unwrap();
    let one = target("one");
    let first = store.vnf_instances_on(&one, None, 2).await.unwrap();
    let expected = [read(&*store, "a").await, read(&*store, "b").await];
    assert_eq!(first.entries, expected);
    let second = store.vnf_instances_on(&one, first.next.as_deref(), 2).await.unwrap();
    assert_eq!((second.entries, second.next), (vec![read(&*store, "c").await], None));

    // A stack that is gone is on no account.
    let mut occurrence = begin(&*store, &op_occ("o", "d", Some("two"))).await;
    end_with(&*store, &mut occurrence, |instance| instance.own.target = None).await;
    let nobody = store.vnf_instances_on(&target("two"), None, 10).await.unwrap();
    assert_eq!((nobody.entries, nobody.next), (vec![], None));
}
