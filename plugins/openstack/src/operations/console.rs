//! Consoles.

use serde::Deserialize;
use serde_json::json;
use vimhost_keystone::Microversion;
use vimhost_sdk::prelude::*;

use crate::compute::nova_at;
use crate::vim::Vim;

/// From here on there is one request for consoles of every kind.
const REMOTE: Microversion = Microversion::new(2, 6);

/// Opens a console of a type, `novnc` when none is given.
pub(crate) fn console(vim: &Vim, id: &str, wanted: Option<&str>) -> Result<Console, Error> {
    #[derive(Deserialize)]
    struct Opened {
        #[serde(alias = "remote_console")]
        console: Url,
    }
    #[derive(Deserialize)]
    struct Url {
        url: String,
    }
    let kind = Kind::of(wanted.unwrap_or("novnc"))?;
    let nova = nova_at(vim, REMOTE)?;
    let request = if nova.supports(REMOTE.major, REMOTE.minor) {
        let body = json!({"remote_console": {"protocol": kind.protocol, "type": kind.name}});
        nova.post(["servers", id, "remote-consoles"]).json(&body)
    } else {
        nova.post(["servers", id, "action"])
            .json(&json!({ kind.action: {"type": kind.name} }))
    };
    let request = request.doing(format!("opening a console of server {id}"));
    let opened: Opened = nova.read(request)?;
    taken_apart(&opened.console.url)
}

/// A type of console.
struct Kind {
    name: &'static str,
    protocol: &'static str,
    /// The action that opened it before there was one request for all.
    action: &'static str,
}

impl Kind {
    fn of(wanted: &str) -> Result<Self, Error> {
        let kind = |name, protocol, action| Self { name, protocol, action };
        match wanted {
            // `vnc` is what OSM's own connector has as default and then refuses (O12).
            "novnc" | "vnc" => Ok(kind("novnc", "vnc", "os-getVNCConsole")),
            "xvpvnc" => Ok(kind("xvpvnc", "vnc", "os-getVNCConsole")),
            "rdp-html5" => Ok(kind("rdp-html5", "rdp", "os-getRDPConsole")),
            "spice-html5" => Ok(kind("spice-html5", "spice", "os-getSPICEConsole")),
            "serial" => Ok(kind("serial", "serial", "os-getSerialConsole")),
            other => Err(Error::bad_request(format!(
                "console type '{other}' is not known; there are novnc, xvpvnc, rdp-html5, spice-html5 and serial"
            ))),
        }
    }
}

/// A console's URL in the parts that records have. It holds the console's password, so no error shows it.
fn taken_apart(url: &str) -> Result<Console, Error> {
    let wrong = || Error::other("Nova answered a console whose URL is not understood");
    let (protocol, rest) = url.split_once("://").ok_or_else(wrong)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, suffix) = rest.split_at(end);
    let (server, port) = match authority.rsplit_once(':') {
        // Not the colon of an address of IPv6.
        Some((server, port)) if !port.ends_with(']') => (server, port.parse().map_err(|_| wrong())?),
        Some(_) | None => (authority, if matches!(protocol, "https" | "wss") { 443 } else { 80 }),
    };
    if server.is_empty() {
        return Err(wrong());
    }
    Ok(Console {
        protocol: protocol.to_owned(),
        server: server.to_owned(),
        port,
        suffix: suffix.strip_prefix('/').unwrap_or(suffix).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_told_in_parts() {
        let console = taken_apart("http://10.0.0.1:6080/vnc_auto.html?path=%3Ftoken%3Dx").unwrap();
        assert_eq!(
            (
                console.protocol.as_str(),
                console.server.as_str(),
                console.port,
                console.suffix.as_str()
            ),
            ("http", "10.0.0.1", 6080, "vnc_auto.html?path=%3Ftoken%3Dx")
        );
        let console = taken_apart("wss://[::1]?token=x").unwrap();
        assert_eq!(
            (console.server.as_str(), console.port, console.suffix.as_str()),
            ("[::1]", 443, "?token=x")
        );
    }

    #[test]
    fn a_url_that_is_not_understood_is_not_shown() {
        for url in ["secret", "http://", "http://host:secret/"] {
            let error = taken_apart(url).unwrap_err();
            assert!(!error.message.contains("secret"), "{}", error.message);
        }
    }

    #[test]
    fn o12_the_default_console_is_one_that_nova_knows() {
        assert_eq!(Kind::of("vnc").unwrap().name, "novnc");
        assert!(Kind::of("telnet").err().unwrap().message.contains("telnet"));
    }
}
