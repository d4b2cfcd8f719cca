//! LCM's own bytes: requests that aiohttp and PyYAML wrote (`data/lcm/generate.py`), over a plain connection.
//!
//! Everything else that plays LCM here has an HTTP client and a YAML library of its own, which may be wrong where vimhost is wrong. What is
//! sent here is what LCM sends: doubled slashes, its headers, its folded lines, its aliases for lists that VMs share.

use mock_vim::Faults;
use mock_vim::elements::ServerStatus;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vimhost_tests::{Host, Records, Sshd, wait_until};

use crate::deployed::{Deployed, LIMIT, TARGET, tasks, vdur};

const SERVICE: &str = include_str!("data/lcm/service.json");

/// A recorded request.
macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("data/lcm/", $name, ".http"))
    };
}

/// An answer as it came.
struct Answer {
    /// `HTTP/1.1 200 OK`
    status: String,
    headers: Vec<(String, String)>,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut of_name = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        of_name.next().map(|(_, value)| value.as_str())
    }

    /// As LCM's client takes it: whatever is 300 or more is an error, the rest is YAML.
    fn value(&self) -> Value {
        assert_eq!(self.status, "HTTP/1.1 200 OK", "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/yaml"));
        serde_saphyr::from_str(&self.text).unwrap()
    }
}

/// Sends bytes as they are and reads the answer.
async fn exchange(host: &Host, request: &[u8]) -> Answer {
    let address = host.ng_ro.strip_prefix("http://").unwrap().strip_suffix("/ro").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut received = Vec::new();
    let end = loop {
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "no whole head");
    };
    let head = String::from_utf8(received[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim().to_owned())
    };
    let mut answer = Answer {
        status,
        headers: lines.map(header).collect(),
        text: String::new(),
    };
    let length = answer
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = received.split_off(end + 4);
    while body.len() < length {
        assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0, "no whole body");
    }
    assert_eq!(body.len(), length, "more than was announced");
    answer.text = String::from_utf8(body).unwrap();
    answer
}

