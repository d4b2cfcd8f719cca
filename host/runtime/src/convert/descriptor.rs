//! Who a plugin says it is. Read once, when it is loaded, and strictly: these rules decide where credentials go.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vimhost_connector::{
    AnswerCredential, CredentialSlot, CredentialUse, Descriptor, EgressWish, OriginScope, Place, TokenPlace,
};
use vimhost_model::hex;

use super::answer::kind;
use super::{Reader, Rubbish};
use crate::bindings::guest::connector as wit;

/// Longest name of a plugin, VIM type or credential.
const NAME: usize = 64;
/// Longest header name, path or pointer of a rule.
const RULE: usize = 256;
/// VIM types, credentials, rules of one list: `OpenStack` has one type, four credentials, a dozen rules.
const ITEMS: usize = 64;

impl Reader<'_> {
    /// A descriptor.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(crate) fn descriptor(self, told: wit::Descriptor) -> Result<Descriptor, Rubbish> {
        let config_schema = self.json(&told.config_schema, "config-schema")?;
        if !matches!(config_schema, Value::Object(_) | Value::Bool(_)) {
            return Err("config-schema is not a JSON schema".into());
        }
        let vim_types = few(told.vim_types, "vim-types", |name| named(name, "vim-types"))?;
        if vim_types.is_empty() {
            return Err("vim-types is empty, so no account could choose the plugin".into());
        }
        let descriptor = Descriptor {
            name: named(told.name, "name")?,
            version: versioned(told.version)?,
            description: self.text(told.description, "description")?,
            vim_types,
            config_schema,
            credentials: few(told.credentials, "credentials", |slot| self.slot(slot))?,
            answer_credentials: few(told.answer_credentials, "answer-credentials", answer_credential)?,
            egress: few(told.egress, "egress", |wish| {
                Ok(EgressWish {
                    origins: scope(wish.origins),
                    reason: self.text(wish.reason, "egress.reason")?,
                })
            })?,
            tokens: few(told.tokens, "tokens", |place| {
                Ok(TokenPlace {
                    kind: kind(place.kind),
                    place: self.text(place.where_, "tokens.where")?,
                    findable: place.findable,
                })
            })?,
        };
        let mut names: Vec<&str> = descriptor.credentials.iter().map(|slot| slot.name.as_str()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[one, two]| one == two) {
            return Err(format!("credentials names '{name}' twice"));
        }
        Ok(descriptor)
    }

    fn slot(self, slot: wit::CredentialSlot) -> Result<CredentialSlot, Rubbish> {
        Ok(CredentialSlot {
            name: named(slot.name, "credentials.name")?,
            description: self.text(slot.description, "credentials.description")?,
            required: slot.required,
            uses: few(slot.uses, "credentials.uses", credential_use)?,
        })
    }
}

fn answer_credential(told: wit::AnswerCredential) -> Result<AnswerCredential, Rubbish> {
    Ok(AnswerCredential {
        name: named(told.name, "answer-credentials.name")?,
        method: method(told.method)?,
        path: path(told.path)?,
        header: header(&told.header)?,
        uses: few(told.uses, "answer-credentials.uses", credential_use)?,
    })
}

fn credential_use(told: wit::UseOfCredential) -> Result<CredentialUse, Rubbish> {
    Ok(CredentialUse {
        method: method(told.method)?,
        path: path(told.path)?,
        origins: scope(told.origins),
        place: match told.place {
            wit::Place::Header(place) => Place::Header {
                name: header(&place.name)?,
                prefix: place
                    .prefix
                    .filter(|prefix| !prefix.is_empty())
                    .map(|prefix| rule(prefix, "a header's prefix"))
                    .transpose()?,
            },
            wit::Place::JsonPointer(pointer) if pointer.starts_with('/') => {
                Place::JsonPointer(rule(pointer, "a JSON pointer")?)
            }
            wit::Place::JsonPointer(_) => return Err("a JSON pointer does not begin with '/'".into()),
            wit::Place::FormField(field) => Place::FormField(rule(field, "a form field")?),
            wit::Place::BasicPassword => Place::BasicPassword,
        },
    })
}

fn scope(scope: wit::OriginScope) -> OriginScope {
    match scope {
        wit::OriginScope::AccountUrl => OriginScope::AccountUrl,
        wit::OriginScope::Granted => OriginScope::Granted,
    }
}

fn method(method: String) -> Result<String, Rubbish> {
    if method == "*" || (!method.is_empty() && method.len() <= 16 && method.bytes().all(|b| b.is_ascii_uppercase())) {
        return Ok(method);
    }
    Err("a method is neither '*' nor an HTTP method".into())
}

fn path(path: String) -> Result<String, Rubbish> {
    if !path.starts_with(['/', '*']) || path.contains(['?', '#']) {
        return Err("a path begins with neither '/' nor '*', or holds a query".into());
    }
    rule(path, "a path")
}

