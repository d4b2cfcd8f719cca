//! Requests as the account's configuration lists them.
//!
//! `{password}` stands for the handle of that credential, `{password:base64}` for the handle in base64, `{token}` for the last
//! `X-Subject-Token` of an answer. `count` repeats a request, `at_once` sends so many before any answer is looked at, `drop` reads a
//! body and keeps nothing, `unread` never reads it, `follow` goes where a redirect points to, `anyway` goes on after a failure.

use serde_json::Value;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

use crate::vimhost::connector::vim_types::{Account, Error, ErrorKind};

/// Performs them, one after the other; answers status and body of each.
pub fn perform(account: &Account, requests: &Value) -> Result<Vec<String>, Error> {
    let mut token = String::new();
    let mut answers = vec![];
    for request in requests.as_array().into_iter().flatten() {
        for _ in 0..request["count"].as_u64().unwrap_or(1) {
            match perform_one(account, request, &mut token) {
                Ok(told) => answers.extend(told),
                Err(error) if request["anyway"] == true => answers.push(error.message),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(answers)
}

fn perform_one(account: &Account, request: &Value, token: &mut String) -> Result<Vec<String>, Error> {
    let known = token.clone();
    let filled = |text: &str| {
        let text = text.replace("{token}", &known).replace("{url}", &account.url);
        account.credentials.iter().fold(text, |text, credential| {
            text.replace(&format!("{{{}}}", credential.name), &credential.handle)
                .replace(&format!("{{{}:base64}}", credential.name), &base64(&credential.handle))
        })
    };
    let failed = |code: ErrorCode| Error {
        kind: ErrorKind::Unreachable,
        message: format!("{code:?}"),
        retry_after_ms: None,
    };
    let answer = match request["at_once"].as_u64() {
        None => one(request, &filled).map_err(failed)?,
        Some(many) => {
            let begun: Result<Vec<_>, _> = (0..many).map(|_| begin(request, &filled)).collect();
            let answered: Result<Vec<_>, _> = begun.map_err(failed)?.into_iter().map(answer).collect();
            answered.map_err(failed)?.pop().expect("one at least")
        }
    };
    if let Some(given) = answer.headers().get("x-subject-token").first() {
        *token = String::from_utf8_lossy(given).into_owned();
    }
    if request["unread"] == true {
        let _body = answer.consume().expect("a body");
        wasip2::clocks::monotonic_clock::subscribe_duration(3_600_000_000_000).block();
    }
    let location = answer.headers().get("location").pop();
    if let Some(location) = location.filter(|_| request["follow"] == true) {
        let next = serde_json::json!([{ "url": String::from_utf8_lossy(&location) }]);
        return perform(account, &next);
    }
    let status = answer.status();
    let body = read(&answer, request["drop"] == true).map_err(|code| Error {
        kind: ErrorKind::Other,
        message: format!("body: {code:?}"),
        retry_after_ms: None,
    })?;
    let mut told = vec![format!("{status} {body}")];
    if request["show"] == "token" {
        told.push(token.clone());
    }
    Ok(told)
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for piece in text.as_bytes().chunks(3) {
        let bits = piece.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - piece.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= piece.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

fn one(request: &Value, filled: &dyn Fn(&str) -> String) -> Result<IncomingResponse, ErrorCode> {
    answer(begin(request, filled)?)
}

fn answer(future: FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    future.subscribe().block();
    future.get().expect("an answer").expect("taken once")
}

fn begin(request: &Value, filled: &dyn Fn(&str) -> String) -> Result<FutureIncomingResponse, ErrorCode> {
    let url = filled(request["url"].as_str().unwrap_or_default());
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let headers = Fields::new();
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let value = filled(value.as_str().unwrap_or_default());
        headers.append(name, value.as_bytes()).expect("a header");
    }
    let outgoing = OutgoingRequest::new(headers);
    let method = match request["method"].as_str().unwrap_or("GET") {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.into()),
    };
    outgoing.set_method(&method).expect("a method");
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    outgoing.set_scheme(Some(&scheme)).expect("a scheme");
    outgoing.set_authority(Some(authority)).expect("an authority");
    outgoing.set_path_with_query(Some(path)).expect("a path");
    let body = outgoing.body().expect("a body");
    let future = handle(outgoing, None)?;
    let text = match request["size"].as_u64() {
        Some(size) => "x".repeat(usize::try_from(size).expect("a size")),
        None => filled(request["body"].as_str().unwrap_or_default()),
    };
    let stream = body.write().expect("a stream");
    for piece in text.as_bytes().chunks(4096) {
        // Closed: the answer tells why.
        if stream.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
    Ok(future)
}

fn read(answer: &IncomingResponse, forget: bool) -> Result<String, Option<ErrorCode>> {
    let body = answer.consume().expect("a body");
    let stream = body.stream().expect("a stream");
    let mut bytes = vec![];
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) if forget => drop(piece),
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(wasip2::http::types::http_error_code(&error));
            }
        }
    }
}
