//! Lines for the host's log: `info!("took the default zone", zone = name)`.
//!
//! Variable parts go to fields, so that lines of one kind can be counted. The host adds plugin, version, account and task.

use std::fmt::Display;

pub use crate::bindings::shared::vimhost::connector::log::Level;

/// Writes a line; the macros are shorter.
pub fn write(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.to_string()))
        .collect();
    crate::host::log(level, message, &fields);
}

/// Writes a line at a level: `event!(Level::Info, "message", key = value)`.
#[macro_export]
macro_rules! event {
    ($level:expr, $message:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::log::write($level, $message, &[$((stringify!($key), &$value as &dyn ::std::fmt::Display)),*])
    };
}

/// Raw requests and answers.
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::event!($crate::log::Level::Trace, $($line)+) };
}

/// Each step and its status.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::event!($crate::log::Level::Debug, $($line)+) };
}

/// Rare and useful: a fallback taken.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::event!($crate::log::Level::Info, $($line)+) };
}

/// Unexpected, and the result stays right.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::event!($crate::log::Level::Warn, $($line)+) };
}

/// The cause of a failure.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::event!($crate::log::Level::Error, $($line)+) };
}
