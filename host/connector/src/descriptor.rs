//! Who a connector is and what it asks for (`connector.descriptor`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ElementKind;

/// Which origins a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OriginScope {
    /// The origin of the account's URL.
    AccountUrl,
    /// Every granted origin.
    Granted,
}

/// Where in a request a credential stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A header, after a prefix.
    Header {
        /// Header name, lower case.
        name: String,
        /// Text before the secret.
        prefix: Option<String>,
    },
    /// A string in a JSON body.
    JsonPointer(String),
    /// A field of a form body.
    FormField(String),
    /// The password of basic authentication.
    BasicPassword,
}

/// One place where one credential may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialUse {
    /// HTTP method, `*` for any.
    pub method: String,
    /// Path, perhaps with a leading `*`.
    pub path: String,
    /// Toward whom.
    pub origins: OriginScope,
    /// Where.
    pub place: Place,
}

/// A credential an operator enters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialSlot {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// An account without it is refused.
    pub required: bool,
    /// Where it goes.
    pub uses: Vec<CredentialUse>,
}

/// A credential the VIM hands out in an answer's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerCredential {
    /// Its name.
    pub name: String,
    /// Method of the request.
    pub method: String,
    /// Path of the request, perhaps with a leading `*`.
    pub path: String,
    /// Header of the answer, lower case.
    pub header: String,
    /// Where it goes then.
    pub uses: Vec<CredentialUse>,
}

/// Network access a connector asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EgressWish {
    /// Whom.
    pub origins: OriginScope,
    /// Why.
    pub reason: String,
}

/// Where the token of an element kind is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenPlace {
    /// Kind of element.
    pub kind: ElementKind,
    /// Where.
    #[serde(rename = "where")]
    pub place: String,
    /// Whether an element can be found by it.
    pub findable: bool,
}

/// Who a connector is and what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Descriptor {
    /// Plugin name.
    pub name: String,
    /// Plugin version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// VIM types it serves.
    pub vim_types: Vec<String>,
    /// JSON schema of the account's `config`.
    pub config_schema: serde_json::Value,
    /// Credentials an operator enters.
    pub credentials: Vec<CredentialSlot>,
    /// Credentials the VIM hands out.
    pub answer_credentials: Vec<AnswerCredential>,
    /// Network access it asks for.
    pub egress: Vec<EgressWish>,
    /// Where tokens are kept.
    pub tokens: Vec<TokenPlace>,
}
