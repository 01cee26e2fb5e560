//! One layer's way here: fetched once, however many wait for it, and unpacked behind the fetching.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use image::{Ingest, StagedLayer, Wanted};
use registry::client::Repository;
use tokio::sync::{Semaphore, watch};
use types::{Digest, ErrorKind};

use super::steps::{LayerStep, PullStep, between};
use super::{Steps, backoff};
use crate::error::{Error, Result, chain};
use crate::{Engine, blocking};

/// Bytes that are written at once; what a kill loses at most.
const PIECE: usize = 256 << 10;
/// From this size on a layer is unpacked while it comes, if somebody is free to do it.
const EARLY: u64 = 8 << 20;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);
/// How long is waited for somebody who still has the bytes.
const BUSY: Duration = Duration::from_millis(50);
const UNPACKERS_MIN: usize = 2;
const UNPACKERS_MAX: usize = 8;

/// The layers that are on their way, and how many may be.
#[derive(Debug)]
pub(crate) struct Flights {
    known: Mutex<HashMap<Digest, Weak<Flight>>>,
    slots: Arc<Semaphore>,
    unpackers: Arc<Semaphore>,
}

/// A layer on its way. When nobody waits for it any more, it ends.
#[derive(Debug)]
struct Flight {
    diff_id: Digest,
    state: watch::Receiver<State>,
    task: tokio::task::AbortHandle,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
enum State {
    Doing(LayerStep),
    Landed(Arc<StagedLayer>),
    Failed(ErrorKind, String),
}

/// One who waits for a layer.
pub(super) struct Followed {
    flight: Arc<Flight>,
    id: String,
    steps: Steps,
}

impl Flights {
    pub(crate) fn new(downloads: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let unpackers = cores.clamp(UNPACKERS_MIN, UNPACKERS_MAX);
        Self {
            known: Mutex::default(),
            slots: Arc::new(Semaphore::new(downloads.max(1))),
            unpackers: Arc::new(Semaphore::new(unpackers)),
        }
    }

    /// Waits for a layer with those who wait already, or sends for it.
    pub(super) fn join(
        &self,
        engine: &Engine,
        repository: &Repository,
        wanted: &Wanted,
        steps: &Steps,
    ) -> Followed {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, flight| flight.strong_count() > 0);
        let running = known
            .get(&wanted.blob.digest)
            .and_then(Weak::upgrade)
            .filter(|flight| {
                let failed = matches!(*flight.state.borrow(), State::Failed(..));
                flight.diff_id == wanted.diff_id && !failed
            });
        let flight = running.unwrap_or_else(|| {
            let flight = Arc::new(begin(engine, repository, wanted));
            known.insert(wanted.blob.digest, Arc::downgrade(&flight));
            flight
        });
        Followed {
            flight,
            id: wanted.blob.digest.short(),
            steps: Arc::clone(steps),
        }
    }
}

impl Followed {
    pub(super) fn diff_id(&self) -> Digest {
        self.flight.diff_id
    }

    /// Waits for the end and tells what happens meanwhile.
    pub(super) async fn landed(self) -> Result<Arc<StagedLayer>> {
        let mut state = self.flight.state.clone();
        let mut before = LayerStep::Fetching;
        let mut told = Instant::now();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Doing(doing) => {
                    let new = doing.rank() != before.rank();
                    if new || (doing != before && told.elapsed() >= TELL) {
                        self.tell(before, doing);
                        (before, told) = (doing, Instant::now());
                    }
                }
                State::Landed(layer) => {
                    self.tell(before, LayerStep::Complete);
                    return Ok(layer);
                }
                State::Failed(kind, text) => return Err(Error::new(kind, text)),
            }
            if state.changed().await.is_err() {
                return Err(Error::new(ErrorKind::Internal, "a download broke off"));
            }
        }
    }

    fn tell(&self, before: LayerStep, now: LayerStep) {
        for doing in between(before, now).into_iter().chain([now]) {
            (self.steps)(PullStep::Layer {
                id: self.id.clone(),
                doing,
            });
        }
    }
}

