//! Journals.

use vimhost_model::{Item, JournalEntry, JournalStatus, ResourceId, Timestamp};

use super::Subject;
use super::sample::{accept, claim, create, id, made, resource};
use crate::{Claim, Error, JournalWrite, Store};

fn begin(kind: &str, token: &str) -> JournalWrite {
    JournalWrite::Begin {
        kind: kind.to_owned(),
        token: token.to_owned(),
        at: Timestamp(1000),
    }
}

async fn announce(store: &dyn Store, claim: &Claim, resource: &ResourceId, kind: &str, token: &str) -> JournalEntry {
    let entry = store
        .write_journal(claim, resource, &[begin(kind, token)])
        .await
        .unwrap();
    entry.unwrap()
}

async fn vm(store: &dyn Store) -> (Claim, ResourceId) {
    let all = (0..2).map(|n| resource(&format!("vm-{n}"), "a", vec![create("ns", "act", n, Item::Vdu)]));
    accept(store, "ns", "act", all.collect()).await;
    (claim(store, "a").await, id("vm-0"))
}

/// Entries are numbered from 1 within their resource; the same kind and token again is the same entry.
pub async fn an_entry_is_announced_once(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    let port = announce(&*store, &claim, &vm, "port", "t").await;
    let server = announce(&*store, &claim, &vm, "server", "t").await;
    let second = announce(&*store, &claim, &vm, "port", "t2").await;
    assert_eq!((port.id, server.id, second.id), (1, 2, 3));
    assert_eq!((port.status, &port.element), (JournalStatus::Begun, &None));
    assert_eq!(announce(&*store, &claim, &vm, "port", "t").await, port);
    let elsewhere = announce(&*store, &claim, &id("vm-1"), "port", "t").await;
    assert_eq!(elsewhere.id, 1);
    assert_eq!(store.journal(&vm).await.unwrap(), [port, server, second]);
}

/// They are there with the commit, and the next number is after theirs.
pub async fn a_new_resource_begins_with_the_entries_it_takes_over(subject: &mut dyn Subject) {
    let store = subject.store();
    let entry = |number, token: &str, element: Option<&str>| JournalEntry {
        id: number,
        kind: "volume:keep".to_owned(),
        token: token.to_owned(),
        status: if element.is_some() {
            JournalStatus::Committed
        } else {
            JournalStatus::Begun
        },
        begun_at: Timestamp(7),
        element: element.map(id),
    };
    let mut vm = resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)]);
    vm.journal = vec![entry(1, "old.v0", Some("volume-1")), entry(2, "old.v1", None)];
    let read = accept(&*store, "ns", "act", vec![vm.clone()]).await;
    assert_eq!(read[0].journal, vm.journal);
    drop(store);
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.journal(&vm.id).await.unwrap(), vm.journal);
    assert!(store.holds_elements(&vm.target).await.unwrap());
    let claim = claim(&*store, "a").await;
    let known = announce(&*store, &claim, &vm.id, "volume:keep", "old.v0").await;
    assert_eq!(known, vm.journal[0]);
    assert_eq!(announce(&*store, &claim, &vm.id, "server", "vm").await.id, 3);
}

/// Each repeatable; a committed one is answered as it stands.
pub async fn an_entry_is_committed_and_forgotten(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    announce(&*store, &claim, &vm, "port", "a").await;
    announce(&*store, &claim, &vm, "port", "b").await;
    let commit = JournalWrite::Commit {
        entry: 1,
        element: id("vim-port"),
    };
    for _ in 0..2 {
        let entry = store
            .write_journal(&claim, &vm, std::slice::from_ref(&commit))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(entry.status, JournalStatus::Committed);
        assert_eq!(entry.element, Some(id("vim-port")));
    }
    let again = announce(&*store, &claim, &vm, "port", "a").await;
    assert_eq!((again.id, again.status), (1, JournalStatus::Committed));

    for _ in 0..2 {
        let forgotten = store
            .write_journal(&claim, &vm, &[JournalWrite::Forget { entry: 1 }])
            .await
            .unwrap();
        assert_eq!(forgotten, Some(again.clone()));
    }
    let left = store.journal(&vm).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.id).collect::<Vec<_>>(), [2]);
    // A late commit does not bring it back.
    store.write_journal(&claim, &vm, &[commit]).await.unwrap();
    assert_eq!(store.journal(&vm).await.unwrap().len(), 1);

    store
        .write_journal(&claim, &vm, &[JournalWrite::Forget { entry: 2 }])
        .await
        .unwrap();
    assert_eq!(store.journal(&vm).await.unwrap(), []);
    // Numbers are not given twice.
    assert_eq!(announce(&*store, &claim, &vm, "port", "c").await.id, 3);
}

