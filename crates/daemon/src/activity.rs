//! Whether clients come, and what the daemon does when none does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::Engine;
use tokio::sync::Notify;

/// How long an on-demand daemon stays when nothing runs and nobody asks.
const IDLE_EXIT: Duration = Duration::from_mins(10);
/// After the last client memory is given back when no other came for so long.
const REST_AFTER: Duration = Duration::from_secs(5);

/// Counts connections.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Connections now.
    open: AtomicU64,
    /// Connections that ended.
    served: AtomicU64,
    /// One ended.
    news: Notify,
}

impl Activity {
    /// A client came.
    pub(crate) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// A client went.
    pub(crate) fn end(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.served.fetch_add(1, Ordering::Relaxed);
        self.news.notify_one();
    }

    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Returns when no client came and nothing ran for [`IDLE_EXIT`]: a daemon that a client
    /// started for its own need does not stay for ever.
    pub(crate) async fn idle(&self, engine: &Engine) {
        loop {
            let before = self.served();
            tokio::time::sleep(IDLE_EXIT).await;
            let quiet = self.open.load(Ordering::Relaxed) == 0 && self.served() == before;
            let running = engine
                .list()
                .iter()
                .any(|one| one.state.status.is_running());
            if quiet && !running {
                tracing::info!("nothing to do");
                return;
            }
        }
    }

    #[expect(clippy::infinite_loop, reason = "one branch of the daemon's select")]
    /// Gives memory back whenever the clients pause. Never returns; while nobody comes it never
    /// wakes either.
    pub(crate) async fn rest(&self) {
        loop {
            self.news.notified().await;
            loop {
                let before = self.served();
                tokio::time::sleep(REST_AFTER).await;
                if self.served() == before {
                    break;
                }
            }
            sys::memory::rest();
        }
    }
}
