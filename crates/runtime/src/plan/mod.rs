//! A Spec becomes a list of steps, every decision taken and every string in the kernel's
//! form, before the first system call. No I/O here: of `sys` only types and numbers are used.
//!
//! Invariant: what init does between clone and execve is decided here; it only walks the lists.

pub(crate) mod devices;
pub(crate) mod mounts;
pub(crate) mod process;
mod schedule;
mod sysctl;

use std::ffi::CString;
use std::path::PathBuf;

use sys::namespace;
use sys::root::Node;
use types::oci::runtime::{Hook, IdMapping, Linux, Spec, TimeOffset};

use self::mounts::{MountStep, Target};
use self::process::{Filter, ProcessPlan};
use self::sysctl::Sysctl;

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
    /// Two parts that do not fit, in runc's words.
    #[error("{0}")]
    Conflict(&'static str),
    /// What this runtime does not do.
    #[error("{0} is not supported by this runtime")]
    Unsupported(String),
    /// A number outside of what it may be.
    #[error("invalid {what}: {value}")]
    Range {
        /// What it is.
        what: &'static str,
        /// The number.
        value: i64,
    },
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
    /// Of a new user namespace.
    pub(crate) ids: Option<IdMaps>,
    /// Of a new time namespace: what the kernel reads.
    pub(crate) clocks: String,
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

/// Ids of a user namespace, as the kernel reads them: lines of inside, outside, count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdMaps {
    pub(crate) users: String,
    pub(crate) groups: String,
}

impl IdMaps {
    /// Decides the maps; the kernel takes at most 340 lines (user_namespaces(7)).
    pub(crate) fn new(users: &[IdMapping], groups: &[IdMapping]) -> Result<Self, Invalid> {
        let text = |what: &'static str, maps: &[IdMapping]| {
            if maps.len() > 340 {
                let value = i64::try_from(maps.len()).unwrap_or(i64::MAX);
                return Err(Invalid::Range { what, value });
            }
            let line =
                |map: &IdMapping| format!("{} {} {}\n", map.container_id, map.host_id, map.size);
            Ok(maps.iter().map(line).collect())
        };
        Ok(Self {
            users: text("number of uidMappings", users)?,
            groups: text("number of gidMappings", groups)?,
        })
    }
}

