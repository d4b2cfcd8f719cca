//! From statuses and faults to failures.
//!
//! | what | kind | work done? |
//! | --- | --- | --- |
//! | 400, 405, 415, 422, other 4xx | bad-request | no |
//! | 401, 403 | auth | no |
//! | 403 that speaks of a quota, 413 | quota | no |
//! | 404, 410 | not-found | no |
//! | 408, 504 | timeout | unknown |
//! | 409, 412, 423 | conflict | no |
//! | 429 | rate-limited | no |
//! | 501 | unsupported | no |
//! | 502, 503 | unreachable | unknown |
//! | other 5xx | internal | unknown |
//! | the host refuses it | not-granted | no |
//! | not reached | unreachable, timeout | no |
//! | connection lost, no answer in time | unreachable, timeout | unknown |

use std::time::Duration;

use serde_json::Value;

use super::{Fault, Origin, Response};
use crate::error::{Failure, Outcome};
use crate::types::ErrorKind;

/// How much of the VIM's words is kept. The host keeps 4 KiB of the whole message.
const MOST_WORDS: usize = 2000;

/// How deep the VIM's words are looked for: Nova hides them two levels down (`{"badRequest": {"message": …}}`).
const DEEPEST: u8 = 4;

pub(super) fn of_answer(response: &Response) -> Failure {
    let words = words(&response.body);
    let (kind, outcome) = classify(response.status, &words);
    let retry_after_ms = response.header("retry-after").and_then(retry_after);
    let message = if words.is_empty() {
        format!("{} answered {}", response.context, response.status)
    } else {
        format!("{} answered {}: {words}", response.context, response.status)
    };
    let mut failure = Failure::new(kind, outcome, message);
    failure.error.retry_after_ms = retry_after_ms;
    failure.status = Some(response.status);
    failure
}

fn classify(status: u16, words: &str) -> (ErrorKind, Outcome) {
    let kind = match status {
        403 if speaks_of_quota(words) => ErrorKind::Quota,
        401 | 403 => ErrorKind::Auth,
        404 | 410 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        409 | 412 | 423 => ErrorKind::Conflict,
        413 => ErrorKind::Quota,
        429 => ErrorKind::RateLimited,
        400..=499 => ErrorKind::BadRequest,
        501 => ErrorKind::Unsupported,
        502 | 503 => ErrorKind::Unreachable,
        500..=599 => ErrorKind::Internal,
        _ => ErrorKind::Other,
    };
    let outcome = match status {
        // A redirect that is not followed has done nothing; neither has a refusal. 408 may come from a proxy.
        300..=407 | 409..=499 | 501 => Outcome::NotDone,
        _ => Outcome::Unknown,
    };
    (kind, outcome)
}

fn speaks_of_quota(words: &str) -> bool {
    words.to_ascii_lowercase().contains("quota")
}

pub(super) fn of_fault(fault: &Fault, context: &str, origin: &Origin) -> Failure {
    let (kind, outcome, why) = match fault {
        Fault::Denied => (
            ErrorKind::NotGranted,
            Outcome::NotDone,
            format!(
                "the host does not let this request out to {origin}: the account does not grant this origin, or a \
                 credential stands where the connector did not declare it"
            ),
        ),
        Fault::Busy => (
            ErrorKind::RateLimited,
            Outcome::NotDone,
            "too many requests of this account are open".to_owned(),
        ),
        Fault::Invalid(why) => (
            ErrorKind::BadRequest,
            Outcome::NotDone,
            format!("it cannot be sent: {why}"),
        ),
        Fault::NotReached(why) => (
            ErrorKind::Unreachable,
            Outcome::NotDone,
            format!("{origin} cannot be reached: {why}"),
        ),
        Fault::ConnectTimeout => (
            ErrorKind::Timeout,
            Outcome::NotDone,
            format!("{origin} cannot be reached in time"),
        ),
        Fault::Lost(why) => (
            ErrorKind::Unreachable,
            Outcome::Unknown,
            format!("the answer was lost: {why}"),
        ),
        Fault::Timeout => (
            ErrorKind::Timeout,
            Outcome::Unknown,
            "there was no answer in time".to_owned(),
        ),
        Fault::TooLarge => (
            ErrorKind::Other,
            Outcome::Unknown,
            "the answer is larger than allowed".to_owned(),
        ),
        Fault::Other(why) => (ErrorKind::Internal, Outcome::Unknown, why.clone()),
    };
    Failure::new(kind, outcome, format!("{context}: {why}"))
}

/// Seconds only: VIMs send no dates, and the SDK has no calendar.
fn retry_after(value: &str) -> Option<u32> {
    let seconds: u64 = value.trim().parse().ok()?;
    Some(u32::try_from(Duration::from_secs(seconds).as_millis()).unwrap_or(u32::MAX))
}

