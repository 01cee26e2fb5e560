//! What can go wrong, in the words that Docker's users and its exit codes know.

use types::ErrorKind;

use crate::handshake::Step;
use crate::plan::process::{ProcessPlan, Program};
use crate::plan::{Invalid, Plan};

/// A container failure. The text is runc's where Docker's exit codes depend on it
/// (`exec: "nosuch": executable file not found in $PATH`).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A container could not be made.
    #[error("failed to create shim task: OCI runtime create failed: runc create failed: {0}")]
    Create(Failure),
    /// An additional process could not be started.
    #[error("OCI runtime exec failed: exec failed: {0}")]
    Exec(Failure),
    /// A container could not be let run.
    #[error("OCI runtime start failed: {0}")]
    Start(Failure),
    /// Something of a container could not be removed.
    #[error("container {id} is not wholly removed: {}", chain(cause))]
    Destroy {
        /// Which.
        id: String,
        /// Why.
        cause: cgroup::Error,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why it failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// config.json cannot be obeyed.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The caller has several threads.
    #[error("the caller is not a process with one thread: {0}")]
    Threads(sys::Error),
    /// The control group.
    #[error("unable to start container process: unable to apply cgroup configuration: {}", chain(.0))]
    Cgroup(cgroup::Error),
    /// No hierarchy has the container's group.
    #[error("unable to start container process: no cgroup is mounted here")]
    NoCgroup,
    /// Something of the host.
    #[error("unable to start container process: error during container init: {what}: {source}")]
    Host {
        /// What was done to what.
        what: String,
        /// The call.
        source: sys::Error,
    },
    /// A step of init.
    #[error("unable to start container process: error during container init: {what}: {source}")]
    Init {
        /// What was done to what.
        what: String,
        /// The errno's words, or the call's and the errno's.
        source: Reason,
    },
    /// The program is not there, or not to be run.
    #[error("unable to start container process: exec: {name:?}: {reason}")]
    Program {
        /// As it was given.
        name: String,
        /// Go's words.
        reason: String,
    },
    /// The working directory.
    #[error(
        "unable to start container process: chdir to cwd ({dir:?}) set in config.json failed: {words}"
    )]
    Cwd {
        /// Which.
        dir: String,
        /// Why.
        words: String,
    },
    /// A hook in the runtime's namespaces.
    #[error("unable to start container process: error during container init: {0}")]
    Hook(String),
    /// Init ended without a word.
    #[error("unable to start container process: error during container init: {0}")]
    Died(String),
    /// Init said nothing.
    #[error("unable to start container process: no word from container init in {0:?}")]
    Silent(std::time::Duration),
    /// It is frozen, and what joins it would freeze too.
    #[error("cannot exec in a paused container (use --ignore-paused to override)")]
    Paused,
    /// It cannot be joined.
    #[error("cannot exec in a stopped container")]
    Stopped,
    /// It was started before.
    #[error("cannot start an already running container")]
    Running,
}

/// What init said of a failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {}", sys::errno_text(*errno))]
pub struct Reason {
    /// The call.
    pub call: String,
    /// The errno.
    pub errno: sys::Errno,
}

impl From<cgroup::Error> for Failure {
    fn from(error: cgroup::Error) -> Self {
        Self::Cgroup(error)
    }
}

/// A whole chain of causes: this text is the only thing that leaves the process.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Passes over a result on a way where nobody could act on its failure.
pub(crate) fn unheard<T, E>(_result: Result<T, E>) {}

impl Error {
    /// Returns the kind that decides a face's status.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Create(failure) | Self::Exec(failure) | Self::Start(failure) => failure.kind(),
            Self::Destroy { .. } => ErrorKind::Internal,
        }
    }
}

