//! A Spec becomes a list of steps, every decision taken and every string in the kernel's
//! form, before the first system call. No I/O here: of `sys` only types and numbers are used.
//!
//! Invariant: what init does between clone and execve is decided here; it only walks the lists.

pub(crate) mod devices;
pub(crate) mod mounts;
pub(crate) mod process;

use std::ffi::CString;
use std::path::PathBuf;

use sys::namespace;
use sys::root::Node;
use types::oci::runtime::{Hook, Linux, Spec};

use self::mounts::{MountStep, Target};
use self::process::{Filter, ProcessPlan};

/// What the plan depends on besides the Spec.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// The capabilities that this process has to give.
    pub(crate) capabilities: u64,
    /// The kernel shows its memory at /proc/kcore.
    pub(crate) has_kcore: bool,
    /// A network namespace comes as a descriptor.
    pub(crate) has_netns: bool,
    /// Nobody of ours stays with the process: what is impossible is refused, not bent, and it
    /// outlives its maker.
    pub(crate) is_alone: bool,
    /// Descriptors from 3 on that the process keeps.
    pub(crate) kept_fds: u32,
}

/// Why a Spec cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A part is missing.
    #[error("config.json has no {0}")]
    Missing(&'static str),
    /// No program to run.
    #[error("args must not be empty")]
    NoArgs,
    /// A string with a NUL byte cannot reach the kernel.
    #[error("{what} {text:?} has a NUL byte in it")]
    Nul {
        /// What it is.
        what: &'static str,
        /// The string.
        text: String,
    },
    /// A word that is not one of ours.
    #[error("unknown {what} {word:?}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// A namespace is named twice.
    #[error("namespace {0:?} is listed twice")]
    DuplicateNamespace(String),
    /// A path that must be absolute.
    #[error("{what} {path:?} is not an absolute path")]
    Relative {
        /// What it is.
        what: &'static str,
        /// The path.
        path: String,
    },
    /// A sysctl that is not of a namespace that the container has of its own.
    #[error("sysctl {0:?} is not in a separate kernel namespace")]
    Sysctl(String),
    /// A filter that cannot be compiled.
    #[error("seccomp: {0}")]
    Seccomp(#[from] crate::seccomp::Invalid),
}

/// All of a container.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) namespaces: Namespaces,
    pub(crate) root_propagation: Option<(u64, bool)>,
    pub(crate) readonly_root: bool,
    pub(crate) mounts: Vec<MountStep>,
    /// Nodes and links of /dev; empty when the host's /dev is bound.
    pub(crate) nodes: Vec<NodeStep>,
    pub(crate) links: Vec<LinkStep>,
    /// Where the terminal is shown.
    pub(crate) console: Option<Target>,
    pub(crate) hostname: Option<CString>,
    pub(crate) domainname: Option<CString>,
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) masked: Vec<CString>,
    pub(crate) readonly: Vec<CString>,
    /// None: it stays in its maker's.
    pub(crate) keyring: Option<CString>,
    /// Init waits for its parent once the namespaces exist.
    pub(crate) pauses: bool,
    /// By pivot_root; else by chroot.
    pub(crate) pivots: bool,
    /// Where the root is put among the host's files, for hooks to find; none: over `/`.
    pub(crate) root_place: Option<CString>,
    /// Hooks in the container's namespaces, and the state for them.
    pub(crate) hooks: InnerHooks,
    pub(crate) process: ProcessPlan,
}

/// Hooks that init runs itself. They allocate: a child of a process with one thread may.
#[derive(Debug, Default)]
pub(crate) struct InnerHooks {
    pub(crate) create_container: Vec<Hook>,
    pub(crate) start_container: Vec<Hook>,
    /// The container's state as they read it.
    pub(crate) state: Vec<u8>,
    pub(crate) cwd: PathBuf,
}

