//! The table of codes where an instance is changed (what is known of it, its networks, its package) and where somebody subscribes. Each
//! refusal has its code and words that help, and nothing comes of it.

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::SamplePackage;

use super::changes::{NEXT, decide, failing, to_network, to_package, with_next};
use super::listener::Listener;
use super::{World, at, ends, scale_out, texts};

const INSTANCES: &str = "/vnflcm/v2/vnf_instances";
const OP_OCCS: &str = "/vnflcm/v2/vnf_lcm_op_occs";
const SUBSCRIPTIONS: &str = "/vnflcm/v2/subscriptions";
const NOBODY: &str = "no-such-thing";

/// In place of the operation's name: the instance itself is patched.
const PATCH: &str = "";

/// Requests that each of the three takes, were it not for what is in the way.
fn good() -> [(&'static str, Value); 3] {
    [
        (PATCH, json!({"vnfInstanceName": "another"})),
        ("change_ext_conn", to_network("net-external-3")),
        ("change_vnfpkg", to_package(NEXT)),
    ]
}

/// Asks for something that has to be refused.
async fn refused(world: &World, method: Method, path: &str, body: Option<&Value>, status: u16, says: &str) {
    let answer = world.client.ask(method.clone(), path, body).await.unwrap();
    let detail = answer.json["detail"].as_str().unwrap_or_default();
    let asked = body.map(Value::to_string).unwrap_or_default();
    let asked: String = asked.chars().take(400).collect();
    let (told, text) = (answer.status, &answer.text);
    assert!(
        told == status && detail.contains(says),
        "{method} {path} {asked}: {told}, not {status} with '{says}': {text}"
    );
    assert_eq!(answer.json["status"], status, "{method} {path} {asked}: {text}");
    assert_eq!(answer.location, None, "{method} {path} {asked}");
    assert_eq!(answer.version.as_deref(), Some("2.0.0"), "{method} {path} {asked}");
}

/// The same of an instance.
async fn refused_of(world: &World, id: &str, operation: &str, body: &Value, status: u16, says: &str) {
    let path = format!("{INSTANCES}/{id}");
    let (method, path) = match operation {
        PATCH => (Method::PATCH, path),
        operation => (Method::POST, format!("{path}/{operation}")),
    };
    refused(world, method, &path, Some(body), status, says).await;
}

/// Operations of an instance, by what was asked for.
async fn operations(world: &World, id: &str) -> Vec<String> {
    let path = format!("{OP_OCCS}?filter=(eq,vnfInstanceId,{id})");
    let listed = world.client.expect(200, Method::GET, &path, None).await.unwrap();
    texts(&listed.json, "operation")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// A request of a link that is right but for some attributes; null takes one out.
fn link_with(change: Value) -> Value {
    let mut request = to_network("net-external-3");
    let link = request["extVirtualLinks"][0].as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            link.remove(name);
        } else {
            link.insert(name.clone(), value.clone());
        }
    }
    request
}

/// A change of the package with other parameters; null: with none.
fn package_with(params: Value) -> Value {
    let mut request = to_package(NEXT);
    if params.is_null() {
        request.as_object_mut().unwrap().remove("additionalParams");
    } else {
        request["additionalParams"] = params;
    }
    request
}

