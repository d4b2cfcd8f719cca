//! SSH keys that are let into VMs: against a real OpenSSH server that stands where a VM's would.

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, Sshd, wait_until};

use crate::deployed::{Deployed, LIMIT, tasks};

const KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 lcm@osm";

/// No password of anybody; to be found nowhere.
const CANARY: &str = "canary-5f0d3c1e-ssh-password";

/// A service whose first VM is said to be where the SSH server is.
async fn deployed_at(sshd: &Sshd, log: &str) -> Deployed {
    let port = sshd.port().to_string();
    let arguments = ["--ssh-port", &port, "--ssh-address", "127.0.0.1/32"];
    let deployed = Deployed::prepared_with(Faults::default(), &arguments, log, |_| {}).await;
    deployed.deploy("instantiate").await;
    at_loopback(&deployed).await;
    deployed
}

/// The record of the first VM says that it is on this machine.
async fn at_loopback(deployed: &Deployed) {
    let mut vnfr = deployed.vnfr(0).await;
    vnfr["vdur"][0]["ip-address"] = json!("127.0.0.1");
    deployed.put_vnfr(&vnfr).await;
}

/// The public half of the service's own key pair, as cloud-init gets it.
async fn own_key(deployed: &Deployed) -> String {
    let status = deployed.lcm().status(&deployed.nsr, "instantiate").await.unwrap();
    let vdu = tasks(&status).iter().find(|task| task["item"] == "vdu").unwrap();
    let keys = vdu["params"]["cloud_config"]["key-pairs"].as_array().unwrap();
    keys.last().unwrap().as_str().unwrap().to_owned()
}

async fn inject(deployed: &Deployed, body: &Value) -> String {
    deployed.lcm().deploy(&deployed.nsr, body).await.unwrap()
}

