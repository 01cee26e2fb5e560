//! The container: made, started, joined by execs, ended, removed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use cgroup::{OomNews, OomWatch};
use logs::{Limits, Writer};
use runtime::CreateRequest;
use sys::poll::{Interest, Poll};
use sys::socket::Kind;
use types::Mount;
use types::oci::runtime::Spec;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::health::{Capture, Monitor};
use crate::probe::Running;
use crate::protocol::{Attach, Create, Exec, Exit, Health, Log, Phase, Probe, Status, VERSION};
use crate::task::{Ended, Ends, Identity, Task, Wanted};
use crate::token::Token;
use crate::watched::Watched;
use crate::{EXIT_RECORD, log_name, state_log};

/// From the news that memory ran out to the kill, at most; v1 tells them in this order.
const OOM_DELAY: Duration = Duration::from_millis(100);
/// Daemons that may wait to be accepted.
const BACKLOG: i32 = 8;

/// The container of this shim.
#[derive(Debug)]
pub(crate) struct Container {
    id: String,
    dir: PathBuf,
    /// It is removed when it ends: its record must outlive a daemon, not the machine.
    is_volatile: bool,
    socket: SocketPath,
    listener: Watched,
    runtime: runtime::Container,
    phase: Phase,
    exit: Option<Exit>,
    oom: Option<OomWatch>,
    /// Kills for memory that daemons were told of.
    oom_told: u64,
    oom_look_at: Option<Instant>,
    /// Which life this is; the first one is 0.
    generation: u32,
    /// When it began to run, in nanoseconds since 1970.
    started_ns: i64,
    /// Its health check, while it runs.
    pub(crate) monitor: Option<Monitor>,
    /// The probe that runs.
    pub(crate) probe: Option<Running>,
    /// Everything in it is stopped.
    pub(crate) is_frozen: bool,
    /// Init first; it stays when it ended.
    pub(crate) tasks: Vec<Task>,
}

/// The name of the listening socket; dropped, it is gone.
#[derive(Debug)]
struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.0);
    }
}

impl Container {
    /// Makes the container up to the point before execve. On failure nothing is left.
    pub(crate) fn create(
        mut create: Create,
        netns: Option<BorrowedFd<'_>>,
        number: u32,
        poll: &Rc<Poll>,
    ) -> Result<Self> {
        if create.has_netns && netns.is_none() {
            return Err(Error::NoDescriptor);
        }
        let dir = PathBuf::from(&create.dir);
        // An earlier life's must not be taken for this one's.
        let _usually_absent = std::fs::remove_file(dir.join(EXIT_RECORD));
        let log = open_log(&dir, &create)?;
        let (socket, listener) = listen(Path::new(&create.socket), poll)?;
        let process = create.spec.process.get_or_insert_default();
        // Else it would inherit ours, which protects the keeper.
        process.oom_score_adj.get_or_insert(0);
        let wanted = Wanted {
            stdin: create.open_stdin,
            stdout: true,
            stderr: true,
        };
        let (ends, stdio) = Ends::make(process.terminal, wanted)?;
        let (runtime, child) = runtime::Container::create(CreateRequest {
            id: &create.id,
            spec: &create.spec,
            root: &create.root,
            stdio,
            netns,
        })?;
        let identity = Identity {
            number,
            exec_id: None,
            stdin_once: create.stdin_once,
        };
        let init = Task::new(identity, child, ends, log, poll).and_then(|init| {
            if let Some((width, height)) = create.console_size {
                init.resize(width, height)?;
            }
            Ok(init)
        });
        let init = match init {
            Ok(init) => init,
            Err(error) => {
                // The first error is the one to tell.
                let _unreported = runtime.destroy();
                return Err(error);
            }
        };
        let oom = watch_oom(&create.spec, &runtime, poll);
        let phase = Phase::Created;
        let tasks = vec![init];
        let id = create.id;
        Ok(Self {
            id,
            dir,
            is_volatile: matches!(create.root, Mount::Overlay { volatile: true, .. }),
            socket,
            listener,
            runtime,
            phase,
            exit: None,
            oom,
            oom_told: 0,
            oom_look_at: None,
            generation: 0,
            started_ns: 0,
            monitor: None,
            probe: None,
            is_frozen: false,
            tasks,
        })
    }

