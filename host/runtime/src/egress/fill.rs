//! Putting secrets in, and taking them out.
//!
//! A handle is replaced only where the plugin's descriptor, which the operator approved, says that this credential goes: method,
//! path, place, origin. A handle anywhere else refuses the request. Replacing it wherever it stands would give the secret away:
//! a plugin could create a server whose name is the handle, and read the name back.
//!
//! Bodies are parsed, changed and written again, not searched and replaced, so what was checked is what is sent even for JSON
//! with escapes or repeated keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::Value;
use vimhost_connector::{AnswerCredential, CredentialUse, Place};
use vimhost_model::{Origin, Secret};

use super::policy::Policy;
use super::vault::{Credential, PREFIX, Vault, handles_in, is_handle};

/// A request as rules see it.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) origin: &'a Origin,
    pub(super) policy: &'a Policy,
}

impl Target<'_> {
    fn fits(&self, method: &str, path: &str) -> bool {
        let by_method = method == "*" || method.eq_ignore_ascii_case(self.method.as_str());
        let by_path = match path.strip_prefix('*') {
            Some(end) => self.path.ends_with(end),
            None => self.path == path,
        };
        by_method && by_path
    }

    fn allows(&self, rule: &CredentialUse) -> bool {
        self.fits(&rule.method, &rule.path) && self.policy.holds(rule.origins, self.origin)
    }
}

/// Replaces every handle of a request.
///
/// # Errors
/// The place of a handle that no rule allows.
pub(super) fn fill(
    target: Target<'_>,
    uri: &Uri,
    headers: &mut HeaderMap,
    body: Bytes,
    vault: &Vault,
) -> Result<Bytes, String> {
    if contains_handle(uri.path_and_query().map_or("", |text| text.as_str()).as_bytes()) {
        return Err(misplaced("in its URL"));
    }
    let in_body = body.windows(PREFIX.len()).any(|window| window == PREFIX.as_bytes()) && !handles_in(&body).is_empty();
    let in_headers = headers.values().any(|value| contains_handle(value.as_bytes()));
    if (in_body || in_headers) && is_crooked(target.path) {
        return Err("its path holds dots, encoded dots or backslashes beside a credential handle".into());
    }
    for (name, value) in headers.iter_mut() {
        if contains_handle(value.as_bytes()) {
            *value = fill_header(target, name.as_str(), value, vault)?;
        }
    }
    if !in_body {
        return Ok(body);
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        fill_form(target, &body, vault)
    } else {
        fill_json(target, &body, vault)
    }
}

fn fill_header(target: Target<'_>, name: &str, value: &HeaderValue, vault: &Vault) -> Result<HeaderValue, String> {
    let place = format!("in its header '{name}'");
    let text = value.to_str().map_err(|_| misplaced(&place))?;
    let handles = handles_in(text.as_bytes());
    let [handle] = handles.as_slice() else {
        return Err(misplaced(&place));
    };
    let credential = known(vault, handle)?;
    let before = text.strip_suffix(handle.as_str()).ok_or_else(|| misplaced(&place))?;
    let filled = credential
        .uses
        .iter()
        .filter(|rule| target.allows(rule))
        .find_map(|rule| match &rule.place {
            Place::Header { name: declared, prefix } => (declared.eq_ignore_ascii_case(name)
                && prefix.as_deref().unwrap_or_default() == before)
                .then(|| format!("{before}{}", credential.secret.expose())),
            Place::BasicPassword => {
                let user = before.strip_prefix("Basic ")?.strip_suffix(':')?;
                (AUTHORIZATION == name).then(|| {
                    let pair = STANDARD.encode(format!("{user}:{}", credential.secret.expose()));
                    vault.look_for(pair.clone().into_bytes());
                    format!("Basic {pair}")
                })
            }
            Place::JsonPointer(_) | Place::FormField(_) => None,
        })
        .ok_or_else(|| elsewhere(&credential, &place))?;
    let mut filled = HeaderValue::try_from(filled)
        .map_err(|_| format!("the credential '{}' cannot stand in a header", credential.name))?;
    filled.set_sensitive(true);
    Ok(filled)
}

