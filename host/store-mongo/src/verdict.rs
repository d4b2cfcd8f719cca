//! What became of a commit: as the service's document tells, or is made to tell by whoever will not wait any longer
//! ([`crate::commit`]).

use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};
use tokio::time::Instant;

use crate::db::Statement;
use crate::decisions::of_service;
use crate::fault::{Fault, Outcome};
use crate::fields::{number_of, text_of, texts_of};
use crate::shapes;
use crate::store::{Core, unique};

/// How long a reservation is respected. A commit takes some milliseconds from it to its decision.
const RESPECT: Duration = Duration::from_millis(300);

/// How often to look whether a commit was decided.
const PAUSE: Duration = Duration::from_millis(10);

/// After this long a prepared commit is the remains of a process that died; no request is worked on so long.
const ABANDONED: Duration = Duration::from_secs(600);

/// What became of a commit, as the service's document tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is made.
    Decided,
    /// It never will be.
    Dead,
    /// It may still be.
    Open,
}

impl Core {
    /// What became of the commit of a reservation.
    pub(crate) async fn verdict(&self, pending: &Document) -> Outcome<Verdict> {
        let (commit, base) = (text_of(pending, "commit"), number_of(pending, "base"));
        let decision = self
            .db
            .first(shapes::decision(&of_service(text_of(pending, "nsr"))))
            .await?;
        let Some(decision) = decision else {
            return Ok(if base == 0 { Verdict::Open } else { Verdict::Dead });
        };
        Ok(if text_of(&decision, "commit") == commit {
            Verdict::Decided
        } else if number_of(&decision, "rev") != base || texts_of(&decision, "refused").iter().any(|it| it == commit) {
            Verdict::Dead
        } else {
            Verdict::Open
        })
    }

    /// Makes sure that an open commit is never made.
    pub(crate) async fn refuse(&self, pending: &Document) -> Outcome<Verdict> {
        let (commit, base) = (text_of(pending, "commit"), number_of(pending, "base"));
        let decision = of_service(text_of(pending, "nsr"));
        let refuse = Statement {
            upsert: base == 0,
            ..Statement::of(
                shapes::undecided(&decision, base, commit),
                doc! {"$addToSet": {"refused": commit}, "$setOnInsert": {"life": unique()}},
            )
        };
        match self.db.update(refuse).await {
            Ok(true) => Ok(Verdict::Dead),
            Ok(false) | Err(Fault::Duplicate(_)) => self.verdict(pending).await,
            Err(fault) => Err(fault),
        }
    }

    /// Frees a document from a commit's hold: waits a moment for the commit, then refuses it.
    pub(crate) async fn resolve(&self, document: &Document) -> Outcome<()> {
        let Ok(pending) = document.get_document("pending") else {
            return Ok(());
        };
        if self.ended(pending).await? == Verdict::Dead {
            let ids = [text_of(document, "_id").to_owned()];
            self.free(text_of(pending, "commit"), &ids).await?;
        }
        Ok(())
    }

    /// What became of a commit in the end: waits a moment for it, then refuses it. One that is made is carried out when this answers.
    pub(crate) async fn ended(&self, pending: &Document) -> Outcome<Verdict> {
        let until = Instant::now() + RESPECT;
        let mut verdict = self.verdict(pending).await?;
        while verdict == Verdict::Open {
            if Instant::now() >= until {
                verdict = self.refuse(pending).await?;
                break;
            }
            tokio::time::sleep(PAUSE).await;
            verdict = self.verdict(pending).await?;
        }
        if verdict == Verdict::Decided {
            self.settled_decision(text_of(pending, "nsr")).await?;
        }
        Ok(verdict)
    }

    /// Refuses the commits of processes that died before their decision, and takes away what they prepared.
    pub(crate) async fn discard_abandoned(&self) -> Outcome<()> {
        let age = i64::try_from(ABANDONED.as_millis()).unwrap_or(i64::MAX);
        let before = DateTime::from_millis(DateTime::now().timestamp_millis().saturating_sub(age));
        for header in self.db.all(shapes::commits_before(before), 100).await? {
            let Ok(pending) = header.get_document("pending") else {
                continue;
            };
            let (ids, shares) = (texts_of(pending, "ids"), texts_of(pending, "shares"));
            match self.refuse(pending).await? {
                Verdict::Dead => self.discard(text_of(pending, "commit"), &ids, &shares).await?,
                Verdict::Decided => {
                    self.settled_decision(text_of(pending, "nsr")).await?;
                }
                Verdict::Open => {}
            }
        }
        Ok(())
    }
}
