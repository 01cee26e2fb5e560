//! Commands: other. One row per command, one per flag; the texts are those of Docker's client.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const CONTEXT_CREATE: &[Flag] = &[
    flag(' ', "description", Kind::Text, "Description of the context"),
    flag(' ', "docker", Kind::Text, "set the docker endpoint (default [])"),
    flag(' ', "from", Kind::Text, "create context from a named context"),
];

#[rustfmt::skip]
const CONTEXT_INSPECT: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
];

#[rustfmt::skip]
const CONTEXT_LS: &[Flag] = &[
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('q', "quiet", Kind::Switch, "Only show context names"),
];

#[rustfmt::skip]
const CONTEXT_RM: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Force the removal of a context in use"),
];

#[rustfmt::skip]
const CONTEXT_UPDATE: &[Flag] = &[
    flag(' ', "description", Kind::Text, "Description of the context"),
    flag(' ', "docker", Kind::Text, "set the docker endpoint (default [])"),
];

#[rustfmt::skip]
const LOGIN: &[Flag] = &[
    flag('p', "password", Kind::Text, "Password or Personal Access Token (PAT)"),
    flag(' ', "password-stdin", Kind::Switch, "Take the Password or Personal Access Token (PAT) from stdin"),
    flag('u', "username", Kind::Text, "Username"),
];

#[rustfmt::skip]
const MANIFEST_ANNOTATE: &[Flag] = &[
    flag(' ', "arch", Kind::Text, "Set architecture"),
    flag(' ', "os", Kind::Text, "Set operating system"),
    flag(' ', "os-features", Kind::Strings, "Set operating system feature"),
    flag(' ', "os-version", Kind::Text, "Set operating system version"),
    flag(' ', "variant", Kind::Text, "Set architecture variant"),
];

#[rustfmt::skip]
const MANIFEST_CREATE: &[Flag] = &[
    flag('a', "amend", Kind::Switch, "Amend an existing manifest list"),
    flag(' ', "insecure", Kind::Switch, "Allow communication with an insecure registry"),
];

#[rustfmt::skip]
const MANIFEST_INSPECT: &[Flag] = &[
    flag(' ', "insecure", Kind::Switch, "Allow communication with an insecure registry"),
    flag('v', "verbose", Kind::Switch, "Output additional info including layers and platform"),
];

#[rustfmt::skip]
const MANIFEST_PUSH: &[Flag] = &[
    flag(' ', "insecure", Kind::Switch, "Allow push to an insecure registry"),
    flag('p', "purge", Kind::Switch, "Remove the local manifest list after push"),
];

#[rustfmt::skip]
const PLUGIN_CREATE: &[Flag] = &[
    flag(' ', "compress", Kind::Switch, "Compress the context using gzip"),
];

#[rustfmt::skip]
const PLUGIN_DISABLE: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Force the disable of an active plugin"),
];

#[rustfmt::skip]
const PLUGIN_ENABLE: &[Flag] = &[
    flag(' ', "timeout", Kind::Int, "HTTP client timeout (in seconds) (default 30)"),
];

#[rustfmt::skip]
const PLUGIN_INSPECT: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
];

#[rustfmt::skip]
const PLUGIN_INSTALL: &[Flag] = &[
    flag(' ', "alias", Kind::Text, "Local name for plugin"),
    flag(' ', "disable", Kind::Switch, "Do not enable the plugin on install"),
    flag(' ', "disable-content-trust", Kind::Switch, "Skip image verification (default true)"),
    flag(' ', "grant-all-permissions", Kind::Switch, "Grant all permissions necessary to run the plugin"),
];

#[rustfmt::skip]
const PLUGIN_LS: &[Flag] = &[
    flag('f', "filter", Kind::Filter, "Provide filter values (e.g. \"enabled=true\")"),
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag(' ', "no-trunc", Kind::Switch, "Don't truncate output"),
    flag('q', "quiet", Kind::Switch, "Only display plugin IDs"),
];

#[rustfmt::skip]
const PLUGIN_PUSH: &[Flag] = &[
    flag(' ', "disable-content-trust", Kind::Switch, "Skip image signing (default true)"),
];

#[rustfmt::skip]
const PLUGIN_RM: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Force the removal of an active plugin"),
];

#[rustfmt::skip]
const PLUGIN_UPGRADE: &[Flag] = &[
    flag(' ', "disable-content-trust", Kind::Switch, "Skip image verification (default true)"),
    flag(' ', "grant-all-permissions", Kind::Switch, "Grant all permissions necessary to run the plugin"),
    flag(' ', "skip-remote-check", Kind::Switch, "Do not check if specified remote plugin matches existing plugin image"),
];

