//! Containers: one file per verb.

pub(crate) mod attach;
pub(crate) mod cell;
mod copy;
pub(crate) mod create;
pub(crate) mod exec;
mod files;
pub(crate) mod list;
mod logs;
mod network;
pub mod record;
mod remove;
mod restore;
mod spec;
mod start;
pub mod state;
mod stop;
mod top;
mod user;
mod wait;
mod world;

pub use attach::Attachable;
pub use copy::PathStat;
pub use create::{CreateRequest, Created};
pub use exec::{Exec, ExecConfig, ExecState};
pub use files::CommitRequest;
pub use list::{Processes, Snapshot};
pub use logs::{LogRequest, LogStream};
pub use remove::Volumes;
pub use spec::{MASKED_PATHS, READONLY_PATHS, capability_name};
pub use wait::Waiting;
