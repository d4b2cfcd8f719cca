//! The rules of the state, with time as data.

use serde_json::json;

use super::*;
use crate::elements::ServerStatus;
use crate::faults::Faults;
use crate::state::filter::Filter;

const T0: UnixMillis = UnixMillis(1_000_000);

struct Vim {
    state: State,
    faults: Armed,
    now: UnixMillis,
}

impl Vim {
    fn with(faults: Faults) -> Self {
        Self {
            state: State::preset(),
            faults: Armed::new(faults),
            now: T0,
        }
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
        self.state.advance(self.now);
    }

    fn create<T: Collection>(&mut self, body: Value) -> Result<Arc<T>, Refusal> {
        let new = serde_json::from_value(body).expect("a body of the right shape");
        T::create(&mut self.state, new, &mut self.faults, self.now)
    }

    fn server(&mut self, more: Value) -> Arc<Server> {
        let flavour = self
            .create::<Flavour>(json!({"name": "f", "vcpus": 1, "ram": 512}))
            .unwrap();
        let image = self.state.images.iter().next().unwrap().meta.id.clone();
        let mut body = json!({"name": "s", "flavour": flavour.meta.id, "image": image});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.create(body).unwrap()
    }

    fn status(&self, server: &Server) -> ServerStatus {
        self.state.find::<Server>(&server.meta.id).unwrap().status
    }

    fn act(&mut self, server: &Server, action: Value) -> Result<Done, Refusal> {
        let action = serde_json::from_value(action).expect("an action");
        let delay = self.faults.script().action_delay_ms;
        self.state.act(&server.meta.id, action, delay, self.now)
    }
}

#[test]
fn a_server_is_active_when_its_build_delay_is_over_and_not_before() {
    let mut vim = Vim::with(Faults {
        build_delay_ms: 100,
        ..Faults::default()
    });
    let server = vim.server(json!({}));
    let stopped = vim.server(json!({"start": false}));
    vim.wait(99);
    assert_eq!(vim.status(&server), ServerStatus::Build);
    let seq = vim.state.seq();
    vim.wait(1);
    assert_eq!(vim.status(&server), ServerStatus::Active);
    assert_eq!(vim.status(&stopped), ServerStatus::Shutoff);
    let changes = vim.state.servers.changes(seq, usize::MAX).unwrap();
    assert_eq!(
        changes.changed.len(),
        2,
        "both changes have a sequence number of their own"
    );
}

#[test]
fn actions_move_only_along_the_drawn_lines() {
    let mut vim = Vim::with(Faults::default());
    let server = vim.server(json!({}));
    assert!(
        matches!(vim.act(&server, json!({"action": "stop"})), Err(Refusal::Conflict(_))),
        "BUILD"
    );
    vim.wait(0);
    for (action, then) in [
        ("pause", ServerStatus::Paused),
        ("unpause", ServerStatus::Active),
        ("suspend", ServerStatus::Suspended),
        ("resume", ServerStatus::Active),
        ("stop", ServerStatus::Shutoff),
        ("start", ServerStatus::Active),
    ] {
        vim.act(&server, json!({"action": action})).unwrap();
        assert_eq!(vim.status(&server), then);
    }
    for action in ["start", "unpause", "resume"] {
        assert!(
            matches!(vim.act(&server, json!({"action": action})), Err(Refusal::Conflict(_))),
            "{action}"
        );
    }
}

#[test]
fn actions_that_take_time_show_it_and_refuse_others_meanwhile() {
    let mut vim = Vim::with(Faults {
        action_delay_ms: 50,
        ..Faults::default()
    });
    let port = {
        let network = vim.create::<Network>(json!({"name": "n"})).unwrap();
        vim.create::<Port>(json!({"network": network.meta.id})).unwrap()
    };
    let server = vim.server(json!({"ports": [port.meta.id]}));
    vim.wait(0);
    vim.act(&server, json!({"action": "migrate"})).unwrap();
    assert_eq!(vim.status(&server), ServerStatus::Migrating);
    assert!(matches!(
        vim.act(&server, json!({"action": "reboot"})),
        Err(Refusal::Conflict(_))
    ));
    vim.wait(50);
    let moved = vim.state.find::<Server>(&server.meta.id).unwrap();
    assert_eq!(moved.status, ServerStatus::Active);
    assert_ne!(moved.host, server.host);
    assert_eq!(
        vim.state.find::<Port>(&port.meta.id).unwrap().host.as_ref(),
        Some(&moved.host),
        "its port goes along"
    );

    let larger = vim.create::<Flavour>(json!({"vcpus": 2, "ram": 1024})).unwrap();
    vim.act(&server, json!({"action": "stop"})).unwrap();
    vim.act(&server, json!({"action": "resize", "flavour": larger.meta.id}))
        .unwrap();
    assert_eq!(vim.status(&server), ServerStatus::Resize);
    vim.wait(50);
    let resized = vim.state.find::<Server>(&server.meta.id).unwrap();
    assert_eq!(
        (resized.status, &resized.flavour),
        (ServerStatus::Shutoff, &larger.meta.id),
        "stopped stays stopped"
    );
}

