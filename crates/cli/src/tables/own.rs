//! Commands: those that Docker lacks.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const IMAGE_FROM_HOST: &[Flag] = &[
    flag('t', "tag", Kind::Text, "Name and optionally a tag (format: \"name:tag\")"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["image from-host"], usage: &["[OPTIONS] PROGRAM [PROGRAM...]"], about: "Make an image of this machine's programs and the libraries they need", flags: &[IMAGE_FROM_HOST], args: Args::Min(1), interspersed: true },
    Command { paths: &["system trace"], usage: &["CONTAINER"], about: "Show where the time went when a container started", flags: &[], args: Args::Exact(1), interspersed: true },
];
