//! Servers, with their ports and volumes.

use mock_vim::Faults;
use serde_json::{Value, json};

use super::{Client, id, refused, start};

async fn action(client: &Client, server: &str, action: Value) -> (reqwest::StatusCode, Value) {
    client.post(&format!("/v1/servers/{server}/action"), action).await
}

#[tokio::test]
async fn a_server_is_built_and_its_interfaces_show_where_they_are() {
    let (_server, client) = start(Faults {
        build_delay_ms: 30,
        ..Faults::default()
    })
    .await;
    let network = client.create("networks", json!({"name": "n", "type": "data"})).await;
    let plain = id(&client.create("ports", json!({"network": id(&network)})).await);
    let sriov = id(&client
        .create("ports", json!({"network": id(&network), "type": "SR-IOV"}))
        .await);
    let mut body = client.server_body("s").await;
    body["ports"] = json!([plain, sriov]);
    body["user_data"] = json!("I2Nsb3VkLWNvbmZpZw==");
    let created = client.create("servers", body).await;
    assert_eq!(
        (&created["status"], &created["ports"]),
        (&json!("BUILD"), &json!([plain, sriov]))
    );
    let server = client.until(&format!("/v1/servers/{}", id(&created)), "ACTIVE").await;
    assert!(["compute1", "compute2"].contains(&server["host"].as_str().unwrap()));
    let ports = client.list(&format!("/v1/ports?server={}", id(&server))).await;
    assert_eq!(ports.len(), 2);
    for port in &ports {
        assert_eq!(
            (&port["host"], &port["vlan"], &port["status"]),
            (&server["host"], &network["vlan"], &json!("ACTIVE"))
        );
    }
    assert_eq!(
        (&ports[0]["pci"], &ports[1]["pci"]),
        (&Value::Null, &json!("0000:af:10.1"))
    );
}

#[tokio::test]
async fn deleting_a_server_detaches_what_it_had_and_deletes_nothing_else() {
    let (server, client) = start(Faults::default()).await;
    let network = client.create("networks", json!({"name": "n"})).await;
    let port = id(&client.create("ports", json!({"network": id(&network)})).await);
    let volume = id(&client.create("volumes", json!({"size": 1})).await);
    client.until(&format!("/v1/volumes/{volume}"), "available").await;
    let mut body = client.server_body("s").await;
    body["ports"] = json!([port]);
    body["volumes"] = json!([volume]);
    let first = id(&client.create("servers", body.clone()).await);

    let used = client.until(&format!("/v1/volumes/{volume}"), "in-use").await;
    assert_eq!(used["server"], json!(first));
    refused(client.delete(&format!("/v1/volumes/{volume}")).await, 409, "conflict");
    let mut same_port = body.clone();
    same_port["volumes"] = json!([]);
    refused(client.post("/v1/servers", same_port).await, 409, "conflict");
    body["ports"] = json!([]);
    refused(client.post("/v1/servers", body).await, 409, "conflict");

    assert_eq!(client.delete(&format!("/v1/servers/{first}")).await.0, 204);
    let free = client.until(&format!("/v1/volumes/{volume}"), "available").await;
    assert!(free["server"].is_null());
    let (_, port_now) = client.get(&format!("/v1/ports/{port}")).await;
    assert_eq!((&port_now["server"], &port_now["host"]), (&Value::Null, &Value::Null));
    let left = server.inventory();
    assert_eq!((left.servers.len(), left.ports.len(), left.volumes.len()), (0, 1, 1));
}

#[tokio::test]
async fn a_port_deleted_under_a_server_leaves_it() {
    let (_server, client) = start(Faults::default()).await;
    let network = client.create("networks", json!({})).await;
    let port = id(&client.create("ports", json!({"network": id(&network)})).await);
    let mut body = client.server_body("s").await;
    body["ports"] = json!([port]);
    let server = id(&client.create("servers", body).await);
    assert_eq!(client.delete(&format!("/v1/ports/{port}")).await.0, 204);
    assert_eq!(client.get(&format!("/v1/servers/{server}")).await.1["ports"], json!([]));
}

