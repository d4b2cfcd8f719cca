//! What goes wrong on request.

use std::time::{Duration, Instant};

use mock_vim::{AnswerLost, Config, Fail, Faults, InvalidFaults, Kind, Operation, Server};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Client, DEADLINE, id, refused, start};

#[tokio::test]
async fn a_lost_answer_leaves_the_element_and_no_answer() {
    let (server, client) = start(Faults::default()).await;
    let lost = AnswerLost {
        kind: Some(Kind::Networks),
        operation: Some(Operation::Create),
        nth: 2.try_into().ok(),
        ..AnswerLost::default()
    };
    server
        .set_faults(Faults {
            answer_lost: vec![lost],
            ..Faults::default()
        })
        .unwrap();
    let body = |token: &str| json!({"name": "n", "token": token});
    client.create("networks", body("first")).await;
    let connections = server.requests().connections;
    let error = client
        .send(Method::POST, "/v1/networks", Some(body("second")))
        .await
        .unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    let found = client.list("/v1/networks?token=second").await;
    assert_eq!(found.len(), 1, "the work was done, once");
    client.create("networks", body("third")).await;

    let requests = server.requests();
    assert_eq!(
        requests.connections,
        connections + 1,
        "the connection was closed, so the client made another"
    );
    assert_eq!(
        (
            requests.of("POST networks create lost"),
            requests.of("POST networks create 201")
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn a_lost_deletion_is_done_and_a_lost_session_is_one() {
    let (_server, client) = start(Faults::default()).await;
    let group = id(&client.create("groups", json!({"type": "affinity"})).await);
    client
        .put(
            "/admin/faults",
            json!({"answer_lost": [{"operation": "delete"}, {"operation": "session"}]}),
        )
        .await;
    assert!(
        client
            .send(Method::DELETE, &format!("/v1/groups/{group}"), None)
            .await
            .is_err()
    );
    let body = json!({"user": "mock", "password": "mock", "tenant": "mock"});
    assert!(client.send(Method::POST, "/v1/session", Some(body)).await.is_err());
    assert_eq!(client.delete("/admin/faults").await.0, 204);
    refused(client.get(&format!("/v1/groups/{group}")).await, 404, "not-found");
    assert_eq!(client.get("/admin/inventory").await.1["sessions"], 2);
}

#[tokio::test]
async fn a_scripted_failure_answers_without_working() {
    let (server, client) = start(Faults::default()).await;
    let script = json!({"fail": [
        {"kind": "networks", "operation": "create", "nth": 2, "status": 503, "message": "not today", "retry_after_s": 7},
        {"kind": "servers", "operation": "list", "every": 3, "status": 429},
    ]});
    let (status, kept) = client.put("/admin/faults", script).await;
    assert_eq!(
        (status.as_u16(), &kept["fail"][0]["message"]),
        (200, &json!("not today"))
    );
    client.create("networks", json!({"name": "a"})).await;
    let request = client
        .http
        .post(format!("{}/v1/networks", client.url))
        .header("X-Auth-Token", &client.token);
    let answer = request.json(&json!({"name": "b"})).send().await.unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["retry-after"].to_str().unwrap()
        ),
        (503, "7")
    );
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(body["error"], json!({"kind": "internal", "message": "not today"}));
    client.create("networks", json!({"name": "c"})).await;
    assert!(client.list("/v1/networks?name=b").await.is_empty());

    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(client.get("/v1/servers").await.0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429]);
    let requests = server.requests();
    assert_eq!(
        (
            requests.of("POST networks create 503"),
            requests.of("GET servers list 429")
        ),
        (1, 2)
    );
    assert_eq!(requests.total, requests.requests.values().sum::<u64>());
    assert_eq!(
        client.get("/admin/requests").await.1["requests"]["GET servers list 200"],
        4
    );
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_its_whole_body_before_it_reads() {
    let (server, client) = start(Faults::default()).await;
    let fail = Fail {
        operation: Some(Operation::Create),
        status: 503,
        ..Fail::default()
    };
    let scripted = Faults {
        fail: vec![fail],
        ..Faults::default()
    };
    // More than the sockets hold of what nobody reads.
    let body = vec![b' '; 16 << 20];
    for (faults, token, status) in [
        (scripted, client.token.as_str(), 503),
        (Faults::default(), "nonsense", 401),
        (Faults::default(), client.token.as_str(), 400),
    ] {
        server.set_faults(faults).unwrap();
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let head = format!(
            "POST /v1/networks HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nx-auth-token: {token}\r\ncontent-length: {}\r\n\r\n",
            server.address(),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn latency_holds_back_the_calls_it_names_and_no_other() {
    let (server, client) = start(Faults::default()).await;
    let lists_of_groups = |latency_ms: u64| json!({"kind": "groups", "operation": "list", "latency_ms": latency_ms});
    // An hour: none of these is answered while the test lasts, however slow the machine is.
    client
        .put("/admin/faults", json!({"latency": [lists_of_groups(3_600_000)]}))
        .await;
    let all: Vec<_> = (0..10)
        .map(|_| {
            let (http, url, token) = (client.http.clone(), client.url.clone(), client.token.clone());
            tokio::spawn(async move { Client { http, url, token }.list("/v1/groups").await })
        })
        .collect();
    // All ten wait together: waiting holds no lock.
    let begin = Instant::now();
    while server.requests().at_work < 10 {
        assert!(begin.elapsed() < DEADLINE, "{:?}", server.requests());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let networks = tokio::time::timeout(DEADLINE, client.list("/v1/networks")).await;
    assert_eq!(networks.expect("another kind does not wait").len(), 2);
    let requests = server.requests();
    assert_eq!((requests.at_work, requests.of("GET groups list 200")), (10, 0));
    assert!(requests.at_work_max >= 10);
    for one in all {
        one.abort();
    }

    client
        .put("/admin/faults", json!({"latency": [lists_of_groups(200)]}))
        .await;
    let named = Instant::now();
    client.list("/v1/groups").await;
    assert!(named.elapsed() >= Duration::from_millis(200));

    client
        .put("/admin/faults", json!({"latency_ms": 50, "jitter_ms": 20, "seed": 3}))
        .await;
    let every = Instant::now();
    client.list("/v1/networks").await;
    assert!(every.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn the_nth_server_ends_in_error_with_its_message() {
    let (_server, client) = start(Faults::default()).await;
    client
        .put(
            "/admin/faults",
            json!({"server_error": [{"nth": 2, "message": "out of luck"}]}),
        )
        .await;
    let body = client.server_body("s").await;
    let first = id(&client.create("servers", body.clone()).await);
    let second = id(&client.create("servers", body).await);
    client.until(&format!("/v1/servers/{first}"), "ACTIVE").await;
    let failed = client.until(&format!("/v1/servers/{second}"), "ERROR").await;
    assert_eq!(failed["fault"]["message"], "out of luck");
    assert_eq!(client.list("/v1/servers?status=ERROR").await.len(), 1);
}

#[tokio::test]
async fn scripts_that_cannot_be_followed_are_refused_and_the_present_one_stays() {
    let (_server, client) = start(Faults {
        latency_ms: 1,
        ..Faults::default()
    })
    .await;
    for script in [
        json!({"fail": [{"status": 200}]}),
        json!({"fail": [{"nth": 0}]}),
        json!({"latencyms": 3}),
        json!({"quota": {"session": 3}}),
        json!({"fail": [{"kind": "routers"}]}),
    ] {
        refused(client.put("/admin/faults", script).await, 400, "bad-request");
    }
    assert_eq!(client.get("/admin/faults").await.1["latency_ms"], 1);
    let wrong = Faults {
        fail: vec![Fail {
            status: 99,
            ..Fail::default()
        }],
        ..Faults::default()
    };
    let error = Server::start(Config {
        faults: wrong,
        ..Config::default()
    })
    .await
    .unwrap_err();
    assert!(matches!(error, mock_vim::Error::Faults(InvalidFaults::Status(99))));
}

#[tokio::test]
async fn a_reset_leaves_presets_the_initial_faults_and_no_counters() {
    let (server, client) = start(Faults {
        build_delay_ms: 9,
        ..Faults::default()
    })
    .await;
    client.create("networks", json!({"name": "n"})).await;
    client.put("/admin/faults", json!({"build_delay_ms": 1})).await;
    assert_eq!(client.post("/admin/reset", json!({})).await.0, 204);
    let left = server.inventory();
    assert_eq!(
        (left.created(), left.networks.len(), left.images.len(), left.sessions),
        (0, 2, 3, 0)
    );
    assert_eq!(client.get("/admin/faults").await.1["build_delay_ms"], 9);
    assert_eq!(server.requests().total, 0);
    refused(client.get("/v1/networks").await, 401, "auth");
    let (_, shown) = client.get("/admin/inventory").await;
    let read: mock_vim::Inventory = serde_json::from_value(shown).unwrap();
    assert_eq!(
        read,
        server.inventory(),
        "the inventory can be read by a test in another process"
    );
}

#[tokio::test]
async fn a_hurry_ends_every_wait() {
    let long = 3_600_000;
    let (server, client) = start(Faults {
        build_delay_ms: long,
        ..Faults::default()
    })
    .await;
    let body = client.server_body("slow").await;
    let made = client.create("servers", body).await;
    let place = format!("/v1/servers/{}", id(&made));
    assert_eq!(client.get(&place).await.1["status"], "BUILD");
    let waits = Faults {
        latency_ms: long,
        ..Faults::default()
    };
    server.set_faults(waits).unwrap();
    let hurry = async {
        while server.requests().at_work == 0 {
            tokio::task::yield_now().await;
        }
        server.hurry();
    };
    let shown = async { tokio::join!(client.get(&place), hurry).0 };
    let (_, shown) = tokio::time::timeout(DEADLINE, shown).await.unwrap();
    assert_eq!(shown["status"], "ACTIVE");
}
