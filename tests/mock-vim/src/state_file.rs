//! The state file: everything the VIM knows, written after each change, before the answer goes out.
//!
//! One task writes; while it writes, further changes gather and go into the next writing together, so many clients cost
//! few writings. A writing is a whole new file beside the old one and a rename over it, so a process killed at any moment
//! leaves the old state or the new one. There is no fsync: the file outlives the process, not a loss of power, which no
//! test can ask of it and every answer would have to wait for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::state::{Saved, State};
use crate::world::World;

/// How far writing has come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// The last request to write that was tried, with or without success.
    served: u64,
    /// The last revision of the state that is in the file.
    written: u64,
}

/// A state file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// Reading failed, for another reason than that there is no file yet.
    #[error("cannot read the state file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The content is none that this program writes.
    #[error("the state file {} is not one of a mock VIM", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another version's file.
    #[error("the state file {} has format {found}, not {}", path.display(), crate::state::FORMAT)]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// Writing failed.
    #[error("cannot write the state file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What the file holds, or `None` when there is none yet.
pub(crate) fn read(path: &Path) -> Result<Option<State>, StateFileError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        // Where there is no directory there will be no file: better told now than at the first change.
        Err(error) if error.kind() == io::ErrorKind::NotFound && has_directory(path) => return Ok(None),
        Err(source) => {
            return Err(StateFileError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let saved: Saved = serde_json::from_slice(&bytes).map_err(|source| StateFileError::Content {
        path: path.to_owned(),
        source,
    })?;
    if saved.format != crate::state::FORMAT {
        return Err(StateFileError::Format {
            path: path.to_owned(),
            found: saved.format,
        });
    }
    Ok(Some(State::load(saved)))
}

fn has_directory(path: &Path) -> bool {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.is_dir(),
        _ => true,
    }
}

fn write(path: &Path, saved: &Saved) -> Result<(), StateFileError> {
    let result = serde_json::to_vec(saved).map_err(io::Error::from).and_then(|bytes| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(&beside, path)
    });
    result.map_err(|source| StateFileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Waits until changes are in the file.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Counts requests to write.
    wanted: watch::Sender<u64>,
    progress: watch::Receiver<Progress>,
}

impl Keeper {
    /// Starts the task that writes. It ends when the keeper is dropped, after what was wanted is written; its result is
    /// that of its last writing.
    pub(crate) fn start(path: PathBuf, world: Arc<World>) -> (Self, JoinHandle<Result<(), StateFileError>>) {
        let (wanted, wanted_by) = watch::channel(0);
        let (reached, progress) = watch::channel(Progress::default());
        (
            Self { wanted, progress },
            tokio::spawn(keep(path, world, wanted_by, reached)),
        )
    }

    /// Waits until the file holds this revision. `false` when it cannot be written.
    pub(crate) async fn holds(&self, revision: u64) -> bool {
        let mut progress = self.progress.clone();
        if progress.borrow_and_update().written >= revision {
            return true;
        }
        let mut request = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            request = *wanted;
        });
        match progress.wait_for(|progress| progress.served >= request).await {
            Ok(progress) => progress.written >= revision,
            Err(_) => false,
        }
    }
}

async fn keep(
    path: PathBuf,
    world: Arc<World>,
    mut wanted: watch::Receiver<u64>,
    reached: watch::Sender<Progress>,
) -> Result<(), StateFileError> {
    let mut last = Ok(());
    while wanted.changed().await.is_ok() {
        // Before the snapshot: who asks after this line may have changed something after it.
        let request = *wanted.borrow_and_update();
        let (revision, saved) = {
            let held = world.lock();
            (held.state.revision(), held.state.save())
        };
        let target = path.clone();
        let result = tokio::task::spawn_blocking(move || write(&target, &saved)).await;
        last = match result {
            Ok(result) => result,
            Err(panic) => Err(StateFileError::Write {
                path: path.clone(),
                source: io::Error::other(panic),
            }),
        };
        if let Err(error) = &last {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "the state could not be written"
            );
        }
        let written = last.is_ok();
        reached.send_modify(|progress| {
            progress.served = request;
            if written {
                progress.written = revision;
            }
        });
    }
    last
}
