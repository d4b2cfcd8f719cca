//! What happens to one request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::fault::{Effect, Fault};
use crate::places::Places;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(crate) struct NoAnswer;

/// What tests see and set.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) faults: Vec<Fault>,
}

/// What stands before all origins.
#[derive(Debug)]
pub(crate) struct Front {
    places: Places,
    held: Mutex<Held>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Front {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            held: Mutex::default(),
            // A connection for each request: one that is kept may be closed by the VIM at the moment a request is sent on it, and
            // that answer would be lost though no test has asked for it.
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build_http(),
        }
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        // Counters and faults are whole between two statements.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn serve(
        &self,
        origin: usize,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, NoAnswer> {
        let effects = self.judge(origin, &request);
        // Whatever becomes of it: hyper closes a connection whose request was not read to its end, and a client that is still writing
        // then sees the connection break instead of the refusal.
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        for effect in &effects {
            match effect {
                Effect::Cut => return Err(NoAnswer),
                Effect::Delay(pause) => tokio::time::sleep(*pause).await,
                Effect::Refuse { status, retry_after } => {
                    let mut response = Response::new(Full::default());
                    *response.status_mut() = *status;
                    if let Some(seconds) = retry_after {
                        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*seconds));
                    }
                    return Ok(response);
                }
                Effect::LoseAnswer => {}
            }
        }
        let response = self.forward(origin, Request::from_parts(head, body)).await?;
        if effects.contains(&Effect::LoseAnswer) {
            return Err(NoAnswer);
        }
        Ok(response)
    }

    /// Counts a request, and says what happens to it.
    fn judge(&self, origin: usize, request: &Request<Incoming>) -> Vec<Effect> {
        let (service, path) = self.places.service(origin, request.uri().path());
        let mut held = self.held();
        *held
            .counts
            .entry(format!("{} {service} {path}", request.method()))
            .or_default() += 1;
        let faults = held.faults.iter_mut();
        faults
            .filter_map(|fault| fault.judge(service, request.method(), &path))
            .collect()
    }

    /// An origin that does not answer is one whose connection breaks: that is what a client without a proxy would see.
    async fn forward(&self, origin: usize, request: Request<Bytes>) -> Result<Response<Full<Bytes>>, NoAnswer> {
        let (mut head, body) = request.into_parts();
        let origin = self.places.origins().get(origin).ok_or(NoAnswer)?;
        let rest = head.uri.path_and_query().map_or("/", |rest| rest.as_str());
        head.uri = format!("{origin}{rest}").parse::<Uri>().map_err(|_| NoAnswer)?;
        of_one_connection(&mut head.headers);
        // Packed bodies could not be read.
        head.headers.remove(ACCEPT_ENCODING);
        head.headers.remove(HOST);
        let asked = self.client.request(Request::from_parts(head, Full::new(body)));
        let (mut head, body) = asked.await.map_err(|_| NoAnswer)?.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        of_one_connection(&mut head.headers);
        self.translate_headers(&mut head.headers);
        let body = if is_text(&head.headers) {
            std::str::from_utf8(&body).map_or_else(|_| body.clone(), |text| Bytes::from(self.places.translate(text)))
        } else {
            body
        };
        Ok(Response::from_parts(head, Full::new(body)))
    }

    fn translate_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let told = value.to_str().ok().filter(|text| text.contains("http://"));
            if let Some(told) = told.and_then(|text| HeaderValue::from_str(&self.places.translate(text)).ok()) {
                *value = told;
            }
        }
    }
}

/// Takes out what is between two neighbours; hyper says anew how a message is framed.
fn of_one_connection(headers: &mut HeaderMap) {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.contains("json") || kind.starts_with("text/"))
}
