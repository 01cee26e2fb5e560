//! `stop`, `kill`, `restart`, `pause`: how a container is made to end, or to hold still.

use std::sync::Arc;
use std::time::Duration;

use shim::protocol::Request;

use super::cell::Cell;
use super::state::{State, Status};
use crate::Engine;
use crate::error::{Error, Result};

/// How long `stop` waits before it kills, in seconds (Docker's default).
const STOP_TIMEOUT_S: i64 = 10;
/// How long a killed container may take to end before we say that it does not.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// What the kernel says of a process that ended (ESRCH).
const NO_PROCESS: &str = "no such process";
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

impl Engine {
    /// Stops a container: its stop signal, and after `timeout_s` seconds SIGKILL (negative: never).
    pub async fn stop(
        &self,
        typed: &str,
        signal: Option<&str>,
        timeout_s: Option<i64>,
    ) -> Result<()> {
        let cell = self.find(typed)?;
        let signal = signal
            .filter(|signal| !signal.is_empty())
            .map(|signal| {
                types::signal::parse(signal).map_err(|_| {
                    let sentence =
                        format!("cannot stop container: {typed}: invalid signal: {signal}");
                    Error::new(types::ErrorKind::Internal, sentence)
                })
            })
            .transpose()?;
        let _verb = cell.verb.lock().await;
        if !cell.state().status.is_running() {
            return Err(Error::not_modified());
        }
        self.stop_locked(&cell, signal, timeout_s).await?;
        self.container_event(&cell, "stop", &[]);
        Ok(())
    }

    pub(crate) async fn stop_locked(
        &self,
        cell: &Arc<Cell>,
        signal: Option<i32>,
        timeout_s: Option<i64>,
    ) -> Result<()> {
        let record = cell.record();
        let signal = signal
            .or_else(|| types::signal::parse(&record.config.stop_signal).ok())
            .unwrap_or(SIGTERM);
        let wished = timeout_s.or(record.config.stop_timeout_s);
        let timeout_s = wished.unwrap_or(STOP_TIMEOUT_S);
        if cell.state().status == Status::Paused {
            self.freeze(cell, false).await?;
        }
        self.hold(cell).await?;
        let is_deaf = wished.is_none() && is_deaf(cell.state().pid, signal);
        self.signal(cell, signal).await?;
        if is_deaf {
            // Docker waits ten seconds for nothing.
            tracing::info!(id = %cell.id, signal, "process 1 has no handler for it: killed at once");
            return self.kill_locked(cell).await;
        }
        let patience = u64::try_from(timeout_s).map_or(Duration::MAX, Duration::from_secs);
        if self.ends_within(cell, patience).await {
            return Ok(());
        }
        self.kill_locked(cell).await
    }

    /// SIGKILL to everything, and the wait for the end.
    pub(crate) async fn kill_locked(&self, cell: &Arc<Cell>) -> Result<()> {
        self.signal(cell, SIGKILL).await?;
        if self.ends_within(cell, KILL_PATIENCE).await {
            return Ok(());
        }
        Err(Error::new(
            types::ErrorKind::Internal,
            format!(
                "cannot stop container: {}: it did not end {} s after SIGKILL; a process in \
                 uninterruptible sleep holds it (see /proc/{}/stack)",
                cell.id,
                KILL_PATIENCE.as_secs(),
                cell.state().pid
            ),
        ))
    }

    async fn ends_within(&self, cell: &Arc<Cell>, patience: Duration) -> bool {
        let mut states = cell.watch();
        let ended = states.wait_for(|state: &State| state.removed || !state.status.is_running());
        tokio::time::timeout(patience, ended).await.is_ok()
    }

    async fn signal(&self, cell: &Arc<Cell>, signal: i32) -> Result<()> {
        // The exit code is written when it ends.
        self.make_room();
        if matches!(cell.state().status, Status::Restarting | Status::Exited) {
            // There is no process; that its rule rests is enough.
            return Ok(());
        }
        let number = signal.to_string();
        self.container_event(cell, "kill", &[("signal", number.as_str())]);
        let Some(shim) = cell.shim() else {
            return Ok(());
        };
        match shim
            .ask(
                Request::Signal {
                    signal,
                    exec_id: None,
                },
                &[],
            )
            .await
        {
            // It ended this moment, and the news is on its way.
            Err(error) if error.to_string().contains(NO_PROCESS) => Ok(()),
            Err(_) if !cell.state().status.is_running() => Ok(()),
            other => other,
        }
    }

