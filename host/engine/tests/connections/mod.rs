//! Connections of an instance that change while it has a stack: as they are after the merge they say which account drives it.

use super::*;
use vimhost_model::vnf::{VimConnectionInfo, VnfInfoModificationRequest};
use vimhost_store::StoredAccount;

const CLOUD: &str = "http://cloud.example:5000/v3";
const OTHER: &str = "http://other.example:5000/v3";
const PEM: &str = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";

impl Lab {
    async fn account(&self, target: &TargetId) -> StoredAccount {
        self.store.account(target).await.unwrap().unwrap()
    }

    /// Where an instance is, and its first connection.
    async fn place(&self, id: &VnfInstanceId) -> (TargetId, VimConnectionInfo) {
        let instance = self.engine.lcm().instance(id).await.unwrap();
        let first = instance.vim_connection_info.into_values().next().unwrap();
        (instance.own.target.unwrap(), first)
    }

    /// Changes the connection of an instance; where it is then.
    async fn patch(&self, id: &VnfInstanceId, connection: Value) -> (TargetId, VimConnectionInfo) {
        let request: VnfInfoModificationRequest = parsed(json!({"vimConnectionInfo": {"v": connection}}));
        let changed = self.engine.lcm().modify(id, request).await.unwrap();
        let changed = self.over(&changed).await;
        assert_eq!(
            changed.operation_state,
            OperationState::Completed,
            "{:?}",
            changed.error
        );
        self.place(id).await
    }

    /// Whether a connection of a request means an account: one that is equal, the password too, means the same one.
    async fn is_place_of(&self, target: &TargetId, connection: Value) -> bool {
        let lcm = self.engine.lcm();
        let id = lcm.create(parsed(json!({"vnfdId": "vnfd"}))).await.unwrap().id;
        let request = parsed(json!({"flavourId": "simple", "vimConnectionInfo": {"v": connection}}));
        let done = self.over(&lcm.instantiate(&id, request).await.unwrap()).await;
        done.own.target.as_ref() == Some(target)
    }
}

async fn register_other(lab: &Lab) {
    let other: NewAccount = parsed(json!({
        "id": "other", "name": "other", "vim_type": "memory", "url": OTHER, "user": "operator", "tenant": "admin",
        "credentials": {"password": "operators"},
    }));
    lab.engine.add_account(other).await.unwrap();
}

fn connection(endpoint: &str, access: Value) -> Value {
    json!({"vimType": "memory", "interfaceInfo": {"endpoint": endpoint}, "accessInfo": access})
}

#[tokio::test]
async fn a_changed_connection_counts_as_it_is_after_the_merge() {
    let lab = Lab::new().await;
    register_cloud(&lab).await;
    register_other(&lab).await;
    let (id, first) = instantiate_with(&lab, "old").await;

    let (renamed, shown) = lab
        .patch(&id, json!({"accessInfo": {"username": "new", "password": "new"}}))
        .await;
    assert_ne!(renamed, first);
    let account = lab.account(&renamed).await;
    assert_eq!(
        (account.user.as_deref(), account.tenant.as_deref()),
        (Some("new"), Some("p"))
    );
    assert_eq!(
        Value::Object(shown.access_info.unwrap()),
        json!({"username": "new", "project": "p"})
    );
    let equal = json!({"username": "new", "project": "p", "password": "new"});
    assert!(lab.is_place_of(&renamed, connection(CLOUD, equal)).await);

    // What is not said stays, the password too.
    let (moved, _) = lab
        .patch(
            &id,
            json!({"interfaceInfo": {"endpoint": OTHER}, "accessInfo": {"project": "q", "region": "r"}}),
        )
        .await;
    let account = lab.account(&moved).await;
    assert_eq!(
        (account.url.as_str(), account.user.as_deref(), account.tenant.as_deref()),
        (OTHER, Some("new"), Some("q"))
    );
    assert_eq!(account.config.get("region_name"), Some(&json!("r")));
    let equal = json!({"username": "new", "project": "q", "region": "r", "password": "new"});
    assert!(lab.is_place_of(&moved, connection(OTHER, equal)).await);

    let names_an_account = json!({"vimId": "cloud", "interfaceInfo": null, "accessInfo": null});
    let (named, _) = lab.patch(&id, names_an_account).await;
    assert_eq!(named, TargetId::vim("cloud".parse().unwrap()));
    // What says nothing of where leaves it there.
    assert_eq!(lab.patch(&id, json!({"vimId": null})).await.0, named);
}

