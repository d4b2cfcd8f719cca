//! OSM's account documents, read into what vimhost keeps of an account (NG-RO REST 6.3, 6.4).
//!
//! | vimhost | `vim_accounts` | `wim_accounts` | `sdns` |
//! | --- | --- | --- | --- |
//! | type | `vim_type` | `wim_type` | `type` |
//! | URL | `vim_url` | `wim_url` | `url` |
//! | user | `vim_user` | `user` | `user` |
//! | credential `password` | `vim_password` | `password` | `password` |
//! | tenant | `vim_tenant_name`, `vim_tenant_id` | | |
//! | settings | `config` | `config` | `config`, `dpid`, `switch_id` |
//!
//! Of `config`, NG-RO itself takes `ca_cert_content` and hands `insecure` to a connector that makes its own connections. Here the host
//! makes them, so both leave the settings. So does every text whose key names a password or a secret, at any depth: a connector
//! never sees one. It is kept as the credential `config.<path>`, `config.nsx_password` for instance, for a plugin that declares it.
//!
//! An error names the field and what is wrong with it, never its value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use vimhost_engine::AccountContent;
use vimhost_model::{Secret, TargetId, TargetKind};

use crate::cipher::{Cipher, CipherError};

/// Name of the credential that every kind of account has.
const PASSWORD: &str = "password";

/// Settings of an SDN controller that stand beside its `config`.
const SDN_SETTINGS: &[&str] = &["dpid", "switch_id"];

/// What NBI encrypts in `config` (NG-RO REST 6.4). These are wrong when they cannot be decrypted; any other secret may have been
/// written in clear, and is taken as it stands then.
const ENCRYPTED: &[&str] = &[
    "admin_password",
    "nsx_password",
    "vcenter_password",
    "vrops_password",
    "credentials.clientSecret",
    "credentials.SecretAccessKey",
];

/// Certificates of authorities, PEM.
const CA: &str = "ca_cert_content";

/// A file with them, somewhere in a container of OSM.
const CA_FILE: &str = "ca_cert";

/// TLS is not verified.
const INSECURE: &str = "insecure";

/// A document that is no account, by the field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct FieldError {
    /// Path of the field: `config.nsx_password`.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl FieldError {
    fn new(field: &str, what: impl ToString) -> Self {
        Self {
            field: field.to_owned(),
            what: what.to_string(),
        }
    }
}

/// What the fields of a kind of account are called.
struct Names {
    vim_type: &'static str,
    url: &'static str,
    user: &'static str,
    password: &'static str,
    /// The first that is there.
    tenant: &'static [&'static str],
    /// Beside `config`.
    settings: &'static [&'static str],
}

impl Names {
    fn of(kind: TargetKind) -> Self {
        match kind {
            TargetKind::Vim => Self {
                vim_type: "vim_type",
                url: "vim_url",
                user: "vim_user",
                password: "vim_password",
                tenant: &["vim_tenant_name", "vim_tenant_id"],
                settings: &[],
            },
            TargetKind::Wim => Self {
                vim_type: "wim_type",
                url: "wim_url",
                user: "user",
                password: "password",
                tenant: &[],
                settings: &[],
            },
            TargetKind::Sdn => Self {
                vim_type: "type",
                url: "url",
                user: "user",
                password: "password",
                tenant: &[],
                settings: SDN_SETTINGS,
            },
        }
    }
}

/// Every field of a document that says something about the account, `_id` and `_admin` excepted: where these are the same, it is the
/// same account.
#[must_use]
pub fn fields(kind: TargetKind) -> Vec<&'static str> {
    let names = Names::of(kind);
    let mut fields = vec!["name", "description", "schema_version", "config"];
    fields.extend([names.vim_type, names.url, names.user, names.password]);
    fields.extend(names.tenant);
    fields.extend(names.settings);
    fields
}

