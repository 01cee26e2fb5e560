//! Pure: `--restart`: its grammar (`no`, `always`, `unless-stopped`, `on-failure[:N]`, and ours,
//! `on-unhealthy`), and when a container that ended is started again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What was typed; whether the name is a policy is the daemon's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Empty = not given.
    pub name: String,
    /// 0 = without end.
    pub maximum_retry_count: i64,
}

/// A text is not a restart policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRestartPolicy {
    /// `:3`.
    #[error("invalid restart policy format: no policy provided before colon")]
    NoName,
    /// `on-failure:x`.
    #[error("invalid restart policy format: maximum retry count must be an integer")]
    Count,
}

impl std::str::FromStr for RestartPolicy {
    type Err = InvalidRestartPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidRestartPolicy> {
        let (name, count) = text.split_once(':').unwrap_or((text, ""));
        if name.is_empty() && !text.is_empty() {
            return Err(InvalidRestartPolicy::NoName);
        }
        let maximum_retry_count = match count {
            "" => 0,
            _ => count.parse().map_err(|_| InvalidRestartPolicy::Count)?,
        };
        Ok(Self {
            name: name.to_owned(),
            maximum_retry_count,
        })
    }
}

/// What happens when a container ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// Nothing.
    #[default]
    No,
    /// It is started again; when its user stopped it, at the engine's next start.
    Always,
    /// It is started again unless its user stopped it.
    UnlessStopped,
    /// It is started again when it failed.
    OnFailure {
        /// So often at most; 0 is without end.
        max: u32,
    },
    /// It is started again when it failed, and ended and started again when its health check fails.
    OnUnhealthy,
}

/// What is known of a container that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Its user stopped it.
    pub stopped: bool,
    /// How often it was started again since its user started it.
    pub count: u32,
}

impl Rule {
    /// Tells whether a container that ended so is started again (moby's restartmanager; one that
    /// failed because its user stopped it stays down).
    pub fn starts_again(self, outcome: Outcome) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::UnlessStopped => !outcome.stopped,
            Self::OnFailure { max } => {
                !outcome.stopped && outcome.code != 0 && (max == 0 || outcome.count < max)
            }
            Self::OnUnhealthy => !outcome.stopped && outcome.code != 0,
        }
    }
}

/// The shortest wait before a restart.
const DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest.
const DELAY_MAX: Duration = Duration::from_mins(1);
/// A container that ran so long is not one that fails at its start.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// Returns how long a restart waits, from the last wait (zero: none) and how long the container
/// ran: twice as long each time, as under Docker.
pub fn delay(last: Duration, ran: Duration) -> Duration {
    if ran >= GOOD_RUN || last.is_zero() {
        DELAY_MIN
    } else {
        (last * 2).min(DELAY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_started_again() {
        let ended = |code, stopped, count| Outcome {
            code,
            stopped,
            count,
        };
        let limited = Rule::OnFailure { max: 2 };
        for (rule, outcome, expected) in [
            (Rule::No, ended(1, false, 0), false),
            (Rule::Always, ended(0, true, 9), true),
            (Rule::UnlessStopped, ended(0, false, 9), true),
            (Rule::UnlessStopped, ended(0, true, 0), false),
            (limited, ended(0, false, 0), false),
            (limited, ended(1, false, 1), true),
            (limited, ended(1, false, 2), false),
            (limited, ended(143, true, 0), false),
            (Rule::OnFailure { max: 0 }, ended(1, false, 99), true),
            (Rule::OnUnhealthy, ended(0, false, 0), false),
            (Rule::OnUnhealthy, ended(3, false, 0), true),
        ] {
            assert_eq!(rule.starts_again(outcome), expected, "{rule:?} {outcome:?}");
        }
    }

    #[test]
    fn waits_grow_and_shrink() {
        let (short, long) = (Duration::ZERO, Duration::from_secs(10));
        let mut last = Duration::ZERO;
        for ms in [100, 200, 400, 800] {
            last = delay(last, short);
            assert_eq!(last, Duration::from_millis(ms));
        }
        assert_eq!(delay(last, long), Duration::from_millis(100));
        assert_eq!(
            delay(Duration::from_secs(50), short),
            Duration::from_mins(1)
        );
    }

    #[test]
    fn parses() {
        let policy = |name: &str, maximum_retry_count| {
            Ok(RestartPolicy {
                name: name.to_owned(),
                maximum_retry_count,
            })
        };
        assert_eq!("".parse(), policy("", 0));
        assert_eq!("always".parse(), policy("always", 0));
        assert_eq!("on-failure:3".parse(), policy("on-failure", 3));
        assert_eq!("on-failure:".parse(), policy("on-failure", 0));
        assert_eq!(
            ":x".parse::<RestartPolicy>(),
            Err(InvalidRestartPolicy::NoName)
        );
        assert_eq!(
            "a:x".parse::<RestartPolicy>(),
            Err(InvalidRestartPolicy::Count)
        );
    }
}
