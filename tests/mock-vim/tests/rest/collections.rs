//! Create, look up, list and delete.

use std::collections::BTreeSet;

use mock_vim::Faults;
use serde_json::{Value, json};

use super::{id, refused, start};

#[tokio::test]
async fn presets_are_there_and_stay() {
    let (server, client) = start(Faults::default()).await;
    let names: Vec<Value> = client
        .list("/v1/images")
        .await
        .iter()
        .map(|image| image["name"].clone())
        .collect();
    assert_eq!(names, ["ubuntu18.04", "ubuntu20.04", "cirros034"]);
    let image = &client.list("/v1/images?name=cirros034").await[0];
    assert!(image["size"].as_u64().unwrap() > 0);
    let checksum = image["checksum"].as_str().unwrap();
    assert_eq!(
        client.list(&format!("/v1/images?checksum={checksum}")).await,
        std::slice::from_ref(image)
    );
    assert!(client.list("/v1/images?checksum=0").await.is_empty());
    for name in ["mgmt", "osm-ext"] {
        let network = &client.list(&format!("/v1/networks?name={name}")).await[0];
        assert_eq!(
            (&network["shared"], &network["status"]),
            (&json!(true), &json!("ACTIVE"))
        );
        refused(
            client.delete(&format!("/v1/networks/{}", id(network))).await,
            409,
            "conflict",
        );
    }
    assert_eq!(server.inventory().created(), 0);
}

#[tokio::test]
async fn every_kind_can_be_created_shown_listed_and_deleted() {
    let (server, client) = start(Faults::default()).await;
    let network = client
        .create(
            "networks",
            json!({"name": "n", "type": "data", "provider": {"physical": "p"}}),
        )
        .await;
    let bodies = [
        (
            "networks",
            json!({"name": "x", "shared": true, "ip_profile": {"cidr": "192.0.2.0/24"}}),
        ),
        ("images", json!({"name": "x", "checksum": "c", "size": 5})),
        (
            "flavours",
            json!({"name": "x", "vcpus": 2, "ram": 1, "swap": 3, "extended": {"numas": [{"id": 0}]}}),
        ),
        ("groups", json!({"name": "x", "type": "affinity"})),
        ("volumes", json!({"name": "x", "size": 1})),
        (
            "ports",
            json!({"name": "x", "network": id(&network), "type": "VF", "mac": "AA:bb:cc:dd:ee:ff"}),
        ),
        ("servers", client.server_body("x").await),
        (
            "connectivity-services",
            json!({"name": "x", "type": "ELINE", "endpoints": [{"site": 1}, {"site": 2}]}),
        ),
    ];
    for (kind, mut body) in bodies {
        body["token"] = json!(format!("token-{kind}"));
        body["metadata"] = json!({"any": ["thing"]});
        let created = client.create(kind, body.clone()).await;
        let path = format!("/v1/{kind}/{}", id(&created));
        for (field, value) in body.as_object().unwrap() {
            if field != "mac" {
                assert_eq!(&created[field], value, "{kind} {field}");
            }
        }
        let (_, shown) = client.get(&path).await;
        assert_eq!(
            (&shown["id"], &shown["created_at"]),
            (&created["id"], &created["created_at"])
        );
        for filter in [
            "name=x".to_owned(),
            format!("id={}", id(&created)),
            format!("token=token-{kind}"),
        ] {
            assert_eq!(
                client.list(&format!("/v1/{kind}?{filter}")).await,
                std::slice::from_ref(&shown),
                "{kind} {filter}"
            );
        }
        assert_eq!(client.delete(&path).await.0, 204);
        refused(client.get(&path).await, 404, "not-found");
        refused(client.delete(&path).await, 404, "not-found");
        assert!(client.list(&format!("/v1/{kind}?name=x")).await.is_empty());
    }
    let left = server.inventory();
    assert_eq!((left.networks.len(), left.flavours.len(), left.created()), (3, 1, 2));
}

