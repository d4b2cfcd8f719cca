//! Certificates that are not trusted, and a Keystone that speaks no TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;
use vimhost_openstack_tests::Account;

use super::{account_refused, check, with};
use crate::lab_only::{lab, one_vm};
use crate::service::{ACCOUNT, Service, turn};

const CA: &str = include_str!("../../../../../host/runtime/tests/fixtures/tls/ca.pem");

/// Stands before Keystone with TLS; its certificate is signed by [`CA`], for 127.0.0.1.
async fn behind_tls(keystone: &str) -> SocketAddr {
    let chain = CertificateDer::pem_slice_iter(include_bytes!(
        "../../../../../host/runtime/tests/fixtures/tls/server.pem"
    ))
    .map(Result::unwrap)
    .collect();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!(
        "../../../../../host/runtime/tests/fixtures/tls/server.key"
    ))
    .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let behind = Url::parse(keystone).unwrap().socket_addrs(|| None).unwrap()[0];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                if let Ok(mut keystone) = TcpStream::connect(behind).await {
                    // Ends when either side does.
                    let _ = copy_bidirectional(&mut stream, &mut keystone).await;
                }
            });
        }
    });
    address
}

/// A server that has an answer in plain HTTP for everybody.
async fn without_tls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Read first: closing with bytes unread would reset the connection under the answer.
            let mut greeting = [0; 2048];
            if stream.read(&mut greeting).await.is_ok() {
                // Whoever has gone away needs no answer.
                let _ = stream
                    .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                    .await;
            }
        }
    });
    address
}

/// The account, with Keystone at another origin.
fn moved_to(account: &Account, origin: &str) -> Account {
    let mut account = with(account, "/url", json!(format!("{origin}/v3")));
    let origins = account.body["grants"]["origins"].as_array_mut().unwrap();
    origins.push(json!(origin));
    account
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn a_certificate_that_is_not_trusted_ends_at_once_and_names_what_to_give() {
    let _turn = turn().await;
    let cloud = lab();
    let good = cloud.account(ACCOUNT).unwrap();
    let secure = moved_to(&good, &format!("https://{}", behind_tls(&cloud.auth_url).await));
    let told = account_refused("tls", cloud, &secure).await;
    let words = [
        "TlsCertificateError",
        "invalid peer certificate",
        "give the account the CA certificate",
    ];
    told.of_deployment(Some("auth"), &words);
    told.of_account(&words);

    // The same with the CA works.
    let mut trusting = secure;
    trusting.body["ca_certificates"] = json!(CA);
    let service = Service::new("trusting", &trusting, &[], one_vm).await;
    let (said, works) = check(&service);
    assert!(works, "{said}");

    // Where nobody speaks TLS. Keystone itself waits for the end of what it takes for a request line, so somebody who answers.
    let plain = moved_to(&good, &format!("https://{}", without_tls().await));
    let told = account_refused("no-tls", cloud, &plain).await;
    let words = ["TlsProtocolError", "Check the account's URL"];
    told.of_deployment(Some("bad-request"), &words);
    told.of_account(&words);
}
