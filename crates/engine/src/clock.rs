//! The step clock: what each step of a verb cost, in a ring per engine.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use types::ContainerId;

/// Steps kept; about 100 container lives.
const RING: usize = 2048;

/// One applied step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done: `start: network`.
    pub name: &'static str,
    /// On what.
    pub container: ContainerId,
    /// Microseconds from the engine's start to the step's.
    pub at_us: u64,
    /// Microseconds it took.
    pub us: u64,
}

#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    ring: Mutex<VecDeque<Step>>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            ring: Mutex::default(),
        }
    }

    /// Notes a step that began at `since` and ends now.
    pub(crate) fn note(&self, name: &'static str, container: ContainerId, since: Instant) {
        sys::failpoint::reach(name);
        let us =
            |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let step = Step {
            name,
            container,
            at_us: us(since.saturating_duration_since(self.origin)),
            us: us(since.elapsed()),
        };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == RING {
            ring.pop_front();
        }
        ring.push_back(step);
    }

    /// Returns the steps of one container, the oldest first.
    pub(crate) fn of(&self, container: ContainerId) -> Vec<Step> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter()
            .filter(|step| step.container == container)
            .cloned()
            .collect()
    }
}
