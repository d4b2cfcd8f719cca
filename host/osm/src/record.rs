//! What NBI asks for in an account's document, and how it is answered (NG-RO REST 6.2).
//!
//! NBI appends an entry to `_admin.operations` for each creation and edit, in state `PROCESSING`, and waits for its end. An entry of a
//! deletion is LCM's to end: it removes the document. `_admin.to_delete` tells that one is under way.

use serde_json::Value;
use vimhost_model::{TargetKind, Timestamp};

use crate::account::fields;

/// State of an operation that waits for its end.
pub(crate) const PROCESSING: &str = "PROCESSING";

/// State of an account that can be used.
pub(crate) const ENABLED: &str = "ENABLED";

/// State of an account whose check failed.
pub(crate) const ERROR: &str = "ERROR";

/// `lcmOperationType` of a deletion.
const DELETE: &str = "delete";

/// Longest text that is written about a failure. NBI shows it in one line.
const LONGEST: usize = 1024;

/// An operation that waits for its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its place in `_admin.operations`. NBI only appends.
    pub index: usize,
    /// `startTime`, which tells whether it still is the same one.
    pub started: Value,
    /// Who works on it, and since when, in seconds.
    pub lock: Option<Lock>,
}

/// A mark that somebody works on an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// `locked_at`
    pub at: f64,
    /// `locked_by`: the host. NG-RO writes none.
    pub by: Option<String>,
}

/// How a check ended: as `Err`, what NBI is to show.
pub type Outcome = Result<(), String>;

/// What is to be written into a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The operations that end with it; none where only the account's state is set right.
    pub operations: Vec<Operation>,
    /// How they end.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
}

fn admin<'d>(document: &'d Value, field: &str) -> Option<&'d Value> {
    document.get("_admin").and_then(|admin| admin.get(field))
}

/// Whether the account is being deleted.
#[must_use]
pub fn is_leaving(document: &Value) -> bool {
    admin(document, "to_delete").and_then(Value::as_bool).unwrap_or(false)
}

/// `_admin.operationalState`
#[must_use]
pub fn state(document: &Value) -> Option<&str> {
    admin(document, "operationalState").and_then(Value::as_str)
}

/// The operations that wait for their end, those that are LCM's excepted.
#[must_use]
pub fn open_operations(document: &Value) -> Vec<Operation> {
    let operations = admin(document, "operations").and_then(Value::as_array);
    let operations = operations.map(Vec::as_slice).unwrap_or_default().iter().enumerate();
    operations
        .filter(|(_, entry)| is(entry, "operationState", PROCESSING) && !is(entry, "lcmOperationType", DELETE))
        .map(|(index, entry)| Operation {
            index,
            started: entry.get("startTime").cloned().unwrap_or(Value::Null),
            lock: lock(entry),
        })
        .collect()
}

fn is(entry: &Value, field: &str, word: &str) -> bool {
    entry.get(field).and_then(Value::as_str) == Some(word)
}

fn lock(entry: &Value) -> Option<Lock> {
    let at = entry.get("locked_at").and_then(Value::as_f64).filter(|at| *at > 0.0)?;
    let by = entry.get("locked_by").and_then(Value::as_str).map(str::to_owned);
    Some(Lock { at, by })
}

/// Whether what was decided on one state of a document holds for another one: the account is the same, and what is to be ended still
/// waits. `_admin.operations` may have grown; what came waits for its own turn.
#[must_use]
pub fn still_asks(kind: TargetKind, decided_on: &Value, now: &Value, operations: &[Operation]) -> bool {
    let same = fields(kind).iter().all(|field| decided_on.get(field) == now.get(field));
    let open = open_operations(now);
    let waits = |operation: &Operation| {
        let mut open = open.iter();
        open.any(|other| other.index == operation.index && other.started == operation.started)
    };
    // Without an operation the state is all there is to tell whether somebody else has written.
    let state_counts = operations.is_empty();
    same && !is_leaving(now) && operations.iter().all(waits) && (!state_counts || state(decided_on) == state(now))
}

/// A reason as NBI may show it: a step, what went wrong in it, in one line of bounded length.
#[must_use]
pub fn reason(step: &str, error: &str) -> String {
    let text = format!("{step}: {error}");
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut cut = String::new();
    for c in line {
        if cut.len() + c.len_utf8() > LONGEST {
            break;
        }
        cut.push(c);
    }
    cut
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(operations: Value) -> Value {
        json!({"_id": "a", "name": "a", "vim_url": "u", "_admin": {"operationalState": "PROCESSING", "operations": operations}})
    }

    #[test]
    fn creations_and_edits_that_wait_are_ours_and_deletions_are_lcms() {
        let document = document(json!([
            {"lcmOperationType": "create", "operationState": "COMPLETED", "startTime": 1.5},
            {"lcmOperationType": "edit", "operationState": "PROCESSING", "startTime": 2.5, "locked_at": 9.0},
            {"lcmOperationType": "delete", "operationState": "PROCESSING", "startTime": 3.5},
            {"lcmOperationType": "edit", "operationState": "PROCESSING", "locked_at": 0, "locked_by": "x"},
        ]));
        let open = open_operations(&document);
        let shown: Vec<_> = open.iter().map(|o| (o.index, &o.started, o.lock.is_some())).collect();
        assert_eq!(shown, [(1, &json!(2.5), true), (3, &Value::Null, false)]);
        assert!(open_operations(&json!({"_id": "a"})).is_empty());
        assert!(!is_leaving(&document));
        assert!(is_leaving(&json!({"_admin": {"to_delete": true}})));
    }

    #[test]
    fn an_answer_holds_until_the_account_or_its_operation_is_another_one() {
        let create = json!({"lcmOperationType": "create", "operationState": "PROCESSING", "startTime": 1});
        let before = document(json!([create]));
        let open = open_operations(&before);
        let holds = |now: &Value| still_asks(TargetKind::Vim, &before, now, &open);
        assert!(holds(&before));
        let mut locked = before.clone();
        locked["_admin"]["operations"][0]["locked_at"] = json!(5.0);
        locked["_admin"]["modified"] = json!(5.0);
        locked["resources"] = json!({"vcpus": 5});
        assert!(holds(&locked));
        let edit = json!({"lcmOperationType": "edit", "operationState": "PROCESSING", "startTime": 2});
        assert!(holds(&document(json!([create, edit]))));
        for (place, value) in [
            ("/vim_url", json!("other")),
            ("/_admin/operations/0/operationState", json!("COMPLETED")),
            ("/_admin/operations/0/startTime", json!(7)),
        ] {
            let mut now = before.clone();
            *now.pointer_mut(place).unwrap() = value;
            assert!(!holds(&now), "{place}");
        }
        let mut leaving = before.clone();
        leaving["_admin"]["to_delete"] = json!(true);
        assert!(!holds(&leaving));
        let mut grown = before.clone();
        grown["vim_password"] = json!("x");
        assert!(!holds(&grown));
        let mut enabled = before.clone();
        enabled["_admin"]["operationalState"] = json!("ENABLED");
        assert!(holds(&enabled) && !still_asks(TargetKind::Vim, &before, &enabled, &[]));
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(reason("checking", "a\nb\u{1b}"), "checking: a b ");
        assert_eq!(reason("checking", &"ü".repeat(2000)).len(), LONGEST);
    }
}
