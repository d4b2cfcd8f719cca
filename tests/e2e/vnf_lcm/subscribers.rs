//! Notifications: who is told, in which order, and what the others cost.

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::wait_until;

use super::listener::{Listener, states, subscribe};
use super::quiet::lines;
use super::{LIMIT, World, log_to_end};

#[tokio::test(flavor = "multi_thread")]
async fn those_who_asked_are_told_in_order_and_nobody_else() {
    let world = World::new(Faults::default()).await;
    let listener = Listener::start().await;
    let vnfd = world.package.vnfd_id.clone();
    let mine = json!({"vnfInstanceSubscriptionFilter": {"vnfdIds": [vnfd]}});
    let others = json!({"vnfInstanceSubscriptionFilter": {"vnfdIds": ["another"]}});
    subscribe(&world, &format!("{}/mine", listener.url), mine).await;
    subscribe(&world, &format!("{}/others", listener.url), others).await;
    let ended =
        json!({"operationStates": ["COMPLETED"], "notificationTypes": ["VnfLcmOperationOccurrenceNotification"]});
    subscribe(&world, &format!("{}/ended", listener.url), ended).await;

    let id = world.instantiated("told").await;
    wait_until("the notifications", LIMIT, async || {
        Ok(listener.told("/mine").len() == 4)
    })
    .await
    .unwrap();
    let mine = listener.told("/mine");
    assert_eq!(states(&mine), ["-", "STARTING", "PROCESSING", "COMPLETED"]);
    assert_eq!(mine[0]["notificationType"], "VnfIdentifierCreationNotification");
    assert_eq!(mine[1]["notificationStatus"], "START");
    assert_eq!(mine[3]["notificationStatus"], "RESULT");
    assert!(mine.iter().all(|notification| notification["vnfInstanceId"] == *id));
    assert!(!mine[3]["affectedVnfcs"].as_array().unwrap().is_empty());
    wait_until("the end", LIMIT, async || Ok(listener.told("/ended").len() == 1))
        .await
        .unwrap();
    assert_eq!(states(&listener.told("/ended")), ["COMPLETED"]);
    assert_eq!(listener.told("/others"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_who_did_not_ask_cost_no_line_in_the_log_and_a_dead_callback_stops_nobody() {
    let world = World::new(Faults::default()).await;
    let listener = Listener::start().await;
    let id = world.created("lines").await;
    let mine = json!({"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": [id]}});
    subscribe(&world, &format!("{}/mine", listener.url), mine.clone()).await;
    let request = vimhost_tests::instantiate_request("mock");
    let before = lines(&world);
    let over = world.client.complete(&id, "instantiate", &request).await.unwrap();
    log_to_end(&world, &over).await;
    wait_until("three notifications", LIMIT, async || {
        Ok(listener.told("/mine").len() == 3)
    })
    .await
    .unwrap();
    let of_one = lines(&world) - before;

    for n in 0..300 {
        let others = json!({"vnfInstanceSubscriptionFilter": {"vnfdIds": [format!("other-{n}")]}});
        subscribe(&world, &format!("{}/other-{n}", listener.url), others).await;
    }
    let before = lines(&world);
    let forceful = json!({"terminationType": "FORCEFUL"});
    let over = world.client.complete(&id, "terminate", &forceful).await.unwrap();
    log_to_end(&world, &over).await;
    wait_until("six notifications", LIMIT, async || {
        Ok(listener.told("/mine").len() == 6)
    })
    .await
    .unwrap();
    let of_many = lines(&world) - before;
    assert!(
        of_many <= of_one + 1,
        "{of_many} lines with 301 subscribers, {of_one} with one:\n{}",
        world.host.log()
    );
    assert_eq!(listener.paths(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_does_not_answer_its_test_is_refused() {
    let world = World::new(Faults::default()).await;
    // Nobody listens there.
    let body = json!({"callbackUri": "http://127.0.0.1:1/nobody"});
    let path = "/vnflcm/v2/subscriptions";
    let refused = world.client.expect(422, Method::POST, path, Some(&body)).await.unwrap();
    assert!(refused.json["detail"].is_string());
    let metadata = json!({"callbackUri": "http://169.254.169.254/latest"});
    world
        .client
        .expect(422, Method::POST, path, Some(&metadata))
        .await
        .unwrap();
    let listed = world.client.expect(200, Method::GET, path, None).await.unwrap();
    assert_eq!(listed.json, json!([]));
}
