//! The state over restarts, orderly and other.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mock_vim::{Config, Error, Faults, Server, StateFileError};
use serde_json::json;

use super::{Client, DEADLINE, id, refused};

/// Tells the child process of the kill test where its state is.
const STATE_OF_CHILD: &str = "MOCK_VIM_TEST_STATE";

/// How many answers are out when it is killed.
const ANSWERS: usize = 50;

fn config(file: &Path) -> Config {
    Config {
        state_file: Some(file.to_owned()),
        ..Config::default()
    }
}

#[tokio::test]
async fn elements_tokens_and_sequence_numbers_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    let server = Server::start(Config {
        faults: Faults {
            build_delay_ms: 50,
            ..Faults::default()
        },
        ..config(&file)
    })
    .await
    .unwrap();
    let client = Client::log_in(&server).await;
    let network = client.create("networks", json!({"name": "n", "token": "t"})).await;
    let doomed = id(&client.create("groups", json!({"type": "affinity"})).await);
    client.delete(&format!("/v1/groups/{doomed}")).await;
    let building = id(&client.create("servers", client.server_body("s").await).await);
    let before = server.inventory();
    server.stop().await.unwrap();

    let server = Server::start(config(&file)).await.unwrap();
    let client = Client {
        url: server.url(),
        ..client
    };
    assert_eq!(
        client.list("/v1/networks?token=t").await,
        [network],
        "with the token of before"
    );
    client.until(&format!("/v1/servers/{building}"), "ACTIVE").await;
    let (_, gone) = client.get("/v1/changes?kind=groups&since=1").await;
    assert_eq!(gone["deleted"][0]["id"], json!(doomed));
    let after = server.inventory();
    assert_eq!((after.networks, after.images), (before.networks, before.images));
    client.create("networks", json!({"name": "n"})).await;
    // After a change that is surely of this life; the server may have been ACTIVE when the other one was looked at.
    assert!(server.inventory().seq > before.seq);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_means_that_the_file_holds_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    let server = Server::start(config(&file)).await.unwrap();
    let client = Client::log_in(&server).await;
    for n in 0..20 {
        let token = format!("token-{n}");
        client
            .create("groups", json!({"type": "affinity", "token": token}))
            .await;
        assert!(std::fs::read_to_string(&file).unwrap().contains(&token));
    }
    server.abort().await.unwrap();
    let server = Server::start(config(&file)).await.unwrap();
    assert_eq!(server.inventory().groups.len(), 20);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_fails_the_request_and_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("inside");
    let error = Server::start(config(&inside.join("state.json"))).await.unwrap_err();
    assert!(
        matches!(error, Error::StateFile(StateFileError::Read { .. })),
        "{error}"
    );
    std::fs::create_dir(&inside).unwrap();
    let server = Server::start(config(&inside.join("state.json"))).await.unwrap();
    let client = Client::log_in(&server).await;
    std::fs::remove_dir_all(&inside).unwrap();
    refused(client.post("/v1/networks", json!({"name": "n"})).await, 500, "internal");
    refused(client.get("/v1/networks").await, 500, "internal");
    std::fs::create_dir(&inside).unwrap();
    assert_eq!(client.list("/v1/networks?name=n").await.len(), 1);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    std::fs::write(&file, "{}").unwrap();
    let error = Server::start(config(&file)).await.unwrap_err();
    assert!(
        matches!(error, Error::StateFile(StateFileError::Content { .. })),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
    let error = Server::start(config(directory.path())).await.unwrap_err();
    assert!(
        matches!(error, Error::StateFile(StateFileError::Read { .. })),
        "{error}"
    );
}

/// Not a test: the process that the next one kills.
#[tokio::test]
#[ignore = "started by a_killed_process_has_lost_nothing_it_answered"]
async fn child_that_serves_until_killed() {
    let Ok(file) = std::env::var(STATE_OF_CHILD) else {
        return;
    };
    let server = Server::start(config(&PathBuf::from(file))).await.unwrap();
    println!("serving at {}", server.url());
    // The parent kills this process long before; should the parent have died, it ends by itself.
    tokio::time::sleep(DEADLINE * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_has_lost_nothing_it_answered() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "persistence::child_that_serves_until_killed",
            ])
            .env(STATE_OF_CHILD, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once("serving at ").map(|(_, url)| url.to_owned()))
            .expect("the child says where it serves");
        let http = reqwest::Client::new();
        let body = json!({"user": "mock", "password": "mock", "tenant": "mock"});
        let answer = http.post(format!("{url}/v1/session")).json(&body).send().await.unwrap();
        let token = answer.headers()["x-mock-token"].to_str().unwrap().to_owned();

        let answered = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let client = Client {
                    http: http.clone(),
                    url: url.clone(),
                    token: token.clone(),
                };
                let answered = Arc::clone(&answered);
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    let body = json!({"type": "affinity"});
                    while let Ok((status, created)) = client
                        .send(reqwest::Method::POST, "/v1/groups", Some(body.clone()))
                        .await
                    {
                        assert_eq!(status, 201);
                        acknowledged.push(id(&created));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    acknowledged
                })
            })
            .collect();
        // Killed in the middle of writing: as soon as a good number of this round's answers is out. How many groups there are tells
        // nothing of it: a round before may have made more than it had to.
        let start = Instant::now();
        while answered.load(Ordering::Relaxed) < ANSWERS {
            assert!(start.elapsed() < DEADLINE, "the writers do not get on");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        assert!(acknowledged.len() >= ANSWERS);

        let server = Server::start(config(&file)).await.unwrap();
        let kept = server.inventory();
        for id in acknowledged {
            assert!(
                kept.groups.iter().any(|group| group.meta.id == id),
                "{id} was answered and is lost"
            );
        }
        server.stop().await.unwrap();
    }
}
