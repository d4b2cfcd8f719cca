//! What a request is about: its kind and its operation.
//!
//! Faults are scripted and requests are counted in these words, so they are decided in one place, from method and path
//! alone, before a handler runs: a request that fails on purpose must be counted like one that was served.

use std::fmt;

use axum::http::Method;
use serde::{Deserialize, Serialize};

/// What a call is about: one of the collections, or the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Networks, with their subnet.
    Networks,
    /// Images.
    Images,
    /// Flavours.
    Flavours,
    /// Placement groups.
    Groups,
    /// Volumes.
    Volumes,
    /// Ports.
    Ports,
    /// Servers.
    Servers,
    /// Connectivity services between sites.
    ConnectivityServices,
    /// Stacks.
    Stacks,
    /// Not a collection: the log in.
    Session,
}

impl Kind {
    /// The word in paths, in faults and in counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Images => "images",
            Self::Flavours => "flavours",
            Self::Groups => "groups",
            Self::Volumes => "volumes",
            Self::Ports => "ports",
            Self::Servers => "servers",
            Self::ConnectivityServices => "connectivity-services",
            Self::Stacks => "stacks",
            Self::Session => "session",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::Networks,
            Self::Images,
            Self::Flavours,
            Self::Groups,
            Self::Volumes,
            Self::Ports,
            Self::Servers,
            Self::ConnectivityServices,
            Self::Stacks,
            Self::Session,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a call does to its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `POST /v1/<kind>`
    Create,
    /// `DELETE /v1/<kind>/{id}`
    Delete,
    /// `GET /v1/<kind>/{id}`
    Get,
    /// `GET /v1/<kind>`
    List,
    /// `PUT /v1/<kind>/{id}`; for stacks `PATCH` too
    Update,
    /// `POST /v1/<kind>/{id}/action`
    Action,
    /// `GET /v1/changes?kind=<kind>`
    Changes,
    /// `GET /v1/stacks/{id}/resources`
    Resources,
    /// `GET /v1/stacks/{id}/content`
    Content,
    /// `PATCH /v1/stacks/{id}/resources/{name}`
    Mark,
    /// `POST /v1/session`
    Session,
}

impl Operation {
    /// The word in faults and in counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Get => "get",
            Self::List => "list",
            Self::Update => "update",
            Self::Action => "action",
            Self::Changes => "changes",
            Self::Resources => "resources",
            Self::Content => "content",
            Self::Mark => "mark",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kind and operation of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) operation: Operation,
}

impl Call {
    /// `None` for what the interface does not know; such a request is answered 404 or 405 and no fault touches it.
    pub(crate) fn of(method: &Method, path: &str, query: Option<&str>) -> Option<Self> {
        let mut parts = path.strip_prefix("/v1/")?.split('/');
        let (first, id, tail, more) = (parts.next()?, parts.next(), parts.next(), parts.next());
        if parts.next().is_some() {
            return None;
        }
        if first == "changes" && id.is_none() {
            let kind = query?.split('&').find_map(|pair| pair.strip_prefix("kind="))?;
            return Some(Self {
                kind: Kind::parse(kind)?,
                operation: Operation::Changes,
            });
        }
        let kind = Kind::parse(first)?;
        let operation = match (kind, method.as_str(), id, tail) {
            (Kind::Stacks, "PATCH", Some(_), Some("resources")) if more.is_some() => Operation::Mark,
            _ if more.is_some() => return None,
            (Kind::Session, "POST", None, None) => Operation::Session,
            (Kind::Session, ..) => return None,
            (Kind::Stacks, "PATCH", Some(_), None) => Operation::Update,
            (Kind::Stacks, "GET", Some(_), Some("resources")) => Operation::Resources,
            (Kind::Stacks, "GET", Some(_), Some("content")) => Operation::Content,
            (_, "POST", None, None) => Operation::Create,
            (_, "GET", None, None) => Operation::List,
            (_, "GET", Some(_), None) => Operation::Get,
            (_, "DELETE", Some(_), None) => Operation::Delete,
            (_, "PUT", Some(_), None) => Operation::Update,
            (_, "POST", Some(_), Some("action")) => Operation::Action,
            _ => return None,
        };
        Some(Self { kind, operation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(method: Method, path: &str, query: Option<&str>) -> Option<String> {
        Call::of(&method, path, query).map(|call| format!("{} {}", call.kind, call.operation))
    }

    #[test]
    fn method_and_path_name_kind_and_operation() {
        assert_eq!(
            words(Method::POST, "/v1/servers", None).as_deref(),
            Some("servers create")
        );
        assert_eq!(
            words(Method::GET, "/v1/servers", Some("limit=1")).as_deref(),
            Some("servers list")
        );
        assert_eq!(words(Method::GET, "/v1/ports/7", None).as_deref(), Some("ports get"));
        assert_eq!(
            words(Method::POST, "/v1/servers/7/action", None).as_deref(),
            Some("servers action")
        );
        assert_eq!(
            words(Method::POST, "/v1/session", None).as_deref(),
            Some("session session")
        );
        assert_eq!(
            words(Method::PUT, "/v1/connectivity-services/7", None).as_deref(),
            Some("connectivity-services update")
        );
        assert_eq!(
            words(Method::GET, "/v1/changes", Some("since=3&kind=volumes")).as_deref(),
            Some("volumes changes")
        );
        let stack = |method, tail: &str| words(method, &format!("/v1/stacks/7{tail}"), None);
        assert_eq!(stack(Method::PATCH, "").as_deref(), Some("stacks update"));
        assert_eq!(stack(Method::GET, "/resources").as_deref(), Some("stacks resources"));
        assert_eq!(stack(Method::PATCH, "/resources/a").as_deref(), Some("stacks mark"));
        assert_eq!(stack(Method::GET, "/content").as_deref(), Some("stacks content"));
    }

    #[test]
    fn unknown_paths_are_no_call() {
        assert_eq!(words(Method::GET, "/admin/inventory", None), None);
        assert_eq!(words(Method::GET, "/v1/routers", None), None);
        assert_eq!(words(Method::PATCH, "/v1/servers/7", None), None);
        assert_eq!(words(Method::GET, "/v1/servers/7/action/more", None), None);
        assert_eq!(words(Method::GET, "/v1/stacks/7/resources/a", None), None);
        assert_eq!(words(Method::PATCH, "/v1/stacks/7/resources/a/b", None), None);
    }
}
