//! How many durable writes a second the store makes: a save of a VM's resource document and a journal write in turn.
//!
//! ```text
//! cargo run --release -p vimhost-store-sqlite --example throughput [directory] [seconds]
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, ItemList, RecordChange, Resource, TaskStatus};
use vimhost_store::contract::sample::{NOW, claim, commit, create, id, made, resource, target};
use vimhost_store::{Change, Claim, JournalWrite, Store};
use vimhost_store_sqlite::{Options, SqliteStore};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A VM as a real deployment plans it: parameters, interfaces, details of the VIM; some three kilobytes.
fn vm(name: &str, nsr: &str) -> Resource {
    let mut task = create(nsr, &format!("act-{nsr}"), 0, Item::Vdu);
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
    /// A save that changes the document only, and a journal write.
    SaveAndJournal,
    /// A save that moves the task between open and settled with a record change, and a journal write.
    Moves,
}

async fn caller(
    store: Arc<SqliteStore>,
    claim: Claim,
    mut resource: Resource,
    nsr: String,
    load: Load,
    until: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut taken = Vec::new();
    let mut round = 0_u64;
    let mut entry = 0;
    while Instant::now() < until {
        round += 1;
        resource.observed_unchanged = u32::try_from(round)?;
        let mut changes = Vec::new();
        if let Load::Moves = load {
            let open = round.is_multiple_of(2);
            let status_of_task = if open { TaskStatus::Build } else { TaskStatus::Done };
            resource.tasks.iter_mut().for_each(|task| task.status = status_of_task);
            changes.push(status(&nsr, round));
        }
        let begun = Instant::now();
        resource.revision = store.save_resource(&claim, &resource, &changes, &[]).await?;
        taken.push(begun.elapsed());

        let begun = Instant::now();
        // Each write changes something: SQLite neither writes nor syncs what is there already.
        let write = match round % 3 {
            1 => JournalWrite::Begin {
                kind: "server".to_owned(),
                token: format!("t-{}", round % 5),
                at: vimhost_model::Timestamp(1000),
            },
            2 => JournalWrite::Commit {
                entry,
                element: id("vim-vm"),
            },
            _ => JournalWrite::Forget { entry },
        };
        let written = store.write_journal(&claim, &resource.id, &[write]).await?;
        entry = written.ok_or("no entry")?.id;
        taken.push(begun.elapsed());
    }
    Ok(taken)
}

async fn run(store: &Arc<SqliteStore>, callers: usize, load: Load, name: &str, time: Duration) -> Result<(), Failure> {
    let claim = claim(&**store, "bench").await;
    let mut resources = Vec::new();
    for n in 0..callers {
        let nsr = format!("{name}-{callers}-{n}");
        let record = json!({"nsr-id-ref": &nsr, "vdur": [{"id": "a", "filler": "y".repeat(1000)}]});
        let vnf = id(&format!("{nsr}-vnf"));
        store.put_record(Collection::Vnfrs, &vnf, record, None).await?;
        let vm = vm(&format!("vm-{nsr}"), &nsr);
        let mut commit = commit(&nsr, &format!("act-{nsr}"), 0, vec![vm.clone()]);
        commit.header.created_at = NOW;
        store.commit_action(commit).await?;
        let kept = store.resource(&vm.id).await?.ok_or("not kept")?;
        resources.push((kept, nsr));
    }
    let before = store.stats();
    let begun = Instant::now();
    let until = begun + time;
    let mut tasks = Vec::new();
    for (resource, nsr) in resources {
        tasks.push(tokio::spawn(caller(
            Arc::clone(store),
            claim.clone(),
            resource,
            nsr,
            load,
            until,
        )));
    }
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    taken.sort_unstable();
    let at = |part: usize| taken.get(taken.len() * part / 1000).copied().unwrap_or_default();
    let after = store.stats();
    let (commits, operations) = (after.commits - before.commits, after.operations - before.operations);
    println!(
        "{name:<8} callers={callers:<3} ops/s={:>7.0} p50={:?} p99={:?} p99.9={:?} max={:?} commits/s={:.0} ops/commit={:.1}",
        taken.len() as f64 / seconds,
        at(500),
        at(990),
        at(999),
        taken.last().copied().unwrap_or_default(),
        commits as f64 / seconds,
        operations as f64 / commits as f64,
    );
    Ok(())
}

async fn reads(store: &Arc<SqliteStore>, callers: usize, time: Duration) -> Result<(), Failure> {
    let page = store.unsettled(&target("bench"), None, 1).await?;
    let resource = page.entries.into_iter().next().ok_or("nothing to read")?.id;
    let begun = Instant::now();
    let until = begun + time;
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (store, resource) = (Arc::clone(store), resource.clone());
        tasks.push(tokio::spawn(async move {
            let mut read = 0_u64;
            while Instant::now() < until {
                store.resource(&resource).await?;
                read += 1;
            }
            Ok::<_, Failure>(read)
        }));
    }
    let mut read = 0;
    for task in tasks {
        read += task.await??;
    }
    println!(
        "read     callers={callers:<3} ops/s={:>7.0}",
        read as f64 / begun.elapsed().as_secs_f64()
    );
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let time = Duration::from_secs(arguments.next().map_or(Ok(5), |seconds| seconds.parse())?);
    let dir = tempfile::tempdir_in(parent)?;
    let store = Arc::new(SqliteStore::open(dir.path().join("vimhost.db"), Options::default())?);
    println!("{}", dir.path().display());
    for callers in [1, 64] {
        run(&store, callers, Load::SaveAndJournal, "save", time).await?;
        run(&store, callers, Load::Moves, "move", time).await?;
        reads(&store, callers, time).await?;
    }
    // The same with somebody who listens to the hints.
    let mut changes = store.changes();
    let listener = tokio::spawn(async move {
        let mut heard = 0_u64;
        while !matches!(
            changes.recv().await,
            Ok(Change::Forgotten(_)) | Err(tokio::sync::broadcast::error::RecvError::Closed)
        ) {
            heard += 1;
        }
        heard
    });
    run(&store, 64, Load::Moves, "hinted", time).await?;
    drop(store);
    println!("hints heard: {}", listener.await?);
    Ok(())
}