#[tokio::test]
async fn a_changed_connection_is_refused_where_one_of_a_request_would_be() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    register_cloud(&lab).await;
    let (id, target) = instantiate_with(&lab, "old").await;
    let refused = async |change: Value| {
        let request: VnfInfoModificationRequest = parsed(json!({"vimConnectionInfo": {"v": change}}));
        lcm.modify(&id, request).await.unwrap_err()
    };
    let elsewhere = refused(json!({"interfaceInfo": {"endpoint": OTHER}})).await;
    assert!(matches!(elsewhere, EngineError::Unprocessable { .. }), "{elsewhere:?}");
    let unknown = refused(json!({"vimId": "nobody", "accessInfo": null})).await;
    assert!(matches!(unknown, EngineError::NotFound { .. }), "{unknown:?}");
    let nobody = refused(json!({"accessInfo": {"username": null}})).await;
    assert!(matches!(nobody, EngineError::Shape { .. }), "{nobody:?}");
    assert_eq!(lab.place(&id).await.0, target);
}

/// Whoever left a password out does not know it, and does not choose where it is shown.
#[tokio::test]
async fn the_password_of_a_registered_account_goes_nowhere_else() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    register_cloud(&lab).await;
    register_other(&lab).await;
    let id = lcm.create(parsed(json!({"vnfdId": "vnfd"}))).await.unwrap().id;
    let without = connection(CLOUD, json!({"username": "operator", "project": "admin"}));
    let request = parsed(json!({"flavourId": "simple", "vimConnectionInfo": {"v": without}}));
    lab.over(&lcm.instantiate(&id, request).await.unwrap()).await;
    assert_eq!(lab.place(&id).await.0, TargetId::vim("cloud".parse().unwrap()));
    let (moved, _) = lab
        .patch(
            &id,
            json!({"interfaceInfo": {"endpoint": OTHER}, "accessInfo": {"project": "mine"}}),
        )
        .await;
    assert_eq!(lab.account(&moved).await.url, OTHER);
    assert!(lab.secrets(&moved).await.is_empty());
}

