//! Problem details as SOL013 6.3 has them (RFC 9457, `status` and `detail` always there).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetails {
    /// URI of the kind of problem.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// HTTP status.
    pub status: u16,
    /// This occurrence.
    pub detail: String,
    /// URI of this occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl ProblemDetails {
    /// A problem with a title.
    pub fn titled(status: u16, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: None,
            title: Some(title.into()),
            status,
            detail: detail.into(),
            instance: None,
        }
    }

    /// A problem without a title.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            kind: None,
            title: None,
            status,
            detail: detail.into(),
            instance: None,
        }
    }
}
