//! Lists: filters, selectors, pages.

use mock_vim::Faults;
use reqwest::Method;
use serde_json::Value;

use super::{World, texts};

async fn list(world: &World, query: &str) -> Vec<Value> {
    let path = format!("/vnflcm/v2/vnf_instances{query}");
    let answer = world.client.expect(200, Method::GET, &path, None).await.unwrap();
    answer.json.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_listed_by_filter_and_selector() {
    let world = World::new(Faults::default()).await;
    let one = world.instantiated("one").await;
    world.created("two, with 'marks'").await;
    world.created("three").await;

    let all = list(&world, "").await;
    assert_eq!(all.len(), 3);
    for instance in &all {
        assert!(
            instance["_links"]["self"]["href"]
                .as_str()
                .unwrap()
                .contains("/vnflcm/v2/vnf_instances/")
        );
        assert!(instance.get("instantiatedVnfInfo").is_none() && instance.get("_vimhost").is_none());
    }
    let of = |filter: &str| format!("?filter={filter}");
    assert_eq!(
        texts(
            &list(&world, &of("(eq,instantiationState,INSTANTIATED)")).await.into(),
            "id"
        ),
        [&one]
    );
    let marked = list(&world, &of("(eq,vnfInstanceName,'two%2C%20with%20''marks''')")).await;
    assert_eq!(marked.len(), 1);
    assert_eq!(list(&world, &of("(cont,vnfInstanceName,t)")).await.len(), 2);
    assert_eq!(
        list(
            &world,
            &of("(neq,vnfInstanceName,one);(nin,vnfInstanceName,three,four)")
        )
        .await
        .len(),
        1
    );
    assert_eq!(
        list(&world, &of("(eq,instantiatedVnfInfo/vnfcResourceInfo/vduId,VDU2)"))
            .await
            .len(),
        1
    );
    assert_eq!(
        list(&world, &of("(gt,instantiatedVnfInfo/scaleStatus/scaleLevel,0)"))
            .await
            .len(),
        0
    );
    assert_eq!(
        list(&world, "?all_fields")
            .await
            .iter()
            .filter(|it| it.get("instantiatedVnfInfo").is_some())
            .count(),
        1
    );
    let fields = list(&world, "?fields=instantiatedVnfInfo/scaleStatus").await;
    let shown = fields.iter().find(|it| it["id"] == *one).unwrap();
    assert!(shown["instantiatedVnfInfo"].get("scaleStatus").is_some());
    assert!(shown["instantiatedVnfInfo"].get("vnfcResourceInfo").is_none());
    for wrong in [
        "?filter=(eq,id)",
        "?filter=(same,id,1)",
        "?filter=eq,id,1",
        "?filter=(eq,id,1,2)",
        "?all_fields&fields=id",
        "?fields=id&exclude_fields=metadata",
    ] {
        let path = format!("/vnflcm/v2/vnf_instances{wrong}");
        let refused = world.client.expect(400, Method::GET, &path, None).await.unwrap();
        assert!(refused.json["detail"].is_string(), "{wrong}: {}", refused.text);
    }
    let occurrences = world
        .client
        .expect(
            200,
            Method::GET,
            "/vnflcm/v2/vnf_lcm_op_occs?filter=(eq,operation,INSTANTIATE)",
            None,
        )
        .await
        .unwrap();
    assert_eq!(texts(&occurrences.json, "vnfInstanceId"), [&one]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_paths_are_checked_before_anything_else() {
    let world = World::new(Faults::default()).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = &world.client.base;
    let instances = format!("{base}/vnflcm/v2/vnf_instances");
    for (version, status) in [
        (None, 400),
        (Some("2"), 400),
        (Some("1.3.0"), 406),
        (Some("2.0.0-impl:a:b:1"), 200),
    ] {
        let mut request = http.get(&instances);
        if let Some(version) = version {
            request = request.header("Version", version);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{version:?}");
    }
    let html = http
        .get(&instances)
        .header("Version", "2.0.0")
        .header("Accept", "text/html");
    assert_eq!(html.send().await.unwrap().status(), 406);
    let head = http.head(&instances).header("Version", "2.0.0");
    assert_eq!(head.send().await.unwrap().status(), 405);
    let form = http
        .post(&instances)
        .header("Version", "2.0.0")
        .header("Content-Type", "text/html")
        .body("{}");
    assert_eq!(form.send().await.unwrap().status(), 415);
    let unknown = world
        .client
        .expect(404, Method::GET, "/vnflcm/v2/nothing", None)
        .await
        .unwrap();
    assert_eq!(unknown.json["status"], 404);
    let old = world
        .client
        .expect(404, Method::GET, "/vnflcm/v1/vnf_instances", None)
        .await
        .unwrap();
    assert!(
        old.json["detail"]
            .as_str()
            .unwrap()
            .contains("--os-tacker-api-version 2"),
        "{}",
        old.text
    );
    let versions = http.get(format!("{base}/vnflcm/api_versions")).send().await.unwrap();
    let versions: Value = versions.json().await.unwrap();
    assert_eq!(versions["apiVersions"].as_array().unwrap().len(), 2);
}
