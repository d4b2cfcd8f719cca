//! Changes of one record, gathered.
//!
//! A record of a service holds an item for each of its VMs, and each change of an item writes the whole document. Sent one by one,
//! the changes of a service whose VMs are all made at once would also meet in the server and be tried again by it, each time on a
//! larger document. So this process sends one update of a record at a time, and what has come meanwhile goes out together as the
//! next one: as in a group commit, nobody waits for company.
//!
//! A gathered update matches only while none of its changes is made. Where one is, because somebody has carried it out already, and
//! where the server refuses the whole, they are sent one by one, as they would have been without this.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::bson::doc;
use tokio::sync::oneshot;

use crate::fault::{Fault, Outcome};
use crate::records::{self, Marked};
use crate::shapes;
use crate::store::Core;

/// Changes that go out together. Each is a few stages of a pipeline, of which the server takes a thousand.
const TOGETHER: usize = 64;

/// Stages that go out together; a single change is sent whatever it has.
const STAGES: usize = 500;

type Key = (&'static str, String);

/// A lane for each record that is being changed.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<Key, Arc<Lane>>>);

#[derive(Debug, Default)]
struct Lane {
    waiting: Mutex<Vec<Waiting>>,
    /// One update is under way.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    change: Marked,
    reply: oneshot::Sender<Outcome<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    fn join(&self, change: Marked) -> oneshot::Receiver<Outcome<()>> {
        let (reply, answer) = oneshot::channel();
        lock(&self.waiting).push(Waiting { change, reply });
        answer
    }

    /// Those that go out next, in the order in which they came.
    fn next(&self) -> Vec<Waiting> {
        let mut waiting = lock(&self.waiting);
        let mut stages = 0;
        // One change of an origin at a time: a mark tells whether the last one is made, and an older one told again must not be made
        // behind it.
        let mut origins = HashSet::new();
        let fitting = waiting.iter().take(TOGETHER).take_while(|one| {
            stages += one.change.stages.len();
            stages <= STAGES && origins.insert(&*one.change.origin)
        });
        let count = fitting.count().max(1).min(waiting.len());
        waiting.drain(..count).collect()
    }
}

impl Lanes {
    fn lane(&self, key: &Key) -> Arc<Lane> {
        lock(&self.0).entry(key.clone()).or_default().clone()
    }

    /// Takes a lane away that nobody uses.
    fn leave(&self, key: &Key, lane: Arc<Lane>) {
        let mut lanes = lock(&self.0);
        drop(lane);
        if lanes.get(key).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(key);
        }
    }
}

impl Core {
    /// Makes a change of a record, with those of others that wait for the same record.
    pub(crate) async fn make_gathered(&self, change: Marked) -> Outcome<()> {
        let key = (change.collection, change.id.clone());
        let lane = self.lanes.lane(&key);
        let answer = self.drive(&lane, change).await;
        self.lanes.leave(&key, lane);
        answer
    }

    async fn drive(&self, lane: &Lane, change: Marked) -> Outcome<()> {
        loop {
            let mut answer = lane.join(change.clone());
            let turn = lane.turn.lock().await;
            loop {
                match answer.try_recv() {
                    Ok(answer) => return answer,
                    Err(oneshot::error::TryRecvError::Empty) => self.send_next(lane).await,
                    // Whoever sent it was given up in the middle of it. Making it again does no harm.
                    Err(oneshot::error::TryRecvError::Closed) => break,
                }
            }
            drop(turn);
        }
    }

    async fn send_next(&self, lane: &Lane) {
        let (changes, replies): (Vec<_>, Vec<_>) = lane.next().into_iter().map(|one| (one.change, one.reply)).unzip();
        if changes.len() > 1 {
            match self.db.update(records::gathered(&changes)).await {
                Ok(true) => {
                    replies.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
                    return;
                }
                Err(Fault::Lost(reason)) => {
                    let lost = |reply: oneshot::Sender<_>| drop(reply.send(Err(Fault::Lost(reason.clone()))));
                    replies.into_iter().for_each(lost);
                    return;
                }
                Ok(false) | Err(_) => {}
            }
        }
        for (change, reply) in changes.into_iter().zip(replies) {
            // Who has gone away does not hear it.
            let _ = reply.send(self.make_one(change).await);
        }
    }

    async fn make_one(&self, change: Marked) -> Outcome<()> {
        let (collection, record) = (change.collection, change.id.clone());
        match self.db.update(change.statement()).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                // It was made before, or there is nothing to make it in.
                let there = shapes::record(collection, &record).only(doc! {"_id": 1});
                if matches!(self.db.first(there).await, Ok(None)) {
                    self.left_out.missing(collection, &record);
                }
                Ok(())
            }
            // A record that cannot take it (it would grow too large, is shaped as nothing we know, or its database has a rule against it)
            // is left as it is; keeping the change would stop everything that comes after it.
            Err(Fault::Rejected(reason)) => {
                self.left_out.refused(collection, &record, &reason);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(origin: &str, stages: usize) -> Marked {
        Marked {
            collection: "vnfrs",
            id: "vnf".to_owned(),
            origin: origin.to_owned(),
            seq: 1,
            stages: vec![doc! {"$set": {"a": 1}}; stages],
        }
    }

    #[test]
    fn what_waits_goes_out_in_order_and_in_bounds() {
        let lane = Lane::default();
        let answers: Vec<_> = (0..TOGETHER + 3)
            .map(|n| lane.join(change(&n.to_string(), 1)))
            .collect();
        let first = lane.next();
        assert_eq!(first.len(), TOGETHER);
        assert_eq!(first[0].change.origin, "0");
        assert_eq!(lane.next().len(), 3);
        assert_eq!(lane.next().len(), 0);
        drop(answers);
        let _again: Vec<_> = ["a", "b", "a"].map(|origin| lane.join(change(origin, 1))).into();
        assert_eq!(
            [lane.next().len(), lane.next().len()],
            [2, 1],
            "one of an origin at a time"
        );
        let _large: Vec<_> = [2 * STAGES, 1, STAGES]
            .map(|stages| lane.join(change(&stages.to_string(), stages)))
            .into();
        let sizes: Vec<_> = (0..3).map(|_| lane.next().len()).collect();
        assert_eq!(
            sizes,
            [1, 1, 1],
            "a large one goes alone, and the next two do not fit together"
        );
    }

    #[test]
    fn a_lane_is_gone_when_nobody_uses_it() {
        let lanes = Lanes::default();
        let key = ("vnfrs", "vnf".to_owned());
        let (one, other) = (lanes.lane(&key), lanes.lane(&key));
        lanes.leave(&key, one);
        assert_eq!(lock(&lanes.0).len(), 1);
        lanes.leave(&key, other);
        assert_eq!(lock(&lanes.0).len(), 0);
    }
}
