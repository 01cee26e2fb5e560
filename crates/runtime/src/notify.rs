//! The listener of a system call filter, given to the program that the profile names.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use serde_json::{Value, json};
use sys::socket::{self, Kind};

use crate::error::Failure;
use crate::plan::process::ProcessPlan;

/// The state of a container of which no more is known here.
pub(crate) fn state(id: &str, version: &str, pid: i32) -> String {
    let state = json!({
        "ociVersion": version,
        "id": id,
        "status": "creating",
        "pid": pid,
        "bundle": "",
    });
    state.to_string()
}

/// Sends the listener, with the container process state of the specification.
pub(crate) fn hand_over(
    process: &ProcessPlan,
    pid: i32,
    state: &str,
    fd: Option<OwnedFd>,
) -> Result<(), Failure> {
    let listener = process
        .filter
        .as_ref()
        .and_then(|filter| filter.listener.as_ref());
    let (Some(listener), Some(fd)) = (listener, fd) else {
        return Err(Failure::Died(
            "container init has no listener to give".to_owned(),
        ));
    };
    let what = || format!("seccomp listener {:?}", listener.path);
    let state: Value = serde_json::from_str(state).unwrap_or_default();
    let mut message = json!({
        "ociVersion": state.get("ociVersion"),
        "fds": ["seccompFd"],
        "pid": pid,
        "state": state,
    });
    if !listener.metadata.is_empty() {
        message["metadata"] = listener.metadata.as_str().into();
    }
    let socket =
        socket::connect(Kind::Stream, Path::new(&listener.path)).map_err(Failure::host(what))?;
    socket::send(
        socket.as_fd(),
        &[message.to_string().as_bytes()],
        &[fd.as_fd()],
    )
    .map(drop)
    .map_err(Failure::host(what))
}
