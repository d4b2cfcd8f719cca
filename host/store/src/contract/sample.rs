//! Data for tests: small, valid, and alike from run to run.

use serde_json::{Map, Value, json};
use vimhost_model::{
    AccountSource, AccountState, ActionHeader, ActionKind, Collection, Grants, HostId, Id, Item, ItemRef, Kind, NsrId,
    Resource, TargetId, Task, TaskAction, TaskStatus, Timestamp, VimState, VimStatus,
};

use crate::{ActionCommit, Claim, SealedText, Store, StoredAccount};

/// The time in all samples.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A minute, in milliseconds.
pub const MINUTE: i64 = 60_000;

/// An id of any kind.
///
/// # Panics
/// When the text is no id.
#[must_use]
pub fn id<K: Kind>(text: &str) -> Id<K> {
    text.parse().unwrap()
}

/// The target `vim:<account>`.
#[must_use]
pub fn target(account: &str) -> TargetId {
    TargetId::vim(id(account))
}

/// This many minutes after [`NOW`].
#[must_use]
pub fn minutes(minutes: i64) -> Timestamp {
    Timestamp(NOW.0 + minutes * MINUTE)
}

/// An account on `vim:<account>` with one sealed secret.
#[must_use]
pub fn account(account: &str) -> StoredAccount {
    StoredAccount {
        target: target(account),
        name: format!("cloud {account}"),
        description: String::new(),
        vim_type: "mock".to_owned(),
        url: "https://keystone.example:5000/v3".to_owned(),
        user: Some("operator".to_owned()),
        tenant: Some("project".to_owned()),
        config: Map::from_iter([("region".to_owned(), json!("north"))]),
        credentials: [("password".to_owned(), SealedText("v1.key.text".to_owned()))].into(),
        ca_certificates: None,
        insecure_tls: false,
        grants: Grants::default(),
        source: AccountSource::Own,
        state: AccountState::Processing,
        warnings: Vec::new(),
        removing: false,
        created_at: NOW,
        modified_at: NOW,
        revision: 0,
    }
}

/// The item `vnfrs:<nsr>-vnf:<list>.<name>` that results of `item` go to.
#[must_use]
pub fn item_ref(nsr: &NsrId, item: Item, name: &str) -> ItemRef {
    ItemRef {
        collection: Collection::Vnfrs,
        record: id(&format!("{nsr}-vnf")),
        list: item.list(),
        item: id(name),
    }
}

/// Task `<action>:<n>`, scheduled.
#[must_use]
pub fn task(nsr: &str, action: &str, n: u32, what: TaskAction, item: Item) -> Task {
    let nsr_id: NsrId = id(nsr);
    let target_record = item_ref(&nsr_id, item, &format!("item-{n}"));
    Task {
        params: Some(json!({"name": format!("{nsr}-{n}"), "description": "a sample"})),
        ..Task::scheduled(
            id(&format!("{action}:{n}")),
            id(action),
            nsr_id,
            what,
            item,
            target_record,
        )
    }
}

/// A scheduled CREATE.
#[must_use]
pub fn create(nsr: &str, action: &str, n: u32, item: Item) -> Task {
    task(nsr, action, n, TaskAction::Create, item)
}

/// A resource on `vim:<account>` with these tasks, of the first one's kind.
///
/// # Panics
/// When there is no task.
#[must_use]
pub fn resource(name: &str, account: &str, tasks: Vec<Task>) -> Resource {
    Resource::planned(id(name), target(account), tasks[0].item, tasks, NOW)
}

/// The resource as its CREATEs leave it: made by us as `vim_id`, in service, every task DONE.
#[must_use]
pub fn made(mut resource: Resource, vim_id: &str) -> Resource {
    for task in &mut resource.tasks {
        task.status = TaskStatus::Done;
        task.was_in_service = true;
        task.interface_places = vec![1, 3];
    }
    resource.vim = VimState {
        created: true,
        vim_id: Some(id(vim_id)),
        vim_name: Some(vim_id.to_owned()),
        vim_status: Some(VimStatus::Active),
        ..VimState::default()
    };
    resource
}

/// A header.
#[must_use]
pub fn header(nsr: &str, action: &str, tasks: u32) -> ActionHeader {
    ActionHeader {
        id: id(action),
        nsr_id: id(nsr),
        kind: ActionKind::Deploy,
        body_digest: "00".repeat(32),
        tasks,
        created_at: NOW,
    }
}

/// A commit of new resources on planning revision `service_revision`.
///
/// # Panics
/// When there are more tasks than a header counts.
#[must_use]
pub fn commit(nsr: &str, action: &str, service_revision: u64, new_resources: Vec<Resource>) -> ActionCommit {
    let tasks: usize = new_resources.iter().map(|resource| resource.tasks.len()).sum();
    ActionCommit {
        header: header(nsr, action, u32::try_from(tasks).unwrap()),
        service_revision,
        service_life: None,
        accounts: Vec::new(),
        new_resources,
        updates: Vec::new(),
        record_changes: Vec::new(),
        texts: Vec::new(),
    }
}

/// The record `<nsr>-vnf` of service `nsr` with VMs of these ids.
#[must_use]
pub fn vnfr(nsr: &str, vms: &[&str]) -> Value {
    let vdur: Vec<_> = vms
        .iter()
        .map(|vm| json!({"id": vm, "vdu-name": format!("vm {vm}"), "interfaces": [{"name": "eth0"}]}))
        .collect();
    json!({"_id": format!("{nsr}-vnf"), "nsr-id-ref": nsr, "vdur": vdur, "vld": [], "_admin": {"nsState": "x"}})
}

/// Claims `vim:<account>` for host `host` from [`NOW`] for a minute.
///
/// # Panics
/// When the store refuses.
pub async fn claim(store: &dyn Store, account: &str) -> Claim {
    let host: HostId = id("host");
    store
        .claim_account(&target(account), &host, NOW, minutes(1))
        .await
        .unwrap()
}

/// Accepts an action of new resources on the service's present planning revision, and reads the resources back in the same
/// order.
///
/// # Panics
/// When the store refuses.
pub async fn accept(store: &dyn Store, nsr: &str, action: &str, resources: Vec<Resource>) -> Vec<Resource> {
    let ids: Vec<_> = resources.iter().map(|resource| resource.id.clone()).collect();
    let revision = store.service_revision(&id(nsr)).await.unwrap();
    store
        .commit_action(commit(nsr, action, revision, resources))
        .await
        .unwrap();
    let mut read = Vec::new();
    for id in &ids {
        read.push(store.resource(id).await.unwrap().unwrap());
    }
    read
}
