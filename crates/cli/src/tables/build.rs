//! Commands: build. One row per command, one per flag; the texts are those of Docker's client.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const BUILD: &[Flag] = &[
    flag(' ', "add-host", Kind::ExtraHost, "Add a custom host-to-IP mapping (\"host:ip\")"),
    flag(' ', "build-arg", Kind::List, "Set build-time variables"),
    flag(' ', "cgroup-parent", Kind::Text, "Set the parent cgroup for the \"RUN\" instructions during build"),
    flag(' ', "cpu-period", Kind::Int, "Limit the CPU CFS (Completely Fair Scheduler) period"),
    flag(' ', "cpu-quota", Kind::Int, "Limit the CPU CFS (Completely Fair Scheduler) quota"),
    flag('c', "cpu-shares", Kind::Int, "CPU shares (relative weight)"),
    flag(' ', "cpuset-cpus", Kind::Text, "CPUs in which to allow execution (0-3, 0,1)"),
    flag(' ', "cpuset-mems", Kind::Text, "MEMs in which to allow execution (0-3, 0,1)"),
    flag('f', "file", Kind::Text, "Name of the Dockerfile (Default is \"PATH/Dockerfile\")"),
    flag(' ', "iidfile", Kind::Text, "Write the image ID to the file"),
    flag(' ', "label", Kind::List, "Set metadata for an image"),
    flag('m', "memory", Kind::Bytes, "Memory limit"),
    flag(' ', "memory-swap", Kind::MemorySwap, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    flag(' ', "network", Kind::Text, "Set the networking mode for the RUN instructions during build (default \"default\")"),
    flag(' ', "no-cache", Kind::Switch, "Do not use cache when building the image"),
    flag(' ', "platform", Kind::Text, "Set platform if server is multi-platform capable"),
    flag(' ', "pull", Kind::Switch, "Always attempt to pull a newer version of the image"),
    flag('q', "quiet", Kind::Switch, "Suppress the build output and print image ID on success"),
    flag(' ', "security-opt", Kind::Strings, "Security options"),
    flag(' ', "shm-size", Kind::Bytes, "Size of \"/dev/shm\""),
    flag(' ', "squash", Kind::Switch, "Squash newly built layers into a single new layer"),
    flag('t', "tag", Kind::List, "Name and optionally a tag in the \"name:tag\" format"),
    flag(' ', "target", Kind::Text, "Set the target build stage to build."),
    flag(' ', "ulimit", Kind::Ulimit, "Ulimit options (default [])"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["image build", "build", "builder build"], usage: &["[OPTIONS] PATH | URL | -"], about: "Build an image from a Dockerfile", flags: &[BUILD], args: Args::Exact(1), interspersed: true },
];
