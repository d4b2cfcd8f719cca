//! Guest EPA: what a VNF asks of the host's processors and memory, as a flavour's `extended`.

use serde_json::{Map, Value, json};

use super::{Error, Field};

/// Derives `extended`; `None` when nothing is asked for. `vcpus` is the flavour's number of vCPUs.
pub(super) fn extended(flavour: &Field<'_>, vcpus: u64) -> Result<Option<Value>, Error> {
    let Some(epa) = flavour.get("guest-epa")? else {
        return Ok(None);
    };
    let mut extended = Map::new();
    for key in ["mempage-size", "cpu-pinning-policy", "cpu-thread-pinning-policy"] {
        if let Some(policy) = epa.text_of(key)? {
            extended.insert(key.to_owned(), policy.into());
        }
    }
    let mut numas = Vec::new();
    if let Some(policy) = epa.get("numa-node-policy")? {
        if let Some(memory) = policy.text_of("mem-policy")? {
            extended.insert("mem-policy".to_owned(), memory.into());
        }
        for node in policy.list("node")? {
            numas.push(numa(&node)?);
        }
    }
    let mut vcpus_placed = numas.iter().any(|numa| {
        ["cores", "threads", "paired-threads"]
            .iter()
            .any(|key| numa.contains_key(*key))
    });
    if !vcpus_placed && epa.text_of("cpu-pinning-policy")?.as_deref() == Some("DEDICATED") {
        // Without a node there is nothing the pinned vCPUs could be said of; connectors read them from nodes only.
        if numas.is_empty() {
            numas.push(Map::new());
        }
        // ISOLATE wants whole cores because it supposes a host without SMT; the other policies count threads.
        let isolated = epa.text_of("cpu-thread-pinning-policy")?.as_deref() == Some("ISOLATE");
        for numa in &mut numas {
            numa.insert(
                if isolated { "cores" } else { "threads" }.to_owned(),
                vcpus.max(1).into(),
            );
        }
        vcpus_placed = true;
    }
    for key in ["cpu-quota", "mem-quota", "disk-io-quota", "vif-quota"] {
        // Vcpus that are placed on the host's are not shared, so a share of them has no meaning.
        if key == "cpu-quota" && vcpus_placed {
            continue;
        }
        if let Some(quota) = quota(&epa, key)? {
            extended.insert(key.to_owned(), quota);
        }
    }
    // A node without content still counts: the number of nodes is itself a wish, if any of them has one.
    if numas.iter().any(|numa| !numa.is_empty()) {
        extended.insert("numas".to_owned(), json!(numas));
    }
    Ok((!extended.is_empty()).then_some(Value::Object(extended)))
}

fn numa(node: &Field<'_>) -> Result<Map<String, Value>, Error> {
    let mut numa = Map::new();
    if let Some(id) = node.whole_of("id")? {
        numa.insert("id".to_owned(), id.into());
    }
    let vcpu = node
        .list("vcpu")?
        .iter()
        .map(|vcpu| vcpu.require_whole("id"))
        .collect::<Result<Vec<_>, _>>()?;
    if !vcpu.is_empty() {
        numa.insert("vcpu".to_owned(), json!(vcpu));
    }
    if let Some(cores) = node.whole_of("num-cores")? {
        numa.insert("cores".to_owned(), cores.into());
    }
    if let Some(paired) = node.get("paired-threads")? {
        if let Some(pairs) = paired.whole_of("num-paired-threads")? {
            // Both spellings: NG-RO's own and the one its connectors read.
            numa.insert("paired_threads".to_owned(), pairs.into());
            numa.insert("paired-threads".to_owned(), pairs.into());
        }
        let mut ids = Vec::new();
        for pair in paired.list("paired-thread-ids")? {
            ids.push([pair.require_text("thread-a")?, pair.require_text("thread-b")?]);
        }
        if !ids.is_empty() {
            numa.insert("paired-threads-id".to_owned(), json!(ids));
        }
    }
    if let Some(threads) = node.whole_of("num-threads")? {
        numa.insert("threads".to_owned(), threads.into());
    }
    if let Some(megabytes) = node.whole_of("memory-mb")? {
        // Connectors count a node's memory in gigabytes.
        numa.insert("memory".to_owned(), (megabytes / 1024).max(1).into());
    }
    Ok(numa)
}

