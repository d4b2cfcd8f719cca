//! The indexes that serve the queries of `shapes`, made when a database is opened.

use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;

use crate::shapes::{
    ACTIONS, AUDIT, DECISIONS, DELIVERIES, LCM_EVENTS, LEASES, RESOURCES, TEXTS, VNF_ARCHIVES, VNF_INSTANCES,
    VNF_OP_OCCS, VNF_PACKAGES,
};

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

/// The server takes what was made or told out of its collection after this time: as long as whoever carries out the same at the same
/// time may still be about to write it again. Ten minutes are forty times the longest command.
const ENDED_KEPT: Duration = Duration::from_secs(600);

fn ended(name: &str) -> IndexModel {
    let mut model = index(name, doc! {"ended": 1}, Some(doc! {"ended": {"$exists": true}}), false);
    if let Some(options) = &mut model.options {
        options.expire_after = Some(ENDED_KEPT);
    }
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
                index("untold", doc! {"todo.at": 1}, there("todo.at"), false),
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
        (
            VNF_PACKAGES,
            vec![
                index("vnfd", doc! {"vnfd": 1}, there("vnfd"), true),
                index("gone", doc! {"gone": 1}, Some(doc! {"gone": true}), false),
            ],
        ),
        (
            VNF_ARCHIVES,
            vec![index("part", doc! {"package": 1, "part": 1}, there("package"), true)],
        ),
        (TEXTS, vec![index("service", doc! {"services": 1}, None, false)]),
        (
            VNF_INSTANCES,
            vec![
                index("vnfd", doc! {"vnfd": 1, "_id": 1}, None, false),
                index("state", doc! {"state": 1, "_id": 1}, None, false),
                index("package", doc! {"package": 1}, None, false),
                index("target", doc! {"target": 1, "_id": 1}, there("target"), false),
                index("fence", doc! {"claimed": 1, "fence": 1}, there("claimed"), false),
                index("outstanding", doc! {"todo": 1}, there("todo"), false),
                index("operation", doc! {"current.id": 1}, there("current.id"), false),
                index(
                    "running",
                    doc! {"current.on": 1, "current.id": 1},
                    there("current.on"),
                    false,
                ),
            ],
        ),
        (
            VNF_OP_OCCS,
            vec![
                index("instance", doc! {"instance": 1, "_id": 1}, None, false),
                index("state", doc! {"state": 1, "_id": 1}, None, false),
            ],
        ),
        (
            DELIVERIES,
            vec![
                index(
                    "subscriber",
                    doc! {"subscription": 1, "number": 1},
                    there("subscription"),
                    false,
                ),
                ended("ended_delivery"),
            ],
        ),
        (
            LCM_EVENTS,
            vec![
                index("pending_event", doc! {"_id": 1, "ended": 1}, there("doc"), false),
                ended("ended_event"),
            ],
        ),
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