/// Reads an account.
///
/// # Errors
/// The first field that is wrong.
pub fn parse(target: &TargetId, document: &Value, cipher: &Cipher) -> Result<AccountContent, FieldError> {
    let names = Names::of(target.kind);
    let reader = Reader {
        document,
        cipher,
        version: text(document, "schema_version")?,
        salt: target.account.as_str(),
    };
    let mut credentials = BTreeMap::new();
    let mut config = reader.config(&mut credentials)?;
    for name in names.settings {
        if let Some(value) = document.get(*name).filter(|value| !value.is_null()) {
            config.entry(*name).or_insert_with(|| value.clone());
        }
    }
    if let Some(password) = text(document, names.password)?.filter(|password| !password.is_empty()) {
        let secret = reader.secret(names.password, password, Must::Decrypt)?;
        keep(&mut credentials, PASSWORD, secret);
    }
    let mut tenant = None;
    for name in names.tenant {
        tenant = tenant.or(filled(document, name)?);
    }
    let (ca_certificates, insecure_tls) = tls(&mut config)?;
    Ok(AccountContent {
        target: target.clone(),
        name: filled(document, "name")?.unwrap_or_else(|| target.account.to_string()),
        description: filled(document, "description")?.unwrap_or_default(),
        vim_type: needed(document, names.vim_type)?,
        url: needed(document, names.url)?,
        user: filled(document, names.user)?,
        tenant,
        config,
        credentials,
        ca_certificates,
        insecure_tls,
    })
}

/// A text, or none.
fn text<'d>(document: &'d Value, field: &str) -> Result<Option<&'d str>, FieldError> {
    match document.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(FieldError::new(field, "is not a text"))
        }
    }
}

/// A text that says something, or none.
fn filled(document: &Value, field: &str) -> Result<Option<String>, FieldError> {
    let text = text(document, field)?.filter(|text| !text.is_empty());
    Ok(text.map(str::to_owned))
}

fn needed(document: &Value, field: &str) -> Result<String, FieldError> {
    filled(document, field)?.ok_or_else(|| FieldError::new(field, "is missing"))
}

fn keep(credentials: &mut BTreeMap<String, Secret>, slot: &str, secret: Secret) {
    // An empty password is OSM's word for none.
    if !secret.expose().is_empty() {
        credentials.insert(slot.to_owned(), secret);
    }
}

/// Takes what the host itself acts on out of the settings: the certificates, and whether TLS is verified.
fn tls(config: &mut Map<String, Value>) -> Result<(Option<String>, bool), FieldError> {
    let of_config = |key: &str| format!("config.{key}");
    let certificates = match config.remove(CA) {
        None | Some(Value::Null) => None,
        Some(Value::String(pem)) => Some(pem).filter(|pem| !pem.is_empty()),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(FieldError::new(&of_config(CA), "is not a text"));
        }
    };
    let insecure = match config.remove(INSECURE) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(insecure)) => insecure,
        Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(FieldError::new(&of_config(INSECURE), "is neither true nor false"));
        }
    };
    if insecure && certificates.is_some() {
        return Err(FieldError::new(&of_config(INSECURE), format!("excludes {CA}")));
    }
    let file = config.remove(CA_FILE).is_some_and(|file| !file.is_null());
    // With the content there, NG-RO replaces the file too.
    if file && certificates.is_none() && !insecure {
        let what = format!("names a file, which connectors cannot read; put the certificates into {CA}");
        return Err(FieldError::new(&of_config(CA_FILE), what));
    }
    Ok((certificates, insecure))
}

/// What a secret that cannot be decrypted is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// NBI encrypts it, so the key is wrong.
    Decrypt,
    /// Perhaps it was never encrypted.
    Nothing,
}

struct Reader<'d> {
    document: &'d Value,
    cipher: &'d Cipher,
    version: Option<&'d str>,
    salt: &'d str,
}

