//! Deliveries against listeners of this process.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vimhost_model::vnf::{ApiVersion, EventKind, LcmEvent, Subscription, VnfInstance, VnfLcmOpOcc};
use vimhost_model::{SubscriptionId, Timestamp, VnfInstanceId};
use vimhost_notify::{Error, Notifier, NotifyOptions};
use vimhost_store::seal::{KeyRing, SealKey};
use vimhost_store::{Delivery, Store};
use vimhost_store_sqlite::{Options, SqliteStore};

/// How long what is to happen may take: only so that a test that fails does not hang. A disk may take seconds for each of a dozen writes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any test: an answer that is late is no failure, and a callback that never answers holds what it holds to the end.
const NEVER: Duration = Duration::from_secs(600);

/// A request as it was heard: its first line, its head in lower case, its body.
#[derive(Debug, Clone)]
struct Heard {
    line: String,
    head: String,
    body: String,
}

/// Answers each request with a line of status, chosen by its number and what it was; none: never answers.
struct Listener {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

type Answers = dyn Fn(usize, &Heard) -> Option<String> + Send + Sync;

impl Listener {
    async fn start(answers: impl Fn(usize, &Heard) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let answers: Arc<Answers> = Arc::new(answers);
        let log = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&log), Arc::clone(&answers)));
            }
        });
        Self { url, heard }
    }

    fn heard(&self, method: &str) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .filter(|heard| heard.line.starts_with(method))
            .cloned()
            .collect()
    }

    /// What was notified, once it is so much.
    async fn notified(&self, count: usize) -> Vec<Value> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let posts = self.heard("POST /notify");
            if posts.len() >= count {
                return posts
                    .iter()
                    .map(|post| serde_json::from_str(&post.body).unwrap())
                    .collect();
            }
            assert!(tokio::time::Instant::now() < deadline, "{posts:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn converse(mut stream: TcpStream, log: Arc<Mutex<Vec<Heard>>>, answers: Arc<Answers>) {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    let (head, mut body) = loop {
        let Ok(length @ 1..) = stream.read(&mut piece).await else {
            return;
        };
        read.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            break (head.to_owned(), body.to_owned());
        }
    };
    let lower = head.to_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse::<usize>().unwrap());
    while body.len() < length {
        let Ok(length @ 1..) = stream.read(&mut piece).await else {
            return;
        };
        body.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    let heard = Heard {
        line: head.lines().next().unwrap_or_default().to_owned(),
        head: lower,
        body,
    };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(heard.clone());
        log.len() - 1
    };
    match answers(number, &heard) {
        Some(answer) => {
            let text = format!("HTTP/1.1 {answer}");
            let _gone = stream.write_all(text.as_bytes()).await;
        }
        None => std::future::pending().await,
    }
}

fn answer(status: &str) -> Option<String> {
    Some(format!("{status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"))
}

fn no_content(_: usize, _: &Heard) -> Option<String> {
    Some("204 No Content\r\nconnection: close\r\n\r\n".to_owned())
}