/// Which namespaces init gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespaces {
    /// Made by clone3.
    pub(crate) new: u64,
    /// Made once init is in its cgroup, so that this is its root.
    pub(crate) new_cgroup: bool,
    /// Entered: the kind, its name and the file.
    pub(crate) join: Vec<(u64, String)>,
}

/// A device node.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NodeStep {
    pub(crate) target: Target,
    pub(crate) node: Node,
}

/// A symbolic link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LinkStep {
    pub(crate) target: Target,
    pub(crate) text: CString,
}

/// A kernel parameter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sysctl {
    pub(crate) name: String,
    /// Below /proc: `sys/net/ipv4/…`.
    pub(crate) path: CString,
    pub(crate) value: CString,
}

impl Plan {
    /// Decides everything about the container `id`.
    pub(crate) fn new(id: &str, spec: &Spec, facts: Facts) -> Result<Self, Invalid> {
        let default = Linux::default();
        let linux = spec.linux.as_ref().unwrap_or(&default);
        let process = spec.process.as_ref().ok_or(Invalid::Missing("process"))?;
        let mut namespaces = Namespaces::new(linux)?;
        if facts.has_netns {
            namespaces.new &= !namespace::NETWORK;
            namespaces
                .join
                .retain(|(kind, _)| *kind != namespace::NETWORK);
        }
        let mounts = spec
            .mounts
            .iter()
            .map(MountStep::new)
            .collect::<Result<Vec<_>, _>>()?;
        let own_dev = mounts::has_own_dev(&mounts);
        let filter = linux.seccomp.as_ref().map(Filter::of).transpose()?;
        Ok(Self {
            root_propagation: root_propagation(&linux.rootfs_propagation)?,
            readonly_root: spec.root.as_ref().is_some_and(|root| root.readonly),
            nodes: if own_dev {
                devices::nodes(&linux.devices)?
            } else {
                Vec::new()
            },
            links: if own_dev {
                devices::links(facts.has_kcore)?
            } else {
                Vec::new()
            },
            console: if process.terminal {
                Some(Target::new("/dev/console")?)
            } else {
                None
            },
            hostname: text_of("hostname", &spec.hostname)?,
            domainname: text_of("domainname", &spec.domainname)?,
            sysctls: sysctls(linux, &namespaces, facts)?,
            masked: paths("masked path", &linux.masked_paths)?,
            readonly: paths("read-only path", &linux.readonly_paths)?,
            keyring: Some(text("id", &format!("_ses.{id}"))?),
            pauses: false,
            pivots: true,
            root_place: None,
            hooks: InnerHooks::default(),
            process: ProcessPlan::new(process, filter, facts)?,
            mounts,
            namespaces,
        })
    }

    /// Tells whether a network namespace is made here, whose loopback link nobody else sets up.
    pub(crate) fn needs_loopback(&self) -> bool {
        self.namespaces.new & namespace::NETWORK != 0
    }
}

impl Namespaces {
    fn new(linux: &Linux) -> Result<Self, Invalid> {
        let mut result = Self::default();
        let mut seen = 0;
        for wanted in &linux.namespaces {
            let kind = namespace_kind(&wanted.kind)?;
            if seen & kind != 0 {
                return Err(Invalid::DuplicateNamespace(wanted.kind.clone()));
            }
            seen |= kind;
            match (wanted.path.is_empty(), kind) {
                (true, namespace::CGROUP) => result.new_cgroup = true,
                (true, _) => result.new |= kind,
                (false, _) => result.join.push((kind, wanted.path.clone())),
            }
        }
        if result.new & namespace::MOUNT == 0 {
            return Err(Invalid::Missing("new mount namespace"));
        }
        Ok(result)
    }

    /// Tells whether the container shares nothing of this kind with the host.
    fn is_separate(&self, kind: u64) -> bool {
        self.new & kind != 0 || self.join.iter().any(|(joined, _)| *joined == kind)
    }
}

/// Words of namespaces that are known.
pub(crate) const NAMESPACE_WORDS: [&str; 6] = ["cgroup", "ipc", "mount", "network", "pid", "uts"];

