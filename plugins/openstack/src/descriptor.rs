//! Who the connector is: what it may do with which credential, which settings it knows, and where tokens are kept.

use vimhost_keystone::declare;
use vimhost_sdk::prelude::*;

use crate::schema;

pub(crate) fn describe() -> Descriptor {
    Descriptor {
        name: "openstack".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Drives OpenStack by the APIs of Keystone, Nova, Neutron, Glance, Cinder and Placement."
            .to_owned(),
        vim_types: vec!["openstack".to_owned()],
        config_schema: schema::schema(),
        credentials: declare::credentials(),
        answer_credentials: declare::answer_credentials(),
        egress: declare::egress(),
        tokens: tokens(),
    }
}

/// Where each kind keeps its token. Neutron's `description` and Nova's metadata are set by the request that makes the element, so
/// there is no moment in which it exists without.
fn tokens() -> Vec<TokenPlace> {
    let place = |kind, place: &str| TokenPlace {
        kind,
        where_: place.to_owned(),
        findable: true,
    };
    vec![
        place(ElementKind::Network, "`description` of the network and of its subnet"),
        place(ElementKind::Port, "`description` of the port"),
        place(ElementKind::FloatingAddress, "`description` of the floating address"),
        place(
            ElementKind::Flavour,
            "`id` of the flavour, and its extra spec `vimhost:token`",
        ),
        place(
            ElementKind::Group,
            "`name` of the server group, behind the name asked for and `_`",
        ),
        place(ElementKind::Volume, "`metadata.vimhost-token` of the volume"),
        place(
            ElementKind::Server,
            "`metadata.vimhost-token` of the server, and a tag from microversion 2.52 on",
        ),
    ]
}
