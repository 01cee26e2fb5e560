//! Pure: when a container is asked how it feels, and what its answers make of it (moby's
//! daemon/health.go).

use std::time::{Duration, Instant};

use crate::protocol::{Feeling, Health, HealthState, PROBES_KEPT, Probe};

/// The exit code of a probe that did not run to its end, as under Docker.
pub(crate) const NO_CODE: i32 = -1;
/// Bytes of a probe's output that are kept.
const OUTPUT_MAX: usize = 4096;

/// The health check of one life of a container.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) check: Health,
    state: HealthState,
    started: Instant,
    /// When the next probe begins; none while one runs, or while the container is frozen.
    next: Option<Instant>,
}

impl Monitor {
    /// Begins with a life; what earlier lives answered is kept.
    pub(crate) fn new(check: Health, log: Vec<Probe>, now: Instant) -> Self {
        let state = HealthState {
            log,
            ..HealthState::default()
        };
        let mut monitor = Self {
            check,
            state,
            started: now,
            next: None,
        };
        monitor.wait(now);
        monitor
    }

    pub(crate) const fn state(&self) -> &HealthState {
        &self.state
    }

    /// When the next probe begins.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Tells whether a probe begins now; from then on one runs.
    pub(crate) fn begins(&mut self, now: Instant) -> bool {
        self.next.take_if(|at| *at <= now).is_some()
    }

    /// The container is frozen: nobody could answer.
    pub(crate) const fn rest(&mut self) {
        self.next = None;
    }

    /// Waits for the next probe.
    pub(crate) fn wait(&mut self, now: Instant) {
        let early = now.saturating_duration_since(self.started) < self.check.start_period;
        let interval = if early && self.state.feeling == Feeling::Starting {
            self.check.start_interval
        } else {
            self.check.interval
        };
        self.next = now.checked_add(interval);
    }

    /// Takes the answer of a probe that began at `began`, and tells whether the feeling changed.
    pub(crate) fn answered(&mut self, probe: Probe, began: Instant, now: Instant) -> bool {
        let before = self.state.feeling;
        if probe.exit_code == 0 {
            self.state.failing_streak = 0;
            self.state.feeling = Feeling::Healthy;
        } else if before != Feeling::Starting || !self.is_early(began) {
            self.state.failing_streak = self.state.failing_streak.saturating_add(1);
            if self.state.failing_streak >= self.check.retries {
                self.state.feeling = Feeling::Unhealthy;
            }
        }
        if self.state.log.len() >= PROBES_KEPT {
            self.state.log.remove(0);
        }
        self.state.log.push(probe);
        self.wait(now);
        self.state.feeling != before
    }

    fn is_early(&self, began: Instant) -> bool {
        began.saturating_duration_since(self.started) < self.check.start_period
    }
}

/// The beginning of what a probe says.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Capture {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = OUTPUT_MAX - self.bytes.len();
        self.is_cut |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Returns it as text, with dots where it was cut.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let dots = if self.is_cut { "..." } else { "" };
        format!("{text}{dots}")
    }
}

/// What Docker says of a probe that takes too long.
pub(crate) fn timed_out(timeout: Duration, output: &str) -> String {
    let said = if output.is_empty() {
        String::new()
    } else {
        format!(": {output}")
    };
    format!(
        "Health check exceeded timeout ({}){said}",
        types::units::format_duration(timeout)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> Health {
        Health {
            process: types::oci::runtime::Process::default(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            start_period: Duration::from_secs(100),
            start_interval: Duration::from_secs(5),
            retries: 2,
        }
    }

    fn probe(exit_code: i32) -> Probe {
        Probe {
            start_ns: 0,
            end_ns: 0,
            exit_code,
            output: String::new(),
        }
    }

    #[test]
    fn answers_make_a_feeling() {
        let start = Instant::now();
        let mut monitor = Monitor::new(check(), Vec::new(), start);
        let mut now = start;
        for (seconds, code, feeling, streak, changed) in [
            // Within the start period failures do not count.
            (5, 1, Feeling::Starting, 0, false),
            (10, 0, Feeling::Healthy, 0, true),
            // After the first success they do.
            (15, 1, Feeling::Healthy, 1, false),
            (20, 7, Feeling::Unhealthy, 2, true),
            (25, 7, Feeling::Unhealthy, 3, false),
            (30, 0, Feeling::Healthy, 0, true),
        ] {
            now = start + Duration::from_secs(seconds);
            assert_eq!(monitor.answered(probe(code), now, now), changed);
            assert_eq!(monitor.state().feeling, feeling);
            assert_eq!(monitor.state().failing_streak, streak);
        }
        assert_eq!(monitor.state().log.len(), PROBES_KEPT);
        assert_eq!(monitor.next(), Some(now + Duration::from_secs(30)));
    }

    #[test]
    fn the_start_is_probed_more_often() {
        let start = Instant::now();
        let mut monitor = Monitor::new(check(), Vec::new(), start);
        assert_eq!(monitor.next(), Some(start + Duration::from_secs(5)));
        assert!(!monitor.begins(start));
        assert!(monitor.begins(start + Duration::from_secs(5)));
        assert_eq!(monitor.next(), None);
        monitor.wait(start + Duration::from_secs(100));
        assert_eq!(monitor.next(), Some(start + Duration::from_secs(130)));
        monitor.rest();
        assert_eq!(monitor.next(), None);
    }

    #[test]
    fn only_the_beginning_is_kept() {
        let mut capture = Capture::default();
        capture.push(&[b'x'; 4000]);
        assert_eq!(capture.text().len(), 4000);
        capture.push(&[b'y'; 4000]);
        assert_eq!(capture.text().len(), 4099);
        assert!(capture.text().ends_with("y..."));
    }
}
