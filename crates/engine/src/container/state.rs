//! Pure: the states of a container and what may be done in them.

use serde::{Deserialize, Serialize};
use shim::protocol::{Feeling, HealthState};

/// Docker's states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never started, or the start failed.
    Created,
    /// Runs.
    Running,
    /// Runs, but frozen.
    Paused,
    /// Ended.
    Exited,
    /// Is being removed.
    Removing,
    /// Ended, and is started again in a moment.
    Restarting,
}

impl Status {
    /// Returns Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Removing => "removing",
            Self::Restarting => "restarting",
        }
    }

    /// Tells whether there is a process, or will be in a moment.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// The hot record of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which state.
    pub status: Status,
    /// Host pid of process 1, 0 when there is none.
    pub pid: i32,
    /// Field 22 of its /proc/PID/stat.
    pub start_time: u64,
    /// Of the last run.
    pub exit_code: i32,
    /// The kernel killed the last run for memory.
    pub oom_killed: bool,
    /// Why the last start failed.
    pub error: String,
    /// When the last run began, in nanoseconds since 1970.
    pub started_ns: Option<i64>,
    /// When the last run ended.
    pub finished_ns: Option<i64>,
    /// How often it ended; what `next-exit` waits for.
    pub exits: u64,
    /// How often it was started again by its rule since its user started it.
    #[serde(default)]
    pub restarts: u32,
    /// Its user stopped it.
    #[serde(default)]
    pub stopped: bool,
    /// How it feels, if it is asked.
    #[serde(default)]
    pub health: Option<HealthState>,
    /// It is gone. Never on disk.
    #[serde(skip)]
    pub removed: bool,
}

impl State {
    /// Returns the state of a container that never ran.
    pub fn created() -> Self {
        Self {
            status: Status::Created,
            pid: 0,
            start_time: 0,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            started_ns: None,
            finished_ns: None,
            exits: 0,
            restarts: 0,
            stopped: false,
            health: None,
            removed: false,
        }
    }

    pub(crate) fn running(&self, pid: i32, start_time: u64, now_ns: i64) -> Self {
        Self {
            status: Status::Running,
            pid,
            start_time,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            started_ns: Some(now_ns),
            restarts: 0,
            stopped: false,
            health: self.health.as_ref().map(asked_anew),
            ..self.clone()
        }
    }

    /// It ended, and is started again in a moment.
    pub(crate) fn restarting(&self, exit: shim::protocol::Exit, restarts: u32) -> Self {
        Self {
            status: Status::Restarting,
            restarts,
            ..self.exited(exit)
        }
    }

    /// Its rule started it again.
    pub(crate) fn restarted(&self, pid: i32, start_time: u64, started_ns: i64) -> Self {
        Self {
            restarts: self.restarts,
            stopped: self.stopped,
            exit_code: self.exit_code,
            ..self.running(pid, start_time, started_ns)
        }
    }

    pub(crate) fn exited(&self, exit: shim::protocol::Exit) -> Self {
        Self {
            status: Status::Exited,
            pid: 0,
            start_time: 0,
            exit_code: exit.code,
            oom_killed: exit.oom,
            finished_ns: Some(exit.finished_ns),
            exits: self.exits + 1,
            ..self.clone()
        }
    }

    pub(crate) fn start_failed(&self, code: i32, error: &str) -> Self {
        Self {
            status: if self.started_ns.is_some() {
                Status::Exited
            } else {
                Status::Created
            },
            pid: 0,
            start_time: 0,
            exit_code: code,
            error: error.to_owned(),
            ..self.clone()
        }
    }

    pub(crate) fn with_status(&self, status: Status) -> Self {
        Self {
            status,
            ..self.clone()
        }
    }
}

/// A new life: what earlier ones answered is still told.
fn asked_anew(health: &HealthState) -> HealthState {
    HealthState {
        feeling: Feeling::Starting,
        failing_streak: 0,
        log: health.log.clone(),
    }
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCondition {
    /// It does not run (Docker's default).
    NotRunning,
    /// It ends once more.
    NextExit,
    /// It is gone.
    Removed,
}

impl WaitCondition {
    /// Tells whether `state` ends a wait that began when `exits` was the count.
    pub(crate) fn holds(self, state: &State, exits: u64) -> bool {
        state.removed
            || match self {
                Self::NotRunning => !state.status.is_running() || state.exits > exits,
                Self::NextExit => state.exits > exits,
                Self::Removed => false,
            }
    }
}

/// The exit code that Docker gives a container whose start failed, by the text of the failure, and
/// what it appends to the text (API reference §3).
pub fn start_failure(message: &str) -> (i32, &'static str) {
    let text = message.to_lowercase();
    let has = |words: &str| text.contains(words);
    if has("permission denied") {
        (126, "")
    } else if has("is a directory") {
        (126, ": permission denied")
    } else if has("not a directory") {
        let hint = ": Are you trying to mount a directory onto a file (or vice-versa)? Check if \
                    the specified host path exists and is the expected type";
        (
            127,
            if has("are you trying to mount a directory") {
                ""
            } else {
                hint
            },
        )
    } else if has("executable file not found")
        || has("no such file or directory")
        || has("system cannot find the file specified")
        || has("failed to run runc create/exec call")
    {
        (127, "")
    } else {
        (128, "")
    }
}

#[cfg(test)]
mod tests {
    use super::WaitCondition::{NextExit, NotRunning, Removed};
    use super::*;

    #[test]
    fn failures_become_exit_codes() {
        for (text, code) in [
            ("exec: \"x\": executable file not found in $PATH", 127),
            ("exec: \"/etc/plain\": permission denied", 126),
            ("exec: \"/etc\": is a directory", 126),
            (
                "exec: \"/nosuch\": stat /nosuch: no such file or directory",
                127,
            ),
            ("something else", 128),
        ] {
            assert_eq!(start_failure(text).0, code, "{text}");
        }
    }

    #[test]
    fn waits_end_when_they_should() {
        let created = State::created();
        let running = created.running(1, 1, 1);
        let exit = shim::protocol::Exit {
            code: 7,
            oom: false,
            finished_ns: 2,
        };
        let exited = running.exited(exit);
        let gone = State {
            removed: true,
            ..exited.clone()
        };
        for (condition, state, holds) in [
            (NotRunning, &created, true),
            (NotRunning, &running, false),
            (NotRunning, &exited, true),
            (NextExit, &created, false),
            (NextExit, &exited, true),
            (Removed, &exited, false),
            (Removed, &gone, true),
        ] {
            assert_eq!(condition.holds(state, 0), holds, "{condition:?} {state:?}");
        }
        assert!(!NextExit.holds(&exited, 1));
    }
}
