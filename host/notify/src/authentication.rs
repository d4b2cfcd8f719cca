//! How this host shows a callback who it is (SOL013 8.3.4).
//!
//! What a client gives is kept sealed as a whole, for its subscription only, and never shown again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use vimhost_model::{Secret, SubscriptionId};
use vimhost_store::SealedText;
use vimhost_store::seal::KeyRing;

use crate::Error;

/// Names and passwords, in bytes: both go into one header, of which common servers take 8 KiB.
const LONGEST_SECRET: usize = 2048;

fn is_too_long(secret: &Secret) -> bool {
    secret.expose().len() > LONGEST_SECRET
}

/// `SubscriptionAuthentication` as a client gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationRequest {
    /// Ways the callback takes.
    pub auth_type: Vec<AuthType>,
    /// Of BASIC.
    #[serde(default)]
    pub params_basic: Option<ParamsBasic>,
    /// Of `OAUTH2_CLIENT_CREDENTIALS`.
    #[serde(default)]
    pub params_oauth2_client_credentials: Option<ParamsOauth2ClientCredentials>,
}

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthType {
    /// User and password.
    Basic,
    /// A token for a client and its password.
    #[serde(rename = "OAUTH2_CLIENT_CREDENTIALS")]
    Oauth2ClientCredentials,
    /// A token for a client's certificate; not served.
    #[serde(rename = "OAUTH2_CLIENT_CERT")]
    Oauth2ClientCert,
    /// A client's certificate; not served.
    TlsCert,
}

/// Of BASIC.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParamsBasic {
    /// User.
    #[serde(default)]
    pub user_name: Option<Secret>,
    /// Password.
    #[serde(default)]
    pub password: Option<Secret>,
}

/// Of `OAUTH2_CLIENT_CREDENTIALS`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParamsOauth2ClientCredentials {
    /// Client.
    #[serde(default)]
    pub client_id: Option<Secret>,
    /// Its password.
    #[serde(default)]
    pub client_password: Option<Secret>,
    /// Who gives tokens.
    #[serde(default)]
    pub token_endpoint: Option<String>,
}

/// What a callback is shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Credentials {
    /// User and password.
    Basic { user: Secret, password: Secret },
    /// A token that is asked for with these.
    Client {
        id: Secret,
        password: Secret,
        token_endpoint: String,
    },
}

/// [`Credentials`] on their way to be sealed: a secret does not serialise by itself.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Written<'a> {
    Basic {
        user: &'a str,
        password: &'a str,
    },
    Client {
        id: &'a str,
        password: &'a str,
        token_endpoint: &'a str,
    },
}

impl Credentials {
    /// Of the way that is preferred among those a client names: a client's certificate, its password, a user's.
    pub(crate) fn of(request: AuthenticationRequest) -> Result<Self, Error> {
        let wrong = |reason: &str| Err(Error::BadRequest(format!("authentication: {reason}")));
        let named = |auth_type| request.auth_type.contains(&auth_type);
        if named(AuthType::Oauth2ClientCert) || named(AuthType::TlsCert) {
            return wrong(
                "OAUTH2_CLIENT_CERT and TLS_CERT are not served: this host shows callbacks no certificate of its own; use \
                 OAUTH2_CLIENT_CREDENTIALS or BASIC",
            );
        }
        let basic = named(AuthType::Basic);
        if named(AuthType::Oauth2ClientCredentials) {
            let Some(params) = request.params_oauth2_client_credentials else {
                return wrong("OAUTH2_CLIENT_CREDENTIALS needs paramsOauth2ClientCredentials");
            };
            if basic && request.params_basic.is_none() {
                return wrong("BASIC needs paramsBasic");
            }
            let (Some(id), Some(password), Some(token_endpoint)) =
                (params.client_id, params.client_password, params.token_endpoint)
            else {
                return wrong("paramsOauth2ClientCredentials needs clientId, clientPassword and tokenEndpoint");
            };
            if id.expose().contains(':') {
                return wrong("a clientId with a colon cannot be sent by BASIC, which asks for its token");
            }
            if is_too_long(&id) || is_too_long(&password) {
                return wrong(&format!(
                    "clientId and clientPassword have at most {LONGEST_SECRET} bytes each"
                ));
            }
            return Ok(Self::Client {
                id,
                password,
                token_endpoint,
            });
        }
        if !basic {
            return wrong("authType names no way to authenticate");
        }
        let Some(params) = request.params_basic else {
            return wrong("BASIC needs paramsBasic");
        };
        let (Some(user), Some(password)) = (params.user_name, params.password) else {
            return wrong("paramsBasic needs userName and password");
        };
        if user.expose().contains(':') {
            return wrong("a userName with a colon cannot be sent by BASIC");
        }
        if is_too_long(&user) || is_too_long(&password) {
            return wrong(&format!(
                "userName and password have at most {LONGEST_SECRET} bytes each"
            ));
        }
        Ok(Self::Basic { user, password })
    }

