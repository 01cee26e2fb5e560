//! Pure: from a container's record to the Spec that the runtime obeys.

use types::oci::runtime::{
    BlockIo, Capabilities, DeviceRule, Linux, Memory, Namespace, Process, Resources, Root, Spec,
    SpecMount, User,
};

use super::capabilities::capabilities;
use super::cdi::Edits;
use super::devices::Devices;
use super::neighbour::Neighbours;
use super::record::{Bind, Config, Host, Network, Record};

/// Paths that a container must not read.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that a container must not write.
pub const READONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where Docker shows the init of `--init`.
const INIT_PATH: &str = "/sbin/docker-init";
const DEFAULT_SHM_BYTES: u64 = 64 << 20;

/// What the machine and the image say beside the record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The process's user as numbers, found in the container's own files.
    pub(crate) user: User,
    /// HOME of that user.
    pub(crate) home: String,
    /// Path of the cgroup below each hierarchy's root.
    pub(crate) cgroups_path: String,
    /// Where hosts, hostname and resolv.conf are on the host: its own directory, or that of the
    /// container whose network it shares.
    pub(crate) files: String,
    /// The container's directory on the host.
    pub(crate) dir: String,
    /// What shows the container its volumes.
    pub(crate) volumes: Vec<SpecMount>,
    /// Device nodes beside the default ones, and who may use them.
    pub(crate) devices: Devices,
    /// What names of devices add.
    pub(crate) edits: Edits,
    /// Our program on the host, to be process 1.
    pub(crate) init: Option<String>,
    /// Limits of block devices.
    pub(crate) block_io: Option<BlockIo>,
    /// Whose namespaces it joins.
    pub(crate) neighbours: Neighbours,
}

/// Returns the Spec of a container.
pub(crate) fn spec(record: &Record, facts: &Facts) -> Spec {
    let (config, host) = (&record.config, &record.host);
    Spec {
        oci_version: "1.2.1".to_owned(),
        process: Some(first_process(config, host, facts)),
        root: Some(Root {
            path: "rootfs".to_owned(),
            readonly: host.read_only,
        }),
        hostname: if host.uts_host {
            String::new()
        } else {
            hostname(record)
        },
        domainname: config.domainname.clone(),
        mounts: mounts(host, facts),
        annotations: host.annotations.clone(),
        linux: Some(linux(host, facts)),
        ..Spec::default()
    }
}

/// Returns the host name of a container.
pub(crate) fn hostname(record: &Record) -> String {
    if record.config.hostname.is_empty() {
        record.id.short()
    } else {
        record.config.hostname.clone()
    }
}

/// Process 1: with `--init` ours comes before it; what names of devices set, it has as well.
fn first_process(config: &Config, host: &Host, facts: &Facts) -> Process {
    let mut process = process(config, host, facts);
    if facts.init.is_some() {
        process
            .args
            .splice(0..0, [INIT_PATH, "--"].map(str::to_owned));
    }
    for entry in &facts.edits.env {
        let name = entry
            .split_once('=')
            .map_or(entry.as_str(), |(name, _)| name);
        let known = format!("{name}=");
        process.env.retain(|old| !old.starts_with(&known));
        process.env.push(entry.clone());
    }
    process.user.additional_gids.extend(&facts.edits.groups);
    process
}

/// Returns a process of a container, the first one or an additional one.
pub(crate) fn process(config: &Config, host: &Host, facts: &Facts) -> Process {
    let capabilities = capabilities(host);
    let root = facts.user.uid == 0;
    Process {
        terminal: config.tty,
        console_size: None,
        user: facts.user.clone(),
        args: config.argv(),
        env: environment(config, &facts.home),
        cwd: if config.working_dir.is_empty() {
            "/".to_owned()
        } else {
            config.working_dir.clone()
        },
        capabilities: Some(Capabilities {
            bounding: capabilities.clone(),
            effective: if root {
                capabilities.clone()
            } else {
                Vec::new()
            },
            permitted: if root { capabilities } else { Vec::new() },
            inheritable: Vec::new(),
            ambient: Vec::new(),
        }),
        rlimits: host.rlimits.clone(),
        no_new_privileges: host.no_new_privileges,
        apparmor_profile: host.apparmor.clone(),
        oom_score_adj: host.oom_score_adj,
        ..Process::default()
    }
}

/// PATH, HOSTNAME and TERM come first, as dockerd has them; what the user says takes their place.
/// `-e NAME` without a value takes NAME away. HOME is the user's, unless somebody says otherwise.
fn environment(config: &Config, home: &str) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env = vec![
        DEFAULT_PATH.to_owned(),
        format!("HOSTNAME={}", config.hostname),
    ];
    if config.tty {
        env.push("TERM=xterm".to_owned());
    }
    for entry in &config.env {
        let at = env.iter().position(|known| name(known) == name(entry));
        match (at, entry.contains('=')) {
            (Some(at), true) => env[at].clone_from(entry),
            (Some(at), false) => drop(env.remove(at)),
            (None, true) => env.push(entry.clone()),
            (None, false) => {}
        }
    }
    if !env.iter().any(|entry| name(entry) == "HOME") {
        env.push(format!("HOME={home}"));
    }
    env
}

