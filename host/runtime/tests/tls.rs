//! TLS: the account's authority decides, and HTTP/2 is used where it is offered.
#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::Full;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use support::{Host, account};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use vimhost_runtime::Limits;

const CA: &str = include_str!("fixtures/tls/ca.pem");
const OTHER_CA: &str = include_str!("fixtures/tls/other-ca.pem");

/// A VIM behind TLS that speaks HTTP/2 only; answers its port and counts connections.
async fn vim() -> (u16, Arc<AtomicUsize>) {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("fixtures/tls/server.pem"))
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("fixtures/tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                // A client that does not trust the certificate goes away.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                count.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    assert_eq!(request.version(), Version::HTTP_2);
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("secure"))))
                });
                let _ = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (port, connections)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_accounts_authority_is_trusted_unless_told_otherwise() {
    let host = Host::new(Limits::default()).await;
    let (port, connections) = vim().await;
    let url = format!("https://127.0.0.1:{port}");
    let request = json!({ "requests": [{ "url": url }, { "url": url }] });
    let mut trusting = account(&url, request.clone());
    trusting.ca_certificates = Some(CA.into());
    let connector = host.open(&trusting).await;
    for _ in 0..3 {
        assert_eq!(connector.check().await.unwrap().warnings, ["200 secure", "200 secure"]);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1, "one connection serves all");

    let mut wrong = account(&url, request.clone());
    wrong.ca_certificates = Some(OTHER_CA.into());
    for account in [wrong, account(&url, request.clone())] {
        let error = host.open(&account).await.check().await.unwrap_err();
        assert!(error.message.contains("TlsCertificateError"), "{error}");
        assert!(
            error.message.contains("invalid peer certificate"),
            "the operator reads why: {error}"
        );
    }

    // The certificate is for the address, not for the name.
    let named = format!("https://localhost:{port}");
    let mut misnamed = account(&named, json!({ "requests": [{ "url": named }] }));
    misnamed.ca_certificates = Some(CA.into());
    misnamed.grants.addresses = vec!["127.0.0.0/8".parse().unwrap()];
    let error = host.open(&misnamed).await.check().await.unwrap_err();
    assert!(error.message.contains("TlsCertificateError"), "{error}");

    let mut insecure = account(&url, request);
    insecure.insecure_tls = true;
    assert!(host.open(&insecure).await.check().await.is_ok());
}
