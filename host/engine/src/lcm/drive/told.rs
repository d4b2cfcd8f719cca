//! What the log says of an operation that enters a state, and of what kind the cause of a failure is.

use tracing::Span;
use vimhost_connector::ErrorKind;
use vimhost_model::vnf::{OperationState, ProblemDetails, VnfLcmOpOcc};

use super::elapsed_ms;
use crate::lcm::machine::Event;

/// Most bytes of a VIM's words in a line.
const LONGEST: usize = 1024;

/// Kinds of causes: what `error.kind` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The VIM has ended it otherwise than was asked.
    VimStatus,
    /// The VIM refused a request.
    VimHttp,
    /// The VIM was not reached.
    Io,
    /// Who asks was refused, by the VIM or by the grants of the account.
    Auth,
    /// Something stands in the way.
    Conflict,
    /// It took too long.
    Timeout,
    /// The connector trapped, went over a limit, or answered rubbish.
    PluginTrap,
    /// The store does not take it.
    Db,
    /// What was asked does not go with what is described.
    Schema,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::VimStatus => "vim_status",
            Self::VimHttp => "vim_http",
            Self::Io => "io",
            Self::Auth => "auth",
            Self::Conflict => "conflict",
            Self::Timeout => "timeout",
            Self::PluginTrap => "plugin_trap",
            Self::Db => "db",
            Self::Schema => "schema",
        }
    }

    /// Of a failure that an event leads to at once.
    pub(super) fn of(event: &Event) -> Self {
        match event {
            // Nothing came: the time is over.
            Event::Go => Self::Timeout,
            Event::Answered(Err(error)) => Self::of_call(error.kind),
            Event::Answered(Ok(_)) | Event::Seen(_) => Self::VimStatus,
        }
    }

    fn of_call(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Unreachable => Self::Io,
            ErrorKind::Auth | ErrorKind::NotGranted => Self::Auth,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Plugin => Self::PluginTrap,
            ErrorKind::NotFound
            | ErrorKind::Quota
            | ErrorKind::RateLimited
            | ErrorKind::Unsupported
            | ErrorKind::BadRequest
            | ErrorKind::Internal
            | ErrorKind::Other => Self::VimHttp,
        }
    }
}

/// Words of others as a field: bounded, without control characters.
fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    let kept = text.get(..end).unwrap_or_default();
    kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The message of a problem and what is behind it: what could not be done, and the VIM's reason. Without a title the reason is all there is.
fn message_and_chain(problem: &ProblemDetails) -> (String, Option<String>) {
    let detail = shortened(&problem.detail);
    match &problem.title {
        Some(title) => (shortened(title), Some(detail)),
        None => (detail, None),
    }
}

/// Says why an operation ends before anything was done for it.
pub(super) fn not_begun(problem: &ProblemDetails, cause: Cause) {
    let (error, chain) = message_and_chain(problem);
    tracing::error!(
        error,
        error.chain = chain,
        error.kind = cause.as_str(),
        status = problem.status,
        "operation not begun"
    );
}

/// Says that a state was entered, which is on disk by now: so the cause of a failure is told once.
pub(super) fn announce(op_occ: &VnfLcmOpOcc, cause: Option<Cause>) {
    let state = op_occ.operation_state.as_str();
    if op_occ.operation_state == OperationState::FailedTemp
        && let Some(problem) = &op_occ.error
    {
        let (error, chain) = message_and_chain(problem);
        tracing::error!(
            state,
            error,
            error.chain = chain,
            error.kind = cause.map(Cause::as_str),
            status = problem.status,
            "operation failed"
        );
    }
    let elapsed_ms = elapsed_ms(op_occ);
    tracing::info!(op_occ_id = %op_occ.id, operation = op_occ.operation.as_str(), state, elapsed_ms, "operation entered a state");
    if !op_occ.operation_state.is_running() {
        // For traces. Once and behind the line: a span's text keeps every value that was recorded, and is part of each line inside.
        let span = Span::current();
        span.record("state", state);
        span.record("elapsed_ms", elapsed_ms);
    }
}

#[cfg(test)]
mod tests {
    use vimhost_connector::Error as CallError;

    use super::*;

    #[test]
    fn a_failure_is_of_the_kind_of_what_led_to_it() {
        let call = |kind| Cause::of(&Event::Answered(Err(CallError::new(kind, "no"))));
        assert_eq!(call(ErrorKind::Unreachable), Cause::Io);
        assert_eq!(call(ErrorKind::NotGranted), Cause::Auth);
        assert_eq!(call(ErrorKind::Quota), Cause::VimHttp);
        assert_eq!(call(ErrorKind::Plugin), Cause::PluginTrap);
        assert_eq!(Cause::of(&Event::Go), Cause::Timeout);
    }

    #[test]
    fn what_a_vim_says_is_behind_what_could_not_be_done_and_forges_no_line() {
        let said = format!("no host\n{}", "ü".repeat(LONGEST));
        let problem = ProblemDetails::titled(422, "Stack create failed", said);
        let (error, chain) = message_and_chain(&problem);
        let chain = chain.unwrap();
        assert_eq!(error, "Stack create failed");
        assert!(
            chain.starts_with("no host ü") && chain.len() <= LONGEST,
            "{}",
            chain.len()
        );
        let alone = message_and_chain(&ProblemDetails::new(422, "no such flavour"));
        assert_eq!(alone, ("no such flavour".to_owned(), None));
    }
}
