//! Accounts out of `clouds.yaml`, the file that OpenStack's own clients read.
//!
//! Read by the rules of openstacksdk, as far as an account has room for what they say:
//!
//! * a `secure.yaml` beside the file is laid over it, mapping by mapping; what it says goes before;
//! * what stands in `auth` goes before the same beside it, `project_…` before `tenant_…`, and `-` in a name is `_`;
//! * `domain_id` and `domain_name` stand for the domains of user and project that are not named;
//! * of `regions` the first one is meant, unless there is a `region_name`.
//!
//! A `profile` of a vendor is not looked up: it would be another file, out of a package of Python. What cannot be taken over is an
//! error, not left out in silence. No error shows a value of the file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};
use vimhost_model::Secret;

/// The file with what is not to be shown, beside the other one.
const SECURE: &str = "secure.yaml";

/// An account, as a cloud of the file describes it.
#[derive(Debug, Default)]
pub struct Described {
    pub url: String,
    pub user: Option<String>,
    pub tenant: Option<String>,
    /// The credential's name in the connector, and its secret.
    pub credential: Option<(&'static str, Secret)>,
    pub config: Map<String, Value>,
    /// PEM.
    pub ca_certificates: Option<String>,
    pub insecure: bool,
}

/// Reads a cloud of a file.
///
/// # Errors
/// What cannot be read, or cannot be an account.
pub fn read(file: &Path, cloud: &str) -> anyhow::Result<Described> {
    let mut all = parsed(file)?;
    let secure = file.with_file_name(SECURE);
    if secure.is_file() {
        lay_over(&mut all, parsed(&secure)?);
    }
    let clouds = all.get("clouds").and_then(Value::as_object);
    let clouds = clouds.with_context(|| format!("{} has no 'clouds'", file.display()))?;
    let found = match clouds.get(cloud) {
        Some(Value::Object(found)) => found,
        Some(_) => bail!("cloud {cloud} of {} is no map with 'auth'", file.display()),
        None => {
            let known: Vec<&str> = clouds.keys().map(String::as_str).collect();
            bail!("{} has no cloud {cloud}; it has {}", file.display(), known.join(", "))
        }
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    Cloud::of(found)
        .described(folder)
        .with_context(|| format!("cloud {cloud} of {}", file.display()))
}

fn parsed(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    match serde_saphyr::from_str::<Value>(&text) {
        Ok(value) => Ok(value),
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line());
            // Neither the error's text nor its excerpt: both may hold a password.
            bail!("{}:{line}: not YAML", file.display())
        }
    }
}

/// Lays a document over another: mappings are joined, everything else is replaced.
fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// A cloud: its own keys, and those of `auth`.
struct Cloud {
    keys: Map<String, Value>,
    auth: Map<String, Value>,
}

impl Cloud {
    fn of(found: &Map<String, Value>) -> Self {
        let named = |map: &Map<String, Value>| {
            map.iter()
                .map(|(key, value)| (key.replace('-', "_"), value.clone()))
                .collect()
        };
        Self {
            keys: named(found),
            auth: found
                .get("auth")
                .and_then(Value::as_object)
                .map(named)
                .unwrap_or_default(),
        }
    }

    /// The last of several names that is given, one in `auth` before the same beside it.
    fn text(&self, names: &[&str]) -> Option<String> {
        let both = names
            .iter()
            .flat_map(|name| [self.keys.get(*name), self.auth.get(*name)]);
        both.flatten().filter_map(written).next_back()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        let value = self.keys.get(name)?;
        value
            .as_bool()
            .or_else(|| match value.as_str()?.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Some(true),
                "false" | "no" | "0" => Some(false),
                _ => None,
            })
    }

    fn described(&self, folder: &Path) -> anyhow::Result<Described> {
        let url = self.text(&["auth_url"]);
        let url = url.with_context(|| match self.text(&["profile", "cloud"]) {
            Some(_) => "it has no 'auth_url' of its own, and profiles of vendors are not looked up",
            None => "it has no 'auth_url'",
        })?;
        ensure!(
            self.text(&["cert", "key"]).is_none(),
            "it logs in with a client certificate, which an account cannot have"
        );
        let version = self.text(&["identity_api_version"]).unwrap_or_default();
        ensure!(
            !version.starts_with('2'),
            "it wants version 2 of Keystone, which is not supported"
        );
        let mut config = Map::new();
        let kind = self.text(&["auth_type"]).unwrap_or_else(|| "password".to_owned());
        let credential = match kind.as_str() {
            "password" | "v3password" => {
                self.set_domains(&mut config);
                self.text(&["password"]).map(|text| ("password", Secret::new(text)))
            }
            "v3applicationcredential" => {
                let secret = self.text(&["application_credential_secret"]);
                for name in ["application_credential_id", "application_credential_name"] {
                    set(&mut config, name, self.text(&[name]));
                }
                self.set_domains(&mut config);
                secret.map(|text| ("application_credential_secret", Secret::new(text)))
            }
            other => bail!("its auth_type is {other}; an account logs in with password or v3applicationcredential"),
        };
        set(
            &mut config,
            "region_name",
            self.text(&["region_name"]).or_else(|| self.first_region()),
        );
        let interface = self.text(&["endpoint_type", "interface"]);
        set(
            &mut config,
            "interface",
            interface.map(|text| text.trim_end_matches("URL").to_owned()),
        );
        set(
            &mut config,
            "microversion",
            self.text(&["compute_default_microversion"]),
        );
        let ca = self.text(&["cacert"]).map(|path| folder.join(PathBuf::from(path)));
        let ca_certificates = match ca {
            Some(file) => Some(
                std::fs::read_to_string(&file).with_context(|| format!("cannot read its cacert {}", file.display()))?,
            ),
            None => None,
        };
        let insecure = self
            .flag("insecure")
            .or_else(|| self.flag("verify").map(|verify| !verify));
        let insecure = insecure.unwrap_or_default();
        Ok(Described {
            url,
            user: self.text(&["user_id", "user_name", "username"]),
            tenant: self.text(&["tenant_id", "project_id", "tenant_name", "project_name"]),
            credential,
            config,
            // Without verification there is nothing that a certificate is for, and an account takes only one of the two.
            ca_certificates: ca_certificates.filter(|_| !insecure),
            insecure,
        })
    }

    fn set_domains(&self, config: &mut Map<String, Value>) {
        for whose in ["user", "project"] {
            let (id, name) = (format!("{whose}_domain_id"), format!("{whose}_domain_name"));
            let (own_id, own_name) = (self.text(&[&id]), self.text(&[&name]));
            let is_named = own_id.is_some() || own_name.is_some();
            let common = |key: &str| self.text(&[key]).filter(|_| !is_named);
            set(config, &id, own_id.or_else(|| common("domain_id")));
            set(config, &name, own_name.or_else(|| common("domain_name")));
        }
    }

    fn first_region(&self) -> Option<String> {
        let first = self.keys.get("regions")?.as_array()?.first()?;
        written(first.get("name").unwrap_or(first))
    }
}

