//! The mock VIM's REST interface: a session, nine collections that look alike, and elements that stay JSON.
//!
//! Elements are not parsed into types of their own: what an operator sees in `details` is the element as the VIM shows
//! it, and the few fields that decide something are read from there.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vimhost_sdk::clock;
use vimhost_sdk::http::encode;
use vimhost_sdk::prelude::*;

use crate::descriptor::{PASSWORD, TOKEN_GIVEN, TOKEN_PRESENTED};

/// How long a URL may get. Proxies and servers commonly refuse 8 KiB; the rest of it is for the origin and the path.
const LONGEST_QUERY: usize = 7 << 10;

/// How many changes are asked for at once. Each may carry 64 KiB of user data, and an answer has to stay below 16 MiB.
const CHANGES_AT_ONCE: &str = "200";

/// This VIM drops a request whose connection is gone, so after a moment nothing that was sent earlier can still appear.
pub(crate) const SETTLED: Duration = Duration::from_millis(500);

const ACCEPTED: u16 = 202;

/// A collection of the VIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    Networks,
    Images,
    Flavours,
    Groups,
    Volumes,
    Ports,
    Servers,
    Services,
    Stacks,
}

impl Collection {
    /// The word in paths.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Images => "images",
            Self::Flavours => "flavours",
            Self::Groups => "groups",
            Self::Volumes => "volumes",
            Self::Ports => "ports",
            Self::Servers => "servers",
            Self::Services => "connectivity-services",
            Self::Stacks => "stacks",
        }
    }

    /// The word in the journal.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Networks => "network",
            Self::Images => "image",
            Self::Flavours => "flavour",
            Self::Groups => "group",
            Self::Volumes => "volume",
            Self::Ports => "port",
            Self::Servers => "server",
            Self::Services => "connectivity-service",
            Self::Stacks => "stack",
        }
    }

    /// Where elements of a kind are; none for kinds this VIM does not have.
    pub(crate) const fn of(kind: ElementKind) -> Option<Self> {
        Some(match kind {
            ElementKind::Network => Self::Networks,
            ElementKind::Image => Self::Images,
            ElementKind::Flavour => Self::Flavours,
            ElementKind::Group => Self::Groups,
            ElementKind::Volume => Self::Volumes,
            ElementKind::Server => Self::Servers,
            ElementKind::Port => Self::Ports,
            ElementKind::ConnectivityService => Self::Services,
            ElementKind::Stack => Self::Stacks,
            ElementKind::FloatingAddress => return None,
        })
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// An element, as the VIM shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Element(Value);

impl Element {
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str)
    }

    pub(crate) fn owned(&self, field: &str) -> Option<String> {
        self.text(field).map(str::to_owned)
    }

    pub(crate) fn number(&self, field: &str) -> Option<u64> {
        self.0.get(field).and_then(Value::as_u64)
    }

    pub(crate) fn field(&self, field: &str) -> &Value {
        self.0.get(field).unwrap_or(&Value::Null)
    }

    pub(crate) fn texts(&self, field: &str) -> Vec<String> {
        let items = self.field(field).as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The id; every element has one.
    pub(crate) fn id(&self) -> Result<String, Failure> {
        let id = self.owned("id").filter(|id| !id.is_empty());
        id.ok_or_else(|| {
            Failure::new(
                ErrorKind::Internal,
                Outcome::Unknown,
                "the VIM shows an element without an id",
            )
        })
    }

    /// Flavours and groups have no status; they are there, so they are active.
    pub(crate) fn status(&self) -> &str {
        self.text("status").unwrap_or("ACTIVE")
    }

    /// The element without user data, which may hold secrets.
    pub(crate) fn details(&self) -> String {
        let mut shown = self.0.clone();
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("user_data");
        }
        json(&shown)
    }
}

#[derive(Deserialize)]
struct Listing {
    items: Vec<Element>,
    next: Option<u64>,
}

/// What changed since a sequence number.
#[derive(Deserialize)]
pub(crate) struct Changes {
    pub(crate) changed: Vec<Element>,
    pub(crate) deleted: Vec<Element>,
    /// Where to go on from.
    pub(crate) seq: u64,
    pub(crate) more: bool,
}

#[derive(Deserialize)]
struct Opened {
    /// Milliseconds since 1970.
    expires_at: u64,
}

type LogIn<'a> = Box<dyn Fn() -> Result<Login, Failure> + 'a>;

