//! Every query the store makes, in one place, so that a test can ask the server for the plan of each; and the indexes that serve
//! them.
//!
//! A query is a function of its values. What is in a filter but not in its index is looked at in the documents the index
//! leads to, of which there are few: a fence, a revision, a reservation.

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;

/// Accounts, by target.
pub(crate) const ACCOUNTS: &str = "vimhost_accounts";
/// Headers of actions, by commit.
pub(crate) const ACTIONS: &str = "vimhost_actions";
/// The audit log, by entry.
pub(crate) const AUDIT: &str = "vimhost_audit";
/// What decides a write to several documents: one per service, and one per batch of records while it is made.
pub(crate) const DECISIONS: &str = "vimhost_decisions";
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
/// Services that were taken over from another orchestrator, by id.
pub(crate) const TAKEOVERS: &str = "vimhost_takeovers";
/// Large texts, by digest.
pub(crate) const TEXTS: &str = "vimhost_texts";
/// Tokens of the admin interface, by id.
pub(crate) const TOKENS: &str = "vimhost_tokens";

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
    /// Nobody has the standalone, the same host has it, or who had it is late.
    host_free(host: &str) => Query::of(META, doc! {
        "_id": "host", "$or": [{"host": host}, {"$expr": {"$lt": ["$until", "$$NOW"]}}],
    });
    host_held(instance: &str) => Query::of(META, doc! {"_id": "host", "instance": instance});
    account(target: &str) => Query::of(ACCOUNTS, doc! {"_id": target});
    account_at(target: &str, rev: i64) => Query::of(ACCOUNTS, doc! {"_id": target, "rev": rev});
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
    /// The plan is the newest one, everything before it is carried out, and nobody has refused this commit.
    decidable(id: &str, base: i64, commit: &str) => Query::of(DECISIONS, doc! {
        "_id": id, "rev": base, "todo": {"$exists": false}, "refused": {"$ne": commit},
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
    resource_told(id: &str, seq: i64) => Query::of(RESOURCES, doc! {"_id": id, "todo.seq": seq});
    /// To be reserved for a commit: by nobody yet, or by the same commit when it is sent again.
    resource_free(id: &str, rev: i64, commit: &str) => Query::of(RESOURCES, doc! {
        "_id": id, "rev": rev, "pending.commit": {"$in": [null, commit]}, "doc": {"$exists": true},
    });
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
}

fn index(name: &str, keys: Document, only: Option<Document>, unique: bool) -> IndexModel {
    let mut options = IndexOptions::default();
    options.name = Some(format!("vimhost_{name}"));
    options.partial_filter_expression = only;
    options.unique = unique.then_some(true);
    let mut model = IndexModel::default();
    model.keys = keys;
    model.options = Some(options);
    model
}

/// The indexes of each collection, beside the one on `_id`. A partial one holds only what its queries look for, so that a save
/// that leaves a resource as settled as it was touches none.
pub(crate) fn indexes() -> Vec<(&'static str, Vec<IndexModel>)> {
    let there = |field: &str| Some(doc! {field: {"$exists": true}});
    vec![
        (
            RESOURCES,
            vec![
                index("service", doc! {"actions.n": 1, "actions.a": 1}, None, false),
                index(
                    "common",
                    doc! {"target": 1, "item": 1, "commons": 1},
                    there("commons"),
                    false,
                ),
                index(
                    "unsettled",
                    doc! {"target": 1, "_id": 1},
                    Some(doc! {"unsettled": true}),
                    false,
                ),
                index(
                    "element",
                    doc! {"target": 1, "item": 1, "_id": 1},
                    there("element"),
                    false,
                ),
                index("made", doc! {"target": 1}, Some(doc! {"made": true}), false),
                index("uses", doc! {"uses": 1}, there("uses"), false),
                index("fence", doc! {"target": 1, "fence": 1}, None, false),
            ],
        ),
        (
            ACTIONS,
            vec![
                index("action", doc! {"nsr": 1, "action": 1}, there("nsr"), true),
                index("order", doc! {"order": -1}, there("order"), false),
                index("order_of_service", doc! {"nsr": 1, "order": -1}, there("order"), false),
                index("pending", doc! {"pending.at": 1}, there("pending.at"), false),
            ],
        ),
        (LEASES, vec![index("host", doc! {"host": 1, "_id": 1}, None, false)]),
        (
            DECISIONS,
            vec![index("outstanding", doc! {"todo": 1}, there("todo"), false)],
        ),
        (
            AUDIT,
            vec![
                index("who", doc! {"who": 1, "_id": -1}, None, false),
                index("operation", doc! {"operation": 1, "_id": -1}, None, false),
                index("both", doc! {"who": 1, "operation": 1, "_id": -1}, None, false),
            ],
        ),
        (TEXTS, vec![index("service", doc! {"services": 1}, None, false)]),
        // OSM's own collection: RO and LCM ask it by service too.
        (
            "vnfrs",
            vec![index(
                "service",
                doc! {"nsr-id-ref": 1, "_admin.created": 1},
                None,
                false,
            )],
        ),
    ]
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
        for (collection, indexes) in indexes() {
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
