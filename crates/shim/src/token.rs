//! Pure: which descriptor an event is about, as the 64 bits that epoll keeps. Numbers are never
//! used twice, so an event of something that is gone finds nothing.

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The signalfd.
    Signals,
    /// Where daemons connect.
    Listener,
    /// A daemon's connection.
    Daemon(u32),
    /// Where a task reads its input.
    Stdin(u32),
    /// Where a task writes output; its terminal, too.
    Stdout(u32),
    /// Where a task writes errors.
    Stderr(u32),
    /// A client's stream.
    Client(u32),
    /// Memory ran out in the container.
    Oom,
}

impl Token {
    pub(crate) const fn encode(self) -> u64 {
        let (kind, number): (u64, u32) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Daemon(number) => (2, number),
            Self::Stdin(number) => (3, number),
            Self::Stdout(number) => (4, number),
            Self::Stderr(number) => (5, number),
            Self::Client(number) => (6, number),
            Self::Oom => (7, 0),
        };
        kind << 32 | number as u64
    }

    pub(crate) fn decode(bits: u64) -> Option<Self> {
        let number = u32::try_from(bits & u64::from(u32::MAX)).ok()?;
        match bits >> 32 {
            0 => Some(Self::Signals),
            1 => Some(Self::Listener),
            2 => Some(Self::Daemon(number)),
            3 => Some(Self::Stdin(number)),
            4 => Some(Self::Stdout(number)),
            5 => Some(Self::Stderr(number)),
            6 => Some(Self::Client(number)),
            7 => Some(Self::Oom),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let all = [
            Token::Signals,
            Token::Listener,
            Token::Daemon(1),
            Token::Stdin(u32::MAX),
            Token::Stdout(0),
            Token::Stderr(7),
            Token::Client(8),
            Token::Oom,
        ];
        for token in all {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
        assert_eq!(Token::decode(u64::MAX), None);
    }
}
