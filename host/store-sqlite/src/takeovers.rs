//! Services that were taken over from another orchestrator.

use async_trait::async_trait;
use rusqlite::Row;
use vimhost_model::Timestamp;
use vimhost_store::{Error, Page, Takeover, Takeovers};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, parse};
use crate::sql;
use crate::store::{SMALL, SqliteStore};
use crate::writer::Done;
use vimhost_store::paging::{cut, rows};

fn row(row: &Row<'_>) -> rusqlite::Result<(String, i64)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn of_row((nsr, at): (String, i64)) -> Outcome<Takeover> {
    Ok(Takeover {
        nsr_id: parse("a service's id", &nsr)?,
        at: Timestamp(at),
    })
}

#[async_trait]
impl Takeovers for SqliteStore {
    async fn note_takeover(&self, takeover: &Takeover) -> Result<Takeover, Error> {
        let Takeover { nsr_id, at } = takeover.clone();
        self.write(SMALL, move |connection| {
            run(connection, sql::TAKEOVER_NOTE, (nsr_id.as_str(), at.0))?;
            let noted = first(connection, sql::TAKEOVER_GET, [nsr_id.as_str()], row)?;
            let noted = noted.ok_or_else(|| Error::corrupt("a takeover", "it is not there after it was noted"))?;
            Ok(Done::quietly(of_row(noted)?))
        })
        .await
    }

    async fn takeovers(&self, after: Option<&str>, limit: usize) -> Result<Page<Takeover>, Error> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| {
            let found = all(connection, sql::TAKEOVER_PAGE, (after, rows(limit)), row)?;
            let noted = found.into_iter().map(of_row).collect::<Outcome<Vec<_>>>()?;
            Ok(cut(noted, limit, |noted| noted.nsr_id.to_string()))
        })
        .await
    }
}
