//! What an account says about how its cloud is reached: where Keystone is, who logs in, for which project, and which endpoints of
//! the catalogue are meant.

use std::fmt;

use serde::Deserialize;
use vimhost_sdk::prelude::*;

use crate::declare::{APPLICATION_CREDENTIAL_SECRET, APPLICATION_CREDENTIAL_SECRET_OF_OSM, PASSWORD};
use crate::told::{Flag, Word};

/// The domain that every Keystone has, by its id.
const DEFAULT_DOMAIN: &str = "default";

/// An account's access, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Keystone, up to and with `/v3`.
    pub url: String,
    /// Who logs in.
    pub identity: Identity,
    /// For which project; none with an application credential, which has one of its own.
    pub project: Option<Project>,
    /// Region of the endpoints; the catalogue's first when none is given.
    pub region: Option<String>,
    /// Interface of the endpoints.
    pub interface: Interface,
}

/// Who logs in. Secrets are handles: the host puts the secret in on the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A user with a password.
    Password {
        /// Name, or id.
        user: Named,
        /// Handle of the password.
        password: String,
    },
    /// An application credential.
    ApplicationCredential {
        /// By id, or by name and user.
        credential: ApplicationCredential,
        /// Handle of its secret.
        secret: String,
    },
}

/// Which application credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationCredential {
    /// By its id.
    Id(String),
    /// By its name, which only its user knows.
    Name {
        /// Its name.
        name: String,
        /// Whose it is.
        user: Named,
    },
}

/// A user or a project: an id, which is unique, or a name in a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Its id.
    Id(String),
    /// Its name.
    Name {
        /// The name.
        name: String,
        /// The domain that it is unique in.
        domain: Domain,
    },
}

/// The project that a token is for.
pub type Project = Named;

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// Which of a service's endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interface {
    /// For everybody.
    #[default]
    Public,
    /// Within the cloud.
    Internal,
    /// For administrators; seldom there today.
    Admin,
}

impl Interface {
    /// The word in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    fn of(word: &str) -> Option<Self> {
        // `publicURL` is how Keystone v2 and older `clouds.yaml` said it.
        match word.strip_suffix("URL").unwrap_or(word) {
            "public" => Some(Self::Public),
            "internal" => Some(Self::Internal),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// The settings of an account that speak of its access.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(rename = "APIversion")]
    api_version: Option<Word>,
    project_domain_id: Option<String>,
    project_domain_name: Option<String>,
    user_domain_id: Option<String>,
    user_domain_name: Option<String>,
    region_name: Option<String>,
    use_internal_endpoint: Flag,
    interface: Option<String>,
    application_credential_id: Option<String>,
    application_credential_name: Option<String>,
}

impl Access {
    /// Reads an account.
    ///
    /// # Errors
    ///
    /// What is wrong or missing in it, by the name of the setting: a bad request; a missing secret is `auth`.
    pub fn of(account: &Account) -> Result<Self, Error> {
        let told: Told = account.settings()?;
        let url = keystone(account, told.api_version.as_ref())?;
        let user_domain = domain(told.user_domain_id.as_ref(), told.user_domain_name.as_ref());
        let project_domain = domain(told.project_domain_id.as_ref(), told.project_domain_name.as_ref());
        let (id, name) = (
            given(told.application_credential_id.as_ref()),
            given(told.application_credential_name.as_ref()),
        );
        let (identity, project) = if id.is_some() || name.is_some() {
            (application_credential(account, id, name, user_domain)?, None)
        } else {
            (password(account, user_domain)?, Some(project(account, project_domain)?))
        };
        Ok(Self {
            url,
            identity,
            project,
            region: given(told.region_name.as_ref()).map(str::to_owned),
            interface: interface(&told)?,
        })
    }

    /// Everything that a token depends on, in one text.
    pub(crate) fn key(&self) -> String {
        let who = match &self.identity {
            Identity::Password { user, .. } => user.to_string(),
            Identity::ApplicationCredential { credential, .. } => match credential {
                ApplicationCredential::Id(id) => format!("credential {id}"),
                ApplicationCredential::Name { name, user } => format!("credential {name} of {user}"),
            },
        };
        let project = self.project.as_ref().map(Named::to_string).unwrap_or_default();
        format!("{}|{who}|{project}", self.url)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Name { name, domain } => match domain {
                Domain::Id(domain) => write!(f, "{name}@{domain}"),
                Domain::Name(domain) => write!(f, "{name}@{domain:?}"),
            },
        }
    }
}

