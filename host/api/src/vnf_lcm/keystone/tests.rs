use super::*;

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::HeaderMap;
use serde_json::json;

/// A Keystone that knows the token `good` and counts what it is asked.
async fn keystone(expires: &'static str) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move |headers: HeaderMap| async move {
        count.fetch_add(1, Ordering::SeqCst);
        assert_eq!(headers["x-auth-token"], headers["x-subject-token"]);
        // Long enough for others to come.
        tokio::time::sleep(Duration::from_millis(50)).await;
        match headers["x-subject-token"].as_bytes() {
            b"good" => {
                let token = json!({"token": {"expires_at": expires, "project": {"id": "p1"}, "user": {"id": "u"},
                    "roles": [{"id": "r1", "name": "reader"}, {"id": "r2", "name": "NFV-Operator"}]}});
                (StatusCode::OK, token.to_string())
            }
            b"unscoped" => {
                let token = json!({"token": {"expires_at": expires, "user": {"id": "u"}}});
                (StatusCode::OK, token.to_string())
            }
            b"broken" => (StatusCode::OK, "{}".to_owned()),
            _ => (StatusCode::NOT_FOUND, String::new()),
        }
    };
    let router = Router::new().route("/v3/auth/tokens", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v3", listener.local_addr().unwrap());
    tokio::spawn(crate::serve(
        listener,
        router,
        crate::ServeOptions::default(),
        tokio_util::sync::CancellationToken::new(),
    ));
    (url, asked)
}

fn gate(url: &str) -> Gate {
    let keystone = Keystone::new(url, None, Duration::from_secs(60)).unwrap();
    Gate::new(Authentication::Keystone(Arc::new(keystone)))
}

fn parts(path: &str, token: Option<&str>) -> Parts {
    let mut builder = http::Request::get(path);
    if let Some(token) = token {
        builder = builder.header("x-auth-token", token);
    }
    builder.body(Body::empty()).unwrap().into_parts().0
}

async fn status(gate: &Gate, token: Option<&str>) -> u16 {
    let parts = parts("/vnflcm/v2/vnf_instances", token);
    gate.admit(&parts)
        .await
        .map_or_else(|problem| problem.status(), |()| 200)
}

