//! What a connector of OpenStack says in its descriptor about logging in: credentials and their places, egress, settings.

use serde_json::{Map, Value, json};
use vimhost_sdk::prelude::*;

/// The credential of a user.
pub const PASSWORD: &str = "password";

/// The credential of an application credential.
pub const APPLICATION_CREDENTIAL_SECRET: &str = "application_credential_secret";

/// The same where an account of OSM has it: in its `config`, from where the host takes secrets before a connector sees them.
pub(crate) const APPLICATION_CREDENTIAL_SECRET_OF_OSM: &str = "config.application_credential_secret";

/// The header a token is given out in.
pub(crate) const TOKEN_GIVEN: &str = "x-subject-token";

/// The header a token is presented in.
pub(crate) const TOKEN_PRESENTED: &str = "x-auth-token";

/// Where Keystone logs in; with any path before it, since Keystone may lie behind one.
const LOG_IN: &str = "*/v3/auth/tokens";

const PASSWORD_PLACE: &str = "/auth/identity/password/user/password";

const SECRET_PLACE: &str = "/auth/identity/application_credential/secret";

/// Credentials an operator enters: one of them.
#[must_use]
pub fn credentials() -> Vec<CredentialSlot> {
    vec![
        CredentialSlot {
            name: PASSWORD.to_owned(),
            description: "Password of the account's user; or, where the settings name an application credential and nothing else is \
                          given, its secret."
                .to_owned(),
            required: false,
            uses: vec![
                UseOfCredential::json("POST", LOG_IN, PASSWORD_PLACE),
                UseOfCredential::json("POST", LOG_IN, SECRET_PLACE),
            ],
        },
        CredentialSlot {
            name: APPLICATION_CREDENTIAL_SECRET.to_owned(),
            description: "Secret of the application credential that the settings name.".to_owned(),
            required: false,
            uses: vec![UseOfCredential::json("POST", LOG_IN, SECRET_PLACE)],
        },
        CredentialSlot {
            name: APPLICATION_CREDENTIAL_SECRET_OF_OSM.to_owned(),
            description: "The same, from the `config` of an account of OSM.".to_owned(),
            required: false,
            uses: vec![UseOfCredential::json("POST", LOG_IN, SECRET_PLACE)],
        },
    ]
}

/// Keystone's token, which goes to every service.
#[must_use]
pub fn answer_credentials() -> Vec<AnswerCredential> {
    vec![AnswerCredential {
        name: "token".to_owned(),
        method: "POST".to_owned(),
        path: LOG_IN.to_owned(),
        header: TOKEN_GIVEN.to_owned(),
        uses: vec![UseOfCredential::header("*", "*", TOKEN_PRESENTED).toward_granted()],
    }]
}

/// Keystone, and the services that its catalogue names.
#[must_use]
pub fn egress() -> Vec<EgressWish> {
    vec![
        EgressWish {
            origins: OriginScope::AccountUrl,
            reason: "Keystone: logging in and the service catalogue".to_owned(),
        },
        EgressWish {
            origins: OriginScope::Granted,
            reason: "the services that the catalogue names; `check` proposes their origins".to_owned(),
        },
    ]
}

/// The JSON schema of an account's settings: those of every account of OpenStack, and a connector's own. Settings nobody knows pass: an
/// account may carry those of other programs.
#[must_use]
pub fn schema(own: impl IntoIterator<Item = (&'static str, Value)>) -> String {
    let properties: Map<String, Value> = properties()
        .into_iter()
        .chain(own)
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "additionalProperties": true,
    })
    .to_string()
}

/// Settings that [`Access`](crate::Access) reads or that the host applies before any connector.
fn properties() -> Vec<(&'static str, Value)> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let flag = |description: &str| json!({"type": ["boolean", "string", "null"], "description": description});
    vec![
        (
            "APIversion",
            json!({
                "type": ["string", "number"],
                "description": "Version of Keystone: `v3`, `3` or `v3.3`. Version 2 is refused.",
            }),
        ),
        (
            "project_domain_id",
            text("Domain of the project, by id; `default` when no domain is given."),
        ),
        ("project_domain_name", text("Domain of the project, by name.")),
        (
            "user_domain_id",
            text("Domain of the user, by id; `default` when no domain is given."),
        ),
        ("user_domain_name", text("Domain of the user, by name.")),
        (
            "region_name",
            text("Region of the endpoints; the catalogue's first when it is not given."),
        ),
        (
            "use_internal_endpoint",
            flag("Takes the internal endpoints of the catalogue."),
        ),
        (
            "interface",
            text(
                "Endpoints of the catalogue: `public` (default), `internal` or `admin`; goes before `use_internal_endpoint`.",
            ),
        ),
        (
            "application_credential_id",
            text("Logs in with this application credential; it has a project of its own."),
        ),
        (
            "application_credential_name",
            text("The same by name, together with the account's user."),
        ),
        (
            "insecure",
            flag(
                "No verification of TLS, in an account of OSM's: applied by the host; excludes `ca_cert_content`. An account of the host's \
                 own has `insecure_tls` beside its settings.",
            ),
        ),
        (
            "ca_cert",
            text(
                "Path of a CA's certificate in OSM's container, which nobody here can read. The host refuses an account of OSM's that has \
                 it and neither `ca_cert_content` nor `insecure`; in an account of its own it is not read.",
            ),
        ),
        (
            "ca_cert_content",
            text(
                "A CA's certificate as PEM, in an account of OSM's: applied by the host. An account of the host's own has `ca_certificates` \
                 beside its settings (`vimhost vim add --ca-file`).",
            ),
        ),
    ]
}
