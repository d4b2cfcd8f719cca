//! Requests to one service.

use serde::de::DeserializeOwned;
use serde_json::Value;
use vimhost_sdk::http::encode;
use vimhost_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::service::Service;
use crate::version::Microversion;

/// How long a query may get. Servers and proxies commonly refuse URLs of 8 KiB; the rest of it is for origin and path.
const LONGEST_QUERY: usize = 7 << 10;

/// A service of a cloud.
pub struct Api<'c> {
    cloud: &'c Cloud,
    service: Service,
    client: Client,
    microversion: Option<Microversion>,
}

impl<'c> Api<'c> {
    pub(crate) fn new(cloud: &'c Cloud, service: Service, client: Client) -> Self {
        Self {
            cloud,
            service,
            client: client.header("accept", "application/json"),
            microversion: None,
        }
    }

    /// The same service, spoken to in the newest microversion that it has and that is not newer than `newest`.
    ///
    /// A service that tells no microversions is spoken to without, which is its oldest.
    ///
    /// # Errors
    ///
    /// The failure of asking for its versions; `unsupported` when even its oldest is newer.
    pub fn speaking(mut self, newest: Microversion) -> Result<Self, Failure> {
        let Some(versions) = self.cloud.versions(self.service)? else {
            return Ok(self);
        };
        if newest < versions.min {
            return Err(Error::unsupported(format!(
                "{} at {} has microversions {} to {}, and {newest} is wanted",
                self.service.word(),
                self.origin(),
                versions.min,
                versions.max
            ))
            .into());
        }
        let spoken = newest.min(versions.max);
        self.microversion = Some(spoken);
        if let Some(name) = self.service.microversion_name() {
            self.client = self.client.header("openstack-api-version", format!("{name} {spoken}"));
        }
        if self.service == Service::Compute {
            // Nova before 2.27 knows only this one.
            self.client = self.client.header("x-openstack-nova-api-version", spoken.to_string());
        }
        Ok(self)
    }

    /// The microversion that is spoken; none before [`Api::speaking`] and for services without.
    #[must_use]
    pub const fn microversion(&self) -> Option<Microversion> {
        self.microversion
    }

    /// Whether at least this microversion is spoken.
    #[must_use]
    pub fn supports(&self, major: u16, minor: u16) -> bool {
        self.microversion >= Some(Microversion::new(major, minor))
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> Service {
        self.service
    }

    /// The cloud it belongs to.
    #[must_use]
    pub const fn cloud(&self) -> &'c Cloud {
        self.cloud
    }

