//! What is wished of a container's networks and ports, and what can be fulfilled.

use net::{EndpointRequest, NetworkRecord, PortRequest};
use types::port::{ContainerPort, Protocol};

use super::record::{Attachment, Config, Host, Network, Record};
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Settles, when a container is created, what its words about networks mean. Returns what the
    /// user should know.
    pub(crate) fn settle_networks(
        &self,
        config: &mut Config,
        host: &mut Host,
    ) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        match &host.network {
            Network::Bridge if host.attachments.is_empty() => {
                host.attachments.push(Attachment {
                    network: "bridge".to_owned(),
                    ..Attachment::default()
                });
            }
            Network::Named(name) if host.attachments.is_empty() => {
                host.attachments.push(Attachment {
                    network: name.clone(),
                    ..Attachment::default()
                });
            }
            Network::Host if !host.ports.is_empty() => warnings
                .push("Published ports are discarded when using host network mode".to_owned()),
            Network::Container(_) if !host.ports.is_empty() || host.publish_all => {
                return Err(Error::invalid(
                    "conflicting options: port publishing and the container type network mode",
                ));
            }
            Network::Container(other) => {
                let cell = self.find(other).map_err(|error| {
                    // No 404: to clients that is an image to be pulled.
                    Error::invalid(format!("joining network namespace of container: {error}"))
                })?;
                config.hostname.clone_from(&cell.record().config.hostname);
                host.network = Network::Container(cell.id.to_string());
            }
            _ => {}
        }
        for attachment in &mut host.attachments {
            let Some(network) = self.network_record(&attachment.network) else {
                continue;
            };
            check_attachment(attachment, &network)?;
            attachment.network.clone_from(&network.name);
        }
        if let (Network::Named(name), Some(first)) = (&mut host.network, host.attachments.first())
            && self
                .network_record(name)
                .is_some_and(|network| network.name == first.network)
        {
            name.clone_from(&first.network);
        }
        Ok(warnings)
    }
}

/// Refuses wishes that the network cannot fulfil, in Docker's words.
pub(crate) fn check_attachment(attachment: &Attachment, network: &NetworkRecord) -> Result<()> {
    let refuse = |why: &str| {
        let name = &network.name;
        Err(Error::invalid(format!(
            "invalid config for network {name}: invalid endpoint settings:\n{why}"
        )))
    };
    if network.is_predefined() {
        if !attachment.aliases.is_empty() {
            return refuse("network-scoped aliases are only supported for user-defined networks");
        }
        if attachment.address.is_some() {
            return refuse("user specified IP address is supported on user defined networks only");
        }
    }
    let (Some(address), Some(subnet)) = (attachment.address, &network.subnet) else {
        return Ok(());
    };
    if !subnet.chosen {
        return refuse(
            "user specified IP address is supported only when connecting to networks with user \
             configured subnets",
        );
    }
    if !subnet.subnet.contains(address) {
        return refuse(&format!(
            "no configured subnet or ip-range contain the IP address {address}"
        ));
    }
    Ok(())
}

/// What is wished of a container's place on a network.
pub(crate) fn request(
    record: &Record,
    attachment: &Attachment,
    network: &NetworkRecord,
    link: String,
) -> EndpointRequest {
    let names = if network.has_names() {
        names_of(record, Some(attachment))
    } else {
        Vec::new()
    };
    EndpointRequest {
        network: network.id.clone(),
        container: record.id,
        address: attachment.address,
        mac: attachment.mac,
        settings: settings(attachment, &link),
        link,
        priority: attachment.priority,
        names,
    }
}

/// Docker's order: name, aliases, short id, host name; each once.
pub(super) fn names_of(record: &Record, attachment: Option<&Attachment>) -> Vec<String> {
    let mut names = vec![record.name.clone()];
    names.extend(attachment.iter().flat_map(|one| one.aliases.clone()));
    names.extend([record.id.short(), record.config.hostname.clone()]);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// `net.ipv4.conf.IFNAME.x=v,…` of the endpoint's own options.
fn settings(attachment: &Attachment, link: &str) -> Vec<(String, String)> {
    let text = attachment
        .options
        .get("com.docker.network.endpoint.sysctls");
    let pairs = text.map(String::as_str).unwrap_or_default().split(',');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("net.")?.replace('.', "/");
            Some((name.replace("IFNAME", link), value.to_owned()))
        })
        .collect()
}

/// `name:alias`, or a name that is its own alias: the alias, then the name.
pub(crate) fn split_link(link: &str) -> (String, String) {
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    (alias.to_owned(), name.to_owned())
}

/// The ports that are asked for, and with `-P` all others at which the container listens.
pub(super) fn port_requests(config: &Config, host: &Host) -> Vec<PortRequest> {
    let mut all = host.ports.clone();
    if !host.publish_all {
        return all;
    }
    for exposed in &config.exposed {
        let Ok(ContainerPort { number, protocol }) = exposed.parse() else {
            continue;
        };
        let bound = |one: &PortRequest| (one.container_port, one.protocol) == (number, protocol);
        if !all.iter().any(bound) {
            all.push(PortRequest {
                protocol,
                container_port: number,
                host_address: None,
                first: 0,
                last: 0,
            });
        }
    }
    all.sort_by_key(|one| (one.container_port, one.protocol != Protocol::Tcp));
    all
}