    /// Sealed for a subscription, as the store keeps it.
    pub(crate) fn seal(&self, keys: &KeyRing, id: &SubscriptionId) -> Result<Value, Error> {
        let written = match self {
            Self::Basic { user, password } => Written::Basic {
                user: user.expose(),
                password: password.expose(),
            },
            Self::Client {
                id,
                password,
                token_endpoint,
            } => Written::Client {
                id: id.expose(),
                password: password.expose(),
                token_endpoint,
            },
        };
        let internal = |reason: String| Error::Internal(format!("the credentials cannot be sealed: {reason}"));
        let text = serde_json::to_string(&written).map_err(|error| internal(error.to_string()))?;
        let sealed = keys.seal(&Secret::new(text), &context(id));
        let SealedText(sealed) = sealed.map_err(|error| internal(error.to_string()))?;
        Ok(Value::String(sealed))
    }

    /// Those of a subscription; none where it needs none.
    pub(crate) fn open(kept: &Value, keys: &KeyRing, id: &SubscriptionId) -> Result<Option<Self>, Error> {
        let Value::String(sealed) = kept else { return Ok(None) };
        let opened = keys
            .open(&SealedText(sealed.clone()), &context(id))
            .map_err(|error| Error::Internal(format!("the credentials cannot be opened: {error}")))?;
        // The cause would quote what it stumbled over.
        let read = serde_json::from_str(opened.expose());
        read.map(Some)
            .map_err(|_| Error::Internal("the credentials are not of this version's form".to_owned()))
    }
}

fn context(id: &SubscriptionId) -> String {
    format!("subscription:{id}:authentication")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vimhost_store::seal::SealKey;

    use super::*;

    fn of(request: Value) -> Result<Credentials, Error> {
        Credentials::of(serde_json::from_value(request).unwrap())
    }

    #[test]
    fn a_client_is_preferred_to_a_user_and_a_missing_block_is_refused() {
        let basic = json!({"userName": "u", "password": "canary"});
        let client = json!({"clientId": "c", "clientPassword": "canary", "tokenEndpoint": "https://t.example/"});
        let both = json!(["BASIC", "OAUTH2_CLIENT_CREDENTIALS"]);
        let found = of(json!({"authType": both, "paramsBasic": basic, "paramsOauth2ClientCredentials": client}));
        assert!(matches!(found, Ok(Credentials::Client { .. })));
        let found = of(json!({"authType": ["BASIC"], "paramsBasic": basic}));
        assert!(matches!(found, Ok(Credentials::Basic { .. })));
        for (request, reason) in [
            (json!({"authType": []}), "names no way"),
            (json!({"authType": ["BASIC"]}), "needs paramsBasic"),
            (
                json!({"authType": ["BASIC"], "paramsBasic": {"userName": "u"}}),
                "userName and password",
            ),
            (
                json!({"authType": both, "paramsOauth2ClientCredentials": client}),
                "needs paramsBasic",
            ),
            (
                json!({"authType": both, "paramsBasic": basic}),
                "paramsOauth2ClientCredentials",
            ),
            (
                json!({"authType": ["TLS_CERT", "BASIC"], "paramsBasic": basic}),
                "not served",
            ),
            (json!({"authType": ["OAUTH2_CLIENT_CERT"]}), "not served"),
            (
                json!({"authType": ["BASIC"], "paramsBasic": {"userName": "u", "password": "x".repeat(5000)}}),
                "at most",
            ),
            (
                json!({"authType": ["OAUTH2_CLIENT_CREDENTIALS"], "paramsOauth2ClientCredentials":
                    {"clientId": "a:b", "clientPassword": "p", "tokenEndpoint": "https://t.example/"}}),
                "colon",
            ),
        ] {
            let Err(Error::BadRequest(text)) = of(request.clone()) else {
                panic!("{request}")
            };
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn credentials_are_sealed_for_their_subscription_and_never_printed() {
        let request: AuthenticationRequest = serde_json::from_value(json!({
            "authType": ["OAUTH2_CLIENT_CREDENTIALS"],
            "paramsBasic": {"userName": "canary", "password": "canary"},
            "paramsOauth2ClientCredentials":
                {"clientId": "canary", "clientPassword": "canary", "tokenEndpoint": "https://t.example/"},
        }))
        .unwrap();
        assert!(!format!("{request:?}").contains("canary"));
        let credentials = Credentials::of(request).unwrap();
        assert!(!format!("{credentials:?}").contains("canary"));
        let keys = KeyRing::new(SealKey::from_bytes([1; 32]));
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let sealed = credentials.seal(&keys, &a).unwrap();
        assert!(!sealed.to_string().contains("canary"));
        assert_eq!(Credentials::open(&sealed, &keys, &a).unwrap(), Some(credentials));
        let error = Credentials::open(&sealed, &keys, &b).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        assert_eq!(Credentials::open(&Value::Null, &keys, &a).unwrap(), None);
    }
}
