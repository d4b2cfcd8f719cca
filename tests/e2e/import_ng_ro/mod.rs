//! Takeover of a running OSM: what NG-RO left is vimhost's afterwards, as if vimhost had made it.

mod world;

use std::time::Duration;

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, wait_until};

use world::{LIMIT, TARGET, Vm, World, body, create, now, nsr, ro_task, terminate, vdur, vm_needs, vm_params};

/// The VNF records of the two services; LCM's requests name a VNF by its UUID.
const VNF: &str = "5a4c1b6e-2f07-4a64-9d0b-3a6f6f1e7c01";
const OTHER_VNF: &str = "5a4c1b6e-2f07-4a64-9d0b-3a6f6f1e7c02";
/// Where the first VNF's VDUs are.
const VDURS: &str = "vnfrs:5a4c1b6e-2f07-4a64-9d0b-3a6f6f1e7c01:vdur";

/// A service with one VM, as NG-RO left it: a network found and one made, image, flavour, group. The flavour is shared by a second
/// service, which has nothing else.
struct Deployed {
    world: World,
    vm: Vm,
    flavour: String,
}

impl Deployed {
    async fn new(name: &str) -> Self {
        let world = World::new(name).await;
        let (mgmt, image) = (world.preset("osm-ext"), world.image());
        let data = world
            .make("networks", json!({"name": "web-data", "type": "bridge"}))
            .await;
        let flavour = json!({"name": "small", "vcpus": 1, "ram": 1024, "disk": 10});
        let flavour = world.make("flavours", flavour).await;
        let group = world
            .make("groups", json!({"name": "apart", "type": "anti-affinity"}))
            .await;
        let networks = [mgmt.clone(), data.clone()];
        let vm = world.make_vm("web-1-vm-0", &networks, &flavour, Some(&group)).await;

        let ids = [mgmt.as_str(), &data, &image, &flavour, &group];
        world.insert("nsrs", &nsr("ns-1", ids)).await;
        let second = json!({"_id": "ns-2", "id": "ns-2", "name": "other", "vld": [], "image": [],
            "flavor": [{"id": "0", "name": "small", "memory-mb": 1024, "storage-gb": 10, "vcpu-count": 1,
                        "vim_info": {TARGET: {"vim_id": flavour, "vim_status": "DONE"}}}]});
        world.insert("nsrs", &second).await;
        for (id, service, index, vdus) in [
            (VNF, "ns-1", "1", vec![vdur("vdu-0", 0, Some(&vm))]),
            (OTHER_VNF, "ns-2", "1", vec![]),
        ] {
            let vnfr = json!({"_id": id, "id": id, "nsr-id-ref": service, "member-vnf-index-ref": index, "vnfd-id": "none",
                "vim-account-id": "cloud", "_admin": {"created": 1.0}, "vdur": vdus});
            world.insert("vnfrs", &vnfr).await;
        }
        for service in ["ns-1", "ns-2"] {
            let keys = json!({"_id": service, "_admin": {"created": 1.0, "modified": 1.0, "schema_version": "1.1"},
                "public_key": "ssh-rsa AAAA", "private_key": "encrypted", "actions": []});
            world.insert("ro_nsrs", &keys).await;
        }

        let there = |id: &str, created: bool, status: &str| {
            json!({"created": created, "created_items": null, "vim_id": id, "vim_name": null, "vim_status": status, "vim_details": null,
                   "vim_message": null, "refresh_at": -1})
        };
        let task = |id: &str, item: &str, at: (&str, usize, &str), more: Value| create("ns-1", id, item, at, more);
        let find = json!({"find_params": {"filter_dict": {"name": "osm-ext"}}});
        let network = json!({"params": {"net_name": "web-data", "ip_profile": null, "provider_network_profile": null, "net_type": "bridge"}});
        let flavor_data = json!({"name": "small", "ram": 1024, "vcpus": 1, "disk": 10});
        let sized = json!({"params": {"flavor_data": flavor_data}, "find_params": {"flavor_data": flavor_data}, "common_id": "small"});
        let grouped = json!({"params": {"affinity_group_data": {"name": "apart", "type": "anti-affinity", "scope": "nfvi-node"}}});
        let made =
            json!({"params": vm_params("ns-1", "web-1-vm-0"), "depends_on": vm_needs("ns-1"), "mgmt_vnf_interface": 0});
        let groups = "nsrs:ns-1:affinity-or-anti-affinity-group";
        for (id, info, tasks) in [
            (
                "op-1:0",
                there(&mgmt, false, "ACTIVE"),
                vec![task("op-1:0", "net", ("nsrs:ns-1:vld", 0, "mgmt"), find)],
            ),
            (
                "op-1:1",
                there(&data, true, "ACTIVE"),
                vec![task("op-1:1", "net", ("nsrs:ns-1:vld", 1, "data"), network)],
            ),
            (
                "op-1:2",
                there(&image, false, "DONE"),
                vec![task(
                    "op-1:2",
                    "image",
                    ("nsrs:ns-1:image", 0, "0"),
                    json!({"find_params": {"filter_dict": {"name": "ubuntu18.04"}}}),
                )],
            ),
            (
                "op-1:3",
                there(&flavour, true, "DONE"),
                vec![
                    task("op-1:3", "flavor", ("nsrs:ns-1:flavor", 0, "0"), sized.clone()),
                    create("ns-2", "op-2:0", "flavor", ("nsrs:ns-2:flavor", 0, "0"), sized),
                ],
            ),
            (
                "op-1:4",
                there(&group, true, "DONE"),
                vec![task(
                    "op-1:4",
                    "affinity-or-anti-affinity-group",
                    (groups, 0, "0"),
                    grouped,
                )],
            ),
            (
                "op-1:5",
                vm.info.clone(),
                vec![task("op-1:5", "vdu", (VDURS, 0, "vdu-0"), made)],
            ),
        ] {
            world.insert("ro_tasks", &ro_task(id, info, tasks)).await;
        }
        Self { world, vm, flavour }
    }

