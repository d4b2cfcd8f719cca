//! Operations that cannot be gone on with: what was kept of them, or of what they need, cannot be read. A newer host may have written it.
//!
//! They stay as they are, are in nobody's way, and are looked at again by whoever takes up what runs; this host tells of each once. Their
//! instance stays locked: nobody knows what was begun.

use vimhost_model::VnfLcmOpOccId;

use super::super::{Lcm, lock};

impl Lcm {
    /// Leaves an operation as it is.
    pub(super) fn leave_aside(&self, id: &VnfLcmOpOccId, reason: &str) {
        if lock(&self.set_aside).insert(id.clone()) {
            tracing::error!(op_occ_id = %id, error = reason, "an operation cannot be gone on with; it is left as it is");
        }
    }
}
