//! One account at a time: what OSM is told, what vimhost keeps, and what is left when a host dies at any step.

use std::time::Duration;

use serde_json::json;
use vimhost_model::{AccountState, TargetId};
use vimhost_osm::reconcile::{Done, LOCK};
use vimhost_osm::{Reconciler, inspect};

use crate::world::{Dies, VIM, World, content, created, lock_of};

async fn look(host: &Reconciler) -> Done {
    let target: TargetId = VIM.parse().unwrap();
    host.look(&target).await.unwrap()
}

fn enabled(operations: &[&str]) -> (String, String, Vec<String>) {
    let operations = operations.iter().map(|state| (*state).to_owned()).collect();
    ("ENABLED".to_owned(), String::new(), operations)
}

#[tokio::test]
async fn a_new_account_is_kept_checked_and_its_operation_ended() {
    let world = World::new();
    world.create(VIM, "right");
    let before = world.document(VIM).unwrap();
    let host = world.host("one", Dies::Never);
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
    assert_eq!(world.told(VIM), enabled(&["COMPLETED"]));
    assert_eq!(world.kept(VIM).unwrap().state, AccountState::Enabled);
    let after = world.document(VIM).unwrap();
    assert_eq!(content(&before), content(&after));
    assert!(after["_admin"]["operations"][0].get("locked_at").is_none());
    assert_eq!(look(&host).await, Done::Settled);
    assert_eq!(world.checks(), 1);
}

#[tokio::test]
async fn d11_what_is_wrong_with_an_account_is_told_in_its_document() {
    for (field, value, reason) in [
        (
            "vim_password",
            json!("wrong"),
            "checking the account: the VIM refuses the password",
        ),
        (
            "vim_type",
            json!("vaporware"),
            "checking the account: no plugin serves VIM type 'vaporware'",
        ),
        ("vim_url", json!(null), "reading the account: vim_url: is missing"),
        ("config", json!(5), "reading the account: config: is not a map"),
    ] {
        let world = World::new();
        let mut document = created("right");
        document[field] = value;
        world.write(VIM, document);
        let host = world.host("one", Dies::Never);
        assert_eq!(look(&host).await, Done::Answered(Err(reason.to_owned())));
        let told = world.told(VIM);
        assert_eq!((&*told.0, &*told.1, &*told.2[0]), ("ERROR", reason, "FAILED"));
        // Mended, it works.
        world.edit(VIM, |document| {
            let good = created("right");
            document[field] = good[field].clone();
        });
        assert_eq!(look(&host).await, Done::Answered(Ok(())), "{field}");
        assert_eq!(world.told(VIM), enabled(&["FAILED", "COMPLETED"]));
    }
}

#[tokio::test]
async fn d32_an_edit_is_taken_over_and_its_operation_ended() {
    let world = World::new();
    world.create(VIM, "right");
    let host = world.host("one", Dies::Never);
    look(&host).await;
    world.edit(VIM, |document| document["vim_url"] = json!("http://other"));
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
    assert_eq!(world.told(VIM), enabled(&["COMPLETED", "COMPLETED"]));
    assert_eq!(world.kept(VIM).unwrap().content.url, "http://other");
    // Two edits before anybody looked end together, also one that changed nothing.
    world.edit(VIM, |document| document["name"] = json!("b"));
    world.edit(VIM, |_| {});
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
    assert_eq!(world.told(VIM).2, ["COMPLETED"; 4]);
    assert_eq!(world.checks(), 3);
}

#[tokio::test]
async fn an_edit_that_leads_elsewhere_fails_while_something_is_on_the_account_and_is_taken_then() {
    let world = World::new();
    world.create(VIM, "right");
    let host = world.host("one", Dies::Never);
    look(&host).await;
    world.use_account(VIM, true);
    world.edit(VIM, |document| document["vim_url"] = json!("http://other"));
    let reason = "taking the account over: it has elements".to_owned();
    assert_eq!(look(&host).await, Done::Answered(Err(reason.clone())));
    let told = world.told(VIM);
    assert_eq!((&told.0, &told.1), (&"ERROR".to_owned(), &reason));
    assert_eq!(told.2, ["COMPLETED", "FAILED"]);
    assert_eq!(look(&host).await, Done::Withheld(reason));
    let kept = world.kept(VIM).unwrap();
    assert_eq!((&*kept.content.url, world.checks()), ("http://v", 1));
    world.use_account(VIM, false);
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
    assert_eq!(world.told(VIM), enabled(&["COMPLETED", "FAILED"]));
    assert_eq!(world.kept(VIM).unwrap().content.url, "http://other");
    assert_eq!(look(&host).await, Done::Settled);
}

