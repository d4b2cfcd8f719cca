//! The addresses: free, or held by a vimhost that answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;

use super::Check;
use crate::settings::Settings;

/// How long an answer of this machine to itself may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the host calls itself in its answers.
const SERVER: &str = "vimhost";

pub(super) async fn checks(settings: &Settings) -> Vec<Check> {
    let http = match reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() {
        Ok(http) => http,
        Err(error) => {
            return vec![Check::fail(
                "listeners",
                error.to_string(),
                "the HTTP client cannot be made",
            )];
        }
    };
    let mut checks = vec![listener(&http, "NG-RO listener", settings.ng_ro_listen).await.0];
    checks.push(listener(&http, "VNF LCM listener", settings.vnf_lcm_listen).await.0);
    if let Some(address) = settings.metrics_listen {
        checks.push(listener(&http, "metrics listener", address).await.0);
    }
    let (admin, held) = listener(&http, "admin listener", settings.admin_listen).await;
    checks.push(admin);
    checks.push(if held {
        readiness(&http, settings.admin_listen).await
    } else {
        Check::ok("host", "does not run here")
    });
    checks
}

/// Whether an address can be used, or is by a vimhost already; true in the latter case.
async fn listener(http: &reqwest::Client, name: &'static str, address: SocketAddr) -> (Check, bool) {
    let error = match TcpListener::bind(address).await {
        Ok(_) => return (Check::ok(name, format!("{address} is free")), false),
        Err(error) => error,
    };
    if error.kind() != std::io::ErrorKind::AddrInUse {
        let remedy = "another address, or a port above 1023 for a user that is not root";
        return (Check::fail(name, format!("{address}: {error}"), remedy), false);
    }
    let answer = http.get(format!("http://{}/livez", reachable(address))).send().await;
    let server = answer.ok().and_then(|answer| answer.headers().get("server").cloned());
    if server.is_some_and(|server| server == SERVER) {
        (
            Check::ok(name, format!("{address} is held by a vimhost that answers")),
            true,
        )
    } else {
        let remedy = "stop whoever holds it (`ss -ltnp` names it), or choose another address";
        (
            Check::fail(
                name,
                format!("{address} is held by something that is no vimhost"),
                remedy,
            ),
            false,
        )
    }
}

/// Where this machine reaches an address that may stand for all of its own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    };
    SocketAddr::new(ip, address.port())
}

async fn readiness(http: &reqwest::Client, address: SocketAddr) -> Check {
    let name = "host";
    match http.get(format!("http://{}/readyz", reachable(address))).send().await {
        Ok(answer) if answer.status().is_success() => Check::ok(name, "runs and is ready"),
        Ok(answer) => {
            let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
            let short: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
            let remedy = "its log says more; `vimhost status` and `vimhost plugins` show what works";
            Check::fail(name, format!("runs and is not ready ({status}): {short}"), remedy)
        }
        Err(error) => Check::fail(
            name,
            format!("does not answer whether it is ready: {error}"),
            "look into its log",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn http() -> reqwest::Client {
        reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_millis(300))
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn an_address_is_free_or_somebody_elses_or_not_ours() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let (check, held) = listener(&http(), "admin listener", address).await;
        assert!(
            check.verdict == Verdict::Fail && check.seen.contains("no vimhost") && !held,
            "{check:?}"
        );
        drop(taken);
        assert_eq!(
            listener(&http(), "admin listener", address).await.0.verdict,
            Verdict::Ok
        );
        // An address of documentation, which no machine has.
        let (check, _) = listener(&http(), "admin listener", "192.0.2.1:80".parse().unwrap()).await;
        assert_eq!(check.verdict, Verdict::Fail);
    }

    #[tokio::test]
    async fn a_host_that_does_not_answer_fails() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let check = readiness(&http(), silent.local_addr().unwrap()).await;
        assert_eq!(check.verdict, Verdict::Fail, "{check:?}");
    }
}
