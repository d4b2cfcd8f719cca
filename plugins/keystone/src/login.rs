//! Logging in: what is asked of Keystone, and what its answer says besides the token.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vimhost_sdk::prelude::*;

use crate::access::{Access, ApplicationCredential, Domain, Identity, Named};
use crate::catalogue::Catalogue;
use crate::declare::TOKEN_GIVEN;
use crate::failure::refine;
use crate::time::epoch_seconds;

/// How long a token is used whose times are not understood. Keystone's default is an hour; operators have it down to minutes.
const UNKNOWN_LIFETIME: Duration = Duration::from_mins(5);

/// What a certificate that does not stand up to verification is called (`wasi:http`, `error-code`).
const UNTRUSTED: &str = "TlsCertificateError";

/// What everything else that a handshake fails at is called.
const NO_TLS: &str = "TlsProtocolError";

/// What a token is for, and what can be reached with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Project.
    pub project_id: String,
    /// Its name.
    pub project_name: String,
    /// User.
    pub user_id: String,
    /// Roles of the user in the project, by name.
    pub roles: Vec<String>,
    /// The services.
    pub catalogue: Catalogue,
}

impl Scope {
    /// Whether the user has a role in the project.
    #[must_use]
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.eq_ignore_ascii_case(name))
    }
}

#[derive(Deserialize)]
struct Answered {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    expires_at: String,
    #[serde(default)]
    issued_at: String,
    project: Option<Reference>,
    user: Option<Reference>,
    #[serde(default)]
    roles: Vec<Reference>,
    #[serde(default)]
    catalog: Catalogue,
}

#[derive(Default, Deserialize)]
struct Reference {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
}

/// Asks Keystone for a token.
///
/// A failure tells no status: a 404 of Keystone is not the 404 of the element that is being deleted. And nothing is done by it: what the
/// token was for has not been sent, or was refused with 401.
pub(crate) fn log_in(door: &Client, access: &Access) -> Result<(Login, Scope), Failure> {
    let request = door.post(["auth", "tokens"]).json(&body(access));
    let response = request.send().map_err(|failure| explain(refine(failure), access))?;
    let token = response.header(TOKEN_GIVEN).map(str::to_owned);
    let token = token.ok_or_else(|| {
        Failure::from(Error::other(format!(
            "{} answered {} without {TOKEN_GIVEN}: is it Keystone?",
            access.url, response.status
        )))
    })?;
    let Answered { token: told } = response.json().map_err(|mut failure| {
        (failure.status, failure.outcome) = (None, Outcome::NotDone);
        failure
    })?;
    let Some(project) = told.project else {
        let message = format!("Keystone at {} gave a token for no project", access.url);
        return Err(Error::new(ErrorKind::Auth, message).into());
    };
    let user = told.user.unwrap_or_default();
    let scope = Scope {
        project_id: project.id,
        project_name: project.name,
        user_id: user.id,
        roles: told.roles.into_iter().map(|role| role.name).collect(),
        catalogue: told.catalog,
    };
    // Keystone's own two times: the host's clock may be wrong.
    let lifetime = match (epoch_seconds(&told.issued_at), epoch_seconds(&told.expires_at)) {
        (Some(issued), Some(expires)) => Duration::from_secs(expires.saturating_sub(issued)),
        (None, _) | (_, None) => UNKNOWN_LIFETIME,
    };
    Ok((Login { token, lifetime }, scope))
}

/// What the operator can do about a log in that fails.
fn explain(mut failure: Failure, access: &Access) -> Failure {
    match failure.status {
        Some(401) => {
            let who = match &access.identity {
                Identity::Password { .. } => "user, password, project and the domains of both",
                Identity::ApplicationCredential { .. } => "the application credential and its secret",
            };
            failure.error.message.push_str(&format!(" (check {who})"));
        }
        // Neither is an element gone, nor is there anything to wait for.
        Some(404 | 405 | 410) => {
            failure.error.kind = ErrorKind::BadRequest;
            let hint = format!(
                " ({} is not version 3 of Keystone: check the account's URL)",
                access.url
            );
            failure.error.message.push_str(&hint);
        }
        Some(_) => {}
        None => explain_tls(&mut failure, access),
    }
    (failure.status, failure.outcome) = (None, Outcome::NotDone);
    failure
}

/// A certificate that is not trusted is not trusted in a minute either, so it is no VIM that cannot be reached just now.
fn explain_tls(failure: &mut Failure, access: &Access) {
    if failure.error.message.contains(UNTRUSTED) {
        failure.error.kind = ErrorKind::Auth;
        let hint = format!(
            " (the certificate of {} is not trusted: give the account the CA certificate that signed it, and the host name that \
             stands in it)",
            access.url
        );
        failure.error.message.push_str(&hint);
    } else if failure.error.message.contains(NO_TLS) {
        failure.error.kind = ErrorKind::BadRequest;
        let hint = format!(" (is {} served by TLS at all? Check the account's URL)", access.url);
        failure.error.message.push_str(&hint);
    }
}

fn body(access: &Access) -> Value {
    let identity = match &access.identity {
        Identity::Password { user, password } => {
            let mut user = named(user);
            insert(&mut user, "password", json!(password));
            json!({"methods": ["password"], "password": {"user": user}})
        }
        Identity::ApplicationCredential { credential, secret } => {
            let mut told = match credential {
                ApplicationCredential::Id(id) => json!({"id": id}),
                ApplicationCredential::Name { name, user } => json!({"name": name, "user": named(user)}),
            };
            insert(&mut told, "secret", json!(secret));
            json!({"methods": ["application_credential"], "application_credential": told})
        }
    };
    let mut auth = json!({"identity": identity});
    if let Some(project) = &access.project {
        insert(&mut auth, "scope", json!({"project": named(project)}));
    }
    json!({"auth": auth})
}

fn named(named: &Named) -> Value {
    match named {
        Named::Id(id) => json!({"id": id}),
        Named::Name { name, domain } => {
            let domain = match domain {
                Domain::Id(id) => json!({"id": id}),
                Domain::Name(name) => json!({"name": name}),
            };
            json!({"name": name, "domain": domain})
        }
    }
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
