//! Who the connector is: what it may do with which credential, and which settings it knows.

use vimhost_sdk::prelude::*;

/// The credential an operator enters. Not required, because an account at `mock:` has no VIM to log in to.
pub(crate) const PASSWORD: &str = "password";

/// The header a token is given out in.
pub(crate) const TOKEN_GIVEN: &str = "x-mock-token";

/// The header a token is presented in.
pub(crate) const TOKEN_PRESENTED: &str = "x-auth-token";

const SESSION: &str = "*/v1/session";

/// Settings of OSM's accounts pass, whatever they are: the same account may be driven by OSM's own connector.
const SETTINGS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "management_network_id": {"type": "string", "description": "Network that management interfaces are on, by id."},
    "management_network_name": {"type": "string", "description": "Network that management interfaces are on, by name."}
  },
  "additionalProperties": true
}"#;

pub(crate) fn describe() -> Descriptor {
    let token = |kind| TokenPlace {
        kind,
        where_: "token".to_owned(),
        findable: true,
    };
    Descriptor {
        name: "mock".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Drives the mock VIM over HTTP; an account at `mock:` is answered without any VIM.".to_owned(),
        vim_types: vec!["mock".to_owned(), "dummy".to_owned()],
        config_schema: SETTINGS.to_owned(),
        credentials: vec![CredentialSlot {
            name: PASSWORD.to_owned(),
            description: "Password of the user at the mock VIM; an account at `mock:` needs none.".to_owned(),
            required: false,
            uses: vec![UseOfCredential::json("POST", SESSION, "/password")],
        }],
        answer_credentials: vec![AnswerCredential {
            name: "token".to_owned(),
            method: "POST".to_owned(),
            path: SESSION.to_owned(),
            header: TOKEN_GIVEN.to_owned(),
            uses: vec![UseOfCredential::header("*", "*", TOKEN_PRESENTED)],
        }],
        egress: vec![EgressWish {
            origins: OriginScope::AccountUrl,
            reason: "the REST interface of the mock VIM".to_owned(),
        }],
        tokens: [
            ElementKind::Network,
            ElementKind::Image,
            ElementKind::Flavour,
            ElementKind::Group,
            ElementKind::Volume,
            ElementKind::Server,
            ElementKind::Port,
            ElementKind::ConnectivityService,
            ElementKind::Stack,
        ]
        .map(token)
        .to_vec(),
    }
}
