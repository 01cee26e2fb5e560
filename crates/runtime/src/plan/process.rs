//! A `process` becomes ids, sets, limits, and the paths where its program may lie. No I/O here.

use std::cell::RefCell;
use std::ffi::CString;
use std::rc::Rc;

use sys::clone::Strings;
use sys::credentials::Capabilities;
use sys::sched::{Limit, Scheduling};
use sys::seccomp::Instruction;
use types::oci::runtime::{Process, Rlimit, Seccomp};

use super::mounts::Target;
use super::schedule;
use super::{Facts, Invalid, text};
use crate::seccomp;

/// Who the process is, and what it becomes.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    pub(crate) terminal: bool,
    /// See [`Facts`].
    pub(crate) is_alone: bool,
    /// See [`Facts`].
    pub(crate) kept_fds: u32,
    /// Columns, rows.
    pub(crate) console_size: Option<(u16, u16)>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) umask: u32,
    pub(crate) capabilities: CapabilityPlan,
    pub(crate) limits: Vec<Limit>,
    pub(crate) no_new_privs: bool,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) personality: Option<u32>,
    pub(crate) scheduling: Option<Scheduling>,
    /// Class and level.
    pub(crate) io_priority: Option<(u16, u16)>,
    /// Processors of an additional process: before it is in its cgroup, and at the end.
    pub(crate) affinity: [Vec<u64>; 2],
    pub(crate) filter: Option<Rc<Filter>>,
    /// Written to the process's own `attr/apparmor/exec`.
    pub(crate) apparmor: Option<CString>,
    /// Written to the process's own `attr/exec`.
    pub(crate) selinux: Option<CString>,
    pub(crate) cwd: Target,
    pub(crate) program: Program,
    pub(crate) args: Strings,
    pub(crate) env: Strings,
}

/// Sets of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CapabilityPlan {
    pub(crate) bounding: u64,
    pub(crate) sets: Capabilities,
    pub(crate) ambient: u64,
}

/// A compiled filter.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) program: Vec<Instruction>,
    pub(crate) flags: u32,
    /// Who hears of calls that ask.
    pub(crate) listener: Option<Listener>,
}

/// Who hears of calls that ask (`SCMP_ACT_NOTIFY`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) path: String,
    pub(crate) metadata: String,
}

/// Where the program may lie.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Its name has a slash: there or nowhere.
    Path(CString),
    /// In the first of these directories of `PATH` that has it.
    Search(Vec<CString>),
}

impl ProcessPlan {
    /// Decides everything about a process. The environment gets no `HOME` here: that takes a look
    /// into the container.
    pub(crate) fn new(
        process: &Process,
        filter: Option<Rc<Filter>>,
        facts: Facts,
    ) -> Result<Self, Invalid> {
        let name = process.args.first().ok_or(Invalid::NoArgs)?;
        let cwd = if process.cwd.is_empty() {
            "/"
        } else {
            &process.cwd
        };
        if !cwd.starts_with('/') {
            return Err(Invalid::Relative {
                what: "cwd",
                path: cwd.to_owned(),
            });
        }
        let env = environment(&process.env);
        let apparmor = match process.apparmor_profile.as_str() {
            "" | "unconfined" => None,
            profile => Some(text("apparmor profile", &format!("exec {profile}"))?),
        };
        Ok(Self {
            terminal: process.terminal,
            is_alone: facts.is_alone,
            kept_fds: facts.kept_fds,
            console_size: process.console_size.map(|size| (size.width, size.height)),
            uid: process.user.uid,
            gid: process.user.gid,
            groups: process.user.additional_gids.clone(),
            umask: process.user.umask.unwrap_or(0o022),
            capabilities: CapabilityPlan::new(process, facts),
            limits: process
                .rlimits
                .iter()
                .map(limit)
                .collect::<Result<_, _>>()?,
            no_new_privs: process.no_new_privileges,
            oom_score_adj: process.oom_score_adj,
            personality: None,
            scheduling: process
                .scheduler
                .as_ref()
                .map(schedule::scheduling)
                .transpose()?,
            io_priority: process
                .io_priority
                .as_ref()
                .map(schedule::io_priority)
                .transpose()?,
            affinity: schedule::affinity(process.exec_cpu_affinity.as_ref())?,
            filter,
            apparmor,
            selinux: match process.selinux_label.as_str() {
                "" => None,
                label => Some(text("selinux label", label)?),
            },
            cwd: Target::new(cwd)?,
            program: Program::new(name, &env)?,
            args: strings("argument", process.args.iter())?,
            env: strings("environment variable", env.iter())?,
        })
    }

