//! A guest that misbehaves as its account tells it to.
//!
//! `account.config` holds `{"misbehaviour": "spin"}` and the like for `check`, `{"requests": […]}` for HTTP, and
//! `{"steps": ["begin", "request", "commit"]}` for `create-network`; `{"search": {"mask": 1, "needles": [[…]]}}` looks into the
//! guest's memory at the end of a `check`. One guest and not one for each fault: they differ by a few lines, and each would cost a
//! compilation in every test run.
#![cfg(target_family = "wasm")]

mod http;
mod memory;
mod rubbish;

use serde_json::Value;

wit_bindgen::generate!({
    inline: "
        package guest:misbehave;
        world misbehave {
            include vimhost:connector/base@0.1.0;
            include vimhost:connector/infrastructure-connector@0.1.0;
        }
    ",
    path: "../../../wit/connector-0.1.0",
    world: "guest:misbehave/misbehave",
    generate_all,
});

use exports::vimhost::connector::connector::{
    AnswerCredential, CheckReport, CredentialSlot, Descriptor, EgressWish, Guest as Connector, HeaderPlace,
    OriginScope, Place, ProposedOrigin, UseOfCredential,
};
use exports::vimhost::connector::infrastructure::{
    Filter, FlavourData, Found, GroupRequest, Guest as Infrastructure, NetworkRequest, ServerRequest, VolumeRequest,
};
use vimhost::connector::vim_types::{
    Account, Call, CreateStep, Created, DeleteStep, ElementKind, ElementStatus, Error, ErrorKind, Observation,
    Observed, OwnedPage, Pending,
};
use vimhost::connector::{cache, journal, log};

struct Misbehave;
export!(Misbehave);

fn failure(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error {
        kind,
        message: message.into(),
        retry_after_ms: None,
    }
}

fn config(account: &Account) -> Value {
    serde_json::from_str(&account.config).unwrap_or_default()
}

fn rule(method: &str, path: &str, origins: OriginScope, place: Place) -> UseOfCredential {
    UseOfCredential {
        method: method.into(),
        path: path.into(),
        origins,
        place,
    }
}

fn header(name: &str, prefix: Option<&str>) -> Place {
    Place::Header(HeaderPlace {
        name: name.into(),
        prefix: prefix.map(Into::into),
    })
}

impl Connector for Misbehave {
    fn describe() -> Descriptor {
        let own = OriginScope::AccountUrl;
        Descriptor {
            name: "misbehave".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "Misbehaves as it is told to.".into(),
            vim_types: vec!["misbehave".into()],
            config_schema: "{\"type\":\"object\"}".into(),
            credentials: vec![CredentialSlot {
                name: "password".into(),
                description: "Password of the user.".into(),
                required: true,
                uses: vec![
                    rule(
                        "POST",
                        "*/auth/tokens",
                        own,
                        Place::JsonPointer("/auth/password".into()),
                    ),
                    rule("POST", "/form", own, Place::FormField("password".into())),
                    rule("GET", "/basic", own, Place::BasicPassword),
                    rule("GET", "/key", own, header("X-Api-Key", Some("Key "))),
                ],
            }],
            answer_credentials: vec![AnswerCredential {
                name: "token".into(),
                method: "POST".into(),
                path: "*/auth/tokens".into(),
                header: "X-Subject-Token".into(),
                uses: vec![rule("*", "*", OriginScope::Granted, header("X-Auth-Token", None))],
            }],
            egress: vec![
                EgressWish {
                    origins: OriginScope::AccountUrl,
                    reason: "the VIM".into(),
                },
                EgressWish {
                    origins: OriginScope::Granted,
                    reason: "its services".into(),
                },
            ],
            tokens: vec![],
        }
    }

