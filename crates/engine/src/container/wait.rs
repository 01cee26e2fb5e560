//! `wait`: until a container ends, or is gone.

use super::state::{State, WaitCondition};
use crate::Engine;
use crate::error::{Error, Result};

/// A wait that has begun: nothing that happens from now on is missed.
#[derive(Debug)]
pub struct Waiting {
    states: tokio::sync::watch::Receiver<State>,
    condition: WaitCondition,
    exits: u64,
}

impl Engine {
    /// Begins to wait.
    pub fn wait(&self, typed: &str, condition: WaitCondition) -> Result<Waiting> {
        let states = self.find(typed)?.watch();
        let exits = states.borrow().exits;
        Ok(Waiting {
            states,
            condition,
            exits,
        })
    }
}

impl Waiting {
    /// Returns the exit code, and why the start failed if it did.
    pub async fn end(mut self) -> Result<(i32, String)> {
        let (condition, exits) = (self.condition, self.exits);
        let state = self
            .states
            .wait_for(|state| condition.holds(state, exits))
            .await
            .map_err(|e| Error::internal("waiting for a container", e))?;
        // As dockerd: what is gone has no error any more.
        let error = if state.removed {
            String::new()
        } else {
            state.error.clone()
        };
        Ok((state.exit_code, error))
    }
}
