//! `exec`: another process in a running container.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use shim::protocol::{self, Attach, Reply, Request};
use tokio::sync::watch;
use types::ContainerId;
use types::oci::runtime::Process;

use super::cell::Cell;
use super::record::{Host, Record};
use super::spec;
use super::state::{Status, start_failure};
use crate::error::{Error, Result};
use crate::{Engine, blocking};

/// What to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecConfig {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `NAME=value` beside the container's.
    pub env: Vec<String>,
    /// `uid[:gid]` or names; empty: the container's.
    pub user: String,
    /// Where it starts; empty: where the container started.
    pub working_dir: String,
    /// Give it a terminal.
    pub tty: bool,
    /// All capabilities.
    pub privileged: bool,
    /// The client's bytes go to stdin.
    pub attach_stdin: bool,
    /// stdout goes to the client.
    pub attach_stdout: bool,
    /// stderr goes to the client.
    pub attach_stderr: bool,
    /// Key sequence that detaches, as it was given.
    pub detach_keys: String,
    /// Size of the terminal at the start: columns, rows.
    pub console_size: Option<(u16, u16)>,
}

/// An additional process of a container.
#[derive(Debug)]
pub struct Exec {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// Its container.
    pub container: ContainerId,
    /// What it runs.
    pub config: ExecConfig,
    state: watch::Sender<ExecState>,
}

/// How an exec is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecState {
    /// Start was called.
    pub started: bool,
    /// It runs.
    pub running: bool,
    /// Host pid, 0 before the start.
    pub pid: i32,
    /// Its end.
    pub exit_code: Option<i32>,
}

impl Exec {
    /// Returns how it is.
    pub fn state(&self) -> ExecState {
        *self.state.borrow()
    }

    fn change(&self, change: impl FnOnce(&mut ExecState)) {
        self.state.send_modify(change);
    }
}

/// Execs kept per container after they ended; dockerd keeps them a while too.
const KEPT: usize = 64;
/// How long the news of an exec's end may be on its way.
const NEWS_LIMIT: Duration = Duration::from_secs(5);

impl Engine {
    /// Makes an exec instance; nothing runs yet.
    pub fn exec_create(&self, typed: &str, config: ExecConfig) -> Result<String> {
        let cell = self.find(typed)?;
        match cell.state().status {
            Status::Running => {}
            Status::Paused => {
                return Err(Error::conflict(format!(
                    "Container {} is paused, unpause the container before exec",
                    typed.trim_start_matches('/')
                )));
            }
            Status::Restarting => return Err(super::stop::is_restarting(typed)),
            _ => {
                return Err(Error::conflict(format!(
                    "container {} is not running",
                    cell.id
                )));
            }
        }
        if config.argv.is_empty() {
            return Err(Error::invalid("No exec command specified"));
        }
        let mut bytes = [0; 32];
        sys::random::fill(&mut bytes).map_err(|e| Error::internal("drawing an id", e))?;
        let id = types::ExecId::from_bytes(bytes).to_string();
        let exec = Arc::new(Exec {
            id: id.clone(),
            container: cell.id,
            config,
            state: watch::Sender::default(),
        });
        let action = format!("exec_create: {} ", command(&exec.config));
        {
            let mut execs = cell.execs.lock().unwrap_or_else(PoisonError::into_inner);
            if execs.len() >= KEPT {
                execs.retain(|_, exec| exec.state().exit_code.is_none());
            }
            execs.insert(id.clone(), exec);
        }
        self.container_event(&cell, &action, &[("execID", &id)]);
        Ok(id)
    }

    /// Finds an exec instance and whether it still runs, as its shim knows it this moment: a client
    /// asks for the exit code the instant its stream ends, and the news may still be on its way.
    pub async fn exec_inspect(&self, id: &str) -> Result<Arc<Exec>> {
        let (cell, exec) = self.find_exec(id)?;
        let mut states = exec.state.subscribe();
        let news = async {
            while states.borrow_and_update().running && !is_kept(&cell, id).await {
                if states.changed().await.is_err() {
                    break;
                }
            }
        };
        drop(tokio::time::timeout(NEWS_LIMIT, news).await);
        Ok(exec)
    }

