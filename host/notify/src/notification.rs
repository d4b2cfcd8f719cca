//! What subscribers are told (SOL003 5.5.2.17 to 5.5.2.19).
//!
//! Built once per event, version and verbosity; what is a subscriber's own (`id`, `subscriptionId`, its link) is put in when it is sent.
//! The `id` follows from subscription and event, so a notification that is sent again is known for the same one.
//!
//! Version 1 (1.3.0) has no verbosity, and knows neither external link ports nor changes of the package; where it has other shapes,
//! `v1` makes them.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use vimhost_model::date_time::rfc3339;
use vimhost_model::vnf::{
    ApiVersion, EventKind, LcmEvent, LcmOperation, NotificationType, OperationState, Verbosity, VnfLcmOpOcc,
};
use vimhost_model::{SubscriptionId, Timestamp};

use crate::v1;

/// Ids of notifications are made in this name space: drawn once, for no other use.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_8f0e_52d4_4b7a_9d0c_3a5e_7b91_24c6);

/// The version that is named in the header of notifications.
#[must_use]
pub fn version_header(version: ApiVersion) -> &'static str {
    match version {
        ApiVersion::V1 => "1.3.0",
        ApiVersion::V2 => "2.0.0",
    }
}

/// Where a version of the interface is, below the endpoint.
#[must_use]
pub fn base(version: ApiVersion) -> &'static str {
    match version {
        ApiVersion::V1 => "/vnflcm/v1",
        ApiVersion::V2 => "/vnflcm/v2",
    }
}

/// The address of a subscription.
#[must_use]
pub fn subscription_href(endpoint: &str, version: ApiVersion, id: &SubscriptionId) -> String {
    format!("{endpoint}{}/subscriptions/{id}", base(version))
}

fn link(href: String) -> Value {
    json!({ "href": href })
}

fn kind_of(event: &LcmEvent) -> NotificationType {
    match &event.what {
        EventKind::IdentifierCreation => NotificationType::VnfIdentifierCreationNotification,
        EventKind::IdentifierDeletion => NotificationType::VnfIdentifierDeletionNotification,
        EventKind::OperationOccurrence { .. } => NotificationType::VnfLcmOperationOccurrenceNotification,
    }
}

/// Whether an operation begins with this state. One without a grant begins by being processed.
fn begins(op_occ: &VnfLcmOpOcc) -> bool {
    match op_occ.operation_state {
        OperationState::Starting => true,
        OperationState::Processing => op_occ.operation == LcmOperation::ModifyInfo,
        OperationState::Completed
        | OperationState::FailedTemp
        | OperationState::Failed
        | OperationState::RollingBack
        | OperationState::RolledBack => false,
    }
}

fn tells_error(state: OperationState) -> bool {
    match state {
        OperationState::FailedTemp | OperationState::Failed | OperationState::RolledBack => true,
        OperationState::Starting
        | OperationState::Processing
        | OperationState::Completed
        | OperationState::RollingBack => false,
    }
}

/// A notification under way: JSON that cannot be made is left out by `?` in the caller.
struct Body(Map<String, Value>);

impl Body {
    fn put(&mut self, name: &str, value: &impl Serialize) -> Result<(), serde_json::Error> {
        self.0.insert(name.to_owned(), serde_json::to_value(value)?);
        Ok(())
    }

    fn put_some(&mut self, name: &str, value: Option<&impl Serialize>) -> Result<(), serde_json::Error> {
        value.map_or(Ok(()), |value| self.put(name, value))
    }

