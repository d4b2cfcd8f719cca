//! Operations on a deployed service, driven with LCM's calls: power, console, migration, vertical scale, recreate, cancel, SSH keys.

mod commands;
mod keys;
mod recreation;
mod refusals;
mod sizes;

use serde_json::{Value, json};

fn scale(vnf: &str, ram: u64) -> Value {
    json!({"lcmOperationType": "verticalscale", "verticalScale": "CHANGE_VNFFLAVOR", "nsInstanceId": "x",
        "changeVnfFlavorData": {"vnfInstanceId": vnf, "additionalParams": {
            "vduid": "mgmtVM", "vduCountIndex": 0, "virtualMemory": ram, "numVirtualCpu": 2, "sizeOfStorage": 20}}})
}
