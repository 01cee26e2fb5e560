//! The cold record of a container: everything that was decided when it was created.

use std::collections::BTreeMap;

use meta::Table;
use serde::{Deserialize, Serialize};
use types::{ContainerId, Digest};

use super::state::State;

pub(crate) const CONTAINERS: Table<Record> = Table::new("container");
pub(crate) const STATES: Table<State> = Table::new("container_state");
/// Name without slash → container id.
pub(crate) const NAMES: Table<ContainerId> = Table::new("name");

/// A container as it was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without slash.
    pub name: String,
    /// When, in nanoseconds since 1970.
    pub created_ns: i64,
    /// The image it was made from.
    pub image_id: Digest,
    /// What process 1 is.
    pub config: Config,
    /// How it runs.
    pub host: Host,
    /// Its writable layer.
    pub snapshot: image::Snapshot,
    /// Its places in networks, while it runs.
    #[serde(default)]
    pub endpoints: Vec<net::EndpointRecord>,
    /// The ports of this machine that lead to it, while it runs.
    #[serde(default)]
    pub ports: Vec<net::Publication>,
    /// The documents of the face that made it, for a faithful inspect; the engine never reads them.
    pub face: serde_json::Value,
}

/// What process 1 is: the request, with what the image says where the request says nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Host name; empty: the short id.
    pub hostname: String,
    /// NIS domain.
    pub domainname: String,
    /// `uid[:gid]` or names.
    pub user: String,
    /// Give it a terminal.
    pub tty: bool,
    /// Keep stdin open for attach.
    pub open_stdin: bool,
    /// Close stdin when the first attached client ends.
    pub stdin_once: bool,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Arguments.
    pub cmd: Option<Vec<String>>,
    /// First words.
    pub entrypoint: Option<Vec<String>>,
    /// The image as it was asked for.
    pub image: String,
    /// Where it starts.
    pub working_dir: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What `stop` sends; empty: SIGTERM.
    pub stop_signal: String,
    /// How long `stop` waits, in seconds.
    pub stop_timeout_s: Option<i64>,
    /// Where volumes are, whatever they are.
    pub volumes: Vec<String>,
    /// Ports at which it listens, as it says: `80/tcp`.
    pub exposed: std::collections::BTreeSet<String>,
    /// How it is asked how it feels.
    pub health: Option<HealthCheck>,
    /// What runs a command that is one text; empty: `/bin/sh -c`.
    pub shell: Vec<String>,
}

/// A health check in Docker's words; times in nanoseconds, 0 = not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthCheck {
    /// `NONE`, or `CMD` and words, or `CMD-SHELL` and a text.
    pub test: Vec<String>,
    /// Between two probes.
    pub interval: i64,
    /// What a probe may take.
    pub timeout: i64,
    /// In which failures do not count.
    pub start_period: i64,
    /// Between two probes in that time.
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: i64,
}

impl Config {
    /// Returns program and arguments.
    pub fn argv(&self) -> Vec<String> {
        self.entrypoint
            .iter()
            .chain(&self.cmd)
            .flatten()
            .cloned()
            .collect()
    }
}