/// The request with samples replaced by what they stand for. One that holds none stays as it was recorded, byte for byte.
fn filled(recorded: &str, values: &[(String, String)]) -> Vec<u8> {
    let mut text = recorded.to_owned();
    for (sample, value) in values {
        text = text.replace(sample, value);
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
    for line in &mut lines {
        if line.starts_with("Content-Length:") {
            *line = format!("Content-Length: {}", body.len());
        }
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

/// A service on a VIM, and LCM's client.
struct Played {
    deployed: Deployed,
    service: Value,
}

impl Played {
    async fn new(arguments: &[&str]) -> Self {
        let service: Value = serde_json::from_str(SERVICE).unwrap();
        let of_lcm = Records {
            nsr: service["nsr"].clone(),
            vnfrs: service["vnfrs"].as_array().unwrap().clone(),
        };
        let faults = Faults {
            build_delay_ms: 50,
            action_delay_ms: 50,
            ..Faults::default()
        };
        let deployed = Deployed::prepared_with(faults, arguments, "info", |records| *records = of_lcm).await;
        Self { deployed, service }
    }

    fn text(&self, key: &str) -> String {
        self.service[key].as_str().unwrap().to_owned()
    }

    /// The samples with what the records say now.
    async fn samples(&self) -> Vec<(String, String)> {
        let vnfrs = [self.deployed.vnfr(0).await, self.deployed.vnfr(1).await];
        let value_of = |sample: &Value| {
            let vnfr = &vnfrs[usize::try_from(sample["vnf"].as_u64().unwrap()).unwrap()];
            match vnfr.pointer(sample["pointer"].as_str().unwrap()) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => panic!("the record has nothing at {}", sample["pointer"]),
            }
        };
        let samples = self.service["samples"].as_array().unwrap().iter();
        samples
            .map(|sample| (sample["sample"].as_str().unwrap().to_owned(), value_of(sample)))
            .collect()
    }

    /// Posts, and polls as LCM does until the action is over: the action's id and the last status.
    async fn post(&self, topic: &str, recorded: &str, values: &[(String, String)]) -> (String, Value) {
        let request = filled(recorded, values);
        let answer = exchange(&self.deployed.host, &request).await;
        let value = answer.value();
        let nsr = &self.deployed.nsr;
        let action = value["action_id"].as_str().unwrap().to_owned();
        let whole = format!("---\naction_id: {action}\nnsr_id: {nsr}\nstatus: ok\n");
        assert_eq!(answer.text, whole);
        assert_eq!(answer.header("location"), Some(&*format!("/ro/ns/v1/{topic}/{nsr}")));
        let status = self.polled(recorded!("status"), &action).await;
        (action, status)
    }

    async fn polled(&self, recorded: &str, action: &str) -> Value {
        let request = filled(recorded, &[(self.text("any_action"), action.to_owned())]);
        wait_until(&format!("the end of {action}"), LIMIT, async || {
            let status = exchange(&self.deployed.host, &request).await.value();
            match status["status"].as_str().unwrap() {
                "DONE" => Ok(true),
                "BUILD" => Ok(false),
                other => panic!("{other}: {}", status["details"].as_str().unwrap()),
            }
        })
        .await
        .unwrap();
        let status = exchange(&self.deployed.host, &request).await.value();
        assert_eq!(
            (&status["nsr_id"], &status["action_id"]),
            (&json!(self.deployed.nsr), &json!(action))
        );
        status
    }

    /// With what LCM has got from the records.
    async fn play(&self, topic: &str, recorded: &str) -> Value {
        self.post(topic, recorded, &self.samples().await).await.1
    }

    /// The first VM of a VNF, as the VIM has it.
    async fn server(&self, vnf: usize) -> std::sync::Arc<mock_vim::elements::Server> {
        self.deployed
            .server(&self.deployed.vnfr(vnf).await["vdur"][0]["vim-id"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lcm_sends_is_understood_byte_for_byte() {
    let mut sshd = Sshd::prepare().unwrap();
    let port = sshd.port().to_string();
    let played = Played::new(&["--ssh-port", &port, "--ssh-address", "127.0.0.1/32"]).await;
    let deployed = &played.deployed;
    let operation = |name: &str| played.service["actions"][name].as_str().unwrap().to_owned();

    // The version: the bytes' Python representation, the first word with a point, cut at a dash, compared as padded texts.
    let version = exchange(&deployed.host, recorded!("version").as_bytes()).await;
    assert_eq!(version.value()["version"], "13.0.0");
    let python = format!("b\"{}\"", version.text.replace('\n', "\\n"));
    let word = python.split(' ').find(|word| word.contains('.')).unwrap();
    let padded = |text: &str| text.split('.').map(|part| format!("{part:0>8}")).collect::<Vec<_>>();
    assert!(padded(word.split('-').next().unwrap()) >= padded("6.0.2"), "{python}");

    // Instantiate: nothing in it is replaced, and it has PyYAML's aliases.
    let instantiate = recorded!("instantiate");
    assert_eq!(filled(instantiate, &[]), instantiate.as_bytes());
    for alias in [
        "ssh-keys: &id001",
        "ssh-keys: *id001",
        "ip_profile: &id002",
        "ip_profile: *id002",
    ] {
        assert!(instantiate.contains(alias), "{alias}");
    }
    let (action, status) = played.post("deploy", instantiate, &[]).await;
    assert_eq!(action, operation("instantiate"));
    assert_eq!(tasks(&status).len(), 8, "4 networks, image, flavour, 2 VMs: {status:#}");
    assert_eq!(status["details"], "progress 8/8");
    let subnet = |name: &str| {
        let networks = deployed.vim.inventory().networks;
        let of_name = networks.iter().filter(|network| network.meta.name == name);
        of_name.map(|network| network.subnet.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(subnet("k8s-ns-internal"), ["192.168.50.0/24"; 2], "by an alias as well");
    // Every text is what LCM meant: the template shows each.
    let mut own = String::new();
    for vnf in [0, 1] {
        let user_data = played.server(vnf).await.user_data.clone().unwrap();
        let (texts, config) = user_data.split_once("\n#cloud-config\n").unwrap();
        assert_eq!(texts, played.text("user_data"));
        let config: Value = serde_json::from_str(config).unwrap();
        let keys = config["ssh_authorized_keys"].as_array().unwrap();
        assert_eq!(
            keys[..2],
            played.service["keys"].as_array().unwrap()[..],
            "folded lines are one"
        );
        keys[2].as_str().unwrap().clone_into(&mut own);
        assert_eq!(keys.len(), 3, "and the service's own");
    }
    // The records keep every field and have the results that LCM reads.
    for vnf in [0, 1] {
        let (vnfr, before) = (deployed.vnfr(vnf).await, &played.service["vnfrs"][vnf]);
        for key in [
            "_admin",
            "connection-point",
            "created-time",
            "revision",
            "vca-id",
            "kdur",
        ] {
            assert_eq!(vnfr[key], before[key], "{key}");
        }
        let shown = &vnfr["vdur"][0];
        assert_eq!(shown["additionalParams"], before["vdur"][0]["additionalParams"]);
        assert_eq!(
            (&shown["status"], &shown["vim_info"][TARGET]["vim_status"]),
            (&json!("ACTIVE"), &json!("ACTIVE"))
        );
        assert_eq!(vnfr["ip-address"], shown["interfaces"][0]["ip-address"]);
        assert_eq!(vnfr["vld"][0]["vim_info"][TARGET]["vim_status"], "ACTIVE");
    }
    // The same bytes again are the same request.
    let again = exchange(&deployed.host, instantiate.as_bytes()).await.value();
    assert_eq!(again["action_id"], operation("instantiate"));
    assert_eq!(deployed.vim.inventory().servers.len(), 2);

    // A key for the configuration agents: one line, sent folded.
    sshd.authorize(&own).unwrap();
    sshd.start().await.unwrap();
    let mut vnfr = deployed.vnfr(0).await;
    let address = vnfr["vdur"][0]["ip-address"].clone();
    vnfr["vdur"][0]["ip-address"] = json!("127.0.0.1");
    deployed.put_vnfr(&vnfr).await;
    let user = ("user: ubuntu".to_owned(), format!("user: {}", Sshd::user().unwrap()));
    let (_, status) = played.post("deploy", recorded!("inject-key"), &[user]).await;
    assert_eq!(
        (tasks(&status).len(), &tasks(&status)[0]["action"]),
        (1, &json!("EXEC"))
    );
    assert_eq!(sshd.keys().unwrap(), [own, played.text("injected")]);
    vnfr["vdur"][0]["ip-address"] = address;
    deployed.put_vnfr(&vnfr).await;

    // Power, and a migration to where the VIM chooses.
    played.play("stop", recorded!("stop")).await;
    assert_eq!(played.server(0).await.status, ServerStatus::Shutoff);
    played.play("start", recorded!("start")).await;
    played.play("rebuild", recorded!("rebuild")).await;
    assert_eq!(played.server(0).await.status, ServerStatus::Active);
    let before = played.server(0).await;
    played.play("migrate", recorded!("migrate")).await;
    assert_ne!(played.server(0).await.host, before.host);

    // Scale out: the new VDU is in the record before. Scale in: it is marked, left out of the request, then taken out.
    let mut vnfr = deployed.vnfr(0).await;
    let scaled = played.service["scaled"].clone();
    vnfr["vdur"].as_array_mut().unwrap().push(scaled.clone());
    deployed.put_vnfr(&vnfr).await;
    let status = played.play("deploy", recorded!("scale-out")).await;
    assert_eq!(tasks(&status).len(), 1, "{status:#}");
    assert_eq!(deployed.vim.inventory().servers.len(), 3);
    let mut vnfr = deployed.vnfr(0).await;
    let id = scaled["id"].as_str().unwrap();
    assert_eq!(vdur(&vnfr, id)["status"], "ACTIVE");
    vnfr["vdur"][1]["status"] = json!("DELETING");
    deployed.put_vnfr(&vnfr).await;
    let status = played.play("deploy", recorded!("scale-in")).await;
    assert_eq!(tasks(&status)[0]["action"], "DELETE");
    let mut vnfr = deployed.vnfr(0).await;
    vnfr["vdur"].as_array_mut().unwrap().pop();
    deployed.put_vnfr(&vnfr).await;
    assert_eq!(deployed.vim.inventory().servers.len(), 2);

    played.play("verticalscale", recorded!("verticalscale")).await;
    let flavour = played.server(0).await.flavour.clone();
    assert_ne!(flavour, before.flavour);
    let old = played.server(0).await;
    played.play("recreate", recorded!("recreate")).await;
    let healed = played
        .polled(recorded!("recreate-status"), &operation("recreate"))
        .await;
    assert_eq!(tasks(&healed).len(), 2);
    let new = played.server(0).await;
    assert_ne!(new.meta.id, old.meta.id);
    assert_eq!((&new.flavour, &new.user_data), (&flavour, &old.user_data));

    // Terminate, twice forgotten: LCM deletes after it, and may do so again.
    played.play("deploy", recorded!("terminate")).await;
    assert_eq!(deployed.vim.inventory().created(), 0, "{:#?}", deployed.vim.inventory());
    for _ in 0..2 {
        let answer = exchange(&deployed.host, recorded!("delete").as_bytes()).await;
        assert_eq!((&*answer.status, &*answer.text), ("HTTP/1.1 204 No Content", ""));
    }
    let gone = filled(
        recorded!("status"),
        &[(played.text("any_action"), operation("terminate"))],
    );
    let answer = exchange(&deployed.host, &gone).await;
    assert_eq!(answer.status, "HTTP/1.1 404 Not Found");
    assert_eq!(answer.header("content-type"), Some("application/yaml"));
    assert!(
        answer.text.starts_with("---\ncode: NOT_FOUND\ndetail: "),
        "{}",
        answer.text
    );
    let Played { deployed, .. } = played;
    let log = deployed.host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pyyaml_refuses_to_load_safely_is_refused_and_leaves_nothing() {
    let played = Played::new(&[]).await;
    let (head, _) = recorded!("instantiate").split_once("\r\n\r\n").unwrap();
    for body in [
        "!!python/object/apply:os.system ['true']\n",
        "action_id: !!python/name:os.system ''\nns: {vld: []}\nvnf: []\n",
        "ns: &id001\n  vld:\n  - *id001\n",
        "name: *id001\n",
        "? [a, b]\n: c\n",
        "ns: {vld: []}\n---\nvnf: []\n",
    ] {
        let request = filled(&format!("{head}\r\n\r\n{body}"), &[]);
        let answer = exchange(&played.deployed.host, &request).await;
        assert_eq!(answer.status, "HTTP/1.1 400 Bad Request", "{body}");
        let error: Value = serde_saphyr::from_str(&answer.text).unwrap();
        assert_eq!((&error["code"], &error["status"]), (&json!("BAD_REQUEST"), &json!(400)));
        let detail = error["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("Invalid yaml format ") && detail.contains("line"),
            "{detail}"
        );
    }
    let (_, actions) = played
        .deployed
        .lcm()
        .call("GET", &format!("ns/v1/deploy/{}", played.deployed.nsr), None)
        .await
        .unwrap();
    assert_eq!(actions, json!([]));
    played.deployed.vim.stop().await.unwrap();
}
