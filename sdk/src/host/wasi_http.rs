//! One exchange over `wasi:http`, blocking.
//!
//! Two things that are easy to get wrong and that this module gets right: when writing the body answers `closed`, the
//! reason is in the response; and a body is read to its end, or the host cannot use the connection again.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method as WasiMethod, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme as WasiScheme, http_error_code,
};
use wasip2::io::streams::StreamError;

use crate::http::{Answer, Exchange, Fault, Method, Scheme, Timeouts};

/// How much of an answer is asked for at once; the host gives what it has.
const READ_CHUNK: u64 = 64 << 10;

pub(crate) fn send(exchange: &Exchange) -> Result<Answer, Fault> {
    let request = prepare(exchange)?;
    let body = match &exchange.body {
        Some(bytes) => Some((request.body().map_err(|()| invalid("its body"))?, bytes)),
        None => None,
    };
    let future = outgoing_handler::handle(request, options(exchange.timeouts)).map_err(|code| fault(&code))?;
    if let Some((body, bytes)) = body {
        write(body, bytes);
    }
    let answer = future.subscribe();
    answer.block();
    drop(answer);
    let response = match future.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(fault(&code)),
        Some(Err(())) | None => return Err(Fault::Other("the host gave no answer".to_owned())),
    };
    read(&response, exchange.largest_answer)
}

fn invalid(what: &str) -> Fault {
    Fault::Invalid(format!("{what} is not allowed"))
}

fn prepare(exchange: &Exchange) -> Result<OutgoingRequest, Fault> {
    let headers = Fields::new();
    for (name, value) in &exchange.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| Fault::Invalid(format!("header {name}: {error:?}")))?;
    }
    if let Some(body) = &exchange.body {
        headers
            .set("content-length", &[body.len().to_string().into_bytes()])
            .map_err(|error| Fault::Invalid(format!("its length: {error:?}")))?;
    }
    let request = OutgoingRequest::new(headers);
    let method = match exchange.method {
        Method::Get => WasiMethod::Get,
        Method::Head => WasiMethod::Head,
        Method::Post => WasiMethod::Post,
        Method::Put => WasiMethod::Put,
        Method::Patch => WasiMethod::Patch,
        Method::Delete => WasiMethod::Delete,
    };
    let scheme = match exchange.target.origin.scheme {
        Scheme::Http => WasiScheme::Http,
        Scheme::Https => WasiScheme::Https,
    };
    request.set_method(&method).map_err(|()| invalid("its method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| invalid("its scheme"))?;
    request
        .set_authority(Some(&exchange.target.origin.authority))
        .map_err(|()| invalid("its host"))?;
    request
        .set_path_with_query(Some(&exchange.target.path_and_query()))
        .map_err(|()| invalid("its path"))?;
    Ok(request)
}

/// The host bounds each time itself; one that it will not have is left to it.
fn options(timeouts: Timeouts) -> Option<RequestOptions> {
    if timeouts == Timeouts::default() {
        return None;
    }
    let nanos =
        |limit: Option<std::time::Duration>| limit.map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(nanos(timeouts.connect));
    let _ = options.set_first_byte_timeout(nanos(timeouts.first_byte));
    let _ = options.set_between_bytes_timeout(nanos(timeouts.between_bytes));
    Some(options)
}

/// Writes as much as the host takes. It may stop early: the VIM has answered already, or the host has refused the request.
/// Either way the response tells, so nothing is reported here.
fn write(body: OutgoingBody, mut bytes: &[u8]) {
    if let Ok(stream) = body.write() {
        while !bytes.is_empty() {
            let Ok(room) = stream.check_write() else { break };
            if room == 0 {
                stream.subscribe().block();
                continue;
            }
            let (chunk, rest) = bytes.split_at(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            if stream.write(chunk).is_err() {
                break;
            }
            bytes = rest;
        }
        if stream.flush().is_ok() {
            stream.subscribe().block();
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

fn read(response: &IncomingResponse, largest: usize) -> Result<Answer, Fault> {
    let status = response.status();
    let headers = response
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let body = response
        .consume()
        .map_err(|()| Fault::Other("the host gave no body".to_owned()))?;
    let stream = body
        .stream()
        .map_err(|()| Fault::Other("the host gave no body".to_owned()))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_CHUNK) {
            Ok(chunk) if bytes.len() + chunk.len() > largest => return Err(Fault::TooLarge),
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error)
                    .map_or_else(|| Fault::Lost("the answer broke off".to_owned()), |code| fault(&code)));
            }
        }
    }
    drop(stream);
    // The trailers are of no interest; asking for them tells the host that the answer was read.
    drop(IncomingBody::finish(body));
    Ok(Answer {
        status,
        headers,
        body: bytes,
    })
}

fn fault(code: &ErrorCode) -> Fault {
    let named = || format!("{code:?}").trim_start_matches("ErrorCode::").to_owned();
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => Fault::Denied,
        ErrorCode::ConnectionLimitReached => Fault::Busy,
        ErrorCode::ConnectionTimeout | ErrorCode::DnsTimeout => Fault::ConnectTimeout,
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout | ErrorCode::HttpResponseTimeout => {
            Fault::Timeout
        }
        ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => Fault::NotReached(named()),
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete | ErrorCode::HttpProtocolError => {
            Fault::Lost(named())
        }
        ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => Fault::Invalid(named()),
        ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_)
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseTrailerSectionSize(_)
        | ErrorCode::HttpResponseTrailerSize(_) => Fault::TooLarge,
        ErrorCode::InternalError(Some(message)) => Fault::Other(message.clone()),
        ErrorCode::InternalError(None)
        | ErrorCode::HttpResponseTransferCoding(_)
        | ErrorCode::HttpResponseContentCoding(_)
        | ErrorCode::HttpUpgradeFailed
        | ErrorCode::LoopDetected
        | ErrorCode::ConfigurationError => Fault::Other(named()),
    }
}