impl Failure {
    /// Adds to a kernel error what was done.
    pub(crate) fn host(what: impl FnOnce() -> String) -> impl FnOnce(sys::Error) -> Self {
        |source| Self::Host {
            what: what(),
            source,
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Program { .. } | Self::Cwd { .. } => {
                ErrorKind::InvalidArgument
            }
            Self::Stopped | Self::Paused | Self::Running => ErrorKind::Conflict,
            Self::Threads(_)
            | Self::Cgroup(_)
            | Self::NoCgroup
            | Self::Host { .. }
            | Self::Init { .. }
            | Self::Died(_)
            | Self::Hook(_)
            | Self::Silent(_) => ErrorKind::Internal,
        }
    }

    /// Puts what init of a container said into words.
    pub(crate) fn of_init(plan: &Plan, step: Step, item: usize, reason: Reason) -> Self {
        let what = match step {
            // runc says the call and no more.
            Step::Hostname => {
                return Self::Died(reason.to_string());
            }
            Step::Join => plan.namespaces.join.get(item).map_or_else(
                || "join the network namespace".to_owned(),
                |(_, path)| format!("join namespace {path:?}"),
            ),
            Step::Mount => plan.mounts.get(item).map_or_else(
                || "mount".to_owned(),
                |step| {
                    format!(
                        "error mounting {:?} to rootfs at {:?}",
                        step.source, step.target.name
                    )
                },
            ),
            Step::Node => plan.nodes.get(item).map_or_else(
                || "error creating device nodes".to_owned(),
                |step| format!("error creating device node {:?}", step.target.name),
            ),
            Step::Sysctl => match plan.sysctls.get(item) {
                Some(sysctl) => format!("write sysctl key {}", sysctl.name),
                None => "open procfs".to_owned(),
            },
            Step::Hook => {
                return Self::Died(format!(
                    "error running createContainer hook #{item}: it failed, as it said on stderr"
                ));
            }
            Step::Masked => path("can't mask path", plan.masked.get(item)),
            Step::Readonly => path("can't make read-only path", plan.readonly.get(item)),
            step => return Self::of_process(&plan.process, step, item, reason),
        };
        Self::Init {
            what,
            source: reason,
        }
    }

    /// Puts what init of any process said into words.
    pub(crate) fn of_process(
        process: &ProcessPlan,
        step: Step,
        item: usize,
        reason: Reason,
    ) -> Self {
        let what = match step {
            Step::Program => return program(process, &reason),
            Step::Cwd => {
                let dir = process.cwd.name.clone();
                return Self::Cwd {
                    dir,
                    words: sys::errno_text(reason.errno),
                };
            }
            Step::Limit => match process.limits.get(item) {
                Some(limit) => format!("error setting rlimit type {}", limit.resource),
                None => "error setting rlimits".to_owned(),
            },
            Step::Seccomp => "unable to init seccomp".to_owned(),
            Step::Capabilities => "unable to apply caps".to_owned(),
            Step::User => "unable to set the user".to_owned(),
            Step::Label if item == 1 => "unable to apply selinux label".to_owned(),
            Step::Label => "unable to apply apparmor profile".to_owned(),
            Step::Schedule => {
                let words = ["scheduler", "ioPriority", "personality", "execCPUAffinity"];
                format!("error setting {}", words.get(item).unwrap_or(&"schedule"))
            }
            Step::OomScore => "unable to set oom_score_adj".to_owned(),
            step => format!("{step:?} {item}").to_lowercase(),
        };
        Self::Init {
            what,
            source: reason,
        }
    }
}

fn path(what: &str, path: Option<&std::ffi::CString>) -> String {
    format!(
        "{what} {}",
        path.map(|path| path.to_string_lossy()).unwrap_or_default()
    )
}

/// The words of Go's exec.LookPath, on which Docker's 126 and 127 depend.
fn program(process: &ProcessPlan, reason: &Reason) -> Failure {
    let name = process
        .args
        .as_slice()
        .first()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let words = sys::errno_text(reason.errno);
    let reason = match process.program {
        Program::Search(_) if reason.errno != sys::Errno::NOENT => {
            format!("{}: {words}", reason.call)
        }
        Program::Search(_) => "executable file not found in $PATH".to_owned(),
        Program::Path(_) if reason.call == "stat" => format!("stat {name}: {words}"),
        Program::Path(_) => words,
    };
    Failure::Program { name, reason }
}
