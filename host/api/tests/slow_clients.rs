//! The listener against clients that are slow or many.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use std::time::{Duration, Instant};

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use vimhost_api::{ServeOptions, serve};

async fn listen(options: ServeOptions) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let router = Router::new()
        .route("/", axum::routing::get(|| async { "ok" }))
        .route("/slow", axum::routing::get(std::future::pending::<&'static str>));
    let served = tokio::spawn(serve(listener, router, options, shutdown.clone()));
    (address, shutdown, served)
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_the_connection() {
    let options = ServeOptions {
        header_time: Duration::from_millis(200),
        ..ServeOptions::default()
    };
    let (address, ..) = listen(options).await;
    let started = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow:").await.unwrap();
    rest(&mut stream).await;
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let (address, ..) = listen(ServeOptions::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream
        .write_all(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).as_bytes())
        .await;
    assert!(!rest(&mut stream).await.contains("200 OK"));
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_and_are_served_then() {
    let (address, ..) = listen(ServeOptions {
        connections: 1,
        ..ServeOptions::default()
    })
    .await;
    let first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(200), second.read(&mut byte)).await;
    assert!(early.is_err(), "it waits");
    drop(first);
    assert!(rest(&mut second).await.ends_with("ok"));
}

#[tokio::test]
async fn shutdown_waits_for_answers_only_so_long() {
    let (address, shutdown, served) = listen(ServeOptions {
        patience: Duration::from_millis(200),
        ..ServeOptions::default()
    })
    .await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    let started = Instant::now();
    shutdown.cancel();
    served.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    rest(&mut busy).await;
    rest(&mut idle).await;
    assert!(TcpStream::connect(address).await.is_err());
}