fn begin(engine: &Engine, repository: &Repository, wanted: &Wanted) -> Flight {
    let (sender, state) = watch::channel(State::Doing(LayerStep::Fetching));
    let work = Work {
        engine: engine.clone(),
        repository: repository.clone(),
        wanted: wanted.clone(),
        state: Arc::new(sender),
    };
    let task = tokio::spawn(async move {
        let state = Arc::clone(&work.state);
        let end = match work.whole().await {
            Ok(layer) => State::Landed(Arc::new(layer)),
            Err(error) => State::Failed(error.kind(), error.to_string()),
        };
        state.send_replace(end);
    });
    Flight {
        diff_id: wanted.diff_id,
        state,
        task: task.abort_handle(),
    }
}

/// What the task of a flight has.
struct Work {
    engine: Engine,
    repository: Repository,
    wanted: Wanted,
    state: Arc<watch::Sender<State>>,
}

impl Work {
    fn doing(&self, step: LayerStep) {
        self.state.send_replace(State::Doing(step));
    }

    async fn whole(&self) -> Result<StagedLayer> {
        let (layer, resumed) = self.once().await;
        match layer {
            // What an earlier life left may have been torn by a power cut: once more, all of it.
            Err(error) if resumed && error.to_string().contains("verification failed") => {
                self.once().await.0
            }
            other => other,
        }
    }

    /// Fetches and unpacks; tells too whether some of it was here before.
    async fn once(&self) -> (Result<StagedLayer>, bool) {
        let ingest = match self.open().await {
            Ok(ingest) => ingest,
            Err(error) => return (Err(error), false),
        };
        let resumed = ingest.written() > 0;
        (self.fetch_and_unpack(ingest).await, resumed)
    }

    async fn open(&self) -> Result<Ingest> {
        let (digest, size) = (self.wanted.blob.digest, self.wanted.blob.size);
        loop {
            let engine = self.engine.clone();
            let opened = blocking::run(move || engine.images().ingest(digest, size)).await?;
            if let Some(ingest) = opened {
                return Ok(ingest);
            }
            tokio::time::sleep(BUSY).await;
        }
    }

    async fn fetch_and_unpack(&self, ingest: Ingest) -> Result<StagedLayer> {
        let flights = self.engine.flights();
        let slot = if let Ok(slot) = Arc::clone(&flights.slots).try_acquire_owned() {
            slot
        } else {
            self.doing(LayerStep::Waiting);
            let slot = Arc::clone(&flights.slots).acquire_owned().await;
            slot.map_err(|e| Error::internal("waiting for others", e))?
        };
        let follower = ingest
            .follow()
            .map_err(|e| Error::internal("opening a blob", e))?;
        let here = Arc::new(AtomicBool::new(false));
        let early = (ingest.size() >= EARLY)
            .then(|| Arc::clone(&flights.unpackers).try_acquire_owned().ok())
            .flatten();
        let mut follower = Some(follower);
        let mut unpacking = None;
        if let Some(permit) = early
            && let Some(follower) = follower.take()
        {
            let here = Arc::clone(&here);
            unpacking = Some(self.unpack(permit, follower, here));
        }
        self.download(ingest).await?;
        drop(slot);
        self.doing(LayerStep::Downloaded);
        here.store(true, Ordering::Release);
        let unpacking = match (unpacking, follower) {
            (Some(unpacking), _) => unpacking,
            (None, Some(follower)) => {
                let permit = Arc::clone(&flights.unpackers).acquire_owned().await;
                let permit = permit.map_err(|e| Error::internal("waiting for others", e))?;
                self.unpack(permit, follower, here)
            }
            (None, None) => return Err(Error::new(ErrorKind::Internal, "nobody unpacks")),
        };
        let done = unpacking
            .await
            .map_err(|e| Error::internal("unpacking a layer", e))?;
        if let Err(image::Error::LayerVerification { .. } | image::Error::LayerMismatch) = &done {
            self.engine
                .images()
                .forget_ingests([self.wanted.blob.digest]);
        }
        Ok(done?)
    }