/// How a container runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Directories and files of the host.
    pub binds: Vec<Bind>,
    /// Its volumes.
    pub volumes: Vec<crate::volume::VolumeMount>,
    /// Images whose files it shows.
    pub images: Vec<ImageMount>,
    /// Containers whose volumes and directories it has too: `NAME[:ro|rw]`.
    pub volumes_from: Vec<String>,
    /// Its network.
    pub network: Network,
    /// The networks to which it is connected when it runs, the first is that of `network`.
    pub attachments: Vec<Attachment>,
    /// Ports of this machine that shall lead to it.
    pub ports: Vec<net::PortRequest>,
    /// Every port at which it listens shall be one of this machine.
    pub publish_all: bool,
    /// Where output goes.
    pub log: Log,
    /// Remove it when it ends.
    pub auto_remove: bool,
    /// What happens when it ends.
    pub restart: types::restart_policy::Rule,
    /// Root file system cannot be written.
    pub read_only: bool,
    /// All of the host but its namespaces.
    pub privileged: bool,
    /// Capabilities beside the default ones, `CAP_X` or `ALL`.
    pub cap_add: Vec<String>,
    /// Default capabilities that it does not get.
    pub cap_drop: Vec<String>,
    /// prctl(PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: bool,
    /// No system call filter.
    pub seccomp_unconfined: bool,
    /// A profile of the user's in place of the default one.
    pub seccomp: Option<types::seccomp_profile::SeccompProfile>,
    /// No masked and read-only paths.
    pub system_paths_unconfined: bool,
    /// Limits.
    pub resources: types::oci::runtime::Resources,
    /// Bytes of /dev/shm; 0: 64 MiB.
    pub shm_size: u64,
    /// Mount point → options.
    pub tmpfs: BTreeMap<String, String>,
    /// Namespaced kernel settings.
    pub sysctls: BTreeMap<String, String>,
    /// Resource limits of processes.
    pub rlimits: Vec<types::oci::runtime::Rlimit>,
    /// oom_score_adj.
    pub oom_score_adj: Option<i32>,
    /// Supplementary groups, names or numbers.
    pub group_add: Vec<String>,
    /// `host` for the host's pid namespace.
    pub pid_host: bool,
    /// The host's ipc namespace.
    pub ipc_host: bool,
    /// The host's uts namespace.
    pub uts_host: bool,
    /// The cgroup namespace is its own.
    pub cgroupns_private: bool,
    /// `name:address` lines for /etc/hosts.
    pub extra_hosts: Vec<String>,
    /// Name servers in place of the host's.
    pub dns: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// resolv.conf options.
    pub dns_options: Vec<String>,
    /// Devices of the host that it sees.
    pub devices: Vec<HostDevice>,
    /// Devices by driver or by name.
    pub device_requests: Vec<DeviceRequest>,
    /// Rules of the device controller behind the default ones.
    pub device_rules: Vec<types::oci::runtime::DeviceRule>,
    /// Limits of block devices, which are looked up at the start.
    pub block_io: BlockIo,
    /// The group that its own lies in, from the root; empty: the engine's.
    pub cgroup_parent: String,
    /// Words of the user's in config.json.
    pub annotations: BTreeMap<String, String>,
    /// The container whose pid namespace it joins.
    pub pid_of: Option<ContainerId>,
    /// The container whose ipc namespace it joins.
    pub ipc_of: Option<ContainerId>,
    /// Others may join its ipc namespace.
    pub ipc_shareable: bool,
    /// It has an ipc namespace, and no /dev/shm.
    pub ipc_without_shm: bool,
    /// Its control groups can be written.
    pub cgroup_writable: bool,
    /// A small init of ours is process 1; it passes signals on and reaps.
    pub init: bool,
    /// AppArmor profile, where the kernel has AppArmor.
    pub apparmor: String,
}

/// A device of the host in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostDevice {
    /// On the host: a node, or a directory of nodes.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Some of `rwm`.
    pub access: String,
}

/// Devices by driver (`--gpus`), or by name when the driver is `cdi`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// Which; empty: any that can do it.
    pub driver: String,
    /// How many; −1: all.
    pub count: i64,
    /// Or these.
    pub ids: Vec<String>,
    /// What they must be able to do: all words of one of these lists.
    pub capabilities: Vec<Vec<String>>,
}

/// Limits of block devices by path on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockIo {
    /// Relative weight, 10-1000; 0: none.
    pub weight: u16,
    /// Weights of devices.
    pub weights: Vec<(String, u16)>,
    /// Bytes read per second.
    pub read_bps: Vec<(String, u64)>,
    /// Bytes written per second.
    pub write_bps: Vec<(String, u64)>,
    /// Reads per second.
    pub read_iops: Vec<(String, u64)>,
    /// Writes per second.
    pub write_iops: Vec<(String, u64)>,
}

/// The files of an image in a container that was made from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageMount {
    /// The image as it was asked for.
    pub image: String,
    /// In the container, absolute.
    pub target: String,
    /// The image and its layers, once it is found.
    pub found: Option<(Digest, image::Snapshot)>,
}

/// A directory or file of the host in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the host, absolute.
    pub source: String,
    /// In the container, absolute.
    pub target: String,
    /// Cannot be written.
    pub read_only: bool,
    /// `rprivate`, …
    pub propagation: String,
    /// Make the source directory when it is missing (`-v`, not `--mount`).
    pub create: bool,
    /// Without the mounts below it.
    pub non_recursive: bool,
    /// Read-only without the mounts below it.
    pub read_only_here: bool,
    /// Read-only with all mounts below it, or not at all.
    pub read_only_whole: bool,
}

/// Which network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Loopback only.
    None,
    /// The host's.
    Host,
    /// The default bridge.
    #[default]
    Bridge,
    /// One of the user's, by name.
    Named(String),
    /// That of another container, as it was typed at first, then its id.
    Container(String),
}

/// A network to which a container is connected, and what is wished there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// The network's name, or its id as it was typed.
    pub network: String,
    /// What the container is called there, beside its name.
    pub aliases: Vec<String>,
    /// What it calls others there: `name:alias`.
    pub links: Vec<String>,
    /// An address of the user's choice.
    pub address: Option<std::net::Ipv4Addr>,
    /// A hardware address of the user's choice.
    pub mac: Option<[u8; 6]>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// The highest one's gateway is the container's.
    pub priority: i64,
}

/// Where output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Log {
    /// Nowhere.
    None,
    /// Docker's json-file.
    JsonFile {
        /// Bytes per file; 0: no limit.
        max_size: u64,
        /// Files kept.
        max_file: u32,
    },
}

impl Default for Log {
    /// 5 files of 20 MB: a log never fills the disk unless its owner says so.
    fn default() -> Self {
        Self::JsonFile {
            max_size: 20_000_000,
            max_file: 5,
        }
    }
}