fn files_hold(path: &std::path::Path, needle: &str) -> bool {
    if path.is_dir() {
        let mut entries = std::fs::read_dir(path).unwrap();
        return entries.any(|entry| files_hold(&entry.unwrap().path(), needle));
    }
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_let_in_once_by_the_services_own_and_no_secret_is_seen() {
    let mut sshd = Sshd::prepare().unwrap();
    // Everything that could print a login.
    let log = "info,vimhost=trace,vimhost_api=trace,vimhost_engine=trace,vimhost_ssh=trace,vimhost_store_sqlite=trace,russh=trace";
    let deployed = deployed_at(&sshd, log).await;
    let own = own_key(&deployed).await;
    sshd.authorize(&own).unwrap();
    sshd.start().await.unwrap();

    let user = Sshd::user().unwrap();
    let before = deployed.vnfr(0).await;
    let vdu = before["vdur"][0]["id"].as_str().unwrap().to_owned();
    let body = Lcm::inject_body(&deployed.vnf(0), &vdu, KEY, &user);
    let action = inject(&deployed, &body).await;
    let status = deployed.done(&action).await;
    assert_eq!(sshd.keys().unwrap(), [own.as_str(), KEY]);
    let task = &tasks(&status)[0];
    assert_eq!(
        (
            tasks(&status).len(),
            &task["action"],
            &task["item"],
            &task["status"],
            &task["retries"]
        ),
        (1, &json!("EXEC"), &json!("vdu"), &json!("FINISHED"), &json!(0))
    );
    let vnf = deployed.vnf(0);
    assert_eq!(task["target_record"], format!("vnfrs:{vnf}:vdur.0.ssh_keys"));
    assert_eq!(
        (&task["target_record_id"], &task["depends_on"]),
        (&Value::Null, &json!([format!("vnfrs:{vnf}:vdur.{vdu}")]))
    );
    assert_eq!(
        (&task["params"]["ip_address"], &task["params"]["user"]),
        (&json!("127.0.0.1"), &json!(user))
    );
    // D9: nothing of it is in the record.
    let after = deployed.vnfr(0).await;
    assert_eq!((&after["vdur"], after.get("vdu")), (&before["vdur"], None));

    // Again, with another comment and with a password that is not needed: the same key is the same line.
    let mut again = Lcm::inject_body(&vnf, &vdu, &KEY.replace("lcm@osm", "other"), &user);
    again["action"]["password"] = json!(CANARY);
    let action = inject(&deployed, &again).await;
    let status = deployed.done(&action).await;
    assert_eq!(sshd.keys().unwrap(), [own.as_str(), KEY]);
    assert!(!status.to_string().contains(CANARY));

    deployed.terminate().await;
    let Deployed { vim, host, dir, .. } = deployed;
    let log = host.stop().unwrap();
    assert!(log.contains("key let in") && log.contains("host key of a VM accepted unseen"));
    assert!(!log.contains(CANARY) && !log.contains("BEGIN OPENSSH"), "in the log");
    assert!(!files_hold(dir.path(), CANARY), "in a plain file");
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_is_down_is_tried_again_by_whoever_drives_it_until_it_is_up() {
    let mut sshd = Sshd::prepare().unwrap();
    let mut deployed = deployed_at(&sshd, "info").await;
    sshd.authorize(&own_key(&deployed).await).unwrap();
    let vdu = deployed.vnfr(0).await["vdur"][0]["id"].as_str().unwrap().to_owned();
    let body = Lcm::inject_body(&deployed.vnf(0), &vdu, KEY, &Sshd::user().unwrap());
    let action = inject(&deployed, &body).await;
    wait_until("a try that fails", LIMIT, async || {
        let status = deployed.lcm().status(&deployed.nsr, &action).await?;
        let task = &tasks(&status)[0];
        Ok(status["status"] == "BUILD" && task["status"] == "BUILD" && task["retries"] == 1)
    })
    .await
    .unwrap();
    // The next try is half a minute away, for a host that starts in between too.
    deployed.host.kill();
    deployed.host = Host::start(&deployed.setup).unwrap();
    sshd.start().await.unwrap();
    deployed
        .lcm()
        .wait_done(&deployed.nsr, &action, 2 * LIMIT)
        .await
        .unwrap();
    assert_eq!(sshd.keys().unwrap().last().unwrap(), KEY);
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_vms_is_dialled_and_what_is_not_there_is_told() {
    let deployed = Deployed::new(Faults::default(), |_| {}).await;
    at_loopback(&deployed).await;
    let vnf = deployed.vnf(0);
    let vdu = deployed.vnfr(0).await["vdur"][0]["id"].as_str().unwrap().to_owned();
    let action = inject(&deployed, &Lcm::inject_body(&vnf, &vdu, KEY, "ubuntu")).await;
    let failed = deployed.failed(&action).await;
    let told =
        "Error at exec vdu: Cannot inject ssh key in VM: '127.0.0.1 is this host itself; --ssh-address permits it'";
    assert_eq!(failed, told);
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (vnf, vdu, detail) in [
        (nobody, vdu.as_str(), format!("Invalid vnf={nobody}")),
        (vnf.as_str(), "nobody", format!("Invalid vdu vnf={vnf}.nobody")),
    ] {
        let body = Lcm::inject_body(vnf, vdu, KEY, "ubuntu");
        let path = format!("ns/v1/deploy/{}", deployed.nsr);
        let (code, answer) = deployed.lcm().call("POST", &path, Some(&body)).await.unwrap();
        assert_eq!((code, &answer["detail"]), (400, &json!(detail)));
    }
    // The VM has not failed because nobody could log in.
    assert_eq!(deployed.vnfr(0).await["vdur"][0]["status"], "ACTIVE");
    assert_eq!(
        deployed.lcm().status(&deployed.nsr, "instantiate").await.unwrap()["status"],
        "DONE"
    );
    deployed.terminate().await;
    deployed.vim.stop().await.unwrap();
}
