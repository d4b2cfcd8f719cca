//! What wit-bindgen makes of the contract: one set of records, and one export macro per interface.
//!
//! WIT knows no optional exports, so the contract has a world per capability. Each world is bound in a module of its own,
//! and all of them point to the records of `shared`: a `Network` of the infrastructure world and one of the connector's own
//! code are the same type. The section that tells the component's type is written by the export macro of each world, so a
//! component says only what it exports; wit-component joins them.
//!
//! Natively the records are plain Rust and the imports are stubs that nothing calls: `host` leads elsewhere there.
//!
//! Nothing in here is written by hand, and nothing but the crate itself and `export_connector!` should name it.

#![allow(unused_qualifications, reason = "generated; not in every configuration")]

pub mod shared {
    wit_bindgen::generate!({
        world: "imports",
        path: "../wit/connector-0.1.0",
        generate_unused_types: true,
        additional_derives: [PartialEq],
        additional_type_attributes: {
            "vimhost:connector/vim-types@0.1.0/account": [#[derive(Default)]],
            "vimhost:connector/vim-types@0.1.0/call": [#[derive(Default)]],
            "vimhost:connector/vim-types@0.1.0/pending": [#[derive(Default)]],
            "vimhost:connector/vim-types@0.1.0/created": [#[derive(Default)]],
            "vimhost:connector/vim-types@0.1.0/interface-observation": [#[derive(Default)]],
            "vimhost:connector/vim-types@0.1.0/server-observation": [#[derive(Default)]],
            "vimhost:connector/vim-types@0.1.0/observed": [#[derive(Default)]],
            "vimhost:connector/vim-types@0.1.0/owned-page": [#[derive(Default)]],
        },
    });
}

macro_rules! world {
    ($module:ident, $world:literal, $macro_name:literal, $bindings:literal, { $($attributes:tt)* }, { $($members:tt)* }) => {
        pub mod $module {
            wit_bindgen::generate!({
                world: $world,
                path: "../wit/connector-0.1.0",
                with: {
                    "vimhost:connector/vim-types@0.1.0": crate::bindings::shared::vimhost::connector::vim_types,
                    "vimhost:connector/log@0.1.0": crate::bindings::shared::vimhost::connector::log,
                    "vimhost:connector/journal@0.1.0": crate::bindings::shared::vimhost::connector::journal,
                    "vimhost:connector/cache@0.1.0": crate::bindings::shared::vimhost::connector::cache,
                },
                generate_unused_types: true,
                additional_derives: [PartialEq],
                additional_type_attributes: { $($attributes)* },
                additional_member_attributes: { $($members)* },
                pub_export_macro: true,
                export_macro_name: $macro_name,
                default_bindings_module: $bindings,
            });
        }
    };
}

world!(base, "base", "export_base", "vimhost_sdk::bindings::base", {
    "vimhost:connector/connector@0.1.0/descriptor": [#[derive(Default)]],
    "vimhost:connector/connector@0.1.0/check-report": [#[derive(Default)]],
}, {});

world!(infrastructure, "infrastructure-connector", "export_infrastructure", "vimhost_sdk::bindings::infrastructure", {
    "vimhost:connector/infrastructure@0.1.0/found": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/filter": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/ip-version": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/ip-profile": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/provider-network": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/network-request": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/flavour-data": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/group-request": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/volume-request": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/interface-kind": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/interface-use": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/server-interface": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/new-disk": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/cloud-user": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/cloud-file": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/cloud-config": [#[derive(Default)]],
    "vimhost:connector/infrastructure@0.1.0/server-request": [#[derive(Default)]],
}, {
    "vimhost:connector/infrastructure@0.1.0/ip-version.ipv4": [#[default]],
    "vimhost:connector/infrastructure@0.1.0/interface-kind.virtual": [#[default]],
    "vimhost:connector/infrastructure@0.1.0/interface-use.bridge": [#[default]],
});

world!(
    operations,
    "operations-connector",
    "export_operations",
    "vimhost_sdk::bindings::operations",
    {},
    {}
);

world!(stacks, "stacks-connector", "export_stacks", "vimhost_sdk::bindings::stacks", {
    "vimhost:connector/stacks@0.1.0/stack-ref": [#[derive(Default)]],
    "vimhost:connector/stacks@0.1.0/stack-content": [#[derive(Default)]],
    "vimhost:connector/stacks@0.1.0/stack-request": [#[derive(Default)]],
    "vimhost:connector/stacks@0.1.0/observed-stacks": [#[derive(Default)]],
}, {});

world!(connectivity, "connectivity-connector", "export_connectivity", "vimhost_sdk::bindings::connectivity", {
    "vimhost:connector/connectivity@0.1.0/encapsulation": [#[derive(Default)]],
    "vimhost:connector/connectivity@0.1.0/endpoint": [#[derive(Default)]],
}, {
    "vimhost:connector/connectivity@0.1.0/encapsulation.none": [#[default]],
});
