//! Who the connector is: what it may do with which credential, which settings it knows, and where tokens are kept.

use vimhost_keystone::declare;
use vimhost_sdk::prelude::*;

use crate::schema;

/// The types of accounts that it serves: its own, and what SOL003 calls an OpenStack with Keystone's version 3.
const VIM_TYPES: [&str; 2] = ["heat", "ETSINFV.OPENSTACK_KEYSTONE.V_3"];

pub(crate) fn describe() -> Descriptor {
    Descriptor {
        name: "heat".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Drives stacks by the APIs of Keystone and Heat.".to_owned(),
        vim_types: VIM_TYPES.map(str::to_owned).into(),
        config_schema: schema::schema(),
        credentials: declare::credentials(),
        answer_credentials: declare::answer_credentials(),
        egress: declare::egress(),
        // In the request that makes the stack, so there is no moment in which it exists without.
        tokens: vec![TokenPlace {
            kind: ElementKind::Stack,
            where_: "a tag of the stack; a second one names the operation that updated it last".to_owned(),
            findable: true,
        }],
    }
}
