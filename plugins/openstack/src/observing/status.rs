//! OpenStack's status words and the engine's.

use vimhost_sdk::prelude::ElementStatus;

use crate::compute::Server;

/// Whether a server is on its way from one status to another (O13): it is not at fault, and becomes something else by itself.
pub(crate) fn transitional(word: &str) -> bool {
    matches!(
        word,
        "BUILD" | "REBOOT" | "HARD_REBOOT" | "RESIZE" | "REVERT_RESIZE" | "MIGRATING" | "REBUILD" | "PASSWORD"
    )
}

/// The engine's word for a server.
pub(crate) fn of(server: &Server) -> ElementStatus {
    // An errored server that is being deleted still says ERROR; that would be taken for a failed deletion.
    if server.goes() {
        return ElementStatus::Other;
    }
    match server.status() {
        "ACTIVE" => ElementStatus::Active,
        "PAUSED" => ElementStatus::Paused,
        "SUSPENDED" => ElementStatus::Suspended,
        "SHUTOFF" | "SHELVED" | "SHELVED_OFFLOADED" => ElementStatus::Inactive,
        // It runs with its new flavour and waits for a word; the resize that asked for it gives it.
        "VERIFY_RESIZE" => ElementStatus::Build,
        // The second is what a cloud that deletes later makes of a deleted server: whoever deletes it asks again.
        "ERROR" | "SOFT_DELETED" => ElementStatus::Error,
        word if transitional(word) => ElementStatus::Build,
        _ => ElementStatus::Other,
    }
}

/// The engine's word for a volume's status.
pub(crate) fn of_volume(word: &str) -> ElementStatus {
    match word {
        "creating" | "downloading" => ElementStatus::Build,
        word if word.starts_with("error") => ElementStatus::Error,
        "deleting" => ElementStatus::Other,
        // Attached, being attached, backed up, extended, retyped: all of it is service.
        _ => ElementStatus::Active,
    }
}

/// The engine's word for an image's status.
pub(crate) fn of_image(word: &str) -> ElementStatus {
    match word {
        "active" => ElementStatus::Active,
        "queued" | "saving" | "importing" | "uploading" => ElementStatus::Build,
        "deactivated" => ElementStatus::Inactive,
        "killed" => ElementStatus::Error,
        _ => ElementStatus::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(status: &str, task: Option<&str>) -> ElementStatus {
        let server = json!({"status": status, "OS-EXT-STS:task_state": task});
        of(&serde_json::from_value(server).unwrap())
    }

    #[test]
    fn o13_a_server_on_its_way_has_not_failed() {
        for word in [
            "REBOOT",
            "HARD_REBOOT",
            "RESIZE",
            "MIGRATING",
            "REBUILD",
            "PASSWORD",
            "VERIFY_RESIZE",
            "REVERT_RESIZE",
        ] {
            assert_eq!(seen(word, None), ElementStatus::Build, "{word}");
        }
        assert_eq!(seen("SHELVED_OFFLOADED", None), ElementStatus::Inactive);
        assert_eq!(seen("RESCUE", None), ElementStatus::Other);
    }

    #[test]
    fn an_errored_server_that_is_being_deleted_is_no_failed_deletion() {
        assert_eq!(seen("ERROR", None), ElementStatus::Error);
        assert_eq!(seen("ERROR", Some("deleting")), ElementStatus::Other);
    }

    #[test]
    fn a_volume_in_any_error_is_in_error() {
        assert_eq!(of_volume("error_deleting"), ElementStatus::Error);
        assert_eq!(of_volume("in-use"), ElementStatus::Active);
        assert_eq!(of_volume("downloading"), ElementStatus::Build);
        assert_eq!(of_image("killed"), ElementStatus::Error);
    }
}
