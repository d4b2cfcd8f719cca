//! The JSON schema of an account's settings.
//!
//! Wide, as that of the connector of OpenStack: what a setting means is checked when it is read. Settings nobody knows pass, since an
//! account may carry those of other programs.

use serde_json::json;
use vimhost_keystone::declare;

pub(crate) fn schema() -> String {
    let heat_endpoint = json!({
        "type": ["string", "null"],
        "description": "URL of Heat, with or without version and project, instead of the one that the catalogue names.",
    });
    declare::schema([("heat_endpoint", heat_endpoint)])
}