/// What breaks the schema of a request, whatever it is asked of.
fn broken() -> Vec<(&'static str, Value, &'static str)> {
    let long = |length: usize| "x".repeat(length);
    let named = json!([{"vdu_id": "VDU1"}]);
    let rolling = json!({"upgrade_type": "RollingUpdate", "vdu_params": named});
    vec![
        (PATCH, json!([]), "JSON object"),
        (PATCH, json!({"vnfInstanceName": 5}), "vnfInstanceName"),
        (PATCH, json!({"vnfInstanceName": long(256)}), "vnfInstanceName"),
        (
            PATCH,
            json!({"vnfInstanceDescription": long(1025)}),
            "vnfInstanceDescription",
        ),
        (PATCH, json!({"vnfdId": ""}), "vnfdId"),
        (PATCH, json!({"metadata": ["a"]}), "metadata"),
        (PATCH, json!({"extensions": "a"}), "extensions"),
        (
            PATCH,
            json!({"vnfConfigurableProperties": 1}),
            "vnfConfigurableProperties",
        ),
        (PATCH, json!({"vimConnectionInfo": "a"}), "vimConnectionInfo"),
        (
            PATCH,
            json!({"vnfcInfoModifications": [{"id": "a"}]}),
            "vnfcConfigurableProperties",
        ),
        (
            PATCH,
            json!({"vnfcInfoModifications": [{"id": "", "vnfcConfigurableProperties": {}}]}),
            "vnfcInfoModifications/0/id",
        ),
        ("change_ext_conn", json!({}), "extVirtualLinks"),
        ("change_ext_conn", json!({"extVirtualLinks": {}}), "extVirtualLinks"),
        ("change_ext_conn", json!({"extVirtualLinks": []}), "extVirtualLinks"),
        ("change_ext_conn", link_with(json!({"id": null})), "`id`"),
        (
            "change_ext_conn",
            link_with(json!({"id": long(256)})),
            "extVirtualLinks/0/id",
        ),
        ("change_ext_conn", link_with(json!({"resourceId": null})), "resourceId"),
        (
            "change_ext_conn",
            link_with(json!({"resourceId": ""})),
            "extVirtualLinks/0/resourceId",
        ),
        ("change_ext_conn", link_with(json!({"extCps": null})), "extCps"),
        (
            "change_ext_conn",
            link_with(json!({"extCps": []})),
            "extVirtualLinks/0/extCps",
        ),
        (
            "change_ext_conn",
            link_with(json!({"extCps": [{"cpConfig": {}}]})),
            "cpdId",
        ),
        ("change_vnfpkg", json!({"additionalParams": rolling}), "vnfdId"),
        (
            "change_vnfpkg",
            json!({"vnfdId": 5, "additionalParams": rolling}),
            "vnfdId",
        ),
        (
            "change_vnfpkg",
            json!({"vnfdId": NEXT, "additionalParams": rolling, "extVirtualLinks": [{"id": "a"}]}),
            "extVirtualLinks/0",
        ),
        (
            "change_vnfpkg",
            json!({"vnfdId": NEXT, "additionalParams": rolling,
                   "extManagedVirtualLinks": [{"id": "a", "resourceId": "n"}]}),
            "vnfVirtualLinkDescId",
        ),
        (
            "change_vnfpkg",
            json!({"vnfdId": NEXT, "additionalParams": rolling, "extensions": []}),
            "extensions",
        ),
        ("change_vnfpkg", package_with(json!([])), "additionalParams"),
    ]
}