#[tokio::test]
async fn an_account_that_is_edited_while_it_is_checked_is_not_told_the_old_outcome() {
    let world = World::new();
    world.create(VIM, "wrong");
    world.during_check(|world| world.edit(VIM, |document| document["vim_password"] = json!("right")));
    let host = world.host("one", Dies::Never);
    assert_eq!(look(&host).await, Done::Overtaken);
    assert_eq!(world.told(VIM).0, "PROCESSING");
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
    assert_eq!(world.told(VIM), enabled(&["COMPLETED", "COMPLETED"]));
    assert_eq!(world.kept(VIM).unwrap().state, AccountState::Enabled);
}

#[tokio::test]
async fn a_deleted_account_is_removed_once_nothing_is_on_it_and_its_operation_is_lcms() {
    let world = World::new();
    world.create(VIM, "right");
    let host = world.host("one", Dies::Never);
    look(&host).await;
    world.use_account(VIM, true);
    world.mark_for_deletion(VIM);
    assert_eq!(look(&host).await, Done::InUse("it has elements".to_owned()));
    assert_eq!(world.told(VIM), enabled(&["COMPLETED", "PROCESSING"]));
    // LCM removes the document without asking; the elements still can be deleted.
    world.remove(VIM);
    assert_eq!(look(&host).await, Done::InUse("it has elements".to_owned()));
    world.use_account(VIM, false);
    assert_eq!(look(&host).await, Done::Removed);
    assert!(world.kept(VIM).is_none());
    assert_eq!(look(&host).await, Done::Settled);
}

#[tokio::test]
async fn a_database_that_is_not_known_to_be_osms_removes_nothing() {
    let world = World::new();
    world.create(VIM, "right");
    let host = world.host("one", Dies::Never);
    look(&host).await;
    world.remove(VIM);
    world.forget_version();
    assert_eq!(look(&host).await, Done::Doubtful);
    assert!(world.kept(VIM).is_some());
    // One that OSM never had is none of its business.
    assert_eq!(host.look(&"vim:own".parse().unwrap()).await, Ok(Done::Settled));
}

#[tokio::test]
async fn without_an_operation_a_vim_that_is_away_is_no_error_and_one_that_works_is_told() {
    let world = World::new();
    let mut document = created("wrong");
    document["_admin"] = json!({"operationalState": "ENABLED", "operations": []});
    world.write(VIM, document);
    let host = world.host("one", Dies::Never);
    assert_eq!(look(&host).await, Done::Settled);
    assert_eq!(world.told(VIM), enabled(&[]));
    assert!(matches!(world.kept(VIM).unwrap().state, AccountState::Error(_)));

    // Wrong until an operator grants something, and checks it by hand.
    world.edit(VIM, |_| {});
    assert!(matches!(look(&host).await, Done::Answered(Err(_))));
    assert_eq!(look(&host).await, Done::Settled);
    world.set_state(VIM, AccountState::Enabled);
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
    assert_eq!(world.told(VIM), enabled(&["FAILED"]));
    assert_eq!(look(&host).await, Done::Settled);
}

#[tokio::test]
async fn one_of_several_hosts_checks_an_account() {
    let world = World::new();
    world.create(VIM, "right");
    let two = world.host("two", Dies::Never);
    let other = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (said, target) = (other.clone(), VIM.parse::<TargetId>().unwrap());
    world.during_check(move |_| {
        // The lock stands: the other host does no check of its own.
        let done = futures_util::FutureExt::now_or_never(two.look(&target));
        *said.lock().unwrap() = done;
    });
    assert_eq!(look(&world.host("one", Dies::Never)).await, Done::Answered(Ok(())));
    assert_eq!(*other.lock().unwrap(), Some(Ok(Done::Elsewhere)));
    assert_eq!(world.checks(), 1);
}

