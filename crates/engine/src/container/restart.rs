//! Restart policies, seen from the daemon: the shim restarts by itself; the daemon records it, and
//! starts at its own start what has no shim.

use std::sync::Arc;

use shim::protocol::{Exit, HealthState, Request, Status as ShimStatus};
use shim::state_log;
use types::restart_policy::{Outcome, Rule};

use super::cell::Cell;
use super::state::{State, Status};
use crate::error::Result;
use crate::{Engine, now_ns};

impl Engine {
    /// Process 1 ended, and the rule starts it again.
    pub(crate) async fn restarting(&self, cell: &Arc<Cell>, exit: Exit, restarts: u32) {
        let _busy = self.0.busy.read().await;
        let before = cell.state();
        if !before.status.is_running() {
            return;
        }
        cell.set_state(before.restarting(exit, restarts));
        self.save_current(cell).await;
        self.die_event(cell, &before, exit);
    }

    /// The rule started it again.
    pub(crate) async fn restarted(&self, cell: &Arc<Cell>, process: (i32, u64), started_ns: i64) {
        let _busy = self.0.busy.read().await;
        let before = cell.state();
        if !before.status.is_running() {
            return;
        }
        cell.set_state(before.restarted(process.0, process.1, started_ns));
        self.save_current(cell).await;
        self.container_event_at(cell, "start", &[], started_ns);
    }

    /// The rule could not start it again.
    pub(crate) async fn gave_up(&self, cell: &Arc<Cell>, exit: Exit, message: String) {
        tracing::error!(id = %cell.id, %message, "restarting a container");
        cell.change_state(|state| state.error = message);
        self.ended(cell, exit).await;
    }

    /// What happened while no daemon ran: the history learns of it, and the state as far as the
    /// shim does not say it.
    pub(crate) fn catch_up(&self, cell: &Arc<Cell>, last_exit: Option<Exit>) {
        let dir = self.layout().container(cell.id);
        for line in state_log::read(&dir) {
            let state = cell.state();
            let last = last_exit.is_some_and(|exit| exit.finished_ns == line.time_ns);
            match line.event.as_str() {
                "start" if line.generation > 0 && Some(line.time_ns) > state.started_ns => {
                    let mut next = state.restarted(0, 0, line.time_ns);
                    next.restarts = line.generation;
                    cell.set_state(next);
                    self.container_event_at(cell, "start", &[], line.time_ns);
                }
                // The last one is told by who records it.
                "die" if !last && Some(line.time_ns) > state.finished_ns.max(state.started_ns) => {
                    let exit = Exit {
                        code: line.code,
                        oom: false,
                        finished_ns: line.time_ns,
                    };
                    cell.set_state(state.restarting(exit, state.restarts));
                    self.die_event(cell, &state, exit);
                }
                _ => {}
            }
        }
    }

    /// Takes over what the shim of a running container says.
    pub(crate) async fn take_over(&self, cell: &Arc<Cell>, status: ShimStatus) {
        let before = cell.state();
        if before.pid != status.pid && status.phase == shim::protocol::Phase::Running {
            let started_ns = if status.started_ns == 0 {
                now_ns()
            } else {
                status.started_ns
            };
            cell.set_state(before.restarted(status.pid, status.start_time, started_ns));
        }
        let felt = before.health.as_ref().map(|health| health.feeling);
        let told = status.health.as_ref().map(|health| health.feeling);
        cell.change_state(|state| {
            state.restarts = status.restarts;
            state.health = status.health.as_deref().cloned();
            if status.phase == shim::protocol::Phase::Restarting {
                state.status = Status::Restarting;
                (state.pid, state.start_time) = (0, 0);
            }
        });
        if cell.state() != before {
            self.save_current(cell).await;
        }
        if let (Some(feeling), true) = (told, felt != told) {
            self.health_event(cell, feeling, now_ns());
        }
    }

    /// The user ends it: its rule rests until it is started again.
    pub(crate) async fn hold(&self, cell: &Arc<Cell>) -> Result<()> {
        if cell.record().host.restart == Rule::No {
            return Ok(());
        }
        cell.change_state(|state| state.stopped = true);
        self.save_current(cell).await;
        match cell.shim() {
            Some(shim) => shim.ask(Request::Hold, &[]).await,
            None => Ok(()),
        }
    }

    /// Starts a container that has no shim if its rule wants so; the caller does not wait.
    pub(crate) fn start_by_rule(&self, cell: &Arc<Cell>) {
        let state = cell.state();
        let outcome = Outcome {
            code: state.exit_code,
            stopped: state.stopped,
            count: state.restarts,
        };
        let wanted = state.status == Status::Exited
            && state.started_ns.is_some()
            && cell.record().host.restart.starts_again(outcome);
        if !wanted {
            return;
        }
        let engine = self.clone();
        let id = cell.id.to_string();
        tokio::spawn(async move {
            match engine.start(&id).await {
                Ok(()) => {}
                Err(error) if error.kind() == types::ErrorKind::NotModified => {}
                Err(error) => tracing::error!(%error, %id, "starting a container by its rule"),
            }
        });
    }

    /// Writes the state as it is when its turn has come: of two that are written at once, the last
    /// one on disk is the newest.
    pub(crate) async fn save_current(&self, cell: &Arc<Cell>) {
        let (engine, of) = (self.clone(), Arc::clone(cell));
        let saved = crate::blocking::run(move || {
            engine.meta().write(|txn| {
                // Not of a container that was removed meanwhile.
                let known: Option<State> =
                    meta::Read::get(txn, &super::record::STATES, &of.id.to_string())?;
                if known.is_some() {
                    txn.put(&super::record::STATES, &of.id.to_string(), &of.state())?;
                }
                Ok::<_, crate::Error>(())
            })
        })
        .await;
        if let Err(error) = saved {
            tracing::error!(%error, id = %cell.id, "recording a state");
        }
    }
}

/// How a container feels before it was asked.
pub(crate) fn unasked(record: &super::record::Record) -> Option<HealthState> {
    super::health::is_asked(record).then(HealthState::default)
}
