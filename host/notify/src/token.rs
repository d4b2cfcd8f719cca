//! Tokens of OAuth 2.0 client credentials: kept until they expire, asked for again when a callback refuses one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use vimhost_model::{Secret, SubscriptionId};

use crate::callback::{Client, basic};

/// How long a token is kept that does not say how long it is good for. A callback that refuses it earlier gets another one.
const UNSAID: u64 = 3600;

/// A token is not used in its last seconds: it has to be good when it arrives.
const MARGIN: Duration = Duration::from_secs(10);

/// What a token is kept for at most, whatever it says of itself.
const LONGEST: u64 = 24 * 3600;

/// Tokens remembered; one more and all are asked for again.
const REMEMBERED: usize = 10_000;

/// Tokens by subscription. A subscriber is told one thing at a time, so none is asked for twice at once.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<SubscriptionId, (Secret, Instant)>>);

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Tokens {
    fn kept(&self, subscription: &SubscriptionId) -> Option<Secret> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, until) = tokens.get(subscription)?;
        (*until > Instant::now()).then(|| token.clone())
    }

    fn keep(&self, subscription: &SubscriptionId, token: Secret, lifetime: Duration) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= REMEMBERED {
            tokens.clear();
        }
        tokens.insert(subscription.clone(), (token, Instant::now() + lifetime));
    }

    /// The callback refused it, or the subscription is gone.
    pub(crate) fn forget(&self, subscription: &SubscriptionId) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.remove(subscription);
    }

    /// The token kept, or another one.
    pub(crate) async fn get(
        &self,
        client: &Client,
        subscription: &SubscriptionId,
        id: &Secret,
        password: &Secret,
        endpoint: &str,
    ) -> Result<Secret, String> {
        if let Some(token) = self.kept(subscription) {
            return Ok(token);
        }
        let failed = |reason: String| format!("its token endpoint gave no token: {reason}");
        let request = Request::post(endpoint)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, basic(id, password).map_err(&failed)?)
            .body(Full::new(Bytes::from_static(b"grant_type=client_credentials")))
            .map_err(|error| failed(error.to_string()))?;
        let answer = client.exchange(request).await.map_err(&failed)?;
        if answer.status != StatusCode::OK {
            return Err(failed(format!("it answered {}, not 200", answer.status.as_u16())));
        }
        // The cause would quote the answer.
        let granted: Granted =
            serde_json::from_slice(&answer.body).map_err(|_| failed("its answer has no access_token".to_owned()))?;
        let lifetime = Duration::from_secs(granted.expires_in.unwrap_or(UNSAID).min(LONGEST));
        let token = granted.access_token;
        self.keep(subscription, token.clone(), lifetime.saturating_sub(MARGIN));
        Ok(token)
    }
}
