//! The one background thread of this room: keeps prepared namespaces ready and lets used ones go.
//!
//! To make a namespace costs 0.5 ms, a wire 0.7 ms; to destroy many at once blocks every other user
//! of the kernel's network lock for up to a second (network reference §1.2, §1.3). So neither
//! happens while somebody waits: the pools are filled when starts pause, and namespaces are closed
//! in small batches.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sys::netlink::Protocol;

use crate::ipam::ledger::Ledger;
use crate::link::bridge;
use crate::netns::{self, Namespace};
use crate::plan::FIRST_LINK;
use crate::wire::message::Batch;
use crate::wire::route::{self, Link};
use crate::wire::talk::Talk;
use crate::wired::{Wired, Wiring};
use crate::{Error, Result};

/// Namespaces that are ready when nothing happens.
const POOL_MINIMUM: usize = 2;
/// And when many containers start: 8 connected ones cost 2.6 MiB of kernel memory.
const POOL_MAXIMUM: usize = 8;
/// Starts have paused when none came for this long; then the pools are filled.
const PAUSE: Duration = Duration::from_millis(10);
/// An empty pool is filled this long after it became so, pause or not: by then the start that
/// emptied it is done with the network.
const EMPTY_FOR: Duration = Duration::from_millis(2);
/// The pools shrink to their minimum after this long without a start.
const SHRINK_AFTER: Duration = Duration::from_mins(1);
/// Namespaces closed at once: the longest stall of others is 36 ms then.
const BATCH: usize = 16;
/// Time between two batches; the kernel destroys 16 in about 56 ms.
const BATCH_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of the thread's stack.
const STACK_BYTES: usize = 256 << 10;

/// A namespace that nobody uses any more, and what stood in it.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// The last descriptor that we hold, if the engine had one.
    pub(crate) netns: Option<OwnedFd>,
    /// Aliases of its wires, which are taken down so that the addresses stop answering at once.
    pub(crate) aliases: Vec<String>,
    /// The addresses that are free afterwards.
    pub(crate) addresses: Vec<(Arc<Ledger>, Ipv4Addr)>,
    /// Whether the wires are removed too, because something may hold its namespace for ever.
    pub(crate) remove: bool,
}

#[derive(Debug)]
enum Job {
    Refill,
    Retire(Retired),
    Stop,
}

/// Things that are ready.
#[derive(Debug)]
struct Pool<T> {
    ready: Vec<T>,
    minimum: usize,
    /// How many shall be ready; 0 after a failure, until somebody asks again.
    target: usize,
}

impl<T> Pool<T> {
    fn new(minimum: usize) -> Self {
        Self {
            ready: Vec::new(),
            minimum,
            target: minimum,
        }
    }

    fn take(&mut self) -> Option<T> {
        let found = self.ready.pop();
        if found.is_none() && self.minimum > 0 {
            self.target = (self.target * 2).clamp(self.minimum, POOL_MAXIMUM);
        }
        found
    }

    fn lack(&self) -> usize {
        self.target.saturating_sub(self.ready.len())
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.target > 0
    }

    fn has_grown(&self) -> bool {
        self.target > self.minimum
    }

    fn shrink(&mut self) {
        self.target = self.minimum;
        self.ready.truncate(self.minimum);
    }
}

