//! VNF packages: which archives are refused and why, what comes back, and what a package in use is safe from.

use std::io::{Cursor, Write as _};

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vimhost_tests::{SamplePackage, wait_until};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{LIMIT, World, at};

const PATH: &str = "/vnfpkgm/v1/vnf_packages";
const ZIP: &str = "application/zip";

async fn created(world: &World) -> String {
    let made = world
        .client
        .expect(201, Method::POST, PATH, Some(&json!({})))
        .await
        .unwrap();
    made.json["id"].as_str().unwrap().to_owned()
}

async fn shown(world: &World, id: &str) -> Value {
    let path = format!("{PATH}/{id}");
    world.client.expect(200, Method::GET, &path, None).await.unwrap().json
}

/// Uploads something; answers the status.
async fn upload(world: &World, id: &str, kind: &str, content: Vec<u8>) -> u16 {
    let url = format!("{}{PATH}/{id}/package_content", world.client.base);
    let request = world.host.http.put(url).header("Content-Type", kind).body(content);
    request.send().await.unwrap().status().as_u16()
}

async fn set_state(world: &World, id: &str, state: &str) {
    let change = json!({"operationalState": state});
    let path = format!("{PATH}/{id}");
    world
        .client
        .expect(200, Method::PATCH, &path, Some(&change))
        .await
        .unwrap();
}

/// The sample package of a VNFD of its own.
fn sample(vnfd: &str) -> SamplePackage {
    SamplePackage {
        vnfd_id: vnfd.to_owned(),
        ..SamplePackage::default()
    }
}