/// What the VIM said, out of whatever form it said it in.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|json| find(&json, DEEPEST).map(str::to_owned));
    let said = said.unwrap_or_else(|| {
        if text.trim_start().starts_with('<') {
            title(&text)
        } else {
            text.trim().to_owned()
        }
    });
    match said.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}…", said.get(..end).unwrap_or_default()),
        None => said,
    }
}

/// The first text under one of the usual names; nearer ones first.
fn find(json: &Value, depth: u8) -> Option<&str> {
    const NAMES: [&str; 6] = [
        "message",
        "explanation",
        "faultstring",
        "detail",
        "description",
        "title",
    ];
    let object = json.as_object()?;
    let here = |name: &&str| {
        object
            .get(*name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let below = || match depth.checked_sub(1) {
        // `error` first: Heat puts its words there and a worse text beside it.
        Some(depth) => object
            .get("error")
            .and_then(|error| find(error, depth))
            .or_else(|| object.values().find_map(|value| find(value, depth))),
        None => None,
    };
    let error = object.get("error");
    if error.is_some_and(Value::is_object) {
        return below().or_else(|| NAMES.iter().find_map(here));
    }
    NAMES
        .iter()
        .find_map(here)
        .or_else(below)
        .or_else(|| error.and_then(Value::as_str))
}

/// The title of a page, which is all it says.
fn title(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = start + lower.get(start..)?.find("</title>")?;
        page.get(start..end)
    });
    title.map_or_else(|| "an HTML page".to_owned(), |title| title.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Failure {
        let headers = vec![("Retry-After".to_owned(), "3".to_owned())];
        let context = "creating port p0: POST http://vim/v1/ports".to_owned();
        of_answer(&Response {
            status,
            headers,
            body: body.as_bytes().to_vec(),
            context,
        })
    }

    #[test]
    fn statuses_become_kinds_and_outcomes() {
        let of = |status, body| {
            let failure = answer(status, body);
            (failure.error.kind, failure.outcome)
        };
        use {ErrorKind as Kind, Outcome::*};
        assert_eq!(of(401, ""), (Kind::Auth, NotDone));
        assert_eq!(
            of(403, r#"{"message": "policy does not allow"}"#),
            (Kind::Auth, NotDone)
        );
        assert_eq!(
            of(403, r#"{"forbidden": {"message": "Quota exceeded for cores"}}"#),
            (Kind::Quota, NotDone)
        );
        assert_eq!(of(404, ""), (Kind::NotFound, NotDone));
        assert_eq!(of(409, ""), (Kind::Conflict, NotDone));
        assert_eq!(of(413, ""), (Kind::Quota, NotDone));
        assert_eq!(of(422, ""), (Kind::BadRequest, NotDone));
        assert_eq!(of(429, ""), (Kind::RateLimited, NotDone));
        assert_eq!(of(500, ""), (Kind::Internal, Unknown));
        assert_eq!(of(501, ""), (Kind::Unsupported, NotDone));
        assert_eq!(of(503, ""), (Kind::Unreachable, Unknown));
        assert_eq!(of(504, ""), (Kind::Timeout, Unknown));
        assert_eq!(of(302, ""), (Kind::Other, NotDone));
    }

    #[test]
    fn the_message_says_what_was_done_and_what_the_vim_said() {
        let failure = answer(429, r#"{"error": {"kind": "rate-limited", "message": "slow down"}}"#);
        assert_eq!(
            failure.error.message,
            "creating port p0: POST http://vim/v1/ports answered 429: slow down"
        );
        assert_eq!(failure.error.retry_after_ms, Some(3000));
        assert_eq!(failure.status, Some(429));
    }

    #[test]
    fn the_words_are_found_in_the_forms_of_the_known_vims() {
        let said = |body: &str| words(body.as_bytes());
        assert_eq!(
            said(r#"{"badRequest": {"code": 400, "message": "no image"}}"#),
            "no image"
        );
        assert_eq!(
            said(r#"{"NeutronError": {"type": "X", "message": "ip taken", "detail": ""}}"#),
            "ip taken"
        );
        assert_eq!(
            said(r#"{"explanation": "The resource", "error": {"message": "Stack not found"}}"#),
            "Stack not found"
        );
        assert_eq!(said(r#"{"error": "text alone"}"#), "text alone");
        assert_eq!(
            said("<html><head><title> 404 Not Found </title></head></html>"),
            "404 Not Found"
        );
        assert_eq!(said("plain\n"), "plain");
        assert_eq!(said(&"x".repeat(5000)).chars().count(), MOST_WORDS + 1);
    }

    #[test]
    fn a_refusal_of_the_host_names_the_origin() {
        let origin = Client::new("http://169.254.169.254/latest").unwrap().origin().clone();
        let failure = of_fault(&Fault::Denied, "GET x", &origin);
        assert_eq!(
            (failure.error.kind, failure.outcome),
            (ErrorKind::NotGranted, Outcome::NotDone)
        );
        assert!(
            failure.error.message.contains("http://169.254.169.254"),
            "{}",
            failure.error.message
        );
    }

    use super::super::Client;
}
