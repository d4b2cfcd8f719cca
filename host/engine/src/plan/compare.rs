//! Whether what exists has the parameters that are wanted now.

use serde_json::Value;
use vimhost_model::{ItemRef, Resource};

use super::{TAKEN_OVER, texts};
use crate::Error;
use crate::derive::Derived;

/// Keys that a VM that was made anew has beyond what was wanted: the addresses of the one before it.
const ADDRESSES: [&str; 2] = ["ip_address", "mac_address"];

/// Names of the parameters in which an element differs from what is wanted now. `id_of` tells the id of what a reference stands for:
/// a VM that was made anew has ids where others have references.
pub(super) fn changed_fields(
    resource: &Resource,
    item: &ItemRef,
    derived: &Derived,
    path: &str,
    id_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Error> {
    let Some(task) = resource.live_creates().find(|task| task.target_record == *item) else {
        return Ok(Vec::new());
    };
    let mut fields = Vec::new();
    for (old, new) in [
        (&task.params, &derived.params),
        (&task.find_params, &derived.find_params),
    ] {
        let mut new = new.clone().unwrap_or(Value::Null);
        texts::extract(&mut new, &mut Vec::new(), path)?;
        let old = old.clone().unwrap_or(Value::Null);
        let made_anew = old.get(TAKEN_OVER).is_some();
        let keys = old
            .as_object()
            .into_iter()
            .chain(new.as_object())
            .flat_map(|map| map.keys());
        for key in keys.filter(|key| *key != TAKEN_OVER) {
            // A network that a data-plane interface turned into one is what was wanted.
            let turned = key == "net_type" && old.get(key) == Some(&Value::String("data".to_owned()));
            let (was, wanted) = (old.get(key), new.get(key));
            let same =
                was == wanted || (made_anew && was.zip(wanted).is_some_and(|(was, wanted)| agrees(was, wanted, id_of)));
            if !turned && !same && !fields.contains(key) {
                fields.push(key.clone());
            }
        }
    }
    Ok(fields)
}

/// Whether a parameter of a VM that was made anew is what is wanted.
fn agrees(was: &Value, wanted: &Value, id_of: &dyn Fn(&str) -> Option<String>) -> bool {
    match (was, wanted) {
        (Value::String(was), Value::String(wanted)) => {
            let reference = wanted.strip_prefix("TASK-");
            was == wanted || reference.and_then(id_of).as_ref() == Some(was)
        }
        (Value::Array(was), Value::Array(wanted)) => {
            was.len() == wanted.len() && was.iter().zip(wanted).all(|(was, wanted)| agrees(was, wanted, id_of))
        }
        // A disk that it took over is as large as it was made.
        (Value::Object(was), Value::Object(_)) if was.contains_key("vim_id") => true,
        (Value::Object(was), Value::Object(wanted)) => {
            let expected = |key: &String| wanted.contains_key(key) || ADDRESSES.contains(&key.as_str());
            was.keys().all(expected)
                && wanted
                    .iter()
                    .all(|(key, wanted)| agrees(was.get(key).unwrap_or(&Value::Null), wanted, id_of))
        }
        (was, wanted) => was == wanted,
    }
}
