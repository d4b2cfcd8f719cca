//! Version 1 of the interface: subscriptions, with the shapes and the notifications of that version.

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::wait_until;

use super::listener::{Listener, states, subscribe};
use super::{LIMIT, World, at, ends, forceful, texts};

const PATH: &str = "/vnflcm/v1/subscriptions";

/// A request as a client of version 1 makes it.
async fn ask(world: &World, method: &str, path: &str, body: Option<&Value>) -> (u16, Option<String>, Value) {
    let method: reqwest::Method = method.parse().unwrap();
    let mut request = world.host.http.request(method, format!("{}{path}", world.client.base));
    request = request.header("Version", "1.3.0").header("Accept", "application/json");
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let location = answer.headers().get("location");
    let location = location.map(|location| location.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    (status, location, serde_json::from_str(&text).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_of_version_1_has_its_shapes_and_is_seen_by_that_version_only() {
    let world = World::new(Faults::default()).await;
    let listener = Listener::start().await;
    let filter = json!({"vnfInstanceSubscriptionFilter": {"vnfdIds": [world.package.vnfd_id]}});
    let body = json!({"callbackUri": format!("{}/v1", listener.url), "filter": filter});
    let (status, location, made) = ask(&world, "POST", PATH, Some(&body)).await;
    assert_eq!(status, 201, "{made:#}");
    let id = made["id"].as_str().unwrap();
    assert!(location.unwrap().ends_with(&format!("{PATH}/{id}")));
    assert!(
        at(&made, "/_links/self/href")
            .as_str()
            .unwrap()
            .ends_with(&format!("{PATH}/{id}"))
    );
    assert_eq!(made["filter"], filter);
    assert!(made.get("verbosity").is_none(), "{made:#}");
    assert_eq!(
        listener.header("/v1", "version").first().map(String::as_str),
        Some("1.3.0"),
        "of the test of the callback"
    );

    let of_v2 = subscribe(&world, &format!("{}/v2", listener.url), filter.clone()).await;
    let (status, _, listed) = ask(&world, "GET", PATH, None).await;
    assert_eq!((status, texts(&listed, "id")), (200, vec![id]));
    let (status, _, shown) = ask(&world, "GET", &format!("{PATH}/{id}"), None).await;
    assert_eq!((status, &shown), (200, &made));
    let v2 = "/vnflcm/v2/subscriptions";
    let get = reqwest::Method::GET;
    let listed = world.client.expect(200, get.clone(), v2, None).await.unwrap();
    assert_eq!(texts(&listed.json, "id"), [&of_v2]);
    let other = format!("{v2}/{id}");
    world.client.expect(404, get, &other, None).await.unwrap();
    for method in ["GET", "DELETE"] {
        let (status, ..) = ask(&world, method, &format!("{PATH}/{of_v2}"), None).await;
        assert_eq!(status, 404, "{method}");
    }

    let wrong = json!({"callbackUri": format!("{}/v1", listener.url), "filter": {"operationStates": ["LOST"]}});
    let (status, _, refused) = ask(&world, "POST", PATH, Some(&wrong)).await;
    assert_eq!((status, &refused["status"]), (400, &json!(400)), "{refused:#}");
    let (status, ..) = ask(&world, "DELETE", &format!("{PATH}/{id}"), None).await;
    assert_eq!(status, 204);
    let (status, ..) = ask(&world, "GET", &format!("{PATH}/{id}"), None).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_version_1_are_told_of_their_vnfds_in_the_words_of_that_version() {
    let world = World::new(Faults::default()).await;
    let listener = Listener::start().await;
    let of = |vnfd: &str| json!({"vnfInstanceSubscriptionFilter": {"vnfdIds": [vnfd]}});
    for (name, filter) in [("mine", of(&world.package.vnfd_id)), ("others", of("another"))] {
        let body = json!({"callbackUri": format!("{}/{name}", listener.url), "filter": filter});
        let (status, _, made) = ask(&world, "POST", PATH, Some(&body)).await;
        assert_eq!(status, 201, "{made:#}");
    }
    let id = world.instantiated("of-version-1").await;
    world.client.complete(&id, "terminate", &forceful()).await.unwrap();
    let path = format!("/vnflcm/v2/vnf_instances/{id}");
    world
        .client
        .expect(204, reqwest::Method::DELETE, &path, None)
        .await
        .unwrap();
    wait_until("the notifications", LIMIT, async || {
        Ok(listener.told("/mine").len() == 8)
    })
    .await
    .unwrap();
    let told = listener.told("/mine");
    let operation = ["STARTING", "PROCESSING", "COMPLETED"];
    let expected = [&["-"][..], &operation, &operation, &["-"]].concat();
    assert_eq!(states(&told), expected);
    assert_eq!(told[0]["notificationType"], "VnfIdentifierCreationNotification");
    assert_eq!(told[7]["notificationType"], "VnfIdentifierDeletionNotification");
    for notification in &told {
        assert_eq!(notification["vnfInstanceId"], *id);
        for (link, href) in at(notification, "/_links").as_object().unwrap() {
            let href = href["href"].as_str().unwrap();
            assert!(href.contains("/vnflcm/v1/"), "{link}: {href}");
        }
        for key in ["verbosity", "affectedExtLinkPorts"] {
            assert!(notification.get(key).is_none(), "{key}: {notification:#}");
        }
    }
    assert!(!told[3]["affectedVnfcs"].as_array().unwrap().is_empty());
    let versions = listener.header("/mine", "version");
    assert_eq!(versions.into_iter().collect::<Vec<_>>(), ["1.3.0"]);
    assert_eq!(listener.told("/others"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_a_map_of_version_2_is_an_array_for_subscribers_of_version_1() {
    let world = World::new(Faults::default()).await;
    let listener = Listener::start().await;
    let body = json!({"callbackUri": format!("{}/v1", listener.url)});
    let (status, _, made) = ask(&world, "POST", PATH, Some(&body)).await;
    assert_eq!(status, 201, "{made:#}");
    subscribe(&world, &format!("{}/v2", listener.url), json!({})).await;
    let id = world.instantiated("in-arrays").await;
    let configuration = json!({"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET"}]});
    let moved = json!({"extVirtualLinks": [{"id": "external-2", "resourceId": "net-external-3",
        "extCps": [{"cpdId": "VDU2_CP1", "cpConfig": {"VDU2_CP1": configuration}}]}]});
    world.client.complete(&id, "change_ext_conn", &moved).await.unwrap();
    let patch = json!({"vimConnectionInfo": {"vim1": {"extra": {"rack": "7"}}}});
    let path = format!("/vnflcm/v2/vnf_instances/{id}");
    let patch = Some(&patch);
    let changed = world.client.expect(202, reqwest::Method::PATCH, &path, patch).await;
    let op_occ = changed.unwrap().location.unwrap();
    ends(&world, op_occ.rsplit('/').next().unwrap(), "COMPLETED").await;
    // The creation, three states of each operation on the stack, two of the change.
    let told = |path: &str| listener.told(path);
    wait_until("the notifications", LIMIT, async || {
        Ok(told("/v1").len() == 9 && told("/v2").len() == 9)
    })
    .await
    .unwrap();

    for (path, configurations, connections) in [
        (
            "/v1",
            json!([configuration]),
            json!([{"id": "vim1", "extra": {"rack": "7"}}]),
        ),
        (
            "/v2",
            json!({"VDU2_CP1": configuration}),
            json!({"vim1": {"extra": {"rack": "7"}}}),
        ),
    ] {
        let told = told(path);
        assert_eq!(
            states(&told)[4..],
            ["STARTING", "PROCESSING", "COMPLETED", "PROCESSING", "COMPLETED"]
        );
        let links = at(&told[6], "/changedExtConnectivity").as_array().unwrap();
        let link = links.iter().find(|link| link["id"] == "external-2").unwrap();
        assert_eq!(at(link, "/resourceHandle/resourceId"), "net-external-3", "{path}");
        let cp = at(link, "/currentVnfExtCpData/0");
        assert_eq!(
            (&cp["cpdId"], &cp["cpConfig"]),
            (&json!("VDU2_CP1"), &configurations),
            "{path}"
        );
        assert_eq!(at(&told[8], "/changedInfo/vimConnectionInfo"), &connections, "{path}");
    }
}