#[test]
fn a_scripted_server_ends_in_error_and_a_rebuild_heals_it() {
    let error = crate::ServerError {
        name: Some("bad-*".to_owned()),
        ..crate::ServerError::default()
    };
    let mut vim = Vim::with(Faults {
        server_error: vec![error],
        ..Faults::default()
    });
    let bad = vim.server(json!({"name": "bad-1"}));
    let good = vim.server(json!({"name": "good"}));
    vim.wait(0);
    assert_eq!(vim.status(&good), ServerStatus::Active);
    let failed = vim.state.find::<Server>(&bad.meta.id).unwrap();
    assert_eq!(failed.status, ServerStatus::Error);
    assert_eq!(failed.fault.as_ref().unwrap().message, "No valid host was found.");
    vim.act(&bad, json!({"action": "rebuild"})).unwrap();
    vim.wait(0);
    let healed = vim.state.find::<Server>(&bad.meta.id).unwrap();
    assert_eq!((healed.status, &healed.fault), (ServerStatus::Active, &None));
}

#[test]
fn hosts_alternate_and_groups_place() {
    let mut vim = Vim::with(Faults::default());
    assert_ne!(vim.server(json!({})).host, vim.server(json!({})).host);
    let together = vim.create::<Group>(json!({"type": "affinity"})).unwrap();
    let apart = vim.create::<Group>(json!({"type": "anti-affinity"})).unwrap();
    let hosts = |vim: &mut Vim, group: &Group| {
        let first = vim.server(json!({"group": group.meta.id})).host.clone();
        vim.server(json!({}));
        (first, vim.server(json!({"group": group.meta.id})).host.clone())
    };
    let (a, b) = hosts(&mut vim, &together);
    assert_eq!(a, b);
    let (a, b) = hosts(&mut vim, &apart);
    assert_ne!(a, b);
}

#[test]
fn addresses_are_allocated_round_the_subnet_and_never_twice() {
    let mut vim = Vim::with(Faults::default());
    let profile = json!({"subnet_address": "192.0.2.0/29", "gateway_address": "192.0.2.3"});
    let network = vim
        .create::<Network>(json!({"name": "n", "ip_profile": profile}))
        .unwrap();
    let port = |vim: &mut Vim, ip: Value| vim.create::<Port>(json!({"network": network.meta.id, "ip": ip}));
    let mut ips = Vec::new();
    let first = port(&mut vim, Value::Null).unwrap();
    ips.push(first.ip.to_string());
    for _ in 0..3 {
        ips.push(port(&mut vim, Value::Null).unwrap().ip.to_string());
    }
    // .0 is the network, .1 is left to a gateway, .3 is the gateway, .7 is broadcast.
    assert_eq!(ips, ["192.0.2.2", "192.0.2.4", "192.0.2.5", "192.0.2.6"]);
    assert!(matches!(port(&mut vim, Value::Null), Err(Refusal::Conflict(_))), "full");
    assert!(
        matches!(port(&mut vim, json!("192.0.2.2")), Err(Refusal::Conflict(_))),
        "taken"
    );
    assert!(
        matches!(port(&mut vim, json!("192.0.9.2")), Err(Refusal::BadRequest(_))),
        "elsewhere"
    );
    Port::delete(&mut vim.state, &first.meta.id).unwrap();
    assert_eq!(
        port(&mut vim, Value::Null).unwrap().ip,
        first.ip,
        "a released address comes back"
    );
}

#[test]
fn allocated_subnets_macs_and_vlans_differ_and_are_the_same_in_every_run() {
    let run = || {
        let mut vim = Vim::with(Faults::default());
        (0..40)
            .map(|_| {
                let network = vim.create::<Network>(json!({})).unwrap();
                let port = vim.create::<Port>(json!({"network": network.meta.id})).unwrap();
                assert_eq!(port.vlan, network.vlan);
                (network.subnet, network.vlan, port.mac.clone())
            })
            .collect::<Vec<_>>()
    };
    let given = run();
    assert_eq!(given, run());
    assert_eq!(given.iter().map(|given| given.0).collect::<BTreeSet<_>>().len(), 40);
    assert_eq!(given.iter().map(|given| given.1).collect::<BTreeSet<_>>().len(), 40);
    assert_eq!(given.iter().map(|given| &given.2).collect::<BTreeSet<_>>().len(), 40);
    assert_eq!(
        (given[16].0.to_string().as_str(), given[0].2.as_str()),
        ("10.1.0.0/20", "fa:16:3e:00:00:01")
    );
}

#[test]
fn ipv6_networks_allocate_too() {
    let mut vim = Vim::with(Faults::default());
    let network = vim
        .create::<Network>(json!({"ip_profile": {"cidr": "2001:db8::/64"}}))
        .unwrap();
    let port = vim.create::<Port>(json!({"network": network.meta.id})).unwrap();
    assert_eq!(port.ip.to_string(), "2001:db8::2");
}