    fn put_op_occ(
        &mut self,
        op_occ: &VnfLcmOpOcc,
        version: ApiVersion,
        verbosity: Verbosity,
    ) -> Result<(), serde_json::Error> {
        let status = if begins(op_occ) { "START" } else { "RESULT" };
        self.put("notificationStatus", &status)?;
        self.put("operationState", &op_occ.operation_state)?;
        self.put("operation", &op_occ.operation)?;
        self.put("isAutomaticInvocation", &op_occ.is_automatic_invocation)?;
        self.put("vnfLcmOpOccId", &op_occ.id)?;
        if tells_error(op_occ.operation_state) {
            self.put_some("error", op_occ.error.as_ref())?;
        }
        if version == ApiVersion::V2 {
            self.put("verbosity", &verbosity)?;
        }
        if version == ApiVersion::V2 && verbosity == Verbosity::Short {
            return Ok(());
        }
        if let Some(changes) = &op_occ.resource_changes {
            self.put_some("affectedVnfcs", changes.affected_vnfcs.as_ref())?;
            self.put_some("affectedVirtualLinks", changes.affected_virtual_links.as_ref())?;
            self.put_some("affectedVirtualStorages", changes.affected_virtual_storages.as_ref())?;
        }
        match version {
            ApiVersion::V1 => {
                let info = op_occ.changed_info.as_ref().map(v1::changed_info);
                self.put_some("changedInfo", info.as_ref())?;
                let links = op_occ.changed_ext_connectivity.as_deref();
                let links = links.map(v1::ext_connectivity).transpose()?;
                self.put_some("changedExtConnectivity", links.as_ref())?;
            }
            ApiVersion::V2 => {
                self.put_some("changedInfo", op_occ.changed_info.as_ref())?;
                self.put_some("changedExtConnectivity", op_occ.changed_ext_connectivity.as_ref())?;
                let ports = op_occ
                    .resource_changes
                    .as_ref()
                    .and_then(|changes| changes.affected_ext_link_ports.as_ref());
                self.put_some("affectedExtLinkPorts", ports)?;
                let modifications = op_occ.modifications_triggered_by_vnf_pkg_change.as_ref();
                self.put_some("modificationsTriggeredByVnfPkgChange", modifications)?;
            }
        }
        Ok(())
    }
}

/// A notification without what is a subscriber's own.
///
/// # Errors
/// When the event is none that JSON can hold.
pub fn body(
    event: &LcmEvent,
    version: ApiVersion,
    verbosity: Verbosity,
    endpoint: &str,
) -> Result<Value, serde_json::Error> {
    let base = format!("{endpoint}{}", base(version));
    let mut links = Map::new();
    let instance = format!("{base}/vnf_instances/{}", event.vnf_instance_id);
    links.insert("vnfInstance".to_owned(), link(instance));
    let mut body = Body(Map::new());
    body.put("notificationType", &kind_of(event))?;
    body.put("timeStamp", &rfc3339(event.at))?;
    body.put("vnfInstanceId", &event.vnf_instance_id)?;
    match &event.what {
        EventKind::IdentifierCreation | EventKind::IdentifierDeletion => {}
        EventKind::OperationOccurrence { op_occ } => {
            body.put_op_occ(op_occ, version, verbosity)?;
            let occurrence = format!("{base}/vnf_lcm_op_occs/{}", op_occ.id);
            links.insert("vnfLcmOpOcc".to_owned(), link(occurrence));
        }
    }
    body.0.insert("_links".to_owned(), Value::Object(links));
    Ok(Value::Object(body.0))
}

/// Makes a body the notification of one subscriber.
pub fn address(
    body: &mut Value,
    endpoint: &str,
    version: ApiVersion,
    subscription: &SubscriptionId,
    number: &str,
) -> Uuid {
    let id = Uuid::new_v5(&NAMESPACE, format!("{subscription}\n{number}").as_bytes());
    if let Value::Object(body) = body {
        body.insert("id".to_owned(), Value::String(id.to_string()));
        body.insert("subscriptionId".to_owned(), Value::String(subscription.to_string()));
        if let Some(Value::Object(links)) = body.get_mut("_links") {
            let href = subscription_href(endpoint, version, subscription);
            links.insert("subscription".to_owned(), link(href));
        }
    }
    id
}