#[tokio::test]
async fn a_volume_must_be_available_before_it_is_attached() {
    let (_server, client) = start(Faults {
        volume_delay_ms: 60_000,
        ..Faults::default()
    })
    .await;
    let volume = client.create("volumes", json!({"size": 1})).await;
    assert_eq!(volume["status"], "creating");
    let mut body = client.server_body("s").await;
    body["volumes"] = json!([id(&volume)]);
    refused(client.post("/v1/servers", body).await, 409, "conflict");
    assert_eq!(client.delete(&format!("/v1/volumes/{}", id(&volume))).await.0, 204);
}

#[tokio::test]
async fn a_server_can_boot_from_a_volume_made_from_an_image() {
    let (_server, client) = start(Faults::default()).await;
    let mut body = client.server_body("s").await;
    let image = body["image"].take();
    refused(client.post("/v1/servers", body.clone()).await, 400, "bad-request");
    let volume = id(&client.create("volumes", json!({"size": 1, "image": image})).await);
    client.until(&format!("/v1/volumes/{volume}"), "available").await;
    body["volumes"] = json!([volume]);
    let server = client.create("servers", body).await;
    assert!(server["image"].is_null());
}

#[tokio::test]
async fn what_a_server_refers_to_must_exist() {
    let (server, client) = start(Faults::default()).await;
    let body = client.server_body("s").await;
    for (field, value) in [
        ("image", json!("missing")),
        ("flavour", json!("missing")),
        ("group", json!("missing")),
        ("ports", json!(["missing"])),
        ("volumes", json!(["missing"])),
        ("user_data", json!("x".repeat(65_536))),
    ] {
        let mut wrong = body.clone();
        wrong[field] = value;
        refused(client.post("/v1/servers", wrong).await, 400, "bad-request");
    }
    assert!(server.inventory().servers.is_empty());
}

#[tokio::test]
async fn actions_change_the_state_or_are_refused() {
    let (_server, client) = start(Faults::default()).await;
    let created = client.create("servers", client.server_body("s").await).await;
    let server = id(&created);
    let path = format!("/v1/servers/{server}");
    client.until(&path, "ACTIVE").await;
    for (name, status) in [
        ("stop", "SHUTOFF"),
        ("start", "ACTIVE"),
        ("pause", "PAUSED"),
        ("unpause", "ACTIVE"),
        ("suspend", "SUSPENDED"),
        ("resume", "ACTIVE"),
        ("reboot", "ACTIVE"),
        ("rebuild", "ACTIVE"),
    ] {
        assert_eq!(action(&client, &server, json!({"action": name})).await.0, 202, "{name}");
        client.until(&path, status).await;
    }
    refused(
        action(&client, &server, json!({"action": "start"})).await,
        409,
        "conflict",
    );
    refused(
        action(&client, &server, json!({"action": "dance"})).await,
        400,
        "bad-request",
    );
    refused(
        action(&client, &server, json!({"action": "stop", "host": "compute1"})).await,
        400,
        "bad-request",
    );
    refused(
        action(&client, "missing", json!({"action": "stop"})).await,
        404,
        "not-found",
    );

    refused(
        action(&client, &server, json!({"action": "migrate", "host": created["host"]})).await,
        400,
        "bad-request",
    );
    refused(
        action(&client, &server, json!({"action": "migrate", "host": "compute9"})).await,
        400,
        "bad-request",
    );
    assert_eq!(action(&client, &server, json!({"action": "migrate"})).await.0, 202);
    assert_ne!(client.until(&path, "ACTIVE").await["host"], created["host"]);

    let small = client
        .create("flavours", json!({"vcpus": 1, "ram": 1, "disk": 0}))
        .await;
    refused(
        action(&client, &server, json!({"action": "resize", "flavour": id(&small)})).await,
        400,
        "bad-request",
    );
    let large = client
        .create("flavours", json!({"vcpus": 8, "ram": 8192, "disk": 80}))
        .await;
    assert_eq!(
        action(&client, &server, json!({"action": "resize", "flavour": id(&large)}))
            .await
            .0,
        202
    );
    assert_eq!(client.until(&path, "ACTIVE").await["flavour"], large["id"]);

    let (status, console) = action(&client, &server, json!({"action": "console", "type": "spice-html5"})).await;
    assert_eq!((status.as_u16(), &console["protocol"]), (200, &json!("http")));
    assert!(
        console["url"]
            .as_str()
            .unwrap()
            .ends_with(console["suffix"].as_str().unwrap())
    );
    refused(
        action(&client, &server, json!({"action": "console", "type": "vnc"})).await,
        400,
        "bad-request",
    );
}