#[tokio::test]
async fn a_token_is_validated_once_however_many_bring_it() {
    let (url, asked) = keystone("2999-01-01T00:00:00.000000Z").await;
    let gate = gate(&url);
    let (a, b, c) = tokio::join!(
        status(&gate, Some("good")),
        status(&gate, Some("good")),
        status(&gate, Some("good"))
    );
    assert_eq!([a, b, c], [200; 3]);
    assert_eq!(status(&gate, Some("good")).await, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_a_good_token_nobody_is_served_but_for_versions() {
    let (url, asked) = keystone("2999-01-01T00:00:00Z").await;
    let gate = gate(&url);
    assert_eq!(status(&gate, None).await, 401);
    assert_eq!(status(&gate, Some("")).await, 401);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(status(&gate, Some("bad")).await, 401);
    assert_eq!(status(&gate, Some("bad")).await, 401);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for path in [
        "/vnflcm/api_versions",
        "/vnflcm/v1/api_versions",
        "/vnflcm/v2/api_versions",
    ] {
        assert!(gate.admit(&parts(path, None)).await.is_ok(), "{path}");
    }
    // A file of a package may have any name.
    for path in [
        "/vnfpkgm/v1/vnf_packages/p/artifacts/api_versions",
        "/vnfpkgm/v1/vnf_packages/p/artifacts/Files/api_versions",
        "/vnflcm/v2/vnf_instances/api_versions",
        "/vnflcm/api_versions/",
    ] {
        let refused = gate.admit(&parts(path, None)).await.unwrap_err();
        assert_eq!(refused.status(), 401, "{path}");
    }
}

#[tokio::test]
async fn where_roles_are_asked_for_a_token_has_to_have_one_of_them() {
    let (url, asked) = keystone("2999-01-01T00:00:00Z").await;
    let gate = |roles: &[&str]| {
        let keystone = Keystone::new(&url, None, Duration::from_secs(60)).unwrap();
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Gate::new(Authentication::Keystone(Arc::new(keystone.for_roles(roles))))
    };
    for (roles, good, unscoped) in [
        (&[][..], 200, 200),
        (&["admin", "nfv-operator"][..], 200, 403),
        (&["admin"][..], 403, 403),
    ] {
        let gate = gate(roles);
        assert_eq!(status(&gate, Some("good")).await, good, "{roles:?}");
        assert_eq!(status(&gate, Some("unscoped")).await, unscoped, "{roles:?}");
        assert_eq!(status(&gate, Some("bad")).await, 401, "{roles:?}");
    }
    // That it has none is remembered too.
    let before = asked.load(Ordering::SeqCst);
    let gate = gate(&["admin"]);
    assert_eq!(status(&gate, Some("good")).await, 403);
    assert_eq!(status(&gate, Some("good")).await, 403);
    assert_eq!(asked.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let (url, _) = keystone("2001-01-01T00:00:00.000000Z").await;
    assert_eq!(status(&gate(&url), Some("good")).await, 401);
}

#[tokio::test]
async fn when_keystone_is_away_it_is_not_the_clients_fault() {
    let (url, _) = keystone("2999-01-01T00:00:00Z").await;
    assert_eq!(status(&gate(&url), Some("broken")).await, 503);
    // Bound, so that nobody else is given the port, and never listened on.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    assert_eq!(status(&gate(&format!("http://{address}/v3")), Some("good")).await, 503);
}

#[tokio::test]
async fn a_connection_that_keystone_closes_is_not_the_clients_fault_either() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v3", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let body = json!({"token": {"expires_at": "2999-01-01T00:00:00Z"}}).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        // The first connection ends with the request, the second answers.
        for answer in ["", &answer] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    assert_eq!(status(&gate(&url), Some("good")).await, 200);
}

#[tokio::test]
async fn memory_of_tokens_is_bounded() {
    let keystone = Keystone::new("http://127.0.0.1:1/v3", None, Duration::from_secs(60)).unwrap();
    for n in 0..=MOST {
        keystone.entry(Sha256::digest(n.to_string()).into());
    }
    assert!(keystone.known.lock().unwrap().len() <= MOST);
}

#[tokio::test]
async fn pages_of_the_web_are_not_served_without_credentials() {
    let gate = Gate::new(Authentication::None);
    let mut asked = parts("/vnflcm/v2/vnf_instances", None);
    assert!(gate.admit(&asked).await.is_ok());
    asked
        .headers
        .insert("origin", HeaderValue::from_static("http://evil.example"));
    assert_eq!(gate.admit(&asked).await.unwrap_err().status(), 403);
}

#[test]
fn a_keystone_is_found_with_and_without_the_version_of_its_api() {
    for (url, expected) in [
        ("https://k.example:5000/v3", "https://k.example:5000/v3/auth/tokens"),
        ("https://k.example:5000/v3/", "https://k.example:5000/v3/auth/tokens"),
        ("https://k.example:5000", "https://k.example:5000/v3/auth/tokens"),
        (
            "https://k.example/identity/",
            "https://k.example/identity/v3/auth/tokens",
        ),
        ("https://v3.example", "https://v3.example/v3/auth/tokens"),
    ] {
        let keystone = Keystone::new(url, None, Duration::ZERO).unwrap();
        assert_eq!(keystone.tokens.to_string(), expected);
    }
}

#[test]
fn a_ca_that_is_none_is_refused() {
    for pem in [&b""[..], b"not a certificate"] {
        let refused = Keystone::new("https://k.example/v3", Some(pem), Duration::ZERO).unwrap_err();
        assert!(matches!(refused, KeystoneError::Ca(_)), "{refused}");
    }
}
