//! Connectivity services of SDN controllers and WIMs.

use serde_json::{Map, Value};

use super::{Derived, Error, Field, Item};

/// Whether a network item on this target is a connectivity service.
pub(super) fn is_service(target: &str, target_info: &Field<'_>) -> Result<bool, Error> {
    Ok(target.starts_with("sdn") || target.starts_with("wim") || target_info.is_set("sdn")?)
}

/// Derives a connectivity service on a target. `record_ref` is the reference of the network whose ports it joins.
pub(super) fn service(
    record_ref: &str,
    item: &Field<'_>,
    target: &str,
    target_info: &Field<'_>,
) -> Result<Derived, Error> {
    let mut derived = Derived {
        common_id: item.text_of("common_id")?,
        ..Derived::new(Item::SdnNet)
    };
    let mut params = Map::new();
    // Their elements are read here only to refuse, while the client still waits, what the service could not use.
    for port in target_info.list("sdn-ports")? {
        port.object()?;
    }
    for vld in target_info.list("vlds")? {
        vld.text()?;
    }
    target_info.text_of("type")?;
    for key in ["sdn-ports", "target_vim", "vlds", "type"] {
        if target_info.is_set(key)?
            && let Some(value) = target_info.get(key)?
        {
            params.insert(key.to_owned(), value.value().clone());
        }
    }
    if let Some(target_vim) = target_info.text_of("target_vim")? {
        derived.depend_on(format!("{target_vim} {record_ref}"));
    } else if let Some(targets) = item.get("vim_info")? {
        // LCM says nothing of the VIM when it wants a WIM: the network is joined on every VIM it is on.
        let others = targets.object()?.iter().filter(|(_, info)| !info.is_null());
        for (vim, _) in others.filter(|(other, _)| other.starts_with("vim:") && *other != target) {
            derived.depend_on(format!("{vim} {record_ref}"));
        }
    }
    derived.params = Some(Value::Object(params));
    Ok(derived)
}