/// Where Keystone's version 3 is: the account's URL, whatever it ends with, unless it says version 2.
fn keystone(account: &Account, version: Option<&Word>) -> Result<String, Error> {
    let url = account.url.trim().trim_end_matches('/');
    if url.is_empty() {
        return Err(wrong(
            account,
            "it has no URL; give the one of Keystone, `https://keystone.example:5000/v3`",
        ));
    }
    let last = url.rsplit('/').next().unwrap_or_default();
    let version = version.map(|word| word.0.trim().trim_start_matches('v'));
    match version {
        Some("2" | "2.0") => return Err(version_2(account)),
        None | Some("") => {}
        Some(other) if other == "3" || other.starts_with("3.") => {}
        Some(other) => {
            return Err(wrong(
                account,
                &format!("`APIversion` is {other:?}; this connector speaks version 3"),
            ));
        }
    }
    match last {
        "v3" => Ok(url.to_owned()),
        // Where `APIversion` says 3, the URL's ending is the older thing.
        "v2.0" if version.is_none() => Err(version_2(account)),
        "v2.0" => Ok(format!("{}/v3", url.trim_end_matches("/v2.0"))),
        _ => Ok(format!("{url}/v3")),
    }
}

fn version_2(account: &Account) -> Error {
    Error::unsupported(format!(
        "account {} wants version 2 of Keystone, which this connector does not speak and which Keystone has not had since its \
         release Queens; give the URL that ends in `/v3`, and no `APIversion` or `v3`",
        account.name
    ))
}

fn password(account: &Account, domain: Domain) -> Result<Identity, Error> {
    let user = account.user.as_deref().map(str::trim).filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| wrong(account, "it names no user and no application credential"))?;
    let password = account.credential(PASSWORD).ok_or_else(|| {
        Error::new(
            ErrorKind::Auth,
            format!("account {} has no credential `{PASSWORD}`", account.name),
        )
    })?;
    Ok(Identity::Password {
        user: named(user, domain),
        password: password.to_owned(),
    })
}

fn application_credential(
    account: &Account,
    id: Option<&str>,
    name: Option<&str>,
    domain: Domain,
) -> Result<Identity, Error> {
    // An account may be one that has room for a password only.
    let secret = account
        .credential(APPLICATION_CREDENTIAL_SECRET)
        .or_else(|| account.credential(APPLICATION_CREDENTIAL_SECRET_OF_OSM))
        .or_else(|| account.credential(PASSWORD));
    let secret = secret.ok_or_else(|| {
        let message = format!(
            "account {} names an application credential and has no credential `{APPLICATION_CREDENTIAL_SECRET}`",
            account.name
        );
        Error::new(ErrorKind::Auth, message)
    })?;
    let credential = match (id, name) {
        (Some(id), _) => ApplicationCredential::Id(id.to_owned()),
        (None, name) => {
            let user = account.user.as_deref().map(str::trim).filter(|user| !user.is_empty());
            let user =
                user.ok_or_else(|| wrong(account, "`application_credential_name` needs the user whose it is"))?;
            ApplicationCredential::Name {
                name: name.unwrap_or_default().to_owned(),
                user: named(user, domain),
            }
        }
    };
    Ok(Identity::ApplicationCredential {
        credential,
        secret: secret.to_owned(),
    })
}

fn project(account: &Account, domain: Domain) -> Result<Project, Error> {
    let tenant = account
        .tenant
        .as_deref()
        .map(str::trim)
        .filter(|tenant| !tenant.is_empty());
    let tenant = tenant.ok_or_else(|| {
        wrong(
            account,
            "it names no project (tenant), and without one Keystone gives no service catalogue",
        )
    })?;
    Ok(named(tenant, domain))
}

fn interface(told: &Told) -> Result<Interface, Error> {
    match given(told.interface.as_ref()) {
        Some(word) => Interface::of(word)
            .ok_or_else(|| Error::bad_request(format!("`interface` is {word:?}; it is public, internal or admin"))),
        None if told.use_internal_endpoint.0 => Ok(Interface::Internal),
        None => Ok(Interface::Public),
    }
}