/// Hooks that init runs itself. They allocate: a child of a process with one thread may.
#[derive(Debug, Default)]
pub(crate) struct InnerHooks {
    pub(crate) create_container: Vec<Hook>,
    pub(crate) start_container: Vec<Hook>,
    /// The container's state as the first kind reads it, and as the second does.
    pub(crate) state: Vec<u8>,
    pub(crate) state_at_start: Vec<u8>,
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
        refuse(spec, linux)?;
        let ids = ids(linux, &namespaces)?;
        let mounts = mounts(spec, linux, ids.is_some())?;
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
            sysctls: sysctl::sysctls(linux, &namespaces, facts)?,
            masked: paths("masked path", &linux.masked_paths)?,
            readonly: paths("read-only path", &linux.readonly_paths)?,
            ids,
            clocks: clocks(linux, &namespaces)?,
            keyring: Some(text("id", &format!("_ses.{id}"))?),
            pauses: false,
            pivots: true,
            root_place: None,
            hooks: InnerHooks::default(),
            process: ProcessPlan {
                personality: personality(linux)?,
                ..ProcessPlan::new(process, filter, facts)?
            },
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
                // All that is new would have to be made inside it, by one more process.
                (false, namespace::USER) => {
                    let what = "joining a user namespace by path";
                    return Err(Invalid::Unsupported(what.to_owned()));
                }
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
pub(crate) const NAMESPACE_WORDS: [&str; 8] = [
    "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts",
];

/// Fields that have no code, and names that would be the host's.
fn refuse(spec: &Spec, linux: &Linux) -> Result<(), Invalid> {
    let unsupported = [
        (linux.intel_rdt.is_some(), "linux.intelRdt"),
        (linux.memory_policy.is_some(), "linux.memoryPolicy"),
        (!linux.net_devices.is_empty(), "linux.netDevices"),
        (!linux.mount_label.is_empty(), "linux.mountLabel"),
    ];
    if let Some((_, field)) = unsupported.into_iter().find(|(given, _)| *given) {
        return Err(Invalid::Unsupported(field.to_owned()));
    }
    let has_uts = linux.namespaces.iter().any(|one| one.kind == "uts");
    if !spec.hostname.is_empty() && !has_uts {
        return Err(Invalid::Conflict(
            "unable to set hostname without a private UTS namespace",
        ));
    }
    if !spec.domainname.is_empty() && !has_uts {
        return Err(Invalid::Conflict(
            "unable to set domainname without a private UTS namespace",
        ));
    }
    Ok(())
}

/// The maps of a new user namespace.
fn ids(linux: &Linux, namespaces: &Namespaces) -> Result<Option<IdMaps>, Invalid> {
    let is_new = namespaces.new & namespace::USER != 0;
    let (users, groups) = (&linux.uid_mappings, &linux.gid_mappings);
    let has_maps = !users.is_empty() || !groups.is_empty();
    if !is_new && has_maps {
        return Err(Invalid::Conflict(
            "user namespace mappings specified, but user namespace isn't enabled in the config",
        ));
    }
    if !is_new {
        return Ok(None);
    }
    if users.is_empty() {
        return Err(Invalid::Conflict(
            "user namespaces enabled, but no uid mappings found",
        ));
    }
    if groups.is_empty() {
        return Err(Invalid::Conflict(
            "user namespaces enabled, but no gid mappings found",
        ));
    }
    IdMaps::new(users, groups).map(Some)
}

/// In a user namespace of its own init makes every file system, so that it is its owner.
fn mounts(spec: &Spec, linux: &Linux, own_ids: bool) -> Result<Vec<MountStep>, Invalid> {
    let mut steps = Vec::with_capacity(spec.mounts.len());
    for mount in &spec.mounts {
        let mut step = MountStep::new(mount, linux)?;
        if own_ids && let mounts::What::New { in_init, .. } = &mut step.what {
            *in_init = true;
        }
        steps.push(step);
    }
    Ok(steps)
}

/// What /proc/self/timens_offsets takes.
fn clocks(linux: &Linux, namespaces: &Namespaces) -> Result<String, Invalid> {
    if linux.time_offsets.is_empty() {
        return Ok(String::new());
    }
    if namespaces.new & namespace::TIME == 0 {
        return Err(Invalid::Conflict(
            "time namespace offsets specified, but time namespace isn't enabled in the config",
        ));
    }
    let line = |(clock, offset): (&String, &TimeOffset)| match clock.as_str() {
        "monotonic" | "boottime" => Ok(format!("{clock} {} {}\n", offset.secs, offset.nanosecs)),
        word => Err(Invalid::Unknown {
            what: "clock",
            word: word.to_owned(),
        }),
    };
    linux.time_offsets.iter().map(line).collect()
}

/// `PER_LINUX` or `PER_LINUX32`.
pub(crate) fn personality(linux: &Linux) -> Result<Option<u32>, Invalid> {
    let Some(wanted) = &linux.personality else {
        return Ok(None);
    };
    if !wanted.flags.is_empty() {
        return Err(Invalid::Unsupported("linux.personality.flags".to_owned()));
    }
    match wanted.domain.as_str() {
        "LINUX" => Ok(Some(0)),
        "LINUX32" => Ok(Some(8)),
        word => Err(Invalid::Unknown {
            what: "personality",
            word: word.to_owned(),
        }),
    }
}

fn namespace_kind(word: &str) -> Result<u64, Invalid> {
    Ok(match word {
        "mount" => namespace::MOUNT,
        "pid" => namespace::PID,
        "network" => namespace::NETWORK,
        "ipc" => namespace::IPC,
        "uts" => namespace::UTS,
        "cgroup" => namespace::CGROUP,
        "user" => namespace::USER,
        "time" => namespace::TIME,
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
        assert_eq!(
            check(user),
            "user namespaces enabled, but no uid mappings found"
        );
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
