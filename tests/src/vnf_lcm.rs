//! A SOL003 client for tests: headers as Tacker's client sends them, answers as they are.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::SamplePackage;

/// How long anything may take here. It is there for what hangs: machines are slow, and their disks slower.
const LIMIT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// `Location`.
    pub location: Option<String>,
    /// `Link`.
    pub link: Option<String>,
    /// `Version`.
    pub version: Option<String>,
    /// The body as it is.
    pub text: String,
    /// The body as JSON; null when it is empty or none.
    pub json: Value,
}

/// A client of one host.
#[derive(Debug, Clone)]
pub struct VnfLcm {
    /// `http://127.0.0.1:<port>`
    pub base: String,
    http: reqwest::Client,
}

impl VnfLcm {
    /// A client of a listener.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        Ok(Self {
            base: base.to_owned(),
            http: reqwest::Client::builder()
                .no_proxy()
                .pool_idle_timeout(crate::host::KEPT)
                .build()?,
        })
    }

    /// A request to a path below the base.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .header("Version", "2.0.0")
            .header("Accept", "application/json");
        if let Some(body) = body {
            let kind = if method == Method::PATCH && path.starts_with("/vnflcm") {
                "application/merge-patch+json"
            } else {
                "application/json"
            };
            request = request.header("Content-Type", kind).body(body.to_string());
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("no answer to {method} {path}"))?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (location, link, version) = (header("location"), header("link"), header("version"));
        let status = response.status().as_u16();
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer {
            status,
            location,
            link,
            version,
            text,
            json,
        })
    }

    /// A request that has to be answered by a status.
    ///
    /// # Errors
    /// When it is not.
    pub async fn expect(
        &self,
        status: u16,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let answer = self.ask(method.clone(), path, body).await?;
        if answer.status == status {
            Ok(answer)
        } else {
            bail!(
                "{method} {path} answered {} instead of {status}: {}",
                answer.status,
                answer.text
            )
        }
    }

    /// Uploads and enables a package; answers its id.
    ///
    /// # Errors
    /// When it is refused, or not onboarded in time.
    pub async fn onboard(&self, package: &SamplePackage) -> anyhow::Result<String> {
        let path = "/vnfpkgm/v1/vnf_packages";
        let made = self.expect(201, Method::POST, path, Some(&json!({}))).await?;
        let id = text_of(&made.json, "id")?;
        let content = format!("{}{path}/{id}/package_content", self.base);
        let upload = self
            .http
            .put(content)
            .header("Content-Type", "application/zip")
            .header("Accept", "application/json")
            .body(package.archive()?);
        let answer = upload.send().await?;
        if answer.status() != 202 {
            bail!("upload answered {}: {}", answer.status(), answer.text().await?);
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            let shown = self.expect(200, Method::GET, &format!("{path}/{id}"), None).await?.json;
            match shown.get("onboardingState").and_then(Value::as_str) {
                Some("ONBOARDED") => return Ok(id),
                Some("UPLOADING" | "PROCESSING") if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                _ => bail!("the package was not onboarded: {shown:#}"),
            }
        }
    }

    /// Creates an instance; answers its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create(&self, vnfd_id: &str, name: &str) -> anyhow::Result<String> {
        let body = json!({"vnfdId": vnfd_id, "vnfInstanceName": name});
        let made = self
            .expect(201, Method::POST, "/vnflcm/v2/vnf_instances", Some(&body))
            .await?;
        text_of(&made.json, "id")
    }

    /// An instance.
    ///
    /// # Errors
    /// When there is none.
    pub async fn instance(&self, id: &str) -> anyhow::Result<Value> {
        let path = format!("/vnflcm/v2/vnf_instances/{id}");
        Ok(self.expect(200, Method::GET, &path, None).await?.json)
    }

    /// Begins an operation; answers the id of its occurrence.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn begin(&self, id: &str, operation: &str, body: &Value) -> anyhow::Result<String> {
        let path = format!("/vnflcm/v2/vnf_instances/{id}/{operation}");
        let accepted = self.expect(202, Method::POST, &path, Some(body)).await?;
        if !accepted.text.is_empty() {
            bail!("{operation} answered a body: {}", accepted.text);
        }
        let location = accepted.location.context("no Location")?;
        Ok(location.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// An occurrence.
    ///
    /// # Errors
    /// When there is none.
    pub async fn op_occ(&self, id: &str) -> anyhow::Result<Value> {
        let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{id}");
        Ok(self.expect(200, Method::GET, &path, None).await?.json)
    }

    /// Whether an occurrence runs: it is neither over nor waits for its client.
    ///
    /// # Errors
    /// When there is none.
    pub async fn is_running(&self, id: &str) -> anyhow::Result<bool> {
        Ok(runs(state_of(&self.op_occ(id).await?)))
    }

    /// Waits until an occurrence runs no more; answers it.
    ///
    /// # Errors
    /// When it goes on for too long.
    pub async fn settled(&self, id: &str, limit: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let shown = self.op_occ(id).await?;
            let state = state_of(&shown);
            if !runs(state) {
                return Ok(shown);
            }
            if Instant::now() > deadline {
                bail!("operation {id} is still {state} after {limit:?}: {shown:#}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Does an operation to its end, which has to be COMPLETED; answers the occurrence.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn complete(&self, id: &str, operation: &str, body: &Value) -> anyhow::Result<Value> {
        let op_occ = self.begin(id, operation, body).await?;
        let shown = self.settled(&op_occ, LIMIT).await?;
        if state_of(&shown) == "COMPLETED" {
            Ok(shown)
        } else {
            bail!("{operation} ended otherwise: {shown:#}")
        }
    }
}

fn state_of(op_occ: &Value) -> &str {
    op_occ.get("operationState").and_then(Value::as_str).unwrap_or_default()
}

fn runs(state: &str) -> bool {
    matches!(state, "STARTING" | "PROCESSING" | "ROLLING_BACK")
}

fn text_of(object: &Value, key: &str) -> anyhow::Result<String> {
    let text = object.get(key).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("no {key} in {object}"))
}

/// What the sample package asks of an instantiation on an account of a mock VIM.
#[must_use]
pub fn instantiate_request(vim: &str) -> Value {
    json!({
        "flavourId": "simple",
        "vimConnectionInfo": {"vim1": {"vimId": vim, "vimType": "mock"}},
        "extVirtualLinks": [
            {"id": "external-1", "resourceId": "net-external-1",
             "extCps": [{"cpdId": "VDU1_CP1", "cpConfig": {"VDU1_CP1": {"cpProtocolData": [
                {"layerProtocol": "IP_OVER_ETHERNET"}]}}}]},
            {"id": "external-2", "resourceId": "net-external-2",
             "extCps": [{"cpdId": "VDU2_CP1", "cpConfig": {"VDU2_CP1": {"cpProtocolData": [
                {"layerProtocol": "IP_OVER_ETHERNET"}]}}}]},
        ],
    })
}
