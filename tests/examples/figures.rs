//! First figures of a host: POST to DONE, tasks per second, memory. Ratios and aims belong to the benchmark table; this prints
//! what one run on one machine showed.
//!
//! `cargo run --release -p vimhost-tests --example figures -- PATH-TO-VIMHOST PLUGIN-DIR`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measuring program: what fails ends it"
)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

struct Host {
    child: Child,
    admin: String,
    http: reqwest::Client,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Host {
    fn start(binary: &str, plugins: &str, data: &str) -> Self {
        use std::io::BufRead as _;
        let mut child = Command::new(binary)
            .args([
                "serve",
                "--ng-ro-listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--data-dir",
                data,
                "--plugin-dir",
                plugins,
            ])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut admin = String::new();
        for line in std::io::BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap)
        {
            if let Some(url) = line.strip_prefix("admin ") {
                url.clone_into(&mut admin);
            }
            if line == "ready" {
                break;
            }
        }
        Self {
            child,
            admin,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.admin))
            .json(&body);
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Waits for the end of an action by its events.
    async fn follow(&self, name: &str, action: &str) {
        let url = format!("{}/v1/network-services/{name}/actions/{action}/events", self.admin);
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        let last = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("data:"))
            .unwrap_or_default();
        assert!(last.contains("\"DONE\""), "{last}");
    }
}

fn service(name: &str, vms: usize) -> Value {
    json!({"name": name, "vim": "bench", "networks": {"data": {}},
           "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
           "vms": {"vm": {"count": vms, "image": "any", "flavour": "small", "interfaces": [{"network": "data"}]}}})
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (binary, plugins) = (arguments.next().unwrap(), arguments.next().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let begun = Instant::now();
    drop(Host::start(&binary, &plugins, data));
    let cold = begun.elapsed();
    let begun = Instant::now();
    let host = Host::start(&binary, &plugins, data);
    println!(
        "start: {:.0} ms cold (compiles the connector), {:.0} ms warm",
        cold.as_secs_f64() * 1000.0,
        begun.elapsed().as_secs_f64() * 1000.0
    );
    println!("memory idle: {:.1} MiB", host.rss_mib());
    let account = json!({"id": "bench", "name": "bench", "vim_type": "mock", "url": "mock:"});
    host.call("POST", "/v1/vims", account).await;

    let mut times = Vec::new();
    for number in 0..50 {
        let name = format!("one-{number}");
        host.call("PUT", &format!("/v1/network-services/{name}"), service(&name, 1))
            .await;
        let begun = Instant::now();
        let accepted = host
            .call("POST", &format!("/v1/network-services/{name}/deploy"), json!({}))
            .await;
        let action = accepted["action_id"].as_str().unwrap().to_owned();
        // Asked for again and again, since an event stream gathers changes for some milliseconds.
        loop {
            let view = host
                .call(
                    "GET",
                    &format!("/v1/network-services/{name}/actions/{action}"),
                    json!({}),
                )
                .await;
            if view["status"] == "DONE" {
                break;
            }
        }
        times.push(begun.elapsed());
    }
    times.sort();
    println!(
        "POST to DONE, one network, image, flavour and VM on mock:: p50 {:.1} ms, p99 {:.1} ms (aim < 50)",
        percentile(&times, 50),
        percentile(&times, 99)
    );

    for (services, vms) in [(20, 50), (4, 500)] {
        let mut names = Vec::new();
        for number in 0..services {
            let name = format!("many-{vms}-{number}");
            host.call("PUT", &format!("/v1/network-services/{name}"), service(&name, vms))
                .await;
            names.push(name);
        }
        let begun = Instant::now();
        let mut actions = Vec::new();
        for name in &names {
            let accepted = host
                .call("POST", &format!("/v1/network-services/{name}/deploy"), json!({}))
                .await;
            actions.push((name.clone(), accepted["action_id"].as_str().unwrap().to_owned()));
        }
        let accepted = begun.elapsed();
        for (name, action) in &actions {
            host.follow(name, action).await;
        }
        let tasks = services * (vms + 3);
        let elapsed = begun.elapsed();
        println!(
            "{services} services of {vms} VMs: {tasks} tasks to DONE in {:.2} s (accepted in {:.2} s): {:.0} tasks/s (aim 2000)",
            elapsed.as_secs_f64(),
            accepted.as_secs_f64(),
            f64::from(u32::try_from(tasks).unwrap()) / elapsed.as_secs_f64()
        );
    }
    println!("memory after: {:.1} MiB", host.rss_mib());
}
