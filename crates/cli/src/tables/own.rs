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
    flag(' ', "s3", Kind::Text, "A bucket for the content: s3://BUCKET[/PREFIX][?endpoint=URL&region=R]"),
    flag(' ', "tls-cert", Kind::Text, "Certificate chain (PEM): serve https"),
    flag(' ', "tls-key", Kind::Text, "Its key (PEM)"),
];

#[rustfmt::skip]
const VOLUME_EXPORT: &[Flag] = &[
    flag('o', "output", Kind::Text, "Write to a file, instead of STDOUT"),
];

#[rustfmt::skip]
const VOLUME_SNAPSHOT: &[Flag] = &[
    flag(' ', "live", Kind::Switch, "Do not pause the containers that use the volume"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["image from-host"], usage: &["[OPTIONS] PROGRAM [PROGRAM...]"], about: "Make an image of this machine's programs and the libraries they need", flags: &[IMAGE_FROM_HOST], args: Args::Min(1), interspersed: true },
    Command { paths: &["registry serve"], usage: &["[OPTIONS]"], about: "Serve images to docker, podman and others", flags: &[REGISTRY_SERVE], args: Args::None, interspersed: true },
    Command { paths: &["volume clone"], usage: &["VOLUME NEW"], about: "Make a volume with the files of another", flags: &[], args: Args::Exact(2), interspersed: true },
    Command { paths: &["volume export"], usage: &["[OPTIONS] VOLUME"], about: "Export a volume's files as a tar archive", flags: &[VOLUME_EXPORT], args: Args::Exact(1), interspersed: true },
    Command { paths: &["volume import"], usage: &["VOLUME [file|-]"], about: "Unpack a tar archive into a volume", flags: &[], args: Args::Range(1, 2), interspersed: true },
    Command { paths: &["volume rename"], usage: &["VOLUME NEW"], about: "Give a volume that no container uses another name", flags: &[], args: Args::Exact(2), interspersed: true },
    Command { paths: &["volume snapshot"], usage: &["[OPTIONS] VOLUME [NAME]"], about: "Keep a volume's files as they are now", flags: &[VOLUME_SNAPSHOT], args: Args::Range(1, 2), interspersed: true },
    Command { paths: &["system trace"], usage: &["CONTAINER"], about: "Show where the time went when a container started", flags: &[], args: Args::Exact(1), interspersed: true },
];
