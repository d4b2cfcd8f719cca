//! Stacks: made, changed, listed and deleted, with time and with what goes wrong.

use mock_vim::{Faults, Operation, StackError};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Config, Server, id, refused, start};

const TEMPLATE: &str = "
heat_template_version: 2013-05-23
parameters:
  nfv: { type: json }
resources:
  group:
    type: OS::Heat::AutoScalingGroup
    properties:
      min_size: 0
      max_size: 5
      desired_capacity: { get_param: [nfv, desired_capacity] }
      resource: { type: inner.yaml }
  net: { type: OS::Neutron::Net }
";

const INNER: &str = "
heat_template_version: 2013-05-23
resources:
  VDU1: { type: OS::Nova::Server, properties: { name: vdu1 } }
";

fn parameters(capacity: u32) -> Value {
    json!({ "nfv": { "desired_capacity": capacity } })
}

fn body(name: &str) -> Value {
    json!({
        "name": name,
        "token": format!("token-{name}"),
        "template": TEMPLATE,
        "files": { "inner.yaml": INNER },
        "parameters": parameters(2),
    })
}

impl Client {
    async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, answer) = self.send(Method::PATCH, path, Some(body)).await.unwrap();
        (status.as_u16(), answer)
    }

    async fn servers_of(&self, stack: &str) -> Vec<Value> {
        let mut items = self.list(&format!("/v1/stacks/{stack}/resources")).await;
        items.retain(|item| item["type"] == "OS::Nova::Server");
        items
    }
}

fn fails(operation: Operation) -> Faults {
    let error = StackError {
        operation: Some(operation),
        nth: 1.try_into().ok(),
        message: "no valid host".into(),
        ..StackError::default()
    };
    Faults {
        stack_error: vec![error],
        ..Faults::default()
    }
}

#[tokio::test]
async fn a_stack_takes_its_time_to_be_made_and_changed() {
    let (server, client) = start(Faults {
        stack_delay_ms: 60_000,
        ..Faults::default()
    })
    .await;
    let made = client.create("stacks", body("s")).await;
    let path = format!("/v1/stacks/{}", id(&made));
    assert_eq!(client.get(&path).await.1["status"], "CREATE_IN_PROGRESS");
    let resources = client.list(&format!("{path}/resources")).await;
    assert!(
        resources.iter().all(|one| one["status"] == "CREATE_IN_PROGRESS"),
        "{resources:?}"
    );
    // A newer update takes over, and with the delay gone it is done at once.
    server.set_faults(Faults::default()).unwrap();
    let (status, changed) = client
        .patch(&path, json!({ "operation": "op-1", "parameters": parameters(1) }))
        .await;
    assert_eq!((status, &changed["status"]), (202, &json!("UPDATE_IN_PROGRESS")));
    let done = client.until(&path, "UPDATE_COMPLETE").await;
    assert_eq!(
        (&done["operation"], &done["updated_at"]),
        (&json!("op-1"), &changed["updated_at"])
    );
    let resources = client.list(&format!("{path}/resources")).await;
    assert_eq!(resources.len(), 4, "{resources:?}");
    assert!(
        resources.iter().all(|one| one["status"] != "CREATE_IN_PROGRESS"),
        "{resources:?}"
    );
    assert_eq!(server.requests().of("PATCH stacks update 202"), 1);
    assert_eq!(server.requests().of("GET stacks resources 200"), 2);
}