    /// Adds `HOME` unless the environment has one that is not empty.
    pub(crate) fn set_home(&mut self, home: &str) -> Result<(), Invalid> {
        let mut env = self.env.as_slice().to_vec();
        if env
            .iter()
            .any(|entry| entry.to_bytes().starts_with(b"HOME="))
        {
            return Ok(());
        }
        env.push(text("home directory", &format!("HOME={home}"))?);
        self.env = Strings::new(env);
        Ok(())
    }

    /// Tells whether somebody is to hear of its calls.
    pub(crate) fn has_listener(&self) -> bool {
        self.filter
            .as_ref()
            .is_some_and(|filter| filter.listener.is_some())
    }

    /// Tells whether the environment has a `HOME` already.
    pub(crate) fn has_home(&self) -> bool {
        self.env
            .as_slice()
            .iter()
            .any(|entry| entry.to_bytes().starts_with(b"HOME="))
    }
}

/// The last of several values of a name counts, at the place of the first; an empty `HOME` is none.
fn environment(env: &[String]) -> Vec<String> {
    let mut result: Vec<String> = Vec::with_capacity(env.len() + 1);
    let mut places = std::collections::HashMap::new();
    for entry in env {
        let name = entry.split('=').next().unwrap_or_default();
        match places.entry(name) {
            std::collections::hash_map::Entry::Occupied(place) => {
                let place: &usize = place.get();
                if let Some(slot) = result.get_mut(*place) {
                    entry.clone_into(slot);
                }
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(result.len());
                result.push(entry.clone());
            }
        }
    }
    result.retain(|entry| entry != "HOME=");
    result
}

fn strings<'a>(
    what: &'static str,
    words: impl Iterator<Item = &'a String>,
) -> Result<Strings, Invalid> {
    Ok(Strings::new(
        words
            .map(|word| text(what, word))
            .collect::<Result<_, _>>()?,
    ))
}

impl Program {
    fn new(name: &str, env: &[String]) -> Result<Self, Invalid> {
        if name.contains('/') {
            return Ok(Self::Path(text("argument", name)?));
        }
        let path = env
            .iter()
            .find_map(|entry| entry.strip_prefix("PATH="))
            .unwrap_or_default();
        let mut places = Vec::new();
        if !name.is_empty() && !path.is_empty() {
            for dir in path.split(':') {
                let dir = if dir.is_empty() { "." } else { dir };
                places.push(text(
                    "argument",
                    &format!("{}/{name}", dir.trim_end_matches('/')),
                )?);
            }
        }
        Ok(Self::Search(places))
    }
}

impl CapabilityPlan {
    /// What this process does not have it cannot give, nor what the kernel does not know: a name
    /// that cannot be granted is no failure (runtime specification, "capabilities"). Without a list
    /// all sets are empty.
    fn new(process: &Process, facts: Facts) -> Self {
        let Some(wanted) = &process.capabilities else {
            return Self::default();
        };
        let set = |names: &[String]| {
            let known = names.iter().filter_map(|name| capability(name));
            known.fold(0_u64, |bits, number| bits | 1 << number) & facts.capabilities
        };
        let inheritable = set(&wanted.inheritable);
        let permitted = set(&wanted.permitted);
        Self {
            bounding: set(&wanted.bounding),
            sets: Capabilities {
                permitted,
                effective: set(&wanted.effective),
                inheritable,
            },
            ambient: set(&wanted.ambient) & inheritable & permitted,
        }
    }
}

/// Names in the order of their numbers (linux/capability.h).
pub(crate) const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Returns the number of `CAP_CHOWN`.
pub(crate) fn capability(name: &str) -> Option<u32> {
    let name = name.strip_prefix("CAP_")?;
    CAPABILITIES
        .iter()
        .position(|known| *known == name)
        .and_then(|at| u32::try_from(at).ok())
}

fn limit(wanted: &Rlimit) -> Result<Limit, Invalid> {
    let resource = sys::sched::resource(&wanted.kind).ok_or_else(|| Invalid::Unknown {
        what: "resource limit",
        word: wanted.kind.clone(),
    })?;
    Ok(Limit {
        resource,
        soft: wanted.soft,
        hard: wanted.hard,
    })
}

thread_local! {
    /// The profile that most containers have, and its filter.
    static AHEAD: RefCell<Option<(Seccomp, Rc<Filter>)>> = const { RefCell::new(None) };
}

