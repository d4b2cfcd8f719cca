//! Instances of SOL003 on Heat's own services: what happens behind the host's back, and to the host itself.
//!
//! Where servers do not matter, a stack is one resource of Heat's that waits: cheap, and under way for as long as a test needs.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use http_proxy::{Effect, Fault, Proxies};
use serde_json::{Value, json};
use vimhost_openstack_tests::{Cloud, cloud};
use vimhost_tests::{Host, Kills, SamplePackage, Setup, VnfLcm, figures, wait_until};

use crate::service::{LIMIT, image, network, turn};

pub(crate) const ACCOUNT: &str = "heat";

/// Kills in each operation, at most so much apart: anywhere in a stack that waits for [`IN_KILLS`].
const KILLS: usize = 2;
const SPAN: Duration = Duration::from_secs(4);
const IN_KILLS: u32 = 8;

/// Kills of a host at work in three operations, and instances at most. An operation that is over before its second kill is due is let
/// alone, so that a second instance may be needed.
const KILLS_IN_ALL: usize = 3 * KILLS;
const MOST_LIVES: usize = 3;

/// How long Heat's API is away: longer than the stack takes that is waited for.
const AWAY: Duration = Duration::from_secs(60);
const IN_AWAY: u32 = 30;

/// When the operation is over at the latest, once Heat is back: the poller's pauses after looks that fail grow from 0.5 to 30 s, and one
/// of those may have just begun; what is left is one look, one reading of resources, and a machine that does other things too.
const BACK: Duration = Duration::from_secs(30 + 15);

/// Looks in that time at most. The pauses are 0.5, 1, 2, 4, 8, 16 and 30 s, so the seventh look is the last; one may be under way before.
const LOOKS_AWAY: u64 = 8;

/// Two VMs.
pub(crate) fn package() -> SamplePackage {
    SamplePackage {
        flavour: "m1.tiny".to_owned(),
        image: image(),
        ..SamplePackage::default()
    }
}

/// A stack without servers, each of whose operations takes Heat so long.
pub(crate) fn waiting(seconds: u32) -> SamplePackage {
    let value = "{ get_param: [ nfv, VDU, VDU1, desired_capacity ] }";
    let waits = format!("{{ create: {seconds}, update: {seconds}, delete: {seconds} }}");
    of_one_resource(&format!("value: {value}\n      action_wait_secs: {waits}"))
}

/// A stack without servers that Heat takes so long to make, and no time for anything else.
pub(crate) fn made_in(seconds: u32) -> SamplePackage {
    of_one_resource(&format!("action_wait_secs: {{ create: {seconds} }}"))
}

fn of_one_resource(properties: &str) -> SamplePackage {
    let template = format!(
        "heat_template_version: 2013-05-23
parameters:
  nfv:
    type: json
    default: {{}}
resources:
  one:
    type: OS::Heat::TestResource
    properties:
      {properties}
"
    );
    SamplePackage {
        template: Some(template),
        ..package()
    }
}

/// An instantiation on the account.
pub(crate) fn request(cloud: &Cloud) -> Value {
    let shown = cloud.openstack(&["network", "show", &network()]).unwrap();
    let id = shown["id"].as_str().unwrap();
    let mut request = vimhost_tests::instantiate_request(ACCOUNT);
    request["vimConnectionInfo"]["vim1"]["vimType"] = json!("ETSINFV.OPENSTACK_KEYSTONE.V_3");
    for link in request["extVirtualLinks"].as_array_mut().unwrap() {
        link["resourceId"] = json!(id);
    }
    request
}

pub(crate) fn forceful() -> Value {
    json!({"terminationType": "FORCEFUL"})
}

pub(crate) fn scale_out() -> Value {
    json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale"})
}

/// Done when it is dropped, so that a test that fails leaves nothing as it was in the way of others.
pub(crate) struct AtLast<F: Fn() -> anyhow::Result<()>>(pub(crate) F);

impl<F: Fn() -> anyhow::Result<()>> Drop for AtLast<F> {
    fn drop(&mut self) {
        if let Err(error) = (self.0)() {
            eprintln!("the cloud stays as a test has left it: {error:#}");
        }
    }
}

