//! The contract as wasmtime sees it: one world that exports everything, bound once.
//!
//! Nobody has to implement all of it. Per exported interface the macro makes a `GuestIndices`, and a plugin keeps those of the
//! interfaces it has; the records are shared because there is one binding.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    unused_qualifications,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    world: "everything",
    path: "../../wit/connector-0.1.0",
    imports: { default: async | trappable },
    exports: { default: async },
});

pub(crate) use exports::vimhost::connector as guest;
pub(crate) use vimhost::connector as host;
