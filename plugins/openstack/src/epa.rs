//! Enhanced platform awareness: what a descriptor asks of the host's processors and memory, as a flavour's extra specs.
//!
//! Keys are read with `-` and with `_` alike (O20): the descriptor's world writes the one, some of its programs the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use vimhost_sdk::prelude::{Error, FlavourData, from_json};

/// Extra specs of a flavour.
pub(crate) type Specs = BTreeMap<String, String>;

/// The extra specs that a flavour of this data has; none without wishes.
pub(crate) fn specs(data: &FlavourData, vio: bool) -> Result<Specs, Error> {
    let Some(text) = data.extended.as_deref() else {
        return Ok(Specs::new());
    };
    let wishes: Option<Map<String, Value>> = from_json("the flavour's `extended`", text)?;
    let wishes = hyphened(&wishes.unwrap_or_default());
    let mut specs = Specs::new();
    if let Some(numas) = wishes
        .get("numas")
        .and_then(Value::as_array)
        .filter(|all| !all.is_empty())
    {
        of_numas(numas, &mut specs)?;
        if vio {
            specs.insert("vmware:latency_sensitivity_level".to_owned(), "high".to_owned());
        }
    }
    for (wish, quota) in [
        ("cpu-quota", "cpu"),
        ("mem-quota", "memory"),
        ("vif-quota", "vif"),
        ("disk-io-quota", "disk_io"),
    ] {
        if let Some(wish) = wishes.get(wish).and_then(Value::as_object) {
            of_quota(quota, &hyphened(wish), &mut specs);
        }
    }
    if let Some(size) = wishes.get("mempage-size").and_then(Value::as_str) {
        specs.insert("hw:mem_page_size".to_owned(), page_size(size)?.to_owned());
    }
    // Last: what is said outright counts more than what follows from the nodes.
    for (wish, spec) in [
        ("cpu-pinning-policy", "hw:cpu_policy"),
        ("cpu-thread-pinning-policy", "hw:cpu_thread_policy"),
        ("mem-policy", "hw:numa_mempolicy"),
    ] {
        let Some(policy) = wishes.get(wish).and_then(Value::as_str) else {
            continue;
        };
        let policy = policy.to_ascii_lowercase();
        // Whatever the cloud does by itself is any policy: Nova has no word for it and refuses this one.
        if policy == "any" && spec == "hw:cpu_policy" {
            continue;
        }
        specs.insert(spec.to_owned(), policy);
    }
    Ok(specs)
}

fn of_numas(numas: &[Value], specs: &mut Specs) -> Result<(), Error> {
    specs.insert("hw:numa_nodes".to_owned(), numas.len().to_string());
    specs.insert("hw:cpu_sockets".to_owned(), numas.len().to_string());
    let (mut cores, mut threads) = (0_u64, 0_u64);
    for numa in numas {
        let numa = hyphened(
            numa.as_object()
                .ok_or_else(|| Error::bad_request("the flavour's `extended` has a NUMA node that is not an object"))?,
        );
        if let Some(id) = number(&numa, "id") {
            if let Some(memory) = number(&numa, "memory") {
                specs.insert(format!("hw:numa_mem.{id}"), memory.saturating_mul(1024).to_string());
            }
            if let Some(vcpus) = numa.get("vcpu").and_then(Value::as_array).filter(|all| !all.is_empty()) {
                let vcpus: Vec<String> = vcpus.iter().map(plain).collect();
                specs.insert(format!("hw:numa_cpus.{id}"), vcpus.join(","));
            }
        }
        let policy = if let Some(pairs) = number(&numa, "paired-threads") {
            threads = threads.saturating_add(pairs.saturating_mul(2));
            "require"
        } else if let Some(more) = number(&numa, "cores") {
            cores = cores.saturating_add(more);
            "isolate"
        } else if let Some(more) = number(&numa, "threads") {
            threads = threads.saturating_add(more);
            "prefer"
        } else {
            continue;
        };
        specs.insert("hw:cpu_thread_policy".to_owned(), policy.to_owned());
        specs.insert("hw:cpu_policy".to_owned(), "dedicated".to_owned());
    }
    if cores > 0 {
        specs.insert("hw:cpu_cores".to_owned(), cores.to_string());
    }
    if threads > 0 {
        specs.insert("hw:cpu_threads".to_owned(), threads.to_string());
    }
    Ok(())
}