    /// Returns init.
    pub(crate) fn init(&mut self) -> &mut Task {
        self.tasks
            .first_mut()
            .expect("init is there as long as the container")
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Where daemons connect.
    pub(crate) const fn listener(&self) -> &Watched {
        &self.listener
    }

    /// Lets init run: which life this is, how it is asked how it feels, and what it said in earlier
    /// lives.
    pub(crate) fn start(
        &mut self,
        generation: u32,
        health: Option<(Health, Vec<Probe>)>,
    ) -> Result<()> {
        match self.phase {
            Phase::Created => {}
            // Init may have said why on its way out.
            Phase::Stopped => {
                self.runtime.start()?;
                return Err(Error::State("init ended before it was started"));
            }
            Phase::Empty | Phase::Running | Phase::Restarting => {
                return Err(Error::State("the container was started before"));
            }
        }
        self.runtime.start()?;
        self.phase = Phase::Running;
        self.generation = generation;
        self.started_ns = crate::task::now_ns();
        self.monitor = health.map(|(check, log)| Monitor::new(check, log, Instant::now()));
        if generation == 0 {
            state_log::forget(&self.dir);
        }
        self.note("start", 0, self.started_ns);
        Ok(())
    }

    /// Notes what happened for a daemon that is away.
    pub(crate) fn note(&self, event: &str, code: i32, time_ns: i64) {
        let line = state_log::Line {
            generation: self.generation,
            event: event.to_owned(),
            code,
            time_ns,
        };
        state_log::append(&self.dir, &line);
    }

    /// When its present life began to run, in nanoseconds since 1970.
    pub(crate) const fn started_ns(&self) -> i64 {
        self.started_ns
    }

    /// How it ended.
    pub(crate) const fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Says that it waits to be started again, or does not any more.
    pub(crate) fn set_restarting(&mut self, restarting: bool) {
        self.phase = if restarting {
            Phase::Restarting
        } else {
            Phase::Stopped
        };
    }

    /// Starts a probe.
    pub(crate) fn start_probe(&self, check: &Health, number: u32, poll: &Rc<Poll>) -> Result<Task> {
        let wanted = Wanted {
            stdin: false,
            stdout: true,
            stderr: true,
        };
        let mut process = check.process.clone();
        process.oom_score_adj.get_or_insert(0);
        let (ends, stdio) = Ends::make(false, wanted)?;
        let child = self.runtime.exec(&process, stdio)?;
        let identity = Identity {
            number,
            exec_id: None,
            stdin_once: false,
        };
        let mut task = Task::new(identity, child, ends, None, poll)?;
        task.capture = Some(Capture::default());
        Ok(task)
    }

    /// Runs another process. Returns also its client, if that detached at once.
    pub(crate) fn exec(
        &mut self,
        mut exec: Exec,
        stream: Option<OwnedFd>,
        numbers: (u32, u32),
        poll: &Rc<Poll>,
    ) -> Result<(&Task, Option<u64>)> {
        if self.phase != Phase::Running {
            return Err(Error::State("the container is not running"));
        }
        let attach = match (exec.attach, stream) {
            (Some(attach), Some(stream)) => Some((attach, stream)),
            (Some(_), None) => return Err(Error::NoDescriptor),
            (None, _) => None,
        };
        exec.process.oom_score_adj.get_or_insert(0);
        let wanted =
            |wants: fn(&Attach) -> bool| attach.as_ref().is_some_and(|(attach, _)| wants(attach));
        let wanted = Wanted {
            stdin: wanted(|attach| attach.stdin),
            stdout: wanted(|attach| attach.stdout),
            stderr: wanted(|attach| attach.stderr),
        };
        let (ends, stdio) = Ends::make(exec.process.terminal, wanted)?;
        let child = self.runtime.exec(&exec.process, stdio)?;
        let (number, client_number) = numbers;
        let identity = Identity {
            number,
            exec_id: Some(exec.exec_id),
            stdin_once: true,
        };
        let mut task = Task::new(identity, child, ends, None, poll)?;
        if let Some((width, height)) = exec.console_size {
            // It runs, and another resize is likely to come.
            let _wrong_size = task.resize(width, height);
        }
        let mut detached = None;
        if let Some((attach, stream)) = attach {
            let name = attach.client;
            let client =
                Client::new(stream, client_number, attach, poll).inspect_err(|_| task.abandon())?;
            detached = task.attach(client).then_some(name);
        }
        self.tasks.push(task);
        Ok((self.tasks.last().expect("a task was pushed"), detached))
    }

    /// Finds init, or an exec.
    pub(crate) fn find(&mut self, exec_id: Option<&str>) -> Result<&mut Task> {
        self.tasks
            .iter_mut()
            .find(|task| task.identity.exec_id.as_deref() == exec_id)
            .ok_or_else(|| Error::NoExec(exec_id.unwrap_or("init").to_owned()))
    }

    /// Kills everything in the cgroup.
    pub(crate) fn kill_all(&self) -> Result<()> {
        Ok(self.runtime.cgroup().kill()?)
    }

    /// Stops or continues everything in the cgroup.
    pub(crate) fn freeze(&mut self, frozen: bool) -> Result<()> {
        self.runtime.cgroup().freeze(frozen)?;
        if let Some(monitor) = &mut self.monitor
            && self.probe.is_none()
        {
            // Who is frozen cannot answer.
            if frozen {
                monitor.rest();
            } else {
                monitor.wait(Instant::now());
            }
        }
        self.is_frozen = frozen;
        Ok(())
    }

    /// Returns another descriptor of the root directory.
    pub(crate) fn open_root(&self) -> Result<OwnedFd> {
        Ok(sys::fd::duplicate(self.runtime.root())?)
    }

    /// Takes the news of the watch; tells whether the kernel killed.
    pub(crate) fn oom_news(&mut self, now: Instant) -> bool {
        let Some(watch) = &mut self.oom else {
            return false;
        };
        match watch.take() {
            Ok(OomNews::OutOfMemory) => {
                // v1 wakes before it kills, and more than once for one kill.
                self.oom_look_at = Some(now + OOM_DELAY);
                self.oom_kill_is_new()
            }
            Ok(OomNews::Nothing) => false,
            // It would wake for ever.
            Ok(OomNews::Gone) | Err(_) => {
                self.oom = None;
                false
            }
        }
    }

    /// Looks again some time after the news; tells whether the kernel killed meanwhile.
    pub(crate) fn oom_second_look(&mut self, now: Instant) -> bool {
        self.oom_look_at.take_if(|at| *at <= now).is_some() && self.oom_kill_is_new()
    }

    /// When the loop must look again even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let next = self.monitor.as_ref().and_then(Monitor::next);
        let probe = self.probe.as_ref().and_then(Running::deadline);
        self.oom_look_at.into_iter().chain(next).chain(probe).min()
    }

