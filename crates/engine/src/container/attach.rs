//! `attach`, `resize`: a client's stream goes to the shim, which speaks to it until either ends.
//!
//! The daemon is not on the way of the bytes: it hands the descriptor over and forgets it, so an
//! attached client does not notice when the daemon ends.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use shim::protocol::{Attach, Request};

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
}

impl Engine {
    /// Checks that a client may attach, before the face answers it.
    pub fn attachable(&self, typed: &str) -> Result<Attachable> {
        let cell = self.find(typed)?;
        if cell.state().status == Status::Paused {
            return Err(Error::conflict(format!(
                "container {} is paused, unpause the container before attach",
                typed.trim_start_matches('/')
            )));
        }
        let tty = cell.record().config.tty;
        Ok(Attachable { cell, tty })
    }

    /// Attaches a client's stream, now if the container runs, else when it starts.
    pub async fn attach(&self, to: Attachable, attach: Attach, stream: OwnedFd) -> Result<()> {
        let cell = to.cell;
        self.container_event(&cell, "attach", &[]);
        // Under the lock: a start that begins meanwhile either finds the stream or is over.
        let _verb = cell.verb.lock().await;
        match cell.shim() {
            Some(shim) if cell.state().status.is_running() => {
                shim.ask(Request::Attach(attach), &[stream.as_fd()]).await
            }
            _ => {
                let mut early = cell.early.lock().unwrap_or_else(PoisonError::into_inner);
                early.push((attach, stream));
                Ok(())
            }
        }
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
