//! Every misbehaviour there is a limit for, and a bystander that wants to be served meanwhile.
//!
//! All of it runs on one thread for guests, the hardest case: whatever holds that thread holds everybody.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use vimhost_connector::{
    Connector, Connectors as _, CreateRequest, ElementKind, Filter, FindRequest, NetworkRequest, PluginState,
};
use vimhost_model::{VimAccount, VimId};
use vimhost_runtime::{Limits, Resolve, Runtime, RuntimeConfig};

use super::vim::Vim;
use super::{Notes, PASSWORD, account, call, config, guest, target};

/// Through which function a guest misbehaves.
#[derive(Debug, Clone, Copy)]
enum Via {
    Check,
    Find,
    CreateNetwork,
    Observe,
    /// By being loaded: which bytes.
    Load(fn() -> Vec<u8>),
    /// By being loaded from a file of so many bytes.
    File(u64),
}

/// A misbehaviour.
pub struct Case {
    pub name: &'static str,
    via: Via,
    config: Value,
    /// What the error says, or the answer where the call succeeds and the limit only drops something.
    pub expected: String,
    /// How long it may take, as the limits say.
    pub within: Duration,
}

/// What became of it.
pub struct Row {
    pub name: &'static str,
    pub stopped_by: String,
    pub after: Duration,
    pub within: Duration,
    /// Calls of the bystander during it.
    pub meanwhile: Latency,
}

/// Times of a connector's calls.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub calls: usize,
    pub p99: Duration,
    pub longest: Duration,
}

impl Latency {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self {
            calls: times.len(),
            p99: times.get(times.len() * 99 / 100).copied().unwrap_or_default(),
            longest: times.last().copied().unwrap_or_default(),
        }
    }
}

/// A resolver that knows only what it was told.
#[derive(Debug)]
struct Names(HashMap<&'static str, Vec<SocketAddr>>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(literal) = host.parse() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let known = self.0.get(host).cloned();
        known.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }
}

/// A host with a VIM, another one, and a bystander that calls without pause.
pub struct Stage {
    runtime: Arc<Runtime>,
    vim: Vim,
    other: Vim,
    limits: Limits,
    bystander: Bystander,
    dir: tempfile::TempDir,
}

impl Stage {
    pub async fn new(limits: Limits) -> Self {
        let (vim, other) = (Vim::start().await, Vim::start().await);
        // Another one than the VIM's, which stands in the account's URL and is granted with it.
        let loopback = "127.0.0.2:80".parse().unwrap();
        let metadata = "169.254.169.254:80".parse().unwrap();
        let names = Names(HashMap::from([
            ("metadata.example", vec![metadata]),
            ("loopback.example", vec![loopback]),
            ("mixed.example", vec![metadata, loopback]),
        ]));
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new(RuntimeConfig {
            workers: 1,
            resolver: Arc::new(names),
            ..config(&dir.path().join("images"), limits.clone())
        })
        .unwrap();
        let info = runtime.load_bytes("misbehave.wasm", guest().to_vec()).await;
        assert_eq!(info.state, PluginState::Ready, "{info:?}");
        let quiet = Vim::start().await;
        let mut behaving = account(&quiet.url, json!({ "requests": [{ "url": quiet.url }] }));
        behaving.target = target("bystander");
        let bystander = Bystander::start(runtime.open(&behaving).await.unwrap());
        Self {
            runtime,
            vim,
            other,
            limits,
            bystander,
            dir,
        }
    }

    /// The bystander alone.
    pub async fn undisturbed(&self) -> Latency {
        let begun = Instant::now();
        // A span to measure in, not a wait for anything.
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.bystander.since(begun)
    }

    /// Misbehaves once and, for more of the bystander's calls to meet it, again until `at_least` is over.
    pub async fn run(&self, case: &Case, at_least: Duration) -> Row {
        let account = self.account(&case.config);
        let begun = Instant::now();
        let stopped_by = self.once(case, &account).await;
        let after = begun.elapsed();
        while begun.elapsed() < at_least {
            self.once(case, &account).await;
        }
        Row {
            name: case.name,
            stopped_by,
            after,
            within: case.within,
            meanwhile: self.bystander.since(begun),
        }
    }

    /// Ends the bystander.
    ///
    /// # Panics
    /// When one of its calls failed.
    pub async fn finish(self) -> Latency {
        self.bystander.finish().await
    }

