//! How many members a VDU has at which level.

use std::collections::BTreeMap;

use vimhost_model::vnf::{Delta, DeploymentFlavour, ScaleType};

/// Most members of all VDUs of an instance together. Heat makes a thousand resources of a stack at most, unless it is told otherwise. Each is
/// some five kilobytes of the instance, its occurrence and what subscribers are told, which the store keeps in one document, for which MongoDB
/// has room for 16 MB.
pub(crate) const MAX_MEMBERS: u32 = 2_000;

/// Members that the steps below `level` add together. Not a step at a time: how many there are is for the VNFD to say.
fn sum_below(delta: &Delta, level: u32) -> u32 {
    let said = u32::try_from(delta.steps.len()).unwrap_or(u32::MAX);
    let listed = delta.steps.iter().take(usize::try_from(level).unwrap_or(usize::MAX));
    let further = level.saturating_sub(said);
    let last = delta.steps.last().copied().unwrap_or_default();
    listed.fold(last.saturating_mul(further), |sum, step| sum.saturating_add(*step))
}

/// Whether so many members are more than an instance may have.
pub(crate) fn are_too_many(counts: impl IntoIterator<Item = u32>) -> bool {
    counts.into_iter().fold(0_u32, u32::saturating_add) > MAX_MEMBERS
}

/// Members by VDU that the steps between two levels of an aspect are.
pub(crate) fn between(flavour: &DeploymentFlavour, aspect: &str, low: u32, high: u32) -> BTreeMap<String, u32> {
    let Some(aspect) = flavour.aspects.get(aspect) else {
        return BTreeMap::new();
    };
    let sum = |delta: &Delta| sum_below(delta, high).saturating_sub(sum_below(delta, low));
    let deltas = aspect.deltas.iter();
    deltas.map(|(vdu, delta)| (vdu.clone(), sum(delta))).collect()
}

/// Levels by aspect to begin at. None: there is no such instantiation level.
pub(crate) fn initial_levels(flavour: &DeploymentFlavour, level: Option<&str>) -> Option<BTreeMap<String, u32>> {
    let chosen = match level.or(flavour.default_level.as_deref()) {
        Some(id) => flavour.instantiation_levels.get(id)?.scale_levels.clone(),
        None => BTreeMap::new(),
    };
    let aspects = flavour.aspects.keys();
    Some(
        aspects
            .map(|aspect| (aspect.clone(), chosen.get(aspect).copied().unwrap_or_default()))
            .collect(),
    )
}

/// Members by VDU to begin with.
pub(crate) fn initial_counts(
    flavour: &DeploymentFlavour,
    level: Option<&str>,
    levels: &BTreeMap<String, u32>,
) -> BTreeMap<String, u32> {
    let said = level
        .or(flavour.default_level.as_deref())
        .and_then(|id| flavour.instantiation_levels.get(id));
    let mut counts: BTreeMap<String, u32> = flavour
        .vdus
        .iter()
        .map(|(vdu, described)| (vdu.clone(), described.initial))
        .collect();
    for (aspect, level) in levels {
        for (vdu, more) in between(flavour, aspect, 0, *level) {
            let count = counts.entry(vdu).or_default();
            *count = count.saturating_add(more);
        }
    }
    for (vdu, count) in said.into_iter().flat_map(|said| &said.instances) {
        counts.insert(vdu.clone(), *count);
    }
    counts
}

/// The level after a scale; none when it is below 0 or above the highest.
pub(crate) fn level_after(level: u32, scale_type: ScaleType, steps: u32, highest: u32) -> Option<u32> {
    match scale_type {
        ScaleType::ScaleOut => level.checked_add(steps).filter(|level| *level <= highest),
        ScaleType::ScaleIn => level.checked_sub(steps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vimhost_model::vnf::ScalingAspect;

    fn flavour(steps: Vec<u32>) -> DeploymentFlavour {
        let mut flavour: DeploymentFlavour = serde_json::from_value(serde_json::json!({})).unwrap();
        let deltas = [("VDU1".to_owned(), Delta { steps })].into();
        let aspect = ScalingAspect {
            name: String::new(),
            max_scale_level: 4,
            deltas,
        };
        flavour.aspects.insert("a".to_owned(), aspect);
        flavour
    }

    #[test]
    fn the_last_delta_counts_for_all_steps_that_follow() {
        let flavour = flavour(vec![1, 3]);
        assert_eq!(between(&flavour, "a", 0, 1)["VDU1"], 1);
        assert_eq!(between(&flavour, "a", 0, 4)["VDU1"], 10);
        assert_eq!(between(&flavour, "a", 1, 3)["VDU1"], 6);
        assert!(between(&flavour, "b", 0, 1).is_empty());
        assert_eq!(between(&flavour, "a", 2, 2)["VDU1"], 0);
    }

    #[test]
    fn a_vnfd_with_billions_of_steps_costs_no_more_than_another() {
        let flavour = flavour(vec![1, 3]);
        assert_eq!(between(&flavour, "a", 0, u32::MAX)["VDU1"], u32::MAX);
        assert!(are_too_many(between(&flavour, "a", 0, u32::MAX).into_values()));
        assert!(are_too_many([u32::MAX, 1]));
        assert!(are_too_many([MAX_MEMBERS, 1]) && !are_too_many([MAX_MEMBERS - 1, 1]));
    }

    #[test]
    fn a_level_stays_between_nothing_and_the_highest() {
        assert_eq!(level_after(1, ScaleType::ScaleOut, 2, 3), Some(3));
        assert_eq!(level_after(1, ScaleType::ScaleOut, 3, 3), None);
        assert_eq!(level_after(1, ScaleType::ScaleIn, 1, 3), Some(0));
        assert_eq!(level_after(1, ScaleType::ScaleIn, 2, 3), None);
    }
}