/// Under its number, as begun: a request follows an announcement, and what it makes must be known.
pub async fn a_forgotten_entry_that_is_announced_again_is_back(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    let first = announce(&*store, &claim, &vm, "port", "a").await;
    let commit = JournalWrite::Commit {
        entry: first.id,
        element: id("vim-port"),
    };
    store.write_journal(&claim, &vm, &[commit]).await.unwrap();
    let forget = JournalWrite::Forget { entry: first.id };
    store.write_journal(&claim, &vm, &[forget]).await.unwrap();
    assert_eq!(announce(&*store, &claim, &vm, "port", "a").await, first);
    assert_eq!(store.journal(&vm).await.unwrap(), [first]);
}

/// A save neither loses it nor brings an older state of it back; a journal write leaves the revision alone.
pub async fn the_journal_lives_beside_the_document(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    let old = store.resource(&vm).await.unwrap().unwrap();
    let entry = announce(&*store, &claim, &vm, "server", "t").await;
    let read = store.resource(&vm).await.unwrap().unwrap();
    assert_eq!(read.revision, old.revision);
    assert_eq!(read.journal, std::slice::from_ref(&entry));
    assert!(read.may_exist());

    let revision = store.save_resource(&claim, &made(old, "x"), &[], &[]).await.unwrap();
    drop(store);
    subject.reopen().await;
    let store = subject.store();
    let mut saved = store.resource(&vm).await.unwrap().unwrap();
    assert_eq!((saved.revision, saved.journal.as_slice()), (revision, &[entry][..]));

    // Whoever opens a store may end the claims of the process before.
    let claim = super::sample::claim(&*store, "a").await;
    store
        .write_journal(&claim, &vm, &[JournalWrite::Forget { entry: 1 }])
        .await
        .unwrap();
    saved.revision = store.save_resource(&claim, &saved, &[], &[]).await.unwrap();
    assert_eq!(store.journal(&vm).await.unwrap(), []);
    assert_eq!(store.resource(&vm).await.unwrap().unwrap().journal, []);
}

/// An unknown resource, an unknown entry.
pub async fn a_journal_of_nothing_is_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    let refused = store.write_journal(&claim, &id("nobody"), &[begin("port", "t")]).await;
    assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    for write in [
        JournalWrite::Forget { entry: 1 },
        JournalWrite::Commit {
            entry: 1,
            element: id("x"),
        },
    ] {
        let refused = store.write_journal(&claim, &vm, &[write]).await;
        assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    }
    assert_eq!(store.journal(&id("nobody")).await.unwrap(), []);
}

/// Entries are dropped with the document that says so, or neither is written; their numbers are not given again.
pub async fn entries_end_with_the_write_that_ends_their_operation(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    let port = announce(&*store, &claim, &vm, "port", "t.p0").await;
    for token in ["t.op-1", "t.op-1.a"] {
        announce(&*store, &claim, &vm, "reboot", token).await;
    }
    let mut saved = store.resource(&vm).await.unwrap().unwrap();
    let mut stale = saved.clone();
    stale.revision += 7;
    assert!(
        store
            .save_resource(&claim, &stale, &[], &drop_all(&[2, 3]))
            .await
            .is_err()
    );
    assert_eq!(store.journal(&vm).await.unwrap().len(), 3);

    // One that is not there is no error.
    saved.revision = store
        .save_resource(&claim, &saved, &[], &drop_all(&[2, 3, 99]))
        .await
        .unwrap();
    assert_eq!(store.journal(&vm).await.unwrap(), std::slice::from_ref(&port));
    let next = announce(&*store, &claim, &vm, "reboot", "t.op-2").await;
    assert_eq!((next.id, next.status), (4, JournalStatus::Begun));
    assert_eq!(store.journal(&vm).await.unwrap(), [port, next]);
}

fn drop_all(entries: &[u64]) -> Vec<JournalWrite> {
    entries
        .iter()
        .map(|entry| JournalWrite::Drop { entry: *entry })
        .collect()
}

fn commit(entry: u64, element: &str) -> JournalWrite {
    JournalWrite::Commit {
        entry,
        element: id(element),
    }
}