    /// Sends a signal to process 1 (`SIGKILL` when none is named).
    pub async fn kill(&self, typed: &str, signal: Option<&str>) -> Result<()> {
        let cell = self.find(typed).map_err(|error| {
            let sentence = format!("cannot kill container: {typed}: {error}");
            Error::caused(error.kind(), sentence, error)
        })?;
        let signal = match signal.filter(|signal| !signal.is_empty()) {
            None => SIGKILL,
            Some(text) => types::signal::parse(text).map_err(|_| {
                Error::invalid(format!(
                    "cannot kill container: {typed}: invalid signal: {text}"
                ))
            })?,
        };
        if !cell.state().status.is_running() {
            // It may be starting, and its first words be out: the signal is not lost.
            drop(cell.verb.lock().await);
        }
        if !cell.state().status.is_running() {
            return Err(Error::conflict(format!(
                "cannot kill container: {typed}: container {} is not running",
                cell.id
            )));
        }
        let record = cell.record();
        let own = &record.config.stop_signal;
        // As moby: a signal that may be meant to end it for good.
        if signal == SIGKILL || own.is_empty() || types::signal::parse(own).ok() == Some(signal) {
            self.hold(&cell).await?;
        }
        if signal == SIGKILL {
            if cell.state().status == Status::Paused {
                self.freeze(&cell, false).await?;
            }
            return self.kill_locked(&cell).await;
        }
        self.signal(&cell, signal).await
    }

    /// Stops a container if it runs, and starts it.
    pub async fn restart(
        &self,
        typed: &str,
        signal: Option<&str>,
        timeout_s: Option<i64>,
    ) -> Result<()> {
        let cell = self.find(typed)?;
        match self.stop(typed, signal, timeout_s).await {
            Err(error) if error.kind() != types::ErrorKind::NotModified => return Err(error),
            _ => {}
        }
        self.start(&cell.id.to_string()).await?;
        self.container_event(&cell, "restart", &[]);
        Ok(())
    }

    /// Freezes a container.
    pub async fn pause(&self, typed: &str) -> Result<()> {
        let cell = self.find(typed)?;
        let _verb = cell.verb.lock().await;
        match cell.state().status {
            Status::Running => {}
            Status::Paused => {
                return Err(Error::conflict(format!(
                    "Container {} is already paused",
                    cell.id
                )));
            }
            Status::Restarting => return Err(is_restarting(typed)),
            _ => {
                return Err(Error::conflict(format!(
                    "container {} is not running",
                    cell.id
                )));
            }
        }
        self.freeze(&cell, true).await?;
        self.container_event(&cell, "pause", &[]);
        Ok(())
    }

    /// Lets a frozen container go on.
    pub async fn unpause(&self, typed: &str) -> Result<()> {
        let cell = self.find(typed)?;
        let _verb = cell.verb.lock().await;
        if cell.state().status != Status::Paused {
            let sentence = format!("Container {} is not paused", cell.id);
            return Err(Error::new(types::ErrorKind::Internal, sentence));
        }
        self.freeze(&cell, false).await?;
        self.container_event(&cell, "unpause", &[]);
        Ok(())
    }

    async fn freeze(&self, cell: &Arc<Cell>, frozen: bool) -> Result<()> {
        let shim = cell.running_shim()?;
        shim.ask(Request::Freeze { frozen }, &[]).await?;
        let status = if frozen {
            Status::Paused
        } else {
            Status::Running
        };
        let state = cell.state().with_status(status);
        self.save_state(cell.id, state.clone()).await?;
        cell.set_state(state);
        Ok(())
    }
}

/// Tells whether the kernel drops a signal to a process: the first one of its pid namespace gets only
/// those that it handles, or has blocked to fetch them itself (pid_namespaces(7)).
fn is_deaf(pid: i32, signal: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .is_ok_and(|status| drops(&status, signal))
}

/// As [`is_deaf`], from the text of /proc/PID/status.
fn drops(status: &str, signal: i32) -> bool {
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let is_first = field("NSpid").is_some_and(|pids| {
        let mut pids = pids.split_whitespace();
        pids.clone().count() > 1 && pids.next_back() == Some("1")
    });
    let heard = ["SigCgt", "SigBlk", "SigIgn"].iter().any(|name| {
        let mask = field(name).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // What cannot be read may be heard.
        let bit = u32::try_from(signal - 1)
            .ok()
            .and_then(|bit| 1_u64.checked_shl(bit));
        mask.zip(bit).is_none_or(|(mask, bit)| mask & bit != 0)
    });
    is_first && !heard
}

/// What Docker says of a container that waits for its restart.
pub(crate) fn is_restarting(typed: &str) -> Error {
    Error::conflict(format!(
        "Container {} is restarting, wait until the container is running",
        typed.trim_start_matches('/')
    ))
}

#[cfg(test)]
mod tests {
    use super::drops;

    #[test]
    fn who_does_not_hear() {
        let status = |pids: &str, caught: &str, blocked: &str, ignored: &str| {
            format!(
                "Name:\tsh\nNSpid:\t{pids}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n"
            )
        };
        let (none, term) = ("0000000000000000", "0000000000004000");
        for (pids, caught, blocked, ignored, deaf) in [
            ("812\t1", none, none, none, true),
            ("812\t1", term, none, none, false),
            ("812\t1", none, term, none, false),
            // One that ignores it on purpose may end by itself.
            ("812\t1", none, none, term, false),
            ("812\t7", none, none, none, false),
            ("812", none, none, none, false),
            // The first process of the machine.
            ("1", none, none, none, false),
        ] {
            let text = status(pids, caught, blocked, ignored);
            assert_eq!(drops(&text, 15), deaf, "{text}");
        }
        assert!(!drops("", 15));
    }
}