#[tokio::test]
async fn the_resources_of_a_stack_and_of_those_nested_in_it_are_listed() {
    let (_server, client) = start(Faults::default()).await;
    let stack = id(&client.create("stacks", body("s")).await);
    let names = |items: Vec<Value>| {
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let path = format!("/v1/stacks/{stack}/resources");
    assert_eq!(names(client.list(&format!("{path}?depth=0")).await), ["group", "net"]);
    assert_eq!(client.list(&format!("{path}?depth=1")).await.len(), 4);
    let servers = client.servers_of("s").await;
    assert_eq!(servers.len(), 2);
    let nested = servers[0]["stack"]["id"].as_str().unwrap();
    assert_eq!(
        names(client.list(&format!("/v1/stacks/{nested}/resources")).await),
        ["VDU1"]
    );
    refused(client.get("/v1/stacks/none/resources").await, 404, "not-found");
    let (_, content) = client.get(&format!("/v1/stacks/{stack}/content")).await;
    assert_eq!(
        (&content["template"], &content["parameters"]),
        (&json!(TEMPLATE), &parameters(2))
    );
    let (_, inventory) = client.get("/admin/inventory").await;
    assert_eq!(inventory["stack-resources"][&stack].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_marked_server_is_replaced_by_the_next_update() {
    let (_server, client) = start(Faults::default()).await;
    let stack = id(&client.create("stacks", body("s")).await);
    let before = client.servers_of(&stack).await;
    let nested = before[0]["stack"]["id"].as_str().unwrap();
    let mark = json!({ "mark_unhealthy": true, "reason": "heal" });
    let marked = client
        .patch(&format!("/v1/stacks/{nested}/resources/VDU1"), mark.clone())
        .await;
    assert_eq!(marked.0, 204);
    assert_eq!(
        client
            .patch(&format!("/v1/stacks/{nested}/resources/VDU9"), mark)
            .await
            .0,
        404
    );
    assert_eq!(client.servers_of(&stack).await[0]["status"], "CHECK_FAILED");
    client.patch(&format!("/v1/stacks/{stack}"), json!({})).await;
    let after = client.servers_of(&stack).await;
    assert_ne!(after[0]["physical_id"], before[0]["physical_id"]);
    assert_eq!(after[1]["physical_id"], before[1]["physical_id"]);
}

#[tokio::test]
async fn a_deleted_stack_is_shown_by_its_id_and_gone_by_its_name() {
    let (server, client) = start(Faults {
        stack_delete_delay_ms: 20,
        stack_purge_delay_ms: 40,
        ..Faults::default()
    })
    .await;
    let stack = id(&client.create("stacks", body("s")).await);
    assert_eq!(client.get("/v1/stacks/s").await.1["id"], json!(stack));
    let path = format!("/v1/stacks/{stack}");
    assert_eq!(client.delete(&path).await.0, 202);
    client.until(&path, "DELETE_COMPLETE").await;
    refused(client.get("/v1/stacks/s").await, 404, "not-found");
    refused(client.delete(&path).await, 404, "not-found");
    // The name is free once the stack is purged.
    let begin = std::time::Instant::now();
    while !client.list("/v1/stacks?name=s").await.is_empty() {
        assert!(begin.elapsed() < super::DEADLINE, "the deleted stack keeps its name");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let second = id(&client.create("stacks", body("s")).await);
    assert_ne!(second, stack);
    assert_eq!(client.get(&path).await.1["status"], "DELETE_COMPLETE");
    let (_, changes) = client.get("/v1/changes?kind=stacks&since=1").await;
    assert_eq!(changes["deleted"][0]["id"], json!(stack));
    server.set_faults(Faults::default()).unwrap();
    assert_eq!(client.delete("/v1/stacks/s").await.0, 204);
    assert!(server.inventory().stacks.is_empty() && server.inventory().stack_resources.is_empty());
}

#[tokio::test]
async fn what_stacks_are_in_the_middle_of_is_over_when_a_test_says_so() {
    let (server, client) = start(Faults {
        stack_delay_ms: 60_000,
        stack_delete_delay_ms: 60_000,
        ..Faults::default()
    })
    .await;
    let path = format!("/v1/stacks/{}", id(&client.create("stacks", body("s")).await));
    assert_eq!(client.get(&path).await.1["status"], "CREATE_IN_PROGRESS");
    server.hurry();
    assert_eq!(client.get(&path).await.1["status"], "CREATE_COMPLETE");
    assert_eq!(client.delete(&path).await.0, 202);
    assert_eq!(client.get(&path).await.1["status"], "DELETE_IN_PROGRESS");
    server.hurry();
    assert!(server.inventory().stacks.is_empty(), "it is deleted and purged");
}

#[tokio::test]
async fn a_name_is_taken_also_by_a_stack_not_yet_purged() {
    let (_server, client) = start(Faults {
        stack_purge_delay_ms: 60_000,
        ..Faults::default()
    })
    .await;
    let stack = id(&client.create("stacks", body("s")).await);
    refused(client.post("/v1/stacks", body("s")).await, 409, "conflict");
    assert_eq!(client.delete(&format!("/v1/stacks/{stack}")).await.0, 204);
    refused(client.post("/v1/stacks", body("s")).await, 409, "conflict");
}

#[tokio::test]
async fn stacks_fail_with_a_reason_and_can_be_mended() {
    let (server, client) = start(fails(Operation::Create)).await;
    let stack = id(&client.create("stacks", body("s")).await);
    let path = format!("/v1/stacks/{stack}");
    let failed = client.until(&path, "CREATE_FAILED").await;
    assert_eq!(
        failed["reason"],
        "Resource CREATE failed: ResourceInError: no valid host"
    );
    let before = client.servers_of(&stack).await;
    assert_eq!(
        (&before[0]["status"], &before[0]["reason"]),
        (&json!("CREATE_FAILED"), &json!("no valid host"))
    );

    client.patch(&path, json!({})).await;
    client.until(&path, "UPDATE_COMPLETE").await;
    assert_ne!(
        client.servers_of(&stack).await[0]["physical_id"],
        before[0]["physical_id"]
    );

    server.set_faults(fails(Operation::Update)).unwrap();
    client.patch(&path, json!({ "parameters": parameters(3) })).await;
    client.until(&path, "UPDATE_FAILED").await;

    server.set_faults(fails(Operation::Delete)).unwrap();
    assert_eq!(client.delete(&path).await.0, 202);
    client.until(&path, "DELETE_FAILED").await;
    assert_eq!(client.patch(&path, json!({})).await.0, 409);
    assert_eq!(client.delete(&path).await.0, 204);
}

#[tokio::test]
async fn a_failed_change_with_rollback_leaves_what_was_there() {
    let (server, client) = start(Faults::default()).await;
    let stack = id(&client.create("stacks", body("s")).await);
    let path = format!("/v1/stacks/{stack}");
    let before = client.servers_of(&stack).await;
    server.set_faults(fails(Operation::Update)).unwrap();
    let change = json!({ "parameters": parameters(4), "rollback_on_failure": true });
    client.patch(&path, change).await;
    client.until(&path, "ROLLBACK_COMPLETE").await;
    assert_eq!(client.servers_of(&stack).await, before);
    let (_, content) = client.get(&format!("{path}/content")).await;
    assert_eq!(content["parameters"], parameters(2));
}

#[tokio::test]
async fn what_heat_would_not_understand_is_refused_in_its_words() {
    let (_server, client) = start(Faults::default()).await;
    let mut unknown = body("s");
    unknown["parameters"]["other"] = json!(1);
    let (status, answer) = client.post("/v1/stacks", unknown).await;
    assert_eq!(status, 400);
    assert_eq!(
        answer["error"]["message"],
        "The Parameter (other) was not defined in template."
    );
    assert!(client.list("/v1/stacks").await.is_empty());
    let stack = id(&client.create("stacks", body("s")).await);
    let path = format!("/v1/stacks/{stack}");
    refused(client.put(&path, json!({ "parameters": {} })).await, 400, "bad-request");
    assert_eq!(client.until(&path, "CREATE_COMPLETE").await["operation"], Value::Null);
}

#[tokio::test]
async fn stacks_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let config = || Config {
        state_file: Some(directory.path().join("state.json")),
        ..Config::default()
    };
    let server = Server::start(config()).await.unwrap();
    let client = Client::log_in(&server).await;
    let gone = id(&client.create("stacks", body("gone")).await);
    client.delete(&format!("/v1/stacks/{gone}")).await;
    let stack = id(&client.create("stacks", body("s")).await);
    client.until(&format!("/v1/stacks/{stack}"), "CREATE_COMPLETE").await;
    let before = server.inventory();
    server.stop().await.unwrap();

    let server = Server::start(config()).await.unwrap();
    let client = Client {
        url: server.url(),
        ..client
    };
    let after = server.inventory();
    assert_eq!(
        (after.stacks, after.stack_resources),
        (before.stacks, before.stack_resources)
    );
    assert_eq!(
        client.get(&format!("/v1/stacks/{gone}")).await.1["status"],
        "DELETE_COMPLETE"
    );
    let path = format!("/v1/stacks/{stack}");
    assert_eq!(client.patch(&path, json!({ "parameters": parameters(3) })).await.0, 202);
    assert_eq!(client.servers_of(&stack).await.len(), 3);
    server.stop().await.unwrap();
}
