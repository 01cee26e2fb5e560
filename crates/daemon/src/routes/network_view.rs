//! A container's networks and ports as inspect and the list show them.

use std::collections::{BTreeMap, BTreeSet};

use api::container::{Port, PortBinding};
use api::network::{EndpointIpam, EndpointSettings, NetworkSettings};
use engine::Engine;
use engine::container::Snapshot;
use engine::container::record::{Attachment, Network};
use engine::network::{EndpointRecord, Publication};
use types::port::ContainerPort;

/// Returns the network mode.
pub(super) fn mode(network: &Network) -> String {
    match network {
        Network::None => "none".to_owned(),
        Network::Host => "host".to_owned(),
        Network::Bridge => "bridge".to_owned(),
        Network::Named(name) => name.clone(),
        Network::Container(id) => format!("container:{id}"),
    }
}

/// Returns a container's place on each of its networks.
pub(super) fn networks(engine: &Engine, one: &Snapshot) -> BTreeMap<String, EndpointSettings> {
    let host = &one.record.host;
    let started = one.state.started_ns.is_some();
    let id = |name: &str| {
        let found = engine.network_record(name).filter(|_| started);
        found.map(|network| network.id).unwrap_or_default()
    };
    match &host.network {
        Network::Container(_) => BTreeMap::new(),
        Network::None | Network::Host => {
            let name = mode(&host.network);
            let endpoint = EndpointSettings {
                network_id: id(&name),
                ..EndpointSettings::default()
            };
            BTreeMap::from([(name, endpoint)])
        }
        Network::Bridge | Network::Named(_) => host
            .attachments
            .iter()
            .map(|attachment| {
                let place = one
                    .record
                    .endpoints
                    .iter()
                    .filter(|_| one.state.status.is_running())
                    .find(|endpoint| endpoint.network_name == attachment.network);
                let mut shown = endpoint(one, attachment, place);
                shown.network_id = id(&attachment.network);
                (attachment.network.clone(), shown)
            })
            .collect(),
    }
}

fn endpoint(
    one: &Snapshot,
    wanted: &Attachment,
    place: Option<&EndpointRecord>,
) -> EndpointSettings {
    let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    let ipam = wanted.address.map(|address| EndpointIpam {
        ipv4_address: address.to_string(),
        ..EndpointIpam::default()
    });
    let mut shown = EndpointSettings {
        ipam_config: ipam,
        links: list(&wanted.links),
        aliases: list(&wanted.aliases),
        driver_opts: (!wanted.options.is_empty()).then(|| wanted.options.clone()),
        gw_priority: wanted.priority,
        ..EndpointSettings::default()
    };
    // A default bridge's link is the host configuration's.
    if wanted.network == "bridge" {
        shown.links = None;
    }
    let Some(place) = place else {
        return shown;
    };
    shown.mac_address = place.mac_text();
    shown.endpoint_id.clone_from(&place.id);
    let gateway = place.gateway.map(|gateway| gateway.to_string());
    shown.gateway = gateway.unwrap_or_default();
    shown.ip_address = place.address.address().to_string();
    shown.ip_prefix_len = i64::from(place.address.length());
    let names = list(&place.names).filter(|_| wanted.network != "bridge");
    shown.dns_names = names;
    debug_assert!(one.state.status.is_running());
    shown
}

/// Returns what inspect says of the networks, with the top-level addresses of older clients.
pub(super) fn settings(engine: &Engine, one: &Snapshot) -> NetworkSettings {
    let networks = networks(engine, one);
    let top = networks.get("bridge").cloned().unwrap_or_default();
    NetworkSettings {
        ports: ports(one),
        endpoint_id: top.endpoint_id,
        gateway: top.gateway,
        ip_address: top.ip_address,
        ip_prefix_len: top.ip_prefix_len,
        mac_address: top.mac_address,
        networks,
        ..NetworkSettings::default()
    }
}

/// The ports at which a container listens, and those of this machine that lead there.
fn known(one: &Snapshot) -> BTreeMap<ContainerPort, Vec<&Publication>> {
    let record = &one.record;
    if !one.state.status.is_running() || record.endpoints.is_empty() {
        return BTreeMap::new();
    }
    let exposed: BTreeSet<ContainerPort> = record
        .config
        .exposed
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let mut all: BTreeMap<_, Vec<_>> = exposed.into_iter().map(|port| (port, vec![])).collect();
    for published in &record.ports {
        let port = ContainerPort {
            number: published.container_port,
            protocol: published.protocol,
        };
        all.entry(port).or_default().push(published);
    }
    all
}

fn ports(one: &Snapshot) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let binding = |port: &&Publication| PortBinding {
        host_ip: port.host_address.to_string(),
        host_port: port.host_port.to_string(),
    };
    known(one)
        .iter()
        .map(|(port, published)| {
            let bindings: Vec<_> = published.iter().map(binding).collect();
            (port.to_string(), (!bindings.is_empty()).then_some(bindings))
        })
        .collect()
}

/// Returns the ports as the list of containers shows them.
pub(super) fn port_list(one: &Snapshot) -> Vec<Port> {
    let mut all = Vec::new();
    for (port, published) in known(one) {
        let kind = port.protocol.to_string();
        if published.is_empty() {
            all.push(Port {
                private_port: port.number,
                kind: kind.clone(),
                ..Port::default()
            });
        }
        all.extend(published.into_iter().map(|published| Port {
            ip: published.host_address.to_string(),
            private_port: port.number,
            public_port: published.host_port,
            kind: kind.clone(),
        }));
    }
    all
}
