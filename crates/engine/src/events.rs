//! The event bus: a ring for those who come late, a bounded channel for those who listen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

/// Events kept for `since` (as dockerd keeps them).
const RING: usize = 256;
/// Events that a slow listener may be behind before it misses some.
const CHANNEL: usize = 1024;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `network`, `daemon`.
    pub kind: &'static str,
    /// `start`, `die`, …
    pub action: String,
    /// Of the object.
    pub id: String,
    /// `name`, `image`, labels, …
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub time_ns: i64,
}

#[derive(Debug)]
pub(crate) struct Bus {
    ring: Mutex<VecDeque<Event>>,
    sender: broadcast::Sender<Event>,
}

impl Bus {
    pub(crate) fn new() -> Self {
        Self {
            ring: Mutex::default(),
            sender: broadcast::channel(CHANNEL).0,
        }
    }

    pub(crate) fn publish(&self, event: Event) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == RING {
            ring.pop_front();
        }
        ring.push_back(event.clone());
        // No listener is no error. Sent under the lock, so that the ring and the channel agree.
        drop(self.sender.send(event));
    }

    /// Returns what was, and what will be, without gap or repetition.
    pub(crate) fn subscribe(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        (ring.iter().cloned().collect(), self.sender.subscribe())
    }
}
