//! YAML as OSM's components write and read it: PyYAML's safe loader and dumper, over JSON values.
//!
//! PyYAML reads plain scalars by the rules of YAML 1.1 and leaves the quotes away wherever these say that a text stays a text.
//! `1e3` and `0o7` are such texts, and a project id of 32 hexadecimal digits can look like the first one. A reader of YAML 1.2
//! makes numbers of them and so changes ids; hence [`read`] resolves scalars by PyYAML's own table, with two exceptions
//! where both mean well for people: base-60 numbers (an unquoted MAC address or port mapping) and dates stay texts.
//!
//! Documents come from the network, so nothing in [`read`] recurses over them unbounded, and what an alias or merge key copies
//! is charged before it is copied.

mod read;
mod scalar;
mod write;

pub(crate) use read::{Duplicates, read};
pub(crate) use write::write;