fn mount(kind: &str, destination: &str, options: &[&str]) -> SpecMount {
    SpecMount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: kind.to_owned(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        ..SpecMount::default()
    }
}

/// What every container has, in Docker's order.
fn default_mounts(host: &Host, neighbours: Neighbours) -> Vec<SpecMount> {
    let word = |writable| if writable { "rw" } else { "ro" };
    let write = word(host.privileged);
    let cgroup = word(host.privileged || host.cgroup_writable);
    let shm = if host.shm_size == 0 {
        DEFAULT_SHM_BYTES
    } else {
        host.shm_size
    };
    let shm = format!("size={shm}");
    let plain = ["nosuid", "noexec", "nodev"];
    let pts = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
    ];
    let mut all = vec![
        mount("proc", "/proc", &plain),
        mount(
            "tmpfs",
            "/dev",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount("devpts", "/dev/pts", &pts),
        mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", write]),
        mount(
            "cgroup",
            "/sys/fs/cgroup",
            &[cgroup, "nosuid", "noexec", "nodev"],
        ),
        mount("mqueue", "/dev/mqueue", &plain),
    ];
    let shared = match neighbours.ipc {
        Some(pid) => Some(format!("/proc/{pid}/root/dev/shm")),
        None => host.ipc_host.then(|| "/dev/shm".to_owned()),
    };
    match shared {
        Some(source) => all.push(SpecMount {
            source,
            ..mount("bind", "/dev/shm", &["rbind", "rprivate"])
        }),
        None if host.ipc_without_shm => {}
        None => all.push(SpecMount {
            source: "shm".to_owned(),
            ..mount(
                "tmpfs",
                "/dev/shm",
                &["nosuid", "noexec", "nodev", "mode=1777", &shm],
            )
        }),
    }
    all
}

fn mounts(host: &Host, facts: &Facts) -> Vec<SpecMount> {
    let mut all = default_mounts(host, facts.neighbours);
    let user = |path: &str| {
        host.binds.iter().any(|bind| bind.target == path)
            || host.tmpfs.contains_key(path)
            || facts.volumes.iter().any(|one| one.destination == path)
    };
    all.retain(|mount| !user(&mount.destination));
    for (name, target) in [
        ("resolv.conf", "/etc/resolv.conf"),
        ("hostname", "/etc/hostname"),
        ("hosts", "/etc/hosts"),
    ] {
        if !user(target) {
            all.push(SpecMount {
                destination: target.to_owned(),
                kind: "bind".to_owned(),
                source: format!("{}/{name}", facts.files),
                options: vec!["rbind".to_owned(), "rprivate".to_owned()],
                ..SpecMount::default()
            });
        }
    }
    for (target, options) in &host.tmpfs {
        let mut mount = mount("tmpfs", target, &["noexec", "nosuid", "nodev", "rprivate"]);
        mount.options.extend(
            options
                .split(',')
                .filter(|option| !option.is_empty())
                .map(str::to_owned),
        );
        all.push(mount);
    }
    all.extend(host.binds.iter().map(|bind| SpecMount {
        destination: bind.target.clone(),
        kind: "bind".to_owned(),
        source: bind.source.clone(),
        options: bind_options(bind),
        ..SpecMount::default()
    }));
    all.extend(facts.volumes.iter().cloned());
    all.extend(facts.edits.mounts.iter().cloned());
    all.extend(facts.init.iter().map(|program| SpecMount {
        source: program.clone(),
        ..mount("bind", INIT_PATH, &["bind", "ro", "rprivate"])
    }));
    // A mount never hides one that was asked for below it (stable: equal depths keep their order).
    all.sort_by_key(|mount| mount.destination.trim_end_matches('/').matches('/').count());
    all
}

/// Not `rw`: what is read-only on the host stays so.
fn bind_options(bind: &Bind) -> Vec<String> {
    let propagation = if bind.propagation.is_empty() {
        "rprivate"
    } else {
        &bind.propagation
    };
    let mut options = vec![
        if bind.non_recursive { "bind" } else { "rbind" },
        propagation,
    ];
    match (bind.read_only, bind.non_recursive || bind.read_only_here) {
        (false, _) => {}
        (true, true) => options.push("ro"),
        // What is mounted below it can be written no more than itself.
        (true, false) => options.push("rro"),
    }
    options.into_iter().map(str::to_owned).collect()
}

/// A namespace is made, joined, or the host's own and not named.
fn namespaces(host: &Host, neighbours: Neighbours) -> Vec<Namespace> {
    let mut all = vec![Namespace {
        kind: "mount".to_owned(),
        path: String::new(),
    }];
    for (kind, shared, neighbour) in [
        ("pid", host.pid_host, neighbours.pid),
        ("ipc", host.ipc_host, neighbours.ipc),
        ("uts", host.uts_host, None),
        ("network", host.network == Network::Host, None),
        ("cgroup", !host.cgroupns_private, None),
    ] {
        if !shared {
            all.push(Namespace {
                kind: kind.to_owned(),
                path: neighbour.map_or_else(String::new, |pid| format!("/proc/{pid}/ns/{kind}")),
            });
        }
    }
    all
}

