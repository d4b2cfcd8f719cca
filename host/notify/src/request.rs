//! What a client asks for.

use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;
use vimhost_model::vnf::{LifecycleChangeFilter, Verbosity};

use crate::Error;
use crate::authentication::AuthenticationRequest;

/// As the interface has it.
pub const LONGEST_CALLBACK_URI: usize = 255;

/// Bytes of a filter. All filters of all subscriptions are held in memory, and one of some thousand ids fits.
const LARGEST_FILTER: usize = 256 << 10;

/// `LccnSubscriptionRequest`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LccnSubscriptionRequest {
    /// Where notifications go: by http or https, without credentials.
    #[schema(max_length = 255, pattern = "^https?://[A-Za-z0-9.:\\[\\]-]+(/[!-~]*)?$")]
    pub callback_uri: String,
    /// Which ones; none: all.
    #[serde(default)]
    pub filter: Option<LifecycleChangeFilter>,
    /// How to authenticate there.
    #[serde(default)]
    pub authentication: Option<AuthenticationRequest>,
    /// How much they say.
    #[serde(default)]
    pub verbosity: Option<Verbosity>,
}

/// A filter that can be kept.
pub(crate) fn bounded(filter: &LifecycleChangeFilter) -> Result<(), Error> {
    let bytes = serde_json::to_vec(filter).map_or(usize::MAX, |text| text.len());
    if bytes > LARGEST_FILTER {
        return Err(Error::BadRequest(format!(
            "filter has more than {LARGEST_FILTER} bytes"
        )));
    }
    Ok(())
}

/// An address that can be asked by HTTP.
pub(crate) fn http_url(name: &str, text: &str) -> Result<Url, Error> {
    let wrong = |reason: &str| Error::BadRequest(format!("{name} {reason}"));
    let length = text.chars().count();
    if length > LONGEST_CALLBACK_URI {
        return Err(wrong(&format!(
            "has {length} characters, at most {LONGEST_CALLBACK_URI} are allowed"
        )));
    }
    let url = Url::parse(text).map_err(|error| wrong(&format!("is no URI: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("is no http or https URI"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds credentials; give them as authentication"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use vimhost_model::vnf::InstanceFilter;

    use super::*;

    #[test]
    fn a_filter_names_some_thousand_ids_at_most() {
        let of = |count: usize| LifecycleChangeFilter {
            vnf_instance_subscription_filter: Some(InstanceFilter {
                vnf_instance_ids: Some(vec!["x".repeat(36); count]),
                ..InstanceFilter::default()
            }),
            ..LifecycleChangeFilter::default()
        };
        assert_eq!(bounded(&of(5_000)), Ok(()));
        assert!(matches!(bounded(&of(10_000)), Err(Error::BadRequest(_))));
    }

    #[test]
    fn only_http_without_credentials_is_called_back() {
        assert!(http_url("callbackUri", "http://nfvo.example:8080/a?b=c").is_ok());
        let long = format!("http://h/{}", "x".repeat(300));
        for bad in ["", "nfvo", "ftp://h/", "http://u:p@h/", "file:///etc/passwd", &long] {
            let error = http_url("callbackUri", bad).unwrap_err();
            assert!(error.to_string().starts_with("callbackUri "), "{error}");
        }
    }
}