/// In order, and answered with the last; where one cannot be made none is.
pub async fn entries_are_written_together_or_not_at_all(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    let port = announce(&*store, &claim, &vm, "port", "t.p0").await;
    let writes = [commit(port.id, "vim-port"), begin("server", "t")];
    let server = store.write_journal(&claim, &vm, &writes).await.unwrap().unwrap();
    assert_eq!((server.id, server.kind.as_str()), (2, "server"));
    let journal = store.journal(&vm).await.unwrap();
    let statuses = || journal.iter().map(|entry| entry.status).collect::<Vec<_>>();
    assert_eq!(statuses(), [JournalStatus::Committed, JournalStatus::Begun]);
    assert_eq!(journal[0].element, Some(id("vim-port")));

    let refused = store
        .write_journal(&claim, &vm, &[commit(2, "vim-server"), commit(9, "x")])
        .await;
    assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    assert_eq!(store.journal(&vm).await.unwrap(), journal);

    // Each again, and one that ends.
    let again = [writes[0].clone(), writes[1].clone(), JournalWrite::Drop { entry: 1 }];
    assert_eq!(store.write_journal(&claim, &vm, &again).await.unwrap(), None);
    assert_eq!(store.journal(&vm).await.unwrap(), [server]);
    assert_eq!(store.write_journal(&claim, &vm, &[]).await.unwrap(), None);
}

/// What was made is confirmed by the write that says so of the resource, or not at all.
pub async fn entries_are_committed_with_a_save(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    for token in ["a", "b", "c"] {
        announce(&*store, &claim, &vm, "port", token).await;
    }
    let saved = store.resource(&vm).await.unwrap().unwrap();
    // A token of dollars is a text like any other.
    let writes = [commit(1, "$vim-port"), JournalWrite::Drop { entry: 2 }, commit(9, "x")];
    let mut stale = saved.clone();
    stale.revision += 7;
    assert!(store.save_resource(&claim, &stale, &[], &writes).await.is_err());
    assert_eq!(store.journal(&vm).await.unwrap(), saved.journal);

    let revision = store
        .save_resource(&claim, &made(saved.clone(), "$x"), &[], &writes)
        .await
        .unwrap();
    let read = store.resource(&vm).await.unwrap().unwrap();
    assert_eq!((read.revision, read.vim.vim_id.clone()), (revision, Some(id("$x"))));
    let shown: Vec<_> = read
        .journal
        .iter()
        .map(|entry| (entry.id, entry.status, entry.element.clone()))
        .collect();
    let committed = (1, JournalStatus::Committed, Some(id("$vim-port")));
    assert_eq!(shown, [committed, (3, JournalStatus::Begun, None)]);
}

/// The time is that of the last announcement, since the last request follows it. What the VIM has confirmed keeps its time.
pub async fn an_entry_knows_when_it_was_begun(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    let begin_at = |at| JournalWrite::Begin {
        kind: "port".to_owned(),
        token: "t".to_owned(),
        at: Timestamp(at),
    };
    let announce = async |at: i64| {
        let entry = store
            .write_journal(&claim, &vm, &[begin_at(at)])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(store.journal(&vm).await.unwrap(), std::slice::from_ref(&entry));
        (entry.id, entry.status, entry.begun_at)
    };
    let begun = |at: i64| (1_u64, JournalStatus::Begun, Timestamp(at));
    assert_eq!(announce(5).await, begun(5));
    assert_eq!(announce(9).await, begun(9));
    // As when its answer was lost and it is sent again; and by a clock that was set back.
    assert_eq!(announce(9).await, begun(9));
    assert_eq!(announce(7).await, begun(7));
    let forget = JournalWrite::Forget { entry: 1 };
    store.write_journal(&claim, &vm, &[forget]).await.unwrap();
    assert_eq!(announce(12).await, begun(12));
    store
        .write_journal(&claim, &vm, &[commit(1, "vim-port")])
        .await
        .unwrap();
    assert_eq!(announce(15).await, (1, JournalStatus::Committed, Timestamp(12)));
}

/// Whatever else is in the journal keeps its time, also another kind under the same token.
pub async fn only_the_announced_entry_is_begun_anew(subject: &mut dyn Subject) {
    let store = subject.store();
    let (claim, vm) = vm(&*store).await;
    for (kind, token) in [("port", "t"), ("port", "t.p1"), ("server", "t")] {
        announce(&*store, &claim, &vm, kind, token).await;
    }
    let mut expected = store.journal(&vm).await.unwrap();
    let again = JournalWrite::Begin {
        kind: "port".to_owned(),
        token: "t".to_owned(),
        at: Timestamp(2000),
    };
    store.write_journal(&claim, &vm, &[again]).await.unwrap();
    expected[0].begun_at = Timestamp(2000);
    assert_eq!(store.journal(&vm).await.unwrap(), expected);
}
