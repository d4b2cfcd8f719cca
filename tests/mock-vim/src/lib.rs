//! A small VIM with a REST interface of its own, and faults on request.
//!
//! Tests and the demo drive it through the mock connector; `vimhost mock-vim` is this library and nothing more. It is
//! a VIM as the real ones are where that matters to a client: names and tokens are not unique, references are checked,
//! states change with time, answers get lost, sessions expire. It runs nothing: a server is a record.
//!
//! The interface is described in the README beside this crate: `/v1` for clients, `/admin` for whoever writes a test.
//!
//! How it is built, from the outside in: `server` accepts connections, `front` applies scripted faults and counts, `rest`
//! turns HTTP into calls, `state` decides, `state_file` keeps. One lock stands around all state (`world`); nothing waits
//! while it is held.
//!
//! ```no_run
//! # async fn example() -> mock_vim::Result<()> {
//! let vim = mock_vim::Server::start(mock_vim::Config::default()).await?;
//! println!("a VIM listens at {}", vim.url());
//! vim.set_faults(mock_vim::Faults { build_delay_ms: 200, ..Default::default() })?;
//! vim.stop().await
//! # }
//! ```

#![forbid(unsafe_code)]

mod call;
mod clock;
mod config;
pub mod elements;
mod faults;
mod front;
mod refusal;
mod rest;
mod server;
mod state;
mod state_file;
mod world;

pub use call::{Kind, Operation};
pub use clock::UnixMillis;
pub use config::{Config, Credentials};
pub use elements::Meta;
pub use faults::{AnswerLost, Fail, Faults, InvalidFaults, Latency, ServerError, StackError};
pub use rest::Inventory;
pub use server::{Error, Result, Server};
pub use state_file::StateFileError;
pub use vimhost_hot::Resource as StackResource;
pub use world::Requests;
