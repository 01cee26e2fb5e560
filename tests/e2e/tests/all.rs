//! Every case, one module for each word of the user's.

#![forbid(unsafe_code)]
#![allow(
    clippy::tests_outside_test_module,
    reason = "this binary is nothing but tests"
)]
#![allow(clippy::panic, reason = "a case fails by a panic")]

mod answers;
mod api;
mod attach;
mod backup;
mod bad_input;
mod bridge;
mod build;
mod client;
mod config;
mod cp;
mod crash;
mod create;
mod daemon;
mod devices;
mod events;
mod exec;
mod files;
mod flags;
mod from_host;
mod full_disk;
mod health;
mod images;
mod init;
mod limits;
mod lists;
mod logs;
mod mounts;
mod names;
mod neighbours;
mod networks;
mod ours;
mod own_volumes;
mod pause;
mod ports;
mod prune;
mod ps;
mod pull;
mod push;
mod registries;
mod registry;
mod registry_docker;
mod restart_policy;
mod run;
mod security;
mod stats;
mod stop;
mod terminal;
mod update;
mod volume_crash;
mod volume_plugins;
mod volumes;
