//! What a create request says of networks and ports, in the engine's words.

use std::collections::BTreeMap;

use api::host_config::HostConfig;
use api::network::{EndpointSettings, NetworkingConfig};
use engine::container::record::{Attachment, Network};
use engine::network::PortRequest;
use types::port::ContainerPort;

use crate::error::Failure;
use crate::request::{Request, Result};

/// Reads the network mode.
pub(super) fn network(mode: &str) -> Network {
    match mode {
        "bridge" | "default" | "" => Network::Bridge,
        "none" => Network::None,
        "host" => Network::Host,
        _ => match mode.strip_prefix("container:") {
            Some(other) => Network::Container(other.to_owned()),
            None => Network::Named(mode.to_owned()),
        },
    }
}

/// Reads which networks a container is connected to: that of its mode first.
pub(super) fn attachments(
    request: &Request,
    host: &HostConfig,
    networking: Option<&NetworkingConfig>,
    container_mac: &str,
) -> Result<Vec<Attachment>> {
    let none = BTreeMap::new();
    let endpoints = networking
        .and_then(|config| config.endpoints_config.as_ref())
        .unwrap_or(&none);
    let mode = host.network_mode.as_str();
    if !matches!(network(mode), Network::Bridge | Network::Named(_)) {
        return refuse_special(mode, endpoints).map(|()| Vec::new());
    }
    if endpoints.len() > 1 && !request.version.at_least(44) {
        let names: Vec<_> = endpoints.keys().map(String::as_str).collect();
        return Err(Failure::bad_request(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        )));
    }
    let plain = |name: &str| {
        if name == "default" {
            "bridge".to_owned()
        } else {
            name.to_owned()
        }
    };
    let mut all = Vec::new();
    let mut first = Attachment {
        network: plain(mode),
        ..Attachment::default()
    };
    for (name, endpoint) in endpoints {
        match name.as_str() {
            "host" => {
                return setup(
                    "cannot connect container to host network - container must be created in host \
                 network mode",
                );
            }
            "none" => {
                return setup(
                    "container cannot be connected to multiple networks with one of the networks in \
                 private (none) mode",
                );
            }
            _ => {}
        }
        let name = plain(name);
        let attachment = attachment(&name, endpoint)?;
        let same = name == first.network || is_same(request, &name, &first.network);
        if same {
            first = attachment;
        } else {
            all.push(attachment);
        }
    }
    if first.links.is_empty() && first.network == "bridge" {
        first.links = host.links.clone().unwrap_or_default();
    }
    if !container_mac.is_empty() {
        first.mac = Some(mac(container_mac)?);
    }
    all.insert(0, first);
    Ok(all)
}

fn is_same(request: &Request, one: &str, other: &str) -> bool {
    let id = |name| {
        request
            .engine
            .network_record(name)
            .map(|network| network.id)
    };
    id(one).is_some() && id(one) == id(other)
}

fn setup<T>(why: &str) -> Result<T> {
    let sentence = format!("failed to set up container networking: {why}");
    Err(Failure::bad_request(sentence))
}

/// Networks that go with no other.
fn refuse_special(mode: &str, endpoints: &BTreeMap<String, EndpointSettings>) -> Result<()> {
    if let Some(name) = endpoints.keys().find(|name| *name != mode) {
        if mode == "none" && name != "host" {
            return setup(
                "container cannot be connected to multiple networks with one of the networks in \
                 private (none) mode",
            );
        }
        if name == "host" {
            return setup(
                "cannot connect container to host network - container must be created in host \
                 network mode",
            );
        }
        return setup(
            "container sharing network namespace with another container or host cannot be connected \
             to any other network",
        );
    }
    Ok(())
}

/// Reads what is wished of a place on a network.
pub(super) fn attachment(name: &str, given: &EndpointSettings) -> Result<Attachment> {
    let ipam = given.ipam_config.clone().unwrap_or_default();
    if !ipam.ipv6_address.is_empty() {
        return Err(Failure::not_yet("an IPv6 address of one's own (--ip6)"));
    }
    if !ipam.link_local_ips.is_empty() {
        return Err(Failure::not_yet("--link-local-ip"));
    }
    let address = match ipam.ipv4_address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            Failure::bad_request(format!(
                "invalid config for network {name}: invalid endpoint settings:\ninvalid IPv4 \
                 address: {text}"
            ))
        })?),
    };
    Ok(Attachment {
        network: name.to_owned(),
        aliases: given.aliases.clone().unwrap_or_default(),
        links: given.links.clone().unwrap_or_default(),
        address,
        mac: match given.mac_address.as_str() {
            "" => None,
            text => Some(mac(text)?),
        },
        options: given.driver_opts.clone().unwrap_or_default(),
        priority: given.gw_priority,
    })
}

fn mac(text: &str) -> Result<[u8; 6]> {
    let parse = || {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
        }
        parts.next().is_none().then_some(bytes)
    };
    parse().ok_or_else(|| {
        Failure::bad_request(format!(
            "invalid MAC address: address {text}: invalid MAC address"
        ))
    })
}

/// Reads which ports of this machine shall lead to the container.
pub(super) fn ports(host: &HostConfig) -> Result<Vec<PortRequest>> {
    let mut all = Vec::new();
    for (key, bindings) in host.port_bindings.iter().flatten() {
        let bad =
            |text: &str| Failure::bad_request(format!("invalid port specification: {text:?}"));
        let ContainerPort { number, protocol } = key.parse().map_err(|_| bad(key))?;
        for binding in bindings.iter().flatten() {
            let (first, last) = range(&binding.host_port).ok_or_else(|| bad(&binding.host_port))?;
            let host_address = match binding.host_ip.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|_| {
                    Failure::bad_request(format!("invalid host IP address: {text}"))
                })?),
            };
            all.push(PortRequest {
                protocol,
                container_port: number,
                host_address,
                first,
                last,
            });
        }
    }
    Ok(all)
}

/// Nothing, `8080`, or `8000-8010`.
fn range(text: &str) -> Option<(u16, u16)> {
    if text.is_empty() {
        return Some((0, 0));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::container::PortBinding;

    #[test]
    fn ports_are_read_as_docker_writes_them() {
        let binding = |ip: &str, port: &str| PortBinding {
            host_ip: ip.to_owned(),
            host_port: port.to_owned(),
        };
        let read = |binding: PortBinding| {
            let bindings = BTreeMap::from([("80/tcp".to_owned(), Some(vec![binding]))]);
            let host = HostConfig {
                port_bindings: Some(bindings),
                ..HostConfig::default()
            };
            ports(&host).map(|all| (all[0].host_address, all[0].first, all[0].last))
        };
        assert_eq!(read(binding("", "")).ok(), Some((None, 0, 0)));
        assert_eq!(
            read(binding("", "8000-8010")).ok(),
            Some((None, 8000, 8010))
        );
        let one = read(binding("127.0.0.1", "80")).ok();
        assert_eq!(one, Some((Some([127, 0, 0, 1].into()), 80, 80)));
        for bad in [binding("x", "80"), binding("", "x"), binding("", "9-8")] {
            assert!(read(bad).is_err());
        }
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(mac("02:00:00:00:00:05").ok(), Some([2, 0, 0, 0, 0, 5]));
        for bad in ["", "02:00", "02:00:00:00:00:05:06", "02:00:00:00:00:0g"] {
            assert!(mac(bad).is_err(), "{bad}");
        }
    }
}
