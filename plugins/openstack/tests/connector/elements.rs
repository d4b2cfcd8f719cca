//! Flavours, images, server groups and volumes.

use serde_json::{Value, json};
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::http::{Answer, Method};
use vimhost_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::stubs::compute::error;
use crate::stubs::neutron::Fate;

fn size(ram: u64, vcpus: u32, disk: u64) -> FlavourData {
    FlavourData {
        name: Some("wanted".into()),
        ram,
        vcpus,
        disk,
        ..FlavourData::default()
    }
}

fn flavor(id: &str, ram: u64, vcpus: u32, disk: u64) -> Value {
    json!({"id": id, "name": id, "ram": ram, "vcpus": vcpus, "disk": disk, "swap": 0, "OS-FLV-EXT-DATA:ephemeral": 0,
           "extra_specs": {}})
}

fn found(cloud: &Cloud, data: &FlavourData) -> Option<String> {
    OpenStack::find_flavour(&cloud.account, data.clone())
        .unwrap()
        .map(|found| found.id)
}

fn make_flavour(cloud: &Cloud, token: &str, data: &FlavourData) -> Result<Created, Error> {
    cloud.created(token, |call| {
        OpenStack::create_flavour(&cloud.account, call, data.clone())
    })
}

#[test]
fn a_flavour_is_found_by_its_size_alone_and_exactly() {
    let cloud = Cloud::new();
    assert_eq!(found(&cloud, &size(2048, 1, 20)).as_deref(), Some("m1.small"));
    assert_eq!(found(&cloud, &size(2048, 2, 20)), None);
    let mut with_swap = size(2048, 1, 20);
    with_swap.swap = 1;
    assert_eq!(found(&cloud, &with_swap), None);
    let mut of_the_same_size = flavor("pinned", 512, 1, 5);
    of_the_same_size["extra_specs"] = json!({"hw:cpu_policy": "dedicated"});
    cloud.nova().flavors.borrow_mut().push(of_the_same_size);
    assert_eq!(found(&cloud, &size(512, 1, 5)), None);
    let mut pinned = size(512, 1, 5);
    pinned.extended = Some(r#"{"cpu-pinning-policy": "DEDICATED"}"#.into());
    assert_eq!(found(&cloud, &pinned).as_deref(), Some("pinned"));
}

#[test]
fn o03_the_nearest_flavour_has_enough_of_everything() {
    let cloud = Cloud::with(r#"{"use_existing_flavors": true}"#);
    *cloud.nova().flavors.borrow_mut() = vec![
        flavor("huge", 65536, 32, 500),
        flavor("much-memory", 4096, 1, 100),
        flavor("enough", 8192, 4, 40),
        flavor("also-enough", 16384, 4, 40),
    ];
    assert_eq!(found(&cloud, &size(2048, 4, 40)).as_deref(), Some("enough"));
    // OSM's own connector stops at 10000 MB.
    assert_eq!(found(&cloud, &size(20000, 8, 40)).as_deref(), Some("huge"));
    assert_eq!(found(&cloud, &size(2048, 64, 40)), None);
}

#[test]
fn a_flavour_of_ours_is_none_to_count_on() {
    let cloud = Cloud::new();
    let data = size(1024, 2, 10);
    let created = make_flavour(&cloud, "t1", &data).unwrap();
    assert_eq!(created.id, "t1");
    assert_eq!(found(&cloud, &data), None);
    cloud
        .deleted("t1", |call| OpenStack::delete_flavour(&cloud.account, call, Some("t1")))
        .unwrap();
    assert_eq!(cloud.nova().flavors.borrow().len(), 2);
}

/// Between its making and its extra specs, which is long where a host dies.
#[test]
fn a_flavour_that_another_service_is_making_is_none_to_count_on() {
    for config in ["{}", r#"{"use_existing_flavors": true}"#] {
        let cloud = Cloud::with(config);
        let token = "qwert-0199f3a0-5c1e-7d42-9b1f-2f6d1c0a7e55";
        *cloud.nova().flavors.borrow_mut() =
            vec![flavor(token, 1024, 2, 10), flavor(&format!("{token}-g2"), 1024, 2, 10)];
        assert_eq!(found(&cloud, &size(1024, 2, 10)), None, "{config}");
        // An operator's, whatever it is called.
        for id in ["small-4", "0199f3a0-5c1e-7d42-9b1f-2f6d1c0a7e55"] {
            cloud.nova().flavors.borrow_mut().push(flavor(id, 1024, 2, 10));
            assert_eq!(found(&cloud, &size(1024, 2, 10)).as_deref(), Some(id), "{config}");
            cloud.nova().flavors.borrow_mut().pop();
        }
    }
}

#[test]
fn a_flavour_gets_its_extra_specs() {
    let cloud = Cloud::new();
    let mut data = size(1024, 2, 10);
    data.extended = Some(r#"{"mempage-size": "LARGE"}"#.into());
    make_flavour(&cloud, "t1", &data).unwrap();
    let made = cloud.nova().flavors.borrow().last().unwrap().clone();
    assert_eq!(
        made["extra_specs"],
        json!({"hw:mem_page_size": "large", "vimhost:token": "t1"})
    );
}

#[test]
fn o17_a_name_that_is_taken_is_learned_from_the_refusal() {
    let cloud = Cloud::new();
    let mut data = size(1024, 2, 10);
    data.name = Some("m1.small".into());
    make_flavour(&cloud, "t1", &data).unwrap();
    let made = cloud.nova().flavors.borrow().last().unwrap().clone();
    assert_eq!((&made["id"], &made["name"]), (&json!("t1"), &json!("m1.small-t1")));
    // Nothing was listed for it.
    assert!(
        cloud.sent("nova").iter().all(|line| !line.contains("detail")),
        "{:?}",
        cloud.sent("nova")
    );
}

#[test]
fn a_crash_at_any_point_leaves_one_flavour() {
    let cloud = Cloud::new();
    let data = size(1024, 2, 10);
    cloud.kit.survives_crashes(
        |_| {},
        |_| drop(make_flavour(&cloud, "t1", &data).unwrap()),
        |kit, point| {
            let made = cloud.nova().flavors.borrow().last().unwrap().clone();
            assert_eq!(cloud.nova().flavors.borrow().len(), 3, "crash point {point}");
            assert_eq!(made["extra_specs"]["vimhost:token"], "t1", "crash point {point}");
            cloud
                .deleted("t1", |call| OpenStack::delete_flavour(&cloud.account, call, None))
                .unwrap();
            assert_eq!(cloud.nova().flavors.borrow().len(), 2, "crash point {point}");
            assert_eq!(kit.journal_lines(), Vec::<String>::new());
        },
    );
}

#[test]
fn a_flavour_whose_specs_are_refused_is_taken_back() {
    let cloud = Cloud::new();
    cloud.nova().next(
        Method::Post,
        "/os-extra_specs",
        Fate::Refused(error(400, "badRequest", "no such spec")),
    );
    let refused = make_flavour(&cloud, "t1", &size(1024, 2, 10)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadRequest);
    assert_eq!(cloud.nova().flavors.borrow().len(), 2);
    assert_eq!(cloud.kit.journal_lines(), Vec::<String>::new());
}

#[test]
fn who_may_not_make_flavours_is_told_so() {
    let cloud = Cloud::new();
    let policy = "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed.";
    cloud
        .nova()
        .next(Method::Post, "/flavors", Fate::Refused(error(403, "forbidden", policy)));
    let refused = make_flavour(&cloud, "t1", &size(1024, 2, 10)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Auth);
    for words in [
        policy,
        "exactly 2 vCPUs, 1024 MiB of memory and 10 GiB",
        "use_existing_flavors",
    ] {
        assert!(refused.message.contains(words), "{}", refused.message);
    }
}

#[test]
fn flavours_are_found_by_name_and_id() {
    let cloud = Cloud::new();
    let find = |name: Option<&str>, id: Option<&str>| {
        let filter = Filter {
            name: name.map(str::to_owned),
            id: id.map(str::to_owned),
            ..Filter::default()
        };
        OpenStack::find_flavours(&cloud.account, filter).unwrap().len()
    };
    assert_eq!(find(Some("m1.small"), None), 1);
    assert_eq!(find(None, Some("m1.large")), 1);
    assert_eq!(find(Some("m1.small"), Some("m1.large")), 0);
    assert_eq!(find(Some("m1"), None), 0);
}

#[test]
fn images_are_found_by_id_name_and_checksum() {
    let cloud = Cloud::new();
    let find = |filter: Filter| {
        let found = OpenStack::find_images(&cloud.account, filter).unwrap();
        found.into_iter().map(|image| image.id).collect::<Vec<_>>()
    };
    let by = |key: &str, value: &str| {
        let value = Some(value.to_owned());
        match key {
            "id" => Filter {
                id: value,
                ..Filter::default()
            },
            "name" => Filter {
                name: value,
                ..Filter::default()
            },
            _ => Filter {
                checksum: value,
                ..Filter::default()
            },
        }
    };
    assert_eq!(find(by("id", "image-1")), ["image-1"]);
    assert_eq!(find(by("checksum", "c1")), ["image-1"]);
    assert_eq!(find(by("checksum", "h1")), ["image-1"]);
    assert_eq!(find(by("id", "none")), Vec::<String>::new());
    // An upload that is not done has the same name and is no image yet.
    assert_eq!(find(by("name", "ubuntu")), ["image-1"]);
    let second = json!({"id": "image-3", "name": "ubuntu", "status": "active", "checksum": "c3"});
    cloud.nova().images.borrow_mut().push(second);
    assert_eq!(find(by("name", "ubuntu")), ["image-1", "image-3"]);
}

#[test]
fn a_group_is_made_once_and_found_by_its_name() {
    let cloud = Cloud::new();
    let request = GroupRequest {
        name: "spread".into(),
        policy: "soft-anti-affinity".into(),
        scope: "nfvi-node".into(),
    };
    cloud.kit.survives_crashes(
        |_| {},
        |_| {
            let made = cloud.created("t1", |call| {
                OpenStack::create_group(&cloud.account, call, request.clone())
            });
            assert_eq!(made.unwrap().name.as_deref(), Some("spread_t1"));
        },
        |_, point| {
            assert_eq!(cloud.nova().groups.borrow().len(), 1, "crash point {point}");
            assert_eq!(
                cloud.nova().groups.borrow()[0]["policies"],
                json!(["soft-anti-affinity"])
            );
            cloud
                .deleted("t1", |call| OpenStack::delete_group(&cloud.account, call, None))
                .unwrap();
            assert_eq!(cloud.nova().groups.borrow().len(), 0, "crash point {point}");
        },
    );
}

#[test]
fn a_volume_of_several_servers_gets_a_type_that_allows_it() {
    let cloud = Cloud::new();
    let request = VolumeRequest {
        name: "shared".into(),
        size: 2,
        multi_attach: true,
        availability_zone: None,
    };
    let make = |token: &str| {
        cloud.created(token, |call| {
            OpenStack::create_volume(&cloud.account, call, request.clone())
        })
    };
    assert_eq!(make("t1").unwrap_err().kind, ErrorKind::Unsupported);
    let shared = json!({"id": "2", "name": "many", "extra_specs": {"multiattach": "<is> True"}});
    cloud.nova().types.borrow_mut().push(shared);
    let made = make("t1").unwrap();
    assert_eq!(cloud.nova().volumes()[0]["volume_type"], "many");
    let observed = OpenStack::observe(
        &cloud.account,
        ElementKind::Volume,
        &[made.id.clone(), "none".to_owned()],
        None,
    )
    .unwrap();
    assert_eq!(observed.changed[0].status, ElementStatus::Build);
    assert_eq!(observed.gone, ["none"]);
    // It can be deleted once it is made.
    cloud.observe_volume(&made.id);
    cloud
        .deleted("t1", |call| {
            OpenStack::delete_volume(&cloud.account, call, Some(&made.id))
        })
        .unwrap();
    assert_eq!(cloud.count().1, 0);
}

#[test]
fn deleting_what_is_gone_is_done() {
    let cloud = Cloud::new();
    let account = &cloud.account;
    cloud
        .deleted("t1", |call| OpenStack::delete_flavour(account, call, Some("none")))
        .unwrap();
    cloud
        .deleted("t1", |call| OpenStack::delete_group(account, call, Some("none")))
        .unwrap();
    cloud
        .deleted("t1", |call| OpenStack::delete_volume(account, call, Some("none")))
        .unwrap();
    cloud
        .deleted("t1", |call| OpenStack::delete_server(account, call, Some("none"), &[]))
        .unwrap();
}

#[test]
fn each_error_status_has_its_kind() {
    for (status, kind) in [
        (400, ErrorKind::BadRequest),
        (403, ErrorKind::Auth),
        (409, ErrorKind::Conflict),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Internal),
        (501, ErrorKind::Unsupported),
        (503, ErrorKind::Unreachable),
        (504, ErrorKind::Timeout),
    ] {
        let cloud = Cloud::new();
        for path in ["/flavors/detail", "/images", "/os-server-groups/g", "/volumes/v"] {
            cloud
                .nova()
                .next(Method::Get, path, Fate::Refused(error(status, "x", "the reason")));
        }
        let account = &cloud.account;
        let ids = ["v".to_owned()];
        let errors = [
            OpenStack::find_flavours(account, Filter::default()).unwrap_err(),
            OpenStack::find_images(account, Filter::default()).unwrap_err(),
            OpenStack::find_group(account, "g").unwrap_err(),
            OpenStack::observe(account, ElementKind::Volume, &ids, None).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, kind, "{status}: {}", error.message);
            assert!(error.message.contains("the reason"), "{}", error.message);
        }
    }
    let cloud = Cloud::new();
    let busy = Answer::new(429).header("Retry-After", "7");
    cloud.nova().next(Method::Get, "/flavors/detail", Fate::Refused(busy));
    let refused = OpenStack::find_flavours(&cloud.account, Filter::default()).unwrap_err();
    assert_eq!(refused.retry_after_ms, Some(7000));
}