    /// Tells whether the kernel killed for memory since this was asked last.
    pub(crate) fn oom_kill_is_new(&mut self) -> bool {
        let kills = self.oom_kills();
        let is_new = kills > self.oom_told;
        self.oom_told = kills;
        is_new
    }

    fn oom_kills(&self) -> u64 {
        self.runtime.cgroup().oom_kills().unwrap_or(0)
    }

    /// Makes init's end durable and ends what is left of the container; only then may anybody be
    /// told.
    pub(crate) fn record_exit(&mut self, ended: Ended) -> Exit {
        self.init().finish();
        let exit = Exit {
            code: ended.code,
            oom: self.oom_kills() > 0,
            finished_ns: ended.time_ns,
        };
        let write = if self.is_volatile {
            sys::durable::replace_volatile
        } else {
            sys::durable::replace
        };
        // With a broken disk the connected daemon still hears of it.
        let _told_anyway = write(&self.dir.join(EXIT_RECORD), &bytes_of(exit), 0o600);
        self.note("die", exit.code, exit.finished_ns);
        let _tried_again_by_destroy = self.runtime.cgroup().kill();
        self.phase = Phase::Stopped;
        self.exit = Some(exit);
        if let Some(monitor) = &mut self.monitor {
            monitor.rest();
        }
        exit
    }