    fn account(&self, config: &Value) -> VimAccount {
        let text = config
            .to_string()
            .replace("{vim}", &self.vim.url)
            .replace("{other}", &self.other.url);
        let mut account = account(&self.vim.url, serde_json::from_str(&text).unwrap());
        account.target = target("hostile");
        account.grants.origins = [
            &*self.other.url,
            "http://metadata.example",
            "http://loopback.example",
            "http://mixed.example",
            "http://169.254.169.254",
        ]
        .iter()
        .map(|origin| origin.parse().unwrap())
        .collect();
        account
    }

    async fn once(&self, case: &Case, account: &VimAccount) -> String {
        let connector = match case.via {
            Via::Load(bytes) => {
                let info = self.runtime.load_bytes("hostile.wasm", bytes()).await;
                return reason(info.state);
            }
            Via::File(size) => {
                let path = self.dir.path().join("large.wasm");
                std::fs::File::create(&path).unwrap().set_len(size).unwrap();
                return reason(self.runtime.load_file(&path).await.state);
            }
            Via::Check | Via::Find | Via::CreateNetwork | Via::Observe => self.runtime.open(account).await.unwrap(),
        };
        let answer = match case.via {
            Via::Find => connector
                .find(FindRequest::Networks(Filter::default()))
                .await
                .map(|found| format!("answered {}", found.len())),
            Via::CreateNetwork => {
                let request = CreateRequest::Network(NetworkRequest {
                    name: "net".into(),
                    kind: None,
                    shared: false,
                    ip_profile: None,
                    provider: None,
                });
                let journal = Arc::new(Notes::default());
                let step = connector.create(call(&journal, vec![]), request).await;
                step.map(|step| format!("answered {step:?}"))
            }
            Via::Observe => {
                let asked = [VimId::new("server-1").unwrap()];
                let observed = connector.observe(ElementKind::Server, &asked, None).await;
                observed.map(|observed| format!("answered {observed:?}"))
            }
            Via::Check | Via::Load(_) | Via::File(_) => connector.check().await.map(|report| {
                let version = report.vim_version.unwrap_or_default();
                format!("answered {version}{}", report.warnings.join(", "))
            }),
        };
        answer.unwrap_or_else(|error| error.message)
    }

