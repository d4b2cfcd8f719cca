//! Watching an action.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod support;

use std::time::Instant;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use support::{Host, PATIENCE, problem, service};
use vimhost_api::{admin, ng_ro};

/// A stream of events, read one at a time.
struct Events {
    answer: Response,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Events {
    async fn open(host: &Host, place: &str, last: Option<&str>) -> Response {
        let mut request = host
            .client
            .get(format!("{}{place}/events", host.admin))
            .timeout(PATIENCE);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        request.send().await.unwrap()
    }

    async fn of(host: &Host, place: &str, last: Option<&str>) -> Self {
        let answer = Self::open(host, place, last).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            text: String::new(),
        }
    }

    /// The next event; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|text| text.trim().to_owned())
                };
                let parsed = field("data:").map(|data| Event {
                    name: field("event:").unwrap_or_default(),
                    id: field("id:").unwrap_or_default(),
                    data: serde_json::from_str(&data).unwrap(),
                });
                self.text = rest.to_owned();
                match parsed {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = self.answer.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// A deploy whose VM is held back by the VIM; answers the action's place.
async fn held(host: &Host) -> String {
    host.add_vim().await;
    host.vim.hold_servers();
    let answer = host
        .admin(Method::PUT, "/v1/network-services/shop")
        .json(&service())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer = host
        .admin(Method::POST, "/v1/network-services/shop/deploy")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

fn done(event: &Event) -> u64 {
    event.data["done"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_is_told_the_state_then_each_change_to_the_end_and_can_resume() {
    let host = Host::start().await;
    let place = held(&host).await;
    let mut events = Events::of(&host, &place, None).await;
    let first = events.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["total"]), ("state", &json!(4)));
    assert_eq!(first.data["tasks"].as_array().unwrap().len(), 4);
    let mut last = first;
    while done(&last) < 3 {
        let change = events.next().await.unwrap();
        assert_eq!(change.name, "change");
        assert_ne!(change.id, last.id);
        assert!(!change.data["tasks"].as_array().unwrap().is_empty());
        last = change;
    }
    // The VM may still move to BUILD; whoever resumes from there is told nothing until something happens.
    drop(events);
    let settled = last_before_hold(&host, &place).await;
    let mut resumed = Events::of(&host, &place, Some(&settled.id)).await;
    let mut stranger = Events::of(&host, &place, Some("unknown")).await;
    assert_eq!(stranger.next().await.unwrap(), settled);
    host.vim.let_one_server_go();
    let mut end = resumed.next().await.unwrap();
    assert_eq!(end.name, "change");
    assert_eq!(end.data["tasks"].as_array().unwrap().len(), 1, "{end:?}");
    while let Some(event) = resumed.next().await {
        end = event;
    }
    assert_eq!(
        (&end.data["status"], done(&end)),
        (&json!("DONE"), 4),
        "the stream ends after the end"
    );
    while stranger.next().await.is_some() {}

    // Who comes late sees the end at once; who has seen it is told to stop.
    let mut late = Events::of(&host, &place, None).await;
    let state = late.next().await.unwrap();
    assert_eq!((state.name.as_str(), state.id.as_str()), ("state", end.id.as_str()));
    assert_eq!(late.next().await, None);
    assert_eq!(
        Events::open(&host, &place, Some(&end.id)).await.status(),
        StatusCode::NO_CONTENT
    );
}

/// The state in which everything but the held VM is done and the VM's call has begun, seen twice: what is kept of the call's beginning may
/// come after it.
async fn last_before_hold(host: &Host, place: &str) -> Event {
    let deadline = Instant::now() + PATIENCE;
    let mut before: Option<Event> = None;
    loop {
        let event = Events::of(host, place, None).await.next().await.unwrap();
        if host.vim.held() == 1 && done(&event) == 3 && before.as_ref() == Some(&event) {
            return event;
        }
        assert!(Instant::now() < deadline, "{event:?}");
        before = Some(event);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_are_bounded_and_end_at_shutdown() {
    let options = admin::Options {
        watchers: 1,
        ..admin::Options::default()
    };
    let mut host = Host::with(options, ng_ro::Options::default()).await;
    let place = held(&host).await;
    let mut events = Events::of(&host, &place, None).await;
    events.next().await.unwrap();
    problem(Events::open(&host, &place, None).await, 503, "unavailable").await;
    let started = Instant::now();
    host.shutdown.cancel();
    while events.next().await.is_some() {}
    for served in std::mem::take(&mut host.served) {
        served.await.unwrap();
    }
    assert!(started.elapsed() < PATIENCE, "it did not wait for its patience to end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgetting_a_service_ends_the_watching_of_its_actions() {
    let host = Host::start().await;
    let place = held(&host).await;
    let mut events = Events::of(&host, &place, None).await;
    events.next().await.unwrap();
    let answer = host.lcm(Method::DELETE, "/ro/ns/v1/deploy/shop").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.name);
    }
    assert_eq!(last.as_deref(), Some("gone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_of_an_account_is_a_stream_that_says_when_it_is_whole() {
    let host = Host::start().await;
    host.add_vim().await;
    let path = format!("/v1/vims/{}/audit", support::VIM);
    let answer = host.admin(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    let data: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(data[0], json!({"kind": "server", "looked_at": 0, "findings": []}));
    assert!(text.ends_with("event: end\ndata: {}\n\n"), "{text}");
    let unknown = host.admin(Method::GET, "/v1/vims/nobody/audit").send().await.unwrap();
    problem(unknown, 404, "not-found").await;
}
