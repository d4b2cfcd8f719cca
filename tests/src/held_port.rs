//! A port for a server that is started later, or again.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use tokio::net::TcpSocket;

/// Keeps a port of 127.0.0.1 until it is dropped.
///
/// A port that was free a moment ago may be anybody's when the server comes to it: every host and every VIM of every test asks for some free
/// port. This one is bound, so nobody else gets it, and not listened at, so nobody reaches it before the server is there. The server gets
/// it all the same, because it says, as servers do, that it shares the port with whoever does not listen (`SO_REUSEADDR`).
#[derive(Debug)]
pub struct HeldPort {
    _socket: TcpSocket,
    port: u16,
}

impl HeldPort {
    /// Some port.
    ///
    /// # Errors
    /// When none is free.
    pub fn any() -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4().context("no socket")?;
        socket.set_reuseaddr(true).context("a port cannot be shared")?;
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .context("no port is free")?;
        let port = socket.local_addr().context("a port has no number")?.port();
        Ok(Self { _socket: socket, port })
    }

    /// Its number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}