fn of_quota(resource: &str, quota: &Map<String, Value>, specs: &mut Specs) {
    if let Some(limit) = number(quota, "limit") {
        specs.insert(format!("quota:{resource}_limit"), limit.to_string());
    }
    if let Some(reserve) = number(quota, "reserve") {
        specs.insert(format!("quota:{resource}_reservation"), reserve.to_string());
    }
    if let Some(shares) = number(quota, "shares") {
        specs.insert(format!("quota:{resource}_shares_level"), "custom".to_owned());
        specs.insert(format!("quota:{resource}_shares_share"), shares.to_string());
    }
}

fn page_size(size: &str) -> Result<&'static str, Error> {
    match size {
        "LARGE" => Ok("large"),
        "SMALL" => Ok("small"),
        "SIZE_2MB" => Ok("2MB"),
        "SIZE_1GB" => Ok("1GB"),
        "PREFER_LARGE" => Ok("any"),
        other => Err(Error::bad_request(format!(
            "the flavour's `mempage-size` is {other:?}; it may be LARGE, SMALL, SIZE_2MB, SIZE_1GB or PREFER_LARGE"
        ))),
    }
}

/// The same map, its keys written with `-`.
fn hyphened(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter()
        .map(|(key, value)| (key.replace('_', "-"), value.clone()))
        .collect()
}

/// A number, also one that is written as a text.
fn number(map: &Map<String, Value>, key: &str) -> Option<u64> {
    let value = map.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(extended: &Value) -> Value {
        let data = FlavourData {
            extended: Some(extended.to_string()),
            ..FlavourData::default()
        };
        json!(specs(&data, false).unwrap())
    }

    #[test]
    fn numa_nodes_place_memory_and_vcpus() {
        let extended = json!({"numas": [
            {"id": 0, "memory": 2, "vcpu": [0, 1], "cores": 2},
            {"id": 1, "memory": "1", "vcpu": ["2"], "cores": 1},
        ]});
        assert_eq!(
            of(&extended),
            json!({
                "hw:numa_nodes": "2", "hw:cpu_sockets": "2", "hw:numa_mem.0": "2048", "hw:numa_mem.1": "1024",
                "hw:numa_cpus.0": "0,1", "hw:numa_cpus.1": "2", "hw:cpu_thread_policy": "isolate",
                "hw:cpu_policy": "dedicated", "hw:cpu_cores": "3",
            })
        );
    }

    #[test]
    fn o20_pairs_of_threads_count_in_both_spellings() {
        for key in ["paired-threads", "paired_threads"] {
            let specs = of(&json!({"numas": [{"id": 0, key: 2}]}));
            assert_eq!(specs["hw:cpu_threads"], "4", "{key}");
            assert_eq!(specs["hw:cpu_thread_policy"], "require", "{key}");
        }
        // The engine writes both.
        let both = of(&json!({"numas": [{"paired-threads": 2, "paired_threads": 2}]}));
        assert_eq!(both["hw:cpu_threads"], "4");
    }

    #[test]
    fn quotas_and_policies_are_told_in_novas_words() {
        let extended = json!({
            "cpu-quota": {"limit": 10, "reserve": 5, "shares": 3}, "disk_io_quota": {"limit": 7},
            "mempage-size": "PREFER_LARGE", "cpu-pinning-policy": "SHARED", "mem-policy": "STRICT",
            "numas": [{"threads": 2}],
        });
        assert_eq!(
            of(&extended),
            json!({
                "quota:cpu_limit": "10", "quota:cpu_reservation": "5", "quota:cpu_shares_level": "custom",
                "quota:cpu_shares_share": "3", "quota:disk_io_limit": "7", "hw:mem_page_size": "any",
                "hw:cpu_policy": "shared", "hw:numa_mempolicy": "strict", "hw:numa_nodes": "1",
                "hw:cpu_sockets": "1", "hw:cpu_thread_policy": "prefer", "hw:cpu_threads": "2",
            })
        );
    }

    #[test]
    fn a_policy_that_nova_has_no_word_for_is_left_out() {
        assert_eq!(of(&json!({"cpu-pinning-policy": "ANY"})), json!({}));
        let data = FlavourData {
            extended: Some(r#"{"mempage-size": "HUGE"}"#.into()),
            ..FlavourData::default()
        };
        assert!(specs(&data, false).unwrap_err().message.contains("HUGE"));
    }
}
