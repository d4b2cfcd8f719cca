//! Writers that tell what was answered, and the check that all of it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, RecordChange, Timestamp};
use vimhost_store::contract::sample::{claim, commit, create, id, resource};
use vimhost_store::{Error, JournalWrite, Store};
use vimhost_store_mongo::MongoStore;

/// Resources of one action.
const RESOURCES: u32 = 4;

/// One writer: actions of some resources with a mark in the record, then saves and journal entries. Ends with the first error.
pub async fn write_on(
    store: Arc<MongoStore>,
    round: u64,
    writer: u64,
    answered: &(dyn Fn(String) + Sync),
) -> Result<(), Error> {
    let nsr = format!("ns-{writer}");
    let (service, record) = (id(&nsr), id(&nsr));
    if store.record(Collection::Nsrs, &record).await?.is_none() {
        let new = json!({"name": &nsr, "marks": {}, "counts": {}});
        store.put_record(Collection::Nsrs, &record, new, None).await?;
    }
    let claim = claim(&*store, "a").await;
    for n in 0.. {
        let action = format!("act-{round}-{writer}-{n}");
        let name = |r: u32| format!("r-{round}-{writer}-{n}-{r}");
        let new = (0..RESOURCES).map(|r| resource(&name(r), "a", vec![create(&nsr, &action, r, Item::Net)]));
        let revision = store.service_revision(&service).await?;
        let mut commit = commit(&nsr, &action, revision, new.collect());
        let mut mark = RecordChange::to_record(Collection::Nsrs, record.clone());
        mark.set
            .push((FieldPath::keys(["marks", action.as_str()]), json!(true)));
        commit.record_changes.push(mark);
        store.commit_action(commit).await?;
        answered(format!("commit {nsr} {action}"));
        for r in 0..RESOURCES {
            let resource = id(&name(r));
            let Some(mut saved) = store.resource(&resource).await? else {
                return Err(Error::missing(name(r)));
            };
            saved.observed_unchanged = 7;
            let mut mark = RecordChange::to_record(Collection::Nsrs, record.clone());
            mark.set.push((FieldPath::keys(["saved"]), json!(name(r))));
            let revision = store.save_resource(&claim, &saved, &[mark], &[]).await?;
            answered(format!("save {} {revision}", saved.id));
            let begin = JournalWrite::Begin {
                kind: "net".to_owned(),
                token: name(r),
                at: Timestamp(1000),
            };
            if let Some(entry) = store.write_journal(&claim, &saved.id, &[begin]).await? {
                answered(format!("journal {} {}", saved.id, entry.id));
            }
        }
    }
    Ok(())
}

/// Everything answered is there, and everything that is there is whole and there once.
pub async fn check(store: &MongoStore, lines: &[String]) {
    let mut marks = BTreeMap::new();
    let mut headers = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.actions(None, after.as_deref(), 500).await.unwrap();
        for header in page.entries {
            let resources = store.resources_of_action(&header.nsr_id, &header.id).await.unwrap();
            assert_eq!(resources.len(), 4, "action {}", header.id);
            assert!(resources.iter().all(|resource| resource.tasks.len() == 1));
            *marks.entry(header.nsr_id.to_string()).or_insert(0) += 1;
            assert!(
                headers.insert((header.nsr_id.to_string(), header.id.to_string())),
                "a header is there twice"
            );
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (nsr, actions) in marks {
        let record = store.record(Collection::Nsrs, &id(&nsr)).await.unwrap().unwrap();
        let marks = record.document["marks"].as_object().unwrap();
        assert_eq!(marks.len(), actions, "{nsr}: a mark per action");
        assert!(
            marks
                .keys()
                .all(|action| headers.contains(&(nsr.clone(), action.clone())))
        );
        let revision = store.service_revision(&id(&nsr)).await.unwrap();
        assert_eq!(usize::try_from(revision).unwrap(), actions);
        if let Some(saved) = record.document["saved"].as_str() {
            let saved = store.resource(&id(saved)).await.unwrap().unwrap();
            assert_eq!(saved.observed_unchanged, 7, "a save and its record change are one");
        }
    }
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["commit", nsr, action] => {
                assert!(headers.contains(&((*nsr).to_owned(), (*action).to_owned())), "{line}");
            }
            ["save", name, revision] => {
                let resource = store.resource(&id(name)).await.unwrap().unwrap();
                // One writer saves each once: a second application would be seen.
                assert_eq!(resource.revision, revision.parse::<u64>().unwrap(), "{line}");
                assert_eq!(resource.observed_unchanged, 7);
            }
            ["journal", name, entry] => {
                let journal = store.journal(&id(name)).await.unwrap();
                assert_eq!(journal.len(), 1, "{line}");
                assert!(journal.iter().all(|kept| kept.id.to_string() == *entry), "{line}");
            }
            other => panic!("the writer told {other:?}"),
        }
    }
}
