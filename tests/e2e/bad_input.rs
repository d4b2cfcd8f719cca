//! What is wrong is refused with a reason, and nothing is stored.

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, Records, Setup, start_vim};

const FIXTURE: &str = include_str!("data/lcm_deployed_records.json");
const ACCOUNT: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_with_the_field_and_leave_nothing() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim(ACCOUNT, &vim.url()).await.unwrap();
    let records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
    records.put(&host).await.unwrap();
    let nsr = records.id();
    let lcm = Lcm::new(&host);
    let good = records.deploy_body("op", ACCOUNT);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body
    };
    let table: Vec<(&str, Value, u16, &str)> = vec![
        (
            "unknown top-level key",
            with(&|b| b["nonsense"] = json!(1)),
            422,
            "nonsense",
        ),
        (
            "VNF id that is none",
            with(&|b| b["vnf"][0]["_id"] = json!("x")),
            422,
            "vnf:0:_id",
        ),
        (
            "unknown VNF",
            with(&|b| b["vnf"][0]["_id"] = json!("00000000-0000-4000-8000-000000000000")),
            404,
            "00000000",
        ),
        (
            "unknown VIM",
            with(&|b| b["vnf"][0]["vdur"][0]["vim_info"] = json!({"vim:nowhere": {}})),
            404,
            "nowhere",
        ),
        (
            "undefined template variable",
            with(&|b| {
                b["cloud_init_content"] =
                    json!({"6d9e1ca1-f387-4d01-9876-066fc7311e0f:file:cloud-config.txt": "{{ nobody_gave_it }}"})
            }),
            400,
            "nobody_gave_it",
        ),
        (
            "clashing positions",
            with(&|b| b["vnf"][0]["vdur"][0]["interfaces"][1]["position"] = json!(1)),
            422,
            "position",
        ),
        (
            "position out of range",
            with(&|b| {
                b["vnf"][0]["vdur"][0]["interfaces"][0]
                    .as_object_mut()
                    .unwrap()
                    .remove("position");
                b["vnf"][0]["vdur"][0]["interfaces"][1]["position"] = json!(77);
            }),
            422,
            "position",
        ),
        (
            "flavour that is no number",
            with(&|b| b["flavor"][0]["memory-mb"] = json!("much")),
            422,
            "memory-mb",
        ),
        (
            "image that nothing has",
            with(&|b| b["vnf"][0]["vdur"][0]["ns-image-id"] = json!("99")),
            422,
            "image.99",
        ),
    ];
    for (what, body, expected, needle) in table {
        let (status, answer) = lcm
            .call("POST", &format!("ns/v1/deploy/{nsr}"), Some(&body))
            .await
            .unwrap();
        assert_eq!(status, expected, "{what}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(needle), "{what}: {answer}");
        assert_eq!(answer["status"], expected);
        assert!(!answer.to_string().contains("panicked"), "{answer}");
    }
    let (status, answer) = lcm.call("POST", "ns/v1/deploy/unknown-ns", Some(&good)).await.unwrap();
    assert_eq!(status, 404, "{answer}");
    let (_, actions) = lcm.call("GET", &format!("ns/v1/deploy/{nsr}"), None).await.unwrap();
    assert_eq!(actions, json!([]), "nothing of the refused requests was stored");
    assert_eq!(vim.inventory().created(), 0);

    // Too large, not YAML, not JSON.
    let post = |body: Vec<u8>, kind: &'static str| {
        host.http
            .post(format!("{}/ns/v1/deploy/{nsr}", host.ng_ro))
            .header("content-type", kind)
            .body(body)
            .send()
    };
    assert_eq!(
        post(vec![b'a'; 40 << 20], "application/yaml")
            .await
            .map(|r| r.status().as_u16())
            .unwrap_or(413),
        413
    );
    assert_eq!(post(b"{{{".to_vec(), "application/json").await.unwrap().status(), 400);
    assert_eq!(post(b"a: [".to_vec(), "application/yaml").await.unwrap().status(), 400);
    // The admin interface names the field in a problem.
    let (status, problem) = host
        .admin(
            "PUT",
            "/v1/network-services/x",
            Some(json!({"name": "x", "vim": ACCOUNT, "vms": 5})),
        )
        .await
        .unwrap();
    assert_eq!(status, 400, "{problem}");
    assert!(problem.to_string().contains("vms"), "{problem}");
    let (status, _) = host.admin("GET", "/v1/network-services/none", None).await.unwrap();
    assert_eq!(status, 404);
    vim.stop().await.unwrap();
}
