//! VMs that take their time to go are watched together, not asked about one by one.

use std::time::{Duration, Instant};

use mock_vim::Faults;
use serde_json::json;
use vimhost_tests::{Host, Setup, start_vim, wait_until};

const VMS: u64 = 20;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_accepted_costs_two_calls_however_long_it_takes() {
    let vim = start_vim(Faults {
        server_delete_delay_ms: 2000,
        ..Faults::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    let service = json!({
        "name": "slow", "vim": "mock",
        "networks": {"mgmt": {"existing": "mgmt"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"count": VMS, "image": "ubuntu18.04", "flavour": "small",
                       "interfaces": [{"network": "mgmt", "management": true}]}},
    });
    host.admin_ok("PUT", "/v1/network-services/slow", Some(service))
        .await
        .unwrap();
    for verb in ["deploy", "terminate"] {
        let path = format!("/v1/network-services/slow/{verb}");
        // From before the request, which is before the VIM hears of it.
        let begun = Instant::now();
        let action = host.admin_ok("POST", &path, Some(json!({}))).await.unwrap();
        let id = action["action_id"].as_str().unwrap().to_owned();
        let path = format!("/v1/network-services/slow/actions/{id}");
        wait_until("the action to be done", LIMIT, async || {
            Ok(host.admin_ok("GET", &path, None).await?["status"] == "DONE")
        })
        .await
        .unwrap();
        if verb == "terminate" {
            assert!(begun.elapsed() > Duration::from_millis(1900), "{:?}", begun.elapsed());
        }
    }
    assert_eq!(vim.inventory().created(), 0);
    let requests = vim.requests();
    // Asked for once, accepted; asked about once more when it was seen to be gone.
    assert_eq!(requests.of("DELETE servers delete 202"), VMS);
    assert_eq!(requests.of("DELETE servers delete 404"), VMS);
    // All of them are watched by one request a time, with growing pauses.
    let lists = requests.of("GET servers list 200");
    assert!(lists < 2 * VMS, "{lists} lists: {:#?}", requests.requests);
}