    /// Says how it is.
    pub(crate) fn status(&self) -> Status {
        let init = self.tasks.first();
        let execs = self
            .tasks
            .iter()
            .filter_map(|task| task.identity.exec_id.clone());
        Status {
            id: self.id.clone(),
            version: VERSION,
            pid: init.map_or(0, |init| init.pid),
            start_time: init.map_or(0, |init| init.start_time),
            phase: self.phase,
            exit: self.exit,
            execs: execs.collect(),
            restarts: self.generation,
            started_ns: self.started_ns,
            health: self
                .monitor
                .as_ref()
                .map(|monitor| Box::new(monitor.state().clone())),
        }
    }

    /// Removes cgroup and socket; kills what still runs. The tasks' clients are returned with them.
    pub(crate) fn destroy(self) -> (Vec<Task>, Result<()>) {
        let destroyed = self.runtime.destroy();
        drop(self.socket);
        let tasks = self.tasks.into_iter();
        let probe = self.probe.map(|probe| probe.task);
        (tasks.chain(probe).collect(), destroyed.map_err(Error::from))
    }
}

/// Makes an end durable once more: the next life that took its record away did not begin.
pub(crate) fn record_again(dir: &Path, exit: Exit) {
    // With a broken disk the connected daemon still hears of it.
    let _told_anyway = sys::durable::replace(&dir.join(EXIT_RECORD), &bytes_of(exit), 0o600);
}

fn bytes_of(exit: Exit) -> Vec<u8> {
    serde_json::to_vec(&exit).expect("a flat record has no failing serializer")
}

/// Watches for kills for memory where they can be: in a container with a limit. Without the watch
/// they are found at its end.
fn watch_oom(spec: &Spec, runtime: &runtime::Container, poll: &Poll) -> Option<OomWatch> {
    let resources = spec.linux.as_ref()?.resources.as_ref()?;
    resources
        .memory
        .as_ref()?
        .limit
        .filter(|limit| *limit > 0)?;
    let watch = runtime.cgroup().watch_oom().ok()??;
    poll.add(watch.as_fd(), Token::Oom.encode(), watch.interest())
        .ok()?;
    Some(watch)
}

/// Says how a shim without a container is.
pub(crate) const fn empty_status() -> Status {
    Status {
        id: String::new(),
        version: VERSION,
        pid: 0,
        start_time: 0,
        phase: Phase::Empty,
        exit: None,
        execs: Vec::new(),
        restarts: 0,
        started_ns: 0,
        health: None,
    }
}

fn open_log(dir: &Path, create: &Create) -> Result<Option<Writer>> {
    match create.log {
        Log::None => Ok(None),
        Log::JsonFile { max_size, max_file } => {
            let path = dir.join(log_name(&create.id));
            Ok(Some(Writer::open(&path, Limits { max_size, max_file })?))
        }
    }
}

fn listen(path: &Path, poll: &Rc<Poll>) -> Result<(SocketPath, Watched)> {
    // What an earlier life of this container left; its shim is gone.
    let _usually_absent = std::fs::remove_file(path);
    let failed = |error| Error::file(path, error);
    let fd = sys::socket::listen(Kind::SeqPacket, path, BACKLOG).map_err(failed)?;
    let socket = SocketPath(path.to_owned());
    let mut listener = Watched::new(fd, Token::Listener, poll)?;
    listener.watch(Some(Interest::Read))?;
    Ok((socket, listener))
}
