//! Failures of the runtime itself. A plugin that cannot be loaded is a state, and a call that fails is an answer: neither is here.

use std::io;
use std::path::PathBuf;

/// Why the runtime cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine of wasmtime cannot be made.
    #[error("cannot make the WebAssembly engine: {0}")]
    Engine(String),
    /// A host function cannot be offered to guests.
    #[error("cannot link the host's functions: {0}")]
    Link(String),
    /// Threads cannot be started.
    #[error("cannot start the guests' threads")]
    Threads(#[source] io::Error),
    /// The directory of compiled images cannot be used.
    #[error("cannot use {path} for compiled images")]
    CacheDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The plugin directory cannot be read.
    #[error("cannot read the plugin directory {path}")]
    PluginDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No randomness.
    #[error("the operating system has no randomness: {0}")]
    Randomness(String),
}

/// The text of an error of wasmtime for people: its causes in one line, without the host's stack trace that `{:?}` would add
/// under `RUST_BACKTRACE`.
pub(crate) fn text_of(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}
