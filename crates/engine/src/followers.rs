//! Who waits for a log to grow: one inotify instance, one task, one counter per log.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use logs::{Changed, Watch, Watcher};
use tokio::io::Interest;
use tokio::sync::watch;

use crate::error::{Error, Result};

/// All followers of an engine; the inotify instance is made for the first one.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    shared: OnceLock<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    watcher: Watcher,
    /// A number that grows with every change of a log.
    changes: Mutex<HashMap<Watch, Weak<watch::Sender<u64>>>>,
}

/// One follower of one log.
#[derive(Debug)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
    watch: Watch,
    changes: watch::Receiver<u64>,
    /// Keeps the counter alive as long as a follower does.
    _counter: Arc<watch::Sender<u64>>,
}

impl Followers {
    /// Begins to follow the log whose newest file is `log`.
    pub(crate) fn follow(&self, log: &Path) -> Result<Follower> {
        let failed = |e| Error::internal("watching a log", e);
        let shared = if let Some(shared) = self.shared.get() {
            Arc::clone(shared)
        } else {
            let watcher = Watcher::new().map_err(failed)?;
            let made = Arc::new(Shared {
                watcher,
                changes: Mutex::default(),
            });
            let shared = Arc::clone(self.shared.get_or_init(|| made));
            tokio::spawn(dispatch(Arc::downgrade(&shared)));
            shared
        };
        let watch = shared.watcher.add(log).map_err(failed)?;
        let counter = {
            let mut changes = shared
                .changes
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let known = changes.get(&watch).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let counter = Arc::new(watch::Sender::new(0));
                changes.insert(watch, Arc::downgrade(&counter));
                counter
            })
        };
        Ok(Follower {
            changes: counter.subscribe(),
            shared,
            watch,
            _counter: counter,
        })
    }
}

impl Follower {
    /// Returns the count of changes now.
    pub(crate) fn mark(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Waits until there were more changes than `mark`.
    pub(crate) async fn changed(&mut self, mark: u64) {
        // The sender lives as long as this follower does.
        drop(self.changes.wait_for(|count| *count > mark).await);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.watcher.remove(self.watch);
    }
}

async fn dispatch(shared: Weak<Shared>) {
    let Some(descriptor) = shared
        .upgrade()
        .and_then(|shared| shared.watcher.as_fd().try_clone_to_owned().ok())
        .and_then(|descriptor| crate::readiness::register(descriptor, Interest::READABLE).ok())
    else {
        return;
    };
    while let Ok(mut ready) = descriptor.readable().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let changed = match shared.watcher.read() {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!(%error, "watching logs");
                return;
            }
        };
        ready.clear_ready();
        let mut counters = shared
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counters.retain(|watch, counter| {
            let Some(counter) = counter.upgrade() else {
                return false;
            };
            if changed
                .iter()
                .any(|one| *one == Changed::All || *one == Changed::One(*watch))
            {
                counter.send_modify(|count| *count += 1);
            }
            true
        });
    }
}
