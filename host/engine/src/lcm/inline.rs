//! A connection that a client wrote out in full: who logs in where, and whose certificates are trusted there.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use vimhost_model::vnf::VimConnectionInfo;
use vimhost_model::{Origin, Secret};
use vimhost_store::StoredAccount;

use crate::Error;

/// The credential slot of a password.
pub(super) const PASSWORD: &str = "password";

/// Settings of a connector of OpenStack by the attributes of `accessInfo` that they are made of, each with the one that says the same by id.
const SETTINGS: [(&str, &str, Option<&str>); 3] = [
    ("region", "region_name", None),
    ("projectDomain", "project_domain_name", Some("project_domain_id")),
    ("userDomain", "user_domain_name", Some("user_domain_id")),
];

/// Settings of a registered account that say who logs in: of no use to another user.
const OF_THE_USER: [&str; 2] = ["application_credential_id", "application_credential_name"];

/// The domain where none is named.
const DEFAULT_DOMAIN: &str = "default";

/// Attributes of `interfaceInfo` that say whose certificates are trusted.
const SKIP: &str = "skipCertificateVerification";
const SKIP_HOSTNAME: &str = "skipCertificateHostnameCheck";
const TRUSTED: &str = "trustedCertificates";

/// How a certificate in PEM begins.
const PEM: &str = "-----BEGIN CERTIFICATE-----";

/// Bytes of certificates: some dozens. They are kept with the instance and its account.
const MOST_TRUSTED: usize = 64 << 10;

/// Whose certificates are trusted, as far as a connection says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Trust {
    /// Nobody's is looked at, or they are.
    skip: Option<bool>,
    /// Those of these authorities, in PEM.
    authorities: Option<String>,
}

impl Trust {
    fn of(interface: &Map<String, Value>) -> Result<Self, Error> {
        let wrong = |name: &str, reason: &str| {
            let reason = format!("interfaceInfo.{name} {reason}");
            Error::shape("vimConnectionInfo", reason)
        };
        let given = |name: &str| interface.get(name).filter(|value| !value.is_null());
        let flag = |name: &str| {
            let read = |value: &Value| value.as_bool().ok_or_else(|| wrong(name, "is neither true nor false"));
            given(name).map(read).transpose()
        };
        let skip = flag(SKIP)?;
        if flag(SKIP_HOSTNAME)? == Some(true) && skip != Some(true) {
            let reason = "is served with skipCertificateVerification only: what is verified is verified with its name";
            return Err(wrong(SKIP_HOSTNAME, reason));
        }
        let authorities = match given(TRUSTED) {
            Some(value) => pem(value).ok_or_else(|| wrong(TRUSTED, "is no list of certificates in PEM"))?,
            None => String::new(),
        };
        if authorities.len() > MOST_TRUSTED {
            return Err(wrong(TRUSTED, &format!("has more than {MOST_TRUSTED} bytes")));
        }
        Ok(Self {
            skip,
            authorities: Some(authorities).filter(|authorities| !authorities.is_empty()),
        })
    }
}

/// A list of certificates, or one text, as one text.
fn pem(value: &Value) -> Option<String> {
    let listed = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let mut pem = String::new();
    for certificates in listed {
        pem.push_str(certificates.as_str().filter(|text| text.contains(PEM))?.trim());
        pem.push('\n');
    }
    Some(pem)
}

/// A connection that is written out in full.
pub(super) struct Inline {
    pub(super) origin: Origin,
    pub(super) endpoint: String,
    pub(super) user: String,
    pub(super) project: String,
    /// Settings by the connector's names.
    config: Map<String, Value>,
    trust: Trust,
    pub(super) password: Option<Secret>,
}

impl Inline {
    /// None: it only names an account.
    pub(super) fn of(connection: &VimConnectionInfo) -> Result<Option<Self>, Error> {
        let (Some(interface), Some(access)) = (&connection.interface_info, &connection.access_info) else {
            return Ok(None);
        };
        let text =
            |object: &Map<String, Value>, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let missing = |name: &str| Error::shape("vimConnectionInfo", format!("a connection has no {name}"));
        let endpoint = text(interface, "endpoint").ok_or_else(|| missing("interfaceInfo.endpoint"))?;
        let origin = Origin::of_url(&endpoint)
            .map_err(|error| Error::shape("vimConnectionInfo", format!("interfaceInfo.endpoint: {error}")))?;
        let mut config = Map::new();
        for (name, setting, _) in SETTINGS {
            if let Some(value) = text(access, name) {
                config.insert(setting.to_owned(), Value::from(value));
            }
        }
        Ok(Some(Self {
            origin,
            user: text(access, "username").ok_or_else(|| missing("accessInfo.username"))?,
            project: text(access, "project").ok_or_else(|| missing("accessInfo.project"))?,
            config,
            trust: Trust::of(interface)?,
            password: text(access, PASSWORD).map(Secret::new),
            endpoint,
        }))
    }