fn linux(host: &Host, facts: &Facts) -> Linux {
    let open = host.privileged || host.system_paths_unconfined;
    let paths = |list: &[&str]| {
        if open {
            Vec::new()
        } else {
            list.iter().map(|&path| path.to_owned()).collect()
        }
    };
    let own = capabilities(host);
    let seccomp = if host.privileged || host.seccomp_unconfined {
        None
    } else {
        let given = host
            .seccomp
            .as_ref()
            .and_then(|profile| profile.resolve(&own).ok());
        // The face refuses a profile that does not resolve; none may ever mean no filter.
        Some(given.unwrap_or_else(|| runtime::seccomp::default_profile(&own)))
    };
    Linux {
        sysctl: sysctls(host),
        resources: Some(resources(host, facts)),
        cgroups_path: facts.cgroups_path.clone(),
        namespaces: namespaces(host, facts.neighbours),
        devices: {
            let nodes = facts.devices.nodes.iter();
            nodes.chain(&facts.edits.devices.nodes).cloned().collect()
        },
        seccomp,
        masked_paths: paths(&MASKED_PATHS),
        readonly_paths: paths(&READONLY_PATHS),
        ..Linux::default()
    }
}

/// Ping and low ports need no capability in a network namespace of its own, as in Docker.
fn sysctls(host: &Host) -> std::collections::BTreeMap<String, String> {
    let mut all = host.sysctls.clone();
    if host.network != Network::Host {
        for (name, value) in [
            ("net.ipv4.ip_unprivileged_port_start", "0"),
            ("net.ipv4.ping_group_range", "0 2147483647"),
        ] {
            all.entry(name.to_owned())
                .or_insert_with(|| value.to_owned());
        }
    }
    all
}

fn resources(host: &Host, facts: &Facts) -> Resources {
    let mut resources = host.resources.clone();
    resources.block_io.clone_from(&facts.block_io);
    if host.privileged {
        resources.devices = vec![DeviceRule {
            allow: true,
            access: "rwm".to_owned(),
            ..DeviceRule::default()
        }];
    } else {
        let mut rules = default_device_rules();
        rules.append(&mut resources.devices);
        let more = facts.devices.rules.iter();
        rules.extend(more.chain(&facts.edits.devices.rules).cloned());
        resources.devices = rules;
    }
    // As Docker: a limit without a word on swap allows as much swap again.
    if let Some(Memory {
        limit: Some(limit),
        swap,
        ..
    }) = &mut resources.memory
        && *limit > 0
        && swap.is_none_or(|swap| swap == 0)
    {
        *swap = Some(*limit * 2);
    }
    resources
}

fn default_device_rules() -> Vec<DeviceRule> {
    let rule = |allow, kind: &str, major, minor, access: &str| DeviceRule {
        allow,
        kind: kind.to_owned(),
        major,
        minor,
        access: access.to_owned(),
    };
    let mut rules = vec![
        rule(false, "a", None, None, "rwm"),
        rule(true, "c", None, None, "m"),
        rule(true, "b", None, None, "m"),
    ];
    rules.extend(
        [
            (1, 3),
            (1, 5),
            (1, 7),
            (1, 8),
            (1, 9),
            (5, 0),
            (5, 1),
            (5, 2),
            (10, 200),
        ]
        .map(|(major, minor)| rule(true, "c", Some(major), Some(minor), "rwm")),
    );
    rules.push(rule(true, "c", Some(136), None, "rwm"));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_keeps_what_the_user_says() {
        let config = Config {
            hostname: "h".to_owned(),
            env: ["A=1", "GONE", "PATH=/x"].map(str::to_owned).to_vec(),
            ..Config::default()
        };
        assert_eq!(
            environment(&config, "/root"),
            ["PATH=/x", "HOSTNAME=h", "A=1", "HOME=/root"]
        );
    }

    #[test]
    fn user_mounts_win_and_come_after_what_holds_them() {
        let mut host = Host::default();
        host.tmpfs
            .insert("/dev/shm".to_owned(), "size=1m".to_owned());
        let all = mounts(
            &host,
            &Facts {
                dir: "/d".to_owned(),
                ..Facts::default()
            },
        );
        let shm: Vec<_> = all
            .iter()
            .filter(|mount| mount.destination == "/dev/shm")
            .collect();
        assert_eq!(shm.len(), 1);
        assert!(shm[0].options.contains(&"size=1m".to_owned()));
        let at = |path: &str| {
            all.iter()
                .position(|mount| mount.destination == path)
                .unwrap()
        };
        assert!(at("/dev") < at("/dev/shm"));
        assert!(at("/sys") < at("/sys/fs/cgroup"));
    }
}
