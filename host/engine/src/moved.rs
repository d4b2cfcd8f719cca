//! Whether a change of an account leads to another place, and what would be left behind.
//!
//! Ids mean something in one cloud and project only. Asked elsewhere, the cloud says that an element does not exist, which would be taken
//! for its end: it would be an orphan, and its record would say that it is deleted. So an account stays where it is while anything of
//! ours may be there. How it is reached (user, secrets, certificates, timeouts, which of an endpoint's addresses) may change at any time.

use serde_json::{Map, Value};
use vimhost_model::Origin;
use vimhost_store::StoredAccount;

use crate::held::held_on;
use crate::{Engine, Error};

/// Settings of connectors that say where elements are, beside the domain of the project: OpenStack's and Heat's, those of an SDN controller
/// that OSM keeps, and what clouds of OSM's other connectors call a project or a region.
const PLACES: [&str; 11] = [
    "region_name",
    "heat_endpoint",
    "dpid",
    "switch_id",
    "project_id",
    "project_name",
    "tenant_id",
    "tenant_name",
    "region",
    "resource_group",
    "subscription_id",
];

/// The domain where none is named. Its name and its id differ in the case of the first letter only.
const DEFAULT_DOMAIN: &str = "default";

/// What an account has by which it leads elsewhere than before: names of its fields and settings.
fn moved(before: &StoredAccount, after: &StoredAccount) -> Vec<&'static str> {
    let mut moved = Vec::new();
    if before.vim_type != after.vim_type {
        moved.push("vim_type");
    }
    if address(&before.url) != address(&after.url) {
        moved.push("url");
    }
    let tenant = |account: &StoredAccount| account.tenant.clone().filter(|tenant| !tenant.is_empty());
    if tenant(before) != tenant(after) {
        moved.push("tenant");
    }
    if domain(&before.config) != domain(&after.config) {
        moved.push("project_domain");
    }
    let differs = |name: &&str| said(&before.config, name) != said(&after.config, name);
    moved.extend(PLACES.into_iter().filter(differs));
    moved
}

/// A URL as far as it says where: origin and path, or the whole text of what is none.
fn address(url: &str) -> (String, &str) {
    let url = url.trim();
    let Ok(origin) = Origin::of_url(url) else {
        return (url.to_owned(), "");
    };
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let path = behind.find('/').and_then(|at| behind.get(at..)).unwrap_or_default();
    let path = path.split('#').next().unwrap_or_default();
    (origin.as_str().to_owned(), path.trim_end_matches('/'))
}

/// A setting that says something.
fn said<'c>(config: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    config
        .get(name)
        .filter(|value| !value.is_null() && value.as_str() != Some(""))
}

/// The project's domain: its id and its name, none for the default one.
fn domain(config: &Map<String, Value>) -> (Option<&Value>, Option<&Value>) {
    let other = |name: &str| {
        let is_default = |value: &&Value| {
            let text = value.as_str();
            text.is_some_and(|text| text.eq_ignore_ascii_case(DEFAULT_DOMAIN))
        };
        said(config, name).filter(|value| !is_default(value))
    };
    (other("project_domain_id"), other("project_domain_name"))
}

impl Engine {
    /// Why an account cannot be changed so, if it cannot: where it would lead, what is on it, and what to do.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn refuses_to_move(
        &self,
        before: &StoredAccount,
        after: &StoredAccount,
    ) -> Result<Option<String>, Error> {
        let moved = moved(before, after);
        if moved.is_empty() {
            return Ok(None);
        }
        let held = held_on(&*self.store, &before.target).await?;
        if held.is_empty() {
            return Ok(None);
        }
        Ok(Some(format!(
            "account '{}' would lead elsewhere ({}) and still has {}, which nobody could delete then; terminate what is on it first, or add \
             another account for the other place. If the cloud has moved with all that is there, the admin interface takes the change with \
             'force'",
            before.target.account,
            moved.join(", "),
            held.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        )))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vimhost_model::{AccountSource, AccountState, Grants, Timestamp};

    use super::*;

    fn account(url: &str, tenant: Option<&str>, config: Value) -> StoredAccount {
        StoredAccount {
            target: "vim:x".parse().unwrap(),
            name: "x".to_owned(),
            description: String::new(),
            vim_type: "openstack".to_owned(),
            url: url.to_owned(),
            user: Some("me".to_owned()),
            tenant: tenant.map(str::to_owned),
            config: config.as_object().cloned().unwrap(),
            credentials: std::collections::BTreeMap::new(),
            ca_certificates: None,
            insecure_tls: false,
            grants: Grants::default(),
            source: AccountSource::Own,
            removing: false,
            state: AccountState::Enabled,
            warnings: Vec::new(),
            created_at: Timestamp(0),
            modified_at: Timestamp(0),
            revision: 1,
        }
    }

    const URL: &str = "https://keystone.example:5000/v3";

    #[test]
    fn how_a_place_is_reached_is_no_other_place() {
        let before = account(URL, Some("p"), json!({}));
        let mut same = account(
            "https://me@Keystone.Example:5000/v3/",
            Some("p"),
            json!({"interface": "internal", "microversion": "2.60", "region_name": null, "project_domain_id": "default",
                   "user_domain_name": "others", "availability_zone": "two"}),
        );
        same.user = Some("you".to_owned());
        same.insecure_tls = true;
        same.ca_certificates = Some("-----BEGIN".to_owned());
        assert_eq!(moved(&before, &same), Vec::<&str>::new());
        let default = account(URL, Some("p"), json!({"project_domain_name": "Default"}));
        assert_eq!(moved(&same, &default), Vec::<&str>::new());
        let mock = account("mock:", None, json!({}));
        assert_eq!(moved(&mock, &mock), Vec::<&str>::new());
    }

    #[test]
    fn another_cloud_project_domain_or_region_is_another_place() {
        let before = account(URL, Some("p"), json!({}));
        for (url, tenant, config, what) in [
            ("https://keystone.example/v3", Some("p"), json!({}), "url"),
            ("http://keystone.example:5000/v3", Some("p"), json!({}), "url"),
            ("https://keystone.example:5000/other/v3", Some("p"), json!({}), "url"),
            ("mock:", Some("p"), json!({}), "url"),
            (URL, Some("q"), json!({}), "tenant"),
            (URL, None, json!({}), "tenant"),
            (URL, Some("p"), json!({"project_domain_id": "d"}), "project_domain"),
            (URL, Some("p"), json!({"project_domain_name": "d"}), "project_domain"),
            (URL, Some("p"), json!({"region_name": "two"}), "region_name"),
            (
                URL,
                Some("p"),
                json!({"heat_endpoint": "https://heat.example"}),
                "heat_endpoint",
            ),
        ] {
            let after = account(url, tenant, config);
            assert_eq!(moved(&before, &after), [what]);
            assert_eq!(moved(&after, &before), [what]);
        }
        let mut other = account(URL, Some("p"), json!({}));
        other.vim_type = "heat".to_owned();
        assert_eq!(moved(&before, &other), ["vim_type"]);
    }
}