/// The VIM of an account.
pub(crate) struct Vim<'a> {
    client: Client,
    session: Session<LogIn<'a>>,
}

impl<'a> Vim<'a> {
    pub(crate) fn of(account: &'a Account) -> Result<Self, Error> {
        let client = Client::new(&account.url)?.header("accept", "application/json");
        let user = account.user.as_deref().unwrap_or_default();
        let tenant = account.tenant.as_deref().unwrap_or_default();
        let door = client.clone();
        let log_in: LogIn<'a> = Box::new(move || log_in(&door, account, user, tenant));
        let key = format!("{}|{user}|{tenant}", account.url);
        Ok(Self {
            client,
            session: Session::new(key, TOKEN_PRESENTED, log_in),
        })
    }

    /// The first page of one element, to see that the VIM answers.
    pub(crate) fn look(&self) -> Result<(), Failure> {
        let request = self
            .client
            .get(["v1", "networks"])
            .query("limit", "1")
            .doing("looking at the networks");
        self.session.send(request).map(drop)
    }

    /// All elements that match, page by page.
    pub(crate) fn list(&self, collection: Collection, filters: &[(&str, &str)]) -> Result<Vec<Element>, Failure> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.page(collection, filters, after)?;
            found.extend(page);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// One page, and where the next one goes on.
    pub(crate) fn page(
        &self,
        collection: Collection,
        filters: &[(&str, &str)],
        after: Option<u64>,
    ) -> Result<(Vec<Element>, Option<u64>), Failure> {
        let mut request = self
            .client
            .get(["v1", collection.path()])
            .doing(format!("listing each {collection}"));
        for (name, value) in filters {
            request = request.query(name, value);
        }
        let listing: Listing = self
            .session
            .send(request.query_opt("after", after.map(|after| after.to_string())))?
            .json()?;
        Ok((listing.items, listing.next))
    }

    /// Elements by a filter that may be given many times, in as few requests as the length of a URL allows. One list per
    /// request, in order.
    pub(crate) fn list_many(
        &self,
        collection: Collection,
        filter: &str,
        values: &[&str],
    ) -> Result<Vec<Vec<Element>>, Failure> {
        let mut lists = Vec::new();
        let mut chunk: Vec<(&str, &str)> = Vec::new();
        let (mut length, mut encoded) = (0, String::new());
        for value in values {
            encoded.clear();
            encode(value, &mut encoded);
            let one = filter.len() + encoded.len() + "&=".len();
            if length + one > LONGEST_QUERY && !chunk.is_empty() {
                lists.push(self.list(collection, &chunk)?);
                chunk.clear();
                length = 0;
            }
            chunk.push((filter, value));
            length += one;
        }
        if !chunk.is_empty() {
            lists.push(self.list(collection, &chunk)?);
        }
        Ok(lists)
    }

    /// Ids of the elements that carry a token.
    pub(crate) fn with_token(&self, collection: Collection, token: &str) -> Result<Vec<String>, Failure> {
        self.list(collection, &[("token", token)])?
            .iter()
            .map(Element::id)
            .collect()
    }

    pub(crate) fn get(&self, collection: Collection, id: &str) -> Result<Option<Element>, Failure> {
        let request = self
            .client
            .get(["v1", collection.path(), id])
            .doing(format!("looking at {collection} {id}"));
        self.session
            .send_optional(request)?
            .map(|response| response.json())
            .transpose()
    }

    pub(crate) fn create(&self, collection: Collection, body: &Value) -> Result<Element, Failure> {
        let request = self
            .client
            .post(["v1", collection.path()])
            .json(body)
            .doing(format!("creating a {collection}"));
        self.session.send(request)?.json()
    }

    /// Makes an element once, whatever happens on the way.
    pub(crate) fn create_once(
        &self,
        collection: Collection,
        call: &Call,
        kind: &str,
        suffix: &str,
        // Not generic: the journal's steps would be in the component once for each kind of element.
        body: &dyn Fn(&str) -> Value,
    ) -> Result<String, Failure> {
        call.create_once(
            kind,
            suffix,
            SETTLED,
            |token| self.with_token(collection, token),
            |token| self.create(collection, &body(token))?.id(),
        )
    }

