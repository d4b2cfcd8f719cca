//! How many members a VDU has at which level.

use std::collections::BTreeMap;

use vimhost_model::vnf::{Delta, DeploymentFlavour, ScaleType};

/// Members that the step from `level` to the next one adds.
fn step(delta: &Delta, level: u32) -> u32 {
    let index = usize::try_from(level).unwrap_or(usize::MAX);
    let at = delta.steps.get(index).or_else(|| delta.steps.last());
    at.copied().unwrap_or_default()
}

/// Members by VDU that the steps between two levels of an aspect are.
pub(crate) fn between(flavour: &DeploymentFlavour, aspect: &str, low: u32, high: u32) -> BTreeMap<String, u32> {
    let Some(aspect) = flavour.aspects.get(aspect) else {
        return BTreeMap::new();
    };
    let sum = |delta: &Delta| (low..high).fold(0_u32, |sum, level| sum.saturating_add(step(delta, level)));
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
    }

    #[test]
    fn a_level_stays_between_nothing_and_the_highest() {
        assert_eq!(level_after(1, ScaleType::ScaleOut, 2, 3), Some(3));
        assert_eq!(level_after(1, ScaleType::ScaleOut, 3, 3), None);
        assert_eq!(level_after(1, ScaleType::ScaleIn, 1, 3), Some(0));
        assert_eq!(level_after(1, ScaleType::ScaleIn, 2, 3), None);
    }
}
