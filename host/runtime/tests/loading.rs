//! From a file to a plugin, or to a reason.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::json;
use support::{Host, account, config, guest};
use vimhost_connector::{Connectors as _, FindRequest, LoadError, PluginState};
use vimhost_model::VimId;
use vimhost_runtime::{Allocation, HostKey, Limits, Runtime, RuntimeConfig};

async fn reason(host: &Host, bytes: Vec<u8>) -> String {
    let info = host.runtime.load_bytes("x.wasm", bytes).await;
    let PluginState::Failed(reason) = info.state else {
        panic!("{:?}", info.state)
    };
    reason
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_connector_is_refused_with_the_reason() {
    let host = Host::empty(Limits::default());
    assert_eq!(reason(&host, vec![]).await, "the file is empty");
    assert_eq!(reason(&host, b"#!/bin/sh".to_vec()).await, "it is not WebAssembly");
    assert_eq!(reason(&host, b"(component)".to_vec()).await, "it is not WebAssembly");
    assert!(
        reason(&host, component("(module)"))
            .await
            .contains("core module, not a component")
    );
    let mut broken = guest().to_vec();
    broken.truncate(broken.len() / 2);
    assert!(reason(&host, broken).await.starts_with("it cannot be compiled"));
    assert!(
        reason(&host, component("(component)"))
            .await
            .contains("does not export vimhost:connector/connector@0.1.x")
    );
    let later = r#"(component (instance $i) (export "vimhost:connector/connector@0.2.0" (instance $i)))"#;
    assert_eq!(
        reason(&host, component(later)).await,
        "it is built on contract 0.2.0; this host serves 0.1.x"
    );
    let empty = r#"(component (instance $i) (export "vimhost:connector/connector@0.1.0" (instance $i)))"#;
    let text = reason(&host, component(empty)).await;
    assert!(
        text.starts_with("its interface connector is incomplete") && text.contains("describe"),
        "{text}"
    );
    let greedy = r#"(component
        (import "wasi:nn/graph@0.2.0" (instance))
        (instance $i) (export "vimhost:connector/connector@0.1.0" (instance $i)))"#;
    assert_eq!(
        reason(&host, component(greedy)).await,
        "it imports 'wasi:nn/graph@0.2.0', which this host does not offer to plugins"
    );
    let typed = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 7) (func (export "g") (param i32) (result i32) i32.const 7))
        (core instance $c (instantiate $m))
        (func $f (result u32) (canon lift (core func $c "f")))
        (func $g (param "account" u32) (result u32) (canon lift (core func $c "g")))
        (instance $i (export "describe" (func $f)) (export "check" (func $g)))
        (export "vimhost:connector/connector@0.1.0" (instance $i)))"#;
    let text = reason(&host, component(typed)).await;
    assert!(
        text.contains("does not follow the contract") || text.contains("expected"),
        "{text}"
    );
    assert_eq!(host.runtime.plugins().len(), 1, "failures of one file are shown once");

    let error = host.runtime.open(&account("http://x", json!({}))).await.err().unwrap();
    assert!(matches!(error, LoadError::NoPlugin { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_tells_who_it_is_and_what_it_offers() {
    let host = Host::new(Limits::default()).await;
    let info = host.plugin();
    let told = info.descriptor.unwrap();
    assert_eq!(
        (told.name.as_str(), told.vim_types),
        ("misbehave", vec!["misbehave".to_owned()])
    );
    assert!(info.capabilities.infrastructure && !info.capabilities.operations && !info.capabilities.stacks);
    assert_eq!(info.rules_digest.unwrap().len(), 64);
    assert_eq!(info.digest.len(), 64);

    let connector = host.misbehaving("").await;
    let found = connector
        .find(FindRequest::Images(vimhost_connector::Filter {
            name: Some("cirros".into()),
            ..Default::default()
        }))
        .await
        .unwrap();
    assert_eq!(found[0].details, json!({ "min_disk": 1 }));
    assert_eq!(found[0].name.as_deref(), Some("cirros"));
    let error = connector
        .find(FindRequest::Group(VimId::new("g").unwrap()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind.as_str(), error.message.as_str()),
        ("not-found", "no such\\ngroup")
    );
    let error = connector.find_stack("s").await.unwrap_err();
    assert_eq!(error.kind.as_str(), "unsupported");
    assert!(error.message.contains("has no stacks interface"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_must_fit_its_plugin() {
    let host = Host::new(Limits::default()).await;
    let open = |account| {
        let runtime = std::sync::Arc::clone(&host.runtime);
        async move {
            runtime
                .open(&account)
                .await
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        }
    };
    let whole = account("http://127.0.0.1:9", json!({}));
    assert_eq!(open(whole.clone()).await, "");
    let mut bare = whole.clone();
    bare.credentials.clear();
    assert!(
        open(bare)
            .await
            .contains("the credential 'password' is missing: Password of the user.")
    );
    let mut other = whole.clone();
    other.vim_type = "nosuch".into();
    assert_eq!(
        open(other).await,
        "no plugin serves VIM type 'nosuch'; loaded are: misbehave"
    );
    let mut approved = whole.clone();
    approved.grants.approved_rules = host.plugin().rules_digest;
    assert_eq!(open(approved.clone()).await, "");
    approved.grants.approved_rules = Some("0".repeat(64));
    assert!(open(approved).await.contains("vimhost vim allow vim-1 --rules"));
    let mut leaking = whole.clone();
    leaking.url = "http://user:word@127.0.0.1:9".into();
    assert!(open(leaking).await.contains("its URL holds a user or a password"));
    let mut ca = whole;
    ca.ca_certificates = Some("rubbish".into());
    assert!(open(ca).await.contains("CA certificates"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_used_again_and_never_when_changed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("images");
    let load = async |key: [u8; 32]| {
        let runtime = Runtime::new(RuntimeConfig {
            host_key: HostKey::new(key),
            ..config(&cache, Limits::default())
        })
        .unwrap();
        runtime.load_bytes("g.wasm", guest().to_vec()).await.state
    };
    let image = || {
        let files: Vec<_> = fs::read_dir(&cache)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    };
    let inode = || std::os::unix::fs::MetadataExt::ino(&image().metadata().unwrap());

    assert_eq!(load([1; 32]).await, PluginState::Ready);
    assert_eq!(cache.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let first = inode();
    let good = fs::read(image()).unwrap();
    assert_eq!(load([1; 32]).await, PluginState::Ready);
    assert_eq!(inode(), first, "the image was used, not written again");

    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for forged in [flipped, good[..good.len() - 1].to_vec(), vec![]] {
        fs::write(image(), &forged).unwrap();
        let before = inode();
        assert_eq!(load([1; 32]).await, PluginState::Ready);
        assert_ne!(inode(), before, "it was compiled again");
        assert_eq!(fs::read(image()).unwrap().len(), good.len());
    }
    let before = inode();
    assert_eq!(load([2; 32]).await, PluginState::Ready);
    assert_ne!(inode(), before, "an image under another key is not trusted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_no_start_uses_are_removed_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("images");
    let month = Duration::from_secs(30 * 24 * 3600);
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&cache)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let age = |name: &str| {
        let file = fs::File::options().write(true).open(cache.join(name)).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - 2 * month).unwrap();
    };
    let start = async || {
        let runtime = Runtime::new(config(&cache, Limits::default())).unwrap();
        assert_eq!(
            runtime.load_bytes("g.wasm", guest().to_vec()).await.state,
            PluginState::Ready
        );
        runtime.prune_images(month).await.unwrap()
    };
    assert_eq!(start().await, 0);
    let used = names()[0].clone();
    for name in ["old.image", ".half.tmp", "operator's note"] {
        fs::write(cache.join(name), "x").unwrap();
        age(name);
    }
    fs::write(cache.join("recent.image"), "x").unwrap();
    // Nothing has used it for long, until this start does.
    age(&used);
    assert_eq!(start().await, 2);
    let mut left = vec![used, "operator's note".to_owned(), "recent.image".to_owned()];
    left.sort();
    assert_eq!(names(), left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_pool_or_a_fitting_slot_instances_are_made_on_demand() {
    let cache = tempfile::tempdir().unwrap();
    // 2^27 slots reserve more address space than there is.
    let runtime = Runtime::new(RuntimeConfig {
        slots: 1 << 27,
        ..config(cache.path(), Limits::default())
    })
    .unwrap();
    assert_eq!(runtime.allocation(), Allocation::OnDemand);
    assert_eq!(
        runtime.load_bytes("g.wasm", guest().to_vec()).await.state,
        PluginState::Ready
    );

    // A table of the guest is larger than a slot's.
    let runtime = Runtime::new(config(cache.path(), Limits::default())).unwrap();
    assert_eq!(runtime.allocation(), Allocation::Pooled);
    let mut wide = String::from("(component (core module $m");
    for _ in 0..5 {
        wide.push_str(" (table 1 funcref)");
    }
    wide.push_str(") (core instance (instantiate $m)))");
    let info = runtime.load_bytes("wide.wasm", component(&wide)).await;
    let PluginState::Failed(reason) = info.state else {
        panic!("{:?}", info.state)
    };
    assert!(
        reason.contains("is no connector"),
        "it was linked on demand, and only then refused: {reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_loaded_twice_at_the_same_time_serves() {
    let host = Host::empty(Limits::default());
    let load = || host.runtime.load_bytes("a.wasm", guest().to_vec());
    let (one, other) = tokio::join!(load(), load());
    assert_eq!((one.state, other.state), (PluginState::Ready, PluginState::Ready));
    let states: Vec<_> = host.runtime.plugins().into_iter().map(|info| info.state).collect();
    assert_eq!(states, [PluginState::Ready]);
    assert!(host.misbehaving("").await.check().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_loaded_and_a_newer_file_replaces_the_older() {
    let host = Host::empty(Limits::default());
    let plugins = host.dir.path();
    fs::write(plugins.join("a.wasm"), guest()).unwrap();
    fs::write(plugins.join("notes.txt"), "not a plugin").unwrap();
    fs::write(plugins.join("broken.wasm"), "rubbish").unwrap();
    let infos = host.runtime.load_dir(plugins).await.unwrap();
    assert_eq!(infos.len(), 2);
    assert_eq!(infos.iter().filter(|info| info.state == PluginState::Ready).count(), 1);
    assert_eq!(
        host.runtime.load_dir(plugins).await.unwrap().len(),
        2,
        "loading again changes nothing"
    );
    assert_eq!(host.runtime.plugins().len(), 2);

    let connector = host.misbehaving("sleep").await;
    let running = tokio::spawn(async move { connector.check().await });
    while host.runtime.plugins().is_empty() {
        tokio::task::yield_now().await;
    }
    // The same guest with one more custom section is another build of the same plugin.
    let mut newer = guest().to_vec();
    newer.extend([0, 2, 1, b'x']);
    let info = host.runtime.load_bytes("b.wasm", newer).await;
    assert_eq!(info.state, PluginState::Ready);
    assert!(host.misbehaving("").await.check().await.is_ok());
    running.abort();
    assert!(running.await.is_err());
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while host
        .runtime
        .plugins()
        .iter()
        .any(|info| info.state == PluginState::Draining)
    {
        assert!(std::time::Instant::now() < deadline, "{:?}", host.runtime.plugins());
        tokio::task::yield_now().await;
    }
    let ready: Vec<_> = host
        .runtime
        .plugins()
        .into_iter()
        .filter(|info| info.state == PluginState::Ready)
        .collect();
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].file, "b.wasm");
    // A broken update leaves the old one serving.
    assert!(matches!(
        host.runtime.load_bytes("b.wasm", vec![]).await.state,
        PluginState::Failed(_)
    ));
    assert!(host.misbehaving("").await.check().await.is_ok());
    assert!(host.runtime.load_dir(&plugins.join("missing")).await.is_err());
}
