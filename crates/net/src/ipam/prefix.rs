//! Pure: an IPv4 address with the length of its network.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// An IPv4 address and the length of its network: `172.17.0.1/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: Ipv4Addr,
    length: u8,
}

impl Prefix {
    /// Makes a prefix; nothing when the length is over 32.
    pub fn new(address: Ipv4Addr, length: u8) -> Option<Self> {
        (length <= 32).then_some(Self { address, length })
    }

    /// Returns the address, host bits included.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Returns the number of network bits.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Returns the network: the same with all host bits zero.
    #[must_use]
    pub fn network(self) -> Self {
        Self {
            address: Ipv4Addr::from_bits(self.address.to_bits() & self.mask()),
            ..self
        }
    }

    /// Returns the last address.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// Returns another address of the same network, with the same length.
    pub(crate) fn with_address(self, address: Ipv4Addr) -> Self {
        Self { address, ..self }
    }

    /// Tells whether an address is in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.network().address == Ipv4Addr::from_bits(address.to_bits() & self.mask())
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        let wider = if self.length < other.length {
            self
        } else {
            other
        };
        wider.contains(self.address) && wider.contains(other.address)
    }

    pub(crate) fn mask(self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.length))
            .unwrap_or(0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (address, length) = text.split_once('/')?;
            if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            Self::new(address.parse().ok()?, length.parse().ok()?)
        };
        parse().ok_or_else(|| Error::InvalidPrefix {
            text: text.to_owned(),
            min: 0,
            max: 32,
        })
    }
}

impl TryFrom<String> for Prefix {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn parses_what_it_prints() {
        for text in ["0.0.0.0/0", "172.17.0.1/16", "10.0.0.255/32"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        for bad in [
            "",
            "10.0.0.1",
            "10.0.0.1/",
            "10.0.0.1/33",
            "10.0.0.1/+8",
            "10.0.1/8",
            "a/8",
        ] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn knows_its_network() {
        let bridge = prefix("172.17.3.1/16");
        assert_eq!(bridge.network(), prefix("172.17.0.0/16"));
        assert_eq!(bridge.broadcast(), Ipv4Addr::new(172, 17, 255, 255));
        assert!(bridge.contains(Ipv4Addr::new(172, 17, 200, 9)));
        assert!(!bridge.contains(Ipv4Addr::new(172, 18, 0, 1)));
        assert_eq!(prefix("1.2.3.4/0").network(), prefix("0.0.0.0/0"));
    }

    #[test]
    fn overlap_is_mutual() {
        let table = [
            ("172.17.0.0/16", "172.17.5.0/24", true),
            ("172.16.0.0/12", "172.17.0.0/16", true),
            ("172.17.0.0/16", "172.18.0.0/16", false),
            ("10.0.0.0/8", "172.17.0.0/16", false),
            ("0.0.0.0/0", "172.17.0.0/16", true),
            ("192.168.0.0/20", "192.168.16.0/20", false),
        ];
        for (left, right, expected) in table {
            assert_eq!(
                prefix(left).overlaps(prefix(right)),
                expected,
                "{left} {right}"
            );
            assert_eq!(
                prefix(right).overlaps(prefix(left)),
                expected,
                "{right} {left}"
            );
        }
    }
}
