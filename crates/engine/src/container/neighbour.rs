//! Namespaces of another container: `--pid container:NAME`, `--ipc container:NAME`.

use std::sync::Arc;

use types::ContainerId;

use super::cell::Cell;
use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// The processes whose namespaces a container joins, by their host pids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Neighbours {
    pub(crate) pid: Option<i32>,
    pub(crate) ipc: Option<i32>,
}

impl Engine {
    /// Finds who lends its namespaces to a container that starts.
    pub(crate) fn neighbours(&self, record: &Record) -> Result<Neighbours> {
        let pid = record.host.pid_of.map(|id| self.lender(id, "PID"));
        let ipc = record.host.ipc_of.map(|id| {
            let (cell, pid) = self.lender(id, "IPC")?;
            let lent = &cell.record().host;
            if lent.ipc_shareable || lent.ipc_of.is_some() || lent.ipc_host {
                return Ok((cell, pid));
            }
            Err(Error::new(
                types::ErrorKind::Internal,
                format!(
                    "failed to join IPC namespace: container {id}: non-shareable IPC (hint: use \
                     IpcMode:shareable for the donor container)"
                ),
            ))
        });
        Ok(Neighbours {
            pid: pid.transpose()?.map(|(_, pid)| pid),
            ipc: ipc.transpose()?.map(|(_, pid)| pid),
        })
    }

    fn lender(&self, id: ContainerId, kind: &str) -> Result<(Arc<Cell>, i32)> {
        let failed = |why: String| {
            let sentence = format!("failed to join {kind} namespace: {why}");
            Error::new(types::ErrorKind::Internal, sentence)
        };
        let cell = self
            .find(&id.to_string())
            .map_err(|_| failed(format!("No such container: {id}")))?;
        let state = cell.state();
        if !state.status.is_running() {
            return Err(failed(format!("container {id} is not running")));
        }
        Ok((cell, state.pid))
    }
}