impl Filter {
    /// Compiles the profile that most containers have while nobody waits.
    pub(crate) fn compile_ahead() {
        let profile = seccomp::default_profile(&seccomp::DEFAULT_CAPABILITIES.map(str::to_owned));
        if let Ok(filter) = Self::new(&profile) {
            AHEAD.set(Some((profile, Rc::new(filter))));
        }
    }

    /// Compiles a profile, or takes the filter that was compiled ahead for the same one. What was
    /// not needed is let go: a process makes one container.
    pub(crate) fn of(profile: &Seccomp) -> Result<Rc<Self>, Invalid> {
        match AHEAD.take() {
            Some((ahead, filter)) if ahead == *profile => Ok(filter),
            _ => Self::new(profile).map(Rc::new),
        }
    }

    fn new(profile: &Seccomp) -> Result<Self, Invalid> {
        let (program, flags) = seccomp::compile(profile)?;
        let listener = seccomp::asks(profile).then(|| Listener {
            path: profile.listener_path.clone(),
            metadata: profile.listener_metadata.clone(),
        });
        Ok(Self {
            program,
            flags,
            listener,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        capabilities: u64::MAX,
        has_kcore: true,
        has_netns: false,
        is_alone: false,
        kept_fds: 0,
    };

    fn process(args: &[&str], env: &[&str]) -> Process {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Process {
            args: own(args),
            env: own(env),
            ..Process::default()
        }
    }

    #[test]
    fn programs_are_searched() {
        let check = |name: &str, env: &[&str], expect: &[&str]| {
            let plan = ProcessPlan::new(&process(&[name], env), None, FACTS).unwrap();
            let found: Vec<_> = match &plan.program {
                Program::Path(path) => vec![path.to_str().unwrap()],
                Program::Search(paths) => paths.iter().map(|path| path.to_str().unwrap()).collect(),
            };
            assert_eq!(found, expect);
        };
        check("sh", &["PATH=/bin:/usr/bin/"], &["/bin/sh", "/usr/bin/sh"]);
        check("sh", &["PATH=/bin", "PATH=/sbin"], &["/sbin/sh"]);
        check("sh", &["PATH=:/bin"], &["./sh", "/bin/sh"]);
        check("sh", &[], &[]);
        check("", &["PATH=/bin"], &[]);
        check("./sh", &[], &["./sh"]);
    }

    #[test]
    fn home_is_added_once() {
        let mut plan = ProcessPlan::new(&process(&["a"], &["HOME="]), None, FACTS).unwrap();
        assert!(!plan.has_home());
        plan.set_home("/root").unwrap();
        plan.set_home("/other").unwrap();
        assert_eq!(plan.env.as_slice(), [c"HOME=/root".to_owned()]);
    }

    #[test]
    fn capabilities_are_numbered() {
        assert_eq!(capability("CAP_CHOWN"), Some(0));
        assert_eq!(capability("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(capability("CAP_AUDIT_WRITE"), Some(29));
        assert_eq!(capability("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(capability("CHOWN"), None);
    }

    #[test]
    fn what_is_not_there_is_not_given() {
        let mut process = process(&["a"], &[]);
        let names = vec!["CAP_CHOWN".to_owned(), "CAP_SYS_ADMIN".to_owned()];
        process.capabilities = Some(types::oci::runtime::Capabilities {
            bounding: names.clone(),
            permitted: names.clone(),
            effective: names.clone(),
            ambient: names,
            inheritable: Vec::new(),
        });
        let facts = Facts {
            capabilities: 1,
            has_kcore: true,
            has_netns: false,
            is_alone: false,
            kept_fds: 0,
        };
        let plan = ProcessPlan::new(&process, None, facts).unwrap();
        assert_eq!(plan.capabilities.bounding, 1);
        assert_eq!(plan.capabilities.sets.effective, 1);
        assert_eq!(plan.capabilities.ambient, 0, "not inheritable");
    }

    #[test]
    fn refuses_what_the_kernel_cannot_take() {
        assert!(matches!(
            ProcessPlan::new(&process(&[], &[]), None, FACTS),
            Err(Invalid::NoArgs)
        ));
        assert!(matches!(
            ProcessPlan::new(&process(&["a\0"], &[]), None, FACTS),
            Err(Invalid::Nul { .. })
        ));
        let relative = Process {
            cwd: "x".to_owned(),
            ..process(&["a"], &[])
        };
        assert!(matches!(
            ProcessPlan::new(&relative, None, FACTS),
            Err(Invalid::Relative { .. })
        ));
    }
}