/// A host with an account on Heat, and a package.
pub(crate) struct World {
    pub(crate) cloud: &'static Cloud,
    pub(crate) host: Host,
    pub(crate) client: VnfLcm,
    pub(crate) vnfd: String,
    setup: Setup,
    /// Dropped last: the host writes there.
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(cloud: &'static Cloud, package: &SamplePackage, proxies: Option<&Proxies>) -> Self {
        Self::with(cloud, package, proxies, &[]).await
    }

    /// With arguments of the host.
    pub(crate) async fn with(
        cloud: &'static Cloud,
        package: &SamplePackage,
        proxies: Option<&Proxies>,
        arguments: &[&str],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(dir.path());
        setup.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        setup.log = "info,vimhost_engine=debug".to_owned();
        let host = Host::start(&setup).unwrap();
        let account = match proxies {
            Some(proxies) => cloud.account_through(ACCOUNT, proxies),
            None => cloud.account(ACCOUNT),
        };
        let mut account = account.unwrap();
        account.body["vim_type"] = json!("heat");
        account.add(&host).await.unwrap();
        let client = VnfLcm::new(&host.vnf_lcm).unwrap();
        client.onboard(package).await.unwrap();
        Self {
            cloud,
            host,
            client,
            vnfd: package.vnfd_id.clone(),
            setup,
            _dir: dir,
        }
    }

    pub(crate) async fn created(&self, name: &str) -> String {
        self.client.create(&self.vnfd, name).await.unwrap()
    }

    /// The host dies and comes back.
    fn restart(&mut self) {
        self.host.kill();
        self.host = Host::start(&self.setup).unwrap();
        self.client = VnfLcm::new(&self.host.vnf_lcm).unwrap();
    }

    /// Waits for the end of an operation, which has to be this.
    pub(crate) async fn ends(&self, op_occ: &str, state: &str) -> Value {
        let over = self.client.settled(op_occ, LIMIT).await.unwrap();
        assert_eq!(over["operationState"], state, "{over:#}");
        over
    }

    pub(crate) async fn completed(&self, id: &str, operation: &str, body: &Value) -> Value {
        let op_occ = self.client.begin(id, operation, body).await.unwrap();
        self.ends(&op_occ, "COMPLETED").await
    }

    /// What a client decides about an operation that failed.
    pub(crate) async fn decide(&self, op_occ: &str, verb: &str) {
        let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/{verb}");
        self.client.expect(202, Method::POST, &path, None).await.unwrap();
    }

