//! New instances, of packages that may go at the same moment.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use vimhost_model::vnf::{
    CreateVnfRequest, EventKind, InstanceOwn, InstantiationState, LcmEvent, VnfInstance, VnfPackage, Vnfd,
};
use vimhost_model::{VnfInstanceId, VnfdId};

use super::plan::template::merge_object;
use super::{Lcm, of_store};
use crate::Error;

fn unusable(vnfd: &VnfdId) -> Error {
    Error::Unprocessable {
        reason: format!("no package that is onboarded and enabled has the VNFD '{vnfd}'"),
    }
}

impl Lcm {
    /// Makes an instance, with nothing in a VIM.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] when no package that is enabled has the VNFD, or it was disabled at the same moment.
    pub async fn create(&self, request: CreateVnfRequest) -> Result<VnfInstance, Error> {
        let (package, vnfd) = self.usable_package(&request.vnfd_id).await?;
        let mut metadata = vnfd.metadata;
        if let Some(patch) = &request.metadata {
            merge_object(&mut metadata, patch);
        }
        let some = |object: Map<String, Value>| (!object.is_empty()).then_some(object);
        let mut instance = VnfInstance {
            id: VnfInstanceId::random(),
            vnf_instance_name: request.vnf_instance_name,
            vnf_instance_description: request.vnf_instance_description,
            vnfd_id: vnfd.id,
            vnf_provider: vnfd.provider,
            vnf_product_name: vnfd.product_name,
            vnf_software_version: vnfd.software_version,
            vnfd_version: vnfd.version,
            vnf_configurable_properties: some(vnfd.configurable_properties),
            vim_connection_info: BTreeMap::new(),
            instantiation_state: InstantiationState::NotInstantiated,
            instantiated_vnf_info: None,
            metadata: some(metadata),
            extensions: some(vnfd.extensions),
            own: InstanceOwn {
                revision: 0,
                package: package.id,
                target: None,
                operation: None,
                stack: Value::Null,
            },
        };
        let event = LcmEvent::of(&instance, self.parts.clock.now(), EventKind::IdentifierCreation);
        let added = self.parts.store.add_vnf_instance(&instance, &[event]).await;
        added.map_err(of_store("adding an instance"))?;
        instance.own.revision = 1;
        // A package is disabled before it is deleted, and whoever deletes it looks for instances then: either this one is found, or it is
        // seen here that the package is not enabled any more.
        let usable = self.usable_package(&instance.vnfd_id).await;
        match usable {
            Ok((package, _)) if package.id == instance.own.package => Ok(instance),
            refused => {
                self.delete(&instance.id).await?;
                Err(refused.err().unwrap_or_else(|| unusable(&instance.vnfd_id)))
            }
        }
    }

    /// The package of a VNFD, and the VNFD, where instances may be made of it.
    pub(super) async fn usable_package(&self, vnfd: &VnfdId) -> Result<(VnfPackage, Vnfd), Error> {
        let package = self.parts.store.vnf_package_of(vnfd).await;
        let package = package
            .map_err(of_store("reading a package"))?
            .filter(VnfPackage::is_usable);
        let mut package = package.ok_or_else(|| unusable(vnfd))?;
        let vnfd = package.vnfd.take().ok_or_else(|| unusable(vnfd))?;
        Ok((package, vnfd))
    }
}