#[tokio::test]
async fn a_host_that_dies_at_any_step_leaves_nothing_that_the_next_look_does_not_end() {
    let mut died = 0;
    for step in 0..20 {
        for dies in [Dies::Before(step), Dies::After(step)] {
            for (password, state) in [("right", "ENABLED"), ("wrong", "ERROR")] {
                let world = World::new();
                world.create(VIM, password);
                let target: TargetId = VIM.parse().unwrap();
                let broken = world.host("one", dies).look(&target).await.is_err();
                died += usize::from(broken);
                // The same host, started again, waits for nobody.
                let again = world.host("one", Dies::Never);
                let done = look(&again).await;
                assert!(matches!(done, Done::Answered(_) | Done::Settled), "{dies:?}: {done:?}");
                assert_eq!(world.told(VIM).0, state, "{dies:?}");
                assert!(lock_of(&world.document(VIM).unwrap()).is_none(), "{dies:?}");
                assert_eq!(look(&again).await, Done::Settled, "{dies:?}");
                assert_eq!(
                    world.kept(VIM).unwrap().state == AccountState::Enabled,
                    state == "ENABLED",
                    "{dies:?}"
                );
            }
        }
    }
    // The fuse blew at every step there is, and not at the later ones.
    assert!(died > 10 && died < 80, "{died}");
}

#[tokio::test]
async fn another_host_goes_on_when_the_lock_of_the_dead_one_is_over() {
    let world = World::new();
    world.create(VIM, "right");
    // Version, document, adopt, lock; then it dies in the check.
    let target: TargetId = VIM.parse().unwrap();
    assert!(world.host("one", Dies::Before(4)).look(&target).await.is_err());
    assert_eq!(
        lock_of(&world.document(VIM).unwrap()).unwrap().by.as_deref(),
        Some("one")
    );
    let two = world.host("two", Dies::Never);
    assert_eq!(look(&two).await, Done::Elsewhere);
    world.pass(LOCK + Duration::from_secs(1));
    assert_eq!(look(&two).await, Done::Answered(Ok(())));
    assert_eq!(world.told(VIM), enabled(&["COMPLETED"]));
}

#[tokio::test]
async fn a_lock_of_ng_ro_is_honoured_for_its_five_minutes() {
    let world = World::new();
    let mut document = created("right");
    document["_admin"]["operations"][0]["locked_at"] = json!(1_700_000_000.0);
    world.write(VIM, document);
    let host = world.host("one", Dies::Never);
    world.pass(Duration::from_secs(299));
    assert_eq!(look(&host).await, Done::Elsewhere);
    world.pass(Duration::from_secs(2));
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
}

#[tokio::test]
async fn a_lock_of_a_clock_that_was_set_back_since_keeps_nobody_away() {
    let world = World::new();
    let mut document = created("right");
    document["_admin"]["operations"][0]["locked_at"] = json!(1_700_031_536.0);
    world.write(VIM, document);
    let host = world.host("one", Dies::Never);
    assert_eq!(look(&host).await, Done::Answered(Ok(())));
}

#[tokio::test]
async fn an_inspection_tells_which_accounts_can_be_read_and_changes_nothing() {
    let world = World::new();
    world.create(VIM, "right");
    let mut document = created("right");
    document["vim_url"] = json!(null);
    world.write("vim:b", document);
    let host = world.host("one", Dies::Never);
    let seen = inspect(&*host.database, None).await.unwrap();
    assert_eq!((seen.is_osms, seen.readable), (true, 1));
    assert_eq!(
        seen.unreadable,
        [("vim:b".parse::<TargetId>().unwrap(), "vim_url: is missing".to_owned())]
    );
    assert_eq!((world.told(VIM).0.as_str(), world.checks()), ("PROCESSING", 0));
    world.forget_version();
    assert!(!inspect(&*host.database, None).await.unwrap().is_osms);
}
