//! `logs`: what a container said, and what it says next.
//!
//! A follower holds no thread: it sleeps until the engine's one inotify instance saw its log change
//! or its container ended.

use std::path::PathBuf;

use logs::{Entry, Reader, Select};
use tokio::sync::watch;

use super::record::Log;
use super::state::State;
use crate::error::{Error, Result};
use crate::followers::Follower;
use crate::{Engine, blocking};

/// What to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Not before this, in nanoseconds since 1970.
    pub since_ns: Option<i64>,
    /// Not after this.
    pub until_ns: Option<i64>,
    /// Only the last so many.
    pub tail: Option<u64>,
    /// Go on until the container ends.
    pub follow: bool,
}

/// Entries, one after the other.
#[derive(Debug)]
pub struct LogStream {
    reader: Option<Reader>,
    follow: Option<(Follower, watch::Receiver<State>)>,
    /// The container has a terminal: one stream of bare bytes.
    pub tty: bool,
}

/// Entries read at once, so that a long log does not cross threads for every line.
const BATCH: usize = 256;

impl Engine {
    /// Opens a container's log.
    pub async fn logs(&self, typed: &str, request: LogRequest) -> Result<LogStream> {
        let cell = self.find(typed)?;
        let record = cell.record();
        if record.host.log == Log::None {
            return Err(Error::new(
                types::ErrorKind::Unimplemented,
                "configured logging driver does not support reading",
            ));
        }
        let path: PathBuf = self
            .layout()
            .container_file(cell.id, &crate::layout::Layout::log_name(cell.id));
        let states = cell.watch();
        let follow = if request.follow && states.borrow().status.is_running() {
            Some((self.followers().follow(&path)?, states))
        } else {
            None
        };
        let select = Select {
            since_ns: request.since_ns,
            until_ns: request.until_ns,
            tail: request.tail,
        };
        let following = follow.is_some();
        let reader = blocking::run(move || Reader::open(&path, select, following))
            .await
            .map_err(|e| Error::internal("opening a log", e))?;
        Ok(LogStream {
            reader: Some(reader),
            follow,
            tty: record.config.tty,
        })
    }
}

impl LogStream {
    /// Returns the next entries; empty at the end.
    pub async fn next(&mut self) -> Result<Vec<Entry>> {
        loop {
            // Before reading: what is written after this is reported, what was before is read.
            let mark = self.follow.as_mut().map(|(follower, states)| {
                (
                    follower.mark(),
                    states.borrow_and_update().status.is_running(),
                )
            });
            let Some(mut reader) = self.reader.take() else {
                return Ok(Vec::new());
            };
            let (reader, batch) = blocking::run(move || {
                let batch = read_batch(&mut reader);
                (reader, batch)
            })
            .await;
            let ended = reader.is_ended();
            self.reader = Some(reader);
            let batch = batch.map_err(|e| Error::internal("reading a log", e))?;
            if !batch.is_empty() || ended {
                return Ok(batch);
            }
            match (&mut self.follow, mark) {
                (Some((follower, states)), Some((mark, true))) => {
                    tokio::select! {
                        () = follower.changed(mark) => {}
                        _ = states.changed() => {}
                    }
                }
                _ => return Ok(Vec::new()),
            }
        }
    }
}

fn read_batch(reader: &mut Reader) -> logs::Result<Vec<Entry>> {
    let mut batch = Vec::new();
    while batch.len() < BATCH
        && let Some(entry) = reader.next_entry()?
    {
        batch.push(entry);
    }
    Ok(batch)
}
