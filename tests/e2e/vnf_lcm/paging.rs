//! Pages of lists: followed to the end as the client follows them, which takes the query of `Link` and asks the same path again.

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::{Answer, start_vim};

use super::listener::{Listener, subscribe};
use super::{World, ends, texts};

const INSTANCES: &str = "/vnflcm/v2/vnf_instances";
const OP_OCCS: &str = "/vnflcm/v2/vnf_lcm_op_occs";
const SUBSCRIPTIONS: &str = "/vnflcm/v2/subscriptions";
const MARKER: &str = "nextpage_opaque_marker";

/// Entries of a page.
const PAGE: usize = 2;

/// More pages than any list has here.
const MOST_PAGES: usize = 20;

/// Bytes of a list where it is bounded: two of the entries made for that fit, a third one does not.
const MOST_BYTES: usize = 4000;

/// A name that alternates.
fn name(n: usize) -> String {
    let kind = if n.is_multiple_of(2) { "even" } else { "odd" };
    format!("{kind}-{n}")
}

async fn paged() -> World {
    let size = PAGE.to_string();
    let arguments = [
        "--vnf-lcm-instances-page",
        &size,
        "--vnf-lcm-op-occs-page",
        &size,
        "--vnf-lcm-subscriptions-page",
        &size,
    ];
    World::with(start_vim(Faults::default()).await.unwrap(), &arguments).await
}

/// The query of a link to the next page, which has to be the one link there is.
fn query_of<'l>(world: &World, list: &str, link: &'l str) -> &'l str {
    let start = format!("<{}{list}?", world.client.base);
    let query = link.strip_prefix(&start);
    let query = query.and_then(|rest| rest.strip_suffix(">;rel=\"next\""));
    let query = query.unwrap_or_else(|| panic!("no single link of {list} to a next page: {link}"));
    assert!(!query.contains(['<', '>']), "{link}");
    assert_eq!(query.matches(MARKER).count(), 1, "it is replaced, not added: {link}");
    query
}

/// All pages from a query on.
async fn pages(world: &World, list: &str, query: &str) -> Vec<Answer> {
    let mut pages: Vec<Answer> = Vec::new();
    let mut path = format!("{list}{query}");
    loop {
        let page = world.client.expect(200, Method::GET, &path, None).await.unwrap();
        if let Some(link) = &page.link {
            let query = query_of(world, list, link);
            let last = texts(&page.json, "id").pop().unwrap().to_owned();
            assert!(query.ends_with(&format!("{MARKER}={last}")), "{link}");
            path = format!("{list}?{query}");
        }
        let is_last = page.link.is_none();
        pages.push(page);
        if is_last {
            return pages;
        }
        assert!(pages.len() < MOST_PAGES, "{list}{query} has no end");
    }
}

