//! A VIM that remembers what it was sent and can echo it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What stands in an answer at `/known`, and in no request.
pub const KNOWN: &str = "these words only the VIM has";

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    /// On which connection, by the order in which they came.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The server.
pub struct Vim {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Vim {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(vec![]));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let service = service_fn(|request| serve(request, connection, Arc::clone(&log)));
                    // A client that goes away is no failure of the test.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }
}

type Answer = Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible>;

async fn serve(request: Request<Incoming>, connection: usize, log: Arc<Mutex<Vec<Seen>>>) -> Answer {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: body.clone(),
        connection,
    };
    log.lock().unwrap().push(seen.clone());
    let whole = |text: String| Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    Ok(match head.uri.path() {
        "/v3/auth/tokens" => {
            let mut answer = whole("{}".into());
            let token = format!("gAAAA-token-{}", log.lock().unwrap().len());
            answer.headers_mut().insert("x-subject-token", token.parse().unwrap());
            answer
        }
        "/echo/auth/tokens" => whole(body),
        "/echo-header/auth/tokens" => headed("x-echo", &password_of(&body)),
        "/echo-coding/auth/tokens" => headed("content-encoding", &password_of(&body)),
        "/echo-name/auth/tokens" => headed(&password_of(&body), "yes"),
        "/pieces/auth/tokens" => {
            let pieces: Vec<_> = body.as_bytes().chunks(3).map(Bytes::copy_from_slice).collect();
            pieced(pieces)
        }
        "/echo-token" => whole(seen.header("x-auth-token").to_owned()),
        "/basic" if head.uri.query() == Some("echo") => whole(seen.header("authorization").to_owned()),
        "/known" => whole(KNOWN.into()),
        "/large" => whole("x".repeat(2 << 20)),
        "/large-pieces" => pieced(vec![Bytes::from(vec![b'x'; 64 << 10]); 32]),
        "/packed" => {
            let mut answer = whole("packed".into());
            answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            answer
        }
        "/huge" => {
            let mut answer = pieced(hundred_megabytes());
            answer.headers_mut().insert("content-length", (1600 << 16).into());
            answer
        }
        "/huge-pieces" => pieced(hundred_megabytes()),
        "/drip" => {
            let frames = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                Some((Ok(Frame::data(Bytes::from_static(b"."))), ()))
            });
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
        "/redirect" => {
            let mut answer = whole(String::new());
            *answer.status_mut() = http::StatusCode::FOUND;
            let to = head.uri.query().unwrap().parse().unwrap();
            answer.headers_mut().insert("location", to);
            answer
        }
        "/silent" => std::future::pending().await,
        "/stalled" => {
            let frames = futures_util::stream::unfold(true, |first| async move {
                if !first {
                    std::future::pending::<()>().await;
                }
                Some((Ok(Frame::data(Bytes::from_static(b"begun"))), false))
            });
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
        _ => whole("{}".into()),
    })
}

/// One piece many times over, so that the server needs no more than one.
fn hundred_megabytes() -> Vec<Bytes> {
    vec![Bytes::from(vec![b'x'; 64 << 10]); 1600]
}

fn password_of(login: &str) -> String {
    let login: serde_json::Value = serde_json::from_str(login).unwrap();
    login["auth"]["password"].as_str().unwrap().to_owned()
}

fn headed(name: &str, value: &str) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let mut answer = Response::new(Full::new(Bytes::from("{}")).boxed_unsync());
    let name: http::HeaderName = name.parse().unwrap();
    answer.headers_mut().insert(name, value.parse().unwrap());
    answer
}

fn pieced(pieces: Vec<Bytes>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let frames = futures_util::stream::iter(pieces.into_iter().map(|piece| Ok(Frame::data(piece))));
    Response::new(StreamBody::new(frames).boxed_unsync())
}