fn namespace_kind(word: &str) -> Result<u64, Invalid> {
    Ok(match word {
        "mount" => namespace::MOUNT,
        "pid" => namespace::PID,
        "network" => namespace::NETWORK,
        "ipc" => namespace::IPC,
        "uts" => namespace::UTS,
        "cgroup" => namespace::CGROUP,
        // Ids of the host inside and outside: user and time namespaces have no code here yet.
        _ => {
            return Err(Invalid::Unknown {
                what: "namespace",
                word: word.to_owned(),
            });
        }
    })
}

fn root_propagation(word: &str) -> Result<Option<(u64, bool)>, Invalid> {
    match word {
        "" => Ok(None),
        word => mounts::propagation_of(word)
            .map(Some)
            .ok_or_else(|| Invalid::Unknown {
                what: "propagation",
                word: word.to_owned(),
            }),
    }
}

fn sysctls(linux: &Linux, namespaces: &Namespaces, facts: Facts) -> Result<Vec<Sysctl>, Invalid> {
    let mut steps = Vec::new();
    for (name, value) in &linux.sysctl {
        // Both forms are in use: dots, and slashes where a part (a link's name) has dots itself.
        let path = match (name.find('/'), name.find('.')) {
            (Some(slash), Some(dot)) if slash < dot => name.clone(),
            (Some(_), None) => name.clone(),
            _ => name.replace(['.', '/'], "\0").replace('\0', "/"),
        };
        let separate = match sysctl_namespace(&path) {
            Some(namespace::NETWORK) if facts.has_netns => true,
            Some(kind) => namespaces.is_separate(kind),
            None => false,
        };
        if !separate || path.split('/').any(|part| part.is_empty() || part == "..") {
            return Err(Invalid::Sysctl(name.clone()));
        }
        steps.push(Sysctl {
            name: name.clone(),
            path: text("sysctl", &format!("sys/{path}"))?,
            value: text("sysctl", value)?,
        });
    }
    Ok(steps)
}

/// Which namespace a kernel parameter belongs to (namespaces(7), and what peers allow).
fn sysctl_namespace(path: &str) -> Option<u64> {
    const IPC: [&str; 9] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/auto_msgmni",
    ];
    if path.starts_with("net/") {
        Some(namespace::NETWORK)
    } else if IPC.contains(&path) || path.starts_with("fs/mqueue/") {
        Some(namespace::IPC)
    } else if path == "kernel/domainname" || path == "kernel/hostname" {
        Some(namespace::UTS)
    } else {
        None
    }
}

fn paths(what: &'static str, paths: &[String]) -> Result<Vec<CString>, Invalid> {
    paths
        .iter()
        .map(|path| {
            if !path.starts_with('/') {
                return Err(Invalid::Relative {
                    what,
                    path: path.clone(),
                });
            }
            text(what, path)
        })
        .collect()
}

/// A string in the kernel's form.
pub(crate) fn text(what: &'static str, text: &str) -> Result<CString, Invalid> {
    CString::new(text).map_err(|_| Invalid::Nul {
        what,
        text: text.to_owned(),
    })
}

