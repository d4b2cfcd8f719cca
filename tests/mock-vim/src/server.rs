//! The server: listening, serving connections, and an orderly stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::faults::{Faults, InvalidFaults};
use crate::front::Front;
use crate::rest::{self, Inventory};
use crate::state::State;
use crate::state_file::{self, Keeper, StateFileError};
use crate::world::{Requests, World};

/// How long a stop waits for requests in the middle of their work; longer only when latency is scripted, and then
/// nobody waits for the answer any more.
const GRACE: Duration = Duration::from_secs(5);

/// How long accepting pauses after it failed, which it does when there are no file descriptors left: at once it would
/// fail again, and spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Why a mock VIM did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state file cannot be used.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    /// The faults make no sense.
    #[error("the faults cannot be followed")]
    Faults(#[from] InvalidFaults),
}

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// A running mock VIM. Dropping it stops it at once, in the background; [`Server::stop`] and [`Server::abort`] wait.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    world: Arc<World>,
    /// No more connections; those that are open end with the answer they are working on.
    stop: CancellationToken,
    /// Connections end where they are.
    halt: CancellationToken,
    tasks: TaskTracker,
    keeping: Option<JoinHandle<std::result::Result<(), StateFileError>>>,
}

impl Server {
    /// Starts a mock VIM; when this returns, it accepts connections.
    ///
    /// # Errors
    ///
    /// When the address is taken, the state file cannot be used, or the faults make no sense.
    pub async fn start(config: Config) -> Result<Self> {
        let stored = config
            .state_file
            .as_deref()
            .map(state_file::read)
            .transpose()?
            .flatten();
        let state = stored.unwrap_or_else(State::preset);
        let world = Arc::new(World::new(
            state,
            config.credentials,
            config.token_lifetime,
            config.faults,
        )?);
        let listen = |source| Error::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (keeper, keeping) = config
            .state_file
            .map(|path| Keeper::start(path, Arc::clone(&world)))
            .unzip();
        let front = Arc::new(Front::new(rest::router(Arc::clone(&world)), Arc::clone(&world), keeper));
        let (stop, halt, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, front, stop.clone(), halt.clone(), tasks.clone()));
        tracing::info!(%address, "mock VIM listens");
        Ok(Self {
            address,
            world,
            stop,
            halt,
            tasks,
            keeping,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets what goes wrong from here on, as `PUT /admin/faults` does.
    ///
    /// # Errors
    ///
    /// When the faults make no sense; the present ones stay.
    pub fn set_faults(&self, faults: Faults) -> Result<()> {
        Ok(self.world.set_faults(faults)?)
    }

    /// Everything that exists, as `GET /admin/inventory` shows it.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        rest::inventory(&self.world)
    }

    /// What was asked so far, as `GET /admin/requests` shows it.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.world.lock().requests.clone()
    }

    /// Ends all waits: calls that wait for their latency are worked on, and whatever is being made, changed or deleted is so now.
    /// What begins afterwards takes the time that the script gives it.
    ///
    /// So a test can hold something for as long as it needs, on a machine of any speed, and lets it go by a script without delays and this.
    pub fn hurry(&self) {
        self.world.hurry();
    }

    /// Stops: no more connections, requests at work are answered, the state is in its file.
    ///
    /// # Errors
    ///
    /// When the last writing of the state file failed.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::info!("requests still at work are cut off");
        }
        self.end().await
    }

    /// Stops as a killed process would: connections break where they are. For tests of what a client makes of that.
    ///
    /// # Errors
    ///
    /// When the last writing of the state file failed.
    pub async fn abort(mut self) -> Result<()> {
        self.end().await
    }

    async fn end(&mut self) -> Result<()> {
        self.stop.cancel();
        self.halt.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // With the last connection went the keeper, so its task writes what is wanted and ends.
        match self.keeping.take() {
            Some(keeping) => match keeping.await {
                Ok(result) => Ok(result?),
                // Its runtime is going down, and this one with it.
                Err(_) => Ok(()),
            },
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.halt.cancel();
    }
}

async fn accept(
    listener: TcpListener,
    front: Arc<Front>,
    stop: CancellationToken,
    halt: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                front.count_connection();
                tasks.spawn(converse(stream, Arc::clone(&front), stop.clone(), halt.clone()));
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a connection could not be accepted"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, front: Arc<Front>, stop: CancellationToken, halt: CancellationToken) {
    // Answers are small and waited for; a socket that refuses the option only answers later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| front.serve(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = halt.cancelled() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => {
                // Also how a lost answer ends, and a client that hangs up.
                if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended");
                }
                return;
            }
        }
    }
}
