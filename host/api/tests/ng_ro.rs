//! NG-RO's dialect on a listener, as LCM and as people use it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Host, VIM};
use vimhost_api::{RequestLimits, SourceRanges, admin, ng_ro};

const NSR: &str = "dbfbd751-3de4-4e68-bd40-ec5ae0a53898";
const VNFR: &str = "1b6a4eb3-4fbf-415e-985c-4aeb3161eec0";
const VDUR: &str = "38912ff7-5bdd-4228-911f-c2bee259c44a";
const INSTANTIATE: &str = include_str!("data/lcm_instantiate.yaml");
const TERMINATE: &str = include_str!("data/lcm_terminate.yaml");
const INSTANTIATION: &str = "00000000-0000-4000-8000-000000000001";
const TERMINATION: &str = "00000000-0000-4000-8000-000000000002";

/// The keys that a VM's task has in NG-RO (`_create_task` of its `ns.py`).
const TASK_KEYS: [&str; 11] = [
    "action",
    "action_id",
    "depends_on",
    "item",
    "mgmt_vnf_interface",
    "nsr_id",
    "params",
    "status",
    "target_record",
    "target_record_id",
    "task_id",
];

/// A host with the account and the records that a deploy of LCM finds.
async fn with_records() -> Host {
    let host = Host::start().await;
    host.add_vim().await;
    let records: Value = serde_json::from_str(include_str!("data/records.json")).unwrap();
    for (place, record) in [
        (format!("nsrs/{NSR}"), &records["nsr"]),
        (format!("vnfrs/{VNFR}"), &records["vnfr"]),
    ] {
        let answer = host
            .admin(Method::PUT, &format!("/v1/records/{place}"))
            .json(record)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
    host
}

/// Status and error of an answer that is an error in YAML as NG-RO writes it.
async fn refused(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/yaml");
    let text = answer.text().await.unwrap();
    let rest = text.strip_prefix("---\ncode: ").unwrap_or_else(|| panic!("{text}"));
    let (code, rest) = rest.split_once("\ndetail: ").unwrap();
    let (detail, number) = rest.rsplit_once("\nstatus: ").unwrap();
    assert_eq!(number, format!("{status}\n"), "{text}");
    let detail = match detail.strip_prefix('\'') {
        Some(quoted) => quoted.strip_suffix('\'').unwrap().replace("''", "'"),
        None => detail.to_owned(),
    };
    (status, code.to_owned(), detail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lcm_instantiates_polls_terminates_and_forgets() {
    let host = with_records().await;
    let deploy = format!("/ro//ns/v1/deploy/{NSR}");
    let answer = host.lcm(Method::POST, &deploy).body(INSTANTIATE).send().await.unwrap();
    let status = answer.status();
    let location = answer.headers().get("location").cloned();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(
        text,
        format!("---\naction_id: {INSTANTIATION}\nnsr_id: {NSR}\nstatus: ok\n")
    );
    assert_eq!(location.unwrap(), format!("/ro/ns/v1/deploy/{NSR}"));

    let settled = host.settled(NSR, INSTANTIATION).await;
    assert_eq!(
        (&settled["status"], &settled["nsr_id"], &settled["action_id"]),
        (&json!("DONE"), &json!(NSR), &json!(INSTANTIATION))
    );
    let tasks = settled["tasks"].as_array().unwrap();
    assert_eq!(settled["details"], format!("progress {0}/{0}", tasks.len()));
    for (number, task) in tasks.iter().enumerate() {
        assert_eq!(task["task_id"], format!("{INSTANTIATION}:{number}"));
        assert_eq!((&task["action"], &task["status"]), (&json!("CREATE"), &json!("DONE")));
    }
    let vdu = tasks.iter().find(|task| task["item"] == "vdu").unwrap();
    assert_eq!(vdu["target_record"], format!("vnfrs:{VNFR}:vdur.0.vim_info.vim:{VIM}"));
    assert_eq!(vdu["target_record_id"], format!("vnfrs:{VNFR}:vdur.{VDUR}"));
    let mut needs: Vec<&str> = vdu["depends_on"]
        .as_array()
        .unwrap()
        .iter()
        .map(|on| on.as_str().unwrap())
        .collect();
    needs.sort_unstable();
    let expected = ["flavor.0", "image.0", "vld.datanet", "vld.mgmtnet"].map(|item| format!("nsrs:{NSR}:{item}"));
    assert_eq!(needs, expected);
    let keys: Vec<&str> = vdu.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, TASK_KEYS);
    assert_eq!(vdu["params"]["image_id"], format!("TASK-nsrs:{NSR}:image.0"));

    // By every path, in LCM's own form, and with ids encoded.
    for topic in ["deploy", "recreate", "migrate", "verticalscale"] {
        let path = format!("/ro//ns/v1/{topic}/{NSR}/{}", INSTANTIATION.replace('-', "%2D"));
        let answer = host.lcm(Method::GET, &path).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(
            text.contains("\nstatus: DONE\n") && text.contains(&format!("\naction_id: {INSTANTIATION}\n")),
            "{text}"
        );
    }
    let list = host
        .lcm(Method::GET, "/ro//ns/v1/deploy")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(list, format!("---\n-   _id: {NSR}\n    name: k8s-ns\n"));
    let actions = host
        .lcm(Method::GET, &deploy)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(actions, format!("---\n- {INSTANTIATION}\n"));

    // The same request again is the same action.
    let again = host
        .lcm(Method::POST, &deploy)
        .body(INSTANTIATE)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(again, text);

    let answer = host.lcm(Method::POST, &deploy).body(TERMINATE).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let settled = host.settled(NSR, TERMINATION).await;
    assert_eq!(settled["status"], "DONE", "{settled:#}");
    assert_eq!(host.vim.count(), 0);
    for _ in 0..2 {
        let answer = host.lcm(Method::DELETE, &deploy).send().await.unwrap();
        assert_eq!(
            (answer.status(), answer.text().await.unwrap()),
            (StatusCode::NO_CONTENT, String::new())
        );
    }
    let (status, code, _) = refused(host.lcm(Method::GET, &format!("{deploy}/{TERMINATION}"))).await;
    assert_eq!((status, code.as_str()), (404, "NOT_FOUND"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_task_is_told_in_ng_ros_words() {
    let host = with_records().await;
    let body = INSTANTIATE.replace("image: ubuntu18.04", "image: missing");
    let answer = host
        .lcm(Method::POST, &format!("/ro/ns/v1/deploy/{NSR}"))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let settled = host.settled(NSR, INSTANTIATION).await;
    assert_eq!(settled["status"], "FAILED");
    let details = settled["details"].as_str().unwrap();
    assert!(details.contains("Error at create image: "), "{details}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_let_in_with_the_services_own_and_no_answer_shows_a_secret() {
    let host = with_records().await;
    let deploy = format!("/ro//ns/v1/deploy/{NSR}");
    let answer = host.lcm(Method::POST, &deploy).body(INSTANTIATE).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(host.settled(NSR, INSTANTIATION).await["status"], "DONE");
    let key = "ssh-rsa AAAAB3NzaC1yc2E= lcm@osm";
    let body = |vdu: &str| {
        format!(
            "action:\n  action: inject_ssh_key\n  key: {key}\n  password: canary-password\n  user: ubuntu\n\
             action_id: inject\nvnf:\n- _id: {VNFR}\n  vdur:\n  - id: {vdu}\n"
        )
    };
    let answer = host.lcm(Method::POST, &deploy).body(body(VDUR)).send().await.unwrap();
    let (status, location) = (answer.status(), answer.headers().get("location").cloned());
    let text = answer.text().await.unwrap();
    assert_eq!(
        (status, location.unwrap().to_str().unwrap()),
        (StatusCode::OK, &*format!("/ro/ns/v1/deploy/{NSR}"))
    );
    assert_eq!(text, format!("---\naction_id: inject\nnsr_id: {NSR}\nstatus: ok\n"));
    let settled = host.settled(NSR, "inject").await;
    assert_eq!(
        (&settled["status"], &settled["details"]),
        (&json!("DONE"), &json!("progress 1/1"))
    );
    let injections = host.vim.injections();
    assert_eq!(injections.len(), 1);
    assert_eq!(
        (injections[0].user.as_str(), injections[0].public_key.as_str()),
        ("ubuntu", key)
    );
    assert_eq!(injections[0].password.as_ref().unwrap().expose(), "canary-password");
    let private = injections[0].private_key.as_ref().unwrap().expose();
    assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    let task = &settled["tasks"][0];
    assert_eq!(
        (&task["action"], &task["item"], &task["status"], &task["retries"]),
        (&json!("EXEC"), &json!("vdu"), &json!("FINISHED"), &json!(0))
    );
    assert_eq!(task["target_record"], format!("vnfrs:{VNFR}:vdur.0.ssh_keys"));
    assert_eq!(
        (&task["target_record_id"], &task["depends_on"]),
        (&Value::Null, &json!([format!("vnfrs:{VNFR}:vdur.{VDUR}")]))
    );
    assert_eq!(
        (&task["params"]["key"], &task["params"]["user"]),
        (&json!(key), &json!("ubuntu"))
    );
    assert_eq!(task["params"]["ip_address"], injections[0].address.to_string());
    assert!(!settled.to_string().contains("canary") && !settled.to_string().contains("BEGIN"));

    let post = |body: String| host.lcm(Method::POST, &deploy).body(body);
    let (status, code, detail) = refused(post(body("nobody"))).await;
    assert_eq!((status, code.as_str()), (400, "BAD_REQUEST"));
    assert_eq!(detail, format!("Invalid vdu vnf={VNFR}.nobody"));
    let (status, _, detail) = refused(post(body(VDUR).replace("inject_ssh_key", "reboot"))).await;
    assert!(
        status == 422 && detail.starts_with("Format error at 'action:action' "),
        "{status} {detail}"
    );
    let (status, _, detail) = refused(post(body(VDUR).replace(key, "k"))).await;
    assert!(
        status == 422 && detail.starts_with("Format error at 'action:key' "),
        "{status} {detail}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_its_status_and_text() {
    let host = with_records().await;
    let deploy = format!("/ro//ns/v1/deploy/{NSR}");
    let post = |body: &str| host.lcm(Method::POST, &deploy).body(body.to_owned());
    for (body, status, code, detail) in [
        (
            "nonsense: 1",
            422,
            "UNPROCESSABLE_ENTITY",
            "Format error  'Additional properties are not allowed ('nonsense' was unexpected)' ",
        ),
        (
            "[1]",
            422,
            "UNPROCESSABLE_ENTITY",
            "Format error  'a deploy request is a map' ",
        ),
        (
            "image:\n- id: ''",
            422,
            "UNPROCESSABLE_ENTITY",
            "Format error at 'image:0:id' ",
        ),
        (
            "vnf:\n- vdur: []",
            422,
            "UNPROCESSABLE_ENTITY",
            "Format error at 'vnf:0' ",
        ),
        ("a: [1", 400, "BAD_REQUEST", "Invalid yaml format "),
        ("a: !!python/object:x {}", 400, "BAD_REQUEST", "Invalid yaml format "),
        (
            "action: {action: inject_ssh_key}\nvnf: []",
            422,
            "UNPROCESSABLE_ENTITY",
            "Format error at 'vnf' 'names no VDU' ",
        ),
    ] {
        let (got_status, got_code, got_detail) = refused(post(body)).await;
        assert_eq!((got_status, got_code.as_str()), (status, code), "{body}: {got_detail}");
        assert!(got_detail.starts_with(detail), "{got_detail:?}");
        if status == 422 {
            assert!(got_detail.ends_with("' "), "{got_detail:?}");
        }
    }
    let (status, _, detail) = refused(post(&INSTANTIATE.replace("{{ secret_word }}", "{{ undefined_word }}"))).await;
    assert_eq!(status, 400, "{detail}");
    assert!(detail.contains("undefined_word"), "{detail}");
    let (status, _, detail) = refused(post(&INSTANTIATE.replace(&format!("vim:{VIM}"), "vim:nobody"))).await;
    assert_eq!(status, 404, "{detail}");
    let unknown = host.lcm(Method::POST, "/ro/ns/v1/deploy/unknown").body(TERMINATE);
    assert_eq!(refused(unknown).await.0, 404);
    assert_eq!(
        refused(host.lcm(Method::GET, &format!("{deploy}/unknown"))).await.0,
        404
    );
    let unknown = host
        .lcm(Method::DELETE, "/ro/ns/v1/deploy/unknown")
        .send()
        .await
        .unwrap();
    assert_eq!(unknown.status(), StatusCode::NO_CONTENT);

    for topic in [
        "recreate",
        "migrate",
        "start",
        "stop",
        "rebuild",
        "verticalscale",
        "console",
    ] {
        let path = format!("/ro//ns/v1/{topic}/{NSR}");
        let (status, code, detail) = refused(host.lcm(Method::POST, &path).body("{}")).await;
        assert_eq!((status, code.as_str()), (422, "UNPROCESSABLE_ENTITY"), "{topic}");
        assert!(detail.ends_with("is a required property' "), "{detail}");
        let (status, ..) = refused(host.lcm(Method::POST, &path).body("nonsense: 1")).await;
        assert_eq!(status, 422);
    }
    assert_eq!(refused(host.lcm(Method::POST, "/ro/admin/v1/tokens")).await.0, 404);

    let (status, code, detail) = refused(host.lcm(Method::PUT, &deploy)).await;
    assert_eq!(
        (status, code.as_str(), detail.as_str()),
        (405, "METHOD_NOT_ALLOWED", "Method PUT not supported for this URL")
    );
    let answer = host.lcm(Method::PUT, &deploy).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET, POST, DELETE");
    assert_eq!(
        refused(host.lcm(Method::GET, "/ro/ns")).await.2,
        "URL must contain at least 'main_topic/version/topic'"
    );
    assert_eq!(refused(host.lcm(Method::GET, "/elsewhere")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_bodies_take_the_form_the_client_names() {
    let host = with_records().await;
    let get = |accept: &'static str, path: &str| host.client.get(format!("{}{path}", host.ro)).header("Accept", accept);

    let answer = host.lcm(Method::GET, "/ro//version").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/yaml");
    assert_eq!(
        answer.text().await.unwrap(),
        "---\ndate: '2020-06-29'\nversion: 13.0.0\n"
    );
    let answer = get("application/json", "/ro/version").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json; charset=utf-8");
    assert_eq!(
        answer.text().await.unwrap(),
        "{\n    \"date\": \"2020-06-29\",\n    \"version\": \"13.0.0\"\n}\n"
    );
    let answer = get("text/html", "/ro/").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert!(answer.text().await.unwrap().contains("<pre>"));
    let answer = get("text/html", "/ro/%3Cscript%3E/v1/x").send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"), "{text}");

    // An Accept nobody can serve matters for errors only.
    let answer = get("application/xml", "/ro/version").send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["content-type"].to_str().unwrap()),
        (StatusCode::OK, "application/yaml")
    );
    let answer = get("application/xml", "/ro/nothing").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_ACCEPTABLE);
    assert!(answer.text().await.unwrap().starts_with("---\ncode: NOT_ACCEPTABLE\n"));

    // The query string is ignored, `METHOD=` above all.
    let answer = get("*/*", &format!("/ro/ns/v1/deploy/{NSR}?METHOD=DELETE&x=1"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status(), answer.text().await.unwrap().as_str()),
        (StatusCode::OK, "--- []\n")
    );

    let url = format!("{}/ro/ns/v1/deploy/{NSR}", host.ro);
    let json = serde_json::to_string(&json!({"action_id": "1e3", "ns": {"vld": []}})).unwrap();
    for (content_type, body) in [
        (Some("application/json"), json.as_str()),
        (Some("application/json; charset=utf-8"), json.as_str()),
        (Some("text/plain"), "action_id: 1e3\nns: {vld: []}"),
        (None, "action_id: 1e3\nns:\n    vld: []\n"),
    ] {
        let mut request = host
            .client
            .post(&url)
            .header("Accept", "application/json")
            .body(body.to_owned());
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["action_id"], "1e3", "{content_type:?}: {answer}");
    }
    let answer: Value = host
        .client
        .post(&url)
        .header("Accept", "application/json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["status"], "ok", "no body is an empty map: {answer}");
    let request = host
        .client
        .post(&url)
        .header("Content-Type", "application/json")
        .body("{\"a\": ");
    let (status, _, detail) = refused(request).await;
    assert_eq!(status, 400);
    assert!(
        detail.starts_with("Invalid json format ") && detail.contains("line 1"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_and_hostile_bodies_are_refused() {
    let limits = RequestLimits {
        body: 1 << 20,
        ..RequestLimits::default()
    };
    let options = ng_ro::Options {
        limits,
        ..ng_ro::Options::default()
    };
    let host = Host::with(admin::Options::default(), options).await;
    let deploy = format!("/ro/ns/v1/deploy/{NSR}");
    let (status, code, _) = refused(host.lcm(Method::POST, &deploy).body("#".repeat((1 << 20) + 1))).await;
    assert_eq!((status, code.as_str()), (413, "REQUEST_ENTITY_TOO_LARGE"));
    let chunks = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>("#".repeat(1 << 16))));
    let (status, ..) = refused(host.lcm(Method::POST, &deploy).body(reqwest::Body::wrap_stream(chunks))).await;
    assert_eq!(status, 413);
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        laughs.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 10].join(",")
        ));
    }
    let (status, _, detail) = refused(host.lcm(Method::POST, &deploy).body(laughs)).await;
    assert_eq!(status, 400);
    assert!(detail.contains("aliases"), "{detail}");
    let (status, ..) = refused(host.lcm(Method::POST, &deploy).body("[".repeat(1 << 19))).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_listed_sources_and_no_web_pages_are_served() {
    let options = ng_ro::Options {
        sources: SourceRanges(vec!["10.0.0.0/8".parse().unwrap()]),
        ..ng_ro::Options::default()
    };
    let host = Host::with(admin::Options::default(), options).await;
    let (status, code, detail) = refused(host.lcm(Method::GET, "/ro/version")).await;
    assert_eq!((status, code.as_str()), (403, "FORBIDDEN"));
    assert!(detail.contains("127.0.0.1"), "{detail}");

    let host = Host::start().await;
    let page = host
        .lcm(Method::POST, &format!("/ro/ns/v1/deploy/{NSR}"))
        .header("Origin", "http://evil.example")
        .body("{}");
    assert_eq!(refused(page).await.0, 403);
}