fn fill_json(target: Target<'_>, body: &[u8], vault: &Vault) -> Result<Bytes, String> {
    let mut document: Value =
        serde_json::from_slice(body).map_err(|_| misplaced("in a body that is neither JSON nor a form"))?;
    fill_value(target, &mut document, &mut String::new(), vault)?;
    serde_json::to_vec(&document)
        .map(Bytes::from)
        .map_err(|error| format!("its body cannot be written: {error}"))
}

fn fill_value(target: Target<'_>, value: &mut Value, pointer: &mut String, vault: &Vault) -> Result<(), String> {
    let below = |pointer: &mut String, step: &str, child: &mut Value| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        let result = fill_value(target, child, pointer, vault);
        pointer.truncate(length);
        result
    };
    match value {
        Value::Object(members) => {
            for (key, child) in members.iter_mut() {
                if contains_handle(key.as_bytes()) {
                    return Err(misplaced("as a key of its JSON body"));
                }
                below(pointer, key, child)?;
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter_mut().enumerate() {
                below(pointer, &index.to_string(), child)?;
            }
        }
        Value::String(text) if contains_handle(text.as_bytes()) => {
            let place = format!("at '{pointer}' of its JSON body");
            let declared = |rule: &CredentialUse| matches!(&rule.place, Place::JsonPointer(at) if at == pointer);
            *text = exposed(target, text, vault, &place, declared)?;
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn fill_form(target: Target<'_>, body: &[u8], vault: &Vault) -> Result<Bytes, String> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (field, value) in url::form_urlencoded::parse(body) {
        if contains_handle(field.as_bytes()) {
            return Err(misplaced("as a field name of its form"));
        }
        if contains_handle(value.as_bytes()) {
            let place = format!("in the field '{field}' of its form");
            let declared = |rule: &CredentialUse| matches!(&rule.place, Place::FormField(name) if *name == *field);
            form.append_pair(&field, &exposed(target, &value, vault, &place, declared)?);
        } else {
            form.append_pair(&field, &value);
        }
    }
    Ok(Bytes::from(form.finish()))
}

/// The secret of a text that is exactly a handle, where a rule allows it.
fn exposed(
    target: Target<'_>,
    text: &str,
    vault: &Vault,
    place: &str,
    declared: impl Fn(&CredentialUse) -> bool,
) -> Result<String, String> {
    if !is_handle(text.as_bytes()) {
        return Err(misplaced(place));
    }
    let credential = known(vault, text)?;
    if credential.uses.iter().any(|rule| declared(rule) && target.allows(rule)) {
        Ok(credential.secret.expose().to_owned())
    } else {
        Err(elsewhere(&credential, place))
    }
}

/// Takes credentials out of an answer's head and puts handles in.
///
/// # Errors
/// When no handle can be made.
pub(super) fn swap_answer(
    target: Target<'_>,
    headers: &mut HeaderMap,
    rules: &[AnswerCredential],
    vault: &Vault,
) -> Result<(), String> {
    for rule in rules.iter().filter(|rule| target.fits(&rule.method, &rule.path)) {
        let Ok(name) = http::HeaderName::try_from(&rule.header) else {
            continue;
        };
        // A header that stands twice has no single value; all of them are taken out.
        let values: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
        headers.remove(&name);
        for value in values {
            let Ok(secret) = value.to_str() else { continue };
            let handle = vault
                .keep_answer(&rule.name, Secret::new(secret), &rule.uses)
                .map_err(|error| error.to_string())?;
            if let Ok(handle) = HeaderValue::try_from(handle) {
                headers.append(&name, handle);
            }
        }
    }
    Ok(())
}

fn known(vault: &Vault, handle: &str) -> Result<Credential, String> {
    vault
        .get(handle)
        .ok_or_else(|| "it holds a credential handle that is unknown or was dropped".to_owned())
}

fn contains_handle(text: &[u8]) -> bool {
    !handles_in(text).is_empty()
}

/// A path that a server may read as another one than the rules did.
fn is_crooked(path: &str) -> bool {
    path.contains('\\')
        || path.to_ascii_lowercase().contains("%2e")
        || path.to_ascii_lowercase().contains("%2f")
        || path.split('/').any(|segment| segment == "." || segment == "..")
}

fn misplaced(place: &str) -> String {
    format!("it holds a credential handle {place}, where none may stand")
}

fn elsewhere(credential: &Credential, place: &str) -> String {
    format!(
        "it holds the credential '{}' {place}, where the plugin's rules do not allow it for this method, path and origin",
        credential.name
    )
}