/// What the parameters of a change of the package break beside its schema.
fn without_a_rolling_update() -> Vec<(Value, &'static str)> {
    let named = json!([{"vdu_id": "VDU1"}]);
    let rolling = |listed: Value| json!({"upgrade_type": "RollingUpdate", "vdu_params": listed});
    vec![
        (json!(null), "additionalParams"),
        (json!({}), "upgrade_type"),
        (json!({"vdu_params": named}), "upgrade_type"),
        (
            json!({"upgrade_type": "BlueGreen", "vdu_params": named}),
            "upgrade_type",
        ),
        (json!({"upgrade_type": "RollingUpdate"}), "vdu_params"),
        (rolling(json!({"vdu_id": "VDU1"})), "vdu_params"),
        (rolling(json!("VDU1")), "vdu_params"),
        (rolling(json!([{}])), "vdu_id"),
        (rolling(json!([{"vdu_id": 1}])), "vdu_id"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_schema_or_names_what_is_not_there_is_refused_with_its_code_and_why() {
    let world = with_next(Faults::default()).await;
    let disabled = SamplePackage {
        vnfd_id: "disabled-vnfd".to_owned(),
        ..world.package.clone()
    };
    let package = world.client.onboard(&disabled).await.unwrap();
    let path = format!("/vnfpkgm/v1/vnf_packages/{package}");
    let change = json!({"operationalState": "DISABLED"});
    world
        .client
        .expect(200, Method::PATCH, &path, Some(&change))
        .await
        .unwrap();
    let fresh = world.created("fresh").await;
    let made = world.instantiated("made").await;
    let (fresh_before, made_before) = (
        world.client.instance(&fresh).await.unwrap(),
        world.client.instance(&made).await.unwrap(),
    );

    // The schema comes before the state, and before the question whether there is such an instance.
    for (operation, body, says) in broken() {
        for id in [fresh.as_str(), &made, NOBODY] {
            refused_of(&world, id, operation, &body, 400, says).await;
        }
    }
    for (params, says) in without_a_rolling_update() {
        refused_of(&world, &made, "change_vnfpkg", &package_with(params), 400, says).await;
    }
    let connection = json!({"vimConnectionInfo": {"vim1": {"vimId": "mock", "vimType": "mock"}}});
    refused_of(&world, &fresh, PATCH, &connection, 400, "vimConnectionInfo").await;
    let none = json!({"vimConnectionInfo": {"vim1": {"vimType": null}}});
    refused_of(&world, &made, PATCH, &none, 400, "vimConnectionInfo").await;
    let nobody = json!({"vnfcInfoModifications": [{"id": "VDU1-nobody", "vnfcConfigurableProperties": {"a": 1}}]});
    for id in [&fresh, &made] {
        refused_of(&world, id, PATCH, &nobody, 400, "VDU1-nobody").await;
    }

    for (operation, body) in good() {
        refused_of(&world, NOBODY, operation, &body, 404, NOBODY).await;
        if operation != PATCH {
            refused_of(&world, &fresh, operation, &body, 409, "NOT_INSTANTIATED").await;
        }
    }
    for vnfd in [NOBODY, "disabled-vnfd"] {
        let known = json!({"vnfdId": vnfd});
        for id in [&fresh, &made] {
            refused_of(&world, id, PATCH, &known, 422, vnfd).await;
        }
        refused_of(&world, &made, "change_vnfpkg", &to_package(vnfd), 422, vnfd).await;
    }

    assert_eq!(world.client.instance(&fresh).await.unwrap(), fresh_before);
    assert_eq!(world.client.instance(&made).await.unwrap(), made_before);
    assert_eq!(operations(&world, &fresh).await, Vec::<String>::new());
    assert_eq!(operations(&world, &made).await, ["INSTANTIATE"]);
    let log = world.host.stop().unwrap();
    assert!(
        !log.contains("ERROR"),
        "what a client got wrong is no error of the host: {log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_of_connection_points_that_the_standard_does_not_know_are_refused() {
    let world = World::new(Faults::default()).await;
    let id = world.instantiated("addresses").await;
    let of_points = |point: Value| link_with(json!({"extCps": [point]}));
    let of_protocol = |protocol: Value| {
        of_points(json!({"cpdId": "VDU1_CP1", "cpConfig": {"VDU1_CP1": {"cpProtocolData": [protocol]}}}))
    };
    let of_addresses = |addresses: Value| {
        let ethernet = json!({"ipAddresses": [addresses]});
        of_protocol(json!({"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": ethernet}))
    };
    let range = json!({"minAddress": "10.0.0.5", "maxAddress": "10.0.0.9"});
    for (body, says) in [
        (of_points(json!({"cpdId": "VDU1_CP1"})), "cpConfig"),
        (of_protocol(json!({})), "layerProtocol"),
        (of_protocol(json!({"layerProtocol": "ATM"})), "layerProtocol"),
        (
            of_addresses(json!({"type": "IPV5", "fixedAddresses": ["10.0.0.5"]})),
            "type",
        ),
        (of_addresses(json!({"fixedAddresses": ["10.0.0.5"]})), "type"),
        // Exactly one of three.
        (of_addresses(json!({"type": "IPV4"})), "ipAddresses"),
        (
            of_addresses(json!({"type": "IPV4", "fixedAddresses": ["10.0.0.5"], "numDynamicAddresses": 1})),
            "ipAddresses",
        ),
        (
            of_addresses(json!({"type": "IPV4", "fixedAddresses": ["10.0.0.5"], "addressRange": range})),
            "ipAddresses",
        ),
    ] {
        refused_of(&world, &id, "change_ext_conn", &body, 400, says).await;
    }
    assert_eq!(operations(&world, &id).await, ["INSTANTIATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_while_an_operation_runs_or_waits_for_a_decision() {
    let world = with_next(Faults::default()).await;
    let failed = world.instantiated("failed").await;
    world.vim.set_faults(failing(&[1])).unwrap();
    let scale = world.client.begin(&failed, "scale", &scale_out()).await.unwrap();
    ends(&world, &scale, "FAILED_TEMP").await;
    let busy = world.instantiated("busy").await;
    // It waits for as long as this test lasts.
    let graceful = json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 3600});
    let terminate = world.client.begin(&busy, "terminate", &graceful).await.unwrap();
    for (id, op_occ) in [(&failed, &scale), (&busy, &terminate)] {
        let before = world.client.instance(id).await.unwrap();
        for (operation, body) in good() {
            refused_of(&world, id, operation, &body, 409, op_occ).await;
        }
        let path = format!("{INSTANCES}/{id}");
        refused(&world, Method::DELETE, &path, None, 409, op_occ).await;
        assert_eq!(world.client.instance(id).await.unwrap(), before);
    }
    let state = world.client.op_occ(&terminate).await.unwrap()["operationState"].clone();
    assert!(state == "STARTING" || state == "PROCESSING", "it was over: {state}");

    decide(&world, &scale, "fail").await;
    for (operation, body) in good() {
        let path = match operation {
            PATCH => format!("{INSTANCES}/{failed}"),
            operation => format!("{INSTANCES}/{failed}/{operation}"),
        };
        let method = if operation == PATCH {
            Method::PATCH
        } else {
            Method::POST
        };
        let accepted = world.client.expect(202, method, &path, Some(&body)).await.unwrap();
        assert_eq!(accepted.text, "", "{path}");
        let location = accepted.location.unwrap();
        ends(&world, location.rsplit('/').next().unwrap(), "COMPLETED").await;
    }
    let mut done = operations(&world, &failed).await;
    done.sort_unstable();
    assert_eq!(
        done,
        [
            "CHANGE_EXT_CONN",
            "CHANGE_VNFPKG",
            "INSTANTIATE",
            "MODIFY_INFO",
            "SCALE"
        ]
    );
}

/// What breaks the schema of a subscription, its authentication apart; null takes an attribute out.
fn broken_subscriptions() -> Vec<(Value, &'static str)> {
    let filtered = |filter: Value| json!({"filter": filter});
    vec![
        (json!({"callbackUri": null}), "callbackUri"),
        (json!({"callbackUri": 5}), "callbackUri"),
        (json!({"callbackUri": "nfvo"}), "callbackUri"),
        (json!({"callbackUri": "ftp://nfvo.example/"}), "callbackUri"),
        (
            json!({"callbackUri": format!("http://nfvo.example/{}", "x".repeat(255))}),
            "callbackUri",
        ),
        (json!({"verbosity": "LOUD"}), "verbosity"),
        (filtered(json!("all")), "filter"),
        (filtered(json!({"notificationTypes": ["Other"]})), "notificationTypes"),
        (filtered(json!({"operationTypes": ["SLEEP"]})), "operationTypes"),
        (filtered(json!({"operationStates": ["LOST"]})), "operationStates"),
        (
            filtered(json!({"vnfInstanceSubscriptionFilter": {"vnfdIds": "a"}})),
            "vnfdIds",
        ),
        (
            filtered(json!({"vnfInstanceSubscriptionFilter": {"vnfProductsFromProviders": [{}]}})),
            "vnfProvider",
        ),
    ]
}

/// Ways to authenticate that lack what they need, or that are not served.
fn broken_authentications() -> Vec<(Value, &'static str)> {
    let client = "OAUTH2_CLIENT_CREDENTIALS";
    let of_client = |params: Value| json!({"authType": [client], "paramsOauth2ClientCredentials": params});
    let basic = json!({"userName": "user", "password": "word"});
    vec![
        (json!({}), "authType"),
        (json!({"authType": []}), "authType"),
        (json!({"authType": "BASIC", "paramsBasic": basic}), "authType"),
        (json!({"authType": ["NONE"]}), "authType"),
        (json!({"authType": ["BASIC"]}), "paramsBasic"),
        (
            json!({"authType": ["BASIC"], "paramsBasic": {"userName": "user"}}),
            "password",
        ),
        (
            json!({"authType": ["BASIC"], "paramsBasic": {"password": "word"}}),
            "userName",
        ),
        (json!({"authType": [client]}), "paramsOauth2ClientCredentials"),
        (
            json!({"authType": [client], "paramsBasic": basic}),
            "paramsOauth2ClientCredentials",
        ),
        (
            json!({"authType": ["BASIC", client], "paramsBasic": basic}),
            "paramsOauth2ClientCredentials",
        ),
        (
            of_client(json!({"clientId": "client", "clientPassword": "word"})),
            "tokenEndpoint",
        ),
        (
            of_client(json!({"clientId": "client", "tokenEndpoint": "http://tokens.example/"})),
            "clientPassword",
        ),
        (
            of_client(json!({"clientId": "client", "clientPassword": "word", "tokenEndpoint": "nowhere"})),
            "tokenEndpoint",
        ),
        (json!({"authType": ["TLS_CERT"]}), "TLS_CERT"),
        (
            json!({"authType": ["OAUTH2_CLIENT_CERT"], "paramsOauth2ClientCert": {
                "clientId": "client", "certificateRef": {"type": "x5t#S256", "value": "a"},
                "tokenEndpoint": "http://tokens.example/"}}),
            "OAUTH2_CLIENT_CERT",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_wrong_or_unknown_is_refused_with_its_code_and_why() {
    let world = World::new(Faults::default()).await;
    let listener = Listener::start().await;
    let post = async |body: &Value, status: u16, says: &str| {
        refused(&world, Method::POST, SUBSCRIPTIONS, Some(body), status, says).await;
    };
    let callback = format!("{}/never", listener.url);
    for (change, says) in broken_subscriptions() {
        let mut body = json!({"callbackUri": callback});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        if body["callbackUri"].is_null() {
            body = json!({});
        }
        post(&body, 400, says).await;
    }
    for (authentication, says) in broken_authentications() {
        let body = json!({"callbackUri": callback, "authentication": authentication});
        post(&body, 400, says).await;
    }
    assert!(
        listener.header("/never", "version").is_empty(),
        "nobody is called back for what is wrong"
    );
    // Something answers there, but not as a callback does.
    let other = json!({"callbackUri": format!("{}/token", listener.url)});
    post(&other, 422, "204").await;
    let listed = world
        .client
        .expect(200, Method::GET, SUBSCRIPTIONS, None)
        .await
        .unwrap();
    assert_eq!(listed.json, json!([]), "nothing was kept");

    let unknown = format!("{SUBSCRIPTIONS}/{NOBODY}");
    for method in [Method::GET, Method::DELETE] {
        refused(&world, method, &unknown, None, 404, NOBODY).await;
    }
    let good = json!({"callbackUri": format!("{}/good", listener.url), "authentication": {
        "authType": ["BASIC"], "paramsBasic": {"userName": "user", "password": "word"}}});
    let made = world
        .client
        .expect(201, Method::POST, SUBSCRIPTIONS, Some(&good))
        .await
        .unwrap();
    assert!(made.json.get("authentication").is_none(), "{}", made.text);
    assert_eq!(made.json["verbosity"], "FULL", "{}", made.text);
    let id = at(&made.json, "/id").as_str().unwrap();
    assert!(made.location.unwrap().ends_with(&format!("{SUBSCRIPTIONS}/{id}")));
    let path = format!("{SUBSCRIPTIONS}/{id}");
    world.client.expect(200, Method::GET, &path, None).await.unwrap();
    world.client.expect(204, Method::DELETE, &path, None).await.unwrap();
    for method in [Method::GET, Method::DELETE] {
        refused(&world, method, &path, None, 404, id).await;
    }
}
