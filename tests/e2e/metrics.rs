//! Metrics of a host that has deployed something, against the rule and the page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mock_vim::Faults;
use serde_json::json;
use vimhost_tests::{Cluster, Host, Setup, series_sum, start_vim, wait_until};

/// Families of stores that are servers.
const OF_SERVERS: &str = "vimhost_store_command";

/// Families by name: kind, and the labels of all series.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

fn families(page: &str) -> Families {
    let mut families = Families::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let before = families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
            assert!(before.is_none(), "{name} is there twice");
        }
    }
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let family = base.filter(|base| families.contains_key(*base)).unwrap_or(name);
        let (_, labels) = families.get_mut(family).unwrap_or_else(|| panic!("no type for {name}"));
        if let Some((_, rest)) = line.split_once('{') {
            let inner = rest.rsplit_once('}').unwrap().0;
            labels.extend(
                inner
                    .split("\",")
                    .map(|pair| pair.split('=').next().unwrap().to_owned())
                    .filter(|label| label != "le"),
            );
        }
    }
    families
}

/// The rows of the page's table.
fn documented() -> Families {
    let page = include_str!("../../docs/metrics.md");
    let table = page.split_once("| name | kind | labels | what |\n").unwrap().1;
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let labels = cells[2]
            .split(',')
            .map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_deployed_exports_every_documented_family_and_no_other() {
    let faults = Faults {
        build_delay_ms: 100,
        ..Faults::default()
    };
    let vim = start_vim(faults).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    setup.arguments = vec!["--metrics-listen=127.0.0.1:0".to_owned()];
    let host = Host::start(&setup).unwrap();
    host.add_vim("secret-account", &vim.url()).await.unwrap();
    // No account grants the addresses of metadata services: the host refuses the request.
    let denied = json!({"id": "denied", "name": "denied", "vim_type": "mock", "url": "http://169.254.169.254:80",
        "user": "mock", "tenant": "mock", "credentials": {"password": vimhost_tests::PASSWORD}});
    host.admin_ok("POST", "/v1/vims", Some(denied)).await.unwrap();
    let (status, answer) = host
        .admin("POST", "/v1/vims/denied/check", Some(json!({})))
        .await
        .unwrap();
    assert!(status >= 400, "the address of metadata is never dialled: {answer}");
    let service = json!({
        "name": "one", "vim": "secret-account",
        "networks": {"data": {"subnet": "10.9.0.0/24"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"image": "ubuntu18.04", "flavour": "small", "interfaces": [{"network": "data"}]}},
    });
    host.admin_ok("PUT", "/v1/network-services/one", Some(service))
        .await
        .unwrap();
    let accepted = host
        .admin_ok("POST", "/v1/network-services/one/deploy", Some(json!({})))
        .await
        .unwrap();
    let action = accepted["action_id"]
        .as_str()
        .or(accepted["id"].as_str())
        .unwrap()
        .to_owned();
    let path = format!("/v1/network-services/one/actions/{action}");
    wait_until("the end of the action", Duration::from_secs(60), async || {
        Ok(host.admin_ok("GET", &path, None).await?["status"] == "DONE")
    })
    .await
    .unwrap();
    let answered = vim.requests().total;
    // A result is stored first, for whoever asks, and counted then.
    wait_until(
        "the end of the action to be counted",
        Duration::from_secs(60),
        async || {
            let page = host.metrics_page().await?;
            let ended = series_sum(&page, "vimhost_action_ended_total{outcome=\"done\"}") >= 1.0;
            Ok(ended && series_sum(&page, "vimhost_task_open ") == 0.0)
        },
    )
    .await
    .unwrap();

    let page = host.http.get(format!("{}/metrics", host.admin)).send().await.unwrap();
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let page = page.text().await.unwrap();
    let (exported, documented) = (families(&page), documented());
    for (name, (kind, labels)) in &exported {
        let (known_kind, known_labels) = documented
            .get(name)
            .unwrap_or_else(|| panic!("docs/metrics.md lacks {name}"));
        assert_eq!((kind, labels), (known_kind, known_labels), "{name}");
    }
    for name in documented.keys().filter(|name| !name.starts_with(OF_SERVERS)) {
        assert!(
            exported.contains_key(name),
            "{name} is documented and was not exported:\n{page}"
        );
    }
    assert!(!page.contains("secret-account"), "no account is a label");

    let tasks = series_sum(&page, "vimhost_task_ended_total{");
    assert!(tasks >= 4.0, "a network, an image, a flavour and a VM: {tasks}");
    assert_eq!(series_sum(&page, "vimhost_task_duration_seconds_count"), tasks);
    assert_eq!(series_sum(&page, "vimhost_action_ended_total{outcome=\"done\"}"), 1.0);
    assert_eq!(series_sum(&page, "vimhost_task_open "), 0.0);
    assert_eq!(series_sum(&page, "vimhost_connector_in_flight_calls"), 0.0);
    let created = "vimhost_connector_calls_total{plugin=\"mock\",function=\"create-server\",outcome=\"ok\"}";
    assert!(series_sum(&page, created) >= 1.0, "{page}");
    let calls = series_sum(&page, "vimhost_connector_calls_total{");
    assert_eq!(
        series_sum(&page, "vimhost_connector_call_duration_seconds_count"),
        calls
    );
    assert!(series_sum(&page, "vimhost_connector_memory_peak_bytes_sum") > 65_536.0 * calls);
    assert!(series_sum(&page, "vimhost_egress_requests_total{") >= answered as f64);
    assert!(series_sum(&page, "vimhost_store_operations_total{outcome=\"ok\"}") > 10.0);
    assert_eq!(
        series_sum(&page, "vimhost_plugin_state{plugin=\"mock.wasm\",state=\"ready\"}"),
        1.0
    );
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_on_a_server_counts_its_commands_instead_of_commits() {
    let uri = vimhost_mongod::shared(vimhost_mongod::Kind::ReplicaSet).await.unwrap();
    let cluster = Cluster::new(&uri, &format!("metrics-{}", std::process::id())).unwrap();
    let host = Host::start(&cluster.setup("one")).unwrap();
    let page = host.metrics_page().await.unwrap();
    let documented = documented();
    let of_store = |name: &&String| name.starts_with("vimhost_store_");
    let exported = families(&page);
    let found: Vec<_> = exported.keys().filter(of_store).collect();
    assert_eq!(
        found,
        ["vimhost_store_command_duration_seconds", "vimhost_store_commands_total"]
    );
    for name in found {
        assert_eq!(exported[name], documented[name], "{name}");
    }
    assert!(series_sum(&page, "vimhost_store_commands_total{kind=\"write\",outcome=\"ok\"}") >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_have_an_address_of_their_own_and_on_the_admin_interface_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    // SHA-256 of "test".
    let token = "viewer:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    setup.arguments = ["--metrics-listen", "127.0.0.1:0", "--admin-token", token]
        .map(str::to_owned)
        .to_vec();
    let host = Host::start(&setup).unwrap();
    let status = async |url: String, token: Option<&str>| {
        let request = host.http.get(url);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    let own = host.metrics.clone().unwrap();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(status(format!("{own}{path}"), None).await, 200, "{path}");
    }
    assert_eq!(status(format!("{own}/v1/vims"), Some("test")).await, 404);
    assert_eq!(status(format!("{}/metrics", host.admin), None).await, 401);
    assert_eq!(status(format!("{}/metrics", host.admin), Some("test")).await, 200);
    assert_eq!(status(format!("{}/readyz", host.admin), None).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_usable_connector_lives_and_says_what_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    std::fs::write(plugins.join("broken.wasm"), "rubbish").unwrap();
    let mut setup = Setup::new(&dir.path().join("data"));
    setup.plugin_dir = Some(plugins);
    let host = Host::start(&setup).unwrap();
    assert_eq!(host.admin("GET", "/livez", None).await.unwrap().0, 200);
    let (status, problem) = host.admin("GET", "/readyz", None).await.unwrap();
    assert_eq!(status, 503);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("connectors: none of 1 can be used") && !detail.contains("store"),
        "{detail}"
    );
    let broken = "vimhost_plugin_state{plugin=\"broken.wasm\",state=\"failed\"}";
    assert_eq!(host.counted(broken).await.unwrap(), 1.0);
}