#[derive(Debug)]
struct Shared {
    plain: Pool<Namespace>,
    wired: Pool<Wired>,
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
    /// Starts the thread. Its conversation about host links belongs to the namespace of the caller.
    pub(crate) fn start(network: Option<Wiring>) -> Result<Self> {
        let (jobs, orders) = channel();
        let shared = Arc::new(Mutex::new(Shared {
            plain: Pool::new(POOL_MINIMUM),
            wired: Pool::new(if network.is_some() { POOL_MINIMUM } else { 0 }),
            retiring: 0,
        }));
        let host = Talk::open(Protocol::Route)?;
        let worker = Worker {
            host,
            shared: Arc::clone(&shared),
            network,
            retired: Vec::new(),
            due: Due::default(),
        };
        let thread = std::thread::Builder::new()
            .name("wharf-net".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || worker.run(&orders))
            .map_err(Error::Thread)?;
        Ok(Self {
            jobs,
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Takes a namespace with nothing but a loopback, or makes one.
    pub(crate) fn take(&self) -> Result<Namespace> {
        let found = lock(&self.shared).plain.take();
        self.order(Job::Refill);
        found.map_or_else(netns::create, Ok)
    }

    /// Takes a connected namespace, if one is ready.
    pub(crate) fn take_wired(&self) -> Option<Wired> {
        let found = lock(&self.shared).wired.take();
        self.order(Job::Refill);
        found
    }

    /// Lets a namespace go, some time.
    pub(crate) fn retire(&self, retired: Retired) {
        lock(&self.shared).retiring += 1;
        self.order(Job::Retire(retired));
    }

    /// Returns how many namespaces are ready and how many are still to be let go.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let shared = lock(&self.shared);
        (
            shared.plain.ready.len() + shared.wired.ready.len(),
            shared.retiring,
        )
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
        let mut shared = lock(&self.shared);
        shared.plain.ready.clear();
        shared.wired.ready.clear();
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
    // Every change of the pools is one step; a panic between two leaves them whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When something is to be done without an order.
#[derive(Debug, Default)]
struct Due {
    refill: Option<Instant>,
    close: Option<Instant>,
    shrink: Option<Instant>,
}

impl Due {
    fn first(&self) -> Option<Instant> {
        [self.refill, self.close, self.shrink]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Takes what is due out of its place.
fn take_due(at: &mut Option<Instant>, now: Instant) -> bool {
    at.take_if(|at| *at <= now).is_some()
}

#[derive(Debug)]
struct Worker {
    host: Talk,
    shared: Arc<Mutex<Shared>>,
    network: Option<Wiring>,
    retired: Vec<Retired>,
    due: Due,
}

impl Worker {
    fn run(mut self, orders: &Receiver<Job>) {
        self.refill();
        loop {
            let order = match self.due.first() {
                Some(at) => orders.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let now = Instant::now();
            match order {
                Ok(Job::Refill) => self.taken(now),
                Ok(Job::Retire(retired)) => {
                    self.retired.push(retired);
                    self.due.close.get_or_insert(now + BATCH_INTERVAL);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.do_due(now);
        }
        while let Ok(job) = orders.try_recv() {
            if let Job::Retire(retired) = job {
                self.retired.push(retired);
            }
        }
        self.close(usize::MAX);
    }

    /// Something was taken from a pool.
    fn taken(&mut self, now: Instant) {
        let shared = lock(&self.shared);
        self.due.refill = if shared.plain.is_empty() || shared.wired.is_empty() {
            let soon = now + EMPTY_FOR;
            Some(self.due.refill.map_or(soon, |at| at.min(soon)))
        } else {
            (shared.plain.lack() + shared.wired.lack() > 0).then(|| now + PAUSE)
        };
        let grown = shared.plain.has_grown() || shared.wired.has_grown();
        self.due.shrink = grown.then(|| now + SHRINK_AFTER);
    }

    fn do_due(&mut self, now: Instant) {
        if take_due(&mut self.due.refill, now) {
            self.refill();
        }
        if take_due(&mut self.due.close, now) {
            self.close(BATCH);
            self.due.close = (!self.retired.is_empty()).then(|| now + BATCH_INTERVAL);
        }
        if take_due(&mut self.due.shrink, now) {
            let mut shared = lock(&self.shared);
            shared.plain.shrink();
            shared.wired.shrink();
        }
    }

    /// Makes what the pools lack now: who takes faster than this makes must not keep it from the
    /// other work, and orders it anew with every piece.
    fn refill(&mut self) {
        let (wired, plain) = {
            let shared = lock(&self.shared);
            (shared.wired.lack(), shared.plain.lack())
        };
        for _ in 0..wired {
            let Some(wiring) = &self.network else {
                return;
            };
            let made = netns::create()
                .and_then(|empty| Wired::connect(wiring, &mut self.host, empty, FIRST_LINK));
            let mut shared = lock(&self.shared);
            match made {
                Ok(wired) => shared.wired.ready.push(wired),
                // Not lost: the next start makes its own and reports what is wrong.
                Err(_) => shared.wired.target = 0,
            }
        }
        for _ in 0..plain {
            let made = netns::create();
            let mut shared = lock(&self.shared);
            match made {
                Ok(namespace) => shared.plain.ready.push(namespace),
                Err(_) => shared.plain.target = 0,
            }
        }
    }

    fn close(&mut self, most: usize) {
        let count = self.retired.len().min(most);
        if count == 0 {
            return;
        }
        let retired: Vec<_> = self.retired.drain(..count).collect();
        self.disconnect(&retired);
        for retired in retired {
            drop(retired.netns);
            for (ledger, address) in retired.addresses {
                ledger.free(address);
            }
        }
        lock(&self.shared).retiring -= count;
    }

    /// Takes the wires of `retired` down. One that is gone already went with its namespace, and
    /// when links cannot be listed they fall a little later: nothing depends on the answers.
    fn disconnect(&mut self, retired: &[Retired]) {
        if retired.iter().all(|retired| retired.aliases.is_empty()) {
            return;
        }
        let links = bridge::links(&mut self.host).unwrap_or_default();
        let mut batch = Batch::new();
        for retired in retired {
            let theirs = |link: &&Link| retired.aliases.contains(&link.alias);
            for link in links.iter().filter(theirs) {
                if retired.remove {
                    route::delete_link(&mut batch, &link.name);
                } else {
                    route::set_up(&mut batch, &link.name, false);
                }
            }
        }
        drop(self.host.send(&batch));
    }
}
