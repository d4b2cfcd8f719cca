//! Lets public keys into VMs by SSH: the only crate that names `russh`.
//!
//! What NG-RO's connectors do in their base class (`vimconn.py`) is done by the host itself here: a plugin has no sockets and sees no
//! private key. One call is one connection: dial the VM's address, log in with the service's key or a password, run one fixed command
//! that adds the line it reads, hang up. Whether and when a call is repeated is the engine's business.
//!
//! What must always hold:
//! * Only the address of the request is dialled, never a name, and never an address that `reach` refuses.
//! * A call ends within `CONNECT` and `EXCHANGE`, reads a bounded amount of whatever the VM says, and leaves no connection behind.
//! * Nothing of the request becomes part of a command: the key goes in by the command's input.
//! * Keys, passwords and what the VM says are in no log line.
//!
//! Host keys are not checked. A VM that has just been made has one that nobody can know, and one that was made anew has another one
//! under the same address; NG-RO accepts any as well. Whoever can take over a VM's address on the management network can therefore
//! play the VM: it gets the public key and, where one is sent, the password, but never the private key.

#![forbid(unsafe_code)]

mod command;
mod injector;
mod reach;
mod session;
mod text;

pub use injector::{Config, SshInjector};
pub use reach::Reach;
