//! Every query the store makes, in one place, so that a test can ask the server for the plan of each; `indexes` has what serves them.
//!
//! A query is a function of its values. What is in a filter but not in its index is looked at in the documents the index
//! leads to, of which there are few: a fence, a revision, a reservation.

use mongodb::bson::{Document, doc};

/// Accounts, by target.
pub(crate) const ACCOUNTS: &str = "vimhost_accounts";
/// Headers of actions, by commit.
pub(crate) const ACTIONS: &str = "vimhost_actions";
/// The audit log, by entry.
pub(crate) const AUDIT: &str = "vimhost_audit";
/// What decides a write to several documents: one per service, and one per batch of records while it is made.
pub(crate) const DECISIONS: &str = "vimhost_decisions";
/// What is to be sent to subscribers, by subscription and event.
pub(crate) const DELIVERIES: &str = "vimhost_deliveries";
/// Key pairs, by service.
pub(crate) const KEY_PAIRS: &str = "vimhost_key_pairs";
/// Who drives which account, by target.
pub(crate) const LEASES: &str = "vimhost_leases";
/// Schema version, letters of the installation, the host that has a standalone.
pub(crate) const META: &str = "vimhost_meta";
/// Resources with their journals, by id.
pub(crate) const RESOURCES: &str = "vimhost_resources";
/// Revisions of records, by collection and id.
pub(crate) const REVISIONS: &str = "vimhost_revisions";
/// Reservations of what services share, by kind, target and common id.
pub(crate) const SHARES: &str = "vimhost_shares";
/// Who is to be told, by id.
pub(crate) const SUBSCRIPTIONS: &str = "vimhost_subscriptions";
/// Services that were taken over from another orchestrator, by id.
pub(crate) const TAKEOVERS: &str = "vimhost_takeovers";
/// Large texts, by digest.
pub(crate) const TEXTS: &str = "vimhost_texts";
/// Tokens of the admin interface, by id.
pub(crate) const TOKENS: &str = "vimhost_tokens";
/// Events of VNF instances that nobody has decided on, by number.
pub(crate) const LCM_EVENTS: &str = "vimhost_lcm_events";
/// VNF instances, each with its last operation occurrence, by id.
pub(crate) const VNF_INSTANCES: &str = "vimhost_vnf_instances";
/// Operation occurrences as lists show them and as they ended, by id.
pub(crate) const VNF_OP_OCCS: &str = "vimhost_vnf_lcm_op_occs";

/// Archives of VNF packages in parts, by package and part.
pub(crate) const VNF_ARCHIVES: &str = "vimhost_vnf_archives";
/// VNF packages, by id.
pub(crate) const VNF_PACKAGES: &str = "vimhost_vnf_packages";

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) collection: &'static str,
    pub(crate) filter: Document,
    pub(crate) projection: Document,
    pub(crate) sort: Option<Document>,
}

impl Query {
    fn of(collection: &'static str, filter: Document) -> Self {
        Self {
            collection,
            filter,
            projection: Document::new(),
            sort: None,
        }
    }

    fn sorted(mut self, sort: Document) -> Self {
        self.sort = Some(sort);
        self
    }

    /// Only these fields of the answer.
    pub(crate) fn only(mut self, projection: Document) -> Self {
        self.projection = projection;
        self
    }
}

