//! Group commit: who finds nobody committing commits for all that wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result};

/// Records by table and key; `None` removes.
pub(crate) type Change = BTreeMap<(&'static str, String), Option<Vec<u8>>>;

#[derive(Debug, Default)]
pub(crate) struct Group {
    state: Mutex<State>,
    committed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Decided, and waiting for the next commit.
    waiting: Change,
    /// Being committed now.
    flying: Arc<Change>,
    /// Somebody commits now.
    busy: bool,
    /// The batch that `waiting` belongs to; batches below it minus one are in the file.
    batch: u64,
    /// The newest batch in the file.
    done: u64,
    /// Why nothing is written any more.
    failed: Option<String>,
}

impl Group {
    /// Runs `decide` alone, on top of the changes that wait, and returns when its change is in the
    /// file by `commit`.
    pub(crate) fn run<T, E: From<Error>>(
        &self,
        decide: impl FnOnce([&Change; 2]) -> Result<(T, Change), E>,
        commit: impl Fn(&Change) -> Result<()>,
    ) -> Result<T, E> {
        let mut state = self.lock();
        if let Some(reason) = &state.failed {
            return Err(Error::ReadOnly(reason.clone()).into());
        }
        let flying = Arc::clone(&state.flying);
        let (value, change) = decide([&flying, &state.waiting])?;
        if change.is_empty() {
            return Ok(value);
        }
        state.waiting.extend(change);
        let mine = state.batch;
        loop {
            if let Some(reason) = &state.failed {
                return Err(Error::ReadOnly(reason.clone()).into());
            }
            if state.done > mine {
                return Ok(value);
            }
            state = if state.busy {
                self.committed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                self.lead(state, &commit)
            };
        }
    }

    /// Tells whether nothing is written any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().failed.is_some()
    }

    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        commit: impl Fn(&Change) -> Result<()>,
    ) -> MutexGuard<'a, State> {
        let changes = Arc::new(std::mem::take(&mut state.waiting));
        state.flying = Arc::clone(&changes);
        state.busy = true;
        state.batch += 1;
        let batch = state.batch;
        drop(state);
        let result = commit(&changes);
        let mut state = self.lock();
        state.busy = false;
        state.flying = Arc::default();
        state.done = batch;
        if let Err(error) = result {
            state.failed = Some(error.to_string());
        }
        self.committed.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
