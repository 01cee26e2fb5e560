//! Probes: one process at a time asks the container how it feels.

use std::rc::Rc;
use std::time::Instant;

use sys::poll::SIGKILL;
use types::restart_policy::Rule;

use crate::health::{Capture, NO_CODE, timed_out};
use crate::protocol::{Event, Feeling, Health, Phase, Probe};
use crate::serve::Shim;
use crate::task::{Task, now_ns};

/// A probe that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) task: Task,
    began: Instant,
    began_ns: i64,
    until: Instant,
    is_late: bool,
}

impl Running {
    /// When it has taken too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.is_late).then_some(self.until)
    }
}

impl Shim {
    /// Begins, watches and ends probes.
    pub(crate) fn settle_health(&mut self, now: Instant) {
        self.end_probe(now);
        self.begin_probe(now);
    }

    fn begin_probe(&mut self, now: Instant) {
        let Some(container) = &mut self.container else {
            return;
        };
        let runs = container.phase() == Phase::Running && container.probe.is_none();
        let Some(monitor) = container.monitor.as_mut().filter(|_| runs) else {
            return;
        };
        if !monitor.begins(now) {
            return;
        }
        let check = monitor.check.clone();
        let (number, poll) = (self.number(), Rc::clone(&self.poll));
        let began_ns = now_ns();
        let Some(container) = &mut self.container else {
            return;
        };
        match container.start_probe(&check, number, &poll) {
            Ok(task) => {
                container.probe = Some(Running {
                    task,
                    began: now,
                    began_ns,
                    until: now + check.timeout,
                    is_late: false,
                });
            }
            Err(error) => self.answer_probe(
                Probe {
                    start_ns: began_ns,
                    end_ns: now_ns(),
                    exit_code: NO_CODE,
                    output: error.sentence(),
                },
                now,
            ),
        }
    }

    fn end_probe(&mut self, now: Instant) {
        let Some(container) = &mut self.container else {
            return;
        };
        let Some(probe) = &mut container.probe else {
            return;
        };
        if !probe.is_late && probe.until <= now && probe.task.code().is_none() {
            probe.is_late = true;
            // It may end this moment by itself.
            let _ended_already = probe.task.signal(SIGKILL);
        }
        let Some(ended) = probe.task.finished(now) else {
            return;
        };
        let Some(mut probe) = container.probe.take() else {
            return;
        };
        probe.task.finish();
        let said = probe.task.capture.as_ref().map(Capture::text);
        let said = said.unwrap_or_default();
        let timeout = container
            .monitor
            .as_ref()
            .map(|monitor| monitor.check.timeout);
        let (exit_code, output) = match timeout.filter(|_| probe.is_late) {
            Some(timeout) => (NO_CODE, timed_out(timeout, &said)),
            None => (ended.code, said),
        };
        let answer = Probe {
            start_ns: probe.began_ns,
            end_ns: now_ns(),
            exit_code,
            output,
        };
        self.answer_probe(answer, probe.began);
    }

    /// Takes the answer of a probe and tells of it.
    fn answer_probe(&mut self, probe: Probe, began: Instant) {
        let Some(container) = &mut self.container else {
            return;
        };
        let frozen = container.is_frozen;
        if container.phase() != Phase::Running {
            // It ended with its container.
            return;
        }
        let Some(monitor) = &mut container.monitor else {
            return;
        };
        let end_ns = probe.end_ns;
        let changed = monitor.answered(probe.clone(), began, Instant::now());
        if frozen {
            monitor.rest();
        }
        let state = monitor.state();
        let (feeling, failing_streak) = (state.feeling, state.failing_streak);
        if changed {
            let word = match feeling {
                Feeling::Starting => "starting",
                Feeling::Healthy => "healthy",
                Feeling::Unhealthy => "unhealthy",
            };
            container.note(word, 0, end_ns);
        }
        self.tell(&Event::Probed {
            feeling,
            failing_streak,
            probe,
        });
        if changed && feeling == Feeling::Unhealthy && self.restarts.rule() == Rule::OnUnhealthy {
            self.restarts.demand();
            if let Some(container) = &self.container {
                // What cannot be killed now is killed at its end.
                let _tried_again = container.kill_all();
            }
        }
    }

    /// How a life begins that is asked how it feels.
    pub(crate) fn health_of_next_life(
        &self,
        check: Option<Box<Health>>,
    ) -> Option<(Health, Vec<Probe>)> {
        let check = *check?;
        let log = self
            .container
            .as_ref()
            .and_then(|container| container.monitor.as_ref())
            .map(|monitor| monitor.state().log.clone());
        Some((check, log.unwrap_or_default()))
    }
}
