//! A laboratory: the mock VIM in this process, the SDK's test kit in front of it, and a socket between them.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mock_vim::{Config, Faults, Inventory, Server};
use tokio::runtime::Runtime;
use vimhost_sdk::http::{Answer, Exchange, Fault};
use vimhost_sdk::prelude::*;
use vimhost_sdk::testkit::TestKit;
use vimhost_sdk::types::Credential;

/// Longer than anything here takes; a test that hangs is to fail.
const DEADLINE: Duration = Duration::from_secs(20);

pub struct Lab {
    pub kit: TestKit,
    pub vim: Rc<Server>,
    pub account: Account,
    runtime: Runtime,
}

impl Lab {
    pub fn new() -> Self {
        Self::with(Faults::default())
    }

    pub fn with(faults: Faults) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let vim = runtime
            .block_on(Server::start(Config {
                faults,
                ..Config::default()
            }))
            .unwrap();
        let address = vim.address();
        let kit = TestKit::new();
        kit.vim(move |exchange| ask(address, exchange));
        let account = Account {
            id: "a".into(),
            name: "lab".into(),
            url: vim.url(),
            tenant: Some("mock".into()),
            user: Some("mock".into()),
            // The host would put the password in where the handle stands.
            credentials: vec![Credential {
                name: "password".into(),
                handle: "mock".into(),
            }],
            config: "{}".into(),
        };
        Self {
            kit,
            vim: Rc::new(vim),
            account,
            runtime,
        }
    }

    pub fn faults(&self, faults: Faults) {
        self.vim.set_faults(faults).unwrap();
    }

    pub fn inventory(&self) -> Inventory {
        self.vim.inventory()
    }

    /// Requests without the log in, as `POST /v1/ports`.
    pub fn requests(&self) -> Vec<String> {
        let paths = self.kit.exchanges();
        let lines = paths.iter().map(|sent| format!("{} {}", sent.method, sent.target.path));
        lines.filter(|line| !line.ends_with("/v1/session")).collect()
    }

    pub fn network(&self) -> String {
        self.inventory().networks[0].meta.id.clone()
    }

    pub fn image(&self) -> String {
        self.inventory().images[0].meta.id.clone()
    }

    /// A flavour that exists.
    pub fn flavour(&self) -> String {
        let data = FlavourData {
            name: Some("small".into()),
            ram: 512,
            vcpus: 1,
            disk: 1,
            ..FlavourData::default()
        };
        let call = Call {
            token: "flavour".into(),
            ..Call::default()
        };
        done(vimhost_plugin_mock::Mock::create_flavour(&self.account, &call, data).unwrap()).id
    }

    /// Two interfaces and one new disk.
    pub fn server_request(&self) -> ServerRequest {
        let interface = || ServerInterface {
            network: self.network(),
            ..ServerInterface::default()
        };
        let new = NewDisk { size: 1, image: None };
        ServerRequest {
            name: "vdu".into(),
            start: true,
            image: Some(self.image()),
            flavour: self.flavour(),
            interfaces: vec![interface(), interface()],
            disks: vec![ServerDisk {
                root: false,
                source: DiskSource::New(new),
                keep: false,
            }],
            ..ServerRequest::default()
        }
    }

    /// Calls until it is done, with the journal and the state as a host keeps them.
    pub fn create_server(&self, token: &str, request: &ServerRequest) -> Result<Created, Error> {
        let mut state = None;
        until(|| {
            let call = Call {
                state: state.take(),
                ..self.kit.call(token)
            };
            match vimhost_plugin_mock::Mock::create_server(&self.account, &call, request.clone()) {
                Ok(CreateStep::Done(created)) => Some(Ok(created)),
                Ok(CreateStep::Pending(pending)) => {
                    state = pending.state;
                    None
                }
                Err(error) => Some(Err(error)),
            }
        })
    }

    pub fn delete_server(&self, token: &str, id: Option<&str>, hold: &[String]) -> Result<(), Error> {
        until(|| {
            let call = self.kit.call(token);
            match vimhost_plugin_mock::Mock::delete_server(&self.account, &call, id, hold) {
                Ok(DeleteStep::Done) => Some(Ok(())),
                Ok(DeleteStep::Accepted | DeleteStep::Pending(_)) => None,
                Err(error) => Some(Err(error)),
            }
        })
    }
}

/// Asks until there is an answer.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not done in time");
        std::thread::yield_now();
    }
}

pub fn done(step: CreateStep) -> Created {
    match step {
        CreateStep::Done(created) => created,
        CreateStep::Pending(pending) => panic!("pending: {}", pending.reason),
    }
}

/// One request on a connection of its own.
fn ask(address: SocketAddr, exchange: &Exchange) -> Result<Answer, Fault> {
    let not_reached = |error: std::io::Error| Fault::NotReached(error.to_string());
    let lost = |error: std::io::Error| Fault::Lost(error.to_string());
    let mut stream = TcpStream::connect(address).map_err(not_reached)?;
    let body = exchange.body.clone().unwrap_or_default();
    let mut head = format!("{} {} HTTP/1.1\r\n", exchange.method, exchange.target.path_and_query());
    head += &format!(
        "host: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in &exchange.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body))
        .map_err(lost)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(lost)?;
    parse(&bytes).ok_or_else(|| Fault::Lost("the connection was closed without an answer".into()))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    assert!(
        !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding")),
        "this client knows no chunks"
    );
    Some(Answer {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    })
}
