//! `start`: a shim, a network, a root file system, and process 1.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use shim::protocol::{self, Event, Exit, Reply, Request};
use tokio::sync::mpsc;
use types::ErrorKind;
use types::oci::runtime::SpecMount;

use super::cell::Cell;
use super::record::{Log, Record};
use super::remove::Volumes;
use super::spec::{self, Facts};
use super::state::{State, Status, start_failure};
use crate::error::{Error, Result};
use crate::nursery::Newborn;
use crate::shim_client::Shim;
use crate::{Engine, blocking, now_ns, nursery, to_its_end};

/// How long a start waits for the stream of a client that is just being answered.
const EARLY_LIMIT: Duration = Duration::from_secs(2);

/// So many shims are tried: one may have died while it waited for work, its successor at its birth.
const SHIMS_TRIED: u32 = 3;

/// A shim that has its work, and what it said to that.
struct Taken {
    shim: Arc<Shim>,
    events: mpsc::UnboundedReceiver<Event>,
    pidfd: OwnedFd,
    answer: Result<(Reply, Vec<OwnedFd>)>,
}

/// Tells whether a request never reached its shim.
fn was_not_delivered(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|source| source.kind() == std::io::ErrorKind::BrokenPipe)
}

impl Engine {
    /// Starts a container.
    pub async fn start(&self, typed: &str) -> Result<()> {
        let (engine, cell) = (self.clone(), self.find(typed)?);
        to_its_end(async move { engine.start_whole(&cell).await }).await
    }

