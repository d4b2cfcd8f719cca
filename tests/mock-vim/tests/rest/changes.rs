//! The feed of changes.

use std::collections::BTreeMap;
use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};

use super::{Client, DEADLINE, id, refused, start};

async fn changes(client: &Client, kind: &str, since: u64) -> Value {
    let (status, changes) = client.get(&format!("/v1/changes?kind={kind}&since={since}")).await;
    assert_eq!(status, 200, "{changes}");
    changes
}

fn seq(changes: &Value) -> u64 {
    changes["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn the_feed_tells_changes_by_request_and_by_time_and_deletions() {
    let (_server, client) = start(Faults {
        build_delay_ms: 40,
        ..Faults::default()
    })
    .await;
    let fresh = changes(&client, "servers", 0).await;
    assert_eq!((&fresh["changed"], &fresh["deleted"]), (&json!([]), &json!([])));
    let created = client.create("servers", client.server_body("s").await).await;

    let first = changes(&client, "servers", seq(&fresh)).await;
    assert_eq!(first["changed"][0]["id"], created["id"]);
    let mut since = seq(&first);
    let begin = std::time::Instant::now();
    let mut status = first["changed"][0]["status"].clone();
    while status != "ACTIVE" {
        let next = changes(&client, "servers", since).await;
        assert!(seq(&next) >= since);
        since = seq(&next);
        if let Some(server) = next["changed"].as_array().unwrap().first() {
            status = server["status"].clone();
        }
        assert!(begin.elapsed() < DEADLINE, "the server is not ACTIVE: {status}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let quiet = changes(&client, "servers", since).await;
    assert_eq!(quiet["changed"], json!([]), "what was told is not told again");

    client.delete(&format!("/v1/servers/{}", id(&created))).await;
    let gone = changes(&client, "servers", since).await;
    assert_eq!(
        (&gone["changed"], &gone["deleted"][0]["id"]),
        (&json!([]), &created["id"])
    );
    assert_eq!(changes(&client, "servers", seq(&gone)).await["deleted"], json!([]));
}

#[tokio::test]
async fn attaching_and_detaching_is_a_change_of_the_port_and_the_volume() {
    let (_server, client) = start(Faults::default()).await;
    let network = client.create("networks", json!({})).await;
    let port = client.create("ports", json!({"network": id(&network)})).await;
    let volume = id(&client.create("volumes", json!({"size": 1})).await);
    client.until(&format!("/v1/volumes/{volume}"), "available").await;
    let mut body = client.server_body("s").await;
    body["ports"] = json!([id(&port)]);
    body["volumes"] = json!([volume]);
    let before = seq(&changes(&client, "ports", 0).await);
    let server = client.create("servers", body).await;
    let attached = changes(&client, "ports", before).await;
    assert_eq!(attached["changed"][0]["server"], server["id"]);
    assert_eq!(
        changes(&client, "volumes", before).await["changed"][0]["status"],
        "in-use"
    );
    client.delete(&format!("/v1/servers/{}", id(&server))).await;
    assert_eq!(
        changes(&client, "ports", seq(&attached)).await["changed"][0]["server"],
        Value::Null
    );
    assert_eq!(
        changes(&client, "volumes", seq(&attached)).await["changed"][0]["status"],
        "available"
    );
}

#[tokio::test]
async fn a_feed_read_in_pieces_tells_the_same() {
    let (_server, client) = start(Faults::default()).await;
    let mut last = String::new();
    for n in 0..12 {
        last = id(&client
            .create("groups", json!({"name": format!("g{n}"), "type": "affinity"}))
            .await);
        if n % 3 == 0 {
            client.delete(&format!("/v1/groups/{last}")).await;
        }
    }
    let whole = changes(&client, "groups", 0).await;
    assert_eq!(
        (
            whole["changed"].as_array().unwrap().len(),
            whole["deleted"].as_array().unwrap().len()
        ),
        (8, 4)
    );
    assert_eq!(whole["more"], json!(false));
    let (mut since, mut seen, mut more) = (0, BTreeMap::new(), true);
    while more {
        let (_, piece) = client
            .get(&format!("/v1/changes?kind=groups&since={since}&limit=5"))
            .await;
        for element in piece["changed"].as_array().unwrap() {
            assert!(seen.insert(id(element), "changed").is_none());
        }
        for element in piece["deleted"].as_array().unwrap() {
            assert!(seen.insert(id(element), "deleted").is_none());
        }
        since = seq(&piece);
        more = piece["more"] == json!(true);
    }
    assert_eq!((seen.len(), seen[&last], since), (12, "changed", seq(&whole)));
}

#[tokio::test]
async fn every_server_of_many_is_seen_active_by_who_follows_the_feed() {
    let (server, client) = start(Faults {
        build_delay_ms: 5,
        ..Faults::default()
    })
    .await;
    let body = client.server_body("s").await;
    let creating = async {
        for _ in 0..100 {
            client.create("servers", body.clone()).await;
        }
    };
    let following = async {
        let (mut since, mut status) = (0, BTreeMap::new());
        let begin = std::time::Instant::now();
        while status.len() < 100 || status.values().any(|status| *status != "ACTIVE") {
            let next = changes(&client, "servers", since).await;
            since = seq(&next);
            for server in next["changed"].as_array().unwrap() {
                status.insert(id(server), server["status"].clone());
            }
            assert!(begin.elapsed() < DEADLINE);
        }
    };
    tokio::join!(creating, following);
    assert_eq!(server.inventory().servers.len(), 100);
}

#[tokio::test]
async fn cursors_of_another_life_are_refused() {
    let (_server, client) = start(Faults::default()).await;
    client.create("groups", json!({"type": "affinity"})).await;
    let old = seq(&changes(&client, "groups", 0).await);
    refused(
        client
            .get(&format!("/v1/changes?kind=groups&since={}", old + 1000))
            .await,
        410,
        "cursor-expired",
    );
    refused(client.get("/v1/changes?since=0").await, 400, "bad-request");
    refused(client.get("/v1/changes?kind=session").await, 400, "bad-request");

    assert_eq!(client.post("/admin/reset", json!({})).await.0, 204);
    let client = Client {
        token: Client::log_in(&_server).await.token,
        ..client
    };
    refused(
        client.get(&format!("/v1/changes?kind=groups&since={old}")).await,
        410,
        "cursor-expired",
    );
    assert!(
        seq(&changes(&client, "groups", 0).await) > old,
        "sequence numbers never start over"
    );
}
