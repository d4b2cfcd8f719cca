//! Defects of NG-RO that a client of the interface meets, by their number in the list of them (docs/ng-ro-compatibility.md). Those
//! of one operation are tested with it.

use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, Records, Setup, start_vim};

const FIXTURE: &str = include_str!("data/lcm_deployed_records.json");
const ACCOUNT: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";
const LIMIT: Duration = Duration::from_secs(30);

/// A host with a VIM and the records of a service.
struct Ready {
    vim: mock_vim::Server,
    host: Host,
    records: Records,
    _dir: tempfile::TempDir,
}

impl Ready {
    async fn new() -> Self {
        let vim = start_vim(Faults::default()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let host = Host::start(&Setup::new(dir.path())).unwrap();
        host.add_vim(ACCOUNT, &vim.url()).await.unwrap();
        let records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
        records.put(&host).await.unwrap();
        Self {
            vim,
            host,
            records,
            _dir: dir,
        }
    }

    fn lcm(&self) -> Lcm<'_> {
        Lcm::new(&self.host)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_deploy_without_ns_wants_no_networks() {
    let ready = Ready::new().await;
    let nsr = ready.records.id();
    let body = json!({"action_id": "op", "image": [{"id": "0", "image": "cirros034", "vim_info": {format!("vim:{ACCOUNT}"): {}}}]});
    let action = ready.lcm().deploy(&nsr, &body).await.unwrap();
    let status = ready.lcm().wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(status["details"], "progress 1/1");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_what_does_not_exist_is_404_and_no_answer_shows_internals() {
    let ready = Ready::new().await;
    let good = ready.records.deploy_body("op", ACCOUNT);
    let mut of_nobody = good.clone();
    of_nobody["vnf"][0]["_id"] = json!("00000000-0000-4000-8000-000000000000");
    let nsr = ready.records.id();
    for (path, body) in [
        ("ns/v1/deploy/unknown".to_owned(), &good),
        (format!("ns/v1/deploy/{nsr}"), &of_nobody),
    ] {
        let (status, answer) = ready.lcm().call("POST", &path, Some(body)).await.unwrap();
        assert_eq!((status, &answer["code"]), (404, &json!("NOT_FOUND")), "{answer}");
        let text = answer.to_string();
        for word in ["src/", ".rs", "panicked", "backtrace", "sqlite"] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_an_action_that_never_was_is_404_and_a_service_shows_its_own_actions_only() {
    let ready = Ready::new().await;
    let lcm = ready.lcm();
    let nsr = ready.records.id();
    let (status, _) = lcm
        .call("GET", &format!("ns/v1/deploy/{nsr}/never"), None)
        .await
        .unwrap();
    assert_eq!(status, 404);
    let other = json!({"_id": "other", "name": "other"});
    ready
        .host
        .admin_ok("PUT", "/v1/records/nsrs/other", Some(other))
        .await
        .unwrap();
    lcm.deploy(&nsr, &ready.records.deploy_body("same", ACCOUNT))
        .await
        .unwrap();
    lcm.deploy("other", &json!({"action_id": "same", "ns": {"vld": []}}))
        .await
        .unwrap();
    let of_service = lcm.wait_done(&nsr, "same", LIMIT).await.unwrap();
    let of_other = lcm.wait_done("other", "same", LIMIT).await.unwrap();
    let count = |status: &Value| status["tasks"].as_array().unwrap().len();
    assert_eq!((count(&of_service), count(&of_other)), (6, 0));
    assert_eq!(of_other["details"], "progress 0/0");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_used_action_id_with_another_body_gets_an_id_of_its_own() {
    let ready = Ready::new().await;
    let lcm = ready.lcm();
    let nsr = ready.records.id();
    let body = ready.records.deploy_body("op", ACCOUNT);
    assert_eq!(lcm.deploy(&nsr, &body).await.unwrap(), "op");
    assert_eq!(
        lcm.deploy(&nsr, &body).await.unwrap(),
        "op",
        "the same request is the same action"
    );
    lcm.wait_done(&nsr, "op", LIMIT).await.unwrap();
    let own = lcm.deploy(&nsr, &Lcm::terminate_body("op")).await.unwrap();
    assert_ne!(own, "op");
    let status = lcm.wait_done(&nsr, &own, LIMIT).await.unwrap();
    for task in status["tasks"].as_array().unwrap() {
        assert_eq!(task["action_id"], own.as_str());
        assert!(
            task["task_id"].as_str().unwrap().starts_with(&format!("{own}:")),
            "{task}"
        );
    }
    assert_eq!(ready.vim.inventory().created(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d38_parameters_in_the_query_change_nothing() {
    let ready = Ready::new().await;
    let nsr = ready.records.id();
    let lcm = ready.lcm();
    lcm.deploy(&nsr, &ready.records.deploy_body("op", ACCOUNT))
        .await
        .unwrap();
    lcm.wait_done(&nsr, "op", LIMIT).await.unwrap();
    for query in ["METHOD=DELETE", "x=1", "METHOD=POST&public"] {
        let (status, actions) = lcm
            .call("GET", &format!("ns/v1/deploy/{nsr}?{query}"), None)
            .await
            .unwrap();
        assert_eq!((status, actions), (200, json!(["op"])), "{query}");
    }
    assert_eq!(ready.vim.inventory().servers.len(), 2);
}
