//! What OpenStack's services mean by their statuses, where it is not what the status says.
//!
//! | what is said | kind |
//! | --- | --- |
//! | Neutron, 409 `OverQuota` | quota |
//! | Nova, 403 "Maximum number of ports exceeded" | quota |
//! | Heat, 400 "maximum stacks per tenant" | quota |
//! | Nova and Cinder, 413 "rate-limited" | rate-limited |
//! | 503 with `Retry-After` | rate-limited |
//!
//! Everything else is as the SDK has it: 401 and 403 are `auth`, 404 `not-found`, 409 `conflict` (O4).

use vimhost_sdk::prelude::*;

pub(crate) fn refine(mut failure: Failure) -> Failure {
    let Some(status) = failure.status else {
        return failure;
    };
    // Only what the service said: what was being done may speak of a quota too.
    let answered = format!(" answered {status}: ");
    let said = failure.error.message.split_once(&answered).map_or("", |(_, said)| said);
    let said = said.to_ascii_lowercase();
    let kind = match status {
        400 if said.contains("maximum stacks per tenant") => ErrorKind::Quota,
        403 if said.contains("quota") || said.contains("exceeded") => ErrorKind::Quota,
        409 if said.contains("quota") => ErrorKind::Quota,
        413 if said.contains("rate-limit") || said.contains("rate limit") => ErrorKind::RateLimited,
        503 if failure.error.retry_after_ms.is_some() => ErrorKind::RateLimited,
        _ => return failure,
    };
    failure.error.kind = kind;
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, said: &str, kind: ErrorKind) -> ErrorKind {
        let message = format!("asking for the quota: POST http://x/y answered {status}: {said}");
        let mut failure = Failure::new(kind, Outcome::NotDone, message);
        failure.status = Some(status);
        refine(failure).error.kind
    }

    #[test]
    fn a_quota_is_a_quota_whatever_the_status() {
        assert_eq!(
            kind(409, "Quota exceeded for resources: ['port'].", ErrorKind::Conflict),
            ErrorKind::Quota
        );
        assert_eq!(
            kind(403, "Maximum number of ports exceeded", ErrorKind::Auth),
            ErrorKind::Quota
        );
        assert_eq!(
            kind(
                400,
                "You have reached the maximum stacks per tenant, 100.",
                ErrorKind::BadRequest
            ),
            ErrorKind::Quota
        );
        assert_eq!(
            kind(413, "This request was rate-limited.", ErrorKind::Quota),
            ErrorKind::RateLimited
        );
    }

    #[test]
    fn o04_a_conflict_stays_one_and_a_policy_is_no_quota() {
        assert_eq!(
            kind(409, "Unable to complete operation, port is in use", ErrorKind::Conflict),
            ErrorKind::Conflict
        );
        assert_eq!(
            kind(
                403,
                "Policy doesn't allow create_port to be performed.",
                ErrorKind::Auth
            ),
            ErrorKind::Auth
        );
    }
}
