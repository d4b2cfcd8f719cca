//! What the schema of a request bounds beside its shape: lengths of texts and least values.

use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, CreateVnfRequest, ExtManagedVirtualLinkData,
    ExtVirtualLinkData, HealVnfRequest, InstantiateVnfRequest, ScaleVnfRequest, TerminateVnfRequest,
    VnfInfoModificationRequest,
};

use super::problem::Problem;

/// Characters of names, ids and causes.
const TEXT: usize = 255;

/// Characters of descriptions.
const DESCRIPTION: usize = 1024;

/// Networks of a request, and connection points of each: a VNFD has some dozens.
const LINKS: usize = 1_000;

/// VNFCs of a request: an instance does not have more.
const VNFCS: usize = 2_000;

/// Seconds of a graceful termination: a week. Nothing cancels it, and until it is over its instance is locked.
const GRACE: u32 = 7 * 24 * 3600;

/// A request whose values are bounded.
pub(super) trait Bounded {
    /// Refuses the first value out of bounds, by its field.
    fn check(&self) -> Result<(), Problem>;
}

fn at_most(field: &str, text: Option<&str>, most: usize) -> Result<(), Problem> {
    match text {
        Some(text) if text.chars().count() > most => {
            Err(Problem::field(field, format!("it has more than {most} characters")))
        }
        Some(_) | None => Ok(()),
    }
}

fn id(field: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::field(field, "it is empty"));
    }
    at_most(field, Some(text), TEXT)
}

fn at_least_one(field: &str, number: u32) -> Result<(), Problem> {
    match number {
        0 => Err(Problem::field(field, "it is less than 1")),
        _ => Ok(()),
    }
}

fn at_most_entries<T>(field: &str, list: &[T], most: usize) -> Result<(), Problem> {
    if list.len() > most {
        return Err(Problem::field(field, format!("it has more than {most} entries")));
    }
    Ok(())
}

fn links(links: Option<&[ExtVirtualLinkData]>) -> Result<(), Problem> {
    at_most_entries("extVirtualLinks", links.unwrap_or_default(), LINKS)?;
    for (n, link) in links.unwrap_or_default().iter().enumerate() {
        let field = |name: &str| format!("extVirtualLinks/{n}/{name}");
        id(&field("id"), &link.id)?;
        id(&field("resourceId"), &link.resource_id)?;
        if link.ext_cps.is_empty() {
            return Err(Problem::field(field("extCps"), "it is empty"));
        }
        at_most_entries(&field("extCps"), &link.ext_cps, LINKS)?;
        for (point, cp) in link.ext_cps.iter().enumerate() {
            id(&field(&format!("extCps/{point}/cpdId")), &cp.cpd_id)?;
        }
    }
    Ok(())
}

fn managed(links: Option<&[ExtManagedVirtualLinkData]>) -> Result<(), Problem> {
    at_most_entries("extManagedVirtualLinks", links.unwrap_or_default(), LINKS)?;
    for (n, link) in links.unwrap_or_default().iter().enumerate() {
        let field = |name: &str| format!("extManagedVirtualLinks/{n}/{name}");
        id(&field("id"), &link.id)?;
        id(&field("vnfVirtualLinkDescId"), &link.vnf_virtual_link_desc_id)?;
        id(&field("resourceId"), &link.resource_id)?;
    }
    Ok(())
}

impl Bounded for CreateVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        at_most("vnfInstanceName", self.vnf_instance_name.as_deref(), TEXT)?;
        at_most(
            "vnfInstanceDescription",
            self.vnf_instance_description.as_deref(),
            DESCRIPTION,
        )
    }
}

impl Bounded for VnfInfoModificationRequest {
    fn check(&self) -> Result<(), Problem> {
        let name = self.vnf_instance_name.as_ref().and_then(Option::as_deref);
        at_most("vnfInstanceName", name, TEXT)?;
        let description = self.vnf_instance_description.as_ref().and_then(Option::as_deref);
        at_most("vnfInstanceDescription", description, DESCRIPTION)?;
        let vnfcs = self.vnfc_info_modifications.as_deref().unwrap_or_default();
        at_most_entries("vnfcInfoModifications", vnfcs, VNFCS)?;
        for (n, vnfc) in vnfcs.iter().enumerate() {
            id(&format!("vnfcInfoModifications/{n}/id"), &vnfc.id)?;
        }
        Ok(())
    }
}