/// An archive of the sample's files, some of them left out, and of others.
fn archive(without: &str, more: &[(&str, &[u8])], link: Option<&str>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |path: &str, content: &[u8]| {
        zip.start_file(path, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    };
    for (path, text) in sample("refused").files() {
        if path != without {
            put(path, text.as_bytes());
        }
    }
    for (path, content) in more {
        put(path, content);
    }
    if let Some(link) = link {
        zip.add_symlink(link, "/etc/passwd", SimpleFileOptions::default())
            .unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A document of a few hundred bytes that is millions of values.
fn aliases() -> Vec<u8> {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let before = format!("*a{}, ", n - 1).repeat(8);
        text += &format!("a{n}: &a{n} [{before}x]\n");
    }
    text.into_bytes()
}

/// Begins an upload that announces more than it sends; answers the connection.
async fn announce(world: &World, id: &str, length: usize, sent: &[u8]) -> TcpStream {
    let address = world.client.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT {PATH}/{id}/package_content HTTP/1.1\r\nHost: {address}\r\nContent-Type: {ZIP}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(sent).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_break_their_promises_are_refused_and_the_package_may_be_uploaded_again() {
    let world = World::new(Faults::default()).await;
    let zeros = vec![0_u8; 16 << 20];
    let manifest = format!(
        "Source: Definitions/sample_top.vnfd.yaml\nAlgorithm: SHA-256\nHash: {}\n",
        "0".repeat(64)
    );
    let id = created(&world).await;
    for (what, content, says) in [
        ("no archive", b"no zip".to_vec(), "no readable zip archive"),
        (
            "a bomb",
            archive("", &[("Files/zeros", zeros.as_slice())], None),
            "times larger than packed",
        ),
        (
            "a path that leaves",
            archive("", &[("../outside", b"x".as_slice())], None),
            "path that is not allowed",
        ),
        ("a link", archive("", &[], Some("Files/link")), "is a link"),
        (
            "a wrong digest",
            archive("", &[("sample.mf", manifest.as_bytes())], None),
            "SHA-256 digest",
        ),
        (
            "a manifest of empty blocks",
            archive("", &[("sample.mf", "Name:\n".repeat(10_000).as_bytes())], None),
            "longer than a manifest may be",
        ),
        (
            "a document that aliases make large",
            archive("", &[("BaseHOT/simple/nested/x.yaml", aliases().as_slice())], None),
            "BaseHOT/simple/nested/x.yaml",
        ),
        (
            "no main document",
            archive("Definitions/sample_top.vnfd.yaml", &[], None),
            "sample_top.vnfd.yaml",
        ),
        (
            "no type of the VNF",
            archive("Definitions/sample_types.yaml", &[], None),
            "",
        ),
    ] {
        assert_eq!(upload(&world, &id, ZIP, content).await, 202, "{what}");
        let refused = shown(&world, &id).await;
        assert_eq!(refused["onboardingState"], "CREATED", "{what}: {refused:#}");
        let detail = at(&refused, "/onboardingFailureDetails/detail").as_str().unwrap();
        assert!(!detail.is_empty() && detail.contains(says), "{what}: {detail}");
        let body = json!({"vnfdId": "refused"});
        let instances = "/vnflcm/v2/vnf_instances";
        world
            .client
            .expect(422, Method::POST, instances, Some(&body))
            .await
            .unwrap();
    }
    assert_eq!(
        upload(&world, &id, "multipart/form-data; boundary=x", b"--x--".to_vec()).await,
        415
    );
    // Refused by what it announces: nothing of it is sent.
    let mut stream = announce(&world, &id, (64 << 20) + 1, b"").await;
    let mut answer = [0_u8; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(stream);

    let good = sample("refused").archive().unwrap();
    assert_eq!(upload(&world, &id, ZIP, good).await, 202);
    let taken = shown(&world, &id).await;
    assert_eq!(taken["onboardingState"], "ONBOARDED", "{taken:#}");
    assert!(taken.get("onboardingFailureDetails").is_none(), "{taken:#}");
    let log = world.host.stop().unwrap();
    assert!(
        !log.contains("ERROR"),
        "what a client got wrong is no error of the host: {log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_comes_back_byte_for_byte_and_its_vnfd_is_in_one_package_only() {
    let world = World::new(Faults::default()).await;
    let content = sample("once").archive().unwrap();
    let id = created(&world).await;
    assert_eq!(upload(&world, &id, ZIP, content.clone()).await, 202);
    let url = format!("{}{PATH}/{id}/package_content", world.client.base);
    let whole = world.host.http.get(&url).send().await.unwrap();
    assert_eq!(whole.bytes().await.unwrap(), content);
    let part = world
        .host
        .http
        .get(&url)
        .header("Range", "bytes=10-19")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), content[10..20]);
    assert_eq!(upload(&world, &id, ZIP, content.clone()).await, 409, "it is onboarded");

    let second = created(&world).await;
    assert_eq!(upload(&world, &second, ZIP, content).await, 202);
    let refused = shown(&world, &second).await;
    assert_eq!(refused["onboardingState"], "CREATED");
    assert_eq!(at(&refused, "/onboardingFailureDetails/status"), 409);
    let detail = at(&refused, "/onboardingFailureDetails/detail").as_str().unwrap();
    assert!(detail.contains("once") && detail.contains(&id), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_in_use_stays_and_one_that_is_disabled_makes_no_instance() {
    let world = World::new(Faults::default()).await;
    let package = sample("used");
    let id = world.client.onboard(&package).await.unwrap();
    let path = format!("{PATH}/{id}");
    let instances = "/vnflcm/v2/vnf_instances";
    let body = json!({"vnfdId": "used"});
    assert_eq!(shown(&world, &id).await["usageState"], "NOT_IN_USE");
    let enabled = world.client.expect(409, Method::DELETE, &path, None).await.unwrap();
    assert!(enabled.json["detail"].as_str().unwrap().contains("enabled"));
    let instance = world.client.create("used", "of-it").await.unwrap();
    assert_eq!(shown(&world, &id).await["usageState"], "IN_USE");

    set_state(&world, &id, "DISABLED").await;
    let refused = world
        .client
        .expect(422, Method::POST, instances, Some(&body))
        .await
        .unwrap();
    assert!(
        refused.json["detail"].as_str().unwrap().contains("used"),
        "{}",
        refused.text
    );
    let in_use = world.client.expect(409, Method::DELETE, &path, None).await.unwrap();
    assert!(in_use.json["detail"].as_str().unwrap().contains("in use"));
    set_state(&world, &id, "ENABLED").await;
    let other = world.client.create("used", "another").await.unwrap();
    for instance in [instance, other] {
        let instance = format!("{instances}/{instance}");
        world.client.expect(204, Method::DELETE, &instance, None).await.unwrap();
    }
    set_state(&world, &id, "DISABLED").await;
    world.client.expect(204, Method::DELETE, &path, None).await.unwrap();
    world.client.expect(404, Method::GET, &path, None).await.unwrap();
    // Its VNFD is free for another one.
    world.client.onboard(&package).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_whose_host_died_in_an_upload_is_uploaded_again() {
    let mut world = World::new(Faults::default()).await;
    let content = sample("again").archive().unwrap();
    let id = created(&world).await;
    let half = &content[..content.len() / 2];
    let stream = announce(&world, &id, content.len(), half).await;
    wait_until("the upload to begin", LIMIT, async || {
        Ok(shown(&world, &id).await["onboardingState"] == "UPLOADING")
    })
    .await
    .unwrap();
    // One at a time.
    assert_eq!(upload(&world, &id, ZIP, content.clone()).await, 409);
    world.restart();
    drop(stream);
    assert_eq!(shown(&world, &id).await["onboardingState"], "UPLOADING");
    assert_eq!(upload(&world, &id, ZIP, content.clone()).await, 202);
    assert_eq!(shown(&world, &id).await["onboardingState"], "ONBOARDED");
    let url = format!("{}{PATH}/{id}/package_content", world.client.base);
    let back = world.host.http.get(url).send().await.unwrap();
    assert_eq!(back.bytes().await.unwrap(), content);

    // Nor does a connection that ends in an upload keep the package from the next one.
    let another = sample("another").archive().unwrap();
    let id = created(&world).await;
    let stream = announce(&world, &id, another.len(), &another[..another.len() / 2]).await;
    wait_until("the upload to begin", LIMIT, async || {
        Ok(shown(&world, &id).await["onboardingState"] == "UPLOADING")
    })
    .await
    .unwrap();
    drop(stream);
    wait_until("the next upload to be taken", LIMIT, async || {
        Ok(upload(&world, &id, ZIP, another.clone()).await == 202)
    })
    .await
    .unwrap();
    assert_eq!(shown(&world, &id).await["onboardingState"], "ONBOARDED");
}