    /// Where it is, as `https://nova.example:8774`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.client.origin().to_string()
    }

    /// A GET. Each part of the path is encoded by itself.
    pub fn get<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.client.get(path)
    }

    /// A POST.
    pub fn post<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.client.post(path)
    }

    /// A PUT.
    pub fn put<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.client.put(path)
    }

    /// A PATCH.
    pub fn patch<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.client.patch(path)
    }

    /// A DELETE.
    pub fn delete<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Request {
        self.client.delete(path)
    }

    /// Sends a request of this service, with the token.
    ///
    /// # Errors
    ///
    /// What the service said; the log in's failure.
    pub fn send(&self, request: Request) -> Result<Response, Failure> {
        self.cloud.send(request)
    }

    /// Sends a request, and answers whatever came back: also a redirect, which is not followed, and a refusal, which
    /// [`Api::failure`] makes a failure of. A token that is not known any more is asked for again once.
    ///
    /// # Errors
    ///
    /// When nothing came back; 401; the log in's failure.
    pub fn send_any(&self, request: Request) -> Result<Response, Failure> {
        self.cloud.send_any(request)
    }

    /// What a service means by an answer that is no success.
    #[must_use]
    pub fn failure(&self, response: Response) -> Failure {
        crate::failure::refine(response.into_failure())
    }

    /// Sends a request; 404 is `None`.
    ///
    /// # Errors
    ///
    /// As [`Api::send`].
    pub fn send_optional(&self, request: Request) -> Result<Option<Response>, Failure> {
        match self.send(request) {
            Ok(response) => Ok(Some(response)),
            Err(failure) if failure.status == Some(404) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a request and reads its answer as JSON.
    ///
    /// # Errors
    ///
    /// As [`Api::send`]; an answer that is not understood.
    pub fn read<T: DeserializeOwned>(&self, request: Request) -> Result<T, Failure> {
        self.send(request)?.json()
    }

    /// As [`Api::read`]; 404 is `None`.
    ///
    /// # Errors
    ///
    /// As [`Api::read`].
    pub fn read_optional<T: DeserializeOwned>(&self, request: Request) -> Result<Option<T>, Failure> {
        let response = self.send_optional(request)?;
        response.map(|response| response.json()).transpose()
    }

    /// All elements of a listing, page by page; they stand under `key` in the answer.
    ///
    /// # Errors
    ///
    /// As [`Api::page`].
    pub fn list(&self, request: &Request, key: &str) -> Result<Vec<Value>, Failure> {
        let mut all: Vec<Value> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let (items, next) = self.page(request, key, marker.as_deref())?;
            all.extend(items);
            if next.is_none() {
                return Ok(all);
            }
            marker = next;
        }
    }

    /// The page of a listing that begins after an element, the first one without; and the element after which the next page begins.
    ///
    /// The next page begins after the last element of this one (`marker`). Whether there is one is told by the link under
    /// `<key>_links`, or under `next` (Glance); the link itself is not followed.
    ///
    /// # Errors
    ///
    /// As [`Api::read`]; a listing that does not come forward.
    pub fn page(
        &self,
        request: &Request,
        key: &str,
        after: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), Failure> {
        let page = self.read(request.clone().query_opt("marker", after));
        let mut page: Value = match page {
            // The element that the page was to begin after has gone meanwhile. Nobody asked for that one, so it is neither a bad
            // request nor an element that is not found; the next try lists from the start.
            Err(failure) if after.is_some() && matches!(failure.status, Some(400 | 404)) => {
                return Err(self.unexpected(key, &format!("changed while it was read ({failure})")));
            }
            page => page?,
        };
        let more = has_next(&page, key);
        let items = match page.get_mut(key).map(Value::take) {
            Some(Value::Array(items)) => items,
            Some(_) | None => return Err(self.unexpected(key, "is missing")),
        };
        let last = items.last().and_then(|item| item.get("id")).and_then(Value::as_str);
        let next = last.filter(|_| more).map(str::to_owned);
        if next.is_some() && next.as_deref() == after {
            return Err(self.unexpected(key, "does not come forward"));
        }
        Ok((items, next))
    }

    /// Elements by a filter that may be given many times (`id`, `device_id`), in as few requests as the length of a URL allows.
    /// No values, no request.
    ///
    /// # Errors
    ///
    /// As [`Api::list`].
    pub fn list_many(
        &self,
        request: &Request,
        key: &str,
        filter: &str,
        values: &[&str],
    ) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut chunk = request.clone();
        let (mut length, mut encoded) = (0, String::new());
        for value in values {
            encoded.clear();
            encode(value, &mut encoded);
            let one = filter.len() + encoded.len() + "&=".len();
            if length > 0 && length + one > LONGEST_QUERY {
                all.extend(self.list(&chunk, key)?);
                chunk = request.clone();
                length = 0;
            }
            chunk = chunk.query(filter, value);
            length += one;
        }
        if length > 0 {
            all.extend(self.list(&chunk, key)?);
        }
        Ok(all)
    }

    fn unexpected(&self, key: &str, why: &str) -> Failure {
        let message = format!(
            "the list {key:?} in the answer of {} at {} {why}",
            self.service.word(),
            self.origin()
        );
        Failure::new(ErrorKind::Internal, Outcome::Unknown, message)
    }
}

fn has_next(page: &Value, key: &str) -> bool {
    let links = page.get(format!("{key}_links")).and_then(Value::as_array);
    let is_next = |link: &Value| link.get("rel").and_then(Value::as_str) == Some("next");
    links.is_some_and(|links| links.iter().any(is_next)) || page.get("next").is_some_and(Value::is_string)
}