impl Bounded for InstantiateVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        id("flavourId", &self.flavour_id)?;
        at_most("instantiationLevelId", self.instantiation_level_id.as_deref(), TEXT)?;
        links(self.ext_virtual_links.as_deref())?;
        managed(self.ext_managed_virtual_links.as_deref())
    }
}

impl Bounded for TerminateVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        match self.graceful_termination_timeout {
            Some(seconds) if seconds > GRACE => Err(Problem::field(
                "gracefulTerminationTimeout",
                format!("it is more than {GRACE} seconds"),
            )),
            Some(seconds) => at_least_one("gracefulTerminationTimeout", seconds),
            None => Ok(()),
        }
    }
}

impl Bounded for ScaleVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        id("aspectId", &self.aspect_id)?;
        at_least_one("numberOfSteps", self.number_of_steps)
    }
}

impl Bounded for HealVnfRequest {
    fn check(&self) -> Result<(), Problem> {
        at_most("cause", self.cause.as_deref(), TEXT)?;
        let vnfcs = self.vnfc_instance_id.as_deref().unwrap_or_default();
        at_most_entries("vnfcInstanceId", vnfcs, VNFCS)?;
        for (n, vnfc) in vnfcs.iter().enumerate() {
            id(&format!("vnfcInstanceId/{n}"), vnfc)?;
        }
        Ok(())
    }
}

impl Bounded for ChangeExtVnfConnectivityRequest {
    fn check(&self) -> Result<(), Problem> {
        if self.ext_virtual_links.is_empty() {
            return Err(Problem::field("extVirtualLinks", "it is empty"));
        }
        links(Some(&self.ext_virtual_links))
    }
}

impl Bounded for ChangeCurrentVnfPkgRequest {
    fn check(&self) -> Result<(), Problem> {
        links(self.ext_virtual_links.as_deref())?;
        managed(self.ext_managed_virtual_links.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnf_lcm::body::typed;
    use serde_json::{Value, json};

    #[track_caller]
    fn refused<T: Bounded + serde::de::DeserializeOwned>(value: Value, field: &str) {
        let problem = typed::<T>(value).unwrap().check().unwrap_err();
        assert_eq!(problem.status(), 400);
        assert!(problem.detail().starts_with(field), "{}", problem.detail());
    }

    #[test]
    fn what_is_too_long_or_too_small_is_named() {
        let long = |length: usize| "x".repeat(length);
        refused::<CreateVnfRequest>(json!({"vnfdId": "d", "vnfInstanceName": long(256)}), "vnfInstanceName:");
        refused::<CreateVnfRequest>(
            json!({"vnfdId": "d", "vnfInstanceDescription": long(1025)}),
            "vnfInstanceDescription:",
        );
        refused::<VnfInfoModificationRequest>(json!({"vnfInstanceName": long(256)}), "vnfInstanceName:");
        refused::<InstantiateVnfRequest>(json!({"flavourId": ""}), "flavourId:");
        refused::<InstantiateVnfRequest>(
            json!({"flavourId": "f", "extVirtualLinks": [{"id": "l", "resourceId": "n", "extCps": []}]}),
            "extVirtualLinks/0/extCps:",
        );
        refused::<TerminateVnfRequest>(
            json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 0}),
            "gracefulTerminationTimeout:",
        );
        refused::<TerminateVnfRequest>(
            json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": u32::MAX}),
            "gracefulTerminationTimeout:",
        );
        refused::<ScaleVnfRequest>(
            json!({"type": "SCALE_OUT", "aspectId": "a", "numberOfSteps": 0}),
            "numberOfSteps:",
        );
        refused::<HealVnfRequest>(json!({"cause": long(256)}), "cause:");
        refused::<HealVnfRequest>(json!({"vnfcInstanceId": vec!["x"; VNFCS + 1]}), "vnfcInstanceId:");
        let link = json!({"id": "l", "resourceId": "n", "extCps": [{"cpdId": "c"}]});
        refused::<ChangeExtVnfConnectivityRequest>(
            json!({"extVirtualLinks": vec![link; LINKS + 1]}),
            "extVirtualLinks:",
        );
        refused::<ChangeExtVnfConnectivityRequest>(json!({"extVirtualLinks": []}), "extVirtualLinks:");
    }

    #[test]
    fn what_fits_passes_and_unknown_attributes_are_accepted() {
        let name = "ü".repeat(255);
        let request: CreateVnfRequest = typed(json!({"vnfdId": "d", "vnfInstanceName": name, "other": {}})).unwrap();
        assert!(request.check().is_ok());
        assert!(typed::<HealVnfRequest>(json!({})).unwrap().check().is_ok());
    }
}
