//! Operations whose next record the store will never take: it is too large for a document of the database, for instance.
//!
//! Trying again would keep the instance locked for ever and nobody would know why. What is stored was taken once, and is taken again with a
//! reason in it: the operation ends as it is stored, without what it found out since, and a client decides.

use std::sync::Arc;

use vimhost_model::VnfLcmOpOccId;
use vimhost_model::vnf::{OperationState, ProblemDetails};
use vimhost_store::InstanceWrite;

use super::super::{Lcm, events};
use super::Over;
use super::told::{Cause, announce, not_begun};

/// Letters of a reason that are kept: the server's words may quote what they are about, and this record has to fit.
const LONGEST_REASON: usize = 512;

/// What is told of it.
fn problem_of(reason: &str) -> ProblemDetails {
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    ProblemDetails::new(
        500,
        format!("the store does not take the next record of the operation: {reason}"),
    )
}

impl Lcm {
    /// Ends an operation as it is stored.
    pub(super) async fn end_refused(self: &Arc<Self>, id: &VnfLcmOpOccId, reason: &str) -> Result<(), Over> {
        let stored = self
            .read("reading an operation", || self.parts.store.op_occ(id))
            .await?;
        let Some(mut op_occ) = stored.filter(|op_occ| op_occ.operation_state.is_running()) else {
            return Err(Over::Settled);
        };
        let of = &op_occ.vnf_instance_id;
        let instance = self
            .read("reading an instance", || self.parts.store.vnf_instance(of))
            .await?;
        let Some(instance) = instance else {
            return Err(Over::Settled);
        };
        let right = match &op_occ.own.target {
            Some(target) => {
                let right = self.parts.schedule.right(target);
                if right.is_none() {
                    self.parts.schedule.needed(target);
                    return Err(Over::Elsewhere);
                }
                right
            }
            None => None,
        };
        // One that was never begun has nothing to be decided on.
        let (state, write) = match op_occ.operation_state {
            OperationState::Starting => (OperationState::RolledBack, InstanceWrite::Release),
            OperationState::Processing
            | OperationState::RollingBack
            | OperationState::Completed
            | OperationState::FailedTemp
            | OperationState::Failed
            | OperationState::RolledBack => (OperationState::FailedTemp, InstanceWrite::None),
        };
        self.entered(op_occ.enter(state, self.parts.clock.now()));
        op_occ.error = Some(problem_of(reason));
        let events = [events::entered(&instance, &op_occ)];
        match self.save(right.as_ref(), &op_occ, write, &events).await {
            Ok(_) => {
                if state == OperationState::RolledBack
                    && let Some(problem) = &op_occ.error
                {
                    not_begun(problem, Cause::Db);
                }
                announce(&op_occ, Some(Cause::Db));
                Ok(())
            }
            Err(Over::Refused(again)) => {
                tracing::error!(
                    error = reason,
                    error.again = again,
                    error.kind = "db",
                    "an operation cannot be ended; it is left as it is"
                );
                Err(Over::Settled)
            }
            Err(over) => Err(over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_so_that_the_record_fits() {
        let problem = problem_of(&"ü".repeat(100_000));
        assert_eq!(problem.status, 500);
        assert!(
            problem.detail.len() < 2 * LONGEST_REASON + 100,
            "{}",
            problem.detail.len()
        );
    }
}
