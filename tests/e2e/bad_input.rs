//! What is wrong is refused with a reason, and nothing is stored.

use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vimhost_tests::{Host, Lcm, Records, Setup, start_vim};

const FIXTURE: &str = include_str!("data/lcm_deployed_records.json");
const ACCOUNT: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_with_the_field_and_leave_nothing() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim(ACCOUNT, &vim.url()).await.unwrap();
    let records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
    records.put(&host).await.unwrap();
    let nsr = records.id();
    let lcm = Lcm::new(&host);
    let good = records.deploy_body("op", ACCOUNT);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body
    };
    let table: Vec<(&str, Value, u16, &str)> = vec![
        (
            "unknown top-level key",
            with(&|b| b["nonsense"] = json!(1)),
            422,
            "nonsense",
        ),
        (
            "VNF id that is none",
            with(&|b| b["vnf"][0]["_id"] = json!("x")),
            422,
            "vnf:0:_id",
        ),
        (
            "unknown VNF",
            with(&|b| b["vnf"][0]["_id"] = json!("00000000-0000-4000-8000-000000000000")),
            404,
            "00000000",
        ),
        (
            "unknown VIM",
            with(&|b| b["vnf"][0]["vdur"][0]["vim_info"] = json!({"vim:nowhere": {}})),
            404,
            "nowhere",
        ),
        (
            "undefined template variable",
            with(&|b| {
                b["cloud_init_content"] =
                    json!({"6d9e1ca1-f387-4d01-9876-066fc7311e0f:file:cloud-config.txt": "{{ nobody_gave_it }}"})
            }),
            400,
            "nobody_gave_it",
        ),
        (
            "template in a package, which is not read",
            with(&|b| b["cloud_init_content"] = json!({})),
            400,
            ":file:cloud-config.txt",
        ),
        (
            "clashing positions",
            with(&|b| {
                let interfaces = &mut b["vnf"][0]["vdur"][0]["interfaces"];
                interfaces[1]["position"] = json!(1);
                let mut third = interfaces[1].clone();
                third.as_object_mut().unwrap().remove("position");
                interfaces.as_array_mut().unwrap().push(third);
            }),
            422,
            "position",
        ),
        (
            "position out of range",
            with(&|b| {
                b["vnf"][0]["vdur"][0]["interfaces"][0]
                    .as_object_mut()
                    .unwrap()
                    .remove("position");
                b["vnf"][0]["vdur"][0]["interfaces"][1]["position"] = json!(77);
            }),
            422,
            "position",
        ),
        (
            "flavour that is no number",
            with(&|b| b["flavor"][0]["memory-mb"] = json!("much")),
            422,
            "memory-mb",
        ),
        (
            "image that nothing has",
            with(&|b| b["vnf"][0]["vdur"][0]["ns-image-id"] = json!("99")),
            422,
            "image.99",
        ),
    ];
    for (what, body, expected, needle) in table {
        let (status, answer) = lcm
            .call("POST", &format!("ns/v1/deploy/{nsr}"), Some(&body))
            .await
            .unwrap();
        assert_eq!(status, expected, "{what}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(needle), "{what}: {answer}");
        assert_eq!(answer["status"], expected);
        assert!(!answer.to_string().contains("panicked"), "{answer}");
    }
    let (status, answer) = lcm.call("POST", "ns/v1/deploy/unknown-ns", Some(&good)).await.unwrap();
    assert_eq!(status, 404, "{answer}");
    let (_, actions) = lcm.call("GET", &format!("ns/v1/deploy/{nsr}"), None).await.unwrap();
    assert_eq!(actions, json!([]), "nothing of the refused requests was stored");
    assert_eq!(vim.inventory().created(), 0);

    // Not YAML, not JSON.
    let post = |body: Vec<u8>, kind: &'static str| {
        host.http
            .post(format!("{}/ns/v1/deploy/{nsr}", host.ng_ro))
            .header("content-type", kind)
            .body(body)
            .send()
    };
    assert_eq!(post(b"{{{".to_vec(), "application/json").await.unwrap().status(), 400);
    assert_eq!(post(b"a: [".to_vec(), "application/yaml").await.unwrap().status(), 400);
    // The admin interface names the field in a problem.
    let (status, problem) = host
        .admin(
            "PUT",
            "/v1/network-services/x",
            Some(json!({"name": "x", "vim": ACCOUNT, "vms": 5})),
        )
        .await
        .unwrap();
    assert_eq!(status, 400, "{problem}");
    assert!(problem.to_string().contains("vms"), "{problem}");
    let (status, _) = host.admin("GET", "/v1/network-services/none", None).await.unwrap();
    assert_eq!(status, 404);
    vim.stop().await.unwrap();
}

