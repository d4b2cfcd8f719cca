//! ETSI SOL003 VNF LCM, driven as its clients drive it, on stacks of the mock VIM.

use std::time::Duration;

use mock_vim::{Faults, Server};
use serde_json::{Value, json};
use vimhost_tests::{Host, SamplePackage, Setup, VnfLcm, instantiate_request, start_vim, wait_until};

mod admission;
mod changes;
mod changes_killed;
mod codes;
mod failures;
mod kill;
mod life;
mod listener;
mod lists;
mod packages;
mod paging;
mod ports;
mod quiet;
mod standard;
mod states;
mod stored;
mod subscribers;
mod takeover;
mod troubles;
mod v1;
mod waiting;

/// How long an operation on a mock VIM may take. It is there for what hangs: machines are slow, and their disks slower.
const LIMIT: Duration = Duration::from_secs(60);

/// Longer than any test.
const HELD_MS: u64 = 3_600_000;

/// A host with an account `mock` on a mock VIM, and the sample package.
struct World {
    vim: Server,
    host: Host,
    client: VnfLcm,
    package: SamplePackage,
    /// How the host is started, and started again.
    setup: Setup,
    /// Dropped last: the host writes there.
    dir: tempfile::TempDir,
}

impl World {
    async fn new(faults: Faults) -> Self {
        Self::on(start_vim(faults).await.unwrap()).await
    }

    async fn on(vim: Server) -> Self {
        Self::with(vim, &[]).await
    }

    /// On a host with more arguments.
    async fn with(vim: Server, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(dir.path());
        setup.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let host = Host::start(&setup).unwrap();
        host.add_vim("mock", &vim.url()).await.unwrap();
        let client = VnfLcm::new(&host.vnf_lcm).unwrap();
        let package = SamplePackage::default();
        client.onboard(&package).await.unwrap();
        Self {
            vim,
            host,
            client,
            package,
            setup,
            dir,
        }
    }

    /// The host dies and comes back.
    fn restart(&mut self) {
        self.host.kill();
        self.host = Host::start(&self.setup).unwrap();
        self.client = VnfLcm::new(&self.host.vnf_lcm).unwrap();
    }

    /// Changes what the host has stored, while it is dead.
    fn change_stored(&mut self, change: impl FnOnce(&stored::Database)) {
        self.host.kill();
        change(&stored::Database::open(self.dir.path()));
        self.restart();
    }

    /// Ends what is [`held`]; what begins then is not.
    fn release(&self) {
        release(&self.vim);
    }

    async fn created(&self, name: &str) -> String {
        self.client.create(&self.package.vnfd_id, name).await.unwrap()
    }

    async fn instantiated(&self, name: &str) -> String {
        let id = self.created(name).await;
        let request = instantiate_request("mock");
        self.client.complete(&id, "instantiate", &request).await.unwrap();
        id
    }
}

/// Stacks stay in progress until they are [`release`]d, or ended by the VIM's `hurry`: however long anything takes, they are
/// found so.
fn held() -> Faults {
    Faults {
        stack_delay_ms: HELD_MS,
        stack_delete_delay_ms: HELD_MS,
        ..Faults::default()
    }
}

/// Ends what is [`held`]; what begins then is not.
fn release(vim: &Server) {
    vim.set_faults(Faults::default()).unwrap();
    vim.hurry();
}

/// One more VM of VDU1.
fn scale_out() -> Value {
    json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale"})
}

/// One VM of VDU1 less.
fn scale_in() -> Value {
    json!({"type": "SCALE_IN", "aspectId": "VDU1_scale"})
}

fn forceful() -> Value {
    json!({"terminationType": "FORCEFUL"})
}

/// How many VMs an instance has, by what it says of itself.
fn vm_count(instance: &Value) -> usize {
    let vms = at(instance, "/instantiatedVnfInfo/vnfcResourceInfo");
    vms.as_array().unwrap().len()
}

/// Waits until the VIM is at work on a stack, which has to be [`held`], and the host has looked at it: all that it decided is on disk.
async fn at_work(world: &World) {
    wait_until("a stack in progress", LIMIT, async || {
        let stacks = world.vim.inventory().stacks;
        Ok(stacks.iter().any(|stack| stack.status.is_in_progress()))
    })
    .await
    .unwrap();
    let looks = || world.vim.requests().of("GET stacks list 200");
    let before = looks();
    // The first may have been begun for the step before; they come one after the other.
    wait_until("looks at it", LIMIT, async || Ok(looks() >= before + 2))
        .await
        .unwrap();
}

/// Waits for the end of an operation, which has to be in a state.
async fn ends(world: &World, op_occ: &str, state: &str) -> Value {
    let over = world.client.settled(op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], state, "{over:#}");
    over
}

/// The log once the last line of an operation that is over is in it: that is written after the state can be seen, and comes later still.
/// What was said before is in it too.
async fn log_to_end(world: &World, over: &Value) -> String {
    let [op_occ, state] = ["id", "operationState"].map(|key| over[key].as_str().unwrap());
    let last = |line: &str| line.contains(op_occ) && line.contains("entered a state") && line.contains(state);
    wait_until("the last line", LIMIT, async || Ok(world.host.log().lines().any(last)))
        .await
        .unwrap();
    world.host.log()
}

/// An element of a JSON document by pointer; the test fails when there is none.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value
        .pointer(pointer)
        .unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

/// Texts at a key of each element of a list.
fn texts<'v>(list: &'v Value, key: &str) -> Vec<&'v str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list:#}"));
    list.iter().map(|entry| entry[key].as_str().unwrap()).collect()
}
