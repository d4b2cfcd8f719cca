//! Hints of what changes: this host's own at once, those of other hosts by a change stream.
//!
//! A deciding write carries `mark`: who wrote, which revision, and the hints as text, so that whoever watches needs not read the
//! document. A standalone has no change streams; it serves one host, whose hints are its own. Hints may be lost: the stream begins anew
//! where it stands when the connection was gone for longer than the server remembers.

use std::time::Duration;

use futures_util::StreamExt;
use mongodb::bson::{Bson, Document, doc};
use tokio::sync::broadcast;
use vimhost_model::{ActionHeader, NsrId, Resource, ResourceId, TargetId};
use vimhost_store::Change;

use crate::shapes::{ACCOUNTS, ACTIONS, DECISIONS, RESOURCES, VNF_INSTANCES};

/// Hints a slow listener may lag behind before it loses some.
const KEPT: usize = 4096;

/// Resources a commit tells other hosts of by name; of the others it tells the accounts. More would make the header long.
const TOLD_RESOURCES: usize = 500;

/// Between attempts to watch: doubled with each failure up to the second number.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// The hints of a change to a resource: itself, and the actions of its tasks.
pub(crate) fn of_resource(resource: &Resource) -> Vec<Change> {
    let mut hints = vec![Change::Resource(resource.target.clone(), resource.id.clone())];
    let mut actions: Vec<_> = resource
        .tasks
        .iter()
        .map(|task| (&task.nsr_id, &task.action_id))
        .collect();
    actions.sort_unstable();
    actions.dedup();
    let actions = actions
        .into_iter()
        .map(|(nsr, action)| Change::Action(nsr.clone(), action.clone()));
    hints.extend(actions);
    hints
}

/// The hints of a commit.
pub(crate) fn of_commit<'a>(
    header: &ActionHeader,
    resources: impl Iterator<Item = (&'a TargetId, &'a ResourceId)>,
) -> Vec<Change> {
    let resources = resources.map(|(target, id)| Change::Resource(target.clone(), id.clone()));
    std::iter::once(Change::Action(header.nsr_id.clone(), header.id.clone()))
        .chain(resources)
        .collect()
}

/// Tells hints.
#[derive(Debug, Clone)]
pub(crate) struct Hints {
    sender: broadcast::Sender<Change>,
    others: broadcast::Sender<Change>,
    /// Names this process, so that it does not hear of its own writes twice.
    instance: String,
}

impl Hints {
    pub(crate) fn new(instance: String) -> Self {
        Self {
            sender: broadcast::channel(KEPT).0,
            others: broadcast::channel(KEPT).0,
            instance,
        }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Change> {
        self.sender.subscribe()
    }

    pub(crate) fn listen_to_others(&self) -> broadcast::Receiver<Change> {
        self.others.subscribe()
    }

    pub(crate) fn tell(&self, hints: impl IntoIterator<Item = Change>) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        for hint in hints {
            // Nobody may have gone on listening meanwhile.
            let _heard = self.sender.send(hint);
        }
    }

    /// The mark of a write. Ids hold no control characters, so lines and tabs keep them apart; the revision makes each mark another one,
    /// or the server would not tell that it was written.
    pub(crate) fn mark(&self, rev: i64, hints: &[Change]) -> String {
        let mut mark = format!("{}\t{rev}", self.instance);
        let told = hints.iter().take(TOLD_RESOURCES);
        // Of the others at least their accounts.
        let mut work: Vec<Change> = Vec::new();
        for hint in hints.iter().skip(TOLD_RESOURCES) {
            if let Change::Resource(target, _) = hint {
                let hint = Change::Work(target.clone());
                if !work.contains(&hint) {
                    work.push(hint);
                }
            }
        }
        for hint in told.chain(&work) {
            mark.push('\n');
            mark.push_str(&match hint {
                Change::Action(nsr, action) => format!("action\t{nsr}\t{action}"),
                Change::Resource(target, id) => format!("resource\t{target}\t{id}"),
                Change::Account(target) => format!("account\t{target}"),
                Change::Forgotten(nsr) => format!("forgotten\t{nsr}"),
                Change::Work(target) => format!("work\t{target}"),
                Change::OpOcc(Some(target), id) => format!("op_occ\t{target}\t{id}"),
                Change::OpOcc(None, id) => format!("op_occ\t\t{id}"),
                Change::Events => "events".to_owned(),
                Change::Subscriptions => "subscriptions".to_owned(),
            });
        }
        mark
    }

