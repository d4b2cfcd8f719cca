//! Instances, occurrences and events as rows: made on the callers' side, so that the writer only binds.
//!
//! A row keeps its document in the three texts of [`Split`]. What of vimhost's own has a column is not in the text again; what a list is
//! filtered by is repeated in columns by the write that changes it.

use rusqlite::{Connection, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vimhost_model::Revision;
use vimhost_model::vnf::{LcmEvent, VnfInstance, VnfLcmOpOcc};
use vimhost_store::{Change, Error, InstanceWrite, Split, split};

use crate::connection::{first, run};
use crate::fault::{Outcome, decode, encode, from_sql, to_sql};
use crate::sql;

/// What of an instance's own is in columns, beside its revision.
const INSTANCE_COLUMNS: [&str; 3] = ["target", "package", "operation"];

/// What of an occurrence's own is in columns, beside its revision.
const OP_OCC_COLUMNS: [&str; 1] = ["target"];

const REVISION: &str = "revision";

/// A document as it is stored.
struct Texts {
    head: String,
    rest: String,
    own: String,
}

impl Texts {
    fn of(what: &str, document: &impl Serialize, excluded: &[&str], columns: &[&str]) -> Result<Self, Error> {
        let document = serde_json::to_value(document).map_err(|error| Error::corrupt(what, error))?;
        let Split { head, rest, mut own } = split(document, excluded);
        own.retain(|name, _| name != REVISION && !columns.contains(&name.as_str()));
        Ok(Self {
            head: encode(what, &head)?,
            rest: encode(what, &rest)?,
            own: encode(what, &own)?,
        })
    }

    fn bytes(&self) -> usize {
        let bytes = self.head.len().saturating_add(self.rest.len());
        bytes.saturating_add(self.own.len())
    }
}

/// An instance as its row, made on the caller's side so that the writer only binds.
pub(super) struct PreparedInstance {
    pub(super) id: String,
    expected: Revision,
    vnfd: String,
    state: &'static str,
    target: Option<String>,
    package: String,
    operation: Option<String>,
    texts: Texts,
}

impl PreparedInstance {
    pub(super) fn of(instance: &VnfInstance) -> Result<Self, Error> {
        let what = "a VNF instance";
        Ok(Self {
            id: instance.id.to_string(),
            expected: instance.own.revision,
            vnfd: instance.vnfd_id.to_string(),
            state: instance.instantiation_state.as_str(),
            target: instance.own.target.as_ref().map(ToString::to_string),
            package: instance.own.package.to_string(),
            operation: instance.own.operation.as_ref().map(ToString::to_string),
            texts: Texts::of(what, instance, &VnfInstance::DEFAULT_EXCLUDED, &INSTANCE_COLUMNS)?,
        })
    }

    /// Size of its documents.
    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes()
    }

    pub(super) fn insert(&self, connection: &Connection) -> Outcome<()> {
        let added = run(
            connection,
            sql::VNF_INSTANCE_INSERT,
            (
                &self.id,
                &self.vnfd,
                self.state,
                &self.target,
                &self.package,
                &self.operation,
                &self.texts.head,
                &self.texts.rest,
                &self.texts.own,
            ),
        )?;
        match added {
            0 => Err(Error::conflict(instance_name(&self.id)).into()),
            _ => Ok(()),
        }
    }

    /// Replaces the instance that an operation has locked, at the revision it was read at.
    fn replace(&self, connection: &Connection, holder: &str) -> Outcome<()> {
        let replaced = run(
            connection,
            sql::VNF_INSTANCE_REPLACE,
            (
                &self.id,
                to_sql(self.expected)?,
                holder,
                &self.vnfd,
                self.state,
                &self.target,
                &self.package,
                &self.operation,
                &self.texts.head,
                &self.texts.rest,
                &self.texts.own,
            ),
        )?;
        instance_changed(connection, replaced, &self.id)
    }
}

/// An occurrence as its row.
pub(super) struct PreparedOpOcc {
    pub(super) id: String,
    pub(super) instance: String,
    expected: Revision,
    state: &'static str,
    target: Option<String>,
    running: bool,
    texts: Texts,
}

impl PreparedOpOcc {
    pub(super) fn of(op_occ: &VnfLcmOpOcc) -> Result<Self, Error> {
        let what = "an operation occurrence";
        Ok(Self {
            id: op_occ.id.to_string(),
            instance: op_occ.vnf_instance_id.to_string(),
            expected: op_occ.own.revision,
            state: op_occ.operation_state.as_str(),
            target: op_occ.own.target.as_ref().map(ToString::to_string),
            running: op_occ.operation_state.is_running(),
            texts: Texts::of(what, op_occ, &VnfLcmOpOcc::DEFAULT_EXCLUDED, &OP_OCC_COLUMNS)?,
        })
    }

