//! Commands: container. One row per command, one per flag; the texts are those of Docker's client.

use super::{Args, Command, Flag, Kind, flag, hidden};

#[rustfmt::skip]
const CONTAINER_ATTACH: &[Flag] = &[
    flag(' ', "detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    flag(' ', "no-stdin", Kind::Switch, "Do not attach STDIN"),
    flag(' ', "sig-proxy", Kind::Switch, "Proxy all received signals to the process (default true)"),
];

#[rustfmt::skip]
const CONTAINER_COMMIT: &[Flag] = &[
    flag('a', "author", Kind::Text, "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"),
    flag('c', "change", Kind::List, "Apply Dockerfile instruction to the created image"),
    flag('m', "message", Kind::Text, "Commit message"),
    flag('p', "pause", Kind::Switch, "Pause container during commit (default true)"),
];

#[rustfmt::skip]
const CONTAINER_CP: &[Flag] = &[
    flag('a', "archive", Kind::Switch, "Archive mode (copy all uid/gid information)"),
    flag('L', "follow-link", Kind::Switch, "Always follow symbol link in SRC_PATH"),
    flag('q', "quiet", Kind::Switch, "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached"),
];

#[rustfmt::skip]
const CONTAINER_EXEC: &[Flag] = &[
    flag('d', "detach", Kind::Switch, "Detached mode: run command in the background"),
    flag(' ', "detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    flag('e', "env", Kind::Env, "Set environment variables"),
    flag(' ', "env-file", Kind::List, "Read in a file of environment variables"),
    flag('i', "interactive", Kind::Switch, "Keep STDIN open even if not attached"),
    flag(' ', "privileged", Kind::Switch, "Give extended privileges to the command"),
    flag('t', "tty", Kind::Switch, "Allocate a pseudo-TTY"),
    flag('u', "user", Kind::Text, "Username or UID (format: \"<name|uid>[:<group|gid>]\")"),
    flag('w', "workdir", Kind::Text, "Working directory inside the container"),
];

#[rustfmt::skip]
const CONTAINER_EXPORT: &[Flag] = &[
    flag('o', "output", Kind::Text, "Write to a file, instead of STDOUT"),
];

#[rustfmt::skip]
const CONTAINER_INSPECT: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('s', "size", Kind::Switch, "Display total file sizes"),
];

#[rustfmt::skip]
const CONTAINER_KILL: &[Flag] = &[
    flag('s', "signal", Kind::Text, "Signal to send to the container"),
];

#[rustfmt::skip]
const CONTAINER_LOGS: &[Flag] = &[
    flag(' ', "details", Kind::Switch, "Show extra details provided to logs"),
    flag('f', "follow", Kind::Switch, "Follow log output"),
    hidden("grep", Kind::Text, "Only lines that contain this text"),
    flag(' ', "since", Kind::Text, "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"),
    flag('n', "tail", Kind::Text, "Number of lines to show from the end of the logs (default \"all\")"),
    flag('t', "timestamps", Kind::Switch, "Show timestamps"),
    flag(' ', "until", Kind::Text, "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"),
];

#[rustfmt::skip]
const CONTAINER_LS: &[Flag] = &[
    flag('a', "all", Kind::Switch, "Show all containers (default shows just running)"),
    flag('f', "filter", Kind::Filter, "Filter output based on conditions provided"),
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('n', "last", Kind::Int, "Show n last created containers (includes all states) (default -1)"),
    flag('l', "latest", Kind::Switch, "Show the latest created container (includes all states)"),
    flag(' ', "no-trunc", Kind::Switch, "Don't truncate output"),
    flag('q', "quiet", Kind::Switch, "Only display container IDs"),
    flag('s', "size", Kind::Switch, "Display total file sizes"),
    hidden("tree", Kind::Switch, "Show the processes of each container"),
];

#[rustfmt::skip]
const CONTAINER_PRUNE: &[Flag] = &[
    flag(' ', "filter", Kind::Filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    flag('f', "force", Kind::Switch, "Do not prompt for confirmation"),
];

#[rustfmt::skip]
const CONTAINER_RESTART: &[Flag] = &[
    flag('s', "signal", Kind::Text, "Signal to send to the container"),
    flag('t', "timeout", Kind::Int, "Seconds to wait before killing the container"),
    hidden("time", Kind::Int, "Seconds to wait before killing the container"),
];

#[rustfmt::skip]
const CONTAINER_RM: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Force the removal of a running container (uses SIGKILL)"),
    flag('l', "link", Kind::Switch, "Remove the specified link"),
    flag('v', "volumes", Kind::Switch, "Remove anonymous volumes associated with the container"),
];

#[rustfmt::skip]
const CREATE: &[Flag] = &[
    flag(' ', "add-host", Kind::ExtraHost, "Add a custom host-to-IP mapping (host:ip)"),
    flag(' ', "annotation", Kind::Map, "Add an annotation to the container (passed through to the OCI runtime) (default map[])"),
    flag('a', "attach", Kind::Attach, "Attach to STDIN, STDOUT or STDERR"),
    flag(' ', "blkio-weight", Kind::Uint16, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
    flag(' ', "blkio-weight-device", Kind::WeightDevice, "Block IO weight (relative device weight) (default [])"),
    flag(' ', "cap-add", Kind::List, "Add Linux capabilities"),
    flag(' ', "cap-drop", Kind::List, "Drop Linux capabilities"),
    flag(' ', "cgroup-parent", Kind::Text, "Optional parent cgroup for the container"),
    flag(' ', "cgroupns", Kind::Text, "Cgroup namespace to use (host|private)\n'host':    Run the container in the Docker host's cgroup namespace\n'private': Run the container in its own private cgroup namespace\n'':        Use the cgroup namespace as configured by the\n           default-cgroupns-mode option on the daemon (default)"),
    flag(' ', "cidfile", Kind::Text, "Write the container ID to the file"),
    flag(' ', "cpu-period", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) period"),
    flag(' ', "cpu-quota", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    flag(' ', "cpu-rt-period", Kind::Int, "Limit CPU real-time period in microseconds"),
    flag(' ', "cpu-rt-runtime", Kind::Int, "Limit CPU real-time runtime in microseconds"),
    flag('c', "cpu-shares", Kind::Int, "CPU shares (relative weight)"),
    flag(' ', "cpus", Kind::Decimal, "Number of CPUs"),
    flag(' ', "cpuset-cpus", Kind::Text, "CPUs in which to allow execution (0-3, 0,1)"),
    flag(' ', "cpuset-mems", Kind::Text, "MEMs in which to allow execution (0-3, 0,1)"),
    flag(' ', "device", Kind::Device, "Add a host device to the container"),
    flag(' ', "device-cgroup-rule", Kind::DeviceRule, "Add a rule to the cgroup allowed devices list"),
    flag(' ', "device-read-bps", Kind::RateBytes, "Limit read rate (bytes per second) from a device (default [])"),
    flag(' ', "device-read-iops", Kind::RateCount, "Limit read rate (IO per second) from a device (default [])"),
    flag(' ', "device-write-bps", Kind::RateBytes, "Limit write rate (bytes per second) to a device (default [])"),
    flag(' ', "device-write-iops", Kind::RateCount, "Limit write rate (IO per second) to a device (default [])"),
    flag(' ', "disable-content-trust", Kind::Switch, "Skip image verification (default true)"),
    flag(' ', "dns", Kind::IpList, "Set custom DNS servers"),
    flag(' ', "dns-option", Kind::List, "Set DNS options"),
    flag(' ', "dns-search", Kind::List, "Set custom DNS search domains"),
    flag(' ', "domainname", Kind::Text, "Container NIS domain name"),
    flag(' ', "entrypoint", Kind::Text, "Overwrite the default ENTRYPOINT of the image"),
    flag('e', "env", Kind::Env, "Set environment variables"),
    flag(' ', "env-file", Kind::List, "Read in a file of environment variables"),
    flag(' ', "expose", Kind::List, "Expose a port or a range of ports"),
    flag(' ', "gpus", Kind::Gpu, "GPU devices to add to the container ('all' to pass all GPUs)"),
    flag(' ', "group-add", Kind::List, "Add additional groups to join"),
    flag(' ', "health-cmd", Kind::Text, "Command to run to check health"),
    flag(' ', "health-interval", Kind::Duration, "Time between running the check (ms|s|m|h) (default 0s)"),
    flag(' ', "health-retries", Kind::Int, "Consecutive failures needed to report unhealthy"),
    flag(' ', "health-start-interval", Kind::Duration, "Time between running the check during the start period (ms|s|m|h) (default 0s)"),
    flag(' ', "health-start-period", Kind::Duration, "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)"),
    flag(' ', "health-timeout", Kind::Duration, "Maximum time to allow one check to run (ms|s|m|h) (default 0s)"),
    flag('h', "hostname", Kind::Text, "Container host name"),
    flag(' ', "init", Kind::Switch, "Run an init inside the container that forwards signals and reaps processes"),
    flag('i', "interactive", Kind::Switch, "Keep STDIN open even if not attached"),
    flag(' ', "ip", Kind::Text, "IPv4 address (e.g., 172.30.100.104)"),
    flag(' ', "ip6", Kind::Text, "IPv6 address (e.g., 2001:db8::33)"),
    flag(' ', "ipc", Kind::Text, "IPC mode to use"),
    flag(' ', "isolation", Kind::Text, "Container isolation technology"),
    flag(' ', "kernel-memory", Kind::Bytes, "Kernel memory limit"),
    flag('l', "label", Kind::Label, "Set meta data on a container"),
    flag(' ', "label-file", Kind::List, "Read in a line delimited file of labels"),
    flag(' ', "link", Kind::Link, "Add link to another container"),
    flag(' ', "link-local-ip", Kind::List, "Container IPv4/IPv6 link-local addresses"),
    flag(' ', "log-driver", Kind::Text, "Logging driver for the container"),
    flag(' ', "log-opt", Kind::List, "Log driver options"),
    flag(' ', "mac-address", Kind::Text, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    flag('m', "memory", Kind::Bytes, "Memory limit"),
    flag(' ', "memory-reservation", Kind::Bytes, "Memory soft limit"),
    flag(' ', "memory-swap", Kind::MemorySwap, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    flag(' ', "memory-swappiness", Kind::Int, "Tune container memory swappiness (0 to 100) (default -1)"),
    flag(' ', "mount", Kind::Mount, "Attach a filesystem mount to the container"),
    flag(' ', "name", Kind::Text, "Assign a name to the container"),
    flag(' ', "network", Kind::Network, "Connect a container to a network"),
    flag(' ', "network-alias", Kind::List, "Add network-scoped alias for the container"),
    flag(' ', "no-healthcheck", Kind::Switch, "Disable any container-specified HEALTHCHECK"),
    flag(' ', "oom-kill-disable", Kind::Switch, "Disable OOM Killer"),
    flag(' ', "oom-score-adj", Kind::Int, "Tune host's OOM preferences (-1000 to 1000)"),
    flag(' ', "pid", Kind::Text, "PID namespace to use"),
    flag(' ', "pids-limit", Kind::Int, "Tune container pids limit (set -1 for unlimited)"),
    flag(' ', "platform", Kind::Text, "Set platform if server is multi-platform capable"),
    flag(' ', "privileged", Kind::Switch, "Give extended privileges to this container"),
    flag('p', "publish", Kind::List, "Publish a container's port(s) to the host"),
    flag('P', "publish-all", Kind::Switch, "Publish all exposed ports to random ports"),
    flag(' ', "pull", Kind::Text, "Pull image before running (\"always\", \"missing\", \"never\") (default \"missing\")"),
    flag('q', "quiet", Kind::Switch, "Suppress the pull output"),
    flag(' ', "read-only", Kind::Switch, "Mount the container's root filesystem as read only"),
    flag(' ', "restart", Kind::Text, "Restart policy to apply when a container exits (default \"no\")"),
    flag(' ', "rm", Kind::Switch, "Automatically remove the container and its associated anonymous volumes when it exits"),
    flag(' ', "runtime", Kind::Text, "Runtime to use for this container"),
    flag(' ', "security-opt", Kind::List, "Security Options"),
    flag(' ', "shm-size", Kind::Bytes, "Size of /dev/shm"),
    flag(' ', "stop-signal", Kind::Text, "Signal to stop the container"),
    flag(' ', "stop-timeout", Kind::Int, "Timeout (in seconds) to stop a container"),
    flag(' ', "storage-opt", Kind::List, "Storage driver options for the container"),
    flag(' ', "sysctl", Kind::Sysctl, "Sysctl options (default map[])"),
    flag(' ', "tmpfs", Kind::List, "Mount a tmpfs directory"),
    flag('t', "tty", Kind::Switch, "Allocate a pseudo-TTY"),
    flag(' ', "ulimit", Kind::Ulimit, "Ulimit options (default [])"),
    flag(' ', "use-api-socket", Kind::Switch, "Bind mount Docker API socket and required auth"),
    flag('u', "user", Kind::Text, "Username or UID (format: <name|uid>[:<group|gid>])"),
    flag(' ', "userns", Kind::Text, "User namespace to use"),
    flag(' ', "uts", Kind::Text, "UTS namespace to use"),
    flag('v', "volume", Kind::List, "Bind mount a volume"),
    flag(' ', "volume-driver", Kind::Text, "Optional volume driver for the container"),
    flag(' ', "volumes-from", Kind::List, "Mount volumes from the specified container(s)"),
    flag('w', "workdir", Kind::Text, "Working directory inside the container"),
    hidden("net", Kind::Network, ""),
    hidden("net-alias", Kind::List, ""),
    hidden("dns-opt", Kind::List, ""),
    hidden("cpu-count", Kind::Int, "CPU count (Windows only)"),
    hidden("cpu-percent", Kind::Int, "CPU percent (Windows only)"),
    hidden("io-maxbandwidth", Kind::Bytes, "Maximum IO bandwidth limit for the system drive (Windows only)"),
    hidden("io-maxiops", Kind::Uint, "Maximum IOps limit for the system drive (Windows only)"),
];

#[rustfmt::skip]
const RUN: &[Flag] = &[
    flag('d', "detach", Kind::Switch, "Run container in background and print container ID"),
    flag(' ', "detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    flag(' ', "sig-proxy", Kind::Switch, "Proxy received signals to the process (default true)"),
];

#[rustfmt::skip]
const CONTAINER_START: &[Flag] = &[
    flag('a', "attach", Kind::Switch, "Attach STDOUT/STDERR and forward signals"),
    flag(' ', "detach-keys", Kind::Text, "Override the key sequence for detaching a container"),
    flag('i', "interactive", Kind::Switch, "Attach container's STDIN"),
];

#[rustfmt::skip]
const CONTAINER_STATS: &[Flag] = &[
    flag('a', "all", Kind::Switch, "Show all containers (default shows just running)"),
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag(' ', "no-stream", Kind::Switch, "Disable streaming stats and only pull the first result"),
    flag(' ', "no-trunc", Kind::Switch, "Do not truncate output"),
];

#[rustfmt::skip]
const CONTAINER_STOP: &[Flag] = &[
    flag('s', "signal", Kind::Text, "Signal to send to the container"),
    flag('t', "timeout", Kind::Int, "Seconds to wait before killing the container"),
    hidden("time", Kind::Int, "Seconds to wait before killing the container"),
];

#[rustfmt::skip]
const CONTAINER_UPDATE: &[Flag] = &[
    flag(' ', "blkio-weight", Kind::Uint16, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
    flag(' ', "cpu-period", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) period"),
    flag(' ', "cpu-quota", Kind::Int, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    flag(' ', "cpu-rt-period", Kind::Int, "Limit the CPU real-time period in microseconds"),
    flag(' ', "cpu-rt-runtime", Kind::Int, "Limit the CPU real-time runtime in microseconds"),
    flag('c', "cpu-shares", Kind::Int, "CPU shares (relative weight)"),
    flag(' ', "cpus", Kind::Decimal, "Number of CPUs"),
    flag(' ', "cpuset-cpus", Kind::Text, "CPUs in which to allow execution (0-3, 0,1)"),
    flag(' ', "cpuset-mems", Kind::Text, "MEMs in which to allow execution (0-3, 0,1)"),
    flag('m', "memory", Kind::Bytes, "Memory limit"),
    flag(' ', "memory-reservation", Kind::Bytes, "Memory soft limit"),
    flag(' ', "memory-swap", Kind::MemorySwap, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    flag(' ', "pids-limit", Kind::Int, "Tune container pids limit (set -1 for unlimited)"),
    flag(' ', "restart", Kind::Text, "Restart policy to apply when a container exits"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["container attach", "attach"], usage: &["[OPTIONS] CONTAINER"], about: "Attach local standard input, output, and error streams to a running container", flags: &[CONTAINER_ATTACH], args: Args::Exact(1), interspersed: true },
    Command { paths: &["container commit", "commit"], usage: &["[OPTIONS] CONTAINER [REPOSITORY[:TAG]]"], about: "Create a new image from a container's changes", flags: &[CONTAINER_COMMIT], args: Args::Range(1, 2), interspersed: true },
    Command { paths: &["container cp", "cp"], usage: &["[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-", "[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"], about: "Copy files/folders between a container and the local filesystem\n\nUse '-' as the source to read a tar archive from stdin\nand extract it to a directory destination in a container.\nUse '-' as the destination to stream a tar archive of a\ncontainer source to stdout.", flags: &[CONTAINER_CP], args: Args::Exact(2), interspersed: true },
    Command { paths: &["container create", "create"], usage: &["[OPTIONS] IMAGE [COMMAND] [ARG...]"], about: "Create a new container", flags: &[CREATE], args: Args::Min(1), interspersed: false },
    Command { paths: &["container diff", "diff"], usage: &["CONTAINER"], about: "Inspect changes to files or directories on a container's filesystem", flags: &[], args: Args::Exact(1), interspersed: true },
    Command { paths: &["container exec", "exec"], usage: &["[OPTIONS] CONTAINER COMMAND [ARG...]"], about: "Execute a command in a running container", flags: &[CONTAINER_EXEC], args: Args::Min(2), interspersed: false },
    Command { paths: &["container export", "export"], usage: &["[OPTIONS] CONTAINER"], about: "Export a container's filesystem as a tar archive", flags: &[CONTAINER_EXPORT], args: Args::Exact(1), interspersed: true },
    Command { paths: &["container inspect"], usage: &["[OPTIONS] CONTAINER [CONTAINER...]"], about: "Display detailed information on one or more containers", flags: &[CONTAINER_INSPECT], args: Args::Min(1), interspersed: true },
    Command { paths: &["container kill", "kill"], usage: &["[OPTIONS] CONTAINER [CONTAINER...]"], about: "Kill one or more running containers", flags: &[CONTAINER_KILL], args: Args::Min(1), interspersed: true },
    Command { paths: &["container logs", "logs"], usage: &["[OPTIONS] CONTAINER"], about: "Fetch the logs of a container", flags: &[CONTAINER_LOGS], args: Args::Exact(1), interspersed: true },
    Command { paths: &["container ls", "container list", "container ps", "ps"], usage: &["[OPTIONS]"], about: "List containers", flags: &[CONTAINER_LS], args: Args::None, interspersed: true },
    Command { paths: &["container pause", "pause"], usage: &["CONTAINER [CONTAINER...]"], about: "Pause all processes within one or more containers", flags: &[], args: Args::Min(1), interspersed: true },
    Command { paths: &["container port", "port"], usage: &["CONTAINER [PRIVATE_PORT[/PROTO]]"], about: "List port mappings or a specific mapping for the container", flags: &[], args: Args::Range(1, 2), interspersed: true },
    Command { paths: &["container prune"], usage: &["[OPTIONS]"], about: "Remove all stopped containers", flags: &[CONTAINER_PRUNE], args: Args::None, interspersed: true },
    Command { paths: &["container rename", "rename"], usage: &["CONTAINER NEW_NAME"], about: "Rename a container", flags: &[], args: Args::Exact(2), interspersed: true },
    Command { paths: &["container restart", "restart"], usage: &["[OPTIONS] CONTAINER [CONTAINER...]"], about: "Restart one or more containers", flags: &[CONTAINER_RESTART], args: Args::Min(1), interspersed: true },
    Command { paths: &["container rm", "container remove", "rm"], usage: &["[OPTIONS] CONTAINER [CONTAINER...]"], about: "Remove one or more containers", flags: &[CONTAINER_RM], args: Args::Min(1), interspersed: true },
    Command { paths: &["container run", "run"], usage: &["[OPTIONS] IMAGE [COMMAND] [ARG...]"], about: "Create and run a new container from an image", flags: &[CREATE, RUN], args: Args::Min(1), interspersed: false },
    Command { paths: &["container start", "start"], usage: &["[OPTIONS] CONTAINER [CONTAINER...]"], about: "Start one or more stopped containers", flags: &[CONTAINER_START], args: Args::Min(1), interspersed: true },
    Command { paths: &["container stats", "stats"], usage: &["[OPTIONS] [CONTAINER...]"], about: "Display a live stream of container(s) resource usage statistics", flags: &[CONTAINER_STATS], args: Args::Any, interspersed: true },
    Command { paths: &["container stop", "stop"], usage: &["[OPTIONS] CONTAINER [CONTAINER...]"], about: "Stop one or more running containers", flags: &[CONTAINER_STOP], args: Args::Min(1), interspersed: true },
    Command { paths: &["container top", "top"], usage: &["CONTAINER [ps OPTIONS]"], about: "Display the running processes of a container", flags: &[], args: Args::Min(1), interspersed: false },
    Command { paths: &["container unpause", "unpause"], usage: &["CONTAINER [CONTAINER...]"], about: "Unpause all processes within one or more containers", flags: &[], args: Args::Min(1), interspersed: true },
    Command { paths: &["container update", "update"], usage: &["[OPTIONS] CONTAINER [CONTAINER...]"], about: "Update configuration of one or more containers", flags: &[CONTAINER_UPDATE], args: Args::Min(1), interspersed: true },
    Command { paths: &["container wait", "wait"], usage: &["CONTAINER [CONTAINER...]"], about: "Block until one or more containers stop, then print their exit codes", flags: &[], args: Args::Min(1), interspersed: true },
];
