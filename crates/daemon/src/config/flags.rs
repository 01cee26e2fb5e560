//! Pure: the daemon's flags as data: those that are obeyed, and those that are known.

/// A flag: its long name, its letter, whether it takes a value, and what it does.
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    pub(super) value: bool,
    pub(super) help: &'static str,
}

const fn value(name: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        value: true,
        help,
    }
}

const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        value: false,
        help,
    }
}

impl Flag {
    const fn or(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }
}

#[rustfmt::skip]
pub(super) const FLAGS: &[Flag] = &[
    value("host", "Daemon socket(s) to connect to").or('H'),
    value("data-root", "Root directory of persistent state"),
    value("exec-root", "Root directory for execution state files"),
    value("pidfile", "Path to use for daemon PID file").or('p'),
    value("config-file", "Daemon configuration file"),
    value("bridge", "Attach containers to a network bridge, made when missing; \"none\" for none").or('b'),
    value("bip", "Address of the default bridge with prefix length"),
    switch("iptables", "Enable addition of firewall rules (default true)"),
    value("insecure-registry", "Registry (or network) that may be talked to without verified TLS"),
    value("registry-mirror", "Preferred registry mirror of Docker Hub"),
    value("max-concurrent-downloads", "Layers that are pulled at once (default 6)"),
    value("max-concurrent-uploads", "Layers that are pushed at once (default 5)"),
    value("max-download-attempts", "Attempts for each pull of a layer (default 5)"),
    value("http-proxy", "HTTP proxy URL for registries"),
    value("https-proxy", "HTTPS proxy URL for registries"),
    value("no-proxy", "Hosts that are reached without proxy"),
    switch("debug", "Enable debug mode").or('D'),
    value("log-level", "Set the logging level: debug, info, warn, error, fatal (default info)").or('l'),
    value("label", "Set key=value labels to the daemon"),
    value("metrics-addr", "Address and port to serve the metrics on, for Prometheus"),
    switch("validate", "Validate the configuration and exit"),
    switch("on-demand", "Started by a client that needs it"),
    switch("help", "Print usage"),
    switch("version", "Print version information and quit").or('v'),
];

/// Legal flags of dockerd's that have no meaning here, and why: said once, and gone on.
#[rustfmt::skip]
pub(super) const MEANINGLESS: &[Flag] = &[
    value("containerd", "containers need no containerd"),
    value("containerd-namespace", "containers need no containerd"),
    value("containerd-plugins-namespace", "containers need no containerd"),
    switch("cri-containerd", "containers need no containerd"),
    switch("experimental", "nothing is hidden behind it"),
    switch("live-restore", "containers always outlive the daemon"),
    value("network-control-plane-mtu", "there is no swarm"),
    value("network-diagnostic-port", "there is no swarm"),
    value("node-generic-resource", "there is no swarm"),
    switch("raw-logs", "the log has no colours and no escapes"),
    switch("restart", "restart policies say what is started again"),
    switch("rootless", "it is for dockerd's own wrapper"),
    value("shutdown-timeout", "containers are not stopped with the daemon"),
    value("swarm-default-advertise-addr", "there is no swarm"),
];

/// Flags of dockerd's that are known and not built yet; their names only, so that a typo is still
/// told from them.
pub(super) const NOT_YET: &[&str] = &[
    "add-runtime",
    "allow-direct-routing",
    "authorization-plugin",
    "bip6",
    "bridge-accept-fwmark",
    "cdi-spec-dir",
    "cgroup-parent",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "default-address-pool",
    "default-cgroupns-mode",
    "default-gateway",
    "default-gateway-v6",
    "default-ipc-mode",
    "default-network-opt",
    "default-runtime",
    "default-shm-size",
    "default-stop-timeout",
    "default-ulimit",
    "dns",
    "dns-opt",
    "dns-search",
    "exec-opt",
    "feature",
    "firewall-backend",
    "fixed-cidr",
    "fixed-cidr-v6",
    "group",
    "host-gateway-ip",
    "icc",
    "init",
    "init-path",
    "ip",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "ipv6",
    "log-driver",
    "log-format",
    "log-opt",
    "mtu",
    "no-new-privileges",
    "nri-opts",
    "oom-score-adjust",
    "seccomp-profile",
    "selinux-enabled",
    "storage-driver",
    "storage-opt",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userland-proxy-path",
    "userns-remap",
];