    /// Size of its documents.
    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes()
    }

    pub(super) fn insert(&self, connection: &Connection) -> Outcome<()> {
        let added = run(
            connection,
            sql::OP_OCC_INSERT,
            (
                &self.id,
                &self.instance,
                self.state,
                &self.target,
                self.running,
                &self.texts.head,
                &self.texts.rest,
                &self.texts.own,
            ),
        )?;
        match added {
            0 => Err(Error::conflict(op_occ_name(&self.id)).into()),
            _ => Ok(()),
        }
    }

    /// Writes it at the revision it was read at.
    pub(super) fn save(&self, connection: &Connection) -> Outcome<Revision> {
        let saved = run(
            connection,
            sql::OP_OCC_SAVE,
            (
                &self.id,
                to_sql(self.expected)?,
                self.state,
                &self.target,
                self.running,
                &self.texts.head,
                &self.texts.rest,
                &self.texts.own,
            ),
        )?;
        changed(connection, saved, sql::OP_OCC_EXISTS, &self.id, op_occ_name)?;
        Ok(self.expected.saturating_add(1))
    }
}

/// Events as their rows.
pub(super) struct Events(Vec<String>);

impl Events {
    pub(super) fn of(events: &[LcmEvent]) -> Result<Self, Error> {
        let texts = events.iter().map(|event| encode("an event", event));
        Ok(Self(texts.collect::<Result<_, _>>()?))
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }

    pub(super) fn write(&self, connection: &Connection) -> Outcome<()> {
        for document in &self.0 {
            run(connection, sql::LCM_EVENT_INSERT, [document])?;
        }
        Ok(())
    }

    /// The hints of a change with these events.
    pub(super) fn hints(&self, of_change: Option<Change>) -> Vec<Change> {
        let told = (!self.0.is_empty()).then_some(Change::Events);
        of_change.into_iter().chain(told).collect()
    }
}

/// What a save does to the instance of its occurrence.
pub(super) enum Effect {
    None,
    Release,
    Replace(Box<PreparedInstance>),
}

impl Effect {
    pub(super) fn of(write: InstanceWrite) -> Result<Self, Error> {
        Ok(match write {
            InstanceWrite::None => Self::None,
            InstanceWrite::Release => Self::Release,
            InstanceWrite::Replace(instance) => Self::Replace(Box::new(PreparedInstance::of(&instance)?)),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None | Self::Release => 0,
            Self::Replace(instance) => instance.bytes(),
        }
    }

    pub(super) fn apply(&self, connection: &Connection, op_occ: &PreparedOpOcc) -> Outcome<()> {
        match self {
            Self::None => Ok(()),
            Self::Release => {
                let released = run(connection, sql::VNF_INSTANCE_RELEASE, (&op_occ.instance, &op_occ.id))?;
                instance_changed(connection, released, &op_occ.instance)
            }
            Self::Replace(instance) => instance.replace(connection, &op_occ.id),
        }
    }
}

fn instance_name(id: &str) -> String {
    format!("VNF instance {id}")
}

fn op_occ_name(id: &str) -> String {
    format!("operation occurrence {id}")
}

/// Why a write has changed no row, if it has changed none: somebody else was faster, or there is none of that id.
fn changed(
    connection: &Connection,
    count: usize,
    exists: &'static str,
    id: &str,
    name: fn(&str) -> String,
) -> Outcome<()> {
    if count > 0 {
        return Ok(());
    }
    let there = first(connection, exists, [id], |_| Ok(()))?;
    let refused = there.map_or_else(|| Error::missing(name(id)), |()| Error::conflict(name(id)));
    Err(refused.into())
}

pub(super) fn instance_changed(connection: &Connection, count: usize, id: &str) -> Outcome<()> {
    changed(connection, count, sql::VNF_INSTANCE_EXISTS, id, instance_name)
}

/// A row as it was read.
pub(super) struct Stored<const N: usize> {
    revision: i64,
    columns: [Option<String>; N],
    texts: Texts,
}

/// Of a row that begins with the revision and the columns, and ends with the texts.
pub(super) fn stored_row<const N: usize>(row: &Row<'_>) -> rusqlite::Result<Stored<N>> {
    let mut columns = [const { None::<String> }; N];
    for (index, column) in (1_usize..).zip(&mut columns) {
        *column = row.get(index)?;
    }
    Ok(Stored {
        revision: row.get(0)?,
        columns,
        texts: Texts {
            head: row.get(N + 1)?,
            rest: row.get(N + 2)?,
            own: row.get(N + 3)?,
        },
    })
}

impl<const N: usize> Stored<N> {
    fn document<T: DeserializeOwned>(self, what: &str, columns: [&str; N]) -> Outcome<T> {
        let mut own: Map<String, Value> = decode(what, &self.texts.own)?;
        own.insert(REVISION.to_owned(), from_sql(self.revision)?.into());
        for (name, value) in columns.into_iter().zip(self.columns) {
            own.insert(name.to_owned(), value.into());
        }
        let parts = Split {
            head: decode(what, &self.texts.head)?,
            rest: decode(what, &self.texts.rest)?,
            own,
        };
        serde_json::from_value(parts.join()).map_err(|error| Error::corrupt(what, error).into())
    }
}

pub(super) fn instance_of(row: Stored<3>) -> Outcome<VnfInstance> {
    row.document("a VNF instance", INSTANCE_COLUMNS)
}

pub(super) fn op_occ_of(row: Stored<1>) -> Outcome<VnfLcmOpOcc> {
    row.document("an operation occurrence", OP_OCC_COLUMNS)
}
