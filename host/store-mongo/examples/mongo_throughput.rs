//! How many durable writes a second the store makes on a server, and how many commands each takes: a save of a VM's resource
//! document and a journal write in turn, then the same with a record change in each save, then commits.
//!
//! ```text
//! cargo run --release -p vimhost-store-mongo --example throughput [seconds]
//! ```
//!
//! It starts a server of its own, a replica set of one, unless `VIMHOST_TEST_MONGODB_URI` names another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, ItemList, RecordChange, Resource, TaskStatus, Timestamp};
use vimhost_store::contract::sample::{claim, commit, create, id, made, resource};
use vimhost_store::{Claim, JournalWrite, Store};
use vimhost_store_mongo::{MongoStore, Options, Stats};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A VM as a real deployment plans it: parameters, interfaces, details of the VIM; some three kilobytes.
fn vm(name: &str, nsr: &str) -> Resource {
    let mut task = create(nsr, "act", 0, Item::Vdu);
    let net = json!({"name": "eth0", "net_id": "TASK-nsrs:x:vld.mgmt", "type": "virtual", "use": "mgmt"});
    task.params = Some(json!({
        "name": name, "description": "vmA", "start": true, "image_id": "TASK-nsrs:x:image.0",
        "flavor_id": "TASK-nsrs:x:flavor.0", "net_list": [net.clone(), net.clone(), net], "cloud_config": {"digest": "0".repeat(64)},
        "disk_list": [], "affinity_group_list": [], "availability_zone_index": null
    }));
    let mut vm = made(resource(name, "bench", vec![task]), &format!("vim-{name}"));
    vm.vim.vim_details = Some("x".repeat(1500));
    vm.tasks.iter_mut().for_each(|task| task.status = TaskStatus::Build);
    vm
}

fn status(nsr: &str, status: u64) -> RecordChange {
    let mut change = RecordChange::to_record(Collection::Vnfrs, id(&format!("{nsr}-vnf")));
    change.item = Some((ItemList::Vdur, id("a")));
    let path = FieldPath::keys(["vim_info", "vim:bench"]);
    change.set = vec![
        (path.clone().key("vim_status"), json!("ACTIVE")),
        (path.key("n"), json!(status)),
    ];
    change
}

/// What a caller does in turn.
#[derive(Clone, Copy)]
enum Load {
    /// A save that changes the document only.
    Save,
    /// A save that moves the task between open and settled with a record change.
    Move,
    /// A journal write.
    Journal,
}

async fn caller(
    store: Arc<MongoStore>,
    claim: Claim,
    mut resource: Resource,
    nsr: String,
    load: Load,
    until: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut taken = Vec::new();
    let mut entry = 0;
    for round in 1_u64.. {
        if Instant::now() >= until {
            break;
        }
        resource.observed_unchanged = u32::try_from(round)?;
        let begun = Instant::now();
        match load {
            Load::Save => resource.revision = store.save_resource(&claim, &resource, &[], &[]).await?,
            Load::Move => {
                let open = round.is_multiple_of(2);
                let moved = if open { TaskStatus::Build } else { TaskStatus::Done };
                resource.tasks.iter_mut().for_each(|task| task.status = moved);
                let change = [status(&nsr, round)];
                resource.revision = store.save_resource(&claim, &resource, &change, &[]).await?;
            }
            Load::Journal => {
                let write = match round % 3 {
                    1 => JournalWrite::Begin {
                        kind: "server".to_owned(),
                        token: format!("t-{}", round % 5),
                        at: Timestamp(1000),
                    },
                    2 => JournalWrite::Commit {
                        entry,
                        element: id("vim-vm"),
                    },
                    _ => JournalWrite::Forget { entry },
                };
                let written = store.write_journal(&claim, &resource.id, &[write]).await?;
                entry = written.ok_or("no entry")?.id;
            }
        }
        taken.push(begun.elapsed());
    }
    Ok(taken)
}

fn report(name: &str, callers: usize, seconds: f64, mut taken: Vec<Duration>, before: Stats, after: Stats) {
    taken.sort_unstable();
    let at = |part: usize| taken.get(taken.len() * part / 1000).copied().unwrap_or_default();
    let operations = taken.len() as f64;
    println!(
        "{name:<8} callers={callers:<3} ops/s={:>7.0} p50={:?} p99={:?} max={:?} writes/op={:.2} reads/op={:.2}",
        operations / seconds,
        at(500),
        at(990),
        taken.last().copied().unwrap_or_default(),
        (after.writes - before.writes) as f64 / operations,
        (after.reads - before.reads) as f64 / operations,
    );
}

async fn run(store: &Arc<MongoStore>, callers: usize, load: Load, name: &str, time: Duration) -> Result<(), Failure> {
    let claim = claim(&**store, "bench").await;
    let mut resources = Vec::new();
    for n in 0..callers {
        let nsr = format!("{name}-{callers}-{n}");
        let record = json!({"nsr-id-ref": &nsr, "vdur": [{"id": "a", "filler": "y".repeat(1000)}]});
        let vnf = id(&format!("{nsr}-vnf"));
        store.put_record(Collection::Vnfrs, &vnf, record, None).await?;
        let vm = vm(&format!("vm-{nsr}"), &nsr);
        store.commit_action(commit(&nsr, "act", 0, vec![vm.clone()])).await?;
        resources.push((store.resource(&vm.id).await?.ok_or("not kept")?, nsr));
    }
    let before = store.stats();
    let begun = Instant::now();
    let until = begun + time;
    let mut tasks = Vec::new();
    for (resource, nsr) in resources {
        let caller = caller(Arc::clone(store), claim.clone(), resource, nsr, load, until);
        tasks.push(tokio::spawn(caller));
    }
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await??);
    }
    report(
        name,
        callers,
        begun.elapsed().as_secs_f64(),
        taken,
        before,
        store.stats(),
    );
    Ok(())
}

/// Commits of some new VMs each, one after the other.
async fn commits(store: &Arc<MongoStore>, vms: usize, time: Duration) -> Result<(), Failure> {
    let before = store.stats();
    let begun = Instant::now();
    let mut taken = Vec::new();
    while begun.elapsed() < time {
        let nsr = format!("commit-{vms}-{}", taken.len());
        let new = (0..vms).map(|n| vm(&format!("{nsr}-{n}"), &nsr)).collect();
        let commit = commit(&nsr, "act", 0, new);
        let one = Instant::now();
        store.commit_action(commit).await?;
        taken.push(one.elapsed());
    }
    report(
        &format!("commit{vms}"),
        1,
        begun.elapsed().as_secs_f64(),
        taken,
        before,
        store.stats(),
    );
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let time = Duration::from_secs(std::env::args().nth(1).map_or(Ok(5), |seconds| seconds.parse())?);
    let uri = vimhost_mongod::shared(vimhost_mongod::Kind::ReplicaSet).await?;
    let database = format!("throughput_{}", std::process::id());
    let store = Arc::new(MongoStore::open(Options::new(uri, database, id("host"))).await?);
    for callers in [1, 64] {
        run(&store, callers, Load::Save, "save", time).await?;
        run(&store, callers, Load::Move, "move", time).await?;
        run(&store, callers, Load::Journal, "journal", time).await?;
    }
    commits(&store, 1, time).await?;
    commits(&store, 100, time).await?;
    Ok(())
}
