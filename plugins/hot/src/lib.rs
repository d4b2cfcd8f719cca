//! What Heat would make of a template: the list of resources, nested stacks included.
//!
//! The mock VIM and the mock connector serve stacks with it, so that whoever drives Heat can be tried without one. It
//! expands a HOT template with its files, parameters and environment into resources with ids, parents and dependencies,
//! and applies an update to what an earlier expansion made. It runs nothing and knows no clock.
//!
//! What is kept of Heat: `get_param` with paths, `get_resource`, `get_file`, `str_replace`, `list_join`, `depends_on`,
//! `OS::Heat::AutoScalingGroup`, `OS::Heat::ResourceGroup`, templates as types (by file name or by `resource_registry`),
//! parameter defaults of template and environment, the limits of 5 nested levels and 1000 resources, and the words of
//! its refusals.
//!
//! What is simpler:
//! * A resource whose properties change stays, with the new ones. Heat replaces some (a server whose image changes).
//! * Attributes are not known: `get_attr` is the empty text. It counts as a dependency.
//! * Constraints and conditions are not looked at; other functions stay as they are written.
//! * Types with `::` are taken as they come, with any properties.

#![forbid(unsafe_code)]

mod content;
mod error;
mod expand;
mod functions;
mod ids;
mod stack;
mod template;

pub use content::{Change, Content};
pub use error::Error;
pub use ids::stack_id;
pub use stack::{Resource, Stack, StackName, Status};

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
