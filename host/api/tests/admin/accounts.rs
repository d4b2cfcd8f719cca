//! Accounts of VIMs, WIMs and SDN controllers.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, VIM, service};
use crate::{json_of, refused, status_of};

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
    refused(edit().header("If-Match", tag), 412, "changed-meanwhile").await;
    refused(edit().header("If-Match", "W/\"1\""), 400, "bad-request").await;
    let shown = host.admin(Method::GET, &place).send().await.unwrap();
    let tag = shown.headers()["etag"].clone();
    let shown: Value = shown.json().await.unwrap();
    assert_eq!(shown["warnings"], json!(["the quota of servers is used up"]));
    let answer = edit().header("If-Match", tag.clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_ne!(answer.headers()["etag"], tag);
    assert_eq!(answer.json::<Value>().await.unwrap()["description"], "lab");
    assert_eq!(status_of(edit().header("If-Match", "*")).await, StatusCode::OK);

    host.vim.refuse_checks();
    let failed = refused(host.admin(Method::POST, &format!("{place}/check")), 502, "vim").await;
    assert!(failed["detail"].as_str().unwrap().contains("refused the credentials"));
    let shown = json_of(host.admin(Method::GET, &place), 200).await;
    assert_eq!((&shown["state"], &shown["warnings"]), (&json!("ERROR"), &json!([])));

    refused(
        host.admin(Method::DELETE, &place).header("If-Match", tag),
        412,
        "changed-meanwhile",
    )
    .await;
    assert_eq!(
        status_of(host.admin(Method::DELETE, &place)).await,
        StatusCode::NO_CONTENT
    );
    refused(host.admin(Method::GET, &place), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_in_use_leads_elsewhere_only_when_it_is_forced() {
    let host = Host::start().await;
    host.add_vim().await;
    let shop = "/v1/network-services/shop";
    json_of(host.admin(Method::PUT, shop).json(&service()), 201).await;
    let deploy = host.admin(Method::POST, &format!("{shop}/deploy"));
    json_of(deploy.header("Idempotency-Key", "first"), 202).await;
    host.settled("shop", "first").await;

    let place = format!("/v1/vims/{VIM}");
    let edit = |change: Value| host.admin(Method::PATCH, &place).json(&change);
    let elsewhere = json!({"url": "http://other.example:5000/v3", "tenant": "other"});
    let detail = refused(edit(elsewhere.clone()), 409, "conflict").await["detail"].take();
    let detail = detail.as_str().unwrap();
    for part in [
        "(url, tenant)",
        "elements of services",
        "terminate what is on it",
        "'force'",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
    let shown = json_of(host.admin(Method::GET, &place), 200).await;
    assert_eq!(shown["url"], "http://vim.example:5000/v3");
    let how = json!({"user": "other", "credentials": {"password": "canary"}, "config": {"interface": "internal"}});
    json_of(edit(how), 200).await;
    let mut forced = elsewhere;
    forced["force"] = json!(true);
    let moved = json_of(edit(forced), 200).await;
    assert_eq!(
        (&moved["url"], &moved["tenant"]),
        (&json!("http://other.example:5000/v3"), &json!("other"))
    );
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
        refused(host.admin(Method::POST, path).json(&account(path)), 409, "conflict").await;
        let place = format!("{path}/same");
        let grants = json!({"grants": {"origins": ["http://api.example:80"]}});
        assert_eq!(status_of(host.admin(Method::PATCH, &place).json(&grants)).await, 200);
        let checked = host.admin(Method::POST, &format!("{place}/check")).json(&json!({}));
        assert_eq!(status_of(checked).await, 200);
        let shown = json_of(host.admin(Method::GET, &place), 200).await;
        assert_eq!(
            (&shown["grants"]["origins"], &shown["state"]),
            (&json!(["http://api.example:80"]), &json!("ENABLED"))
        );
    }
    for path in ["/v1/wims", "/v1/sdns"] {
        let listed = json_of(host.admin(Method::GET, &format!("{path}?limit=1")), 200).await;
        let names: Vec<&Value> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| &entry["name"])
            .collect();
        assert_eq!(names, [path], "its kind only: {listed}");
        assert_eq!(
            status_of(host.admin(Method::DELETE, &format!("{path}/same"))).await,
            204
        );
    }
    refused(host.admin(Method::GET, "/v1/wims/same"), 404, "not-found").await;
    assert_eq!(status_of(host.admin(Method::GET, "/v1/vims/same")).await, 200);
}