/// Follows a list, which is these entries in the order of their ids: each page but the last is full, and the last one is not empty.
async fn followed(world: &World, list: &str, query: &str, mut expected: Vec<String>) -> Vec<Answer> {
    expected.sort_unstable();
    let pages = pages(world, list, query).await;
    let shown: Vec<Vec<&str>> = pages.iter().map(|page| texts(&page.json, "id")).collect();
    let full: Vec<Vec<&str>> = expected
        .chunks(PAGE)
        .map(|page| page.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(shown, full, "{list}{query}");
    pages
}

/// Every other entry of a list that was made in turns.
fn every_other(ids: &[String], first: usize) -> Vec<String> {
    ids.iter().skip(first).step_by(2).cloned().collect()
}

/// Changes an instance; answers the occurrence of that.
async fn patched(world: &World, id: &str, patch: Value) -> String {
    let path = format!("{INSTANCES}/{id}");
    let accepted = world
        .client
        .expect(202, Method::PATCH, &path, Some(&patch))
        .await
        .unwrap();
    let location = accepted.location.unwrap();
    let op_occ = location.rsplit('/').next().unwrap();
    ends(world, op_occ, "COMPLETED").await;
    op_occ.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_and_occurrences_in_pages_are_whole_by_their_links_with_a_filter_and_without() {
    let world = paged().await;
    let (mut ids, mut op_occs) = (Vec::new(), Vec::new());
    for n in 0..5 {
        let name = name(n);
        let id = world.created(&name).await;
        let kind = name.split('-').next().unwrap();
        op_occs.push(patched(&world, &id, json!({"metadata": {"kind": kind}})).await);
        ids.push(id);
    }
    let (even, odd) = (every_other(&ids, 0), every_other(&ids, 1));
    followed(&world, INSTANCES, "", ids.clone()).await;
    followed(&world, INSTANCES, "?filter=(cont,vnfInstanceName,even)", even.clone()).await;
    // As many as a page has: it is the last one.
    followed(&world, INSTANCES, "?filter=(cont,vnfInstanceName,odd)", odd).await;
    // Of what the store has an index for, and of what lists do not show by default.
    let indexed = "?filter=(eq,instantiationState,NOT_INSTANTIATED)";
    followed(&world, INSTANCES, indexed, ids.clone()).await;
    followed(&world, INSTANCES, "?filter=(eq,metadata/kind,even)", even.clone()).await;
    // The selector goes with the link.
    for page in followed(&world, INSTANCES, "?all_fields&filter=(eq,metadata/kind,even)", even).await {
        for instance in page.json.as_array().unwrap() {
            assert_eq!(instance["metadata"]["kind"], "even", "{instance:#}");
        }
    }
    let (first, nobody) = (&ids[0], "?filter=(eq,vnfInstanceName,nobody)");
    let none = pages(&world, INSTANCES, nobody).await;
    assert_eq!((none.len(), none[0].text.as_str()), (1, "[]"));

    let mut of_first = vec![op_occs[0].clone()];
    for text in ["one", "another"] {
        let patch = json!({"vnfInstanceDescription": text});
        of_first.push(patched(&world, first, patch).await);
    }
    let of_metadata = op_occs.clone();
    op_occs.extend_from_slice(&of_first[1..]);
    followed(&world, OP_OCCS, "", op_occs.clone()).await;
    let indexed = format!("?filter=(eq,vnfInstanceId,{first})");
    followed(&world, OP_OCCS, &indexed, of_first.clone()).await;
    followed(&world, OP_OCCS, "?filter=(eq,operation,MODIFY_INFO)", op_occs).await;
    let on_rest = "?filter=(in,operationParams/metadata/kind,even,odd)";
    followed(&world, OP_OCCS, on_rest, of_metadata).await;
    let both = format!("?filter=(eq,vnfInstanceId,{first})&filter=(cont,operationParams/vnfInstanceDescription,one)");
    followed(&world, OP_OCCS, &both, vec![of_first[1].clone()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_in_pages_are_whole_by_their_links_with_a_filter_and_without() {
    let world = paged().await;
    let listener = Listener::start().await;
    let filter = json!({"operationStates": ["FAILED"]});
    let mut ids = Vec::new();
    for n in 0..5 {
        let callback = format!("{}/{}", listener.url, name(n));
        ids.push(subscribe(&world, &callback, filter.clone()).await);
        // Those of the other version stand among them in the store and take no place in a page.
        let of_v1 = world
            .host
            .http
            .post(format!("{}/vnflcm/v1/subscriptions", world.client.base))
            .header("Version", "1.3.0")
            .header("Accept", "application/json")
            .json(&json!({"callbackUri": callback}));
        assert_eq!(of_v1.send().await.unwrap().status(), 201);
    }
    followed(&world, SUBSCRIPTIONS, "", ids.clone()).await;
    let of_even = "?filter=(cont,callbackUri,even)";
    followed(&world, SUBSCRIPTIONS, of_even, every_other(&ids, 0)).await;
    let of_odd = "?filter=(cont,callbackUri,odd)";
    followed(&world, SUBSCRIPTIONS, of_odd, every_other(&ids, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_of_no_link_is_refused_and_one_whose_entry_is_gone_leads_on() {
    let world = paged().await;
    for list in [INSTANCES, OP_OCCS, SUBSCRIPTIONS] {
        for wrong in ["", "nobody", "a%0Ab", "..%2F..", &"x".repeat(36), &"x".repeat(256)] {
            let path = format!("{list}?{MARKER}={wrong}");
            let refused = world.client.expect(400, Method::GET, &path, None).await.unwrap();
            assert_eq!(refused.json["status"], 400, "{}", refused.text);
            let detail = refused.json["detail"].as_str().unwrap();
            assert!(detail.contains(MARKER), "{path}: {detail}");
            assert_eq!(refused.link, None, "{path}");
        }
    }
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(world.created(&name(n)).await);
    }
    ids.sort_unstable();
    let first = world.client.expect(200, Method::GET, INSTANCES, None).await.unwrap();
    assert_eq!(texts(&first.json, "id"), ids[..PAGE]);
    let gone = format!("{INSTANCES}/{}", ids[PAGE - 1]);
    world.client.expect(204, Method::DELETE, &gone, None).await.unwrap();
    let link = first.link.unwrap();
    let next = format!("?{}", query_of(&world, INSTANCES, &link));
    followed(&world, INSTANCES, &next, ids[PAGE..].to_vec()).await;
    // Behind the last one there is nothing, and no page after that.
    let behind = format!("?{MARKER}={}", ids[4]);
    let behind = pages(&world, INSTANCES, &behind).await;
    assert_eq!((behind.len(), behind[0].text.as_str()), (1, "[]"));
}

/// That a list is too big, and for how many bytes.
async fn too_big(world: &World, path: &str) {
    let refused = world.client.expect(400, Method::GET, path, None).await.unwrap();
    assert_eq!(refused.json["title"], "Response too big", "{path}: {}", refused.text);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(detail.contains(&MOST_BYTES.to_string()), "{path}: {detail}");
    assert_eq!(refused.link, None, "{path}");
}

/// Follows a list whose pages are cut by their bytes: two entries each, though more were a page.
async fn cut(world: &World, list: &str, mut expected: Vec<String>) {
    expected.sort_unstable();
    let pages = pages(world, list, "").await;
    let mut shown = Vec::new();
    for page in &pages {
        assert!(page.text.len() <= MOST_BYTES, "{list}: {} bytes", page.text.len());
        shown.extend(texts(&page.json, "id"));
    }
    assert_eq!(shown, expected, "{list}");
    let counts: Vec<usize> = pages.iter().map(|page| page.json.as_array().unwrap().len()).collect();
    assert_eq!(
        counts,
        [2, 2, 1],
        "{list}: bytes end a page, and what did not fit begins the next one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_would_be_too_big_is_shorter_and_a_list_without_pages_is_refused() {
    let most = MOST_BYTES.to_string();
    let arguments = [
        "--vnf-lcm-max-content-length",
        &most,
        "--vnf-lcm-instances-page",
        "4",
        "--vnf-lcm-subscriptions-page",
        "4",
    ];
    let world = World::with(start_vim(Faults::default()).await.unwrap(), &arguments).await;
    let listener = Listener::start().await;
    // Most of an entry.
    let long = "x".repeat(1000);
    let (mut instances, mut subscriptions) = (Vec::new(), Vec::new());
    for n in 0..5 {
        let body = json!({"vnfdId": world.package.vnfd_id, "vnfInstanceName": name(n), "vnfInstanceDescription": long});
        let made = world
            .client
            .expect(201, Method::POST, INSTANCES, Some(&body))
            .await
            .unwrap();
        instances.push(made.json["id"].as_str().unwrap().to_owned());
        let filter = json!({"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": [long, &long[..400]]}});
        subscriptions.push(subscribe(&world, &format!("{}/{}", listener.url, name(n)), filter).await);
    }
    cut(&world, INSTANCES, instances.clone()).await;
    cut(&world, SUBSCRIPTIONS, subscriptions).await;

    // One that fits into no page is not passed over in silence.
    let huge = "x".repeat(MOST_BYTES);
    patched(&world, &instances[0], json!({"metadata": {"huge": huge}})).await;
    too_big(
        &world,
        &format!("{INSTANCES}?all_fields&filter=(eq,id,{})", instances[0]),
    )
    .await;
    let filter = json!({"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": [huge]}});
    subscribe(&world, &format!("{}/huge", listener.url), filter).await;
    too_big(&world, &format!("{SUBSCRIPTIONS}?filter=(cont,callbackUri,huge)")).await;

    // Six occurrences of some seven hundred bytes each, with the one before; their list has no pages.
    let mut last = String::new();
    for n in 0..6 {
        last = patched(&world, &instances[1], json!({"vnfInstanceName": name(n)})).await;
    }
    too_big(&world, OP_OCCS).await;
    let one = format!("{OP_OCCS}?filter=(eq,id,{last})");
    let one = world.client.expect(200, Method::GET, &one, None).await.unwrap();
    assert_eq!((texts(&one.json, "id"), one.link), (vec![last.as_str()], None));
}
