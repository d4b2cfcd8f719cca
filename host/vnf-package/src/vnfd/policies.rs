//! Policies of a flavour: scaling aspects, what their steps add, and levels.

use std::collections::{BTreeMap, BTreeSet};

use vimhost_model::vnf::{Delta, DeploymentFlavour, ScalingAspect};

use super::Error;
use super::place::Place;

/// Prefix of the standard's policy types.
const STANDARD: &str = "tosca.policies.nfv.";

/// Most steps of an aspect that have deltas of their own, and most levels of a policy. They are kept for each VDU that they are of.
const MAX_STEPS: usize = 1_000;

/// The policies of one type.
fn of_type<'a>(policies: &[Place<'a>], name: &str) -> Result<Vec<Place<'a>>, Error> {
    let mut found = Vec::new();
    for policy in policies {
        if policy.need("type")?.text()?.strip_prefix(STANDARD) == Some(name) {
            found.push(policy.clone());
        }
    }
    Ok(found)
}

/// VDUs a policy is for.
fn targets(policy: &Place<'_>, flavour: &DeploymentFlavour) -> Result<BTreeSet<String>, Error> {
    let mut vdus = BTreeSet::new();
    for target in policy.need("targets")?.items() {
        let vdu = target.text()?;
        if !flavour.vdus.contains_key(&vdu) {
            return Err(target.refuse(format!("{vdu} is no VDU of the template")));
        }
        vdus.insert(vdu);
    }
    Ok(vdus)
}

/// Refuses what is longer than the levels or steps of a VNFD are.
fn bounded(place: &Place<'_>, length: usize) -> Result<(), Error> {
    if length > MAX_STEPS {
        return Err(place.refuse(format!("it has more than {MAX_STEPS} entries")));
    }
    Ok(())
}

/// Names of an aspect's steps.
type Steps = BTreeMap<String, Vec<String>>;

pub(super) fn read(flavour: &mut DeploymentFlavour, template: &Place<'_>) -> Result<(), Error> {
    let Some(list) = template.at(&["topology_template", "policies"]) else {
        return Ok(());
    };
    let policies: Vec<Place<'_>> = list.named_items()?.into_iter().map(|(_, policy)| policy).collect();
    let mut steps = Steps::new();
    for policy in of_type(&policies, "ScalingAspects")? {
        scaling_aspects(flavour, &mut steps, &policy)?;
    }
    for policy in of_type(&policies, "VduInitialDelta")? {
        let initial = policy.need("properties")?.need("initial_delta")?;
        let initial = initial.need("number_of_instances")?.count()?;
        for name in targets(&policy, flavour)? {
            if let Some(vdu) = flavour.vdus.get_mut(&name) {
                vdu.initial = initial;
            }
        }
    }
    for policy in of_type(&policies, "VduScalingAspectDeltas")? {
        scaling_deltas(flavour, &steps, &policy)?;
    }
    for policy in of_type(&policies, "InstantiationLevels")? {
        instantiation_levels(flavour, &policy)?;
    }
    for policy in of_type(&policies, "VduInstantiationLevels")? {
        vdu_instantiation_levels(flavour, &policy)?;
    }
    if flavour.default_level.is_none() && flavour.instantiation_levels.len() == 1 {
        flavour.default_level = flavour.instantiation_levels.keys().next().cloned();
    }
    Ok(())
}

fn scaling_aspects(flavour: &mut DeploymentFlavour, steps: &mut Steps, policy: &Place<'_>) -> Result<(), Error> {
    for (id, aspect) in policy.need("properties")?.need("aspects")?.entries()? {
        let names = match aspect.get("step_deltas") {
            Some(names) => names.items().iter().map(Place::text).collect::<Result<Vec<_>, _>>()?,
            None => Vec::new(),
        };
        bounded(&aspect, names.len())?;
        let max_scale_level = match aspect.get("max_scale_level") {
            Some(level) => level.count()?,
            None if names.is_empty() => return Err(aspect.refuse("neither max_scale_level nor step_deltas are there")),
            None => u32::try_from(names.len()).unwrap_or(u32::MAX),
        };
        let name = match aspect.get("name") {
            Some(name) => name.text()?,
            None => String::new(),
        };
        steps.insert(id.to_owned(), names);
        flavour.aspects.insert(
            id.to_owned(),
            ScalingAspect {
                name,
                max_scale_level,
                deltas: BTreeMap::new(),
            },
        );
    }
    Ok(())
}

fn scaling_deltas(flavour: &mut DeploymentFlavour, steps: &Steps, policy: &Place<'_>) -> Result<(), Error> {
    let properties = policy.need("properties")?;
    let named = properties.need("aspect")?;
    let aspect = named.text()?;
    let deltas = properties.need("deltas")?;
    let names = steps.get(&aspect).map(Vec::as_slice).unwrap_or_default();
    let mut counts = Vec::new();
    if names.is_empty() {
        let entries = deltas.entries()?;
        bounded(&deltas, entries.len())?;
        for (_, delta) in entries {
            counts.push(delta.need("number_of_instances")?.count()?);
        }
    }
    for name in names {
        counts.push(deltas.need(name)?.need("number_of_instances")?.count()?);
    }
    let vdus = targets(policy, flavour)?;
    let Some(aspect) = flavour.aspects.get_mut(&aspect) else {
        return Err(named.refuse(format!("{aspect} is no scaling aspect of the template")));
    };
    for vdu in vdus {
        aspect.deltas.insert(vdu, Delta { steps: counts.clone() });
    }
    Ok(())
}

fn instantiation_levels(flavour: &mut DeploymentFlavour, policy: &Place<'_>) -> Result<(), Error> {
    let properties = policy.need("properties")?;
    let levels = properties.need("levels")?;
    let entries = levels.entries()?;
    bounded(&levels, entries.len())?;
    for (id, level) in entries {
        let mut scale_levels = BTreeMap::new();
        if let Some(info) = level.get("scale_info") {
            for (aspect, place) in info.entries()? {
                let wanted = place.need("scale_level")?.count()?;
                let Some(known) = flavour.aspects.get(aspect) else {
                    return Err(place.refuse(format!("{aspect} is no scaling aspect of the template")));
                };
                if wanted > known.max_scale_level {
                    return Err(place.refuse(format!(
                        "scale_level {wanted} is above the aspect's max_scale_level {}",
                        known.max_scale_level
                    )));
                }
                scale_levels.insert(aspect.to_owned(), wanted);
            }
        }
        let known = flavour.instantiation_levels.entry(id.to_owned()).or_default();
        known.scale_levels = scale_levels;
    }
    if let Some(level) = properties.get("default_level") {
        let id = level.text()?;
        if !flavour.instantiation_levels.contains_key(&id) {
            return Err(level.refuse(format!("{id} is no level of the policy")));
        }
        flavour.default_level = Some(id);
    }
    Ok(())
}

fn vdu_instantiation_levels(flavour: &mut DeploymentFlavour, policy: &Place<'_>) -> Result<(), Error> {
    let vdus = targets(policy, flavour)?;
    let levels = policy.need("properties")?.need("levels")?;
    let entries = levels.entries()?;
    bounded(&levels, entries.len())?;
    for (id, level) in entries {
        let count = level.need("number_of_instances")?.count()?;
        let known = flavour.instantiation_levels.entry(id.to_owned()).or_default();
        for vdu in &vdus {
            known.instances.insert(vdu.clone(), count);
        }
    }
    Ok(())
}
