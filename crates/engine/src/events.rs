//! The event bus: a ring for those who come late, a bounded channel for those who listen, and a
//! file, so that the next daemon knows what was.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// Events kept for `since` (dockerd keeps 256, and none over its restart).
const RING: usize = 1024;
/// Events that a slow listener may be behind before it misses some.
const CHANNEL: usize = 1024;
/// Lines of the file before it is written anew with those of the ring.
const LINES_MAX: usize = 4 * RING;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `container`, `image`, `network`, `daemon`.
    pub kind: String,
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
    history: Mutex<History>,
    sender: broadcast::Sender<Event>,
}

/// What was.
#[derive(Debug)]
struct History {
    ring: VecDeque<Event>,
    /// The same on disk, and some older ones.
    path: PathBuf,
    lines: usize,
}

impl Bus {
    /// Begins with what the file at `path` knows. Events are a help, not the truth: the file is not
    /// synced, and a line that is cut is left out.
    pub(crate) fn open(path: PathBuf) -> Self {
        let text = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().count();
        let known = text.lines().skip(lines.saturating_sub(RING));
        let ring = known.filter_map(|line| serde_json::from_str(line).ok());
        Self {
            history: Mutex::new(History {
                ring: ring.collect(),
                path,
                lines,
            }),
            sender: broadcast::channel(CHANNEL).0,
        }
    }

    pub(crate) fn publish(&self, event: Event) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push(&event);
        // No listener is no error. Sent under the lock, so that the ring and the channel agree.
        drop(self.sender.send(event));
    }

    /// Returns what was, and what will be, without gap or repetition.
    pub(crate) fn subscribe(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        (
            history.ring.iter().cloned().collect(),
            self.sender.subscribe(),
        )
    }
}

impl History {
    fn push(&mut self, event: &Event) {
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(event.clone());
        self.lines += 1;
        let written = if self.lines > LINES_MAX {
            self.lines = self.ring.len();
            let all: Vec<u8> = self.ring.iter().flat_map(line).collect();
            sys::durable::replace_volatile(&self.path, &all, 0o600)
        } else {
            sys::durable::append(&self.path, &line(event), 0o600)
        };
        if let Err(error) = written {
            tracing::debug!(%error, "keeping an event");
        }
    }
}

fn line(event: &Event) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(event).expect("string keys and no failing serializer");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_knows_the_last() {
        let dir = std::env::temp_dir().join(format!("wharf-events-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("events.jsonl");
        drop(std::fs::remove_file(&path));
        let event = |number: i64| Event {
            kind: "container".to_owned(),
            action: "start".to_owned(),
            id: "x".to_owned(),
            attributes: BTreeMap::new(),
            time_ns: number,
        };
        let count = i64::try_from(LINES_MAX + 10).unwrap();
        let bus = Bus::open(path.clone());
        (0..count).for_each(|number| bus.publish(event(number)));
        let (known, _) = bus.subscribe();
        assert_eq!(known.len(), RING);
        // As if the last line were cut by a crash.
        sys::durable::append(&path, b"{\"kind\":", 0o600).unwrap();
        let (next, _) = Bus::open(path.clone()).subscribe();
        assert_eq!(next.last(), Some(&event(count - 1)));
        assert!(next.len() >= RING - 1);
        assert!(std::fs::read(&path).unwrap().len() < 100 * 2 * LINES_MAX);
        drop(std::fs::remove_file(&path));
        drop(std::fs::remove_dir(&dir));
    }
}