impl Reader<'_> {
    /// A secret in clear. What does not even look encrypted is in clear already: the Python RO cannot load such an account.
    fn secret(&self, field: &str, text: &str, must: Must) -> Result<Secret, FieldError> {
        match (self.cipher.decrypt(text, self.version, self.salt), must) {
            (Ok(secret), _) => Ok(secret),
            (Err(CipherError::Form), _) | (Err(CipherError::Key), Must::Nothing) => Ok(Secret::new(text)),
            (Err(error @ CipherError::Key), Must::Decrypt) => Err(FieldError::new(field, error)),
        }
    }

    /// The settings without their secrets, which become credentials.
    fn config(&self, credentials: &mut BTreeMap<String, Secret>) -> Result<Map<String, Value>, FieldError> {
        match self.document.get("config") {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(config)) => self.without_secrets(config, "", credentials),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Err(FieldError::new("config", "is not a map"))
            }
        }
    }

    /// As deep as the document goes, which MongoDB limits to a hundred levels.
    fn without_secrets(
        &self,
        map: &Map<String, Value>,
        path: &str,
        credentials: &mut BTreeMap<String, Secret>,
    ) -> Result<Map<String, Value>, FieldError> {
        let mut rest = Map::new();
        for (key, value) in map {
            let place = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            match value.as_str().filter(|_| names_a_secret(key)) {
                Some(text) => {
                    let must = if ENCRYPTED.contains(&&*place) {
                        Must::Decrypt
                    } else {
                        Must::Nothing
                    };
                    let slot = format!("config.{place}");
                    let secret = self.secret(&slot, text, must)?;
                    keep(credentials, &slot, secret);
                }
                None => {
                    rest.insert(key.clone(), self.inside(value, &place, credentials)?);
                }
            }
        }
        Ok(rest)
    }

    fn inside(
        &self,
        value: &Value,
        path: &str,
        credentials: &mut BTreeMap<String, Secret>,
    ) -> Result<Value, FieldError> {
        Ok(match value {
            Value::Object(map) => Value::Object(self.without_secrets(map, path, credentials)?),
            Value::Array(values) => {
                let values = values.iter().enumerate();
                let inside = values.map(|(index, value)| self.inside(value, &format!("{path}.{index}"), credentials));
                Value::Array(inside.collect::<Result<_, _>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        })
    }
}

/// NG-RO's rule, for any kind of account and at any depth.
fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // Amazon's `SecretAccessKey` is named by it too.
    key.contains("password") || key.contains("secret")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Salt of all ciphertexts here; they were made with another implementation of the scheme.
    const ID: &str = "22222222-2222-2222-2222-222222222222";
    const NSX: &str = "9B1Gf7inrHKode9fgN19/59wINeoNeDtx2Q1lhOQOz4=";
    const CLIENT: &str = "Ic+N5WgXIdAq4R04opJymQ==";
    const SDN: &str = "HCoEq4nKRf1FIiuxvxpsZQ==";

    fn cipher(common_key: &str) -> Cipher {
        let serial = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        Cipher::new(Some(&Secret::new(common_key)), Some(serial)).unwrap()
    }

    fn target(kind: &str) -> TargetId {
        format!("{kind}:{ID}").parse().unwrap()
    }

    fn parsed(kind: &str, document: Value) -> Result<AccountContent, FieldError> {
        parse(&target(kind), &document, &cipher("osmcommonkey"))
    }

    fn secrets(account: &AccountContent) -> Vec<(&str, &str)> {
        let shown = account.credentials.iter();
        shown.map(|(slot, secret)| (slot.as_str(), secret.expose())).collect()
    }

    fn vim(more: Value) -> Value {
        let mut document = json!({"_id": ID, "name": "cloud", "vim_type": "openstack", "vim_url": "http://k:5000/v3",
            "vim_user": "me", "vim_tenant_name": "mine", "schema_version": "1.11",
            "_admin": {"operationalState": "PROCESSING"}});
        for (key, value) in more.as_object().unwrap() {
            document[key] = value.clone();
        }
        document
    }

    #[test]
    fn a_vim_account_is_read_and_its_secrets_are_no_settings() {
        let account = parsed(
            "vim",
            vim(json!({
                "description": null, "vim_password": SDN,
                "config": {"region_name": "north", "nsx_password": NSX, "ca_cert_content": "-----BEGIN", "ca_cert": "/x",
                           "credentials": {"clientSecret": CLIENT, "clientId": "id"},
                           "list": [{"user_password": CLIENT}], "client_secret": "in clear", "api_secret": ""}})),
        )
        .unwrap();
        assert_eq!(
            (&*account.name, &*account.vim_type, &*account.url, &*account.description),
            ("cloud", "openstack", "http://k:5000/v3", "")
        );
        assert_eq!(
            (account.user.as_deref(), account.tenant.as_deref()),
            (Some("me"), Some("mine"))
        );
        assert_eq!(
            secrets(&account),
            [
                ("config.client_secret", "in clear"),
                ("config.credentials.clientSecret", "client-secret"),
                ("config.list.0.user_password", "client-secret"),
                ("config.nsx_password", "nsx-secret-password"),
                ("password", "sdn-password"),
            ]
        );
        assert_eq!(
            Value::Object(account.config),
            json!({"region_name": "north", "credentials": {"clientId": "id"}, "list": [{}]})
        );
        assert_eq!(account.ca_certificates.as_deref(), Some("-----BEGIN"));
        assert!(!account.insecure_tls);
    }

    #[test]
    fn wim_and_sdn_accounts_have_names_of_their_own() {
        let wim = json!({"_id": ID, "name": "w", "wim_type": "onos", "wim_url": "http://w", "user": "u", "password": SDN,
                         "schema_version": "1.11"});
        let wim = parsed("wim", wim).unwrap();
        assert_eq!((&*wim.vim_type, &*wim.url), ("onos", "http://w"));
        assert_eq!(secrets(&wim), [("password", "sdn-password")]);
        let sdn = json!({"_id": ID, "name": "s", "type": "onosof", "url": "http://s", "dpid": "00:01", "user": "u",
                         "schema_version": "1.11", "config": {"a": 1}});
        let sdn = parsed("sdn", sdn).unwrap();
        assert_eq!(Value::Object(sdn.config), json!({"a": 1, "dpid": "00:01"}));
        assert!(sdn.credentials.is_empty() && sdn.tenant.is_none());
    }

    #[test]
    fn an_error_names_the_field_and_not_its_value() {
        for (more, error) in [
            (json!({"vim_url": null}), "vim_url: is missing"),
            (json!({"vim_url": ""}), "vim_url: is missing"),
            (json!({"vim_type": null}), "vim_type: is missing"),
            (json!({"vim_user": 5}), "vim_user: is not a text"),
            (json!({"vim_password": {"CANARY": 1}}), "vim_password: is not a text"),
            (json!({"schema_version": 1.1}), "schema_version: is not a text"),
            (json!({"config": ["CANARY"]}), "config: is not a map"),
            (
                json!({"config": {"insecure": "CANARY"}}),
                "config.insecure: is neither true nor false",
            ),
            (
                json!({"config": {"insecure": true, "ca_cert_content": "CANARY"}}),
                "config.insecure: excludes ca_cert_content",
            ),
            (
                json!({"config": {"ca_cert": "/CANARY"}}),
                "config.ca_cert: names a file, which connectors cannot read; put the certificates into ca_cert_content",
            ),
        ] {
            assert_eq!(parsed("vim", vim(more)).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn a_wrong_common_key_is_told_at_the_first_secret_that_nbi_encrypts() {
        let read = |more| parse(&target("vim"), &vim(more), &cipher("other"));
        let wrong =
            |field: &str| format!("{field}: cannot be decrypted: the common key is not that of OSM's other components");
        assert_eq!(
            read(json!({"vim_password": SDN})).unwrap_err().to_string(),
            wrong("vim_password")
        );
        assert_eq!(
            read(json!({"config": {"nsx_password": NSX}})).unwrap_err().to_string(),
            wrong("config.nsx_password")
        );
        // Nobody knows whether this one was encrypted.
        let account = read(json!({"config": {"x_secret": CLIENT}})).unwrap();
        assert_eq!(secrets(&account), [("config.x_secret", CLIENT)]);
    }

    #[test]
    fn a_password_in_clear_is_taken_as_it_is() {
        // The form of a record that OSM's own tests use: a version that encrypts, and a password in clear.
        let account = parsed("vim", vim(json!({"vim_password": "mypassword"}))).unwrap();
        assert_eq!(secrets(&account), [("password", "mypassword")]);
        let account = parsed(
            "vim",
            vim(json!({"vim_password": "mypassword", "schema_version": "1.0"})),
        )
        .unwrap();
        assert_eq!(secrets(&account), [("password", "mypassword")]);
        assert!(
            parsed("vim", vim(json!({"vim_password": ""})))
                .unwrap()
                .credentials
                .is_empty()
        );
    }

    #[test]
    fn every_field_that_is_read_is_one_that_is_compared() {
        let fields = fields(TargetKind::Sdn);
        for field in [
            "name",
            "type",
            "url",
            "user",
            "password",
            "config",
            "dpid",
            "schema_version",
        ] {
            assert!(fields.contains(&field), "{field}");
        }
        assert!(super::fields(TargetKind::Vim).contains(&"vim_tenant_id"));
    }
}