    /// Whether an account is of the same user in the same project and region. What is not said is the cloud's default.
    pub(super) fn is_user_of(&self, account: &StoredAccount) -> bool {
        let text = |config: &Map<String, Value>, name: &str| {
            let value = config.get(name).and_then(Value::as_str);
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let is_same = |(_, name, by_id): (&str, &str, Option<&str>)| {
            let Some(wanted) = text(&self.config, name) else {
                return true;
            };
            match (
                text(&account.config, name),
                by_id.and_then(|id| text(&account.config, id)),
            ) {
                (Some(named), None) => named == wanted,
                // The default domain has the same name and id but for the case of its first letter.
                (None, domain) if by_id.is_some() => {
                    let domain = domain.as_deref().unwrap_or(DEFAULT_DOMAIN);
                    domain == DEFAULT_DOMAIN && wanted.eq_ignore_ascii_case(DEFAULT_DOMAIN)
                }
                // Said twice, or a region where the account takes the catalogue's first: nobody knows.
                (Some(_) | None, _) => false,
            }
        };
        account.user.as_deref() == Some(&self.user)
            && account.tenant.as_deref() == Some(&self.project)
            && SETTINGS.into_iter().all(is_same)
    }

    /// Certificate authorities of an account of its own beside another one, and whether nothing is verified. What is not said is as there.
    pub(super) fn trust_beside(&self, base: &StoredAccount) -> (Option<String>, bool) {
        let Trust { skip, authorities } = &self.trust;
        match authorities {
            Some(authorities) => (Some(authorities.clone()), skip.unwrap_or(false)),
            None => (base.ca_certificates.clone(), skip.unwrap_or(base.insecure_tls)),
        }
    }

    /// Whether an account trusts whom the connection trusts.
    pub(super) fn trusts_as(&self, account: &StoredAccount) -> bool {
        self.trust_beside(account) == (account.ca_certificates.clone(), account.insecure_tls)
    }

    /// The settings of an account of its own beside another one.
    pub(super) fn settings_beside(&self, base: &StoredAccount) -> Map<String, Value> {
        let mut config = base.config.clone();
        for name in OF_THE_USER {
            config.remove(name);
        }
        for (_, name, by_id) in SETTINGS {
            if let Some(by_id) = by_id.filter(|_| self.config.contains_key(name)) {
                config.remove(by_id);
            }
        }
        config.extend(self.config.clone());
        config
    }

    /// Who logs in where, without the secret: a digest.
    pub(super) fn who(&self) -> String {
        let mut digest = Sha256::new();
        let setting = |name: &str| self.config.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut parts = vec![
            self.endpoint.as_str(),
            &self.user,
            &self.project,
            setting("user_domain_name"),
            setting("project_domain_name"),
            setting("region_name"),
        ];
        // Only where something is said of it: accounts had their names before that was read.
        if self.trust != Trust::default() {
            parts.push(match self.trust.skip {
                Some(true) => "unverified",
                Some(false) => "verified",
                None => "",
            });
            parts.push(self.trust.authorities.as_deref().unwrap_or_default());
        }
        for part in parts {
            digest.update(part.len().to_be_bytes());
            digest.update(part.as_bytes());
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::connection::VIM_TYPE;
    use super::*;

    fn connection(interface: Value) -> VimConnectionInfo {
        let mut connection = json!({
            "vimType": VIM_TYPE,
            "interfaceInfo": {"endpoint": "http://cloud.example:5000/v3"},
            "accessInfo": {"username": "u", "password": "canary", "project": "p", "userDomain": "Default", "region": "r"},
        });
        for (name, value) in interface.as_object().unwrap() {
            connection["interfaceInfo"][name] = value.clone();
        }
        serde_json::from_value(connection).unwrap()
    }

    fn inline(interface: Value) -> Result<Inline, Error> {
        Inline::of(&connection(interface)).map(Option::unwrap)
    }

    /// Instances are driven with accounts that were named so.
    #[test]
    fn who_logs_in_where_is_told_by_the_digest_that_named_accounts_before() {
        let mut connection = connection(json!({}));
        let who = Inline::of(&connection).unwrap().unwrap().who();
        assert!(who.starts_with("76182d0a9cdaed22"), "{who}");
        connection.access_info.as_mut().unwrap().remove(PASSWORD);
        assert_eq!(Inline::of(&connection).unwrap().unwrap().who(), who);
    }

    #[test]
    fn whom_a_connection_trusts_is_part_of_what_names_its_account() {
        let pem = format!("{PEM}\nMII\n-----END CERTIFICATE-----");
        let whos = [
            json!({}),
            json!({SKIP: true}),
            json!({SKIP: false}),
            json!({TRUSTED: [pem]}),
            json!({TRUSTED: pem, SKIP: true, SKIP_HOSTNAME: true}),
        ]
        .map(|interface| inline(interface).unwrap().who());
        for (at, who) in whos.iter().enumerate() {
            assert!(!whos[..at].contains(who), "{at}");
        }
        for nothing in [
            json!({TRUSTED: [], SKIP_HOSTNAME: false}),
            json!({TRUSTED: null, SKIP: null}),
        ] {
            assert_eq!(inline(nothing).unwrap().who(), whos[0]);
        }
        assert_eq!(
            inline(json!({TRUSTED: pem})).unwrap().who(),
            whos[3],
            "a text is a list of one"
        );
    }

    #[test]
    fn a_trust_that_cannot_be_had_is_refused() {
        for interface in [
            json!({SKIP: "true"}),
            json!({SKIP_HOSTNAME: 1}),
            json!({SKIP_HOSTNAME: true}),
            json!({SKIP_HOSTNAME: true, SKIP: false}),
            json!({TRUSTED: "/etc/ssl/ca.pem"}),
            json!({TRUSTED: [5]}),
            json!({TRUSTED: {"ca": PEM}}),
            json!({TRUSTED: PEM.repeat(MOST_TRUSTED)}),
        ] {
            let refused = inline(interface.clone()).err();
            assert!(matches!(refused, Some(Error::Shape { .. })), "{interface} {refused:?}");
        }
    }
}
