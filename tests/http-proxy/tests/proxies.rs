//! Proxies before a real server, with a real client.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Method, StatusCode};
use http_proxy::{Effect, Fault, Proxies, Service};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Vim {
    url: String,
    made: Arc<AtomicUsize>,
}

async fn vim() -> Vim {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let made = Arc::new(AtomicUsize::new(0));
    let (told, moved) = (url.clone(), url.clone());
    let router = Router::new()
        .route(
            "/v3/catalogue",
            get(move || async move { Json(json!({"compute": format!("{told}/compute")})) }),
        )
        .route(
            "/compute/servers",
            post(|State(made): State<Arc<AtomicUsize>>| async move {
                made.fetch_add(1, Ordering::SeqCst);
                StatusCode::ACCEPTED
            }),
        )
        .route(
            "/compute/servers/{id}",
            get(|Path(id): Path<String>| async move { Json(json!({"id": id})) }),
        )
        .route(
            "/compute/old",
            get(move || async move { (StatusCode::FOUND, [(LOCATION, format!("{moved}/compute/new"))]) }),
        )
        .with_state(Arc::clone(&made));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Vim { url, made }
}

async fn proxies(vim: &Vim) -> Proxies {
    let services = [
        Service::new("identity", format!("{}/v3", vim.url)),
        Service::new("compute", format!("{}/compute", vim.url)),
    ];
    Proxies::before(&services).await.unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_client_of_the_catalogue_goes_through_the_proxies_and_is_counted() {
    let vim = vim().await;
    let (proxies, http) = (proxies(&vim).await, client());
    let identity = proxies.translate(&format!("{}/v3", vim.url));
    assert!(!identity.starts_with(&vim.url), "{identity}");
    let catalogue: Value = http
        .get(format!("{identity}/catalogue"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let compute = catalogue["compute"].as_str().unwrap();
    assert_eq!(compute, proxies.translate(&format!("{}/compute", vim.url)));
    for id in [
        "6f70656e-7374-6163-6b20-746573747321",
        "6f70656e-7374-6163-6b20-746573747322",
    ] {
        let server: Value = http
            .get(format!("{compute}/servers/{id}?a=b"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(server["id"], id);
    }
    let moved = http.get(format!("{compute}/old")).send().await.unwrap();
    assert_eq!(
        (moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()),
        (302, format!("{compute}/new").as_str())
    );
    let counts: Vec<_> = proxies.take_counts().into_iter().collect();
    assert_eq!(
        counts,
        [
            ("GET compute /old".to_owned(), 1),
            ("GET compute /servers/{id}".to_owned(), 2),
            ("GET identity /catalogue".to_owned(), 1)
        ]
    );
    assert!(proxies.counts().is_empty());
}

#[tokio::test]
async fn what_goes_wrong_does_so_as_asked() {
    let vim = vim().await;
    let (proxies, http) = (proxies(&vim).await, client());
    let compute = proxies.translate(&format!("{}/compute", vim.url));
    let create = async || http.post(format!("{compute}/servers")).send().await;
    let on_create = |effect| {
        Fault::new(effect)
            .service("compute")
            .request(Method::POST, "/servers")
            .times(1)
    };
    let made = || vim.made.load(Ordering::SeqCst);

    proxies.inject(on_create(Effect::LoseAnswer));
    assert!(create().await.is_err(), "the answer is lost");
    assert_eq!(made(), 1, "and the work is done");

    proxies.inject(on_create(Effect::Cut));
    assert!(create().await.is_err());
    assert_eq!(made(), 1, "cut before the VIM saw it");

    let refusal = Effect::Refuse {
        status: StatusCode::TOO_MANY_REQUESTS,
        retry_after: Some(7),
    };
    proxies.inject(on_create(refusal));
    let refused = create().await.unwrap();
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    assert_eq!(made(), 1);

    let pause = Duration::from_millis(200);
    proxies.inject(on_create(Effect::Delay(pause)));
    let begun = Instant::now();
    assert_eq!(create().await.unwrap().status(), 202);
    assert!(begun.elapsed() >= pause);

    proxies.cut("compute");
    assert!(create().await.is_err());
    proxies.mend();
    assert_eq!(create().await.unwrap().status(), 202);
    assert_eq!(made(), 3);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_its_whole_body_before_it_reads() {
    let vim = vim().await;
    let proxies = proxies(&vim).await;
    proxies.inject(Fault::new(Effect::Refuse {
        status: StatusCode::TOO_MANY_REQUESTS,
        retry_after: None,
    }));
    let url = proxies.translate(&vim.url);
    let address = url.strip_prefix("http://").unwrap();
    // More than the sockets hold of what nobody reads.
    let body = vec![b' '; 16 << 20];
    let head = format!(
        "POST /compute/servers HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert_eq!(vim.made.load(Ordering::SeqCst), 0);
}
