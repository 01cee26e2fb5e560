//! The one background thread of this room: keeps prepared namespaces ready and lets used ones go.
//!
//! To make a namespace costs 0.5 ms, to destroy many at once blocks every other user of the
//! kernel's network lock for up to a second (network reference §1.2, §1.3). So neither happens
//! while somebody waits: the pool is filled when starts pause, and namespaces are closed in small
//! batches.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sys::netlink::Protocol;

use crate::ipam::ledger::Ledger;
use crate::netns::{self, Namespace};
use crate::wire::message::Batch;
use crate::wire::route;
use crate::wire::talk::Talk;
use crate::{Error, Result};

/// Namespaces that are ready when nothing happens.
const POOL_MINIMUM: usize = 2;
/// And when many containers start: 8 cost 1.6 MiB of kernel memory.
const POOL_MAXIMUM: usize = 8;
/// Starts have paused when none came for this long.
const PAUSE: Duration = Duration::from_millis(10);
/// The pool shrinks to its minimum after this long without a start.
const SHRINK_AFTER: Duration = Duration::from_mins(1);
/// Namespaces closed at once: the longest stall of others is 36 ms then.
const BATCH: usize = 16;
/// Time between two batches; the kernel destroys 16 in about 56 ms.
const BATCH_INTERVAL: Duration = Duration::from_millis(50);

/// A namespace that nobody uses any more, and what stood in it.
#[derive(Debug)]
pub(crate) struct Retired {
    /// The last descriptor that we hold, if the engine had one.
    pub(crate) netns: Option<OwnedFd>,
    /// Host end of the wire, taken down so that the address stops answering at once.
    pub(crate) link: Option<String>,
    /// The address that is free afterwards.
    pub(crate) address: Option<Ipv4Addr>,
    /// Whether the link is removed too, because something may hold its namespace for ever.
    pub(crate) remove: bool,
}

impl Retired {
    /// Only a namespace.
    pub(crate) fn netns(netns: OwnedFd) -> Self {
        Self {
            netns: Some(netns),
            link: None,
            address: None,
            remove: false,
        }
    }

    /// Only the host end of a wire.
    pub(crate) fn link(name: String) -> Self {
        Self {
            netns: None,
            link: Some(name),
            address: None,
            remove: false,
        }
    }
}

#[derive(Debug)]
enum Job {
    Refill,
    Retire(Retired),
    Stop,
}

#[derive(Debug, Default)]
struct Shared {
    ready: Vec<Namespace>,
    target: usize,
    retiring: usize,
}

/// The handle of the thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: Sender<Job>,
    shared: Arc<Mutex<Shared>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts the thread; the conversation about host links belongs to the namespace of the caller.
    pub(crate) fn start(ledger: Option<Arc<Ledger>>) -> Result<Self> {
        let (jobs, orders) = channel();
        let shared = Arc::new(Mutex::new(Shared {
            target: POOL_MINIMUM,
            ..Shared::default()
        }));
        let worker = Worker {
            host: Talk::open(Protocol::Route)?,
            shared: Arc::clone(&shared),
            ledger,
            retired: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("wharf-net".to_owned())
            .stack_size(256 << 10)
            .spawn(move || worker.run(&orders))
            .map_err(Error::Thread)?;
        Ok(Self {
            jobs,
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Takes a prepared namespace, or makes one.
    pub(crate) fn take(&self) -> Result<Namespace> {
        let found = {
            let mut shared = lock(&self.shared);
            let found = shared.ready.pop();
            if found.is_none() {
                shared.target = (shared.target * 2).clamp(POOL_MINIMUM, POOL_MAXIMUM);
            }
            found
        };
        self.order(Job::Refill);
        found.map_or_else(netns::create, Ok)
    }

    /// Lets a namespace go, some time.
    pub(crate) fn retire(&self, retired: Retired) {
        lock(&self.shared).retiring += 1;
        self.order(Job::Retire(retired));
    }

    /// Returns how many namespaces are ready and how many are still to be let go.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let shared = lock(&self.shared);
        (shared.ready.len(), shared.retiring)
    }

    /// Lets everything go and waits for the thread.
    pub(crate) fn stop(&self) {
        self.order(Job::Stop);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the thread was printed when it happened; there is nothing left to save.
            drop(thread.join());
        }
        lock(&self.shared).ready.clear();
    }

    fn order(&self, job: Job) {
        // After stop there is no thread; what the job holds is dropped here, which closes it.
        drop(self.jobs.send(job));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Worker {
    host: Talk,
    shared: Arc<Mutex<Shared>>,
    ledger: Option<Arc<Ledger>>,
    retired: Vec<Retired>,
}

impl Worker {
    fn run(mut self, orders: &Receiver<Job>) {
        self.refill();
        loop {
            let patience = self.patience();
            match patience.map_or_else(
                || orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                |patience| orders.recv_timeout(patience),
            ) {
                Ok(Job::Refill) => {
                    // Starts may follow each other closely: only an empty pool is filled at once.
                    if lock(&self.shared).ready.is_empty() {
                        self.refill();
                    }
                }
                Ok(Job::Retire(retired)) => self.retired.push(retired),
                Err(RecvTimeoutError::Timeout) => self.idle(patience),
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        while let Ok(job) = orders.try_recv() {
            if let Job::Retire(retired) = job {
                self.retired.push(retired);
            }
        }
        self.close(usize::MAX);
    }

    /// How long to wait for an order before something else is due; nothing is due without end.
    fn patience(&self) -> Option<Duration> {
        let shared = lock(&self.shared);
        if shared.ready.len() < shared.target {
            Some(PAUSE)
        } else if !self.retired.is_empty() {
            Some(BATCH_INTERVAL)
        } else {
            (shared.target > POOL_MINIMUM).then_some(SHRINK_AFTER)
        }
    }

    fn idle(&mut self, waited: Option<Duration>) {
        if waited == Some(SHRINK_AFTER) {
            let mut shared = lock(&self.shared);
            shared.target = POOL_MINIMUM;
            shared.ready.truncate(POOL_MINIMUM);
            return;
        }
        self.refill();
        self.close(BATCH);
    }

    fn refill(&mut self) {
        loop {
            {
                let shared = lock(&self.shared);
                if shared.ready.len() >= shared.target {
                    return;
                }
            }
            let Ok(namespace) = netns::create() else {
                // Not lost: the next start makes its own namespace and reports what is wrong.
                lock(&self.shared).target = 0;
                return;
            };
            lock(&self.shared).ready.push(namespace);
        }
    }

    fn close(&mut self, most: usize) {
        let count = self.retired.len().min(most);
        if count == 0 {
            return;
        }
        let mut batch = Batch::new();
        for retired in &self.retired[..count] {
            match &retired.link {
                Some(link) if retired.remove => route::delete_link(&mut batch, link),
                Some(link) => route::set_up(&mut batch, link, false),
                None => {}
            }
        }
        // A link that is gone already went with its namespace; nothing depends on the answers.
        drop(self.host.send(&batch));
        for retired in self.retired.drain(..count) {
            drop(retired.netns);
            if let (Some(ledger), Some(address)) = (&self.ledger, retired.address) {
                ledger.free(address);
            }
        }
        lock(&self.shared).retiring -= count;
    }
}
