//! The admin interface: accounts, plugins, records, network services, actions, probes, roles.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Host, VIM, problem, service};
use vimhost_api::admin::{Options, Role, TokenDigest};
use vimhost_api::{RequestLimits, ng_ro};

async fn json_of(request: reqwest::RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let got = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_added_checked_changed_and_removed() {
    let host = Host::start().await;
    let yaml = "name: site-a\nvim_type: stub\nurl: http://vim.example/v3\ncredentials: {password: canary}\nconfig: {zone: nova}\n";
    let answer = host
        .admin(Method::POST, "/v1/vims")
        .header("Content-Type", "application/yaml")
        .body(yaml)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let (place, tag) = (
        answer.headers()["location"].to_str().unwrap().to_owned(),
        answer.headers()["etag"].clone(),
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let text = answer.text().await.unwrap();
    assert!(!text.contains("canary"), "{text}");
    let account: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(place, format!("/v1/vims/{}", account["id"].as_str().unwrap()));
    assert_eq!(
        (&account["state"], &account["credentials"]),
        (&json!("PROCESSING"), &json!(["password"]))
    );

    let checked = json_of(host.admin(Method::POST, &format!("{place}/check")), 200).await;
    assert_eq!(
        (&checked["state"], &checked["vim_version"]),
        (&json!("ENABLED"), &json!("stub 1"))
    );
    // The check changed the account, so the tag of the creation is stale.
    let edit = || host.admin(Method::PATCH, &place).json(&json!({"description": "lab"}));
    problem(
        edit().header("If-Match", tag).send().await.unwrap(),
        412,
        "changed-meanwhile",
    )
    .await;
    problem(
        edit().header("If-Match", "W/\"1\"").send().await.unwrap(),
        400,
        "bad-request",
    )
    .await;
    let shown = host.admin(Method::GET, &place).send().await.unwrap();
    let tag = shown.headers()["etag"].clone();
    let answer = edit().header("If-Match", tag.clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_ne!(answer.headers()["etag"], tag);
    assert_eq!(answer.json::<Value>().await.unwrap()["description"], "lab");
    assert_eq!(
        edit().header("If-Match", "*").send().await.unwrap().status(),
        StatusCode::OK
    );

    host.vim.refuse_checks();
    let failed = problem(
        host.admin(Method::POST, &format!("{place}/check"))
            .send()
            .await
            .unwrap(),
        502,
        "vim",
    )
    .await;
    assert!(failed["detail"].as_str().unwrap().contains("refused the credentials"));
    let shown = json_of(host.admin(Method::GET, &place), 200).await;
    assert_eq!(shown["state"], "ERROR");

    problem(
        host.admin(Method::DELETE, &place)
            .header("If-Match", tag)
            .send()
            .await
            .unwrap(),
        412,
        "changed-meanwhile",
    )
    .await;
    assert_eq!(
        host.admin(Method::DELETE, &place).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    problem(host.admin(Method::GET, &place).send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_are_told_what_is_wrong_where() {
    let limits = RequestLimits {
        body: 1 << 16,
        ..RequestLimits::default()
    };
    let host = Host::with(
        Options {
            limits,
            ..Options::default()
        },
        ng_ro::Options::default(),
    )
    .await;
    host.add_vim().await;
    let post = |body: &str| host.admin(Method::POST, "/v1/vims").body(body.to_owned());
    let answer = post("name: x\nvim_type: stub\nurl: http://x\ngrants: {origins: [ftp://x]}")
        .send()
        .await
        .unwrap();
    let shape = problem(answer, 400, "wrong-shape").await;
    assert_eq!(shape["errors"][0]["pointer"], "/grants/origins/0");
    let shape = problem(post("name: x").send().await.unwrap(), 400, "wrong-shape").await;
    assert!(shape["detail"].as_str().unwrap().contains("vim_type"), "{shape:#}");
    problem(
        post("name: x\nvim_type: stub\nurl: http://x\nnonsense: 1")
            .send()
            .await
            .unwrap(),
        400,
        "wrong-shape",
    )
    .await;
    let malformed = problem(post("name: x\nname: y").send().await.unwrap(), 400, "malformed-body").await;
    assert!(
        malformed["detail"].as_str().unwrap().contains("line 2"),
        "{malformed:#}"
    );
    let json = host
        .admin(Method::POST, "/v1/vims")
        .header("Content-Type", "application/json")
        .body("{\n\"a\": }");
    let malformed = problem(json.send().await.unwrap(), 400, "malformed-body").await;
    assert!(
        malformed["detail"].as_str().unwrap().contains("line 2 column"),
        "{malformed:#}"
    );
    problem(post(&"#".repeat((1 << 16) + 1)).send().await.unwrap(), 413, "too-large").await;
    let taken = json!({"id": VIM, "name": "b", "vim_type": "stub", "url": "http://x"});
    problem(
        host.admin(Method::POST, "/v1/vims").json(&taken).send().await.unwrap(),
        409,
        "conflict",
    )
    .await;
    let other = json!({"name": "b", "vim_type": "abacus", "url": "http://x"});
    problem(
        host.admin(Method::POST, "/v1/vims").json(&other).send().await.unwrap(),
        400,
        "bad-request",
    )
    .await;

    for (method, path, status, code) in [
        (Method::GET, "/v1/nothing", 404, "not-found"),
        (Method::GET, "/", 404, "not-found"),
        (Method::PUT, "/v1/plugins", 405, "method-not-allowed"),
        (Method::POST, "/livez", 405, "method-not-allowed"),
        (Method::GET, "/v1/vims/unknown", 404, "not-found"),
        (Method::GET, "/v1/vims/%00", 400, "bad-request"),
        (Method::GET, "/v1/vims/%ff", 400, "bad-request"),
        (Method::GET, "/v1/vims?limit=0", 400, "bad-request"),
        (Method::GET, "/v1/vims?limit=x", 400, "bad-request"),
        (Method::POST, "/v1/vims/unknown/check", 404, "not-found"),
        (Method::GET, "/v1/records/vims/x", 404, "not-found"),
        (Method::GET, "/v1/records/nsrs/x", 404, "not-found"),
        (Method::DELETE, "/v1/records/nsrs/x", 404, "not-found"),
        (Method::GET, "/v1/network-services/x", 404, "not-found"),
        (Method::DELETE, "/v1/network-services/x", 404, "not-found"),
        (Method::POST, "/v1/network-services/x/plan", 404, "not-found"),
        (Method::POST, "/v1/network-services/x/deploy", 404, "not-found"),
        (Method::POST, "/v1/network-services/x/terminate", 404, "not-found"),
        (Method::GET, "/v1/network-services/x/actions/y", 404, "not-found"),
        (Method::GET, "/v1/network-services/x/actions/y/events", 404, "not-found"),
    ] {
        let answer = host.admin(method.clone(), path).send().await.unwrap();
        if status == 405 {
            assert!(answer.headers().contains_key("allow"), "{method} {path}");
        }
        let id = answer.headers()["x-request-id"].clone();
        assert_eq!(
            problem(answer, status, code).await["request_id"],
            id.to_str().unwrap(),
            "{method} {path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_kept_for_their_owner() {
    let host = Host::start().await;
    let path = "/v1/records/vnfds/d%201";
    let put = |body: Value| host.admin(Method::PUT, path).json(&body);
    problem(put(json!({"_id": "other"})).send().await.unwrap(), 400, "wrong-shape").await;
    problem(
        put(json!({})).header("If-Match", "*").send().await.unwrap(),
        412,
        "changed-meanwhile",
    )
    .await;
    let answer = put(json!({"vdu": [{"id": "a"}], "secret": "canary"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["location"], path);
    let tag = answer.headers()["etag"].clone();
    let shown = host.admin(Method::GET, path).send().await.unwrap();
    assert_eq!(shown.headers()["etag"], tag);
    let shown: Value = shown.json().await.unwrap();
    assert_eq!(shown, json!({"_id": "d 1", "vdu": [{"id": "a"}], "secret": "canary"}));
    let answer = put(json!({"_id": "d 1"}))
        .header("If-Match", tag.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    problem(
        put(json!({"_id": "d 1"}))
            .header("If-Match", tag.clone())
            .send()
            .await
            .unwrap(),
        412,
        "changed-meanwhile",
    )
    .await;
    problem(
        host.admin(Method::DELETE, path)
            .header("If-Match", tag)
            .send()
            .await
            .unwrap(),
        412,
        "changed-meanwhile",
    )
    .await;
    assert_eq!(
        host.admin(Method::DELETE, path).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    problem(
        host.admin(Method::PUT, path).body("- 1").send().await.unwrap(),
        400,
        "wrong-shape",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_service_is_kept_planned_deployed_and_terminated() {
    let host = Host::start().await;
    host.add_vim().await;
    let path = "/v1/network-services/shop";
    let put = |body: &Value| host.admin(Method::PUT, path).json(body);
    problem(
        put(&json!({"name": "other", "vim": VIM})).send().await.unwrap(),
        400,
        "wrong-shape",
    )
    .await;
    let mut wrong = service();
    wrong["vms"]["web"]["flavour"] = json!("huge");
    let shape = problem(put(&wrong).send().await.unwrap(), 400, "wrong-shape").await;
    assert_eq!(shape["errors"][0]["pointer"], "/vms/web/flavour");
    wrong["vms"]["web"]["flavour"] = json!("small");
    wrong["flavours"]["small"]["vcpus"] = json!("two");
    let shape = problem(put(&wrong).send().await.unwrap(), 400, "wrong-shape").await;
    assert_eq!(shape["errors"][0]["pointer"], "/flavours/small/vcpus");
    problem(put(&json!({"vim": "nobody"})).send().await.unwrap(), 404, "not-found").await;

    let kept = json_of(put(&service()), 201).await;
    assert_eq!(
        (&kept["id"], &kept["spec"]["vms"]["web"]["image"]),
        (&json!("shop"), &json!("ubuntu"))
    );
    assert!(kept["nsr"].get("vimhost-spec").is_none());
    json_of(put(&service()), 200).await;
    let list = json_of(host.admin(Method::GET, "/v1/network-services"), 200).await;
    assert_eq!(list, json!({"items": [{"id": "shop", "name": "shop"}], "next": null}));

    let plan = json_of(host.admin(Method::POST, &format!("{path}/plan")), 200).await;
    assert_eq!(plan["tasks"], 4, "{plan:#}");
    assert!(
        plan["changes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|change| change["change"] == "create"),
        "{plan:#}"
    );
    assert_eq!(host.vim.count(), 0);

    let deploy = || {
        host.admin(Method::POST, &format!("{path}/deploy"))
            .header("Idempotency-Key", "first try/1")
    };
    let answer = deploy().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(place, format!("{path}/actions/first%20try%2F1"));
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"nsr_id": "shop", "action_id": "first try/1", "repeated": false})
    );
    let again = json_of(deploy(), 202).await;
    assert_eq!(
        (&again["action_id"], &again["repeated"]),
        (&json!("first try/1"), &json!(true))
    );

    host.settled("shop", "first%20try%2F1").await;
    let action = json_of(host.admin(Method::GET, &place), 200).await;
    assert_eq!(
        (&action["status"], &action["done"], &action["total"]),
        (&json!("DONE"), &json!(4), &json!(4)),
        "{action:#}"
    );
    let vm = action["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["item"] == "vdu")
        .unwrap();
    assert_eq!(
        (&vm["vim_status"], &vm["target"]),
        (&json!("ACTIVE"), &json!(format!("vim:{VIM}")))
    );
    assert!(action["created_at"].as_str().unwrap().ends_with('Z'));
    let shown = json_of(host.admin(Method::GET, path), 200).await;
    assert_eq!(shown["vnfrs"][0]["ip-address"], "10.9.0.5", "{shown:#}");

    // A key stands for one request.
    problem(
        host.admin(Method::POST, &format!("{path}/terminate"))
            .header("Idempotency-Key", "first try/1")
            .send()
            .await
            .unwrap(),
        409,
        "conflict",
    )
    .await;
    problem(host.admin(Method::DELETE, path).send().await.unwrap(), 409, "conflict").await;
    problem(
        host.admin(Method::DELETE, &format!("/v1/vims/{VIM}"))
            .send()
            .await
            .unwrap(),
        409,
        "conflict",
    )
    .await;

    let accepted = json_of(host.admin(Method::POST, &format!("{path}/terminate")), 202).await;
    let settled = host.settled("shop", accepted["action_id"].as_str().unwrap()).await;
    assert_eq!(settled["status"], "DONE", "{settled:#}");

    // Two actions, one a page, newest first; each listing knows them.
    for listing in [format!("{path}/actions"), "/v1/actions".to_owned()] {
        let first = json_of(host.admin(Method::GET, &format!("{listing}?limit=1")), 200).await;
        assert_eq!(first["items"][0]["id"], accepted["action_id"]);
        let request = host
            .admin(Method::GET, &listing)
            .query(&[("limit", "1"), ("cursor", first["next"].as_str().unwrap())]);
        let second = json_of(request, 200).await;
        assert_eq!(
            (&second["items"][0]["id"], &second["items"][0]["kind"]),
            (&json!("first try/1"), &json!("deploy"))
        );
    }
    assert_eq!(
        host.admin(Method::DELETE, path).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    problem(host.admin(Method::GET, path).send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_and_plugins_answer() {
    let host = Host::start().await;
    for probe in ["/livez", "/readyz"] {
        assert_eq!(
            host.admin(Method::GET, probe)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
            "ok\n"
        );
    }
    let plugins = json_of(host.admin(Method::GET, "/v1/plugins"), 200).await;
    assert_eq!(
        (&plugins["items"][0]["file"], &plugins["items"][0]["state"]),
        (&json!("stub.wasm"), &json!("ready"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_decide_who_may_look_and_who_may_change() {
    let tokens = vec![
        TokenDigest::of_token("boss", Role::Admin),
        TokenDigest::of_token("guest", Role::Viewer),
    ];
    let host = Host::with(
        Options {
            tokens,
            ..Options::default()
        },
        ng_ro::Options::default(),
    )
    .await;
    let record = || {
        host.admin(Method::PUT, "/v1/records/nsrs/n")
            .json(&json!({"name": "n", "password": "canary"}))
    };
    let answer = record().send().await.unwrap();
    assert!(
        answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Bearer")
    );
    problem(answer, 401, "unauthorised").await;
    problem(record().bearer_auth("bos").send().await.unwrap(), 401, "unauthorised").await;
    problem(
        record().basic_auth("boss", Some("boss")).send().await.unwrap(),
        401,
        "unauthorised",
    )
    .await;
    problem(record().bearer_auth("guest").send().await.unwrap(), 403, "forbidden").await;
    assert_eq!(
        record().bearer_auth("boss").send().await.unwrap().status(),
        StatusCode::CREATED
    );
    let shown = |token: &'static str| json_of(host.admin(Method::GET, "/v1/records/nsrs/n").bearer_auth(token), 200);
    assert_eq!(shown("boss").await["password"], "canary");
    assert_eq!(shown("guest").await["password"], "***");
    problem(
        host.admin(Method::GET, "/v1/nothing").send().await.unwrap(),
        401,
        "unauthorised",
    )
    .await;
    assert_eq!(
        host.admin(Method::GET, "/livez").send().await.unwrap().status(),
        StatusCode::OK
    );

    // Without tokens loopback is enough, but not for a page, nor under a name that was bent to loopback.
    let host = Host::start().await;
    assert_eq!(
        host.admin(Method::GET, "/v1/plugins").send().await.unwrap().status(),
        StatusCode::OK
    );
    for (header, value) in [
        ("Origin", "http://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Host", "evil.example"),
    ] {
        let answer = host
            .admin(Method::GET, "/v1/plugins")
            .header(header, value)
            .send()
            .await
            .unwrap();
        problem(answer, 403, "forbidden").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_is_cancelled_as_far_as_it_has_not_begun() {
    let host = Host::start().await;
    host.add_vim().await;
    let path = "/v1/network-services/shop";
    let mut wanted = service();
    // More VMs than calls at a time: four calls are held, two VMs wait for their turn.
    wanted["vms"]["web"]["count"] = json!(6);
    json_of(host.admin(Method::PUT, path).json(&wanted), 201).await;
    host.vim.hold_servers();
    let accepted = json_of(host.admin(Method::POST, &format!("{path}/deploy")), 202).await;
    let action = format!("{path}/actions/{}", accepted["action_id"].as_str().unwrap());
    problem(
        host.admin(Method::POST, &format!("{path}/actions/nothing/cancel"))
            .send()
            .await
            .unwrap(),
        404,
        "not-found",
    )
    .await;
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while host.vim.held() < 4 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let told = json_of(host.admin(Method::POST, &format!("{action}/cancel")), 200).await;
    assert_eq!((&told["cancelled"], &told["going_on"]), (&json!([]), &json!([])));
    assert_eq!(told["undecided"].as_array().unwrap().len(), 6, "{told:#}");
    for _ in 0..4 {
        host.vim.let_one_server_go();
    }
    host.settled("shop", accepted["action_id"].as_str().unwrap()).await;
    while host.vim.held() > 0 || json_of(host.admin(Method::GET, &action), 200).await["done"] != 7 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let shown = json_of(host.admin(Method::GET, &action), 200).await;
    let cancelled = shown["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|task| (&task["status"], &task["message"]) == (&json!("FAILED"), &json!("cancelled by request")));
    assert_eq!(
        (cancelled.count(), &shown["status"]),
        (2, &json!("FAILED")),
        "{shown:#}"
    );
    // Cancelling what is over cancels nothing, and every task is told once in the listing by state.
    let again = json_of(host.admin(Method::POST, &format!("{action}/cancel")), 200).await;
    assert_eq!(again, json!({"cancelled": [], "going_on": [], "undecided": []}));
    let state = shown["status"].as_str().unwrap();
    let of_state = json_of(
        host.admin(Method::GET, &format!("/v1/actions?state={state}&service=shop")),
        200,
    )
    .await;
    assert_eq!(
        (&of_state["items"][0]["id"], &of_state["items"][0]["status"]),
        (&shown["id"], &shown["status"])
    );
    for query in [
        "state=BUILD",
        "kind=migrate",
        "since=2999-01-01T00:00:00Z",
        "service=other",
    ] {
        let none = json_of(host.admin(Method::GET, &format!("/v1/actions?{query}")), 200).await;
        assert_eq!(none["items"], json!([]), "{query}");
    }
    for query in ["state=CANCELLED", "kind=x", "since=x", "cursor=x"] {
        let wrong = host
            .admin(Method::GET, &format!("/v1/actions?{query}"))
            .send()
            .await
            .unwrap();
        problem(wrong, 400, "bad-request").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_wims_and_sdn_controllers_are_kinds_of_their_own() {
    let host = Host::start().await;
    let account = |name: &str| json!({"id": "same", "name": name, "vim_type": "stub", "url": "http://wan.example"});
    for (path, target) in [
        ("/v1/wims", "wim:same"),
        ("/v1/sdns", "sdn:same"),
        ("/v1/vims", "vim:same"),
    ] {
        let added = host
            .admin(Method::POST, path)
            .json(&account(path))
            .send()
            .await
            .unwrap();
        assert_eq!(added.status(), 201);
        assert_eq!(added.headers()["location"], format!("{path}/same").as_str());
        let added: Value = added.json().await.unwrap();
        assert_eq!((&added["target"], &added["name"]), (&json!(target), &json!(path)));
        let again = host
            .admin(Method::POST, path)
            .json(&account(path))
            .send()
            .await
            .unwrap();
        problem(again, 409, "conflict").await;
        let place = format!("{path}/same");
        let grants = json!({"grants": {"origins": ["http://api.example:80"]}});
        let edited = host.admin(Method::PATCH, &place).json(&grants).send().await.unwrap();
        assert_eq!(edited.status(), 200);
        let checked = host.admin(Method::POST, &format!("{place}/check")).json(&json!({}));
        assert_eq!(checked.send().await.unwrap().status(), 200);
        let shown: Value = host
            .admin(Method::GET, &place)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(
            (&shown["grants"]["origins"], &shown["state"]),
            (&json!(["http://api.example:80"]), &json!("ENABLED"))
        );
    }
    for path in ["/v1/wims", "/v1/sdns"] {
        let list = format!("{path}?limit=1");
        let listed: Value = host
            .admin(Method::GET, &list)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let names: Vec<&Value> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| &entry["name"])
            .collect();
        assert_eq!(names, [path], "its kind only: {listed}");
        let gone = host
            .admin(Method::DELETE, &format!("{path}/same"))
            .send()
            .await
            .unwrap();
        assert_eq!(gone.status(), 204);
    }
    let gone = host.admin(Method::GET, "/v1/wims/same").send().await.unwrap();
    problem(gone, 404, "not-found").await;
    let kept = host.admin(Method::GET, "/v1/vims/same").send().await.unwrap();
    assert_eq!(kept.status(), 200);
}
