//! The rules of [`Store`] as tests. Every implementation runs all of them.
//!
//! A check is a function of a fresh, empty store and panics when a rule is broken. An implementation provides a [`Subject`]
//! and lists the checks as its own tests:
//!
//! ```ignore
//! async fn fresh() -> MySubject { MySubject::open().await }
//! vimhost_store::store_contract_tests!(fresh);
//! ```
//!
//! [`sample`] builds the data; the tests of other crates use it too.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a check fails by panicking, as a test does"
)]

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Error, Page, Store};

pub mod access;
pub mod accounts;
pub mod actions;
pub mod concurrency;
pub mod forgetting;
pub mod journals;
pub mod leases;
pub mod planning;
pub mod records;
pub mod resources;
pub mod sample;
pub mod subscriptions;
pub mod takeovers;
pub mod vnf_lcm;
pub mod vnf_packages;

/// A store under test, empty when made.
#[async_trait]
pub trait Subject: Send {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again on what it kept. The check holds no [`Subject::store`] across this.
    async fn reopen(&mut self);
}

/// All entries of a list, read in pages of `limit`.
async fn every_page<T>(limit: usize, read: impl AsyncFn(Option<String>, usize) -> Result<Page<T>, Error>) -> Vec<T> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = read(after, limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        found.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// Runs all checks one after the other, each on a fresh store.
pub async fn run_all<F, M, S>(make: F)
where
    F: Fn() -> M,
    M: Future<Output = S>,
    S: Subject,
{
    crate::store_contract_tests!(@list run (make));
}

/// One `#[tokio::test]` per check. The argument is an `async fn()` that answers a [`Subject`](crate::contract::Subject); the
/// calling crate depends on tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! store_contract_tests {
    ($make:expr) => { $crate::store_contract_tests! { @list tests ($make) } };
    (@tests ($make:expr) $($module:ident { $($check:ident,)+ })+) => { $($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            let mut subject = $make().await;
            $crate::contract::$module::$check(&mut subject).await;
        }
    )+)+ };
    (@run ($make:expr) $($module:ident { $($check:ident,)+ })+) => { $($(
        let mut subject = $make().await;
        $crate::contract::$module::$check(&mut subject).await;
    )+)+ };
    (@list $mode:ident $make:tt) => { $crate::store_contract_tests! { @$mode $make
        access {
            a_token_is_added_once_and_found_by_its_id,
            a_token_is_revoked_for_good,
            tokens_are_listed_a_page_at_a_time,
            an_audit_entry_is_begun_and_ended,
            audit_entries_are_listed_newest_first_by_who_and_what,
            the_audit_log_is_trimmed_to_the_newest,
            key_pairs_are_listed_and_sealed_anew,
            a_resource_is_marked_at_its_revision_without_a_claim,
        }
        accounts {
            an_account_is_replaced_only_at_the_revision_it_was_read_at,
            nothing_is_planned_on_an_account_that_is_removed,
            of_an_action_and_the_removal_of_its_account_one_is_refused,
            accounts_are_listed_by_target_a_page_at_a_time,
            an_installation_keeps_its_letters,
        }
        leases {
            a_claim_is_granted_to_one_host,
            an_ended_claim_is_taken_over_under_a_higher_number,
            a_claim_that_was_given_up_is_free,
            a_host_renews_all_its_claims_at_once,
            writes_under_an_old_claim_are_refused,
        }
        records {
            a_record_comes_back_whole_with_unknown_keys_and_lists_in_order,
            a_record_is_written_at_the_revision_it_was_read_at,
            two_items_of_one_id_are_refused,
            several_records_are_written_together_or_not_at_all,
            an_item_is_addressed_by_id_whatever_its_position,
            an_item_without_id_is_known_by_its_position,
            a_removed_item_is_not_brought_back,
            an_insert_appends_once,
            fields_of_the_record_itself_are_changed_alone,
            vnf_records_of_a_service_come_in_the_order_they_were_made,
            services_are_listed_a_page_at_a_time,
        }
        actions {
            an_action_is_committed_as_a_whole,
            the_same_action_twice_is_one_action,
            a_commit_on_an_old_plan_of_the_service_changes_nothing,
            a_commit_on_one_old_resource_changes_nothing,
            a_commit_on_a_missing_or_doubled_resource_changes_nothing,
            tasks_and_uses_are_added_to_what_exists,
            changes_of_a_missing_record_are_left_out_of_a_commit,
            actions_are_listed_newest_first_a_page_at_a_time,
        }
        planning {
            resources_are_found_by_service_and_by_action,
            a_shared_resource_is_found_while_it_is_held,
            a_shared_element_is_made_by_one_service_only,
            an_element_that_nobody_would_join_is_in_no_ones_way,
            of_many_services_that_share_an_element_one_makes_it,
            the_first_key_pair_is_kept,
        }
        resources {
            a_save_changes_resource_and_records_in_one,
            a_save_on_an_old_revision_changes_nothing,
            a_save_of_a_missing_resource_is_refused,
            unsettled_resources_are_found_also_after_a_restart,
            live_elements_are_listed_a_page_at_a_time,
            users_of_an_element_are_those_that_may_exist,
            a_target_holds_elements_until_the_last_is_gone,
        }
        journals {
            entries_end_with_the_write_that_ends_their_operation,
            entries_are_written_together_or_not_at_all,
            entries_are_committed_with_a_save,
            an_entry_knows_when_it_was_begun,
            only_the_announced_entry_is_begun_anew,
            an_entry_is_announced_once,
            a_new_resource_begins_with_the_entries_it_takes_over,
            an_entry_is_committed_and_forgotten,
            a_forgotten_entry_that_is_announced_again_is_back,
            the_journal_lives_beside_the_document,
            a_journal_of_nothing_is_refused,
        }
        forgetting {
            a_forgotten_service_leaves_nothing_behind,
            what_may_exist_is_not_forgotten,
            what_others_hold_loses_only_the_tasks_of_the_service,
        }
        takeovers {
            a_takeover_is_noted_for_good,
            takeovers_are_listed_a_page_at_a_time,
        }
        vnf_lcm {
            an_instance_is_added_once_and_comes_back_whole,
            an_instance_is_deleted_while_it_is_free_at_the_revision_it_was_read_at,
            an_operation_is_accepted_and_locks_its_instance,
            of_many_operations_on_one_instance_one_begins,
            an_operation_on_an_instance_that_was_changed_is_refused,
            an_operation_on_an_account_that_is_removed_is_refused,
            of_an_operation_and_the_removal_of_its_account_one_is_refused,
            the_end_the_release_and_the_changed_instance_are_seen_together,
            a_released_instance_is_otherwise_as_it_was,
            an_instance_is_replaced_under_its_lock,
            an_occurrence_is_saved_at_the_revision_it_was_read_at,
            an_occurrence_is_not_saved_under_an_old_claim,
            running_occurrences_are_found_also_after_a_restart,
            an_occurrence_that_cannot_be_read_is_found_among_those_that_run,
            instances_are_listed_by_id_a_page_at_a_time,
            occurrences_are_listed_by_id_a_page_at_a_time,
            an_entry_of_a_list_is_the_document_in_two_parts,
            a_package_is_in_use_while_an_instance_is_of_it,
            instances_are_found_by_their_account,
            events_are_pending_with_the_change_they_tell_of,
            operations_and_their_events_are_told,
        }
        vnf_packages {
            a_vnf_package_is_replaced_only_at_the_revision_it_was_read_at,
            a_vnfd_is_of_one_onboarded_package,
            vnf_packages_are_listed_a_page_at_a_time,
            parts_of_an_archive_live_as_long_as_their_package,
        }
        subscriptions {
            a_subscription_is_kept_until_it_is_removed,
            subscriptions_are_listed_a_page_at_a_time,
            credentials_of_a_subscription_are_replaced_once,
            each_change_of_the_subscriptions_has_a_version_of_its_own,
            an_event_becomes_its_deliveries_once,
            an_event_that_cannot_be_read_is_not_in_the_way_of_others,
            deliveries_come_in_order_and_are_tried_again_later,
            a_subscription_or_a_delivery_that_cannot_be_read_is_told_apart_and_stays,
            a_subscriber_that_leaves_takes_what_it_was_to_be_sent_along,
            subscribers_that_wait_are_listed_a_page_at_a_time,
            one_host_at_a_time_delivers_to_a_subscriber,
        }
        concurrency {
            distinct_resources_are_saved_side_by_side,
            of_two_saves_of_one_revision_one_wins,
            of_many_commits_on_one_plan_one_wins,
            changes_are_told,
            who_listens_and_then_looks_misses_nothing,
            a_healthy_store_answers_a_ping,
        }
    } };
}