    fn unpack(
        &self,
        permit: tokio::sync::OwnedSemaphorePermit,
        follower: image::Follower,
        here: Arc<AtomicBool>,
    ) -> tokio::task::JoinHandle<image::Result<StagedLayer>> {
        let (engine, wanted) = (self.engine.clone(), self.wanted.clone());
        let state = Arc::clone(&self.state);
        blocking::long(permit, move || {
            let total = wanted.blob.size;
            let mut progress = |current: u64| {
                if here.load(Ordering::Acquire) {
                    let step = LayerStep::Extracting { current, total };
                    state.send_replace(State::Doing(step));
                }
            };
            engine
                .images()
                .unpack_blob(follower, &wanted, &mut progress)
        })
    }

    /// Fetches what is not here, from the byte where it stopped, as often as it may help.
    async fn download(&self, ingest: Ingest) -> Result<()> {
        let mut ingest = ingest;
        let mut attempt = 0;
        while ingest.written() < ingest.size() {
            let before = ingest.written();
            let failure;
            (ingest, failure) = self.download_rest(ingest).await?;
            let Some(error) = failure else {
                continue;
            };
            if ingest.written() > before {
                attempt = 0;
            }
            attempt += 1;
            if !error.may_pass() || attempt >= self.repository.attempts() {
                return Err(Error::caused(error.kind(), chain(&error), error));
            }
            tracing::debug!(%error, attempt, "fetching a blob again");
            for left in (1..=backoff(attempt).as_secs()).rev() {
                self.doing(LayerStep::Retrying(left));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        self.doing(LayerStep::Verifying);
        ingest.finish();
        Ok(())
    }

    /// Fetches in one request; what went wrong with it is told beside what came.
    async fn download_rest(
        &self,
        ingest: Ingest,
    ) -> Result<(Ingest, Option<registry::client::Error>)> {
        let mut ingest = ingest;
        let (from, total) = (ingest.written(), ingest.size());
        let stream = self.repository.blob(self.wanted.blob.digest, from).await;
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => return Ok((ingest, Some(error))),
        };
        // A registry that knows no ranges sends again what is here.
        let mut skip = from - stream.start().min(from);
        let (mut pieces, mut held): (Vec<Bytes>, usize) = (Vec::new(), 0);
        loop {
            let next = stream.next().await;
            let (piece, end) = match next {
                Ok(Some(piece)) => (piece, None),
                Ok(None) => (Bytes::new(), Some(None)),
                Err(error) => (Bytes::new(), Some(Some(error))),
            };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= skipped as u64;
            held += piece.len() - skipped;
            pieces.push(piece.slice(skipped..));
            if held >= PIECE || end.is_some() {
                let written = write(ingest, std::mem::take(&mut pieces)).await;
                if written.is_err() {
                    // More than was announced, or no space: nobody goes on from there.
                    let digest = self.wanted.blob.digest;
                    self.engine.images().forget_ingests([digest]);
                }
                ingest = written?;
                held = 0;
                let current = ingest.written();
                self.doing(LayerStep::Downloading { current, total });
            }
            match end {
                None => {}
                Some(None) if ingest.written() < total => {
                    let (got, wanted) = (ingest.written(), total);
                    let short = registry::client::Error::Short { got, wanted };
                    return Ok((ingest, Some(short)));
                }
                Some(failure) => return Ok((ingest, failure)),
            }
        }
    }
}

async fn write(mut ingest: Ingest, pieces: Vec<Bytes>) -> Result<Ingest> {
    blocking::run(move || {
        for piece in pieces {
            ingest
                .append(&piece)
                .map_err(|e| Error::internal("writing a blob", e))?;
        }
        Ok(ingest)
    })
    .await
}
