//! Group commit: who finds nobody committing commits for all that wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{Error, Result};

/// Records by table and key; `None` removes.
pub(crate) type Change = BTreeMap<(&'static str, String), Option<Vec<u8>>>;

/// What became of a batch; an error's words for each who waited for it.
type Outcome = Arc<OnceLock<Result<(), String>>>;

#[derive(Debug, Default)]
pub(crate) struct Group {
    state: Mutex<State>,
    committed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Decided, and waiting for the next commit.
    waiting: Change,
    /// What will become of `waiting`.
    outcome: Outcome,
    /// Being committed now.
    flying: Arc<Change>,
    /// Somebody commits now.
    busy: bool,
    /// Why nobody knows what the file holds: it could not be opened again after an error.
    failed: Option<String>,
}

/// Why a commit came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The file holds none of it, and goes on.
    Undone(String),
    /// Nobody knows what the file holds.
    Unknown(String),
}

impl Group {
    /// Runs `decide` alone, on top of the changes that wait, and returns when its change is in the
    /// file by `commit`. After an unknown failure `heal` is tried before anything else.
    pub(crate) fn run<T, E: From<Error>>(
        &self,
        heal: impl FnOnce() -> Result<(), String>,
        decide: impl FnOnce([&Change; 2]) -> Result<(T, Change), E>,
        commit: impl Fn(&Change) -> Result<(), Failure>,
    ) -> Result<T, E> {
        let mut state = self.lock();
        if state.failed.is_some() {
            heal().map_err(Error::ReadOnly)?;
            state.failed = None;
        }
        let flying = Arc::clone(&state.flying);
        let (value, change) = decide([&flying, &state.waiting])?;
        if change.is_empty() {
            return Ok(value);
        }
        state.waiting.extend(change);
        let mine = Arc::clone(&state.outcome);
        loop {
            match mine.get() {
                Some(Ok(())) => return Ok(value),
                Some(Err(reason)) => return Err(Error::NotWritten(reason.clone()).into()),
                None => {}
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

    /// Tells whether nobody knows what the file holds.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().failed.is_some()
    }

    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        commit: impl Fn(&Change) -> Result<(), Failure>,
    ) -> MutexGuard<'a, State> {
        let changes = Arc::new(std::mem::take(&mut state.waiting));
        let outcome = std::mem::take(&mut state.outcome);
        state.flying = Arc::clone(&changes);
        state.busy = true;
        drop(state);
        let result = commit(&changes);
        let mut state = self.lock();
        state.busy = false;
        state.flying = Arc::default();
        let result = result.map_err(|failure| {
            let (Failure::Undone(reason) | Failure::Unknown(reason)) = &failure;
            let reason = reason.clone();
            if matches!(failure, Failure::Unknown(_)) {
                state.failed = Some(reason.clone());
            }
            // What waits was decided on top of what is lost.
            state.waiting.clear();
            let behind = std::mem::take(&mut state.outcome);
            settle(&behind, Err(reason.clone()));
            reason
        });
        settle(&outcome, result);
        self.committed.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what became of a batch, once.
fn settle(outcome: &Outcome, result: Result<(), String>) {
    outcome
        .set(result)
        .expect("invariant: a batch is settled by the one who committed it");
}