/// A scalar as a text; a password may be all digits.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn set(config: &mut Map<String, Value>, key: &str, value: Option<String>) {
    if let Some(value) = value {
        config.insert(key.to_owned(), Value::String(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(clouds: &str, secure: Option<&str>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clouds.yaml");
        std::fs::write(&file, clouds).unwrap();
        if let Some(secure) = secure {
            std::fs::write(folder.path().join(SECURE), secure).unwrap();
        }
        (folder, file)
    }

    const CLOUDS: &str = "
clouds:
  lab:
    auth:
      auth_url: https://keystone.example:5000/v3
      username: demo
      project_name: demo
      user_domain_name: Default
      project-domain-name: Default
    region_name: RegionOne
    interface: internal
    identity_api_version: 3
    verify: false
  credential:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://keystone.example:5000
      application_credential_id: abc
      application_credential_secret: 12345
    regions:
    - name: North
    - South
  vendor:
    profile: somebody
    auth: {username: demo, password: CANARY}
  old:
    auth: {auth_url: https://k, username: u, tenant_name: t, password: p, domain_id: d}
    endpoint_type: publicURL
";

    #[test]
    fn a_cloud_becomes_an_account_and_its_password_comes_from_the_secure_file() {
        let (_folder, file) = files(CLOUDS, Some("clouds: {lab: {auth: {password: hush}}}"));
        let lab = read(&file, "lab").unwrap();
        assert_eq!(lab.url, "https://keystone.example:5000/v3");
        assert_eq!(
            (lab.user.as_deref(), lab.tenant.as_deref()),
            (Some("demo"), Some("demo"))
        );
        let (name, secret) = lab.credential.unwrap();
        assert_eq!((name, secret.expose()), ("password", "hush"));
        assert!(lab.insecure);
        let config = serde_json::json!({
            "user_domain_name": "Default", "project_domain_name": "Default", "region_name": "RegionOne", "interface": "internal",
        });
        assert_eq!(Value::Object(lab.config), config);
    }

    #[test]
    fn an_application_credential_keeps_its_secret_out_of_the_settings() {
        let (_folder, file) = files(CLOUDS, None);
        let found = read(&file, "credential").unwrap();
        let (name, secret) = found.credential.unwrap();
        assert_eq!((name, secret.expose()), ("application_credential_secret", "12345"));
        let config = serde_json::json!({"application_credential_id": "abc", "region_name": "North"});
        assert_eq!(Value::Object(found.config), config);
    }

    #[test]
    fn older_names_are_understood_and_one_domain_stands_for_both() {
        let (_folder, file) = files(CLOUDS, None);
        let old = read(&file, "old").unwrap();
        assert_eq!(old.tenant.as_deref(), Some("t"));
        let config = serde_json::json!({"user_domain_id": "d", "project_domain_id": "d", "interface": "public"});
        assert_eq!(Value::Object(old.config), config);
    }

    #[test]
    fn what_cannot_be_taken_over_is_an_error_without_secrets() {
        let (_folder, file) = files(CLOUDS, None);
        let vendor = format!("{:#}", read(&file, "vendor").unwrap_err());
        assert!(vendor.contains("auth_url") && !vendor.contains("CANARY"), "{vendor}");
        let unknown = format!("{:#}", read(&file, "nowhere").unwrap_err());
        assert!(unknown.contains("credential, lab"), "{unknown}");
        let (_folder, odd) = files("clouds: {lab: CANARY}", None);
        let odd = format!("{:#}", read(&odd, "lab").unwrap_err());
        assert!(odd.contains("no map") && !odd.contains("CANARY"), "{odd}");
        let (_folder, broken) = files("clouds: {lab: {auth: {password: CANARY", None);
        let broken = format!("{:#}", read(&broken, "lab").unwrap_err());
        assert!(broken.contains("not YAML") && !broken.contains("CANARY"), "{broken}");
    }

    #[test]
    fn a_relative_certificate_lies_beside_the_file() {
        let clouds = "clouds: {lab: {auth: {auth_url: https://k, username: u, password: p}, cacert: ca.pem}}";
        let (folder, file) = files(clouds, None);
        assert!(format!("{:#}", read(&file, "lab").unwrap_err()).contains("ca.pem"));
        std::fs::write(folder.path().join("ca.pem"), "PEM").unwrap();
        assert_eq!(read(&file, "lab").unwrap().ca_certificates.as_deref(), Some("PEM"));
    }
}