#[rustfmt::skip]
const SEARCH: &[Flag] = &[
    flag('f', "filter", Kind::Filter, "Filter output based on conditions provided"),
    flag(' ', "format", Kind::Text, "Pretty-print search using a Go template"),
    flag(' ', "limit", Kind::Int, "Max number of search results"),
    flag(' ', "no-trunc", Kind::Switch, "Don't truncate output"),
];

#[rustfmt::skip]
const SWARM_INIT: &[Flag] = &[
    flag(' ', "advertise-addr", Kind::Text, "Advertised address (format: \"<ip|interface>[:port]\")"),
    flag(' ', "autolock", Kind::Switch, "Enable manager autolocking (requiring an unlock key to start a stopped manager)"),
    flag(' ', "availability", Kind::Text, "Availability of the node (\"active\", \"pause\", \"drain\") (default \"active\")"),
    flag(' ', "cert-expiry", Kind::Duration, "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)"),
    flag(' ', "data-path-addr", Kind::Text, "Address or interface to use for data path traffic (format: \"<ip|interface>\")"),
    flag(' ', "data-path-port", Kind::Uint, "Port number to use for data path traffic (1024 - 49151). If no value is set or is set to 0, the default port (4789) is used."),
    flag(' ', "default-addr-pool", Kind::Strings, "default address pool in CIDR format (default [])"),
    flag(' ', "default-addr-pool-mask-length", Kind::Uint, "default address pool subnet mask length (default 24)"),
    flag(' ', "dispatcher-heartbeat", Kind::Duration, "Dispatcher heartbeat period (ns|us|ms|s|m|h) (default 5s)"),
    flag(' ', "external-ca", Kind::List, "Specifications of one or more certificate signing endpoints"),
    flag(' ', "force-new-cluster", Kind::Switch, "Force create a new cluster from current state"),
    flag(' ', "listen-addr", Kind::Text, "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)"),
    flag(' ', "max-snapshots", Kind::Uint, "Number of additional Raft snapshots to retain"),
    flag(' ', "snapshot-interval", Kind::Uint, "Number of log entries between Raft snapshots (default 10000)"),
    flag(' ', "task-history-limit", Kind::Int, "Task history retention limit (default 5)"),
];

#[rustfmt::skip]
const SWARM_JOIN: &[Flag] = &[
    flag(' ', "advertise-addr", Kind::Text, "Advertised address (format: \"<ip|interface>[:port]\")"),
    flag(' ', "availability", Kind::Text, "Availability of the node (\"active\", \"pause\", \"drain\") (default \"active\")"),
    flag(' ', "data-path-addr", Kind::Text, "Address or interface to use for data path traffic (format: \"<ip|interface>\")"),
    flag(' ', "listen-addr", Kind::Text, "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)"),
    flag(' ', "token", Kind::Text, "Token for entry into the swarm"),
];

#[rustfmt::skip]
const TRUST_INSPECT: &[Flag] = &[
    flag(' ', "pretty", Kind::Switch, "Print the information in a human friendly format"),
];

#[rustfmt::skip]
const TRUST_KEY_GENERATE: &[Flag] = &[
    flag(' ', "dir", Kind::Text, "Directory to generate key in, defaults to current directory"),
];

#[rustfmt::skip]
const TRUST_KEY_LOAD: &[Flag] = &[
    flag(' ', "name", Kind::Text, "Name for the loaded key (default \"signer\")"),
];

#[rustfmt::skip]
const TRUST_REVOKE: &[Flag] = &[
    flag('y', "yes", Kind::Switch, "Do not prompt for confirmation"),
];

#[rustfmt::skip]
const TRUST_SIGN: &[Flag] = &[
    flag(' ', "local", Kind::Switch, "Sign a locally tagged image"),
];

#[rustfmt::skip]
const TRUST_SIGNER_ADD: &[Flag] = &[
    flag(' ', "key", Kind::List, "Path to the signer's public key file"),
];