    /// All of them, with what the limits of this stage make of each.
    pub fn cases(&self) -> Vec<Case> {
        let limits = &self.limits;
        let at_once = Duration::from_secs(1);
        let check = |name, how: &str, expected: String, within| Case {
            name,
            via: Via::Check,
            config: json!({ "misbehaviour": how }),
            expected,
            within,
        };
        let http = |name, request: Value, expected: &str| Case {
            name,
            via: Via::Check,
            config: json!({ "requests": [request] }),
            expected: expected.to_owned(),
            within: at_once,
        };
        let find = |name, how: &str, expected: &str| Case {
            name,
            via: Via::Find,
            config: json!({ "found": how }),
            expected: expected.to_owned(),
            within: at_once,
        };
        let load = |name, bytes, expected: &str| Case {
            name,
            via: Via::Load(bytes),
            config: json!({}),
            expected: expected.to_owned(),
            within: at_once,
        };
        let post = |path: &str, body: &str| {
            json!({ "url": format!("{{vim}}{path}"), "method": "POST", "headers": { "content-type": "application/json" },
                    "body": body })
        };
        let (compute, wall) = (limits.compute, limits.wall);
        let compute_over = format!("compute time limit of {compute:?} exceeded");
        let wall_over = format!("wall time limit of {wall:?} exceeded");
        let memory_over = format!("memory limit of {} MiB exceeded", limits.memory >> 20);
        let largest = format!("larger than the limit of {} bytes", limits.response_body);
        let login = r#"{"auth": {"password": "{password}"}}"#;
        let mut cases = vec![
            check("spins", "spin", compute_over, compute),
            check(
                "spins through the host's clock",
                "spin-clock",
                format!("limit of {} host calls exceeded", limits.host_calls),
                compute,
            ),
            check("sleeps", "sleep", wall_over.clone(), wall),
            check("allocates without end", "allocate", memory_over.clone(), compute),
            check(
                "recurses without end",
                "recurse",
                "as endless recursion does".into(),
                compute,
            ),
            check(
                "panics",
                "panic",
                "it panicked or aborted; last words: ".into(),
                at_once,
            ),
            check("exits", "exit", "it called exit".into(), at_once),
            check("floods the log", "flood-log", "answered".into(), at_once),
            check(
                "floods stdout and stderr",
                "flood-output",
                "after the flood".into(),
                compute,
            ),
            check(
                "asks for 1 MiB of random bytes",
                "random",
                format!("exceeds limit {}", limits.random_bytes),
                at_once,
            ),
            check("holds 100,000 handles", "handles", "table".into(), compute),
            check(
                "opens a socket",
                "socket",
                "is not available to plugins".into(),
                at_once,
            ),
            check("caches a value of 9 MiB", "cache-huge", "kept: false".into(), at_once),
            check(
                "caches 10,000 values",
                "cache-flood",
                format!("kept: {}", limits.cache_entries),
                at_once,
            ),
            check(
                "answers 100 MB",
                "huge-answer",
                "fuel allocated for hostcalls has been exhausted".into(),
                at_once,
            ),
            check(
                "answers a text of 20 MB",
                "huge-text",
                format!("at most {} are allowed", limits.answer_text),
                at_once,
            ),
            check(
                "answers 100,000 items",
                "many-items",
                format!("at most {} are allowed", limits.answer_items),
                at_once,
            ),
            check(
                "answers control characters",
                "control-characters",
                "answered 1.0\\r\\n\\u{1b}[31mall is well\\u{202e}".into(),
                at_once,
            ),
            find("answers an empty id", "empty-id", "answered rubbish: "),
            find(
                "answers an id with control characters",
                "control-id",
                "answered rubbish: ",
            ),
            find("answers an id of 10,000 letters", "long-id", "answered rubbish: "),
            find("answers a status of 1 MB", "long-text", "answered rubbish: "),
            find("answers 50,000 elements", "many", "answered rubbish: "),
            find("answers JSON 100,000 levels deep", "deep-json", "answered rubbish: "),
            Case {
                name: "answers about what was not asked",
                via: Via::Observe,
                config: json!({ "observe": "others" }),
                expected: "which was not asked for".into(),
                within: at_once,
            },
            Case {
                name: "journals without end",
                via: Via::CreateNetwork,
                config: json!({ "steps": ["begin-many"] }),
                expected: format!("the journal of the task is full: {} entries", limits.journal_entries),
                within: at_once,
            },
            Case {
                name: "journals under somebody else's token",
                via: Via::CreateNetwork,
                config: json!({ "steps": ["begin-foreign"] }),
                expected: "is neither the call's token".into(),
                within: at_once,
            },
            http(
                "10,000 requests",
                json!({ "url": "{vim}", "count": 10_000 }),
                &format!("limit of {} requests of one call exceeded", limits.requests),
            ),
            http(
                "100 requests at the same time",
                json!({ "url": "{vim}", "at_once": 100 }),
                &format!("limit of {} open requests exceeded", limits.open_requests),
            ),
            http(
                "10,000 requests at the same time",
                json!({ "url": "{vim}/silent", "at_once": 10_000 }),
                "table",
            ),
            http(
                "reads 100 MB of known length",
                json!({ "url": "{vim}/huge", "drop": true }),
                &largest,
            ),
            http(
                "reads 100 MB of unknown length",
                json!({ "url": "{vim}/huge-pieces", "drop": true }),
                &largest,
            ),
            http(
                "keeps 100 MB that it reads",
                json!({ "url": "{vim}/huge-pieces" }),
                &memory_over,
            ),
            http(
                "sends a body of 20 MB",
                json!({ "url": "{vim}", "method": "POST", "size": 20_000_000 }),
                &format!("its body is larger than the limit of {} bytes", limits.request_body),
            ),
            http(
                "dials a host nobody granted",
                json!({ "url": "http://ungranted.example/" }),
                "vimhost vim allow hostile --origin http://ungranted.example",
            ),
            http(
                "dials a name of the metadata service",
                json!({ "url": "http://metadata.example/latest" }),
                "leads to 169.254.169.254, a link-local, metadata",
            ),
            http(
                "dials a name of the loopback",
                json!({ "url": "http://loopback.example/" }),
                "vimhost vim allow hostile --address 127.0.0.2/32",
            ),
            http(
                "dials a name of both",
                json!({ "url": "http://mixed.example/" }),
                "vimhost vim allow hostile --address 127.0.0.2/32",
            ),
            http(
                "dials the metadata service by number",
                json!({ "url": "http://169.254.169.254/latest" }),
                "leads to 169.254.169.254, a link-local, metadata",
            ),
            http(
                "follows a redirect to the metadata service",
                json!({ "url": "{vim}/redirect?http://169.254.169.254/latest", "follow": true }),
                "leads to 169.254.169.254, a link-local, metadata",
            ),
            http(
                "follows a redirect to a host nobody granted",
                json!({ "url": "{vim}/redirect?http://ungranted.example/", "follow": true }),
                "vimhost vim allow hostile --origin http://ungranted.example",
            ),
            http(
                "a handle as a VM's name",
                post("/v3/auth/tokens", r#"{"server": {"name": "{password}"}}"#),
                "at '/server/name' of its JSON body",
            ),
            http(
                "a handle in a header",
                json!({ "url": "{vim}", "headers": { "x-name": "{password}" } }),
                "in its header 'x-name'",
            ),
            http(
                "a handle in the path",
                json!({ "url": "{vim}/servers/{password}" }),
                "in its URL",
            ),
            http(
                "a handle toward another origin",
                json!({ "url": "{other}/v3/auth/tokens", "method": "POST", "body": login }),
                "for this method, path and origin",
            ),
            http(
                "a handle in base64",
                post("/v3/auth/tokens", r#"{"server": {"name": "{password:base64}"}}"#),
                "answered 200",
            ),
            http(
                "a VIM that echoes the password",
                post("/echo/auth/tokens", login),
                "its answer holds a secret of the account",
            ),
        ];
        let mut slow = |name, path: &str, extra: Value| {
            let mut request = json!({ "url": format!("{{vim}}{path}") });
            request
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            let mut case = http(name, request, &wall_over);
            case.within = wall;
            cases.push(case);
        };
        slow("a VIM that sends a byte a second", "/drip", json!({}));
        slow("never reads its answer", "/huge-pieces", json!({ "unread": true }));
        cases.extend([
            load("is no component", || b"#!/bin/sh".to_vec(), "it is not WebAssembly"),
            load("is a core module", || wat("(module)"), "core module, not a component"),
            load(
                "is built on another contract",
                || wat(r#"(component (instance $i) (export "vimhost:connector/connector@0.2.0" (instance $i)))"#),
                "it is built on contract 0.2.0; this host serves 0.1.x",
            ),
            load(
                "lacks an export",
                || wat(r#"(component (instance $i) (export "vimhost:connector/connector@0.1.0" (instance $i)))"#),
                "its interface connector is incomplete",
            ),
            load(
                "imports what nobody offers",
                || {
                    wat(r#"(component (import "wasi:nn/graph@0.2.0" (instance))
                           (instance $i) (export "vimhost:connector/connector@0.1.0" (instance $i)))"#)
                },
                "it imports 'wasi:nn/graph@0.2.0', which this host does not offer",
            ),
            Case {
                name: "is a file of 1 GB",
                via: Via::File(1 << 30),
                config: json!({}),
                expected: "at most 268435456 are allowed".into(),
                within: at_once,
            },
        ]);
        cases
    }

    /// Requests that left with the password elsewhere than at the place of a login.
    pub fn password_left(&self) -> usize {
        let login = json!({ "auth": { "password": PASSWORD } }).to_string();
        let quoted = PASSWORD.replace('"', "\\\"");
        let holds = |text: &str| text.contains(PASSWORD) || text.contains(&quoted);
        let seen = self.vim.seen().into_iter().chain(self.other.seen());
        seen.filter(|seen| {
            let headers = format!("{:?}", seen.headers);
            let body = seen.body.replace(&login, "");
            holds(&headers) || holds(&seen.path) || holds(&body)
        })
        .count()
    }
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn reason(state: PluginState) -> String {
    if let PluginState::Failed(reason) = state {
        return reason;
    }
    format!("{state:?}")
}

type Times = Arc<Mutex<Vec<(Instant, Duration)>>>;

/// A connector that behaves, and is called one call after the other.
struct Bystander {
    times: Times,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Bystander {
    fn start(connector: Arc<dyn Connector>) -> Self {
        let (times, stop) = (Times::default(), Arc::new(AtomicBool::new(false)));
        let (own, ended) = (Arc::clone(&times), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let report = connector.check().await.expect("the bystander is served");
                assert_eq!(report.warnings, ["200 {}"]);
                own.lock().unwrap().push((begun, begun.elapsed()));
            }
        });
        Self { times, stop, task }
    }

    /// Calls that ended since then.
    fn since(&self, when: Instant) -> Latency {
        let times = self.times.lock().unwrap();
        let met = times.iter().filter(|(begun, took)| *begun + *took >= when);
        Latency::of(met.map(|(_, took)| *took).collect())
    }

    async fn finish(self) -> Latency {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("every call of the bystander succeeded");
        let times = self.times.lock().unwrap().iter().map(|(_, took)| *took).collect();
        Latency::of(times)
    }
}