fn header(name: &str) -> Result<String, Rubbish> {
    let parsed: http::HeaderName = rule(name.to_owned(), "a header name")?
        .parse()
        .map_err(|_| "a header name is none".to_owned())?;
    Ok(parsed.as_str().to_owned())
}

fn rule(text: String, what: &str) -> Result<String, Rubbish> {
    if text.is_empty() || text.len() > RULE || text.chars().any(char::is_control) {
        return Err(format!(
            "{what} is empty, longer than {RULE} bytes or holds control characters"
        ));
    }
    Ok(text)
}

fn named(name: String, what: &str) -> Result<String, Rubbish> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME || !name.bytes().all(fits) {
        return Err(format!("{what} is not 1 to {NAME} letters, digits, '-', '_' and '.'"));
    }
    Ok(name)
}

fn versioned(version: String) -> Result<String, Rubbish> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let semantic = numbers.split('.').count() == 3 && numbers.split('.').all(|n| n.parse::<u64>().is_ok());
    if !semantic || version.len() > NAME || !version.bytes().all(fits) {
        return Err("version is not a semantic version".into());
    }
    Ok(version)
}

fn few<A, B>(items: Vec<A>, what: &str, read: impl Fn(A) -> Result<B, Rubbish>) -> Result<Vec<B>, Rubbish> {
    if items.len() > ITEMS {
        return Err(format!("{what} has {} items, at most {ITEMS} are allowed", items.len()));
    }
    items.into_iter().map(read).collect()
}

/// What an operator approves: where credentials go and who may be reached. Texts for people are left out, so a better wording
/// needs no new approval.
pub(crate) fn rules_digest(descriptor: &Descriptor) -> String {
    let slots: Vec<Value> = descriptor
        .credentials
        .iter()
        .map(|slot| json!({ "name": slot.name, "uses": slot.uses }))
        .collect();
    let egress: Vec<OriginScope> = descriptor.egress.iter().map(|wish| wish.origins).collect();
    let rules = json!({
        "credentials": slots,
        "answer_credentials": descriptor.answer_credentials,
        "egress": egress,
    });
    hex(&Sha256::digest(rules.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn told() -> wit::Descriptor {
        wit::Descriptor {
            name: "mock".into(),
            version: "0.1.0".into(),
            description: "A mock.".into(),
            vim_types: vec!["mock".into()],
            config_schema: "{}".into(),
            credentials: vec![],
            answer_credentials: vec![],
            egress: vec![],
            tokens: vec![],
        }
    }

    fn slot(place: wit::Place, path: &str) -> wit::CredentialSlot {
        wit::CredentialSlot {
            name: "password".into(),
            description: "For people.".into(),
            required: true,
            uses: vec![wit::UseOfCredential {
                method: "POST".into(),
                path: path.into(),
                origins: wit::OriginScope::AccountUrl,
                place,
            }],
        }
    }

    #[test]
    fn rubbish_is_refused_with_the_field() {
        let limits = Limits::default();
        let read = |told| Reader::new(&limits).descriptor(told);
        assert!(read(told()).is_ok());
        type Spoil = fn(&mut wit::Descriptor);
        let wrong: [(Spoil, &str); 9] = [
            (|d| d.name = String::new(), "name"),
            (|d| d.name = "a\nb".into(), "name"),
            (|d| d.version = "1".into(), "version"),
            (|d| d.vim_types.clear(), "vim-types is empty"),
            (|d| d.config_schema = "{".into(), "config-schema is not JSON"),
            (|d| d.config_schema = "[]".into(), "config-schema is not a JSON schema"),
            (|d| d.description = "x".repeat(5000), "description has 5000 bytes"),
            (
                |d| d.credentials = vec![slot(wit::Place::JsonPointer("a".into()), "/x")],
                "JSON pointer",
            ),
            (|d| d.credentials = vec![slot(wit::Place::BasicPassword, "x?y")], "path"),
        ];
        for (spoil, expected) in wrong {
            let mut told = told();
            spoil(&mut told);
            let error = read(told).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_rules_digest_changes_with_rules_and_not_with_wording() {
        let limits = Limits::default();
        let digest = |told| rules_digest(&Reader::new(&limits).descriptor(told).unwrap());
        let with = |slot| wit::Descriptor {
            credentials: vec![slot],
            ..told()
        };
        let base = digest(with(slot(wit::Place::BasicPassword, "/x")));
        let mut reworded = slot(wit::Place::BasicPassword, "/x");
        reworded.description = "Other words.".into();
        assert_eq!(base, digest(with(reworded)));
        assert_ne!(base, digest(with(slot(wit::Place::BasicPassword, "*"))));
        assert_ne!(base, digest(told()));
    }
}
