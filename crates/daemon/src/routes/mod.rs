//! One function per operation, one file per noun.

pub(crate) mod absent;
pub(crate) mod archive;
pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod container;
pub(crate) mod container_create;
pub(crate) mod container_list;
mod create_devices;
mod create_host;
mod create_limits;
mod create_log;
mod create_modes;
mod create_mounts;
<<<<<<< HEAD
mod create_networks;
=======
mod create_security;
>>>>>>> 91a1f6b (engine, daemon, cli: devices, init, neighbours and the other flags of run)
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod logs;
pub(crate) mod network;
mod network_view;
pub(crate) mod not_yet;
pub(crate) mod prune;
pub(crate) mod registry;
pub(crate) mod stats;
pub(crate) mod swarm;
pub(crate) mod system;
pub(crate) mod trace;
pub(crate) mod update;
pub(crate) mod volume;
