//! What a failed request means: a code for the guest, a text for the operator.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;
use vimhost_dial::DialError;
use wasmtime_wasi_http::Error;

/// A request that got no answer.
pub(super) fn of_request(error: &legacy::Error) -> (Error, String) {
    let (code, text) = find(error).unwrap_or_else(|| (Error::ConnectionTerminated, chain(error)));
    if was_never_sent(error) || !says_unsent(&code) {
        return (code, text);
    }
    (Error::ConnectionTerminated, text)
}

/// A body that broke off.
pub(super) fn of_body(error: &hyper::Error) -> (Error, String) {
    match find(error) {
        Some((code, text)) if !says_unsent(&code) => (code, text),
        Some((_, text)) => (Error::HttpResponseIncomplete, text),
        None => (Error::HttpResponseIncomplete, chain(error)),
    }
}

/// Whether a guest takes a request for one that reached nobody: wrong of one that was sent, whose connection then ended in the same way.
fn says_unsent(code: &Error) -> bool {
    matches!(
        code,
        Error::DestinationIpProhibited
            | Error::DestinationUnavailable
            | Error::DnsError { .. }
            | Error::ConnectionRefused
            | Error::ConnectionTimeout
            | Error::TlsCertificateError
            | Error::TlsAlertReceived { .. }
            | Error::TlsProtocolError
    )
}

/// Whether a request surely reached nobody.
pub(super) fn was_never_sent(error: &legacy::Error) -> bool {
    error.is_connect()
}

fn find(error: &(dyn StdError + 'static)) -> Option<(Error, String)> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(known) = known(error) {
            return Some(known);
        }
        // An error of rustls sits inside an io::Error, where `source` does not lead.
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| find(inner as &(dyn StdError + 'static)));
        if inside.is_some() {
            return inside;
        }
        next = error.source();
    }
    None
}

fn known(error: &(dyn StdError + 'static)) -> Option<(Error, String)> {
    if let Some(error) = error.downcast_ref::<DialError>() {
        let code = match error {
            DialError::Prohibited(_) => Error::DestinationIpProhibited,
            DialError::Unknown { .. } => Error::DnsError {
                rcode: Some("name not resolved".into()),
                info_code: None,
            },
            DialError::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
                Error::ConnectionRefused
            }
            DialError::Unreachable { .. } => Error::DestinationUnavailable,
            DialError::Slow { .. } => Error::ConnectionTimeout,
        };
        return Some((code, error.to_string()));
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the enum is open, and the guest has one code for the rest"
        )]
        let code = match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Error::TlsCertificateError,
            rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
                alert_id: Some(u8::from(*alert)),
                alert_message: Some(format!("{alert:?}")),
            },
            _ => Error::TlsProtocolError,
        };
        return Some((code, format!("TLS: {error}")));
    }
    let error = error.downcast_ref::<hyper::Error>()?;
    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        return Some((Error::HttpProtocolError, chain(error)));
    }
    None
}

/// The causes in one line. None of hyper's texts holds a header or a body.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
