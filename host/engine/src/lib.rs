//! Planning, the task machine, scheduling and recovery.
//!
//! * [`wanted`] — what a deploy asks for, [`operation`] — what an operation does, both parsed once.
//! * [`mod@derive`] — creation parameters in NG-RO's shape, pure.
//! * [`plan`] — wanted state + records + resources → ordered changes with reasons and the tasks that make them, pure.
//! * [`machine`] — one resource and one event → the resource afterwards and what is to be done, pure.
//! * [`schedule`] — performs what the machine asks for: connector calls, observations, timers, wake-ups.
//! * [`lcm`] — the life cycle of VNF instances: operations on stacks, in SOL003's words.
//! * [`VimAudit`] — what a VIM has of ours beside what the records say.
//! * [`Engine`] — the face to the northbound interfaces.
//!
//! The engine knows the store and the connectors as traits only. Time enters through [`Clock`] and ids through the planner's
//! arguments, so that everything that decides can be tested with data alone.

#![forbid(unsafe_code)]

mod access;
mod accounts;
mod actions;
mod adopted;
mod clock;
pub mod derive;
mod engine;
mod error;
mod held;
mod keys;
pub mod lcm;
pub mod machine;
mod moved;
pub mod operation;
pub mod plan;
mod removal;
mod report;
pub mod retry;
mod rotation;
pub mod schedule;
mod service;
mod settings;
mod vim_audit;
pub mod wanted;

pub use access::NewToken;
pub use accounts::{AccountEdit, AccountView, NewAccount, check_secrets};
pub use actions::{ActionFilter, Cancelled};
pub use adopted::{AccountContent, Adopted};
pub use clock::{Clock, SystemClock};
pub use engine::{Accepted, Engine, EngineConfig};
pub use error::Error;
pub use lcm::LcmConfig;
pub use report::{ActionReport, TaskReport};
pub use rotation::{Rotation, SealKeyView};
pub use schedule::LeaseTerms;
pub use service::{SPEC_KEY, ServiceSpec, ServiceView};
pub use vim_audit::{AuditPage, Finding, Verdict, VimAudit};