#[test]
fn sriov_ports_have_a_pci_address_while_attached() {
    let mut vim = Vim::with(Faults::default());
    let network = vim
        .create::<Network>(json!({"type": "data", "provider": {"segmentation_id": 77}}))
        .unwrap();
    let port = vim
        .create::<Port>(json!({"network": network.meta.id, "type": "SR-IOV"}))
        .unwrap();
    assert_eq!((port.pci.as_deref(), port.vlan), (None, 77));
    let server = vim.server(json!({"ports": [port.meta.id]}));
    assert_eq!(
        vim.state.find::<Port>(&port.meta.id).unwrap().pci.as_deref(),
        Some("0000:af:10.1")
    );
    Server::delete(&mut vim.state, &server.meta.id).unwrap();
    assert_eq!(vim.state.find::<Port>(&port.meta.id).unwrap().pci, None);
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    let mut vim = Vim::with(Faults {
        build_delay_ms: 100,
        volume_delay_ms: 100,
        ..Faults::default()
    });
    let network = vim.create::<Network>(json!({"name": "n", "token": "t"})).unwrap();
    let port = vim.create::<Port>(json!({"network": network.meta.id})).unwrap();
    let server = vim.server(json!({"ports": [port.meta.id]}));
    let volume = vim.create::<Volume>(json!({"size": 1})).unwrap();
    let gone = vim.create::<Group>(json!({"type": "affinity"})).unwrap();
    Group::delete(&mut vim.state, &gone.meta.id).unwrap();
    let (token, _) = vim.state.log_in(vim.now, Duration::from_secs(1));

    let bytes = serde_json::to_vec(&vim.state.save()).unwrap();
    let before = (vim.state.seq(), vim.state.networks.iter().cloned().collect::<Vec<_>>());
    vim.state = State::load(serde_json::from_slice(&bytes).unwrap());

    assert_eq!(
        before,
        (vim.state.seq(), vim.state.networks.iter().cloned().collect::<Vec<_>>())
    );
    assert_eq!(vim.state.networks.counted(), 1, "presets are still known as such");
    assert!(vim.state.knows(&token, vim.now));
    assert!(
        matches!(
            Network::delete(&mut vim.state, &network.meta.id),
            Err(Refusal::Conflict(_))
        ),
        "its port counts"
    );
    assert_ne!(
        vim.create::<Port>(json!({"network": network.meta.id})).unwrap().ip,
        port.ip
    );
    assert_eq!(
        vim.state.groups.changes(1, usize::MAX).unwrap().deleted[0].id,
        gone.meta.id
    );
    vim.wait(100);
    assert_eq!(vim.status(&server), ServerStatus::Active);
    assert_eq!(
        vim.state.find::<Volume>(&volume.meta.id).unwrap().status,
        VolumeStatus::Available
    );
    let by_token = Filter::parse::<Network>(vec![("token".to_owned(), "t".to_owned())]).unwrap();
    assert_eq!(vim.state.networks.page(&by_token).items.len(), 1);
}

#[test]
fn forgotten_deletions_make_old_cursors_invalid_but_not_a_fresh_start() {
    let mut vim = Vim::with(Faults::default());
    let seq = vim.state.seq();
    // One more than a table remembers, see `TOMBSTONES_KEPT`.
    for _ in 0..20_001 {
        let group = vim.create::<Group>(json!({"type": "affinity"})).unwrap();
        Group::delete(&mut vim.state, &group.meta.id).unwrap();
    }
    assert!(vim.state.groups.changes(seq, usize::MAX).is_none());
    assert!(vim.state.groups.changes(0, usize::MAX).is_some());
    let recent = vim.state.seq() - 2;
    assert_eq!(vim.state.groups.changes(recent, usize::MAX).unwrap().deleted.len(), 1);
}

#[test]
fn only_a_volume_for_many_is_attached_to_a_second_server_and_it_is_free_when_the_last_is_gone() {
    let mut vim = Vim::with(Faults::default());
    for (metadata, second) in [(json!({"multi_attach": true}), true), (json!({}), false)] {
        let volume = vim.create::<Volume>(json!({"size": 1, "metadata": metadata})).unwrap();
        vim.wait(1);
        let first = vim.server(json!({"volumes": [volume.meta.id]}));
        let image = vim.state.images.iter().next().unwrap().meta.id.clone();
        let body = json!({"flavour": first.flavour, "image": image, "volumes": [volume.meta.id]});
        let other = vim.create::<Server>(body);
        assert_eq!(other.is_ok(), second);
        Server::delete(&mut vim.state, &first.meta.id).unwrap();
        if let Ok(other) = other {
            assert!(matches!(
                Volume::delete(&mut vim.state, &volume.meta.id),
                Err(Refusal::Conflict(_))
            ));
            Server::delete(&mut vim.state, &other.meta.id).unwrap();
        }
        Volume::delete(&mut vim.state, &volume.meta.id).unwrap();
    }
}
