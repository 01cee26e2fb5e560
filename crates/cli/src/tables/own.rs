//! Commands: those that Docker lacks.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const IMAGE_FROM_HOST: &[Flag] = &[
    flag('t', "tag", Kind::Text, "Name and optionally a tag (format: \"name:tag\")"),
];

/// The server reads its own words: this is what its help says.
#[rustfmt::skip]
const REGISTRY_SERVE: &[Flag] = &[
    flag(' ', "addr", Kind::Text, "Where to listen (default \"127.0.0.1:5000\")"),
    flag(' ', "config", Kind::Text, "A file of settings (TOML)"),
    flag(' ', "htpasswd", Kind::Text, "Accounts: lines of name:bcrypt"),
    flag(' ', "root", Kind::Text, "Where content is kept (default \"/var/lib/wharf-registry\")"),
    flag(' ', "tls-cert", Kind::Text, "Certificate chain (PEM): serve https"),
    flag(' ', "tls-key", Kind::Text, "Its key (PEM)"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["image from-host"], usage: &["[OPTIONS] PROGRAM [PROGRAM...]"], about: "Make an image of this machine's programs and the libraries they need", flags: &[IMAGE_FROM_HOST], args: Args::Min(1), interspersed: true },
    Command { paths: &["registry serve"], usage: &["[OPTIONS]"], about: "Serve images to docker, podman and others", flags: &[REGISTRY_SERVE], args: Args::None, interspersed: true },
    Command { paths: &["system trace"], usage: &["CONTAINER"], about: "Show where the time went when a container started", flags: &[], args: Args::Exact(1), interspersed: true },
];