#[tokio::test]
async fn a_change_of_networks_or_of_the_package_brings_a_connection_that_is_merged() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    register_cloud(&lab).await;
    lab.store.put_vnf_package(&package("pkg2", "vnfd2"), 0).await.unwrap();
    let (id, mut target) = instantiate_with(&lab, "old").await;
    let network = json!({"id": "l", "resourceId": "n", "extCps": [{"cpdId": "c", "cpConfig": {}}]});
    let rolled = json!({"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]});
    for user in ["one", "two"] {
        let brought = json!({"v": {"vimType": "memory", "accessInfo": {"username": user, "password": "canary"}}});
        let begun = if user == "one" {
            let request = json!({"extVirtualLinks": [network], "vimConnectionInfo": brought});
            lcm.change_ext_conn(&id, parsed(request)).await
        } else {
            let request = json!({"vnfdId": "vnfd2", "additionalParams": rolled, "vimConnectionInfo": brought});
            lcm.change_vnfpkg(&id, parsed(request)).await
        };
        let done = lab.over(&begun.unwrap()).await;
        assert_eq!(done.operation_state, OperationState::Completed, "{:?}", done.error);
        assert!(!serde_json::to_string(&done).unwrap().contains("canary"));
        let (place, shown) = lab.place(&id).await;
        assert_ne!(place, target);
        assert_eq!(done.own.target.as_ref(), Some(&place), "it was done with that account");
        assert_eq!(lab.account(&place).await.user.as_deref(), Some(user));
        assert_eq!(
            serde_json::to_value(&shown).unwrap(),
            connection(CLOUD, json!({"username": user, "project": "p"}))
        );
        target = place;
    }
}

#[tokio::test]
async fn whom_a_connection_trusts_its_own_account_trusts_and_no_other() {
    let lab = Lab::new().await;
    let registered: NewAccount = parsed(json!({
        "id": "cloud", "name": "cloud", "vim_type": "memory", "url": CLOUD, "user": "u", "tenant": "p",
        "credentials": {"password": "right"}, "ca_certificates": "of the operator",
    }));
    lab.engine.add_account(registered).await.unwrap();
    let lcm = lab.engine.lcm();
    let cloud = TargetId::vim("cloud".parse().unwrap());
    let operators = Some("of the operator");
    for (trust, password, expected) in [
        (json!({}), Some("right"), (operators, false)),
        (
            json!({"skipCertificateVerification": false}),
            Some("right"),
            (operators, false),
        ),
        (json!({"skipCertificateVerification": true}), None, (operators, false)),
        (
            json!({"skipCertificateVerification": true}),
            Some("right"),
            (operators, true),
        ),
        (json!({"trustedCertificates": [PEM]}), Some("right"), (Some(PEM), false)),
    ] {
        let mut access = json!({"username": "u", "project": "p"});
        if let Some(password) = password {
            access["password"] = json!(password);
        }
        let mut connection = connection(CLOUD, access);
        connection["interfaceInfo"]
            .as_object_mut()
            .unwrap()
            .extend(trust.as_object().unwrap().clone());
        let id = lcm.create(parsed(json!({"vnfdId": "vnfd"}))).await.unwrap().id;
        let request = parsed(json!({"flavourId": "simple", "vimConnectionInfo": {"v": connection}}));
        let done = lab.over(&lcm.instantiate(&id, request).await.unwrap()).await;
        let target = done.own.target.unwrap();
        let account = lab.account(&target).await;
        assert_eq!(
            (account.ca_certificates.as_deref(), account.insecure_tls),
            expected,
            "{trust}"
        );
        assert_eq!(target == cloud, expected == (operators, false), "{trust}");
    }
    let registered = lab.account(&cloud).await;
    assert_eq!(
        (registered.ca_certificates.as_deref(), registered.insecure_tls),
        (operators, false)
    );
}

#[tokio::test]
async fn an_operation_shows_all_that_was_asked_but_for_secrets() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    lab.instantiate().await;
    let heal = json!({
        "cause": "c", "healScript": "file:///heal.sh",
        "vimConnectionInfo": {"v": {"accessInfo": {"username": "u", "password": "canary", "bearer_token": "canary"}}},
    });
    let healed = lab.over(&lcm.heal(&lab.id, parsed(heal)).await.unwrap()).await;
    assert_eq!(healed.operation_state, OperationState::Completed, "{:?}", healed.error);
    assert_eq!(
        healed.operation_params,
        Some(json!({
            "cause": "c", "healScript": "file:///heal.sh",
            "vimConnectionInfo": {"v": {"accessInfo": {"username": "u"}}},
        }))
    );
    let instance = lcm.instance(&lab.id).await.unwrap();
    assert!(
        !instance.vim_connection_info.contains_key("v"),
        "a heal brings no connections"
    );

    let network = json!({"id": "l", "resourceId": "n", "more": [1],
        "extCps": [{"cpdId": "c", "cpConfig": {"one": {"createExtLinkPort": true}}}]});
    let asked = json!({"extVirtualLinks": [network], "extensions": {"a": null}});
    let changed = lcm.change_ext_conn(&lab.id, parsed(asked.clone())).await.unwrap();
    assert_eq!(lab.over(&changed).await.operation_params, Some(asked));

    let patch = json!({"vnfInstanceName": "renamed", "unknown": 1});
    let modified = lcm.modify(&lab.id, parsed(patch.clone())).await.unwrap();
    let modified = lab.over(&modified).await;
    assert_eq!(modified.operation_params, Some(patch));
    assert_eq!(
        modified.changed_info.map(Value::Object),
        Some(json!({"vnfInstanceName": "renamed"})),
        "what nobody knows has changed nothing"
    );
}

/// An account of a cloud, for another user than clients have.
async fn register_cloud(lab: &Lab) {
    let registered: NewAccount = parsed(json!({
        "id": "cloud", "name": "cloud", "vim_type": "memory", "url": "http://cloud.example:5000/v3", "user": "operator",
        "tenant": "admin", "credentials": {"password": "operators"},
    }));
    lab.engine.add_account(registered).await.unwrap();
}

/// Makes an instance on the cloud, by a connection that is written out; where it is then.
async fn instantiate_with(lab: &Lab, password: &str) -> (VnfInstanceId, TargetId) {
    let lcm = lab.engine.lcm();
    let connection = json!({
        "vimType": "memory", "interfaceInfo": {"endpoint": "http://cloud.example:5000/v3"},
        "accessInfo": {"username": "u", "project": "p", "password": password},
    });
    let request = parsed(json!({"flavourId": "simple", "vimConnectionInfo": {"v": connection}}));
    let id = lcm.create(parsed(json!({"vnfdId": "vnfd"}))).await.unwrap().id;
    let done = lab.over(&lcm.instantiate(&id, request).await.unwrap()).await;
    assert_eq!(done.operation_state, OperationState::Completed, "{:?}", done.error);
    (id, done.own.target.unwrap())
}

