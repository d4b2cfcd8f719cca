//! Probes and plugins.

use reqwest::Method;
use serde_json::json;

use crate::json_of;
use crate::support::Host;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_and_plugins_answer() {
    let host = Host::start().await;
    for probe in ["/livez", "/readyz"] {
        assert_eq!(
            host.admin(Method::GET, probe)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
            "ok\n"
        );
    }
    let plugins = json_of(host.admin(Method::GET, "/v1/plugins"), 200).await;
    assert_eq!(
        (&plugins["items"][0]["file"], &plugins["items"][0]["state"]),
        (&json!("stub.wasm"), &json!("ready"))
    );
}
