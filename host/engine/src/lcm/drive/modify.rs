//! What changes an instance and nothing in a VIM.

use std::sync::Arc;

use vimhost_model::vnf::{OperationState, ProblemDetails, VnfInstance, VnfLcmOpOcc, VnfPackage};
use vimhost_store::InstanceWrite;

use super::super::{Lcm, events, finish};
use super::Over;
use super::told::{Cause, announce};

impl Lcm {
    /// MODIFY_INFO: nothing in a VIM.
    pub(super) async fn modify_now(
        self: &Arc<Self>,
        mut op_occ: VnfLcmOpOcc,
        instance: VnfInstance,
    ) -> Result<(), Over> {
        let now = self.parts.clock.now();
        let write = if op_occ.operation_state == OperationState::RollingBack {
            self.entered(op_occ.enter(OperationState::RolledBack, now));
            InstanceWrite::Release
        } else {
            let package = match finish::new_vnfd(&op_occ) {
                Some(vnfd) => {
                    self.read("reading a package", || self.parts.store.vnf_package_of(&vnfd))
                        .await?
                }
                None => None,
            };
            if let Some(vnfd) = finish::new_vnfd(&op_occ)
                && !package.as_ref().is_some_and(VnfPackage::is_usable)
            {
                let reason = format!("no package that is onboarded and enabled has the VNFD '{vnfd}' any more");
                let problem = ProblemDetails::new(422, reason);
                return self.fail_now(op_occ, &instance, None, problem, Cause::Conflict).await;
            }
            let after = match finish::modified(&mut op_occ, &instance, package.as_ref()) {
                Ok(after) => after,
                Err(error) => {
                    let problem = ProblemDetails::new(500, error.to_string());
                    return self.fail_now(op_occ, &instance, None, problem, Cause::Db).await;
                }
            };
            self.entered(op_occ.enter(OperationState::Completed, now));
            op_occ.error = None;
            InstanceWrite::Replace(Box::new(after))
        };
        let events = [events::entered(&instance, &op_occ)];
        self.save(None, &op_occ, write, &events).await?;
        announce(&op_occ, None);
        Ok(())
    }
}
