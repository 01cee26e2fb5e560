//! The loop: signals, daemons, tasks and their clients, one after the other.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use logs::Stream;
use sys::poll::{Event as Readiness, Interest, Poll, Signals};
use sys::poll::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGTERM};
use types::restart_policy::Rule;

use crate::client::Client;
use crate::container::{Container, empty_status};
use crate::daemon::{Daemon, Incoming};
use crate::error::{Error, Result};
use crate::protocol::{Create, Event, Exec, Health, Message, Phase, Reply, Request};
use crate::restart::Restarts;
use crate::task::Task;
use crate::token::Token;

/// Daemons at once: one, and its successor; the rest for people who look.
const DAEMONS_MAX: usize = 8;
/// How willingly the kernel kills us for memory: hardly, for a container ends with its keeper.
const OOM_SCORE_ADJ: i32 = -999;

/// After a request nothing else was asked for this long: the time to give memory back.
const REST_AFTER: Duration = Duration::from_secs(1);
/// So often in a row may a turn of the loop fail before the shim gives up.
const FAILURES_MAX: u32 = 200;
/// How long after a failure it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// The exit code of what SIGKILL ended.
const KILLED: i32 = 128 + SIGKILL;

/// Is the shim until there is nothing more to do.
pub(crate) fn serve(control: OwnedFd) -> Result<()> {
    settle_in();
    let poll = Rc::new(Poll::new()?);
    let signals = Signals::new(&[SIGCHLD, SIGTERM, SIGINT, SIGHUP])?;
    poll.add(signals.as_fd(), Token::Signals.encode(), Interest::Read)?;
    let daemon = Daemon::new(control, 0, &poll)?;
    let mut shim = Shim {
        poll,
        signals,
        daemons: BTreeMap::from([(0, daemon)]),
        container: None,
        leaving: Vec::new(),
        next_number: 1,
        deleted: false,
        health: None,
        rest_at: None,
        unreaped: false,
        restarts: Restarts::default(),
    };
    // A container ends with its keeper: only what never gets better may end this.
    let mut failures = 0;
    while !shim.is_done() {
        match shim.turn() {
            Ok(()) => failures = 0,
            Err(_) if failures < FAILURES_MAX => {
                failures += 1;
                std::thread::sleep(RETRY_AFTER);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes this process a keeper. Each is a protection that we can do without.
fn settle_in() {
    let _leader_already = sys::process::new_session();
    let _named_otherwise = sys::process::set_name(c"wharf-shim");
    let _orphans_go_to_init = sys::process::become_subreaper();
    let _no_right_to = sys::process::set_oom_score_adj(OOM_SCORE_ADJ);
    let _dumpable = sys::process::set_not_dumpable();
}

/// The shim.
pub(crate) struct Shim {
    pub(crate) poll: Rc<Poll>,
    signals: Signals,
    daemons: BTreeMap<u32, Daemon>,
    pub(crate) container: Option<Container>,
    pub(crate) restarts: Restarts,
    /// Tasks that are over; their clients still have bytes to take.
    leaving: Vec<Task>,
    next_number: u32,
    deleted: bool,
    /// The health check of a container that is not started yet.
    health: Option<Box<Health>>,
    /// When memory is given back, if nothing more is asked until then.
    rest_at: Option<Instant>,
    /// A child may have ended and was not collected.
    unreaped: bool,
}

/// What a request asks to be done behind its reply.
struct Answer {
    reply: Reply,
    fd: Option<OwnedFd>,
}

impl Answer {
    const fn plain(reply: Reply) -> Self {
        Self { reply, fd: None }
    }
}

impl Shim {
    /// Waits once and serves what happened.
    fn turn(&mut self) -> Result<()> {
        if self.unreaped {
            self.reap()?;
        }
        let timeout = self
            .deadline()
            .map(|at| at.saturating_duration_since(Instant::now()));
        for event in self.poll.wait(timeout)? {
            self.serve_event(event)?;
        }
        self.settle();
        Ok(())
    }

    fn tasks(&mut self) -> impl Iterator<Item = &mut Task> {
        let current = self.container.iter_mut().flat_map(|container| {
            let probe = container.probe.iter_mut().map(|probe| &mut probe.task);
            container.tasks.iter_mut().chain(probe)
        });
        current.chain(&mut self.leaving)
    }

    fn deadline(&mut self) -> Option<Instant> {
        let container = self.container.as_ref().and_then(Container::deadline);
        let tasks = self.tasks().filter_map(|task| task.deadline()).min();
        let others = [self.rest_at, self.restarts.due()];
        let others = others.into_iter().flatten();
        container.into_iter().chain(tasks).chain(others).min()
    }

    /// Nothing to keep and nobody who could give something.
    fn is_done(&self) -> bool {
        let busy = self.container.is_some() || !self.leaving.is_empty();
        !busy && (self.deleted || self.daemons.is_empty())
    }

    fn serve_event(&mut self, event: Readiness) -> Result<()> {
        match Token::decode(event.token) {
            Some(Token::Signals) => self.serve_signals()?,
            Some(Token::Listener) => self.accept(),
            Some(Token::Daemon(number)) => self.serve_daemon(number, event),
            Some(Token::Stdin(number)) => self.with_task(number, Task::on_stdin),
            Some(Token::Stdout(number)) => {
                self.with_task(number, |task| task.on_output(Stream::Stdout));
            }
            Some(Token::Stderr(number)) => {
                self.with_task(number, |task| task.on_output(Stream::Stderr));
            }
            Some(Token::Client(number)) => self.serve_client(number, event),
            Some(Token::Oom) => self.serve_oom(|container| container.oom_news(Instant::now())),
            None => {}
        }
        Ok(())
    }

    fn with_task(&mut self, number: u32, act: impl FnOnce(&mut Task)) {
        if let Some(task) = self.tasks().find(|task| task.identity.number == number) {
            act(task);
        }
    }

    fn serve_signals(&mut self) -> Result<()> {
        // Those other than SIGCHLD are not for us: who stops a service does not end containers.
        self.unreaped = true;
        while self.signals.read()?.is_some() {}
        self.reap()
    }

    fn reap(&mut self) -> Result<()> {
        while let Some((pid, status)) = sys::process::reap_any()? {
            if let Some(task) = self.tasks().find(|task| task.pid == pid) {
                task.end(status.code());
            }
        }
        self.unreaped = false;
        Ok(())
    }

    fn serve_oom(&mut self, look: impl FnOnce(&mut Container) -> bool) {
        if self.container.as_mut().is_some_and(look) {
            self.tell(&Event::Oom);
        }
    }

    fn accept(&mut self) {
        let Some(container) = &self.container else {
            return;
        };
        let Ok(socket) = sys::socket::accept(container.listener().as_fd()) else {
            return;
        };
        let is_root = sys::socket::peer(socket.as_fd()).is_ok_and(|peer| peer.uid == 0);
        if !is_root || self.daemons.len() >= DAEMONS_MAX {
            return;
        }
        let number = self.number();
        if let Ok(daemon) = Daemon::new(socket, number, &self.poll) {
            self.daemons.insert(number, daemon);
        }
    }

    /// Returns a number that no descriptor had before.
    pub(crate) fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number = number
            .checked_add(1)
            .expect("four billion execs of one container");
        number
    }

    fn serve_daemon(&mut self, number: u32, event: Readiness) {
        let Some(daemon) = self.daemons.get_mut(&number) else {
            return;
        };
        if event.writable && !daemon.flush() {
            self.daemons.remove(&number);
            return;
        }
        if !event.readable {
            return;
        }
        match daemon.receive() {
            Incoming::Nothing => {}
            Incoming::Gone => drop(self.daemons.remove(&number)),
            Incoming::Message(message, fds) => match *message {
                Message::Request(id, request) => self.serve_request(number, id, request, fds),
                // Shims say those, daemons do not.
                Message::Reply(..) | Message::Event(_) => drop(self.daemons.remove(&number)),
            },
        }
    }

    fn serve_request(&mut self, number: u32, id: u64, request: Request, fds: Vec<OwnedFd>) {
        self.rest_at = Some(Instant::now() + REST_AFTER);
        let answer = self.answer(request, fds).unwrap_or_else(|error| {
            Answer::plain(Reply::Failed {
                message: error.sentence(),
            })
        });
        let message = Message::Reply(id, answer.reply);
        if let Some(daemon) = self.daemons.get_mut(&number)
            && !daemon.send(&message, answer.fd)
        {
            self.daemons.remove(&number);
        }
        if self.deleted {
            self.daemons.clear();
        }
    }

    fn answer(&mut self, request: Request, fds: Vec<OwnedFd>) -> Result<Answer> {
        let mut fds = fds.into_iter();
        match request {
            Request::Hello => {
                let status = self
                    .container
                    .as_ref()
                    .map_or_else(empty_status, Container::status);
                return Ok(Answer::plain(Reply::Hello(Box::new(status))));
            }
            Request::Create(create) => return self.create(*create, fds.next()),
            Request::Exec(exec) => return self.exec(*exec, fds.next()),
            Request::OpenRoot => {
                let fd = Some(self.known()?.open_root()?);
                return Ok(Answer {
                    reply: Reply::Root,
                    fd,
                });
            }
            Request::Start => self.start()?,
            Request::Signal { signal, exec_id } => {
                self.known()?.find(exec_id.as_deref())?.signal(signal)?;
            }
            Request::KillAll => self.known()?.kill_all()?,
            Request::Freeze { frozen } => self.known()?.freeze(frozen)?,
            Request::Resize {
                exec_id,
                width,
                height,
            } => {
                self.known()?
                    .find(exec_id.as_deref())?
                    .resize(width, height)?;
            }
            Request::Attach(attach) => {
                let stream = fds.next().ok_or(Error::NoDescriptor)?;
                let number = self.number();
                let client = Client::new(stream, number, attach, &self.poll)?;
                let name = client.attach.client;
                if self.known()?.init().attach(client) {
                    self.tell(&Event::Detached {
                        client: name,
                        exec_id: None,
                    });
                }
            }
            Request::Hold => self.hold(),
            Request::SetRestart { rule, create } => self.restarts.follow(rule, create),
            Request::Delete => {
                self.discard();
                self.deleted = true;
            }
        }
        Ok(Answer::plain(Reply::Ok))
    }

    fn known(&mut self) -> Result<&mut Container> {
        self.container
            .as_mut()
            .ok_or(Error::State("there is no container yet"))
    }

    fn create(&mut self, create: Create, netns: Option<OwnedFd>) -> Result<Answer> {
        if self.container.is_some() {
            return Err(Error::State("there is a container already"));
        }
        let number = self.number();
        let netns = netns.filter(|_| create.has_netns);
        let fd = netns.as_ref().map(AsFd::as_fd);
        self.health.clone_from(&create.health);
        let kept = (create.restart != Rule::No).then(|| Box::new(create.clone()));
        let mut container = Container::create(create, fd, number, &self.poll)?;
        self.restarts = Restarts::new(kept, netns);
        let reply = process(container.init());
        self.container = Some(container);
        sys::memory::trim_heap();
        Ok(Answer::plain(reply))
    }

    fn start(&mut self) -> Result<()> {
        let health = self.health.take().map(|check| (*check, Vec::new()));
        let started = self.known()?.start(0, health);
        let failed = self.known()?.phase() == Phase::Created;
        if started.is_err() && failed {
            self.discard();
        }
        started
    }

    fn exec(&mut self, exec: Exec, stream: Option<OwnedFd>) -> Result<Answer> {
        let numbers = (self.number(), self.number());
        let poll = Rc::clone(&self.poll);
        let exec_id = Some(exec.exec_id.clone());
        let (task, detached) = self.known()?.exec(exec, stream, numbers, &poll)?;
        let reply = process(task);
        if let Some(client) = detached {
            self.tell(&Event::Detached { client, exec_id });
        }
        Ok(Answer::plain(reply))
    }

    /// Removes the container for good; its clients get what waits for them.
    fn discard(&mut self) {
        self.restarts = Restarts::default();
        self.let_go();
    }

    /// Removes what is left of this life; its clients get what waits for them.
    pub(crate) fn let_go(&mut self) {
        let Some(container) = self.container.take() else {
            return;
        };
        // What is left of a cgroup is swept by the daemon, which knows the names of all.
        let (tasks, _left_to_the_sweep) = container.destroy();
        for mut task in tasks {
            task.finish();
            // Before its client can know: that one asks for the code at once.
            if let Some(exec_id) = task.identity.exec_id.clone() {
                let code = task.code().unwrap_or(KILLED);
                self.tell(&Event::ExecExited { exec_id, code });
            }
            task.close_clients();
            self.leaving.push(task);
        }
    }

    fn serve_client(&mut self, number: u32, event: Readiness) {
        let serves = |task: &&mut Task| task.clients.iter().any(|client| client.number == number);
        let Some(task) = self.tasks().find(serves) else {
            return;
        };
        let exec_id = task.identity.exec_id.clone();
        let name = task
            .clients
            .iter()
            .find(|c| c.number == number)
            .map(|c| c.attach.client);
        if let (true, Some(client)) = (task.on_client(number, event), name) {
            self.tell(&Event::Detached { client, exec_id });
        }
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        let message = Message::Event(event.clone());
        self.daemons.retain(|_, daemon| daemon.send(&message, None));
    }

    /// Draws the conclusions of what happened, and watches for what is wanted next.
    fn settle(&mut self) {
        let now = Instant::now();
        if self.rest_at.take_if(|at| *at <= now).is_some() {
            sys::memory::rest();
        }
        self.serve_oom(|container| container.oom_second_look(now));
        self.finish_execs(now);
        self.finish_init(now);
        self.settle_health(now);
        self.settle_restart(now);
        // A container that was never started is nobody's without its daemon; of one that ended the
        // record is durable, and a daemon that comes reads it.
        let runs =
            |container: &Container| matches!(container.phase(), Phase::Running | Phase::Restarting);
        if self.daemons.is_empty() && !self.container.as_ref().is_some_and(runs) {
            self.discard();
        }
        for task in self.tasks() {
            task.settle(now);
        }
        self.leaving.retain(|task| !task.clients.is_empty());
    }

    fn finish_init(&mut self, now: Instant) {
        let Some(container) = &mut self.container else {
            return;
        };
        if matches!(container.phase(), Phase::Stopped | Phase::Restarting) {
            return;
        }
        let Some(ended) = container.init().finished(now) else {
            return;
        };
        let oom = container.oom_kill_is_new();
        let exit = container.record_exit(ended);
        if oom {
            self.tell(&Event::Oom);
        }
        self.conclude(exit, now);
        if let Some(container) = &mut self.container {
            container.init().close_clients();
        }
    }

    fn finish_execs(&mut self, now: Instant) {
        let Some(container) = &mut self.container else {
            return;
        };
        let over =
            |task: &mut Task| task.identity.exec_id.is_some() && task.finished(now).is_some();
        let ended: Vec<Task> = container.tasks.extract_if(.., over).collect();
        for mut task in ended {
            task.finish();
            if let (Some(exec_id), Some(ended)) =
                (task.identity.exec_id.clone(), task.finished(now))
            {
                self.tell(&Event::ExecExited {
                    exec_id,
                    code: ended.code,
                });
            }
            task.close_clients();
            self.leaving.push(task);
        }
    }
}

fn process(task: &Task) -> Reply {
    Reply::Process {
        pid: task.pid,
        start_time: task.start_time,
        steps: task
            .steps
            .iter()
            .map(|step| (step.name.to_owned(), step.end_us))
            .collect(),
    }
}
