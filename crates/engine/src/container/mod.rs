//! Containers: one file per verb.

pub(crate) mod attach;
<<<<<<< HEAD
pub(crate) mod attachment;
=======
mod capabilities;
mod cdi;
>>>>>>> 91a1f6b (engine, daemon, cli: devices, init, neighbours and the other flags of run)
pub(crate) mod cell;
mod copy;
pub(crate) mod create;
mod devices;
pub(crate) mod exec;
mod files;
mod health;
pub(crate) mod list;
mod logs;
<<<<<<< HEAD
pub(crate) mod network;
mod network_files;
=======
mod neighbour;
mod network;
mod propagation;
>>>>>>> 91a1f6b (engine, daemon, cli: devices, init, neighbours and the other flags of run)
pub mod record;
mod remove;
mod restart;
mod restore;
mod spec;
mod start;
pub mod state;
pub(crate) mod stats;
mod stop;
mod support;
mod top;
mod update;
pub(crate) mod user;
mod wait;
mod world;

pub use attach::Attachable;
pub use copy::PathStat;
pub use create::{CreateRequest, Created};
pub use exec::{Exec, ExecConfig, ExecState};
pub use files::CommitRequest;
pub use health::word as feeling_word;
pub use list::{Processes, Snapshot};
pub use logs::{LogRequest, LogStream};
pub use remove::Volumes;
pub use capabilities::capability_name;
pub use spec::{MASKED_PATHS, READONLY_PATHS};
pub use stats::{Interface, Sample};
pub use update::Update;
pub use wait::Waiting;