#[tokio::test]
async fn the_same_token_twice_makes_two_elements_and_both_are_found() {
    let (_server, client) = start(Faults::default()).await;
    let body = json!({"name": "n", "token": "vimhost:7:net"});
    let first = client.create("networks", body.clone()).await;
    let second = client.create("networks", body).await;
    client
        .create("networks", json!({"name": "n", "token": "vimhost:70"}))
        .await;
    client.create("networks", json!({"name": "n"})).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!(
        client.list("/v1/networks?token=vimhost:7:net").await,
        [first.clone(), second.clone()]
    );
    assert_eq!(
        client.list("/v1/networks?token_prefix=vimhost:7:").await,
        [first.clone(), second]
    );
    assert_eq!(client.list("/v1/networks?token_prefix=vimhost:").await.len(), 3);
    let none = format!("/v1/networks?token=other&id={}", id(&first));
    assert!(client.list(&none).await.is_empty(), "different filters must all hold");
}

#[tokio::test]
async fn pages_hold_every_element_once_even_when_the_last_one_seen_is_deleted() {
    let (_server, client) = start(Faults::default()).await;
    for n in 0..25 {
        client
            .create(
                "groups",
                json!({"name": format!("g{n}"), "type": "affinity", "token": "t"}),
            )
            .await;
    }
    for filter in ["", "&token=t", "&token_prefix=t"] {
        let (mut names, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let (_, page) = client.get(&format!("/v1/groups?limit=10{filter}{after}")).await;
            names.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["name"].clone()),
            );
            pages += 1;
            match page["next"].as_u64() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!((names.len(), pages), (25, 3), "{filter}");
        assert_eq!(names, (0..25).map(|n| json!(format!("g{n}"))).collect::<Vec<_>>());
    }
    let (_, page) = client.get("/v1/groups?limit=10").await;
    client.delete(&format!("/v1/groups/{}", id(&page["items"][9]))).await;
    let (_, next) = client.get(&format!("/v1/groups?limit=10&after={}", page["next"])).await;
    assert_eq!(next["items"][0]["name"], "g10");
    let (_, exact) = client.get("/v1/groups?limit=24").await;
    assert!(exact["next"].is_null(), "a full last page says that it is the last");
    for query in ["limit=0", "limit=1001", "limit=x", "after=x", "colour=red"] {
        refused(client.get(&format!("/v1/groups?{query}")).await, 400, "bad-request");
    }
}

#[tokio::test]
async fn several_ids_are_found_in_one_request() {
    let (_server, client) = start(Faults::default()).await;
    let mut ids = BTreeSet::new();
    for _ in 0..5 {
        ids.insert(id(&client.create("groups", json!({"type": "affinity"})).await));
    }
    let query: Vec<String> = ids.iter().take(3).map(|id| format!("id={id}")).collect();
    let found = client.list(&format!("/v1/groups?{}&id=missing", query.join("&"))).await;
    assert_eq!(
        found.iter().map(id).collect::<BTreeSet<_>>(),
        ids.into_iter().take(3).collect()
    );
}

#[tokio::test]
async fn a_network_with_ports_cannot_be_deleted() {
    let (_server, client) = start(Faults::default()).await;
    let network = id(&client.create("networks", json!({"name": "n"})).await);
    let port = client.create("ports", json!({"network": network})).await;
    assert!(port["ip"].as_str().unwrap().starts_with("10.0.0."));
    assert!(port["mac"].as_str().unwrap().starts_with("fa:16:3e:"));
    refused(client.delete(&format!("/v1/networks/{network}")).await, 409, "conflict");
    client.delete(&format!("/v1/ports/{}", id(&port))).await;
    assert_eq!(client.delete(&format!("/v1/networks/{network}")).await.0, 204);
}