    /// Watches what other hosts write, for as long as the process lives.
    pub(crate) async fn watch(self, database: mongodb::Database) {
        let mut pause = BACKOFF.0;
        loop {
            match database.watch().pipeline(self.pipeline()).await {
                Ok(stream) => {
                    let mut stream = stream.with_type::<Document>();
                    pause = BACKOFF.0;
                    while let Some(Ok(event)) = stream.next().await {
                        let hints = hints_of(&event);
                        for hint in &hints {
                            // Nobody listens where the engine is not running.
                            let _heard = self.others.send(hint.clone());
                        }
                        self.tell(hints);
                    }
                }
                Err(error) => tracing::debug!(%error, "the changes of other hosts cannot be watched"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    fn pipeline(&self) -> Vec<Document> {
        let own = format!("^{}\t", self.instance);
        // The server tells a change as what is set or as the whole document, whichever is shorter.
        let mark = |place: &str| {
            let others = doc! {"$exists": true, "$not": {"$regex": &own}};
            doc! {"ns.coll": {"$in": [RESOURCES, ACTIONS, VNF_INSTANCES]}, place: others}
        };
        let (set, whole) = (mark("updateDescription.updatedFields.mark"), mark("fullDocument.mark"));
        let forgotten = doc! {"ns.coll": DECISIONS, "operationType": "delete"};
        vec![
            doc! {"$match": {"$or": [set, whole, {"ns.coll": ACCOUNTS}, forgotten]}},
            doc! {"$project": {"ns": 1, "documentKey": 1, "operationType": 1, "mark": {"$ifNull": ["$updateDescription.updatedFields.mark", "$fullDocument.mark"]}}},
        ]
    }
}

fn hints_of(event: &Document) -> Vec<Change> {
    let key = event
        .get_document("documentKey")
        .ok()
        .and_then(|key| key.get_str("_id").ok())
        .unwrap_or_default();
    let collection = event.get_document("ns").ok().and_then(|ns| ns.get_str("coll").ok());
    match (collection, event.get("mark")) {
        (_, Some(Bson::String(mark))) => mark.lines().skip(1).filter_map(hint_of).collect(),
        (Some(ACCOUNTS), _) => key.parse().map(Change::Account).into_iter().collect(),
        (Some(DECISIONS), _) => {
            let nsr = key.strip_prefix("service:").and_then(|nsr| nsr.parse::<NsrId>().ok());
            nsr.map(Change::Forgotten).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn hint_of(line: &str) -> Option<Change> {
    let words: Vec<_> = line.split('\t').collect();
    match words.as_slice() {
        ["action", nsr, action] => Some(Change::Action(nsr.parse().ok()?, action.parse().ok()?)),
        ["resource", target, id] => Some(Change::Resource(target.parse().ok()?, id.parse().ok()?)),
        ["work", target] => Some(Change::Work(target.parse().ok()?)),
        ["op_occ", "", id] => Some(Change::OpOcc(None, id.parse().ok()?)),
        ["op_occ", target, id] => Some(Change::OpOcc(Some(target.parse().ok()?), id.parse().ok()?)),
        ["events"] => Some(Change::Events),
        ["subscriptions"] => Some(Change::Subscriptions),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use vimhost_store::contract::sample::{create, resource};

    use super::*;

    #[test]
    fn a_mark_tells_other_hosts_the_hints_of_a_write() {
        let hints = Hints::new("me".to_owned());
        let vm = resource("vm", "a", vec![create("ns:1", "act", 0, vimhost_model::Item::Vdu)]);
        let told = of_resource(&vm);
        let event = doc! {"ns": {"coll": RESOURCES}, "documentKey": {"_id": "vm"}, "mark": hints.mark(7, &told)};
        assert_eq!(hints_of(&event), told);
        let target: TargetId = "vim:a".parse().unwrap();
        let told = vec![
            Change::OpOcc(Some(target), "op".parse().unwrap()),
            Change::OpOcc(None, "other".parse().unwrap()),
            Change::Events,
        ];
        let event = doc! {"ns": {"coll": VNF_INSTANCES}, "documentKey": {"_id": "vnf"}, "mark": hints.mark(1, &told)};
        assert_eq!(hints_of(&event), told);
        assert_eq!(
            hints_of(&doc! {"ns": {"coll": ACCOUNTS}, "documentKey": {"_id": "vim:a"}}).len(),
            1
        );
        assert_eq!(
            hints_of(&doc! {"ns": {"coll": DECISIONS}, "documentKey": {"_id": "batch:1"}}),
            []
        );
    }
}
