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
//!
//! Behind the service's words stands what an operator can do, where that is known.

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
        _ => failure.error.kind,
    };
    failure.error.kind = kind;
    if let Some(advice) = advice(status, kind, &said) {
        failure.error.message.push_str(&format!(" ({advice})"));
    }
    failure
}

/// What an operator can do about it.
fn advice(status: u16, kind: ErrorKind, said: &str) -> Option<&'static str> {
    if kind == ErrorKind::Quota {
        return Some("raise the project's quota, or delete what it does not need");
    }
    match status {
        403 if said.contains("policy") => {
            Some("give the account's user a role that the cloud's policies allow this to")
        }
        409 if said.contains("no more ip addresses") => {
            Some("free addresses of that network, or widen its allocation pools")
        }
        _ => None,
    }
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
    fn what_an_operator_can_do_stands_behind_the_services_words() {
        let told = |status: u16, said: &str, kind: ErrorKind| {
            let mut failure = Failure::new(
                kind,
                Outcome::NotDone,
                format!("asking: POST http://x/y answered {status}: {said}"),
            );
            failure.status = Some(status);
            refine(failure).error.message
        };
        let quota = "Quota exceeded for instances: Requested 1, but already used 0 of 0 instances";
        let told_of_quota = told(403, quota, ErrorKind::Quota);
        assert!(
            told_of_quota.contains(quota)
                && told_of_quota.ends_with("(raise the project's quota, or delete what it does not need)"),
            "{told_of_quota}"
        );
        let policy = "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed.";
        assert!(told(403, policy, ErrorKind::Auth).contains("(give the account's user a role"));
        let pool = "No more IP addresses available on network 1.";
        assert!(told(409, pool, ErrorKind::Conflict).contains("(free addresses of that network"));
        assert!(told(409, "in use", ErrorKind::Conflict).ends_with("in use"));
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