fn quota(epa: &Field<'_>, key: &str) -> Result<Option<Value>, Error> {
    let Some(given) = epa.get(key)? else { return Ok(None) };
    let mut quota = Map::new();
    for part in ["limit", "reserve", "shares"] {
        if let Some(number) = given.whole_of(part)?.filter(|number| *number > 0) {
            quota.insert(part.to_owned(), number.into());
        }
    }
    Ok((!quota.is_empty()).then_some(Value::Object(quota)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(epa: Value) -> Value {
        extended(&Field::new("flavor:0", &json!({"guest-epa": epa})), 4)
            .unwrap()
            .unwrap_or(Value::Null)
    }

    #[test]
    fn every_source_has_its_key() {
        let epa = json!({
            "mempage-size": "LARGE", "cpu-pinning-policy": "SHARED", "cpu-thread-pinning-policy": "PREFER",
            "numa-node-policy": {"mem-policy": "STRICT", "node": [
                {"id": "1", "vcpu": [{"id": "0"}, {"id": 1}], "num-cores": 2, "memory-mb": "4096"},
                {"id": 2, "num-threads": "8", "memory-mb": 100},
            ]},
            "cpu-quota": {"limit": 1}, "mem-quota": {"limit": "10", "reserve": 0, "shares": null},
            "disk-io-quota": {"shares": 3}, "vif-quota": {"limit": 0},
        });
        let wanted = json!({
            "mempage-size": "LARGE", "cpu-pinning-policy": "SHARED", "cpu-thread-pinning-policy": "PREFER",
            "mem-policy": "STRICT",
            "numas": [{"id": 1, "vcpu": [0, 1], "cores": 2, "memory": 4}, {"id": 2, "threads": 8, "memory": 1}],
            "mem-quota": {"limit": 10}, "disk-io-quota": {"shares": 3},
        });
        assert_eq!(derive(epa), wanted);
    }

    #[test]
    fn without_wishes_there_is_nothing() {
        for epa in [
            json!({}),
            json!(null),
            json!({"numa-node-policy": {"node": [{}]}}),
            json!({"cpu-quota": {"limit": 0}}),
        ] {
            assert_eq!(derive(epa.clone()), Value::Null, "{epa}");
        }
    }

    #[test]
    fn a_cpu_quota_counts_only_without_vcpu_layout() {
        assert_eq!(
            derive(json!({"cpu-quota": {"limit": 2}})),
            json!({"cpu-quota": {"limit": 2}})
        );
        let pinned = derive(json!({"cpu-pinning-policy": "DEDICATED", "cpu-quota": {"limit": 2}}));
        assert_eq!(pinned.get("cpu-quota"), None);
    }

    #[test]
    fn d15_pinning_without_numa_nodes_is_kept() {
        for (policy, wanted) in [
            ("ISOLATE", json!([{"cores": 4}])),
            ("PREFER", json!([{"threads": 4}])),
            ("REQUIRE", json!([{"threads": 4}])),
        ] {
            let extended = derive(json!({"cpu-pinning-policy": "DEDICATED", "cpu-thread-pinning-policy": policy}));
            assert_eq!(extended["numas"], wanted, "{policy}");
        }
        assert_eq!(
            derive(json!({"cpu-pinning-policy": "DEDICATED"}))["numas"],
            json!([{"threads": 4}])
        );
    }

    #[test]
    fn d15_a_numeric_numa_node_zero_is_kept() {
        for id in [json!(0), json!("0")] {
            let extended = derive(json!({"numa-node-policy": {"node": [{"id": id}]}}));
            assert_eq!(extended["numas"], json!([{"id": 0}]));
        }
    }

    #[test]
    fn d15_every_numa_node_counts_not_the_last_one() {
        let extended = derive(json!({"numa-node-policy": {"node": [{"id": 0, "num-cores": 2}, {}]}}));
        assert_eq!(extended["numas"], json!([{"id": 0, "cores": 2}, {}]));
        let extended =
            derive(json!({"cpu-pinning-policy": "DEDICATED", "numa-node-policy": {"node": [{"id": 0}, {"id": 1}]}}));
        assert_eq!(
            extended["numas"],
            json!([{"id": 0, "threads": 4}, {"id": 1, "threads": 4}])
        );
    }

    #[test]
    fn pinning_leaves_a_given_layout_alone() {
        let node = json!({"num-threads": 2});
        let extended = derive(json!({"cpu-pinning-policy": "DEDICATED", "numa-node-policy": {"node": [node]}}));
        assert_eq!(extended["numas"], json!([{"threads": 2}]));
    }

    #[test]
    fn d16_the_number_of_pairs_has_both_spellings() {
        let paired = json!({"num-paired-threads": "2", "paired-thread-ids": [{"thread-a": 0, "thread-b": "1"}]});
        let extended = derive(json!({"numa-node-policy": {"node": [{"paired-threads": paired}]}}));
        assert_eq!(
            extended["numas"],
            json!([{"paired_threads": 2, "paired-threads": 2, "paired-threads-id": [["0", "1"]]}])
        );
    }

    #[test]
    fn hostile_epa_is_an_error_with_its_place() {
        for (epa, path) in [
            (json!([]), "flavor:0:guest-epa"),
            (
                json!({"numa-node-policy": {"node": {}}}),
                "flavor:0:guest-epa:numa-node-policy:node",
            ),
            (
                json!({"numa-node-policy": {"node": [{"id": -1}]}}),
                "flavor:0:guest-epa:numa-node-policy:node:0:id",
            ),
            (
                json!({"mem-quota": {"limit": "lots"}}),
                "flavor:0:guest-epa:mem-quota:limit",
            ),
            (json!({"mempage-size": {"a": 1}}), "flavor:0:guest-epa:mempage-size"),
        ] {
            let error = extended(&Field::new("flavor:0", &json!({"guest-epa": epa})), 1).unwrap_err();
            assert_eq!(error.path(), Some(path));
        }
    }
}