/// Sends bytes as they are, all of them before it reads; answers head and body. It does not wait for the host to close, which waits for
/// the rest of a body that was announced.
async fn exchange(address: &str, request: &[u8]) -> (String, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let reading = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let lower = head.to_ascii_lowercase();
        let mut length = lower.lines().filter_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.next().expect(&head).parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        (head, serde_json::from_slice(&body).unwrap())
    };
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    read.expect("the host answers")
}

/// An interface, and what one of its requests with a body that is too large looks like.
struct Bounded<'a> {
    base: &'a str,
    request: &'static str,
    content_type: &'static str,
    bound: usize,
    /// Type of the answer.
    answered: &'static str,
    /// Its fields, `detail` aside.
    fields: Value,
    /// A path below the base that is served.
    served: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_the_bound_is_refused_as_such_and_the_next_request_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    for interface in [
        Bounded {
            base: &host.ng_ro,
            request: "POST /ro/ns/v1/deploy/some-ns",
            content_type: "application/yaml",
            bound: 16 << 20,
            answered: "application/json",
            fields: json!({"code": "REQUEST_ENTITY_TOO_LARGE", "status": 413}),
            served: "/version",
        },
        Bounded {
            base: &host.admin,
            request: "PUT /v1/network-services/web",
            content_type: "application/yaml",
            bound: 16 << 20,
            answered: "application/problem+json",
            fields: json!({"type": "urn:vimhost:problem:too-large", "title": "Payload Too Large", "status": 413}),
            served: "/v1/plugins",
        },
        Bounded {
            base: &host.vnf_lcm,
            request: "POST /vnflcm/v2/vnf_instances",
            content_type: "application/json",
            bound: 4 << 20,
            answered: "application/problem+json",
            fields: json!({"title": "Payload Too Large", "status": 413}),
            served: "/vnflcm/api_versions",
        },
    ] {
        let address = interface.base.strip_prefix("http://").unwrap();
        let address = address.split('/').next().unwrap();
        let head = |framing: &str| {
            format!(
                "{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: application/json\r\nVersion: 2.0.0\r\n\
                 Content-Type: {}\r\n{framing}\r\n\r\n",
                interface.request, interface.content_type
            )
        };
        let over = interface.bound + 1;
        // Refused by what it announces: not a byte of it has to come.
        let announced = head(&format!("Content-Length: {over}")).into_bytes();
        // Refused at the byte that is too many, while some come after it.
        let mut counted = head("Transfer-Encoding: chunked").into_bytes();
        let sent = over + (4 << 20);
        counted.extend(format!("{sent:x}\r\n").bytes());
        counted.resize(counted.len() + sent, b'a');
        for request in [announced, counted] {
            let (head, body) = exchange(address, &request).await;
            let what = format!("{}: {head}\n{body}", interface.request);
            assert!(head.starts_with("HTTP/1.1 413 "), "{what}");
            let answered = format!("content-type: {}", interface.answered);
            assert!(head.to_ascii_lowercase().contains(&answered), "{what}");
            for (field, value) in interface.fields.as_object().unwrap() {
                assert_eq!(body[field], *value, "{what}");
            }
            let detail = format!("the body has more than {} bytes", interface.bound);
            assert_eq!(body["detail"], detail, "{what}");

            let next = format!("{}{}", interface.base, interface.served);
            let next = host.http.get(next).send().await.unwrap();
            assert_eq!(next.status(), 200, "{what}");
        }
    }
}
