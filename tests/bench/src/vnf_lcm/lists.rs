//! Lists of many instances, each of them instantiated. They are written into the database as copies of one that a host has made, since what
//! is measured is the reading.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use vimhost_model::VnfInstanceId;
use vimhost_model::vnf::VnfInstance;
use vimhost_store::VnfLcm as _;
use vimhost_store_sqlite::{Options, SqliteStore};
use vimhost_tests::instantiate_request;

use super::{World, entries};
use crate::figure::{Aim, Figures, Times, Unit};
use crate::harness::{ACCOUNT, Place};

/// Instances that are listed.
const STORED: usize = 50_000;

/// Copies that are written together.
const TOGETHER: usize = 1_000;

/// The copy that filters ask for.
const WANTED: usize = STORED / 2;

/// How often each list is asked for.
const TIMED: usize = 5;

/// Longer than any of the lists.
const MAX_CONTENT_LENGTH: &str = "1000000000";

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let database = dir.path().join("vimhost.db");
    let place = Place::Sqlite(dir);
    let World { bench, client, vnfd } = World::new(&place, |_| {}).await?;
    bench.add_account(ACCOUNT).await?;
    let id = client.create(&vnfd, "sample-0").await?;
    client
        .complete(&id, "instantiate", &instantiate_request(ACCOUNT))
        .await?;
    bench.host.stop()?;
    fill(&database, &id).await?;

    let world = World::again(&place, |setup| {
        let arguments = ["--vnf-lcm-max-content-length", MAX_CONTENT_LENGTH];
        setup.arguments.extend(arguments.map(str::to_owned));
    })?;
    let of_name = format!("?filter=(eq,vnfInstanceName,sample-{WANTED})");
    let inside =
        format!("?filter=(eq,instantiatedVnfInfo/vnfcResourceInfo/computeResource/resourceId,server-{WANTED})");
    for (name, query, expected) in [
        ("all", "", STORED),
        ("by_name", of_name.as_str(), 1),
        ("inside", inside.as_str(), 1),
    ] {
        let path = format!("/vnflcm/v2/vnf_instances{query}");
        let mut times = vec![];
        for _ in 0..TIMED {
            let begun = Instant::now();
            let list = world.get(&path).await?;
            times.push(begun.elapsed());
            let found = entries(&list)?;
            ensure!(
                found == expected,
                "{path} lists {found} instances instead of {expected}"
            );
        }
        let p50 = Unit::Milliseconds.of(Times::new(times).at(50));
        let name = format!("vnf.list.{STORED}.{name}.p50");
        figures.add(name, p50, "ms", Some(Aim::AtMost(1000.0)));
    }
    figures.add(format!("vnf.list.{STORED}.memory"), world.bench.resident()?, "MB", None);
    Ok(())
}

/// Writes copies of an instance until there are as many as are listed.
async fn fill(database: &Path, id: &str) -> anyhow::Result<()> {
    let store = SqliteStore::open(database, Options::default())?;
    let one = store.vnf_instance(&VnfInstanceId::new(id)?).await?;
    let one = one.context("the instance is not in the database")?;
    for first in (1..STORED).step_by(TOGETHER) {
        let copies = (first..STORED.min(first + TOGETHER)).map(|n| copy(&one, n));
        let copies = copies.collect::<anyhow::Result<Vec<VnfInstance>>>()?;
        try_join_all(copies.iter().map(|copy| store.add_vnf_instance(copy, &[]))).await?;
    }
    Ok(())
}

fn copy(one: &VnfInstance, n: usize) -> anyhow::Result<VnfInstance> {
    let mut copy = one.clone();
    copy.id = VnfInstanceId::new(format!("{n:08}-0000-4000-8000-000000000000"))?;
    copy.vnf_instance_name = Some(format!("sample-{n}"));
    copy.own.revision = 0;
    let info = copy.instantiated_vnf_info.as_mut();
    let vnfcs = info.and_then(|info| info.vnfc_resource_info.as_mut());
    for vnfc in vnfcs.into_iter().flatten() {
        vnfc.compute_resource.resource_id = format!("server-{n}");
    }
    Ok(copy)
}