/// A value of a query's parameter, for the test of the plans.
#[cfg(test)]
pub(crate) trait Sample {
    fn sample() -> Self;
}

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) => $query:expr;)+) => {
        $($(#[$doc])* pub(crate) fn $name($($arg: $type),*) -> Query { $query })+
        /// All of them, with their names.
        #[cfg(test)]
        pub(crate) fn all() -> Vec<(&'static str, Query)> {
            vec![$((stringify!($name), $name($(<$type as Sample>::sample()),*))),+]
        }
    };
}

shapes! {
    // --- accounts, leases, the database itself ---
    meta(id: &str) => Query::of(META, doc! {"_id": id});
    /// Nobody has the standalone, or who had it is late.
    host_late() => Query::of(META, doc! {"_id": "host", "$expr": {"$lt": ["$until", "$$NOW"]}});
    /// The same, or a process of the same host had it.
    host_free(host: &str) => Query::of(META, doc! {
        "_id": "host", "$or": [{"host": host}, {"$expr": {"$lt": ["$until", "$$NOW"]}}],
    });
    host_held(instance: &str) => Query::of(META, doc! {"_id": "host", "instance": instance});
    account(target: &str) => Query::of(ACCOUNTS, doc! {"_id": target});
    account_at(target: &str, rev: i64) => Query::of(ACCOUNTS, doc! {"_id": target, "rev": rev});
    /// Those of some that are there and not being removed.
    accounts_staying(targets: &[String]) => Query::of(ACCOUNTS, doc! {"_id": {"$in": targets}, "removing": null})
        .only(doc! {"_id": 1});
    accounts_after(after: &str) => Query::of(ACCOUNTS, doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});
    leases_of(targets: &[String]) => Query::of(LEASES, doc! {"_id": {"$in": targets}});
    /// Nobody holds it, the host itself does, or who held it is late.
    lease_free(target: &str, host: &str, now: i64) => Query::of(LEASES, doc! {
        "_id": target, "$or": [{"host": null}, {"host": host}, {"expires_at": {"$lt": now}}],
    });
    lease_held(target: &str, fence: i64) => Query::of(LEASES, doc! {"_id": target, "fence": fence, "host": {"$ne": null}});
    leases_of_host(host: &str) => Query::of(LEASES, doc! {"host": host}).sorted(doc! {"_id": 1});
    /// A lease per account: all of them are few.
    all_leases() => Query::of(LEASES, doc! {"_id": {"$gt": ""}}).sorted(doc! {"_id": 1});

    // --- takeovers ---
    takeover(nsr: &str) => Query::of(TAKEOVERS, doc! {"_id": nsr});
    takeovers_after(after: &str) => Query::of(TAKEOVERS, doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});

    // --- VNF packages ---
    vnf_package(id: &str) => Query::of(VNF_PACKAGES, doc! {"_id": id, "gone": null});
    vnf_package_at(id: &str, rev: i64) => Query::of(VNF_PACKAGES, doc! {"_id": id, "rev": rev, "gone": null});
    vnf_package_of(vnfd: &str) => Query::of(VNF_PACKAGES, doc! {"vnfd": vnfd, "gone": null});
    vnf_packages_after(after: &str) => Query::of(VNF_PACKAGES, doc! {"_id": {"$gt": after}, "gone": null}).sorted(doc! {"_id": 1});
    vnf_package_gone(id: &str) => Query::of(VNF_PACKAGES, doc! {"_id": id, "gone": true});
    /// Removed, but perhaps not their archives.
    vnf_packages_gone() => Query::of(VNF_PACKAGES, doc! {"gone": true}).only(doc! {"_id": 1});
    vnf_archive(package: &str) => Query::of(VNF_ARCHIVES, doc! {"package": package});
    vnf_archive_part(package: &str, part: i64) => Query::of(VNF_ARCHIVES, doc! {"package": package, "part": part});
    // --- subscriptions ---
    subscription(id: &str) => Query::of(SUBSCRIPTIONS, doc! {"_id": id});
    subscription_written(id: &str, text: &str) => Query::of(SUBSCRIPTIONS, doc! {"_id": id, "doc": text});
    subscriptions_after(after: &str) => Query::of(SUBSCRIPTIONS, doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});
    /// Nobody holds it, the host itself does, or who held it is late.
    subscription_free(id: &str, host: &str, now: i64, beyond: i64) => Query::of(SUBSCRIPTIONS, doc! {
        "_id": id, "$or": [
            {"holder": null}, {"holder": host}, {"held_until": {"$lte": now}}, {"held_until": {"$gt": beyond}},
        ],
    });
    lcm_event_undecided(number: &str) => Query::of(LCM_EVENTS, doc! {
        "_id": number, "doc": {"$exists": true}, "handed": {"$exists": false},
    });
    /// Also those that were decided on and not carried out.
    lcm_events_pending(after: &str) => Query::of(LCM_EVENTS, doc! {"_id": {"$gt": after}, "doc": {"$exists": true}})
        .sorted(doc! {"_id": 1}).only(doc! {"doc": 1});
    /// Not made yet: one that was made keeps nothing but its id for a while.
    delivery_open(id: &str) => Query::of(DELIVERIES, doc! {"_id": id, "subscription": {"$exists": true}});
    deliveries_of(subscription: &str) => Query::of(DELIVERIES, doc! {"subscription": subscription})
        .sorted(doc! {"number": 1});
    deliveries_after(subscription: &str, number: &str) => Query::of(DELIVERIES, doc! {
        "subscription": subscription, "number": {"$gt": number},
    }).sorted(doc! {"number": 1});
    /// The next subscriber that has any: one seek per subscriber, however many there are.
    subscriber_waiting(after: &str) => Query::of(DELIVERIES, doc! {"subscription": {"$gt": after}})
        .sorted(doc! {"subscription": 1}).only(doc! {"_id": 0, "subscription": 1});

    // --- access ---
    token(id: &str) => Query::of(TOKENS, doc! {"_id": id});
    token_not_revoked(id: &str) => Query::of(TOKENS, doc! {"_id": id, "revoked_at": null});
    tokens_after(after: &str) => Query::of(TOKENS, doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});
    audit_entry(id: &str) => Query::of(AUDIT, doc! {"_id": id});
    audit_below(below: &str) => Query::of(AUDIT, doc! {"_id": {"$lt": below}}).sorted(doc! {"_id": -1});
    audit_of_who(who: &str, below: &str) => Query::of(AUDIT, doc! {"who": who, "_id": {"$lt": below}})
        .sorted(doc! {"_id": -1});
    audit_of_operation(operation: &str, below: &str) => Query::of(AUDIT, doc! {"operation": operation, "_id": {"$lt": below}})
        .sorted(doc! {"_id": -1});
    audit_of_both(who: &str, operation: &str, below: &str) => Query::of(AUDIT, doc! {
        "who": who, "operation": operation, "_id": {"$lt": below},
    }).sorted(doc! {"_id": -1});
    audit_ids_below(below: &str) => Query::of(AUDIT, doc! {"_id": {"$lt": below}}).sorted(doc! {"_id": -1})
        .only(doc! {"_id": 1});
    audit_up_to(id: &str) => Query::of(AUDIT, doc! {"_id": {"$lte": id}});

    // --- records ---
    record(collection: &'static str, id: &str) => Query::of(collection, doc! {"_id": id});
    /// As it was read: another program keeps no revision.
    record_as(collection: &'static str, id: &str, whole: Document) => Query::of(collection, doc! {
        "_id": id, "$expr": {"$eq": ["$$ROOT", {"$literal": whole}]},
    });
    /// Unless it has the mark of this write or of a later one of the same origin.
    record_unmarked(collection: &'static str, id: &str, origin: &str, seq: i64) => {
        let mut filter = doc! {"_id": id};
        filter.extend(crate::records::unmarked(origin, seq));
        Query::of(collection, filter)
    };
    /// Unless it has one of these marks.
    record_all_unmarked(collection: &'static str, id: &str, unmarked: Document) => {
        let mut filter = doc! {"_id": id};
        filter.extend(unmarked);
        Query::of(collection, filter)
    };
    vnfrs_of(nsr: &str) => Query::of("vnfrs", doc! {"nsr-id-ref": nsr}).sorted(doc! {"_admin.created": 1});
    services_after(after: &str) => Query::of("nsrs", doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});
    revision(record: &str) => Query::of(REVISIONS, doc! {"_id": record});
    revisions_of(records: &[String]) => Query::of(REVISIONS, doc! {"_id": {"$in": records}});

    // --- decisions and actions ---
    decision(id: &str) => Query::of(DECISIONS, doc! {"_id": id});
    /// The plan is the first one, everything before it is carried out, and nobody has refused this commit.
    decidable(id: &str, base: i64, commit: &str) => Query::of(DECISIONS, doc! {
        "_id": id, "rev": base, "todo": {"$exists": false}, "refused": {"$ne": commit},
    });
    /// The same, for a plan that others came before: of this life of the service, not of one that was forgotten.
    decidable_in(id: &str, base: i64, commit: &str, life: &str) => Query::of(DECISIONS, doc! {
        "_id": id, "rev": base, "life": life, "todo": {"$exists": false}, "refused": {"$ne": commit},
    });
    undecided(id: &str, base: i64, commit: &str) => Query::of(DECISIONS, doc! {
        "_id": id, "rev": base, "commit": {"$ne": commit},
    });
    idle_decision(id: &str) => Query::of(DECISIONS, doc! {"_id": id, "todo": {"$exists": false}});
    decided(id: &str, commit: &str) => Query::of(DECISIONS, doc! {"_id": id, "commit": commit, "todo": "commit"});
    forgetting(id: &str) => Query::of(DECISIONS, doc! {"_id": id, "todo": "forget"});
    outstanding() => Query::of(DECISIONS, doc! {"todo": {"$exists": true}});
    header(nsr: &str, action: &str) => Query::of(ACTIONS, doc! {"nsr": nsr, "action": action});
    headers_of(nsr: &str) => Query::of(ACTIONS, doc! {"nsr": nsr});
    headers_below(order: &str) => Query::of(ACTIONS, doc! {"order": {"$lt": order}}).sorted(doc! {"order": -1});
    headers_of_below(nsr: &str, order: &str) => Query::of(ACTIONS, doc! {"nsr": nsr, "order": {"$lt": order}})
        .sorted(doc! {"order": -1});
    commit_pending(id: &str) => Query::of(ACTIONS, doc! {"_id": id, "pending": {"$exists": true}});
    commits_before(at: mongodb::bson::DateTime) => Query::of(ACTIONS, doc! {"pending.at": {"$lt": at}});
    text(digest: &str) => Query::of(TEXTS, doc! {"_id": digest});
    texts_of(nsr: &str) => Query::of(TEXTS, doc! {"services": nsr});
    texts_unused(digests: &[String]) => Query::of(TEXTS, doc! {"_id": {"$in": digests}, "services": []});
    key_pair_sealed(nsr: &str, text: &str) => Query::of(KEY_PAIRS, doc! {"_id": nsr, "private_key": text});
    key_pairs_after(after: &str) => Query::of(KEY_PAIRS, doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});
    key_pair(nsr: &str) => Query::of(KEY_PAIRS, doc! {"_id": nsr});

    // --- resources ---
    resource(id: &str) => Query::of(RESOURCES, doc! {"_id": id});
    resources(ids: &[String]) => Query::of(RESOURCES, doc! {"_id": {"$in": ids}});
    /// At a revision, under a claim, not reserved by a commit.
    resource_saved(id: &str, target: &str, rev: i64, fence: i64) => Query::of(RESOURCES, doc! {
        "_id": id, "target": target, "rev": rev, "fence": {"$lte": fence}, "pending": {"$exists": false},
    });
    resource_at(id: &str, rev: i64) => Query::of(RESOURCES, doc! {"_id": id, "rev": rev, "pending": {"$exists": false}});
    /// With an empty journal too: what was announced since it was read may exist.
    resource_ended(id: &str, rev: i64) => Query::of(RESOURCES, doc! {
        "_id": id, "rev": rev, "pending": {"$exists": false}, "journal": {"$not": {"$elemMatch": {"forgotten": false}}},
    });
    resource_claimed(id: &str, target: &str, fence: i64) => Query::of(RESOURCES, doc! {
        "_id": id, "target": target, "fence": {"$lte": fence}, "doc": {"$exists": true},
    });
    resource_claimed_with(id: &str, target: &str, fence: i64, entries: &[i64]) => Query::of(RESOURCES, doc! {
        "_id": id, "target": target, "fence": {"$lte": fence}, "doc": {"$exists": true}, "journal.id": {"$all": entries},
    });
    /// Whose last save has changes of records that nobody has asked about since; the oldest first.
    resources_untold(before: mongodb::bson::DateTime) => Query::of(RESOURCES, doc! {"todo.at": {"$lt": before}})
        .sorted(doc! {"todo.at": 1}).only(doc! {"life": 1, "todo": 1});
    resource_told(id: &str, seq: i64) => Query::of(RESOURCES, doc! {"_id": id, "todo.seq": seq});
    /// To be reserved for a commit: by nobody yet, or by the same commit when it is sent again.
    resource_free(id: &str, rev: i64, commit: &str) => Query::of(RESOURCES, doc! {
        "_id": id, "rev": rev, "pending.commit": {"$in": [null, commit]}, "doc": {"$exists": true},
    });
    /// Those that any commit has reserved or prepared.
    resources_reserved_on(target: &str) => Query::of(RESOURCES, doc! {"target": target, "pending": {"$exists": true}})
        .only(doc! {"pending.next": 0, "doc": 0, "journal": 0});
    resources_of_commit(ids: &[String], commit: &str) => Query::of(RESOURCES, doc! {
        "_id": {"$in": ids}, "pending.commit": commit,
    });
    resources_reserved(ids: &[String], commit: &str) => Query::of(RESOURCES, doc! {
        "_id": {"$in": ids}, "pending.commit": commit, "doc": {"$exists": true},
    });
    resources_unborn(ids: &[String], commit: &str) => Query::of(RESOURCES, doc! {
        "_id": {"$in": ids}, "pending.commit": commit, "doc": {"$exists": false},
    });
    resources_of(nsr: &str) => Query::of(RESOURCES, doc! {"actions.n": nsr});
    resources_of_action(nsr: &str, action: &str) => Query::of(RESOURCES, doc! {
        "actions": {"$elemMatch": {"n": nsr, "a": action}},
    });
    resource_shared(target: &str, item: &str, common_id: &str) => Query::of(RESOURCES, doc! {
        "target": target, "item": item, "commons": common_id,
    });
    /// The same but for some of them.
    resource_shared_but(target: &str, item: &str, common_id: &str, passed: &[String]) => Query::of(RESOURCES, doc! {
        "target": target, "item": item, "commons": common_id, "_id": {"$nin": passed},
    });
    share(id: &str) => Query::of(SHARES, doc! {"_id": id});
    shares_of_commit(ids: &[String], commit: &str) => Query::of(SHARES, doc! {"_id": {"$in": ids}, "pending.commit": commit});
    resources_unsettled(target: &str, after: &str) => Query::of(RESOURCES, doc! {
        "unsettled": true, "target": target, "_id": {"$gt": after},
    }).sorted(doc! {"_id": 1});
    /// The next target that has any: one seek per target, however many resources it has.
    target_unsettled(after: &str) => Query::of(RESOURCES, doc! {"unsettled": true, "target": {"$gt": after}})
        .sorted(doc! {"target": 1}).only(doc! {"_id": 0, "target": 1});
    elements(target: &str, item: &str, after: &str) => Query::of(RESOURCES, doc! {
        "target": target, "item": item, "element": {"$exists": true}, "_id": {"$gt": after},
    }).sorted(doc! {"_id": 1}).only(doc! {"element": 1});
    resource_made(target: &str) => Query::of(RESOURCES, doc! {"target": target, "made": true}).only(doc! {"_id": 1});
    users_of(id: &str) => Query::of(RESOURCES, doc! {
        "uses": id, "$or": [{"made": true}, {"journal": {"$elemMatch": {"forgotten": false}}}],
    }).only(doc! {"_id": 1});
    /// Those a new owner has not put its number on yet.
    resources_below(target: &str, fence: i64) => Query::of(RESOURCES, doc! {"target": target, "fence": {"$lt": fence}});

    // --- VNF instances and their operation occurrences ---
    vnf_instance(id: &str) => Query::of(VNF_INSTANCES, doc! {"_id": id});
    /// At a revision, free for an operation, with nothing left to do.
    vnf_instance_free(id: &str, rev: i64) => Query::of(VNF_INSTANCES, doc! {
        "_id": id, "rev": rev, "op": {"$exists": false}, "todo": {"$exists": false},
    });
    /// The same, under the number of this account, and with operations accepted there.
    vnf_instance_free_under(id: &str, rev: i64, target: &str) => Query::of(VNF_INSTANCES, doc! {
        "_id": id, "rev": rev, "op": {"$exists": false}, "todo": {"$exists": false}, "under": target, "open": target,
    });
    /// Whose last occurrence is this one, at a revision, with nothing left to do.
    vnf_operation(id: &str, op_occ: &str, rev: i64) => Query::of(VNF_INSTANCES, doc! {
        "_id": id, "current.id": op_occ, "current.rev": rev, "todo": {"$exists": false},
    });
    /// The same, under a claim.
    vnf_operation_claimed(id: &str, op_occ: &str, rev: i64, target: &str, fence: i64) => Query::of(VNF_INSTANCES, doc! {
        "_id": id, "current.id": op_occ, "current.rev": rev, "todo": {"$exists": false},
        "under": target, "fence": {"$lte": fence},
    });
    vnf_instance_numbered(id: &str, target: &str, numbering: &str) => Query::of(VNF_INSTANCES, doc! {
        "_id": id, "claimed": target, "numbering": numbering,
    });
    vnf_instances_claimed(target: &str) => Query::of(VNF_INSTANCES, doc! {"claimed": target});
    vnf_instance_told(id: &str, seq: i64) => Query::of(VNF_INSTANCES, doc! {"_id": id, "todo": seq});
    vnf_instance_gone(id: &str, seq: i64) => Query::of(VNF_INSTANCES, doc! {"_id": id, "todo": seq, "gone": true});
    vnf_instances_outstanding() => Query::of(VNF_INSTANCES, doc! {"todo": {"$exists": true}});
    vnf_instances_after(after: &str) => Query::of(VNF_INSTANCES, doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});
    vnf_instances_of(vnfd: &str, after: &str) => Query::of(VNF_INSTANCES, doc! {"vnfd": vnfd, "_id": {"$gt": after}})
        .sorted(doc! {"_id": 1});
    vnf_instances_in(states: &[String], after: &str) => Query::of(VNF_INSTANCES, doc! {
        "state": {"$in": states}, "_id": {"$gt": after},
    }).sorted(doc! {"_id": 1});
    vnf_instances_of_in(vnfd: &str, states: &[String], after: &str) => Query::of(VNF_INSTANCES, doc! {
        "vnfd": vnfd, "state": {"$in": states}, "_id": {"$gt": after},
    }).sorted(doc! {"_id": 1});
    vnf_instances_of_package(package: &str) => Query::of(VNF_INSTANCES, doc! {"package": package}).only(doc! {"_id": 1});
    vnf_instances_on(target: &str, after: &str) => Query::of(VNF_INSTANCES, doc! {"target": target, "_id": {"$gt": after}})
        .sorted(doc! {"_id": 1});
    /// Those a new owner has not put its number on yet.
    vnf_instances_below(target: &str, fence: i64) => Query::of(VNF_INSTANCES, doc! {
        "claimed": target, "fence": {"$lt": fence},
    });
    vnf_instance_with(op_occ: &str) => Query::of(VNF_INSTANCES, doc! {"current.id": op_occ});
    /// Those whose occurrence runs on an account (empty: without one), by the occurrence.
    vnf_operations_on(target: &str, after: &str) => Query::of(VNF_INSTANCES, doc! {
        "current.on": target, "current.id": {"$gt": after},
    }).sorted(doc! {"current.id": 1});
    /// The next account on which any runs.
    target_with_op_occs(after: &str) => Query::of(VNF_INSTANCES, doc! {"current.on": {"$gt": after}})
        .sorted(doc! {"current.on": 1}).only(doc! {"_id": 0, "current.on": 1});
    op_occ(id: &str) => Query::of(VNF_OP_OCCS, doc! {"_id": id});
    op_occ_before(id: &str, rev: i64) => Query::of(VNF_OP_OCCS, doc! {"_id": id, "rev": {"$lt": rev}});
    op_occs_after(after: &str) => Query::of(VNF_OP_OCCS, doc! {"_id": {"$gt": after}}).sorted(doc! {"_id": 1});
    op_occs_of(instance: &str, after: &str) => Query::of(VNF_OP_OCCS, doc! {"instance": instance, "_id": {"$gt": after}})
        .sorted(doc! {"_id": 1});
    op_occs_in(states: &[String], after: &str) => Query::of(VNF_OP_OCCS, doc! {
        "state": {"$in": states}, "_id": {"$gt": after},
    }).sorted(doc! {"_id": 1});
    op_occs_of_in(instance: &str, states: &[String], after: &str) => Query::of(VNF_OP_OCCS, doc! {
        "instance": instance, "state": {"$in": states}, "_id": {"$gt": after},
    }).sorted(doc! {"_id": 1});
    lcm_event(number: &str) => Query::of(LCM_EVENTS, doc! {"_id": number});
}