    fn find_exec(&self, id: &str) -> Result<(Arc<Cell>, Arc<Exec>)> {
        self.cells(super::super::names::Cells::all)
            .into_iter()
            .find_map(|cell| {
                let exec = {
                    let execs = cell.execs.lock().unwrap_or_else(PoisonError::into_inner);
                    execs.get(id).cloned()
                };
                exec.map(|exec| (cell, exec))
            })
            .ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    /// Starts an exec instance, with its client's stream or detached.
    pub async fn exec_start(
        &self,
        id: &str,
        client: Option<(Attach, OwnedFd)>,
        console_size: Option<(u16, u16)>,
    ) -> Result<()> {
        let (cell, exec) = self.find_exec(id)?;
        Self::exec_startable(&exec, &cell)?;
        let shim = cell.running_shim()?;
        exec.change(|state| state.started = true);
        let engine = self.clone();
        let record = cell.record();
        let config = exec.config.clone();
        let process = blocking::run(move || engine.exec_process(&record, &config)).await;
        let action = format!("exec_start: {} ", command(&exec.config));
        self.container_event(&cell, &action, &[("execID", id)]);
        let (attach, stream) = client.unzip();
        let fds: Vec<_> = stream.iter().map(AsFd::as_fd).collect();
        let answer = match process {
            Ok(process) => {
                let request = protocol::Exec {
                    exec_id: id.to_owned(),
                    process,
                    attach,
                    console_size: console_size.or(exec.config.console_size),
                };
                // Before the request: the end may be told before the answer is read.
                exec.change(|state| state.running = true);
                shim.call(Request::Exec(Box::new(request)), &fds).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok((Reply::Process { pid, steps, .. }, _)) => {
                self.clock().note_told("exec", cell.id, &steps);
                exec.change(|state| state.pid = pid);
                Ok(())
            }
            Ok((other, _)) => Err(Error::new(
                types::ErrorKind::Internal,
                format!("shim answered {other:?} to exec"),
            )),
            Err(error) => {
                let message = error.to_string();
                let (code, _) = start_failure(&message);
                exec.change(|state| {
                    state.running = false;
                    state.exit_code = Some(code);
                });
                Err(Error::caused(
                    types::ErrorKind::InvalidArgument,
                    message,
                    error,
                ))
            }
        }
    }

    /// Checks that an exec instance may be started, before the face answers its client.
    pub fn exec_check(&self, id: &str) -> Result<Arc<Exec>> {
        let (cell, exec) = self.find_exec(id)?;
        Self::exec_startable(&exec, &cell)?;
        Ok(exec)
    }

    fn exec_startable(exec: &Exec, cell: &Cell) -> Result<()> {
        match cell.state().status {
            Status::Running => {}
            Status::Paused => {
                return Err(Error::conflict(format!("container {} is paused", cell.id)));
            }
            _ => {
                return Err(Error::conflict(format!(
                    "container {} is not running",
                    cell.id
                )));
            }
        }
        if exec.state().started {
            return Err(Error::conflict(format!(
                "exec command {} has already run",
                exec.id
            )));
        }
        Ok(())
    }

    pub(crate) fn exec_process(&self, record: &Record, config: &ExecConfig) -> Result<Process> {
        let view = self.meta().read()?;
        let root = self.images().mount(&view, &record.snapshot, false)?;
        let user = if config.user.is_empty() {
            &record.config.user
        } else {
            &config.user
        };
        let user = super::user::resolve(&root, user, &record.host.group_add)?;
        let host = Host {
            privileged: config.privileged || record.host.privileged,
            ..record.host.clone()
        };
        let mut own = record.config.clone();
        own.tty = config.tty;
        own.env.extend(config.env.iter().cloned());
        own.entrypoint = None;
        own.cmd = Some(config.argv.clone());
        if !config.working_dir.is_empty() {
            own.working_dir.clone_from(&config.working_dir);
        }
        let facts = spec::Facts {
            user: user.user,
            home: user.home,
            ..spec::Facts::default()
        };
        Ok(spec::process(&own, &host, &facts))
    }

    pub(crate) fn exec_ended(&self, cell: &Arc<Cell>, id: &str, code: i32) {
        let exec = {
            let execs = cell.execs.lock().unwrap_or_else(PoisonError::into_inner);
            execs.get(id).cloned()
        };
        if let Some(exec) = exec {
            exec.change(|state| {
                state.running = false;
                state.exit_code = Some(code);
            });
        }
        let code = code.to_string();
        self.container_event(cell, "exec_die", &[("execID", id), ("exitCode", &code)]);
    }

    /// Notes that execs ended without news: their shim is gone, and they with it.
    pub(crate) fn execs_died(&self, cell: &Arc<Cell>) {
        for id in cell.running_execs() {
            self.exec_ended(cell, &id, 137);
        }
    }

    /// Sets the size of an exec's terminal.
    pub async fn exec_resize(&self, id: &str, width: u16, height: u16) -> Result<()> {
        let (cell, exec) = self.find_exec(id)?;
        if !exec.state().running {
            return Err(Error::conflict(format!("exec {id} is not running")));
        }
        let shim = cell.running_shim()?;
        shim.ask(
            Request::Resize {
                exec_id: Some(id.to_owned()),
                width,
                height,
            },
            &[],
        )
        .await
    }
}

/// Asks the shim whether it keeps an exec.
async fn is_kept(cell: &Cell, id: &str) -> bool {
    let Some(shim) = cell.shim() else {
        return false;
    };
    match shim.call(Request::Hello, &[]).await {
        Ok((Reply::Hello(status), _)) => status.execs.iter().any(|kept| kept == id),
        _ => false,
    }
}

impl Cell {
    pub(crate) fn running_execs(&self) -> Vec<String> {
        let execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = execs
            .values()
            .filter(|exec| exec.state().running)
            .map(|exec| exec.id.clone())
            .collect();
        all.sort();
        all
    }
}

/// A command as exec events show it.
fn command(config: &ExecConfig) -> String {
    config.argv.join(" ")
}