/// What one client gets wrong is nobody else's trouble.
#[tokio::test]
async fn another_password_of_the_same_user_leaves_the_account_of_others_alone() {
    let lab = Lab::new().await;
    register_cloud(&lab).await;
    let (_, target) = instantiate_with(&lab, "right").await;
    let before = lab.secrets(&target).await;
    let (_, wrong) = instantiate_with(&lab, "wrong").await;
    assert_ne!(wrong, target);
    assert_eq!(lab.secrets(&target).await, before);
    let (_, same) = instantiate_with(&lab, "right").await;
    assert_eq!(same, target, "and so one token serves both");
}

#[tokio::test]
async fn a_changed_password_takes_its_instance_and_no_other_to_another_account() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    register_cloud(&lab).await;
    let (one, target) = instantiate_with(&lab, "old").await;
    let (other, _) = instantiate_with(&lab, "old").await;
    let before = lab.secrets(&target).await;
    let patch = json!({"vimConnectionInfo": {"v": {"vimType": "memory", "accessInfo": {"password": "renewed"}}}});
    let changed = lab.over(&lcm.modify(&one, parsed(patch)).await.unwrap()).await;
    assert_eq!(
        changed.operation_state,
        OperationState::Completed,
        "{:?}",
        changed.error
    );
    let of = async |id: &VnfInstanceId| lcm.instance(id).await.unwrap().own.target.unwrap();
    let renewed = of(&one).await;
    assert_ne!(renewed, target);
    assert_eq!(lab.secrets(&target).await, before);
    assert_eq!(of(&other).await, target);
    assert_eq!(instantiate_with(&lab, "renewed").await.1, renewed);

    let end = parsed(json!({"terminationType": "FORCEFUL"}));
    let ended = lab.over(&lcm.terminate(&one, end).await.unwrap()).await;
    assert_eq!(ended.own.target, Some(renewed));
    assert_eq!(ended.operation_state, OperationState::Completed, "{:?}", ended.error);
}

/// An account that is registered is used with the password it has, or not at all.
#[tokio::test]
async fn a_connection_with_another_password_does_not_use_the_registered_account() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    let registered: NewAccount = parsed(json!({
        "id": "cloud", "name": "cloud", "vim_type": "memory", "url": "http://cloud.example:5000/v3", "user": "u", "tenant": "p",
        "credentials": {"password": "right"}, "config": {"user_domain_id": "default", "application_credential_name": "c"},
    }));
    lab.engine.add_account(registered).await.unwrap();
    let mut targets = Vec::new();
    for (password, domain) in [
        (Some("right"), "Default"),
        (None, "Default"),
        (Some("wrong"), "Default"),
        (Some("right"), "elsewhere"),
    ] {
        let mut access = json!({"username": "u", "project": "p", "userDomain": domain, "projectDomain": "Default"});
        if let Some(password) = password {
            access["password"] = json!(password);
        }
        let connection = json!({
            "vimType": "memory", "interfaceInfo": {"endpoint": "http://cloud.example:5000/v3"}, "accessInfo": access,
        });
        let request = json!({"flavourId": "simple", "vimConnectionInfo": {"v": connection}});
        let instance = lcm.create(parsed(json!({"vnfdId": "vnfd"}))).await.unwrap();
        let done = lab
            .over(&lcm.instantiate(&instance.id, parsed(request)).await.unwrap())
            .await;
        let text = serde_json::to_string(&done).unwrap();
        assert!(!text.contains("right") && !text.contains("wrong"), "{text}");
        targets.push(done.own.target.unwrap());
    }
    let cloud = TargetId::vim("cloud".parse().unwrap());
    let is_cloud: Vec<bool> = targets.iter().map(|target| *target == cloud).collect();
    assert_eq!(is_cloud, [true, true, false, false]);
    let [_, _, wrong, elsewhere] = <[TargetId; 4]>::try_from(targets).unwrap();
    assert_ne!(wrong, elsewhere);
    let made = lab.store.account(&elsewhere).await.unwrap().unwrap();
    let config = serde_json::to_value(made.config).unwrap();
    assert_eq!(
        config,
        json!({"user_domain_name": "elsewhere", "project_domain_name": "Default"}),
        "nothing that says who else logs in"
    );
}
