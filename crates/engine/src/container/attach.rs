//! `attach`, `resize`: a client's stream goes to the shim, which speaks to it until either ends.
//!
//! The daemon is not on the way of the bytes: it hands the descriptor over and forgets it, so an
//! attached client does not notice when the daemon ends.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use shim::protocol::{Attach, Request};
use tokio::sync::oneshot;

use super::cell::Cell;
use super::state::Status;
use crate::Engine;
use crate::error::{Error, Result};

/// A container that a client may be attached to.
#[derive(Debug)]
pub struct Attachable {
    cell: Arc<Cell>,
    /// It has a terminal: the stream is raw.
    pub tty: bool,
    /// Its place among those that the next start waits for; none: it runs already.
    place: Option<oneshot::Sender<Early>>,
}

/// A client that came before the start. The place is kept from before the client is answered: the
/// answer is what it waits for before it asks for the start.
pub(crate) type Early = (Attach, OwnedFd);

impl Engine {
    /// Checks that a client may attach, before the face answers it, and keeps a place for it.
    pub async fn attachable(&self, typed: &str) -> Result<Attachable> {
        let cell = self.find(typed)?;
        if cell.state().status == Status::Paused {
            return Err(Error::conflict(format!(
                "container {} is paused, unpause the container before attach",
                typed.trim_start_matches('/')
            )));
        }
        if cell.state().status == Status::Restarting {
            return Err(Error::conflict(format!(
                "container {} is restarting, wait until the container is running",
                typed.trim_start_matches('/')
            )));
        }
        let place = if cell.state().status.is_running() {
            None
        } else {
            // Under the lock: a start that began meanwhile is over, the next one finds the place.
            let _verb = cell.verb.lock().await;
            (!cell.state().status.is_running()).then(|| {
                let (place, client) = oneshot::channel();
                let mut early = cell.early.lock().unwrap_or_else(PoisonError::into_inner);
                early.push(client);
                place
            })
        };
        let tty = cell.record().config.tty;
        Ok(Attachable { cell, tty, place })
    }

    /// Attaches a client's stream, now if the container runs, else when it starts.
    pub async fn attach(&self, to: Attachable, attach: Attach, stream: OwnedFd) -> Result<()> {
        let Attachable { cell, place, .. } = to;
        self.container_event(&cell, "attach", &[]);
        if let Some(place) = place {
            // A start that failed forgot the place: the client reads the end of its stream.
            drop(place.send((attach, stream)));
            return Ok(());
        }
        cell.running_shim()?
            .ask(Request::Attach(attach), &[stream.as_fd()])
            .await
    }

    /// Sets the size of a container's terminal.
    pub async fn resize(&self, typed: &str, width: u16, height: u16) -> Result<()> {
        let cell = self.find(typed)?;
        if !cell.state().status.is_running() {
            return Err(Error::conflict(format!(
                "container {} is not running",
                cell.id
            )));
        }
        let shim = cell.running_shim()?;
        shim.ask(
            Request::Resize {
                exec_id: None,
                width,
                height,
            },
            &[],
        )
        .await?;
        let (height, width) = (height.to_string(), width.to_string());
        self.container_event(&cell, "resize", &[("height", &height), ("width", &width)]);
        Ok(())
    }
}
