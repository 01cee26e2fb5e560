//! Pure: the grammar of `-p`: `[[ip:][host][-host]:]port[-port][/protocol]`, and of `--expose`.

use std::fmt;
use std::net::IpAddr;

/// A port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerPort {
    /// 1-65535 (0 is accepted by Docker's grammar too).
    pub number: u16,
    /// tcp, udp or sctp.
    pub protocol: Protocol,
}

/// What speaks at a port.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// The container's side.
    pub container: ContainerPort,
    /// The address on the host; `None` = all.
    pub host_ip: Option<IpAddr>,
    /// The port on the host as Docker writes it: empty = any, `8000-8010` = any of these.
    pub host_port: String,
}

/// A text is not a port; the messages are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPort {
    /// Nothing after the last colon.
    #[error("no port specified: {0}<empty>")]
    Empty(String),
    /// The container's side.
    #[error("Invalid containerPort: {0}")]
    Container(String),
    /// The host's side.
    #[error("Invalid hostPort: {0}")]
    Host(String),
    /// The address.
    #[error("invalid IP address: {0}")]
    Address(String),
    /// Two ranges that differ in length.
    #[error("invalid ranges specified for container and host Ports: {0} and {1}")]
    Ranges(String, String),
    /// Not tcp, udp or sctp.
    #[error("Invalid proto: {0}")]
    Protocol(String),
    /// `--expose` with a colon.
    #[error("invalid port format for --expose: {0}")]
    Expose(String),
    /// `--expose` of something else.
    #[error("invalid range format for --expose: {0}, error: {1}")]
    ExposeRange(String, String),
}

impl fmt::Display for ContainerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl std::str::FromStr for ContainerPort {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let (number, protocol) = split_protocol(text)?;
        let number = number
            .parse()
            .map_err(|_| InvalidPort::Container(number.to_owned()))?;
        Ok(Self { number, protocol })
    }
}

/// Parses one `-p` argument; a range gives several mappings.
pub fn parse_publish(text: &str) -> Result<Vec<PortMapping>, InvalidPort> {
    let (ip, host, container) = split_parts(text);
    let host_ip = parse_ip(ip)?;
    if container.is_empty() || container.starts_with('/') {
        return Err(InvalidPort::Empty(text.to_owned()));
    }
    let (ports, protocol) = match container.split_once('/') {
        Some((ports, protocol)) => (ports, protocol),
        None => (container, "tcp"),
    };
    let (first, last) = range(ports).ok_or_else(|| InvalidPort::Container(ports.to_owned()))?;
    let host_range = match host {
        "" => None,
        _ => Some(range(host).ok_or_else(|| InvalidPort::Host(host.to_owned()))?),
    };
    if let Some((low, high)) = host_range
        && last - first != high - low
        && last != first
    {
        return Err(InvalidPort::Ranges(ports.to_owned(), host.to_owned()));
    }
    let protocol = parse_protocol(protocol)?;
    let host_port = |offset: u16| match host_range {
        None => String::new(),
        Some((low, high)) if first == last && low != high => format!("{low}-{high}"),
        Some((low, _)) => (low + offset).to_string(),
    };
    Ok((first..=last)
        .map(|number| PortMapping {
            container: ContainerPort { number, protocol },
            host_ip,
            host_port: host_port(number - first),
        })
        .collect())
}

/// Parses one `--expose` argument.
pub fn parse_expose(text: &str) -> Result<Vec<ContainerPort>, InvalidPort> {
    if text.contains(':') {
        return Err(InvalidPort::Expose(text.to_owned()));
    }
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range(ports).ok_or_else(|| {
        InvalidPort::ExposeRange(
            ports.to_owned(),
            format!("strconv.ParseUint: parsing {ports:?}: invalid syntax"),
        )
    })?;
    let protocol = parse_protocol(protocol)?;
    Ok((first..=last)
        .map(|number| ContainerPort { number, protocol })
        .collect())
}

/// Splits at the last two colons: address, host port, container port.
fn split_parts(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else {
        return ("", "", text);
    };
    let Some((ip, host)) = rest.rsplit_once(':') else {
        return ("", rest, container);
    };
    (ip, host, container)
}

fn parse_ip(text: &str) -> Result<Option<IpAddr>, InvalidPort> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    match bare {
        "" => Ok(None),
        _ => bare
            .parse()
            .map(Some)
            .map_err(|_| InvalidPort::Address(text.to_owned())),
    }
}

fn split_protocol(text: &str) -> Result<(&str, Protocol), InvalidPort> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Ok((number, parse_protocol(protocol)?))
}

fn parse_protocol(text: &str) -> Result<Protocol, InvalidPort> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" | "" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(InvalidPort::Protocol(text.to_owned())),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let show = |mapping: PortMapping| {
            let ip = mapping
                .host_ip
                .map(|ip| format!("{ip}|"))
                .unwrap_or_default();
            format!("{ip}{}>{}", mapping.host_port, mapping.container)
        };
        parse_publish(text).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn published() {
        for (text, expected) in [
            ("80", &[">80/tcp"][..]),
            ("8080:80/UDP", &["8080>80/udp"]),
            ("127.0.0.1::80", &["127.0.0.1|>80/tcp"]),
            ("[::1]:81:80", &["::1|81>80/tcp"]),
            ("7000-7001:80-81", &["7000>80/tcp", "7001>81/tcp"]),
            ("7000-7009:80", &["7000-7009>80/tcp"]),
            ("80-81", &[">80/tcp", ">81/tcp"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn refused() {
        for (text, message) in [
            ("", "no port specified: <empty>"),
            ("80:", "no port specified: 80:<empty>"),
            ("x:y", "Invalid containerPort: y"),
            ("a:80:80", "invalid IP address: a"),
            ("80:80:80:80", "invalid IP address: 80:80"),
            ("1.2.3.4:80", "Invalid hostPort: 1.2.3.4"),
            ("70000:80", "Invalid hostPort: 70000"),
            ("-1:80", "Invalid hostPort: -1"),
            ("80/foo", "Invalid proto: foo"),
            (
                "80-81:80-82",
                "invalid ranges specified for container and host Ports: 80-82 and 80-81",
            ),
        ] {
            assert_eq!(parse_publish(text).unwrap_err().to_string(), message);
        }
        assert_eq!(
            parse_expose("1:2"),
            Err(InvalidPort::Expose("1:2".to_owned()))
        );
        assert_eq!(parse_expose("1-2/udp").unwrap()[1].to_string(), "2/udp");
    }
}
