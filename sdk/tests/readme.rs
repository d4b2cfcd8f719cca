//! The connector of the README, so that what it shows compiles and works. The last test compares the two.

use std::time::Duration;

use vimhost_sdk::prelude::*;
use vimhost_sdk::{
    http::{Answer, Method},
    testkit::TestKit,
};

/// The connector.
pub struct Acme;
vimhost_sdk::export_connector!(Acme: infrastructure);

impl Connector for Acme {
    fn describe() -> Descriptor {
        Descriptor {
            name: "acme".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            vim_types: vec!["acme".into()],
            config_schema: r#"{"type": "object"}"#.into(),
            credentials: vec![CredentialSlot {
                name: "key".into(),
                description: "API key".into(),
                required: true,
                uses: vec![UseOfCredential::header("*", "*", "x-api-key")],
            }],
            egress: vec![EgressWish {
                origins: OriginScope::AccountUrl,
                reason: "the API".into(),
            }],
            ..Descriptor::default()
        }
    }

    fn check(account: &Account) -> Result<CheckReport, Error> {
        vim(account)?.get(["status"]).doing("asking for the status").send()?;
        Ok(CheckReport::default())
    }
}

fn vim(account: &Account) -> Result<Client, Error> {
    let key = account.credential("key").unwrap_or_default();
    Ok(Client::new(&account.url)?.header("x-api-key", key))
}

#[derive(serde::Deserialize)]
struct Net {
    id: String,
}

impl Infrastructure for Acme {
    fn create_network(account: &Account, call: &Call, request: NetworkRequest) -> Result<CreateStep, Error> {
        let vim = vim(account)?;
        let id = call.create_once(
            "network",
            "",
            Duration::from_secs(90),
            |token| {
                let found: Vec<Net> = vim
                    .get(["networks"])
                    .query("tag", token)
                    .doing("finding a network")
                    .send()?
                    .json()?;
                Ok(found.into_iter().map(|net| net.id).collect())
            },
            |token| {
                let body = serde_json::json!({"name": request.name, "tag": token});
                Ok(vim
                    .post(["networks"])
                    .json(&body)
                    .doing("creating a network")
                    .send()?
                    .json::<Net>()?
                    .id)
            },
        )?;
        Ok(Created::element(id, request.name.clone()).into())
    }
}

#[test]
fn a_network_is_made_once() {
    let kit = TestKit::new();
    kit.answer(
        Method::Post,
        "/networks",
        Answer::new(201).json(&serde_json::json!({"id": "7"})),
    );
    let account = Account {
        url: "http://acme.example".into(),
        ..Account::default()
    };
    Acme::create_network(&account, &kit.call("t1"), NetworkRequest::default()).unwrap();
    assert_eq!(kit.journal_lines(), ["network t1 = 7"]);
}

#[test]
fn what_is_not_implemented_is_unsupported() {
    let error = Acme::find_group(&Account::default(), "7").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

/// Text without comments, white space and the commas that the formatter adds.
fn bare(text: &str) -> String {
    let code = text.lines().map(|line| {
        line.split("  // ")
            .next()
            .unwrap_or_default()
            .split(" // ")
            .next()
            .unwrap_or_default()
    });
    code.flat_map(str::chars)
        .filter(|c| !c.is_whitespace() && *c != ',')
        .collect()
}

#[test]
fn the_readme_shows_this_connector() {
    let here = bare(include_str!("readme.rs"));
    let readme = include_str!("../README.md");
    let blocks: Vec<&str> = readme
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        for part in block.split("\n\n") {
            let part = bare(part);
            let used_above = part.starts_with("usevimhost_sdk");
            assert!(used_above || here.contains(&part), "not in the test: {part}");
        }
    }
}
