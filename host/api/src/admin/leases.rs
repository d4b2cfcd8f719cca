//! Which host drives which account.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vimhost_model::{HostId, TargetId, Timestamp};
use vimhost_store::Lease;

use super::Admin;
use super::output::{Answer, Listing};
use crate::failure::Failure;
use vimhost_model::date_time::rfc3339;

/// A lease without an end has one that no calendar knows.
const YEAR_10000: Timestamp = Timestamp(253_402_300_800_000);

/// A lease.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeaseShown {
    target: TargetId,
    host: HostId,
    /// Whether it is the host that answers.
    own: bool,
    /// Grows with each change of owner.
    fence: u64,
    /// When it ends unless it is extended, by the owner's clock; null where one host has the store and needs not extend it.
    expires_at: Option<String>,
}

/// List which host drives which account
#[utoipa::path(get, path = "/v1/leases", operation_id = "listLeases", tag = "leases",
    responses((status = OK, description = "A lease for each account that is driven", body = Listing<LeaseShown>)))]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Answer<Listing<LeaseShown>>, Failure> {
    let own = admin.engine.host();
    let leases = admin.engine.leases().await?;
    let shown = |lease: Lease| LeaseShown {
        own: lease.host == *own,
        target: lease.target,
        host: lease.host,
        fence: lease.fence,
        expires_at: (lease.expires_at < YEAR_10000).then(|| rfc3339(lease.expires_at)),
    };
    // One per account: never so many that they need pages.
    Ok(Answer::ok(Listing {
        items: leases.into_iter().map(shown).collect(),
        next: None,
    }))
}