    fn server(&self, id: &str) -> std::sync::Arc<mock_vim::elements::Server> {
        let inventory = self.world.vim.inventory();
        let found = inventory.servers.iter().find(|server| server.meta.id == id);
        found
            .unwrap_or_else(|| panic!("no server {id}: {inventory:#?}"))
            .clone()
    }
}

async fn vnfr(host: &Host) -> Value {
    host.admin_ok("GET", &format!("/v1/records/vnfrs/{VNF}"), None)
        .await
        .unwrap()
}

fn went_well((code, report, said): (i32, Value, String)) -> Value {
    assert_eq!(code, 0, "{said}\n{report:#}");
    assert_eq!(report["obstacles"], json!([]), "{report:#}");
    report
}

fn refused((code, report, said): (i32, Value, String)) -> String {
    assert_eq!(code, 1, "{said}\n{report:#}");
    report["obstacles"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ng_ro_made_is_healed_scaled_and_terminated_and_nothing_is_left() {
    let deployed = Deployed::new("whole").await;
    let world = &deployed.world;
    let before = world.all().await;
    let report = went_well(world.import(&["--dry-run"]));
    assert_eq!(world.all().await, before, "a dry run touches nothing");
    assert_eq!((&report["dry_run"], &report["documents"]), (&json!(true), &json!(6)));
    assert_eq!(
        report["elements"]["net"],
        json!({"made": 1, "found": 1, "to_make": 0, "to_delete": 0, "absent": 0, "commands": 0})
    );
    assert_eq!(report["services"][0]["state"], "to-take-over");
    assert!(
        report["services"][0]["warnings"].to_string().contains("RSA"),
        "{report:#}"
    );

    let report = went_well(world.import(&[]));
    assert_eq!(report["services"][0]["state"], "taken-over");
    let after = world.all().await;
    for (collection, documents) in &before {
        assert_eq!(after.get(collection), Some(documents), "{collection} is not vimhost's");
    }
    let again = went_well(world.import(&[]));
    assert_eq!(again["services"][0]["state"], "before");
    assert_eq!(world.all().await, after, "the second run changes nothing");

    let host = world.start().await;
    let lcm = Lcm::new(&host);
    let status = lcm.wait_done("ns-1", "op-1", LIMIT).await.unwrap();
    assert_eq!(status["tasks"].as_array().unwrap().len(), 6, "{status:#}");

    // Heal: another VM with the same addresses, group and volumes.
    let old = deployed.server(&deployed.vm.id);
    let heal = json!({"action_id": "heal", "healVnfData": [{"vnfInstanceId": VNF,
        "additionalParams": {"vdu": [{"vdu-id": "vm", "count-index": 0}]}}]});
    lcm.operate("recreate", "ns-1", &heal).await.unwrap();
    lcm.wait_done("ns-1", "heal", LIMIT).await.unwrap();
    let shown = vnfr(&host).await["vdur"][0].clone();
    let new = deployed.server(shown["vim-id"].as_str().unwrap());
    assert_ne!(new.meta.id, old.meta.id);
    let sorted = |volumes: &[String]| {
        let mut volumes = volumes.to_vec();
        volumes.sort();
        volumes
    };
    assert_eq!(sorted(&new.volumes), sorted(&old.volumes));
    assert_eq!((&new.group, &new.flavour), (&old.group, &old.flavour));
    for index in 0..2 {
        let address = &deployed.vm.info["interfaces"][index]["ip_address"];
        assert_eq!(&shown["interfaces"][index]["ip-address"], address);
    }
    let inventory = world.vim.inventory();
    assert_eq!(
        (inventory.servers.len(), inventory.ports.len(), inventory.volumes.len()),
        (1, 2, 2)
    );

    // Stop, scale out and in.
    let stop = Lcm::operate_body("stop", &vnfr(&host).await, &shown);
    let action = lcm.operate("stop", "ns-1", &stop).await.unwrap();
    lcm.wait_done("ns-1", &action, LIMIT).await.unwrap();
    let mut record = vnfr(&host).await;
    assert_eq!(record["vdur"][0]["status"], "INACTIVE");
    record["vdur"].as_array_mut().unwrap().push(vdur("vdu-1", 1, None));
    host.admin_ok("PUT", &format!("/v1/records/vnfrs/{VNF}"), Some(record))
        .await
        .unwrap();
    let out = body(&host, "ns-1", VNF, "out", &["vdu-0", "vdu-1"]).await;
    let action = lcm.deploy("ns-1", &out).await.unwrap();
    let status = lcm.wait_done("ns-1", &action, LIMIT).await.unwrap();
    assert_eq!(
        status["tasks"].as_array().unwrap().len(),
        1,
        "only the new VDU gets a task: {status:#}"
    );
    let inventory = world.vim.inventory();
    assert_eq!(
        (
            inventory.servers.len(),
            inventory.flavours.len(),
            inventory.groups.len()
        ),
        (2, 1, 1)
    );
    assert!(
        inventory
            .servers
            .iter()
            .all(|server| server.flavour == deployed.flavour)
    );
    let inside = body(&host, "ns-1", VNF, "in", &["vdu-0"]).await;
    let action = lcm.deploy("ns-1", &inside).await.unwrap();
    lcm.wait_done("ns-1", &action, LIMIT).await.unwrap();
    assert_eq!(world.vim.inventory().servers.len(), 1);

    // The flavour goes with the last service that holds it, the volume that is to be kept with none.
    terminate(&host, "ns-1").await;
    let inventory = world.vim.inventory();
    assert_eq!(
        (inventory.created(), inventory.flavours.len(), inventory.volumes.len()),
        (2, 1, 1),
        "{inventory:#?}"
    );
    terminate(&host, "ns-2").await;
    let inventory = world.vim.inventory();
    assert_eq!((inventory.created(), inventory.volumes.len()), (1, 1), "{inventory:#?}");
    assert_eq!(inventory.volumes[0].meta.name, "web-1-vm-0vd1");
    assert!(inventory.networks.iter().any(|network| network.meta.name == "osm-ext"));
    host.stop().unwrap();

    // What was ended since is not brought back.
    let last = went_well(world.import(&[]));
    assert_eq!(last["services"][0]["state"], "before");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_ng_ro_or_a_host_is_at_work() {
    let deployed = Deployed::new("busy").await;
    let world = &deployed.world;
    world
        .set("op-1:5", doc! {"locked_by": "0123456789ab:1", "locked_at": now()})
        .await;
    let before = world.all().await;
    for arguments in [&["--dry-run"][..], &[]] {
        let obstacles = refused(world.import(arguments));
        assert!(
            obstacles.contains("op-1:5") && obstacles.contains("0123456789ab:1"),
            "{obstacles}"
        );
        assert!(obstacles.contains("stop every process of NG-RO"), "{obstacles}");
    }
    assert_eq!(world.all().await, before);
    // The remains of a lock are in nobody's way: the VM was made before it.
    world.set("op-1:5", doc! {"locked_at": now() - 301.0}).await;
    went_well(world.import(&["--dry-run"]));

    let host = world.start().await;
    wait_until("the lease", LIMIT, || async {
        let leases = host.admin_ok("GET", "/v1/leases", None).await?;
        Ok(leases.to_string().contains(TARGET))
    })
    .await
    .unwrap();
    let obstacles = refused(world.import(&[]));
    assert!(
        obstacles.contains("drives account vim:cloud") && obstacles.contains("stop every host"),
        "{obstacles}"
    );
    let takeovers = world.database.collection::<Document>("vimhost_takeovers");
    assert_eq!(takeovers.count_documents(doc! {}).await.unwrap(), 0);
    host.stop().unwrap();
    went_well(world.import(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_creations_and_deletions_go_on_and_an_unknown_one_waits_for_a_word() {
    let deployed = Deployed::new("open").await;
    let world = &deployed.world;
    // A scale-in that NG-RO has not begun, and a scale-out at which it died.
    let leaving = create(
        "ns-1",
        "in:0",
        "vdu",
        (VDURS, 0, "vdu-0"),
        json!({"action": "DELETE", "status": "SCHEDULED"}),
    );
    let tasks = world.database.collection::<Document>("ro_tasks");
    let push = doc! {"$push": {"tasks": world::bson(&leaving)}};
    tasks.update_one(doc! {"_id": "op-1:5"}, push).await.unwrap();
    let coming = create(
        "ns-1",
        "out:0",
        "vdu",
        (VDURS, 1, "vdu-1"),
        json!({"status": "SCHEDULED", "params": vm_params("ns-1", "web-1-vm-1"), "depends_on": vm_needs("ns-1"), "mgmt_vnf_interface": 0}),
    );
    let nothing =
        json!({"created": false, "created_items": null, "vim_id": null, "vim_status": null, "refresh_at": null});
    world.insert("ro_tasks", &ro_task("out:0", nothing, vec![coming])).await;
    let vnfrs = world.database.collection::<Document>("vnfrs");
    let push = doc! {"$push": {"vdur": world::bson(&vdur("vdu-1", 1, None))}};
    vnfrs.update_one(doc! {"_id": VNF}, push).await.unwrap();
    world
        .set(
            "out:0",
            doc! {"locked_by": "0123456789ab:1", "locked_at": now() - 1000.5},
        )
        .await;

    let before = world.all().await;
    let obstacles = refused(world.import(&[]));
    assert!(
        obstacles.contains("out:0") && obstacles.contains("web-1-vm-1") && obstacles.contains("--not-made"),
        "{obstacles}"
    );
    assert_eq!(world.all().await, before);
    let (code, _, said) = world.import(&["--not-made", "out:1"]);
    assert!(code == 1 && said.contains("no such document"), "{said}");
    let report = went_well(world.import(&["--not-made", "out:0"]));
    assert_eq!(report["services"][0]["going_on"], 2, "{report:#}");

    let host = world.start().await;
    let lcm = Lcm::new(&host);
    for action in ["in", "out"] {
        lcm.wait_done("ns-1", action, LIMIT).await.unwrap();
    }
    let inventory = world.vim.inventory();
    let names: Vec<&str> = inventory
        .servers
        .iter()
        .map(|server| server.meta.name.as_str())
        .collect();
    assert_eq!(names, ["web-1-vm-1"]);
    // Two ports and two volumes of the new VM, and the volume of the old one that is to be kept.
    assert_eq!(
        (inventory.ports.len(), inventory.volumes.len()),
        (2, 3),
        "{inventory:#?}"
    );
    let record = vnfr(&host).await;
    assert_eq!(record["vdur"][0]["status"], "DELETED");
    assert_eq!(record["vdur"][1]["vim_info"][TARGET]["vim_status"], "ACTIVE");
    terminate(&host, "ns-1").await;
    terminate(&host, "ns-2").await;
    assert_eq!(world.vim.inventory().created(), 2, "{:#?}", world.vim.inventory());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_point_is_made_again() {
    const SERVICES: usize = 60;
    let world = World::new("killed").await;
    let image = world.image();
    for number in 0..SERVICES {
        let service = format!("ns-{number:02}");
        world
            .insert(
                "nsrs",
                &json!({"_id": service, "name": service, "image": [{"id": "0"}]}),
            )
            .await;
        let id = format!("op-{number:02}:0");
        let info = json!({"created": false, "vim_id": image, "vim_status": "DONE"});
        let found = json!({"find_params": {"filter_dict": {"name": "ubuntu18.04"}}});
        let list = format!("nsrs:{service}:image");
        let task = create(&service, &id, "image", (list.as_str(), 0, "0"), found);
        world.insert("ro_tasks", &ro_task(&id, info, vec![task])).await;
    }
    // From before it has opened the database to the middle of the writing.
    for delay in [20, 60, 120, 200, 300, 400, 500] {
        let mut child = world
            .command(&[])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Where it dies is what is chosen here, not what is waited for.
        tokio::time::sleep(Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let report = went_well(world.import(&[]));
    assert_eq!(report["services"].as_array().unwrap().len(), SERVICES);
    for (collection, count) in [
        ("vimhost_resources", SERVICES),
        ("vimhost_actions", SERVICES),
        ("vimhost_takeovers", SERVICES),
    ] {
        let collection = world.database.collection::<Document>(collection);
        // What a run had prepared when it was killed is found by nobody, and is swept in time.
        let there = doc! {"pending": {"$exists": false}};
        assert_eq!(collection.count_documents(there).await.unwrap(), count as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_osms_or_has_nothing_is_refused_with_the_reason() {
    let world = World::new("empty").await;
    let (code, _, said) = world.import(&["--dry-run"]);
    assert!(code == 1 && said.contains("nothing of NG-RO"), "{said}");
    world.database.collection::<Document>("admin").drop().await.unwrap();
    let (code, _, said) = world.import(&[]);
    assert!(code == 1 && said.contains("is not OSM's"), "{said}");
    let mut command = world.command(&[]);
    let output = command.env_remove("VIMHOST_MONGODB_URI").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("vimhost's database is a file"),
        "{said}"
    );
}
