//! Templates of user data that would take all memory end no host, and good ones render as ever.

use std::time::{Duration, Instant};

use mock_vim::Faults;
use serde_json::{Value, json};

use crate::deployed::Deployed;

const LOCATION: &str = "6d9e1ca1-f387-4d01-9876-066fc7311e0f:file:cloud-config.txt";

/// Memory that the host may have more of, in KiB: each of the templates would take gigabytes.
const MORE_KIB: u64 = 256 << 10;

/// What the host had in memory at most, in KiB.
fn most_resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Processes that render for a host: their ids.
fn children(host: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Whatever ends meanwhile is none.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(host) {
            found.push(pid);
        }
    }
    found
}

fn with_template(deployed: &Deployed, action: &str, template: &str) -> Value {
    let mut body = deployed.body(action);
    body["cloud_init_content"] = json!({ LOCATION: template });
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_would_take_all_memory_is_refused_and_the_host_goes_on() {
    let deployed = Deployed::prepared(Faults::default(), |_| {}).await;
    let (host, lcm) = (&deployed.host, deployed.lcm());
    let path = format!("ns/v1/deploy/{}", deployed.nsr);
    let before = most_resident(host.pid());
    let memory = "exceeds 256 MiB of memory";
    let doubled = format!(
        "{{% set x = 'x' * 1024 %}}{}{{{{ x|length }}}}",
        "{% set x = x ~ x %}".repeat(40)
    );
    let replaced = format!(
        "{{% set x = 'aaaaaaaaaa' %}}{}{{{{ x|length }}}}",
        "{% set x = x|replace('a', 'aaaaaaaaaa') %}".repeat(12)
    );
    let joined = format!(
        "{{% set x = 'x' * 1000 %}}{}{{{{ x|length }}}}",
        "{% set x = [x, x, x, x, x, x, x, x, x, x]|join %}".repeat(8)
    );
    for (what, template, reason) in [
        ("a text that is doubled", doubled.as_str(), memory),
        ("a text that is replaced by more", replaced.as_str(), memory),
        ("a text that is joined with itself", joined.as_str(), memory),
        (
            "a width of an indentation",
            "{{ 'a'|indent(99999999999) }}",
            "filter indent makes more than",
        ),
        (
            "a width of a number",
            "{{ '%99999999999d'|format(1) }}",
            "filter format makes more than",
        ),
        ("a text that is multiplied", "{{ 'a' * 99999999999 }}", "too large"),
    ] {
        let begun = Instant::now();
        let body = with_template(&deployed, "refused", template);
        let (status, answer) = lcm.call("POST", &path, Some(&body)).await.unwrap();
        assert_eq!(status, 400, "{what}: {answer}");
        let detail = answer["detail"].as_str().unwrap();
        for needle in [LOCATION, "VDU mgmtVM", reason] {
            assert!(detail.contains(needle), "{what}: {needle}: {detail}");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{what}: {:?}",
            begun.elapsed()
        );
        let most = most_resident(host.pid());
        assert!(
            most < before + MORE_KIB,
            "{what}: {most} KiB at most, {before} KiB before"
        );
    }
    let (_, actions) = lcm.call("GET", &path, None).await.unwrap();
    assert_eq!(actions, json!([]), "nothing of the refused requests was stored");

    // Whatever ended was not the host: the very one that was started deploys.
    let template = "#cloud-config\r\nhostname: {{ OSM.member_vnf_index }}-{{ OSM.vdu_id|upper }}\n\
                    {% for i in range(3) %}{{ '%03d'|format(i) }} {% endfor %}{{ [1.5, none, true] }}\n\n";
    let action = lcm
        .deploy(&deployed.nsr, &with_template(&deployed, "good", template))
        .await
        .unwrap();
    deployed.done(&action).await;
    let mut texts: Vec<String> = deployed
        .vim
        .inventory()
        .servers
        .iter()
        .filter_map(|server| server.user_data.clone())
        .collect();
    texts.sort();
    assert_eq!(texts.len(), 2);
    for (text, vnf) in texts.iter().zip(["vnf1", "vnf2"]) {
        // Behind it comes the key of the service.
        let (rendered, _) = text.split_once("\n#cloud-config\n{").unwrap();
        let wanted = format!("#cloud-config\nhostname: {vnf}-MGMTVM\n000 001 002 [1.5, None, True]\n");
        assert_eq!(rendered, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_user_data_starts_no_process_and_those_of_templates_end_with_the_host() {
    let mut deployed = Deployed::prepared(Faults::default(), |_| {}).await;
    let lcm = deployed.lcm();
    let pid = deployed.host.pid();
    let plain = with_template(&deployed, "plain", "#cloud-config\nruncmd: [\"echo ${HOME}\"]\n");
    let action = lcm.deploy(&deployed.nsr, &plain).await.unwrap();
    deployed.done(&action).await;
    assert_eq!(children(pid), Vec::<u32>::new());
    // The new VM has a template.
    deployed.scale_out(1).await;
    let rendering = children(pid);
    assert!(!rendering.is_empty());

    deployed.host.kill();
    vimhost_tests::wait_until("the end of what renders", Duration::from_secs(30), async || {
        let gone = |pid: &u32| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            // Nobody may have asked for its end yet.
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        Ok(rendering.iter().all(gone))
    })
    .await
    .unwrap();
}
