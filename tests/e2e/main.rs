//! End to end: the real binary with the mock connector against the mock VIM, driven as its users drive it.

#![forbid(unsafe_code)]

mod bad_input;
mod canary;
mod command_line;
mod kill;
mod lcm;
mod misbehaviour;
