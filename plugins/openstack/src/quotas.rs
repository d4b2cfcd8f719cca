//! Quotas that are used up, as far as a check can see: whoever deploys next would meet them.
//!
//! Only what a VM always needs is looked at. A service that does not show its quotas to this user is not asked again.

use serde_json::Value;
use vimhost_keystone::{Api, Service};
use vimhost_sdk::debug;
use vimhost_sdk::prelude::*;

use crate::vim::Vim;

/// What Nova and Cinder count: its name, the limit and the count in `/limits`.
const COMPUTE: [(&str, &str, &str); 3] = [
    ("servers", "maxTotalInstances", "totalInstancesUsed"),
    ("vCPUs", "maxTotalCores", "totalCoresUsed"),
    ("memory", "maxTotalRAMSize", "totalRAMUsed"),
];
const VOLUMES: [(&str, &str, &str); 2] = [
    ("volumes", "maxTotalVolumes", "totalVolumesUsed"),
    ("GiB of volumes", "maxTotalVolumeGigabytes", "totalGigabytesUsed"),
];

/// What Neutron counts.
const NETWORK: [(&str, &str); 4] = [
    ("networks", "network"),
    ("subnets", "subnet"),
    ("ports", "port"),
    ("floating addresses", "floatingip"),
];

/// What is to be said about the quotas of a service.
///
/// # Errors
///
/// When the service does not answer; that it shows nothing is none.
pub(crate) fn complaints(vim: &Vim, api: &Api<'_>) -> Result<Vec<String>, Failure> {
    let told = match api.service() {
        Service::Compute | Service::BlockStorage => ask(api, &["limits"])?,
        Service::Network => {
            let project = vim.cloud.scope()?.project_id.clone();
            ask(api, &["quotas", &project, "details.json"])?
        }
        Service::Identity | Service::Image | Service::Placement | Service::Orchestration => None,
    };
    Ok(told.map(|told| used_up(api.service(), &told)).unwrap_or_default())
}

fn ask(api: &Api<'_>, path: &[&str]) -> Result<Option<Value>, Failure> {
    let request = api
        .get(path.iter().copied())
        .doing(format!("looking at the quotas of {}", api.service().word()));
    match api.send(request) {
        Ok(response) => response.json().map(Some),
        // Old services, and policies.
        Err(failure) if matches!(failure.status, Some(400..=499)) => {
            debug!("quotas are not shown", service = api.service().word(), reason = failure);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn used_up(service: Service, told: &Value) -> Vec<String> {
    let number = |pointer: String| told.pointer(&pointer).and_then(Value::as_i64);
    let counted: Vec<(&str, Option<i64>, Option<i64>)> = match service {
        Service::Compute | Service::BlockStorage => {
            let of = if service == Service::Compute {
                COMPUTE.as_slice()
            } else {
                VOLUMES.as_slice()
            };
            of.iter()
                .map(|(what, limit, used)| {
                    let absolute = |key: &str| number(format!("/limits/absolute/{key}"));
                    (*what, absolute(limit), absolute(used))
                })
                .collect()
        }
        Service::Network => NETWORK
            .iter()
            .map(|(what, name)| {
                let of = |key: &str| number(format!("/quota/{name}/{key}"));
                (*what, of("limit"), of("used"))
            })
            .collect(),
        Service::Identity | Service::Image | Service::Placement | Service::Orchestration => Vec::new(),
    };
    let complaints = counted.into_iter().filter_map(|(what, limit, used)| {
        // Below zero there is no limit.
        let (limit, used) = (limit.filter(|limit| *limit >= 0)?, used?);
        (used >= limit).then(|| {
            format!(
                "the project's quota of {what} is used up ({used} of {limit}): raise it, or delete what the project does not need"
            )
        })
    });
    complaints.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_used_up_is_named_and_what_has_no_limit_is_not() {
        let nova = json!({"limits": {"rate": [], "absolute": {
            "maxTotalInstances": 10, "totalInstancesUsed": 10, "maxTotalCores": -1, "totalCoresUsed": 400,
            "maxTotalRAMSize": 51200, "totalRAMUsed": 51199,
        }}});
        let told = used_up(Service::Compute, &nova);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("servers is used up (10 of 10)"), "{told:?}");
        let neutron =
            json!({"quota": {"port": {"limit": 0, "used": 0, "reserved": 0}, "network": {"limit": -1, "used": 9}}});
        let told = used_up(Service::Network, &neutron);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("ports is used up (0 of 0)"), "{told:?}");
        assert!(used_up(Service::BlockStorage, &json!({"volumes": []})).is_empty());
    }
}
