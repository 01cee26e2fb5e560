//! The step clock: what each step of a verb cost, in a ring per engine.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use types::ContainerId;

/// Steps kept; about 100 container lives.
const RING: usize = 2048;

/// One applied step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done: `start: network`.
    pub name: Cow<'static, str>,
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
        self.push(name.into(), container, since, since.elapsed());
    }

    /// Notes the steps that a shim told of, in the order of their ends; the last ended now.
    pub(crate) fn note_told(&self, verb: &str, container: ContainerId, steps: &[(String, u32)]) {
        let Some((_, total_us)) = steps.last() else {
            return;
        };
        let duration = |us: u32| Duration::from_micros(us.into());
        let Some(origin) = Instant::now().checked_sub(duration(*total_us)) else {
            return;
        };
        let mut before_us = 0;
        for (name, end_us) in steps {
            let took_us = end_us.saturating_sub(before_us);
            let since = origin + duration(end_us - took_us);
            self.push(
                format!("{verb}: {name}").into(),
                container,
                since,
                duration(took_us),
            );
            before_us = *end_us;
        }
    }

    fn push(
        &self,
        name: Cow<'static, str>,
        container: ContainerId,
        since: Instant,
        took: Duration,
    ) {
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let step = Step {
            name,
            container,
            at_us: us(since.saturating_duration_since(self.origin)),
            us: us(took),
        };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == RING {
            ring.pop_front();
        }
        ring.push_back(step);
    }

    /// Returns the steps of one container, as they began; what holds others first.
    pub(crate) fn of(&self, container: ContainerId) -> Vec<Step> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut steps: Vec<_> = ring
            .iter()
            .filter(|step| step.container == container)
            .cloned()
            .collect();
        steps.sort_by_key(|step| (step.at_us, std::cmp::Reverse(step.us)));
        steps
    }
}