fn text_of(what: &'static str, word: &str) -> Result<Option<CString>, Invalid> {
    if word.is_empty() {
        Ok(None)
    } else {
        text(what, word).map(Some)
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

    fn spec(text: &str) -> Spec {
        let mut spec: Spec = serde_json::from_str(text).unwrap();
        let process = spec.process.get_or_insert_default();
        process.args = vec!["a".to_owned()];
        let linux = spec.linux.get_or_insert_default();
        let mount = types::oci::runtime::Namespace {
            kind: "mount".to_owned(),
            ..Default::default()
        };
        linux.namespaces.push(mount);
        spec
    }

    fn plan(text: &str, facts: Facts) -> Result<Plan, Invalid> {
        Plan::new("x", &spec(text), facts)
    }

    #[test]
    fn namespaces_are_made_or_joined() {
        let text = r#"{"linux": {"namespaces": [{"type": "pid"}, {"type": "cgroup"},
            {"type": "network", "path": "/run/netns/a"}, {"type": "ipc", "path": "/proc/7/ns/ipc"}]}}"#;
        let made = plan(text, FACTS).unwrap().namespaces;
        assert_eq!(made.new, namespace::MOUNT | namespace::PID);
        assert!(made.new_cgroup);
        assert_eq!(made.join.len(), 2);
        // A descriptor replaces what the Spec says of the network.
        let given = plan(
            text,
            Facts {
                has_netns: true,
                ..FACTS
            },
        )
        .unwrap()
        .namespaces;
        assert_eq!(given.join, [(namespace::IPC, "/proc/7/ns/ipc".to_owned())]);

        let check = |text| plan(text, FACTS).unwrap_err().to_string();
        let twice = r#"{"linux": {"namespaces": [{"type": "pid"}, {"type": "pid"}]}}"#;
        assert_eq!(check(twice), "namespace \"pid\" is listed twice");
        let user = r#"{"linux": {"namespaces": [{"type": "user"}]}}"#;
        assert_eq!(check(user), "unknown namespace \"user\"");
    }

    #[test]
    fn parameters_need_a_namespace() {
        let check = |name: &str, namespaces: &str, facts: Facts| {
            let text = format!(
                r#"{{"linux": {{"sysctl": {{"{name}": "1"}}, "namespaces": [{namespaces}]}}}}"#
            );
            plan(&text, facts)
                .map(|plan| plan.sysctls[0].path.to_str().unwrap().to_owned())
                .ok()
        };
        let (network, ipc) = (r#"{"type": "network"}"#, r#"{"type": "ipc"}"#);
        let netns = Facts {
            has_netns: true,
            ..FACTS
        };
        let found = |path: &str| Some(path.to_owned());
        assert_eq!(
            check("net.ipv4.ip_forward", network, FACTS),
            found("sys/net/ipv4/ip_forward")
        );
        assert_eq!(
            check("net.ipv4.ip_forward", "", netns),
            found("sys/net/ipv4/ip_forward")
        );
        assert_eq!(check("net.ipv4.ip_forward", ipc, FACTS), None);
        assert_eq!(
            check("net/ipv4/conf/eth0.1/x", network, FACTS),
            found("sys/net/ipv4/conf/eth0.1/x")
        );
        assert_eq!(
            check("kernel.shmmax", ipc, FACTS),
            found("sys/kernel/shmmax")
        );
        assert_eq!(
            check("fs.mqueue.msg_max", ipc, FACTS),
            found("sys/fs/mqueue/msg_max")
        );
        assert_eq!(check("kernel.pid_max", ipc, FACTS), None);
        assert_eq!(check("net.ipv4.../../kernel.pid_max", network, FACTS), None);
        assert_eq!(check("net/../kernel/pid_max", network, FACTS), None);
    }

    #[test]
    fn the_host_s_dev_is_not_filled() {
        let own = plan("{}", FACTS).unwrap();
        assert_eq!((own.nodes.len(), own.links.len()), (6, 6));
        let text =
            r#"{"mounts": [{"destination": "/dev", "source": "/dev", "options": ["rbind"]}]}"#;
        let bound = plan(text, FACTS).unwrap();
        assert_eq!((bound.nodes.len(), bound.links.len()), (0, 0));
    }

    #[test]
    fn refuses_relative_paths() {
        assert!(plan(r#"{"linux": {"maskedPaths": ["proc"]}}"#, FACTS).is_err());
        assert!(plan(r#"{"linux": {"rootfsPropagation": "sideways"}}"#, FACTS).is_err());
        assert!(
            plan(
                r#"{"mounts": [{"destination": "x", "type": "tmpfs"}]}"#,
                FACTS
            )
            .is_err()
        );
    }
}
