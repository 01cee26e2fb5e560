//! Pure: the grammar of `--restart`: `no`, `always`, `unless-stopped`, `on-failure[:N]`.

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

#[cfg(test)]
mod tests {
    use super::*;

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
