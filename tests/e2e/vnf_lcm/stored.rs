//! The database of a host that is dead: what an operator, a restored copy or a crash at a bad moment may have made of it.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

/// The embedded store's file.
pub(super) struct Database(Connection);

impl Database {
    pub(super) fn open(data_dir: &Path) -> Self {
        Self(Connection::open(data_dir.join("vimhost.db")).unwrap())
    }

    /// A document's own part is read, changed and written.
    fn change(&self, table: &str, column: &str, id: &str, change: impl FnOnce(&mut Value)) {
        let read = format!("SELECT {column} FROM {table} WHERE id = ?1");
        let text: String = self.0.query_row(&read, [id], |row| row.get(0)).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        change(&mut document);
        let write = format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1");
        let changed = self.0.execute(&write, (id, document.to_string())).unwrap();
        assert_eq!(changed, 1);
    }

    /// The stack that an instance is said to have.
    pub(super) fn set_stack_of_instance(&self, instance: &str, stack_id: &Value) {
        self.change("vnf_instance", "own", instance, |own| {
            assert!(own["stack"]["id"].is_string(), "{own:#}");
            own["stack"]["id"] = stack_id.clone();
        });
    }

    /// The stack that an operation is said to work on.
    pub(super) fn set_stack_of_operation(&self, op_occ: &str, stack_id: &Value) {
        self.change("vnf_op_occ", "own", op_occ, |own| {
            assert!(own["work"]["stack"]["id"].is_string(), "{own:#}");
            own["work"]["stack"]["id"] = stack_id.clone();
        });
    }

    /// The state that an operation is in.
    pub(super) fn state_of(&self, op_occ: &str) -> String {
        let read = "SELECT state FROM vnf_op_occ WHERE id = ?1";
        self.0.query_row(read, [op_occ], |row| row.get(0)).unwrap()
    }

    /// An operation as a host leaves it that dies right after it has accepted it.
    pub(super) fn back_to_starting(&self, op_occ: &str) {
        self.change("vnf_op_occ", "own", op_occ, |own| own["work"] = Value::Null);
        self.change("vnf_op_occ", "head", op_occ, |head| {
            assert_eq!(head["operationState"], "PROCESSING", "{head:#}");
            head["operationState"] = Value::from("STARTING");
        });
        let write = "UPDATE vnf_op_occ SET state = 'STARTING' WHERE id = ?1";
        assert_eq!(self.0.execute(write, [op_occ]).unwrap(), 1);
    }
}
