//! Modes of namespaces, in Docker's words: `host`, `private`, `container:NAME`.

use api::host_config::HostConfig;
use engine::Engine;
use engine::container::record::Host;
use types::ContainerId;

use crate::error::Failure;
use crate::request::Result;

/// Fills in which namespaces are the host's.
pub(super) fn modes(given: &HostConfig, host: &mut Host) -> Result<()> {
    let refuse = |what: &str, mode: &str| Failure::bad_request(format!("invalid {what}: {mode}"));
    let other = |mode: &str| mode.starts_with("container:");
    match given.pid_mode.as_str() {
        "host" => host.pid_host = true,
        "" => {}
        mode if other(mode) && mode != "container:" => {}
        mode => return Err(refuse("PID mode", mode)),
    }
    match given.ipc_mode.as_str() {
        "host" => host.ipc_host = true,
        "shareable" => host.ipc_shareable = true,
        "none" => host.ipc_without_shm = true,
        "" | "private" => {}
        mode if other(mode) => {}
        mode => return Err(refuse("IPC mode", mode)),
    }
    match given.uts_mode.as_str() {
        "host" => host.uts_host = true,
        "" => {}
        mode => return Err(refuse("UTS mode", mode)),
    }
    match given.cgroupns_mode.as_str() {
        "private" => host.cgroupns_private = true,
        "" | "host" => {}
        mode => return Err(refuse("cgroup namespace mode", mode)),
    }
    Ok(())
}

/// Finds the containers whose namespaces are to be joined.
pub(super) fn neighbours(engine: &Engine, given: &HostConfig, host: &mut Host) -> Result<()> {
    let find = |mode: &str, kind: &str| -> Result<Option<ContainerId>> {
        let Some(name) = mode.strip_prefix("container:") else {
            return Ok(None);
        };
        if name.is_empty() {
            return Err(Failure::bad_request(format!(
                "failed to join {kind} namespace: invalid name or ID supplied: \"\""
            )));
        }
        // No 404: to clients that is an image to be pulled.
        let found = engine.inspect(name);
        let found = found.map_err(|error| Failure::bad_request(error.to_string()))?;
        Ok(Some(found.record.id))
    };
    host.pid_of = find(&given.pid_mode, "PID")?;
    host.ipc_of = find(&given.ipc_mode, "IPC")?;
    Ok(())
}