struct House {
    _dir: TempDir,
    store: Arc<dyn Store>,
    keys: Arc<KeyRing>,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap();
        Self {
            _dir: dir,
            store: Arc::new(store),
            keys: Arc::new(KeyRing::new(SealKey::from_bytes([7; 32]))),
        }
    }

    async fn notifier(&self, options: NotifyOptions) -> Arc<Notifier> {
        Notifier::start(Arc::clone(&self.store), Arc::clone(&self.keys), options).await
    }

    /// An instance is made.
    async fn happen(&self, name: &str) {
        self.happens(name, EventKind::IdentifierCreation).await;
    }

    /// An instance is made, and something is told of it.
    async fn happens(&self, name: &str, what: EventKind) {
        let id: VnfInstanceId = name.parse().unwrap();
        let instance: VnfInstance = serde_json::from_value(json!({
            "id": name, "vnfdId": "vnfd", "vnfProvider": "p", "vnfProductName": "q", "vnfSoftwareVersion": "1",
            "vnfdVersion": "1", "instantiationState": "NOT_INSTANTIATED", "_vimhost": {"package": "package"},
        }))
        .unwrap();
        let event = LcmEvent {
            at: now(),
            vnf_instance_id: id,
            vnf_instance_name: None,
            vnfd_id: instance.vnfd_id.clone(),
            vnf_provider: "p".to_owned(),
            vnf_product_name: "q".to_owned(),
            vnf_software_version: "1".to_owned(),
            vnfd_version: "1".to_owned(),
            what,
        };
        self.store.add_vnf_instance(&instance, &[event]).await.unwrap();
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

fn local() -> NotifyOptions {
    NotifyOptions {
        loopback: true,
        test_limit: NEVER,
        send_limit: NEVER,
        ..NotifyOptions::default()
    }
}

async fn subscribe(notifier: &Notifier, url: &str, more: Value) -> Result<(), Error> {
    let mut request = json!({"callbackUri": url});
    if let (Value::Object(request), Value::Object(more)) = (&mut request, more) {
        request.extend(more);
    }
    let request = serde_json::from_value(request).unwrap();
    notifier.subscribe(request, ApiVersion::V2).await.map(|_| ())
}

fn instances(told: &[Value]) -> Vec<&str> {
    told.iter()
        .map(|told| told["vnfInstanceId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn notifications_come_in_order_and_a_failed_one_is_sent_again_before_the_next() {
    let house = House::new();
    let notifier = house.notifier(local()).await;
    // The test, then a failure, a redirect that is not followed, and what works.
    let listener = Listener::start(|number, heard| match number {
        1 => answer("500 Internal Server Error"),
        2 => Some(
            "307 Temporary Redirect\r\nlocation: /elsewhere\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
        ),
        _ => no_content(number, heard),
    })
    .await;
    subscribe(&notifier, &listener.url, json!({})).await.unwrap();
    assert!(listener.heard("GET /notify")[0].head.contains("version: 2.0.0"));
    for name in ["a", "b", "c"] {
        house.happen(name).await;
    }
    let told = listener.notified(5).await;
    assert_eq!(instances(&told), ["a", "a", "a", "b", "c"]);
    assert_eq!((&told[0]["id"], &told[1]["id"]), (&told[1]["id"], &told[2]["id"]));
    assert_ne!(told[2]["id"], told[3]["id"]);
    assert!(listener.heard("POST /elsewhere").is_empty());
    notifier.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_no_other_one() {
    let house = House::new();
    let notifier = house.notifier(local()).await;
    let listener = Listener::start(no_content).await;
    subscribe(&notifier, &listener.url, json!({})).await.unwrap();
    // A year of five digits is written and not read again.
    let mut occurrence: VnfLcmOpOcc = serde_json::from_value(json!({
        "id": "op", "operationState": "STARTING", "stateEnteredTime": "2024-01-01T00:00:00Z",
        "startTime": "2024-01-01T00:00:00Z", "vnfInstanceId": "a", "operation": "INSTANTIATE",
        "isAutomaticInvocation": false, "isCancelPending": false, "_vimhost": {},
    }))
    .unwrap();
    occurrence.start_time = Timestamp(1_000_000_000_000_000);
    let op_occ = Box::new(occurrence);
    house.happens("a", EventKind::OperationOccurrence { op_occ }).await;
    house.happen("b").await;
    assert_eq!(instances(&listener.notified(1).await), ["b"]);
    assert_eq!(house.store.pending_events(10).await.unwrap(), []);
    notifier.stop(PATIENCE).await;
}

/// So deep that it is written and not read again.
fn too_deep() -> Value {
    (0..200).fold(json!(1), |inner, _| Value::Array(vec![inner]))
}

#[tokio::test]
async fn a_subscription_or_a_notification_that_cannot_be_read_stops_no_other_one_and_stays() {
    let house = House::new();
    let listener = Listener::start(no_content).await;
    let subscriber = {
        let notifier = house.notifier(local()).await;
        subscribe(&notifier, &listener.url, json!({})).await.unwrap();
        let subscriber = notifier.subscriptions(None, 10).await.unwrap().entries.remove(0);
        notifier.stop(PATIENCE).await;
        subscriber
    };
    let unreadable = Subscription {
        id: "unreadable".parse().unwrap(),
        authentication: too_deep(),
        ..subscriber.clone()
    };
    house.store.add_subscription(&unreadable).await.unwrap();
    // What both of them were to be told.
    house.happen("a").await;
    let pending = house.store.pending_events(1).await.unwrap();
    let delivery = |subscription: &SubscriptionId, body: Value| Delivery {
        subscription: subscription.clone(),
        number: pending[0].number.clone(),
        body: Arc::new(body),
        attempt: 0,
        due_at: Timestamp(0),
    };
    let both = vec![
        delivery(&subscriber.id, too_deep()),
        delivery(&unreadable.id, json!({})),
    ];
    let decided = vec![(pending[0].number.clone(), both)];
    house.store.hand_out(decided).await.unwrap();
    house.happen("b").await;

    let notifier = house.notifier(local()).await;
    assert_eq!(instances(&listener.notified(1).await), ["b"]);
    house.happen("c").await;
    assert_eq!(instances(&listener.notified(2).await), ["b", "c"]);
    notifier.stop(PATIENCE).await;
    let page = house.store.subscriptions(None, 10).await.unwrap();
    assert_eq!((page.entries.len(), page.unreadable.len()), (1, 1));
    let left = house.store.deliveries(&subscriber.id, None, 10).await.unwrap();
    assert!(matches!(left.as_slice(), [Err(_)]), "{left:?}");
    let left = house.store.deliveries(&unreadable.id, None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn a_callback_that_hangs_delays_nobody_else() {
    let house = House::new();
    let options = NotifyOptions {
        test_notification: false,
        concurrency: 4,
        ..local()
    };
    let notifier = house.notifier(options).await;
    let hanging = Listener::start(|_, _| None).await;
    let listener = Listener::start(no_content).await;
    for url in [&hanging.url, &listener.url] {
        subscribe(&notifier, url, json!({})).await.unwrap();
    }
    for name in ["a", "b", "c"] {
        house.happen(name).await;
    }
    assert_eq!(instances(&listener.notified(3).await), ["a", "b", "c"]);
    assert_eq!(hanging.notified(1).await.len(), 1);
    // What hangs is not waited for.
    notifier.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn what_was_not_sent_is_sent_after_a_restart() {
    let house = House::new();
    let listener = Listener::start(no_content).await;
    let notifier = house.notifier(local()).await;
    subscribe(&notifier, &listener.url, json!({})).await.unwrap();
    notifier.stop(PATIENCE).await;
    house.happen("a").await;
    assert!(listener.heard("POST").is_empty());
    let notifier = house.notifier(local()).await;
    assert_eq!(instances(&listener.notified(1).await), ["a"]);
    notifier.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_callback_that_does_not_pass_its_test_is_not_subscribed() {
    let house = House::new();
    let notifier = house.notifier(local()).await;
    let refusing = Listener::start(|_, _| answer("200 OK")).await;
    let metadata = "http://169.254.169.254/latest".to_owned();
    let closed = "http://127.0.0.1:1/".to_owned();
    for (url, reason) in [
        (&refusing.url, "answered 200"),
        (&metadata, "never dialled"),
        (&closed, "does not accept connections"),
    ] {
        let Err(Error::Unprocessable(text)) = subscribe(&notifier, url, json!({})).await else {
            panic!("{url}")
        };
        assert!(text.contains(reason), "{text}");
    }
    assert_eq!(notifier.subscriptions(None, 10).await.unwrap().entries, []);
    notifier.stop(PATIENCE).await;
    let closed = house.notifier(NotifyOptions::default()).await;
    let refused = subscribe(&closed, &refusing.url, json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("no callback may be"), "{refused}");
    closed.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_callback_that_closes_a_connection_without_an_answer_is_asked_once_more() {
    let house = House::new();
    let notifier = house.notifier(local()).await;
    // As of one that was kept, and closed while it was asked again.
    let listener = Listener::start(|number, heard| match number {
        0 => Some(String::new()),
        _ => no_content(number, heard),
    })
    .await;
    subscribe(&notifier, &listener.url, json!({})).await.unwrap();
    assert_eq!(listener.heard("GET /notify").len(), 2);
    notifier.stop(PATIENCE).await;
}

#[tokio::test]
async fn there_are_not_more_subscriptions_than_the_host_keeps() {
    let house = House::new();
    let options = NotifyOptions {
        most_subscriptions: 2,
        ..local()
    };
    let notifier = house.notifier(options).await;
    let listener = Listener::start(no_content).await;
    for _ in 0..2 {
        subscribe(&notifier, &listener.url, json!({})).await.unwrap();
    }
    let Err(Error::Unprocessable(text)) = subscribe(&notifier, &listener.url, json!({})).await else {
        panic!("three")
    };
    assert!(text.contains("there are 2 subscriptions"), "{text}");
    assert_eq!(listener.heard("GET").len(), 2, "nobody is asked in vain");
    let kept = notifier.subscriptions(None, 10).await.unwrap().entries;
    notifier.unsubscribe(&kept[0].id, ApiVersion::V2).await.unwrap();
    subscribe(&notifier, &listener.url, json!({})).await.unwrap();
    notifier.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_token_is_kept_and_renewed_when_it_is_refused() {
    let house = House::new();
    let notifier = house.notifier(local()).await;
    // Tokens are numbered by request; the callback takes the first one's back after two requests of its own.
    let listener = Listener::start(|number, heard| {
        if heard.line.starts_with("POST /token") {
            assert_eq!(heard.body, "grant_type=client_credentials");
            assert!(heard.head.contains("authorization: basic"));
            let body = json!({"access_token": format!("t{number}"), "expires_in": 3600}).to_string();
            let length = body.len();
            return Some(format!(
                "200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            ));
        }
        if heard.head.contains("bearer t0") && number > 2 {
            answer("401 Unauthorized")
        } else {
            no_content(number, heard)
        }
    })
    .await;
    let endpoint = listener.url.replace("/notify", "/token");
    let params = json!({"clientId": "id", "clientPassword": "canary", "tokenEndpoint": endpoint});
    let authentication = json!({"authType": ["OAUTH2_CLIENT_CREDENTIALS"], "paramsOauth2ClientCredentials": params});
    subscribe(&notifier, &listener.url, json!({ "authentication": authentication }))
        .await
        .unwrap();
    // Token, test.
    house.happen("a").await;
    listener.notified(1).await;
    assert_eq!(listener.heard("POST /token").len(), 1);
    house.happen("b").await;
    let told = listener.notified(3).await;
    assert_eq!(instances(&told), ["a", "b", "b"]);
    assert_eq!(listener.heard("POST /token").len(), 2);
    let kept = notifier.subscriptions(None, 10).await.unwrap().entries;
    assert!(!format!("{kept:?}").contains("canary"));
    assert!(!notifier.view(&kept[0]).to_string().contains("authentication"));
    notifier.stop(PATIENCE).await;
}