#[rustfmt::skip]
const TRUST_SIGNER_REMOVE: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Do not prompt for confirmation before removing the most recent signer"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["context create"], usage: &["[OPTIONS] CONTEXT"], about: "Create a context\n\nDocker endpoint config:\n\nNAME                DESCRIPTION\nfrom                Copy named context's Docker endpoint configuration\nhost                Docker endpoint on which to connect\nca                  Trust certs signed only by this CA\ncert                Path to TLS certificate file\nkey                 Path to TLS key file\nskip-tls-verify     Skip TLS certificate validation\n\nExample:\n\n$ docker context create my-context --description \"some description\" --docker \"host=tcp://myserver:2376,ca=~/ca-file,cert=~/cert-file,key=~/key-file\"", flags: &[CONTEXT_CREATE], args: Args::Exact(1), interspersed: true },
    Command { paths: &["context export"], usage: &["[OPTIONS] CONTEXT [FILE|-]"], about: "Export a context to a tar archive FILE or a tar stream on STDOUT.", flags: &[], args: Args::Range(1, 2), interspersed: true },
    Command { paths: &["context import"], usage: &["CONTEXT FILE|-"], about: "Import a context from a tar or zip file", flags: &[], args: Args::Exact(2), interspersed: true },
    Command { paths: &["context inspect"], usage: &["[OPTIONS] [CONTEXT] [CONTEXT...]"], about: "Display detailed information on one or more contexts", flags: &[CONTEXT_INSPECT], args: Args::Any, interspersed: true },
    Command { paths: &["context ls", "context list"], usage: &["[OPTIONS]"], about: "List contexts", flags: &[CONTEXT_LS], args: Args::None, interspersed: true },
    Command { paths: &["context rm", "context remove"], usage: &["CONTEXT [CONTEXT...]"], about: "Remove one or more contexts", flags: &[CONTEXT_RM], args: Args::Min(1), interspersed: true },
    Command { paths: &["context show"], usage: &[""], about: "Print the name of the current context", flags: &[], args: Args::None, interspersed: true },
    Command { paths: &["context update"], usage: &["[OPTIONS] CONTEXT"], about: "Update a context\n\nDocker endpoint config:\n\nNAME                DESCRIPTION\nfrom                Copy named context's Docker endpoint configuration\nhost                Docker endpoint on which to connect\nca                  Trust certs signed only by this CA\ncert                Path to TLS certificate file\nkey                 Path to TLS key file\nskip-tls-verify     Skip TLS certificate validation\n\nExample:\n\n$ docker context update my-context --description \"some description\" --docker \"host=tcp://myserver:2376,ca=~/ca-file,cert=~/cert-file,key=~/key-file\"", flags: &[CONTEXT_UPDATE], args: Args::Exact(1), interspersed: true },
    Command { paths: &["context use"], usage: &["CONTEXT"], about: "Set the current docker context", flags: &[], args: Args::Exact(1), interspersed: true },
    Command { paths: &["login"], usage: &["[OPTIONS] [SERVER]"], about: "Authenticate to a registry\nDefaults to Docker Hub if no server is specified.", flags: &[LOGIN], args: Args::Max(1), interspersed: true },
    Command { paths: &["logout"], usage: &["[SERVER]"], about: "Log out from a registry\nIf no server is specified, the default is defined by the daemon.", flags: &[], args: Args::Max(1), interspersed: true },
    Command { paths: &["manifest annotate"], usage: &["[OPTIONS] MANIFEST_LIST MANIFEST"], about: "Add additional information to a local image manifest\n\nEXPERIMENTAL:\n  docker manifest annotate is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/", flags: &[MANIFEST_ANNOTATE], args: Args::Exact(2), interspersed: true },
    Command { paths: &["manifest create"], usage: &["MANIFEST_LIST MANIFEST [MANIFEST...]"], about: "Create a local manifest list for annotating and pushing to a registry\n\nEXPERIMENTAL:\n  docker manifest create is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/", flags: &[MANIFEST_CREATE], args: Args::Min(2), interspersed: true },
    Command { paths: &["manifest inspect"], usage: &["[OPTIONS] [MANIFEST_LIST] MANIFEST"], about: "Display an image manifest, or manifest list\n\nEXPERIMENTAL:\n  docker manifest inspect is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/", flags: &[MANIFEST_INSPECT], args: Args::Min(1), interspersed: true },
    Command { paths: &["manifest push"], usage: &["[OPTIONS] MANIFEST_LIST"], about: "Push a manifest list to a repository\n\nEXPERIMENTAL:\n  docker manifest push is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/", flags: &[MANIFEST_PUSH], args: Args::Exact(1), interspersed: true },
    Command { paths: &["manifest rm"], usage: &["MANIFEST_LIST [MANIFEST_LIST...]"], about: "Delete one or more manifest lists from local storage\n\nEXPERIMENTAL:\n  docker manifest rm is an experimental feature.\n  Experimental features provide early access to product functionality. These\n  features may change between releases without warning, or can be removed from a\n  future release. Learn more about experimental features in our documentation:\n  https://docs.docker.com/go/experimental/", flags: &[], args: Args::Min(1), interspersed: true },
    Command { paths: &["plugin create"], usage: &["[OPTIONS] PLUGIN PLUGIN-DATA-DIR"], about: "Create a plugin from a rootfs and configuration. Plugin data directory must contain config.json and rootfs directory.", flags: &[PLUGIN_CREATE], args: Args::Min(2), interspersed: true },
    Command { paths: &["plugin disable"], usage: &["[OPTIONS] PLUGIN"], about: "Disable a plugin", flags: &[PLUGIN_DISABLE], args: Args::Exact(1), interspersed: true },
    Command { paths: &["plugin enable"], usage: &["[OPTIONS] PLUGIN"], about: "Enable a plugin", flags: &[PLUGIN_ENABLE], args: Args::Exact(1), interspersed: true },
    Command { paths: &["plugin inspect"], usage: &["[OPTIONS] PLUGIN [PLUGIN...]"], about: "Display detailed information on one or more plugins", flags: &[PLUGIN_INSPECT], args: Args::Min(1), interspersed: true },
    Command { paths: &["plugin install"], usage: &["[OPTIONS] PLUGIN [KEY=VALUE...]"], about: "Install a plugin", flags: &[PLUGIN_INSTALL], args: Args::Min(1), interspersed: true },
    Command { paths: &["plugin ls", "plugin list"], usage: &["[OPTIONS]"], about: "List plugins", flags: &[PLUGIN_LS], args: Args::None, interspersed: true },
    Command { paths: &["plugin push"], usage: &["[OPTIONS] PLUGIN[:TAG]"], about: "Push a plugin to a registry", flags: &[PLUGIN_PUSH], args: Args::Exact(1), interspersed: true },
    Command { paths: &["plugin rm", "plugin remove"], usage: &["[OPTIONS] PLUGIN [PLUGIN...]"], about: "Remove one or more plugins", flags: &[PLUGIN_RM], args: Args::Min(1), interspersed: true },
    Command { paths: &["plugin set"], usage: &["PLUGIN KEY=VALUE [KEY=VALUE...]"], about: "Change settings for a plugin", flags: &[], args: Args::Min(2), interspersed: true },
    Command { paths: &["plugin upgrade"], usage: &["[OPTIONS] PLUGIN [REMOTE]"], about: "Upgrade an existing plugin", flags: &[PLUGIN_UPGRADE], args: Args::Range(1, 2), interspersed: true },
    Command { paths: &["search"], usage: &["[OPTIONS] TERM"], about: "Search Docker Hub for images", flags: &[SEARCH], args: Args::Exact(1), interspersed: true },
    Command { paths: &["swarm init"], usage: &["[OPTIONS]"], about: "Initialize a swarm", flags: &[SWARM_INIT], args: Args::None, interspersed: true },
    Command { paths: &["swarm join"], usage: &["[OPTIONS] HOST:PORT"], about: "Join a swarm as a node and/or manager", flags: &[SWARM_JOIN], args: Args::Exact(1), interspersed: true },
    Command { paths: &["trust inspect"], usage: &["IMAGE[:TAG] [IMAGE[:TAG]...]"], about: "Return low-level information about keys and signatures", flags: &[TRUST_INSPECT], args: Args::Any, interspersed: true },
    Command { paths: &["trust key generate"], usage: &["NAME"], about: "Generate and load a signing key-pair", flags: &[TRUST_KEY_GENERATE], args: Args::Any, interspersed: true },
    Command { paths: &["trust key load"], usage: &["[OPTIONS] KEYFILE"], about: "Load a private key file for signing", flags: &[TRUST_KEY_LOAD], args: Args::Any, interspersed: true },
    Command { paths: &["trust revoke"], usage: &["[OPTIONS] IMAGE[:TAG]"], about: "Remove trust for an image", flags: &[TRUST_REVOKE], args: Args::Any, interspersed: true },
    Command { paths: &["trust sign"], usage: &["IMAGE:TAG"], about: "Sign an image", flags: &[TRUST_SIGN], args: Args::Any, interspersed: true },
    Command { paths: &["trust signer add"], usage: &["OPTIONS NAME REPOSITORY [REPOSITORY...]"], about: "Add a signer", flags: &[TRUST_SIGNER_ADD], args: Args::Any, interspersed: true },
    Command { paths: &["trust signer remove"], usage: &["[OPTIONS] NAME REPOSITORY [REPOSITORY...]"], about: "Remove a signer", flags: &[TRUST_SIGNER_REMOVE], args: Args::Any, interspersed: true },
];
