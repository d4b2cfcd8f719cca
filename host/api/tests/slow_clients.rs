//! The listener against clients that are slow or many.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vimhost_api::{ServeOptions, serve};

type Listening = (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>);

async fn listen(options: ServeOptions) -> Listening {
    listen_with(options, Router::new()).await
}

/// With paths besides the usual ones.
async fn listen_with(options: ServeOptions, more: Router) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let router = more
        .route("/", axum::routing::get(|| async { "ok" }))
        .route("/refused", axum::routing::post(|| async { StatusCode::UNAUTHORIZED }))
        .route(
            "/read",
            axum::routing::post(|body: Bytes| async move { body.len().to_string() }),
        )
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
    assert!(started.elapsed() < ServeOptions::default().header_time);
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

/// The head of the answer that comes next.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// More than the buffers of a connection take: it can be sent only if the other side reads it.
const MUCH: usize = 64 << 20;

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_gets_the_refusal() {
    let (address, ..) = listen(ServeOptions {
        // As long as it takes to send that much on a machine that does other things besides.
        discard_time: Duration::from_secs(60),
        ..ServeOptions::default()
    })
    .await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: {MUCH}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; MUCH]).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    // The connection goes on where the body ended.
    let last = b"POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    stream.write_all(last).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n3"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_refused_body_without_end_is_cut_off() {
    let (address, ..) = listen(ServeOptions {
        discard_time: Duration::from_millis(200),
        ..ServeOptions::default()
    })
    .await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let endless = async { while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), endless).await.unwrap();
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_not_told_to_send_what_is_refused() {
    let (address, ..) = listen(ServeOptions::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "POST /refused HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_client_that_is_tired_of_waiting_to_be_told_gets_the_refusal() {
    let sent = Arc::new(Notify::new());
    let refused = {
        let sent = Arc::clone(&sent);
        axum::routing::post(|| async move {
            sent.notified().await;
            StatusCode::UNAUTHORIZED
        })
    };
    let options = ServeOptions {
        discard_time: Duration::from_secs(60),
        ..ServeOptions::default()
    };
    let (address, ..) = listen_with(options, Router::new().route("/refused-late", refused)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("POST /refused-late HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {MUCH}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // It sends it whether it is told to or not, as curl does after a second.
    stream.write_all(&vec![b'x'; MUCH]).await.unwrap();
    sent.notify_one();
    let mut answer = head(&mut stream).await;
    if answer.starts_with("HTTP/1.1 100 ") {
        answer = head(&mut stream).await;
    }
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn nobody_waits_for_a_refused_body_that_has_come() {
    let (address, ..) = listen(ServeOptions {
        discard_time: Duration::from_secs(600),
        ..ServeOptions::default()
    })
    .await;
    let tasks = tokio::runtime::Handle::current().metrics();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    head(&mut stream).await;
    stream.read_exact(&mut [0; 2]).await.unwrap();
    let before = tasks.num_alive_tasks();
    let request = format!("POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: {MUCH}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 401"));
    assert!(tasks.num_alive_tasks() > before, "the rest is waited for");
    stream.write_all(&vec![b'x'; MUCH]).await.unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while tasks.num_alive_tasks() > before {
        assert!(Instant::now() < until, "the rest has come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_closes_the_connection() {
    let (address, ..) = listen(ServeOptions {
        body_time: Duration::from_millis(200),
        ..ServeOptions::default()
    })
    .await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nslow";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(60), rest(&mut stream))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
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
