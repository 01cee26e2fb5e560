//! Health checks: what the shim is told to ask, and what it tells of the answers.

use std::sync::Arc;
use std::time::Duration;

use shim::protocol::{Feeling, Health, HealthState, PROBES_KEPT, Probe};

use super::cell::Cell;
use super::exec::ExecConfig;
use super::record::{Config, HealthCheck, Record};
use crate::Engine;
use crate::error::Result;

/// Docker's values for what is not said (moby's daemon/health.go).
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// What the request does not say of its health check, the image says.
pub(crate) fn inherit(own: &mut Option<HealthCheck>, image: &serde_json::Value) {
    // An image may say whatever it likes; what cannot be read says nothing.
    let Ok(image) = serde_json::from_value::<HealthCheck>(image.clone()) else {
        return;
    };
    let Some(own) = own else {
        *own = Some(image);
        return;
    };
    if own.test.is_empty() {
        own.test = image.test;
    }
    for (own, image) in [
        (&mut own.interval, image.interval),
        (&mut own.timeout, image.timeout),
        (&mut own.start_period, image.start_period),
        (&mut own.start_interval, image.start_interval),
        (&mut own.retries, image.retries),
    ] {
        if *own == 0 {
            *own = image;
        }
    }
}

/// Returns what is run to ask; none without a health check.
fn question(config: &Config) -> Option<Vec<String>> {
    let (kind, rest) = config.health.as_ref()?.test.split_first()?;
    match kind.as_str() {
        "CMD" => Some(rest.to_vec()),
        "CMD-SHELL" => {
            let mut words = config.shell.clone();
            if words.is_empty() {
                words = ["/bin/sh", "-c"].map(str::to_owned).to_vec();
            }
            words.extend_from_slice(rest);
            Some(words)
        }
        _ => None,
    }
}

/// Tells whether a container is asked how it feels.
pub(crate) fn is_asked(record: &Record) -> bool {
    question(&record.config).is_some()
}

impl Engine {
    /// What the shim is told of the health check.
    pub(crate) fn health(&self, record: &Record) -> Result<Option<Box<Health>>> {
        let (Some(argv), Some(check)) = (question(&record.config), &record.config.health) else {
            return Ok(None);
        };
        let said = |nanos: i64, otherwise: Duration| match u64::try_from(nanos) {
            Ok(nanos @ 1..) => Duration::from_nanos(nanos),
            _ => otherwise,
        };
        let config = ExecConfig {
            argv,
            ..ExecConfig::default()
        };
        let retries = u32::try_from(check.retries).unwrap_or(0);
        Ok(Some(Box::new(Health {
            process: self.exec_process(record, &config)?,
            interval: said(check.interval, INTERVAL),
            timeout: said(check.timeout, TIMEOUT),
            start_period: said(check.start_period, Duration::ZERO),
            start_interval: said(check.start_interval, START_INTERVAL),
            retries: if retries == 0 { RETRIES } else { retries },
        })))
    }

    /// A probe ended.
    pub(crate) async fn probed(
        &self,
        cell: &Arc<Cell>,
        feeling: Feeling,
        failing_streak: u32,
        probe: Probe,
    ) {
        let end_ns = probe.end_ns;
        let mut changed = false;
        cell.change_state(|state| {
            let health = state.health.get_or_insert_with(HealthState::default);
            changed = health.feeling != feeling;
            health.feeling = feeling;
            health.failing_streak = failing_streak;
            if health.log.len() >= PROBES_KEPT {
                health.log.remove(0);
            }
            health.log.push(probe);
        });
        if changed {
            // Each single answer is not worth a write to the disk: the shim knows them.
            self.save_current(cell).await;
            self.health_event(cell, feeling, end_ns);
        }
    }

    pub(crate) fn health_event(&self, cell: &Cell, feeling: Feeling, time_ns: i64) {
        let action = format!("health_status: {}", word(feeling));
        self.container_event_at(cell, &action, &[], time_ns);
    }
}

/// Docker's word.
pub fn word(feeling: Feeling) -> &'static str {
    match feeling {
        Feeling::Starting => "starting",
        Feeling::Healthy => "healthy",
        Feeling::Unhealthy => "unhealthy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_fills_the_gaps() {
        let image = serde_json::json!({"Test": ["CMD", "x"], "Interval": 7, "Retries": 2});
        let mut none = None;
        inherit(&mut none, &image);
        assert_eq!(none.as_ref().map(|check| check.interval), Some(7));
        let mut own = Some(HealthCheck {
            interval: 9,
            ..HealthCheck::default()
        });
        inherit(&mut own, &image);
        let own = own.unwrap();
        assert_eq!((own.test.len(), own.interval, own.retries), (2, 9, 2));
    }

    #[test]
    fn questions() {
        let of = |test: &[&str]| {
            question(&Config {
                health: Some(HealthCheck {
                    test: test.iter().map(|&word| word.to_owned()).collect(),
                    ..HealthCheck::default()
                }),
                ..Config::default()
            })
            .map(|words| words.join(" "))
        };
        assert_eq!(of(&["CMD", "a", "b"]).as_deref(), Some("a b"));
        assert_eq!(of(&["CMD-SHELL", "a b"]).as_deref(), Some("/bin/sh -c a b"));
        assert_eq!(of(&["NONE"]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(question(&Config::default()), None);
    }
}