#[cfg(test)]
mod tests {
    use mongodb::Client;
    use mongodb::bson::{Bson, DateTime};
    use vimhost_mongod::{Kind, shared};

    use super::*;

    impl Sample for &str {
        fn sample() -> Self {
            "nsrs"
        }
    }
    impl Sample for &[String] {
        fn sample() -> Self {
            static TWO: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
            TWO.get_or_init(|| vec!["a".to_owned(), "b".to_owned()])
        }
    }
    impl Sample for &[i64] {
        fn sample() -> Self {
            &[1, 2]
        }
    }

    impl Sample for i64 {
        fn sample() -> Self {
            1
        }
    }
    impl Sample for Document {
        fn sample() -> Self {
            doc! {"_id": "a"}
        }
    }
    impl Sample for DateTime {
        fn sample() -> Self {
            DateTime::from_millis(1)
        }
    }

    fn stages(plan: &Document, found: &mut Vec<String>) {
        if let Ok(stage) = plan.get_str("stage") {
            found.push(stage.to_owned());
        }
        for (_, value) in plan {
            let one = value.as_document().into_iter();
            let many = value.as_array().into_iter().flatten().filter_map(Bson::as_document);
            one.chain(many).for_each(|inner| stages(inner, found));
        }
    }

    #[tokio::test]
    async fn every_query_is_served_by_an_index_and_pages_come_in_order_from_it() {
        let client = Client::with_uri_str(shared(Kind::ReplicaSet).await.unwrap())
            .await
            .unwrap();
        let database = client.database("vimhost_explain");
        for (collection, indexes) in crate::indexes::indexes() {
            let collection = database.collection::<Document>(collection);
            collection.create_indexes(indexes).await.unwrap();
        }
        let all = all();
        assert!(all.len() > 40, "only {} queries: are some missing?", all.len());
        for (name, query) in all {
            // An empty collection answers every plan; the plan depends on the indexes alone.
            let collection = database.collection::<Document>(query.collection);
            collection.insert_one(doc! {"x": 1}).await.unwrap();
            let mut find = doc! {"find": query.collection, "filter": query.filter};
            if let Some(sort) = query.sort {
                find.insert("sort", sort);
            }
            let explain = doc! {"explain": find, "verbosity": "queryPlanner"};
            let plan = database.run_command(explain).await.unwrap();
            let mut found = Vec::new();
            stages(
                plan.get_document("queryPlanner")
                    .unwrap()
                    .get_document("winningPlan")
                    .unwrap(),
                &mut found,
            );
            let served = found.iter().any(|stage| ["IXSCAN", "IDHACK"].contains(&stage.as_str()));
            assert!(served && !found.contains(&"COLLSCAN".to_owned()), "{name}: {found:?}");
            assert!(!found.contains(&"SORT".to_owned()), "{name}: {found:?}");
        }
        database.drop().await.unwrap();
    }
}