    async fn start_whole(&self, cell: &Arc<Cell>) -> Result<()> {
        let _verb = cell.verb.lock().await;
        // A clean stop sweeps what belongs to no container that runs.
        let _busy = self.0.busy.read().await;
        match cell.state().status {
            Status::Running | Status::Restarting => return Err(Error::not_modified()),
            Status::Paused => {
                return Err(Error::conflict(
                    "cannot start a paused container, try unpause instead",
                ));
            }
            Status::Removing => {
                return Err(Error::conflict(
                    "container is marked for removal and cannot be started",
                ));
            }
            Status::Created | Status::Exited => {}
        }
        if cell.state().removed {
            return Err(Error::not_found(format!("No such container: {}", cell.id)));
        }
        match self.start_locked(cell).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.start_failed(cell, error).await),
        }
    }

    async fn start_locked(&self, cell: &Arc<Cell>) -> Result<()> {
        let since = Instant::now();
        let record = cell.record();
        if self.has_shim_left(cell.id) {
            // Of a life that a killed daemon cut off; its shim goes by itself, but when is not said.
            self.send_shim_away(cell.id).await;
        }
        let newborn = self.nursery().take().await?;
        self.clock().note("start: shim", cell.id, since);

        let since = Instant::now();
        let (request, netns) = self.prepare(cell, &record).await?;
        self.clock().note("start: prepare", cell.id, since);

        let since = Instant::now();
        let Taken {
            shim,
            events,
            pidfd,
            answer,
        } = self.hand_over(newborn, request, netns).await?;
        let (pid, start_time) = match answer {
            Ok((
                Reply::Process {
                    pid,
                    start_time,
                    steps,
                },
                _,
            )) => {
                self.clock().note_told("shim", cell.id, &steps);
                (pid, start_time)
            }
            Ok((other, _)) => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    format!("shim answered {other:?}"),
                ));
            }
            Err(error) => {
                tokio::spawn(nursery::bury(pidfd));
                let sentence = format!("failed to create task for container: {error}");
                return Err(Error::caused(error.kind(), sentence, error));
            }
        };
        self.clock().note("start: create", cell.id, since);
        self.attach_early(cell, &shim).await;

        let since = Instant::now();
        let mut running = cell.state().running(pid, start_time, now_ns());
        running.health = match running.health.take() {
            known @ Some(_) if super::health::is_asked(&record) => known,
            _ => super::restart::unasked(&record),
        };
        cell.set_shim(Some(Arc::clone(&shim)));
        let (saved, started) = tokio::join!(
            self.save_state(cell.id, running.clone()),
            shim.ask(Request::Start, &[])
        );
        if let Err(error) = saved.and(started) {
            drop(shim.ask(Request::Delete, &[]).await);
            cell.set_shim(None);
            tokio::spawn(nursery::bury(pidfd));
            return Err(error);
        }
        cell.set_state(running);
        self.clock().note("start: start", cell.id, since);
        // Before anybody listens for its end.
        self.container_event(cell, "start", &[]);
        self.mind(Arc::clone(cell), events, Some(pidfd));
        Ok(())
    }

    /// Gives the request to the shim: to another one when it went away while it waited for work.
    async fn hand_over(
        &self,
        mut newborn: Newborn,
        request: protocol::Create,
        netns: Option<OwnedFd>,
    ) -> Result<Taken> {
        let fds: Vec<_> = netns.iter().map(AsFd::as_fd).collect();
        let mut left = SHIMS_TRIED;
        loop {
            let (shim, events) = Shim::new(newborn.control)?;
            let create = Request::Create(Box::new(request.clone()));
            let answer = shim.call(create, &fds).await;
            left -= 1;
            if left > 0 && answer.as_ref().is_err_and(was_not_delivered) {
                tokio::spawn(nursery::bury(newborn.pidfd));
                newborn = self.nursery().take().await?;
                continue;
            }
            return Ok(Taken {
                shim: Arc::new(shim),
                events,
                pidfd: newborn.pidfd,
                answer,
            });
        }
    }

    /// Clients that came before the start miss nothing.
    async fn attach_early(&self, cell: &Arc<Cell>, shim: &Arc<Shim>) {
        let early = std::mem::take(&mut *cell.early.lock().unwrap_or_else(PoisonError::into_inner));
        for place in early {
            // One that went away before it was answered leaves its place empty.
            let Ok(Ok((attach, stream))) = tokio::time::timeout(EARLY_LIMIT, place).await else {
                continue;
            };
            if let Err(error) = shim.ask(Request::Attach(attach), &[stream.as_fd()]).await {
                tracing::warn!(%error, id = %cell.id, "attaching an early client");
            }
        }
    }

    /// Everything that the shim must be told.
    async fn prepare(
        &self,
        cell: &Arc<Cell>,
        record: &Arc<Record>,
    ) -> Result<(protocol::Create, Option<OwnedFd>)> {
        let volumes = self.show_volumes(cell, record).await?;
        let netns = self.attach_network(cell, record).await?;
        self.announce_networks(cell, "connect");
        let engine = self.clone();
        // As it is now: the network has put its endpoint in.
        let record = cell.record();
        let has_netns = netns.is_some();
        let request = blocking::run(move || engine.request(&record, volumes, has_netns)).await?;
        Ok((request, netns))
    }

    async fn show_volumes(&self, cell: &Arc<Cell>, record: &Arc<Record>) -> Result<Vec<SpecMount>> {
        if record.host.volumes.is_empty() && record.host.images.is_empty() {
            return Ok(Vec::new());
        }
        let first = cell.state().started_ns.is_none();
        let (engine, record) = (self.clone(), Arc::clone(record));
        let mounts = blocking::run(move || {
            let mut mounts = engine.open_volumes(&record, first)?;
            mounts.extend(engine.open_images(&record)?);
            Ok::<_, Error>(mounts)
        })
        .await?;
        self.volumes_mounted(cell);
        Ok(mounts)
    }

    pub(crate) fn request(
        &self,
        record: &Record,
        volumes: Vec<SpecMount>,
        has_netns: bool,
    ) -> Result<protocol::Create> {
        let dir = self.layout().container(record.id);
        for bind in record.host.binds.iter().filter(|bind| bind.create) {
            std::fs::create_dir_all(&bind.source)
                .or_else(|e| {
                    if std::path::Path::new(&bind.source).exists() {
                        Ok(())
                    } else {
                        Err(e)
                    }
                })
                .map_err(|e| {
                    Error::internal(
                        format!("error while creating mount source path '{}'", bind.source),
                        e,
                    )
                })?;
        }
        for bind in &record.host.binds {
            super::propagation::check(bind)?;
        }
        self.write_network_files(record)?;
        let view = self.meta().read()?;
        // A container that is removed at its end has nothing to lose in a power cut.
        let root = self
            .images()
            .mount(&view, &record.snapshot, record.host.auto_remove)?;
        let user = super::user::resolve(&root, &record.config.user, &record.host.group_add)?;
        let facts = Facts {
            home: user.home,
            user: user.user,
            cgroups_path: self.cgroups_path(record.id),
            files: self.network_files(record).display().to_string(),
            dir: dir.display().to_string(),
            volumes,
            devices: super::devices::resolve(&record.host)?,
            edits: super::cdi::resolve(&record.host.device_requests)?,
            init: record.host.init.then(|| self.init_program()).transpose()?,
            block_io: super::devices::block_io(&record.host.block_io)?,
            neighbours: self.neighbours(record)?,
        };
        let spec = spec::spec(record, &facts);
        self.save_spec(record.id, &spec);
        Ok(protocol::Create {
            id: record.id.to_string(),
            dir: facts.dir,
            socket: self.layout().shim_socket(record.id).display().to_string(),
            spec,
            root,
            has_netns,
            open_stdin: record.config.open_stdin,
            stdin_once: record.config.stdin_once,
            log: match record.host.log {
                Log::None => protocol::Log::None,
                Log::JsonFile { max_size, max_file } => {
                    protocol::Log::JsonFile { max_size, max_file }
                }
            },
            console_size: None,
            restart: record.host.restart,
            health: self.health(record)?,
        })
    }

    /// Records why a start failed, undoes what it did, and gives the sentence back with the kind
    /// that Docker answers.
    async fn start_failed(&self, cell: &Arc<Cell>, error: Error) -> Error {
        let message = error.to_string();
        let (code, appended) = start_failure(&message);
        let message = format!("{message}{appended}");
        if !cell.record().endpoints.is_empty() {
            self.announce_networks(cell, "disconnect");
        }
        let endpoints = self.detach_network(cell);
        self.release_endpoints(cell, endpoints);
        self.volumes_unmounted(cell).await;
        // Who attached before the start sees the end of its stream.
        cell.early
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let state = cell.state().start_failed(code, &message);
        if let Err(error) = self.save_state(cell.id, state.clone()).await {
            tracing::error!(%error, id = %cell.id, "recording a failed start");
        }
        cell.set_state(state);
        if cell.record().host.auto_remove {
            let engine = self.clone();
            let cell = Arc::clone(cell);
            tokio::spawn(async move {
                let _verb = cell.verb.lock().await;
                engine.remove_locked(&cell, Volumes::Remove).await
            });
        }
        let kind = if code == 128 {
            error.kind()
        } else {
            ErrorKind::InvalidArgument
        };
        Error::caused(kind, message, error)
    }

    /// Follows a running container until its shim goes.
    pub(crate) fn mind(
        &self,
        cell: Arc<Cell>,
        mut events: mpsc::UnboundedReceiver<Event>,
        pidfd: Option<OwnedFd>,
    ) {
        let engine = self.clone();
        tokio::spawn(async move {
            let mut over = false;
            while let Some(event) = events.recv().await {
                match event {
                    Event::Exited(exit) => {
                        over = true;
                        engine.ended(&cell, exit).await;
                    }
                    Event::ExecExited { exec_id, code } => engine.exec_ended(&cell, &exec_id, code),
                    Event::Detached { exec_id, .. } => {
                        if exec_id.is_none() {
                            engine.container_event(&cell, "detach", &[]);
                        }
                    }
                    Event::Oom => engine.container_event(&cell, "oom", &[]),
                    Event::Restarting { exit, restarts } => {
                        engine.restarting(&cell, exit, restarts).await;
                    }
                    Event::Restarted {
                        pid,
                        start_time,
                        started_ns,
                    } => {
                        let process = (pid, start_time);
                        engine.restarted(&cell, process, started_ns).await;
                    }
                    Event::GaveUp { exit, message } => {
                        over = true;
                        engine.gave_up(&cell, exit, message).await;
                    }
                    Event::Probed {
                        feeling,
                        failing_streak,
                        probe,
                    } => engine.probed(&cell, feeling, failing_streak, probe).await,
                }
            }
            // What runs after an end is another life, with somebody else to mind it.
            if over || !cell.state().status.is_running() {
                engine.execs_died(&cell);
            } else {
                cell.set_shim(None);
                engine.adopt(&cell).await;
                engine.start_by_rule(&cell);
            }
            if let Some(pidfd) = pidfd {
                nursery::bury(pidfd).await;
            }
        });
    }

    /// The shim died under its container: that this ends it too is the engine's guarantee.
    pub(crate) async fn shim_died(&self, cell: &Arc<Cell>) {
        self.execs_died(cell);
        tracing::error!(id = %cell.id, "the shim died; its container is killed");
        let engine = self.clone();
        let id = cell.id;
        blocking::run(move || engine.kill_cgroup(id)).await;
        let exit = self.exit_record(cell.id).unwrap_or(Exit {
            code: 137,
            oom: false,
            finished_ns: now_ns(),
        });
        self.ended(cell, exit).await;
    }

    /// Process 1 ended: answer first, then clean up.
    pub(crate) async fn ended(&self, cell: &Arc<Cell>, exit: Exit) {
        let _busy = self.0.busy.read().await;
        let before = cell.state();
        if !before.status.is_running() {
            return;
        }
        let since = Instant::now();
        let state = before.exited(exit);
        self.announce_networks(cell, "disconnect");
        if cell.record().host.auto_remove {
            cell.set_state(state);
            self.volumes_unmounted(cell).await;
            self.die_event(cell, &before, exit);
            // Not under the verb's lock: `stop` and `rm -f` hold it while they wait for this end.
            if let Err(error) = self.forget(cell, Volumes::Remove).await {
                tracing::error!(%error, id = %cell.id, "removing a container at its end");
            }
            self.clock().note("end: forget", cell.id, since);
            return;
        }
        if let Err(error) = self.save_state(cell.id, state.clone()).await {
            tracing::error!(%error, id = %cell.id, "recording an end");
        }
        // Before it may be started again: what is let go is this life's.
        let (endpoints, shim) = (self.detach_network(cell), cell.take_shim());
        self.volumes_unmounted(cell).await;
        cell.set_state(state);
        self.die_event(cell, &before, exit);
        self.clock().note("end: record", cell.id, since);
        self.release_endpoints(cell, endpoints);
        dismiss(shim).await;
    }

    /// Tells of an end, once: that of a container which waited for its restart was told.
    pub(crate) fn die_event(&self, cell: &Cell, before: &State, exit: Exit) {
        if before.status == Status::Restarting {
            return;
        }
        let code = exit.code.to_string();
        let duration_s = before
            .started_ns
            .map_or(0, |start| (exit.finished_ns - start) / 1_000_000_000);
        let duration = duration_s.to_string();
        let attributes = [
            ("exitCode", code.as_str()),
            ("execDuration", duration.as_str()),
        ];
        self.container_event_at(cell, "die", &attributes, exit.finished_ns);
    }
}

/// Lets the shim of an ended container go.
pub(crate) async fn dismiss(shim: Option<Arc<Shim>>) {
    if let Some(shim) = shim {
        // Its end is all we want; that it is gone already is as good.
        drop(shim.ask(Request::Delete, &[]).await);
    }
}