    /// The ids of stacks with the name of an instance's.
    pub(crate) fn stacks(&self, id: &str) -> Vec<String> {
        let name = format!("vnf-{id}");
        let mut stacks = self.cloud.list(&["stack", "list"]).unwrap();
        stacks.retain(|stack| stack["Stack Name"] == *name);
        stacks
            .iter()
            .map(|stack| stack["ID"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Begins an instantiation; Heat has the stack then, and works on it.
    pub(crate) async fn begun(&self, id: &str) -> String {
        let body = request(self.cloud);
        let op_occ = self.client.begin(id, "instantiate", &body).await.unwrap();
        wait_until("the stack", LIMIT, async || Ok(self.stacks(id).len() == 1))
            .await
            .unwrap();
        op_occ
    }

    /// Deletes an instance's stack behind the host's back and makes another one of its name. Answers its id.
    async fn made_anew(&self, id: &str, template: &str) -> Vec<String> {
        let name = format!("vnf-{id}");
        let before = self.stacks(id);
        self.cloud
            .openstack_do(&["stack", "delete", "--yes", "--wait", &name])
            .unwrap();
        // The name is free a moment after its stack is gone.
        wait_until("a stack of the same name", LIMIT, async || {
            let made = self
                .cloud
                .openstack_do(&["stack", "create", "--wait", "-t", template, &name]);
            Ok(made.is_ok())
        })
        .await
        .unwrap();
        let after = self.stacks(id);
        assert_ne!(before, after);
        after
    }

    pub(crate) async fn terminated(&self, id: &str) {
        self.completed(id, "terminate", &forceful()).await;
        assert_eq!(self.stacks(id), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn a_stack_that_was_made_anew_behind_the_hosts_back_is_found_by_its_name() {
    let _turn = turn().await;
    let package = waiting(0);
    let world = World::new(cloud(), &package, None).await;
    let file = world.setup.data_dir.join("anew.yaml");
    std::fs::write(&file, package.template.unwrap()).unwrap();
    let file = file.to_str().unwrap();

    let id = world.created("anew").await;
    world.completed(&id, "instantiate", &request(world.cloud)).await;
    let after = world.made_anew(&id, file).await;

    world.completed(&id, "scale", &scale_out()).await;
    assert_eq!(world.stacks(&id), after, "it was changed, and no other was made");
    let shown = world.client.instance(&id).await.unwrap();
    assert_eq!(
        shown["instantiatedVnfInfo"]["metadata"]["stack_id"], after[0],
        "{shown:#}"
    );
    let warned = || world.host.log().matches("stack_id lost").count();
    let before = warned();
    assert!(before > 0, "{}", world.host.log());
    world.terminated(&id).await;

    // Nothing between that would have looked at the name.
    let id = world.created("anew-and-over").await;
    world.completed(&id, "instantiate", &request(world.cloud)).await;
    world.made_anew(&id, file).await;
    world.terminated(&id).await;
    assert!(warned() > before, "{}", world.host.log());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn the_end_of_an_update_is_not_taken_for_that_of_the_next() {
    let _turn = turn().await;
    let world = World::new(cloud(), &waiting(6), None).await;
    let id = world.created("updates").await;
    world.completed(&id, "instantiate", &request(world.cloud)).await;
    let name = format!("vnf-{id}");
    for _ in 0..2 {
        let begun = Instant::now();
        world.completed(&id, "scale", &scale_out()).await;
        let lasted = begun.elapsed();
        let shown = world.cloud.openstack(&["stack", "show", &name]).unwrap();
        assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown:#}");
        // Heat waits so long in each update.
        assert!(lasted >= Duration::from_secs(5), "{lasted:?}");
    }
    world.terminated(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn a_host_killed_in_an_operation_on_a_stack_ends_it_and_makes_no_second_one() {
    let _turn = turn().await;
    let test = "a_host_killed_in_an_operation_on_a_stack_ends_it_and_makes_no_second_one";
    let mut kills = Kills::seeded(test);
    let mut world = World::new(cloud(), &waiting(IN_KILLS), None).await;
    let mut killed = [0_usize; 3];
    let mut lives = 0;
    while kills.counted() < KILLS_IN_ALL || killed.contains(&0) {
        assert!(
            lives < MOST_LIVES,
            "{KILLS_IN_ALL} kills of a host at work are wanted, and one in each operation: {killed:?} in {lives} lives"
        );
        let in_life = live_and_die(&mut world, &format!("killed-{lives}"), &mut kills).await;
        for (sum, kills) in killed.iter_mut().zip(in_life) {
            *sum += kills;
        }
        lives += 1;
    }
    let line = format!(
        "seed {}: {} kills of a host at work, {killed:?} in instantiate, scale and terminate of {lives} lives",
        kills.seed(),
        kills.counted()
    );
    figures::note(test, &line).unwrap();
}

/// An instance from its instantiation to its termination, while the host is killed; answers the kills of each operation.
async fn live_and_die(world: &mut World, name: &str, kills: &mut Kills) -> [usize; 3] {
    let id = world.created(name).await;
    let instantiation = request(world.cloud);
    let mut killed = [0_usize; 3];
    for (killed, (operation, body, stacks)) in killed.iter_mut().zip([
        ("instantiate", instantiation, 1),
        ("scale", scale_out(), 1),
        ("terminate", forceful(), 0),
    ]) {
        let op_occ = world.client.begin(&id, operation, &body).await.unwrap();
        while *killed < KILLS && kills.hits(SPAN, world.client.is_running(&op_occ)).await.unwrap() {
            world.restart();
            *killed += 1;
        }
        world.ends(&op_occ, "COMPLETED").await;
        assert_eq!(world.stacks(&id).len(), stacks, "{operation}");
    }
    killed
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn a_token_that_is_refused_while_a_stack_is_waited_for_is_asked_for_anew_once() {
    let _turn = turn().await;
    let proxies = Proxies::before(&cloud().services().unwrap()).await.unwrap();
    let world = World::new(cloud(), &waiting(15), Some(&proxies)).await;
    let id = world.created("token").await;
    let op_occ = world.begun(&id).await;
    let tokens = || proxies.counts().get("POST identity /auth/tokens").copied();
    assert_eq!(tokens(), Some(1));
    // What Heat answers to a token that was revoked.
    let revoked = Effect::Refuse {
        status: StatusCode::UNAUTHORIZED,
        retry_after: None,
    };
    let look = Fault::new(revoked)
        .service("orchestration")
        .request(Method::GET, "/stacks/{name}/{id}");
    proxies.inject(look.times(1));
    world.ends(&op_occ, "COMPLETED").await;
    assert_eq!(tokens(), Some(2));
    world.terminated(&id).await;
    assert_eq!(tokens(), Some(2), "the second one is kept");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn heats_api_may_be_away_for_a_minute_and_the_log_says_so_once_and_when_it_is_back() {
    let _turn = turn().await;
    let proxies = Proxies::before(&cloud().services().unwrap()).await.unwrap();
    let world = World::new(cloud(), &made_in(IN_AWAY), Some(&proxies)).await;
    let id = world.created("minute").await;
    let op_occ = world.begun(&id).await;

    let of_heat = || -> u64 {
        let counts = proxies.counts();
        let heat = counts.iter().filter(|(what, _)| what.contains(" orchestration "));
        heat.map(|(_, count)| count).sum()
    };
    let before = of_heat();
    // A connection that is closed fails at once. One that hangs fails after 10 s while it is made, and after 60 s without an answer.
    proxies.cut("orchestration");
    // As long as it is away; what is waited for comes after.
    tokio::time::sleep(AWAY).await;
    let looks = of_heat() - before;
    let shown = world.client.op_occ(&op_occ).await.unwrap();
    assert_eq!(
        shown["operationState"], "PROCESSING",
        "it waits for Heat, after {looks} looks: {shown:#}"
    );
    proxies.mend();
    let back = Instant::now();
    world.ends(&op_occ, "COMPLETED").await;
    let late = back.elapsed();
    println!("Heat away for {AWAY:?}: {looks} looks in vain, COMPLETED {late:.1?} after it was back");
    assert!(late <= BACK, "COMPLETED {late:?} after Heat was back, {BACK:?} at most");
    assert!(
        (1..=LOOKS_AWAY).contains(&looks),
        "{looks} looks while Heat was away for {AWAY:?}, {LOOKS_AWAY} at most"
    );
    assert_eq!(world.stacks(&id).len(), 1);
    world.terminated(&id).await;

    let log = world.host.log();
    let (away, again) = ("stacks not observed", "stacks observed again");
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(away) || line.contains(again))
        .collect();
    assert_eq!(
        told.len(),
        2,
        "once that it is away, after {looks} looks, and once that it is back: {told:#?}"
    );
    assert!(told[0].contains("WARN") && told[0].contains(away), "{told:#?}");
    assert!(told[1].contains("INFO") && told[1].contains(again), "{told:#?}");
    assert!(!log.contains("operation failed"), "{log}");
    let tokens = proxies.counts().get("POST identity /auth/tokens").copied();
    assert_eq!(tokens, Some(1), "the token outlives Heat's absence");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn a_template_that_heat_refuses_is_told_in_heats_words() {
    let _turn = turn().await;
    let broken = of_one_resource("value: { get_resource: nobody_of_this_name }");
    let world = World::new(cloud(), &broken, None).await;
    let id = world.created("refused").await;
    let body = request(world.cloud);
    let op_occ = world.client.begin(&id, "instantiate", &body).await.unwrap();
    let over = world.ends(&op_occ, "FAILED_TEMP").await;
    let told = over["error"]["detail"].as_str().unwrap();
    assert!(
        told.contains("nobody_of_this_name") && told.contains("is incorrect"),
        "{told}"
    );
    assert_eq!(over["error"]["status"], 400, "{over:#}");
    world.decide(&op_occ, "rollback").await;
    world.ends(&op_occ, "ROLLED_BACK").await;
    assert_eq!(world.stacks(&id), Vec::<String>::new());
    let path = format!("/vnflcm/v2/vnf_instances/{id}");
    world.client.expect(204, Method::DELETE, &path, None).await.unwrap();
}
