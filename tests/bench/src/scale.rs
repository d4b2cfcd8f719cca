//! Large services and slow VIMs: planning many VMs, many VMs with much user data, an account whose VIM takes seconds to answer.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use vimhost_tests::{Lcm, start_vim};

use crate::figure::{Aim, Figures, Times, Unit};
use crate::harness::{ACCOUNT, BenchHost, Place};

/// VMs of the service that is planned again and again.
const PLANNED: usize = 200;

/// VMs of the large service, and the user data of each in bytes.
const VMS: usize = 2_000;
const USER_DATA: usize = 32 * 1024;

/// Its VNF.
const VNF: &str = "0f4c2a9e-5d1b-4a57-8a3e-2b6f0c7d9e11";

/// How long the slow VIM takes for each answer.
const SLOW_MS: u64 = 5_000;

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    planning(figures).await?;
    large(figures).await?;
    beside_a_slow_vim(figures).await
}

/// The plan of a service, as a client waits for it.
async fn planning(figures: &mut Figures) -> anyhow::Result<()> {
    let place = Place::sqlite()?;
    let host = BenchHost::start(&place).await?;
    host.put("planned", ACCOUNT, PLANNED).await?;
    let mut times = vec![];
    for _ in 0..30 {
        let begun = Instant::now();
        host.host
            .admin_ok("POST", "/v1/network-services/planned/plan", Some(json!({})))
            .await?;
        times.push(begun.elapsed());
    }
    let name = format!("plan.{PLANNED}_vms");
    figures.add_times(
        &name,
        &Times::new(times),
        Unit::Milliseconds,
        Some(Aim::AtMost(100.0)),
        None,
    );
    Ok(())
}

/// LCM's deploy of a large service: one template, rendered for each VM.
async fn large(figures: &mut Figures) -> anyhow::Result<()> {
    let place = Place::sqlite()?;
    let host = BenchHost::start(&place).await?;
    let target = format!("vim:{ACCOUNT}");
    let vdur = |number: usize| {
        json!({
            "id": format!("vdu-{number}"), "vdu-id-ref": "vm", "vdu-name": "vm", "count-index": number,
            "ns-image-id": "0", "ns-flavor-id": "0", "cloud-init": "vnfd:file:user-data",
            "additionalParams": {"OSM": {"count_index": number}},
            "interfaces": [{"name": "eth0", "ns-vld-id": "data", "type": "PARAVIRT"}],
        })
    };
    let vnfr = json!({"_id": VNF, "nsr-id-ref": "large", "member-vnf-index-ref": "1", "vdur": (0..VMS).map(vdur).collect::<Vec<_>>()});
    let items = [
        ("vld", json!([{"id": "data", "name": "data"}])),
        ("image", json!([{"id": "0", "image": "any"}])),
        (
            "flavor",
            json!([{"id": "0", "name": "small", "memory-mb": 512, "vcpu-count": 1, "storage-gb": 1}]),
        ),
    ];
    let mut nsr = json!({"_id": "large", "name": "large"});
    let mut body =
        json!({"action_id": "deploy", "name": "large", "ns": {}, "vnf": [wanted(vnfr.clone(), "vdur", &target)]});
    for (list, content) in items {
        let with_target = wanted(json!({list: content.clone()}), list, &target);
        let place = if list == "vld" {
            body.get_mut("ns")
        } else {
            Some(&mut body)
        };
        put(place, list, with_target.get(list).cloned().unwrap_or_default());
        put(Some(&mut nsr), list, content);
    }
    let template = format!(
        "#cloud-config\nhostname: vm-{{{{ OSM.count_index }}}}\n# {}\n",
        "x".repeat(USER_DATA)
    );
    put(
        Some(&mut body),
        "cloud_init_content",
        json!({"vnfd:file:user-data": template}),
    );
    host.host.admin_ok("PUT", "/v1/records/nsrs/large", Some(nsr)).await?;
    host.host
        .admin_ok("PUT", &format!("/v1/records/vnfrs/{VNF}"), Some(vnfr))
        .await?;

    let lcm = Lcm::new(&host.host);
    let accepting = Instant::now();
    let action = lcm.deploy("large", &body).await?;
    figures.add(
        format!("large.{VMS}_vms.accepted"),
        accepting.elapsed().as_secs_f64(),
        "s",
        None,
    );
    host.follow("large", &action).await?;
    figures.add(
        format!("large.{VMS}_vms.deploy"),
        accepting.elapsed().as_secs_f64(),
        "s",
        None,
    );
    figures.add(format!("large.{VMS}_vms.memory"), host.resident()?, "MB", None);
    let ending = Instant::now();
    let action = lcm.deploy("large", &Lcm::terminate_body("terminate")).await?;
    host.follow("large", &action).await?;
    figures.add(
        format!("large.{VMS}_vms.terminate"),
        ending.elapsed().as_secs_f64(),
        "s",
        None,
    );
    Ok(())
}

/// A record whose items of a list are wanted on a target.
fn wanted(mut record: Value, list: &str, target: &str) -> Value {
    for item in record.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
        put(Some(item), "vim_info", json!({target: {}}));
    }
    record
}

fn put(place: Option<&mut Value>, key: &str, value: Value) {
    if let Some(map) = place.and_then(Value::as_object_mut) {
        map.insert(key.to_owned(), value);
    }
}

/// One service after the other on an account that is quick, alone and while another account's VIM takes seconds for each answer.
async fn beside_a_slow_vim(figures: &mut Figures) -> anyhow::Result<()> {
    let faults = serde_json::from_value(json!({"latency_ms": SLOW_MS})).context("the script of the slow VIM")?;
    let vim = start_vim(faults).await?;
    let place = Place::sqlite()?;
    let host = BenchHost::start(&place).await?;
    host.one_by_one("warm", 20).await?;
    let alone = Times::new(host.one_by_one("alone", 60).await?);
    host.host.add_vim("slow", &vim.url()).await?;
    let service = json!({
        "name": "slow", "vim": "slow", "networks": {"mgmt": {"existing": "mgmt"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"count": 50, "image": "ubuntu18.04", "flavour": "small", "interfaces": [{"network": "mgmt"}]}},
    });
    host.host
        .admin_ok("PUT", "/v1/network-services/slow", Some(service))
        .await?;
    host.deploy("slow").await?;
    // Its calls are under way, one answer at a time.
    let deadline = Instant::now() + Duration::from_secs(60);
    while vim.requests().at_work == 0 {
        anyhow::ensure!(Instant::now() < deadline, "the slow VIM was asked nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let beside = Times::new(host.one_by_one("beside", 60).await?);
    figures.add("slow_vim.alone.p50", Unit::Milliseconds.of(alone.at(50)), "ms", None);
    figures.add("slow_vim.beside.p50", Unit::Milliseconds.of(beside.at(50)), "ms", None);
    let ratio = beside.at(50).as_secs_f64() / alone.at(50).as_secs_f64();
    figures.add("slow_vim.beside_to_alone", ratio, "×", Some(Aim::AtMost(1.5)));
    Ok(())
}
