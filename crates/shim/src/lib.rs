//! Keeps one container: its stdio, its log, its exit record, exec and attach.
//!
//! Vocabulary: a *task* is init or an exec, with its stdio; a *client* is a stream attached to a
//! task; a *daemon* is a connection that speaks [`protocol`].
//!
//! Invariants: one process, one thread, one poll loop; survives the daemon; holds no image or
//! network knowledge; opens no store; its memory does not grow with output.

#![forbid(unsafe_code)]

mod client;
mod container;
mod daemon;
mod detach_keys;
mod error;
mod health;
mod init;
mod outbox;
mod probe;
pub mod protocol;
mod restart;
mod serve;
pub mod state_log;
mod task;
mod token;
mod watched;

use std::os::fd::OwnedFd;

pub use init::init;

/// Name of the exit record in the container's directory: JSON of [`protocol::Exit`].
pub const EXIT_RECORD: &str = "exit.json";
/// Name of the list of what happened, in the container's directory.
pub const STATE_LOG: &str = "state.log";

/// Returns the name of the log in the container's directory.
pub fn log_name(id: &str) -> String {
    format!("{id}-json.log")
}

/// Is the shim, until there is nothing more to do; returns the exit code of the process. `control`
/// is a connected `SOCK_SEQPACKET` socket to the daemon that started it.
pub fn run(control: OwnedFd) -> i32 {
    // A shim that unwound would leave its container without a keeper and look alive.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    // A spare shim has time now, and none when it is asked.
    runtime::warm_up();
    match serve::serve(control) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