    fn check(account: Account) -> Result<CheckReport, Error> {
        let config = config(&account);
        let mut report = CheckReport {
            vim_version: None,
            origins: vec![],
            warnings: vec![],
        };
        match config["misbehaviour"].as_str().unwrap_or_default() {
            "" => {}
            "spin" => loop {
                std::hint::black_box(0);
            },
            "spin-clock" => loop {
                std::hint::black_box(wasip2::clocks::monotonic_clock::now());
            },
            "sleep" => wasip2::clocks::monotonic_clock::subscribe_duration(3_600_000_000_000).block(),
            "allocate" => {
                let mut all = vec![];
                loop {
                    all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            "recurse" => {
                report.vim_version = Some(recurse(1).to_string());
            }
            "panic" => panic!("these are the last words of a guest"),
            "exit" => std::process::exit(3),
            "flood-log" => {
                for line in 0..1_000 {
                    log::write(
                        log::Level::Info,
                        &format!("line {line}"),
                        &[("n".into(), line.to_string())],
                    );
                }
            }
            "forge-log" => log::write(log::Level::Warn, "first\nsecond\u{1b}[31m", &[]),
            "flood-output" => {
                for line in 0..5_000 {
                    println!("out {line}");
                    eprintln!("err {line}");
                }
                panic!("after the flood");
            }
            "random" => {
                std::hint::black_box(wasip2::random::random::get_random_bytes(1 << 20));
            }
            "handles" => {
                let fields: Vec<_> = (0..100_000).map(|_| wasip2::http::types::Fields::new()).collect();
                std::hint::black_box(fields);
            }
            "socket" => {
                std::hint::black_box(std::net::TcpStream::connect("127.0.0.1:80").is_ok());
            }
            "files" => {
                report.vim_version = Some(format!(
                    "{} {} {}",
                    std::fs::read_dir("/").is_ok(),
                    std::env::vars().count(),
                    std::env::args().count()
                ));
            }
            "cache" => {
                let seen = cache::get("seen").map_or(0, |bytes| bytes.first().copied().unwrap_or_default());
                cache::set("seen", &[seen + 1], 60_000);
                report.vim_version = Some(seen.to_string());
            }
            "obtain" => {
                // The first call fails after it was the one to obtain it; then one of those that wait is.
                let answer = match cache::obtain("token", None) {
                    Some(_) => "given",
                    None => {
                        wasip2::clocks::monotonic_clock::subscribe_duration(200_000_000).block();
                        if cache::get("failed").is_none() {
                            cache::set("failed", &[1], 60_000);
                            panic!("nothing was obtained");
                        }
                        cache::set("token", &[1], 60_000);
                        "obtained"
                    }
                };
                report.vim_version = Some(answer.to_owned());
            }
            "journal" => {
                let error = journal::begin("port", "x").expect_err("a check has no journal");
                report.vim_version = Some(error.message);
            }
            "cache-huge" => {
                cache::set("huge", &vec![0; 9 << 20], 60_000);
                let kept = cache::get("huge").is_some();
                report.vim_version = Some(format!("kept: {kept}"));
            }
            "cache-flood" => {
                let key = |n: u32| format!("key-{n}");
                (0..10_000).for_each(|n| cache::set(&key(n), &[1; 1_000], 60_000));
                let kept = (0..10_000).filter(|n| cache::get(&key(*n)).is_some()).count();
                report.vim_version = Some(format!("kept: {kept}"));
            }
            "huge-text" => report.vim_version = Some("x".repeat(20 << 20)),
            "huge-answer" => report.warnings = rubbish::aliased(1_000, 100_000),
            "many-items" => report.warnings = vec!["x".to_owned(); 100_000],
            "control-characters" => report.vim_version = Some("1.0\r\n\u{1b}[31mall is well\u{202e}".into()),
            "proposed" => report.origins.push(ProposedOrigin {
                origin: "no origin".into(),
                purpose: "compute".into(),
            }),
            "needs" => {
                for origin in [account.url.as_str(), "https://compute.example:8774"] {
                    report.origins.push(ProposedOrigin {
                        origin: origin.into(),
                        purpose: "compute".into(),
                    });
                }
            }
            "handle" => {
                report.vim_version = account.credentials.first().map(|credential| credential.handle.clone());
            }
            other => return Err(failure(ErrorKind::BadRequest, format!("unknown misbehaviour {other}"))),
        }
        if config["requests"].is_array() {
            report.warnings = http::perform(&account, &config["requests"])?;
        }
        if config["search"].is_object() {
            report.vim_version = Some(format!("{:?}", memory::hits(&config["search"])));
        }
        if config["finally"] == "panic" {
            panic!("after the requests");
        }
        Ok(report)
    }
}

#[expect(unconditional_recursion, reason = "that is the misbehaviour")]
fn recurse(depth: u64) -> u64 {
    let kept = std::hint::black_box([depth; 64]);
    recurse(depth + 1) + kept[1]
}

impl Infrastructure for Misbehave {
    fn find_networks(account: Account, _: Filter) -> Result<Vec<Found>, Error> {
        if let Some(how) = config(&account)["found"].as_str() {
            return Ok(rubbish::found(how));
        }
        Ok(vec![Found {
            id: "net-1".into(),
            name: None,
            status_text: None,
            details: "this is not JSON".into(),
        }])
    }

    fn find_images(_: Account, filter: Filter) -> Result<Vec<Found>, Error> {
        Ok(vec![Found {
            id: "image-1".into(),
            name: filter.name,
            status_text: Some("active".into()),
            details: "{\"min_disk\": 1}".into(),
        }])
    }

    fn find_flavour(_: Account, _: FlavourData) -> Result<Option<Found>, Error> {
        Ok(None)
    }

    fn find_flavours(_: Account, _: Filter) -> Result<Vec<Found>, Error> {
        Ok(Vec::new())
    }

    fn find_group(_: Account, _: String) -> Result<Option<Found>, Error> {
        Err(failure(ErrorKind::NotFound, "no such\ngroup"))
    }

    fn create_network(account: Account, call: Call, request: NetworkRequest) -> Result<CreateStep, Error> {
        let config = config(&account);
        let mut entry = call.journal.first().map_or(0, |entry| entry.id);
        for step in config["steps"].as_array().into_iter().flatten() {
            match step.as_str().unwrap_or_default() {
                "begin" => entry = journal::begin("network", &call.token)?,
                // A guest that goes on although the journal failed.
                "begin-anyway" => {
                    let _ = journal::begin("network", &call.token);
                }
                "begin-foreign" => entry = journal::begin("network", "somebody-elses")?,
                "begin-operation" => entry = journal::begin("reboot", &format!("{}.op-1", call.token))?,
                "begin-many" => {
                    for n in 0..1_000 {
                        journal::begin("port", &format!("{}.{n}", call.token))?;
                    }
                }
                "commit" => journal::commit(entry, "net-1")?,
                "forget" => journal::forget(entry)?,
                "request" => {
                    http::perform(&account, &config["requests"])?;
                }
                // What the SDK does of a request that the host did not let out.
                "request-or-forget" => {
                    if let Err(error) = http::perform(&account, &config["requests"]) {
                        if error.message.contains("HttpRequestDenied") {
                            journal::forget(entry)?;
                        }
                        return Err(error);
                    }
                }
                // A guest that goes on although there was no answer.
                "request-anyway" => {
                    let _ = http::perform(&account, &config["requests"]);
                }
                "panic" => panic!("in the middle of a creation"),
                "exit" => std::process::exit(3),
                "rubbish" => {
                    return Ok(CreateStep::Done(Created {
                        id: "net\n1".into(),
                        name: None,
                        interfaces: vec![],
                    }));
                }
                "spin" => loop {
                    std::hint::black_box(0);
                },
                "allocate" => {
                    let mut all = vec![];
                    loop {
                        all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                    }
                }
                "pending" => {
                    return Ok(CreateStep::Pending(Pending {
                        reason: "the subnet".into(),
                        again_in_ms: 2_000,
                        state: Some(call.state.map_or(vec![1], |mut state| {
                            state.push(1);
                            state
                        })),
                    }));
                }
                other => return Err(failure(ErrorKind::BadRequest, format!("unknown step {other}"))),
            }
        }
        Ok(CreateStep::Done(Created {
            id: "net-1".into(),
            name: Some(request.name),
            interfaces: vec![],
        }))
    }

    fn create_flavour(_: Account, _: Call, _: FlavourData) -> Result<CreateStep, Error> {
        unimplemented!("flavours")
    }

    fn create_group(_: Account, _: Call, _: GroupRequest) -> Result<CreateStep, Error> {
        unimplemented!("groups")
    }

    fn create_volume(_: Account, _: Call, _: VolumeRequest) -> Result<CreateStep, Error> {
        unimplemented!("volumes")
    }

    fn create_server(account: Account, _: Call, request: ServerRequest) -> Result<CreateStep, Error> {
        let wrong = usize::from(config(&account)["server"] == "wrong-count");
        Ok(CreateStep::Done(Created {
            id: "server-1".into(),
            name: Some(request.name),
            interfaces: (0..request.interfaces.len() + wrong)
                .map(|n| Some(format!("port-{n}")))
                .collect(),
        }))
    }

    fn delete_network(_: Account, _: Call, _: Option<String>) -> Result<DeleteStep, Error> {
        Ok(DeleteStep::Done)
    }

    fn delete_flavour(_: Account, _: Call, _: Option<String>) -> Result<DeleteStep, Error> {
        Ok(DeleteStep::Done)
    }

    fn delete_group(_: Account, _: Call, _: Option<String>) -> Result<DeleteStep, Error> {
        Ok(DeleteStep::Done)
    }

    fn delete_volume(_: Account, _: Call, _: Option<String>) -> Result<DeleteStep, Error> {
        Ok(DeleteStep::Done)
    }

    fn delete_server(_: Account, _: Call, _: Option<String>, _: Vec<String>) -> Result<DeleteStep, Error> {
        Ok(DeleteStep::Done)
    }

    fn observe(account: Account, _: ElementKind, ids: Vec<String>, cursor: Option<Vec<u8>>) -> Result<Observed, Error> {
        let others = config(&account)["observe"] == "others";
        let ids = if others { vec!["not-asked".to_owned()] } else { ids };
        Ok(Observed {
            changed: ids
                .into_iter()
                .map(|id| Observation {
                    id,
                    name: None,
                    status: ElementStatus::Active,
                    status_text: "ACTIVE".into(),
                    message: None,
                    details: "{}".into(),
                    server: None,
                })
                .collect(),
            gone: vec![],
            cursor,
            more: false,
        })
    }

    fn list_owned(_: Account, _: ElementKind, _: String, _: Option<Vec<u8>>) -> Result<OwnedPage, Error> {
        Ok(OwnedPage {
            elements: vec![],
            cursor: None,
        })
    }
}