/// When the event of a notification was.
#[must_use]
pub fn event_time(body: &Value) -> Option<Timestamp> {
    let text = body.get("timeStamp")?.as_str()?;
    vimhost_model::date_time::parse_rfc3339(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// 2023-11-14T22:13:20Z
    pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

    pub(crate) fn creation() -> LcmEvent {
        LcmEvent {
            at: NOW,
            vnf_instance_id: "instance-1".parse().unwrap(),
            vnf_instance_name: Some("name-1".to_owned()),
            vnfd_id: "vnfd-1".parse().unwrap(),
            vnf_provider: "provider-1".to_owned(),
            vnf_product_name: "product-1".to_owned(),
            vnf_software_version: "1.0".to_owned(),
            vnfd_version: "1.1".to_owned(),
            what: EventKind::IdentifierCreation,
        }
    }

    pub(crate) fn operation(operation: &str, state: &str) -> LcmEvent {
        let handle = json!({"resourceId": "server-1", "vimLevelResourceType": "OS::Nova::Server"});
        let op_occ = json!({
            "id": "op-1",
            "operationState": state,
            "stateEnteredTime": "2023-11-14T22:13:20Z",
            "startTime": "2023-11-14T22:13:20Z",
            "vnfInstanceId": "instance-1",
            "operation": operation,
            "isAutomaticInvocation": false,
            "isCancelPending": false,
            "error": {"status": 500, "detail": "no valid host"},
            "resourceChanges": {
                "affectedVnfcs": [
                    {"id": "server-1", "vduId": "VDU1", "changeType": "ADDED", "computeResource": handle},
                ],
                "affectedExtLinkPorts": [
                    {"id": "port-1", "changeType": "ADDED", "extCpInstanceId": "cp-1", "resourceHandle": handle},
                ],
            },
            "changedInfo": {"vnfInstanceName": "name-1"},
            "_vimhost": {},
        });
        LcmEvent {
            what: EventKind::OperationOccurrence {
                op_occ: Box::new(serde_json::from_value(op_occ).unwrap()),
            },
            ..creation()
        }
    }

    fn sent(event: &LcmEvent, version: ApiVersion, verbosity: Verbosity) -> Value {
        let mut body = body(event, version, verbosity, "http://vnfm").unwrap();
        address(&mut body, "http://vnfm", version, &"sub-1".parse().unwrap(), "7");
        body
    }

    #[test]
    fn an_identifier_notification_names_the_instance_and_nothing_else() {
        let mut body = sent(&creation(), ApiVersion::V2, Verbosity::Full);
        let id = body["id"].take();
        assert_eq!(id.as_str().unwrap().len(), 36);
        assert_eq!(
            body,
            json!({
                "id": null,
                "notificationType": "VnfIdentifierCreationNotification",
                "subscriptionId": "sub-1",
                "timeStamp": "2023-11-14T22:13:20.000Z",
                "vnfInstanceId": "instance-1",
                "_links": {
                    "vnfInstance": {"href": "http://vnfm/vnflcm/v2/vnf_instances/instance-1"},
                    "subscription": {"href": "http://vnfm/vnflcm/v2/subscriptions/sub-1"},
                },
            })
        );
    }

    #[test]
    fn an_id_is_the_same_when_it_is_sent_again_and_another_for_others() {
        let id = |subscription: &str, number: &str| {
            let mut body = json!({"_links": {}});
            address(&mut body, "", ApiVersion::V2, &subscription.parse().unwrap(), number)
        };
        assert_eq!(id("a", "1"), id("a", "1"));
        assert_ne!(id("a", "1"), id("a", "2"));
        assert_ne!(id("a", "1"), id("b", "1"));
    }

    #[test]
    fn a_short_notification_leaves_out_what_was_changed() {
        let event = operation("SCALE", "COMPLETED");
        let full = sent(&event, ApiVersion::V2, Verbosity::Full);
        let short = sent(&event, ApiVersion::V2, Verbosity::Short);
        for key in ["affectedVnfcs", "affectedExtLinkPorts", "changedInfo"] {
            assert!(full.get(key).is_some() && short.get(key).is_none(), "{key}");
        }
        assert_eq!(
            (&full["verbosity"], &short["verbosity"]),
            (&json!("FULL"), &json!("SHORT"))
        );
        for body in [&full, &short] {
            assert_eq!(body["operation"], "SCALE");
            assert_eq!(body["operationState"], "COMPLETED");
            assert_eq!(body["notificationStatus"], "RESULT");
            assert_eq!(body["isAutomaticInvocation"], false);
            assert_eq!(body["vnfLcmOpOccId"], "op-1");
            assert_eq!(
                body["_links"]["vnfLcmOpOcc"]["href"],
                "http://vnfm/vnflcm/v2/vnf_lcm_op_occs/op-1"
            );
            assert!(body.get("error").is_none());
        }
    }

    #[test]
    fn a_start_is_told_once_and_an_error_where_something_failed() {
        for (operation_type, state, status, error) in [
            ("INSTANTIATE", "STARTING", "START", false),
            ("INSTANTIATE", "PROCESSING", "RESULT", false),
            ("MODIFY_INFO", "PROCESSING", "START", false),
            ("INSTANTIATE", "FAILED_TEMP", "RESULT", true),
            ("INSTANTIATE", "ROLLING_BACK", "RESULT", false),
            ("INSTANTIATE", "ROLLED_BACK", "RESULT", true),
            ("INSTANTIATE", "FAILED", "RESULT", true),
        ] {
            let body = sent(&operation(operation_type, state), ApiVersion::V2, Verbosity::Full);
            assert_eq!(body["notificationStatus"], status, "{operation_type} {state}");
            assert_eq!(body.get("error").is_some(), error, "{operation_type} {state}");
        }
    }

    #[test]
    fn version_1_has_its_own_links_and_no_verbosity() {
        let body = sent(&operation("SCALE", "COMPLETED"), ApiVersion::V1, Verbosity::Full);
        assert!(body.get("verbosity").is_none() && body.get("affectedExtLinkPorts").is_none());
        assert!(body.get("affectedVnfcs").is_some());
        for link in ["vnfInstance", "subscription", "vnfLcmOpOcc"] {
            let href = body["_links"][link]["href"].as_str().unwrap();
            assert!(href.starts_with("http://vnfm/vnflcm/v1/"), "{href}");
        }
        assert_eq!(version_header(ApiVersion::V1), "1.3.0");
    }

    #[test]
    fn configurations_of_connection_points_are_an_array_in_version_1_and_a_map_in_version_2() {
        let configuration = json!({"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET"}]});
        let child = json!({"parentCpConfigId": "a", "linkPortId": "port-2"});
        let links = json!([{
            "id": "external-1",
            "resourceHandle": {"resourceId": "network-1"},
            "currentVnfExtCpData": [{"cpdId": "VDU1_CP1", "cpConfig": {"a": configuration, "b": child, "gone": null}}],
        }]);
        let mut event = operation("CHANGE_EXT_CONN", "COMPLETED");
        if let EventKind::OperationOccurrence { op_occ } = &mut event.what {
            op_occ.changed_ext_connectivity = serde_json::from_value(links.clone()).unwrap();
        }
        let told = |version| sent(&event, version, Verbosity::Full)["changedExtConnectivity"].clone();
        assert_eq!(told(ApiVersion::V2), links);
        let mut expected = links;
        // Its configurations have no ids, so none has a parent.
        expected[0]["currentVnfExtCpData"][0]["cpConfig"] = json!([configuration, {"linkPortId": "port-2"}]);
        assert_eq!(told(ApiVersion::V1), expected);
    }

    #[test]
    fn changed_connections_are_an_array_with_ids_in_version_1_and_a_map_in_version_2() {
        let connection = json!({"vimType": "mock", "accessInfo": {"username": "user-2"}});
        let info = json!({"vnfInstanceName": "name-2", "vimConnectionInfo": {"vim1": connection, "vim2": null}});
        let mut event = operation("MODIFY_INFO", "COMPLETED");
        if let EventKind::OperationOccurrence { op_occ } = &mut event.what {
            op_occ.changed_info = serde_json::from_value(info.clone()).unwrap();
        }
        let told = |version| sent(&event, version, Verbosity::Full)["changedInfo"].clone();
        assert_eq!(told(ApiVersion::V2), info);
        let mut first = connection;
        first["id"] = json!("vim1");
        assert_eq!(
            told(ApiVersion::V1),
            json!({"vnfInstanceName": "name-2", "vimConnectionInfo": [first]})
        );
    }
}
