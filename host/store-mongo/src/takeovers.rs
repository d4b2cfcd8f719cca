//! Services that were taken over from another orchestrator: `{ _id: nsr, at }`.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use vimhost_model::Timestamp;
use vimhost_store::{Error, Page, Takeover, Takeovers};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, parse};
use crate::fields::{number_of, text_of};
use crate::paging::{cut, rows};
use crate::shapes;
use crate::store::{Core, MongoStore};

fn takeover_of(document: &Document) -> Outcome<Takeover> {
    Ok(Takeover {
        nsr_id: parse("a takeover", text_of(document, "_id"))?,
        at: Timestamp(number_of(document, "at")),
    })
}

impl Core {
    async fn put_takeover(&self, takeover: &Takeover) -> Outcome<Takeover> {
        let note = Statement {
            upsert: true,
            ..Statement::of(
                shapes::takeover(takeover.nsr_id.as_str()),
                doc! {"$setOnInsert": {"at": takeover.at.0}},
            )
        };
        let noted = match self.db.update_and_read(note.clone()).await {
            // Two at once both find nothing; and a note that was lost on the way is noted again, which changes nothing.
            Err(fault) if fault.is_lost() || matches!(fault, Fault::Duplicate(_)) => {
                self.db.update_and_read(note).await?
            }
            other => other?,
        };
        let noted = noted.ok_or_else(|| Error::corrupt("a takeover", "it is not there after it was noted"))?;
        takeover_of(&noted)
    }

    async fn takeover_page(&self, after: Option<&str>, limit: usize) -> Outcome<Page<Takeover>> {
        let found = self
            .db
            .all(shapes::takeovers_after(after.unwrap_or_default()), rows(limit))
            .await?;
        let noted = found.iter().map(takeover_of).collect::<Outcome<Vec<_>>>()?;
        Ok(cut(noted, limit, |noted| noted.nsr_id.to_string()))
    }
}

#[async_trait]
impl Takeovers for MongoStore {
    async fn note_takeover(&self, takeover: &Takeover) -> Result<Takeover, Error> {
        Ok(self.core.put_takeover(takeover).await?)
    }

    async fn takeovers(&self, after: Option<&str>, limit: usize) -> Result<Page<Takeover>, Error> {
        Ok(self.core.takeover_page(after, limit).await?)
    }
}