    pub(crate) fn edit(&self, collection: Collection, id: &str, body: &Value) -> Result<Element, Failure> {
        let path = ["v1", collection.path(), id];
        self.session
            .send(
                self.client
                    .put(path)
                    .json(body)
                    .doing(format!("changing {collection} {id}")),
            )?
            .json()
    }

    /// Deletes an element. This VIM has deleted when it answers, servers that take their time apart; not existing is success.
    pub(crate) fn delete(&self, collection: Collection, id: &str) -> Result<Removal, Failure> {
        let request = self
            .client
            .delete(["v1", collection.path(), id])
            .doing(format!("deleting {collection} {id}"));
        let accepted = self
            .session
            .send_optional(request)?
            .is_some_and(|response| response.status == ACCEPTED);
        Ok(if accepted { Removal::Accepted } else { Removal::Gone })
    }

    /// Asks a server to do something; answers what the VIM says to it.
    pub(crate) fn act(&self, server: &str, body: &Value) -> Result<Element, Failure> {
        let what = body.get("action").and_then(Value::as_str).unwrap_or_default();
        let request = self.client.post(["v1", Collection::Servers.path(), server, "action"]);
        self.session
            .send(request.json(body).doing(format!("asking server {server} to {what}")))?
            .json()
    }

    /// Changes a stack: what is not named stays (`partial`), or goes.
    pub(crate) fn change_stack(&self, id: &str, partial: bool, body: &Value) -> Result<Element, Failure> {
        let path = ["v1", Collection::Stacks.path(), id];
        let request = if partial {
            self.client.patch(path)
        } else {
            self.client.put(path)
        };
        self.session
            .send(request.json(body).doing(format!("updating stack {id}")))?
            .json()
    }

    /// A part of a stack, by its id or name: its resources or its content.
    pub(crate) fn part_of_stack<T: DeserializeOwned>(
        &self,
        stack: &str,
        part: &str,
        depth: Option<u8>,
    ) -> Result<T, Failure> {
        let request = self
            .client
            .get(["v1", Collection::Stacks.path(), stack, part])
            .query_opt("depth", depth.map(|depth| depth.to_string()))
            .doing(format!("reading the {part} of stack {stack}"));
        self.session.send(request)?.json()
    }

    /// Lets the next update of a stack replace a resource.
    pub(crate) fn mark_unhealthy(&self, stack: &str, resource: &str, reason: &str) -> Result<(), Failure> {
        let path = ["v1", Collection::Stacks.path(), stack, "resources", resource];
        let body = serde_json::json!({ "mark_unhealthy": true, "reason": reason });
        let request = self.client.patch(path).json(&body);
        let what = format!("marking resource {resource} of stack {stack} unhealthy");
        self.session.send(request.doing(what)).map(drop)
    }

    /// What changed since a sequence number; `None` when the VIM does not remember that far back.
    pub(crate) fn changes(&self, collection: Collection, since: u64) -> Result<Option<Changes>, Failure> {
        let request = self
            .client
            .get(["v1", "changes"])
            .query("kind", collection.path())
            .query("since", since.to_string())
            .query("limit", CHANGES_AT_ONCE)
            .doing(format!("asking what changed at each {collection}"));
        match self.session.send(request) {
            Ok(response) => response.json().map(Some),
            Err(failure) if failure.status == Some(410) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn log_in(client: &Client, account: &Account, user: &str, tenant: &str) -> Result<Login, Failure> {
    let Some(password) = account.credential(PASSWORD) else {
        let message = format!("account {} has no credential `{PASSWORD}`", account.name);
        return Err(Error::new(ErrorKind::Auth, message).into());
    };
    let body = serde_json::json!({ "user": user, "password": password, "tenant": tenant });
    // Its status says nothing of what the token is wanted for: a 404 here is no element that is gone.
    let refused = |mut failure: Failure| {
        failure.status = None;
        if failure.error.kind == ErrorKind::NotFound {
            failure.error.kind = ErrorKind::Unreachable;
        }
        failure
    };
    let response = client.post(["v1", "session"]).json(&body).send().map_err(refused)?;
    let opened: Opened = response.json()?;
    let token = response.header(TOKEN_GIVEN).ok_or_else(|| {
        Error::other(format!(
            "the VIM at {} logged in and gave no {TOKEN_GIVEN}",
            client.origin()
        ))
    })?;
    let lifetime = Duration::from_millis(opened.expires_at).saturating_sub(clock::now());
    Ok(Login {
        token: token.to_owned(),
        lifetime,
    })
}