#[tokio::test]
async fn addresses_are_unique_in_a_network_and_must_be_in_its_subnet() {
    let (_server, client) = start(Faults::default()).await;
    let profile = json!({"subnet-address": "192.0.2.0/24"});
    let network = id(&client
        .create("networks", json!({"name": "n", "ip_profile": profile}))
        .await);
    let other = id(&client
        .create("networks", json!({"name": "o", "ip_profile": profile}))
        .await);
    let body = json!({"network": network, "ip": "192.0.2.9", "mac": "02:00:00:00:00:01"});
    client.create("ports", body.clone()).await;
    refused(
        client
            .post("/v1/ports", json!({"network": network, "ip": "192.0.2.9"}))
            .await,
        409,
        "conflict",
    );
    refused(
        client
            .post("/v1/ports", json!({"network": network, "mac": "02:00:00:00:00:01"}))
            .await,
        409,
        "conflict",
    );
    refused(
        client
            .post("/v1/ports", json!({"network": network, "ip": "192.0.3.9"}))
            .await,
        400,
        "bad-request",
    );
    refused(
        client
            .post("/v1/ports", json!({"network": network, "ip": "nine"}))
            .await,
        400,
        "bad-request",
    );
    refused(
        client.post("/v1/ports", json!({"network": "missing"})).await,
        400,
        "bad-request",
    );
    client
        .create("ports", json!({"network": other, "ip": "192.0.2.9"}))
        .await;
    assert_eq!(client.list(&format!("/v1/ports?network={network}")).await.len(), 1);
}

#[tokio::test]
async fn bodies_with_unknown_or_missing_fields_are_refused() {
    let (_server, client) = start(Faults::default()).await;
    refused(
        client.post("/v1/networks", json!({"name": "n", "nam": "m"})).await,
        400,
        "bad-request",
    );
    refused(
        client.post("/v1/flavours", json!({"name": "n"})).await,
        400,
        "bad-request",
    );
    refused(
        client
            .post("/v1/flavours", json!({"name": "n", "vcpus": 0, "ram": 1}))
            .await,
        400,
        "bad-request",
    );
    refused(client.post("/v1/volumes", json!({"size": 0})).await, 400, "bad-request");
    refused(
        client.post("/v1/networks", json!({"ip_profile": {"cidr": "x"}})).await,
        400,
        "bad-request",
    );
    refused(
        client
            .post("/v1/networks", json!({"provider": {"segmentation_id": 70000}}))
            .await,
        400,
        "bad-request",
    );
}

#[tokio::test]
async fn a_connectivity_service_can_be_edited() {
    let (_server, client) = start(Faults::default()).await;
    let body = json!({"name": "s", "type": "ELINE", "endpoints": [1, 2]});
    let service = client.create("connectivity-services", body).await;
    let path = format!("/v1/connectivity-services/{}", id(&service));
    let (status, edited) = client.put(&path, json!({"name": "t", "endpoints": [1, 2, 3]})).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&edited["endpoints"], &edited["type"]),
        (&json!([1, 2, 3]), &json!("ELINE"))
    );
    assert_eq!(client.list("/v1/connectivity-services?name=t").await, [edited]);
    assert!(client.list("/v1/connectivity-services?name=s").await.is_empty());
    refused(
        client.put("/v1/connectivity-services/missing", json!({})).await,
        404,
        "not-found",
    );
}

#[tokio::test]
async fn quotas_count_what_was_created_and_not_the_presets() {
    let (server, client) = start(Faults::default()).await;
    client
        .put("/admin/faults", json!({"quota": {"networks": 2, "ports": 0}}))
        .await;
    let first = client.create("networks", json!({})).await;
    client.create("networks", json!({})).await;
    refused(client.post("/v1/networks", json!({})).await, 403, "quota");
    refused(
        client.post("/v1/ports", json!({"network": id(&first)})).await,
        403,
        "quota",
    );
    client.delete(&format!("/v1/networks/{}", id(&first))).await;
    client.create("networks", json!({})).await;
    assert_eq!(server.inventory().networks.len(), 4);
}
