//! One container in memory: its record, its state, its shim.
//!
//! The records on disk are the truth; a cell is what they say plus what cannot be written down: a
//! connection, and who waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{oneshot, watch};
use types::ContainerId;

use super::attach::Early;
use super::exec::Exec;
use super::record::Record;
use super::state::State;
use crate::error::{Error, Result};
use crate::shim_client::Shim;

/// One container. Lock order: `verb`, then any one of the others, none of them across `.await`.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) id: ContainerId,
    /// Held by the verb that changes the container.
    pub(crate) verb: tokio::sync::Mutex<()>,
    record: RwLock<Arc<Record>>,
    state: watch::Sender<State>,
    shim: Mutex<Option<Arc<Shim>>>,
    pub(crate) execs: Mutex<HashMap<String, Arc<Exec>>>,
    /// Clients that attached before the start.
    pub(crate) early: Mutex<Vec<oneshot::Receiver<Early>>>,
    /// Its place in a network, while it runs.
    pub(crate) network: Mutex<Option<super::network::Attached>>,
}

impl Cell {
    pub(crate) fn new(record: Record, state: State) -> Arc<Self> {
        Arc::new(Self {
            id: record.id,
            verb: tokio::sync::Mutex::new(()),
            record: RwLock::new(Arc::new(record)),
            state: watch::Sender::new(state),
            shim: Mutex::default(),
            execs: Mutex::default(),
            early: Mutex::default(),
            network: Mutex::default(),
        })
    }

    pub(crate) fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is known of the record, after the same was committed.
    pub(crate) fn change_record(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut record));
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Makes a state known: from here on everybody sees it, and who waits for it wakes.
    pub(crate) fn set_state(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Changes the state in one step.
    pub(crate) fn change_state(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn shim(&self) -> Option<Arc<Shim>> {
        self.shim
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The shim of a container that runs.
    pub(crate) fn running_shim(&self) -> Result<Arc<Shim>> {
        self.shim()
            .ok_or_else(|| Error::conflict(format!("container {} is not running", self.id)))
    }

    /// Takes the shim away: whoever gets it lets it go.
    pub(crate) fn take_shim(&self) -> Option<Arc<Shim>> {
        self.shim
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(crate) fn set_shim(&self, shim: Option<Arc<Shim>>) {
        *self.shim.lock().unwrap_or_else(PoisonError::into_inner) = shim;
    }
}