fn domain(id: Option<&String>, name: Option<&String>) -> Domain {
    match (given(id), given(name)) {
        (Some(id), _) => Domain::Id(id.to_owned()),
        (None, Some(name)) => Domain::Name(name.to_owned()),
        (None, None) => Domain::Id(DEFAULT_DOMAIN.to_owned()),
    }
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn named(text: &str, domain: Domain) -> Named {
    if is_id(text) {
        Named::Id(text.to_owned())
    } else {
        Named::Name {
            name: text.to_owned(),
            domain,
        }
    }
}

/// Accounts say name or id and not which. Keystone makes its ids of 32 hexadecimal digits, of 64 for users of an LDAP directory;
/// nobody names a project so.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 32 | 64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn wrong(account: &Account, why: &str) -> Error {
    Error::bad_request(format!("account {} cannot be used: {why}", account.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vimhost_sdk::types::Credential;

    fn account(url: &str, config: &str) -> Account {
        Account {
            name: "lab".into(),
            url: url.into(),
            user: Some("demo".into()),
            tenant: Some("demo".into()),
            credentials: vec![Credential {
                name: PASSWORD.into(),
                handle: "handle-1".into(),
            }],
            config: config.into(),
            ..Account::default()
        }
    }

    #[test]
    fn any_url_of_keystone_leads_to_version_3() {
        let url = |url: &str, config: &str| Access::of(&account(url, config)).map(|access| access.url);
        assert_eq!(url("http://k:5000/v3", "{}").unwrap(), "http://k:5000/v3");
        assert_eq!(url("http://k:5000/v3/", "").unwrap(), "http://k:5000/v3");
        assert_eq!(url("http://k/identity", "{}").unwrap(), "http://k/identity/v3");
        assert_eq!(
            url("http://k:5000/v2.0", r#"{"APIversion": "v3.3"}"#).unwrap(),
            "http://k:5000/v3"
        );
        assert_eq!(
            url("http://k:5000", r#"{"APIversion": 3}"#).unwrap(),
            "http://k:5000/v3"
        );
    }

    #[test]
    fn version_2_is_refused_with_what_to_do() {
        for (url, config) in [
            ("http://k:5000/v2.0", "{}"),
            ("http://k:5000", r#"{"APIversion": "v2.0"}"#),
        ] {
            let error = Access::of(&account(url, config)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains("`/v3`"), "{}", error.message);
        }
    }

    #[test]
    fn domains_are_by_id_by_name_or_the_default_one() {
        let access = Access::of(&account(
            "http://k",
            r#"{"user_domain_name": "Users", "project_domain_id": "p1"}"#,
        ))
        .unwrap();
        let user = Named::Name {
            name: "demo".into(),
            domain: Domain::Name("Users".into()),
        };
        let password = "handle-1".to_owned();
        assert_eq!(access.identity, Identity::Password { user, password });
        let project = access.project.unwrap();
        assert_eq!(project.to_string(), "demo@p1");
        let plain = Access::of(&account("http://k", "{}")).unwrap();
        assert_eq!(plain.project.unwrap().to_string(), "demo@default");
    }

    #[test]
    fn a_project_of_32_hexadecimal_digits_is_an_id() {
        let mut account = account("http://k", "{}");
        account.tenant = Some("0123456789abcdef0123456789abcdef".into());
        let project = Access::of(&account).unwrap().project.unwrap();
        assert!(matches!(project, Named::Id(_)), "{project}");
    }

    #[test]
    fn an_application_credential_needs_no_project_and_may_have_its_secret_as_the_password() {
        let mut account = account("http://k", r#"{"application_credential_id": "abc"}"#);
        (account.user, account.tenant) = (None, None);
        let access = Access::of(&account).unwrap();
        assert_eq!(access.project, None);
        let credential = ApplicationCredential::Id("abc".into());
        let secret = "handle-1".to_owned();
        assert_eq!(access.identity, Identity::ApplicationCredential { credential, secret });
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut without_tenant = account("http://k", "{}");
        without_tenant.tenant = None;
        let error = Access::of(&without_tenant).unwrap_err();
        assert!(error.message.contains("project (tenant)"), "{}", error.message);
        let mut without_password = account("http://k", "{}");
        without_password.credentials.clear();
        assert_eq!(Access::of(&without_password).unwrap_err().kind, ErrorKind::Auth);
        let interface = Access::of(&account("http://k", r#"{"interface": "side"}"#)).unwrap_err();
        assert!(
            interface.message.contains("public, internal or admin"),
            "{}",
            interface.message
        );
    }
}
