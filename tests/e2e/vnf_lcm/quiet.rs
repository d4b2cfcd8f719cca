//! What is in the log, and what never is: as many lines for an operation whatever the number of polls and subscribers, and no secret of a
//! client anywhere.

use std::collections::BTreeSet;

use mock_vim::{Config, Credentials, Faults, Server};
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::{Host, SamplePackage, Setup, VnfLcm, instantiate_request, start_vim, wait_until};

use super::listener::{ACCESS_TOKEN, Listener, subscribe};
use super::{LIMIT, World, ends, forceful, held, log_to_end};
use crate::canary::holds;

/// Lines of an operation beside that of its request.
const LINES: usize = 6;

/// Lines at info and above but those of requests, which are written after their answers.
pub(super) fn lines(world: &World) -> usize {
    let log = world.host.log();
    log.lines().filter(|line| !line.contains("request served")).count()
}

/// Lines of one instantiation, and looks at its stack.
async fn instantiation(world: &World, name: &str) -> (usize, u64) {
    looked_at(world, name, 0).await
}

/// The same of a stack that is being made until it was looked at so often.
async fn looked_at(world: &World, name: &str, at_least: u64) -> (usize, u64) {
    let id = world.created(name).await;
    let looks = || world.vim.requests().of("GET stacks list 200");
    let request = instantiate_request("mock");
    if at_least > 0 {
        world.vim.set_faults(held()).unwrap();
    }
    let (before, looked) = (lines(world), looks());
    let op_occ = world.client.begin(&id, "instantiate", &request).await.unwrap();
    wait_until("looks at the stack", LIMIT, async || Ok(looks() - looked >= at_least))
        .await
        .unwrap();
    if at_least > 0 {
        world.release();
    }
    let over = ends(world, &op_occ, "COMPLETED").await;
    log_to_end(world, &over).await;
    (lines(world) - before, looks() - looked)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_has_as_many_lines_with_one_look_at_its_stack_as_with_many() {
    let world = World::new(Faults::default()).await;
    instantiation(&world, "warm").await;
    let (few, one_look) = instantiation(&world, "few").await;
    // Twenty more would take more than a minute: pauses grow.
    let (many, looks) = looked_at(&world, "many", one_look + 4).await;
    let log = world.host.log();
    assert_eq!(few, many, "{looks} looks: {log}");
    assert!(few <= LINES, "{few} lines: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_has_as_many_lines_with_one_subscriber_as_with_hundreds_dead_ones_included() {
    let world = World::new(Faults::default()).await;
    let listener = Listener::start().await;
    instantiation(&world, "warm").await;
    let told = async |count: usize| {
        wait_until("all notifications", LIMIT, async || Ok(listener.count() >= count))
            .await
            .unwrap();
    };
    let everything = json!({});
    subscribe(&world, &format!("{}/0", listener.url), everything.clone()).await;
    let (few, _) = instantiation(&world, "one").await;
    // The creation, and three states.
    told(4).await;
    for n in 1..300 {
        subscribe(&world, &format!("{}/{n}", listener.url), everything.clone()).await;
    }
    let (many, _) = instantiation(&world, "hundreds").await;
    told(4 + 4 * 300).await;
    let log = world.host.log();
    assert_eq!(few, many, "300 subscribers: {log}");
    assert!(few <= LINES, "{few} lines: {log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");

    for n in 0..50 {
        subscribe(&world, &format!("{}/dead/{n}", listener.url), everything.clone()).await;
    }
    let so_far = listener.count();
    let (with_dead, _) = instantiation(&world, "dead").await;
    told(so_far + 4 * 300).await;
    wait_until("a failure", LIMIT, async || Ok(world.host.log().contains("WARN")))
        .await
        .unwrap();
    let log = world.host.log();
    // One line a minute for all that fail.
    let warned = log.lines().filter(|line| line.contains("WARN")).count();
    assert!((1..=2).contains(&warned), "{warned} warnings: {log}");
    assert!(with_dead <= many + warned, "{with_dead} lines: {log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_fails_says_what_could_not_be_done_why_and_of_what_kind_that_is() {
    let error = json!([{"operation": "create", "nth": 1, "message": "no valid host was found"}]);
    let faults = Faults {
        stack_error: serde_json::from_value(error).unwrap(),
        ..Faults::default()
    };
    let world = World::new(faults).await;
    let id = world.created("failing").await;
    let request = instantiate_request("mock");
    let op_occ = world.client.begin(&id, "instantiate", &request).await.unwrap();
    ends(&world, &op_occ, "FAILED_TEMP").await;
    let told = |line: &str| line.contains("operation failed");
    // It is written after the state can be seen.
    wait_until("the cause", LIMIT, async || Ok(world.host.log().lines().any(told)))
        .await
        .unwrap();
    let log = world.host.log();
    let lines: Vec<&str> = log.lines().filter(|line| told(line)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in [
        "ERROR",
        "error=\"Stack create failed\"",
        "no valid host was found",
        "error.kind=\"vim_status\"",
        &op_occ,
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_for_one_crate_loses_no_line_after_a_call_of_a_connector() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    setup.log = "info,vimhost_engine=debug".to_owned();
    let host = Host::start(&setup).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    let client = VnfLcm::new(&host.vnf_lcm).unwrap();
    let package = SamplePackage::default();
    client.onboard(&package).await.unwrap();
    let id = client.create(&package.vnfd_id, "narrow").await.unwrap();
    let request = instantiate_request("mock");
    client.complete(&id, "instantiate", &request).await.unwrap();
    client.complete(&id, "terminate", &forceful()).await.unwrap();
    let log = host.stop().unwrap();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    // Created, looked at, its resources read, deleted; each call has its answer.
    assert!(count("stack call") >= 3, "{log}");
    assert_eq!(count("stack answer"), count("stack call"), "{log}");
    assert!(count("stack observed") >= 1, "{log}");
}

/// A subscription with credentials; answers the answer.
async fn subscribe_as(client: &VnfLcm, callback: &str, authentication: Value) -> String {
    let body = json!({"callbackUri": callback, "authentication": authentication});
    let path = "/vnflcm/v2/subscriptions";
    client.expect(201, Method::POST, path, Some(&body)).await.unwrap().text
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_clients_are_in_no_log_answer_notification_or_plain_file() {
    const PASSWORD: &str = "canary-vim-password-7710";
    const BASIC: &str = "canary-basic-password-1b52";
    const CLIENT: &str = "canary-client-password-93ae";
    let credentials = Credentials {
        user: "inline".to_owned(),
        password: PASSWORD.to_owned(),
        tenant: "inline".to_owned(),
    };
    let config = Config {
        credentials,
        ..Config::default()
    };
    let vim = Server::start(config).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    setup.log = "info,vimhost=trace,vimhost_api=trace,vimhost_engine=trace,vimhost_notify=trace,vimhost_runtime=trace,\
                 vimhost_store_sqlite=trace,hyper=trace,hyper_util=trace,rustls=trace,wasmtime_wasi_http=trace"
        .to_owned();
    let host = Host::start(&setup).unwrap();
    // Says what may be reached; its user is another one.
    host.add_vim("mock", &vim.url()).await.unwrap();
    let client = VnfLcm::new(&host.vnf_lcm).unwrap();
    let package = SamplePackage::default();
    client.onboard(&package).await.unwrap();
    let listener = Listener::start().await;
    let mut answers = Vec::new();

    let basic = json!({"authType": ["BASIC"], "paramsBasic": {"userName": "user", "password": BASIC}});
    answers.push(subscribe_as(&client, &format!("{}/basic", listener.url), basic).await);
    let token = format!("{}/token", listener.url);
    let oauth = json!({"authType": ["OAUTH2_CLIENT_CREDENTIALS"], "paramsOauth2ClientCredentials":
        {"clientId": "client", "clientPassword": CLIENT, "tokenEndpoint": token}});
    answers.push(subscribe_as(&client, &format!("{}/oauth", listener.url), oauth).await);
    let wrong = json!({"callbackUri": format!("{}/wrong", listener.url),
        "authentication": {"authType": ["NOBODY"], "paramsBasic": {"userName": "user", "password": BASIC}}});
    let path = "/vnflcm/v2/subscriptions";
    answers.push(client.expect(400, Method::POST, path, Some(&wrong)).await.unwrap().text);

    let mut request = instantiate_request("mock");
    request["vimConnectionInfo"] = json!({"vim1": {
        "vimType": "mock",
        "interfaceInfo": {"endpoint": vim.url()},
        "accessInfo": {"username": "inline", "password": PASSWORD, "project": "inline"},
    }});
    let id = client.create(&package.vnfd_id, "canary").await.unwrap();
    client.complete(&id, "instantiate", &request).await.unwrap();
    let modify = json!({"vimConnectionInfo": {"vim1": {"vimType": "mock", "accessInfo": {"password": PASSWORD}}}});
    let instance = format!("/vnflcm/v2/vnf_instances/{id}");
    client
        .expect(202, Method::PATCH, &instance, Some(&modify))
        .await
        .unwrap();
    wait_until("the notifications", LIMIT, async || {
        // The creation, three states of the instantiation, two of the change.
        Ok(listener.told("/basic").len() >= 6 && listener.told("/oauth").len() >= 6)
    })
    .await
    .unwrap();
    for path in [
        path,
        "/vnflcm/v2/vnf_instances?all_fields",
        "/vnflcm/v2/vnf_lcm_op_occs?all_fields",
        &instance,
    ] {
        answers.push(client.expect(200, Method::GET, path, None).await.unwrap().text);
    }
    answers.push(host.admin_ok("GET", "/v1/vims", None).await.unwrap().to_string());
    let notifications: Vec<Value> = [listener.told("/basic"), listener.told("/oauth")].concat();
    answers.extend(notifications.iter().map(Value::to_string));

    // They were used: the VIM let nobody else in, and callbacks were shown them.
    let shown = |path: &str| listener.header(path, "authorization");
    assert_eq!(shown("/oauth"), BTreeSet::from([format!("Bearer {ACCESS_TOKEN}")]));
    let mut secrets = vec![
        PASSWORD.to_owned(),
        BASIC.to_owned(),
        CLIENT.to_owned(),
        ACCESS_TOKEN.to_owned(),
    ];
    for path in ["/basic", "/token"] {
        let header = shown(path).pop_first().unwrap();
        secrets.push(header.strip_prefix("Basic ").unwrap().to_owned());
    }
    let log = host.stop().unwrap();
    assert!(log.contains("DEBUG"), "the log is one with all details");
    for secret in &secrets {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "{secret} in the log");
        let answer = answers.iter().find(|answer| answer.contains(secret.as_str()));
        assert_eq!(answer, None, "{secret} in an answer");
        assert!(!holds(dir.path(), secret), "{secret} in a plain file");
    }
    vim.stop().await.unwrap();
}
