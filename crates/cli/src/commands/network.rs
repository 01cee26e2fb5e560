//! `network`: make, list, remove, connect.

use std::collections::BTreeMap;

use api::network::{
    EndpointIpam, EndpointSettings, Ipam, IpamConfig, Network, NetworkConnectRequest,
    NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest, NetworksPruned,
};

use crate::client::parse;
use crate::commands::lifecycle::confirm;
use crate::commands::ps::short_id;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::value::Value;
use crate::format::{Listing, row, time};
use crate::http::{Query, escape_path};
use crate::session::Session;

const HEADERS: &[(&str, &str)] = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv6", "IPV6"),
    ("IPv4", "IPV4"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

const RAW: &str = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";

/// `network ls`
pub(crate) fn list(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let query = Query::default().with_filters(&parsed.filters()).render();
    let mut networks: Vec<Network> = session.client.get_json(&format!("/networks{query}"))?;
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let truncate = !parsed.is_set("no-trunc");
    let listing = Listing {
        headers: HEADERS,
        columns: &["ID", "Name", "Driver", "Scope"],
        quiet: parsed.is_set("quiet").then_some("ID"),
        raw: RAW,
        kind: "*formatter.networkContext",
        complaint: "template parsing error",
        rows: networks
            .iter()
            .map(|network| context(network, truncate))
            .collect(),
    };
    listing.show(session, parsed.text("format"))?;
    Ok(0)
}

fn context(network: &Network, truncate: bool) -> Value {
    let id = if truncate {
        short_id(&network.id)
    } else {
        &network.id
    };
    let labels: Vec<String> = network
        .labels
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let created = time::api_time(&network.created, std::time::SystemTime::now());
    row(vec![
        ("ID", Value::text(id)),
        ("Name", Value::text(&network.name)),
        ("Driver", Value::text(&network.driver)),
        ("Scope", Value::text(&network.scope)),
        ("IPv6", Value::text(network.enable_ipv6.to_string())),
        ("IPv4", Value::text(network.enable_ipv4.to_string())),
        ("Internal", Value::text(network.internal.to_string())),
        ("Labels", Value::text(labels.join(","))),
        (
            "CreatedAt",
            Value::text(created.unwrap_or_else(|| network.created.clone())),
        ),
    ])
}

/// `network create`
pub(crate) fn create(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let driver = parsed.text("driver");
    let request = NetworkCreateRequest {
        name: parsed.args[0].clone(),
        driver: if driver.is_empty() { "bridge" } else { driver }.to_owned(),
        scope: parsed.text("scope").to_owned(),
        enable_ipv4: parsed.given("ipv4").then(|| parsed.is_set("ipv4")),
        enable_ipv6: parsed.given("ipv6").then(|| parsed.is_set("ipv6")),
        ipam: Some(Ipam {
            driver: match parsed.text("ipam-driver") {
                "" => "default".to_owned(),
                driver => driver.to_owned(),
            },
            options: Some(pairs(&parsed.all("ipam-opt"))),
            config: Some(subnets(parsed)?),
        }),
        internal: parsed.is_set("internal"),
        attachable: parsed.is_set("attachable"),
        ingress: parsed.is_set("ingress"),
        config_only: parsed.is_set("config-only"),
        config_from: match parsed.text("config-from") {
            "" => None,
            network => Some(api::network::ConfigFrom {
                network: network.to_owned(),
            }),
        },
        options: Some(pairs(&parsed.all("opt"))),
        labels: Some(pairs(&parsed.all("label"))),
    };
    let answer = session.client.post_json("/networks/create", &request)?;
    let answer: NetworkCreateResponse = parse(&answer)?;
    session.line(&answer.id)?;
    Ok(0)
}

fn pairs(words: &[String]) -> BTreeMap<String, String> {
    let split = |word: &String| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    };
    words.iter().map(split).collect()
}

/// A network address as it is typed: IPv4 or IPv6.
struct Block {
    bits: u128,
    length: u32,
    four: bool,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length = length.parse().ok()?;
        Self::of(address, length)
    }

    /// `length` counts from the left of the address.
    fn of(address: &str, length: u32) -> Option<Self> {
        match address.parse().ok()? {
            std::net::IpAddr::V4(address) => Some(Self {
                bits: u128::from(address.to_bits()) << 96,
                length,
                four: true,
            }),
            std::net::IpAddr::V6(address) => Some(Self {
                bits: address.to_bits(),
                length,
                four: false,
            }),
        }
    }

    fn contains(&self, other: &Self) -> bool {
        let shift = 128_u32.saturating_sub(self.length);
        let head = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
        self.four == other.four && head(self.bits) == head(other.bits)
    }
}

/// Reads the subnets, which may not meet.
fn plain(subnets: &[String]) -> Result<Vec<IpamConfig>> {
    let mut all: Vec<IpamConfig> = Vec::new();
    for text in subnets {
        let overlaps = |other: &IpamConfig| {
            let (a, b) = (Block::parse(text), Block::parse(&other.subnet));
            a.zip(b)
                .is_some_and(|(a, b)| a.contains(&b) || b.contains(&a))
        };
        if all.iter().any(overlaps) {
            return Err(Error::text(
                "multiple overlapping subnet configuration is not supported",
            ));
        }
        all.push(IpamConfig {
            subnet: text.clone(),
            ..IpamConfig::default()
        });
    }
    Ok(all)
}

/// Puts ranges, gateways and other addresses to the subnets in which they are.
fn subnets(parsed: &Parsed) -> Result<Vec<IpamConfig>> {
    let subnets = parsed.all("subnet");
    let (ranges, gateways) = (parsed.all("ip-range"), parsed.all("gateway"));
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err(Error::text(
            "every ip-range or gateway must have a corresponding subnet",
        ));
    }
    let mut all = plain(&subnets)?;
    let whole = |text: &str| Block::parse(text).or_else(|| Block::of(text, 128));
    let mut place = |text: &str, what: &str, put: &mut dyn FnMut(&mut IpamConfig) -> Result<()>| {
        let inside = |config: &&mut IpamConfig| {
            let subnet = Block::parse(&config.subnet);
            subnet
                .zip(whole(text))
                .is_some_and(|(subnet, one)| subnet.contains(&one))
        };
        match all.iter_mut().find(inside) {
            Some(config) => put(config),
            None => Err(Error::text(format!("no matching subnet for {what} {text}"))),
        }
    };
    for text in &ranges {
        place(text, "range", &mut |config| {
            if !config.ip_range.is_empty() {
                let subnet = &config.subnet;
                return Err(Error::text(format!(
                    "cannot configure multiple ranges ({text}, {}) on the same subnet ({subnet})",
                    config.ip_range
                )));
            }
            config.ip_range.clone_from(text);
            Ok(())
        })?;
    }
    for text in &gateways {
        place(text, "gateway", &mut |config| {
            if !config.gateway.is_empty() {
                let subnet = &config.subnet;
                return Err(Error::text(format!(
                    "cannot configure multiple gateways ({text}, {}) for the same subnet ({subnet})",
                    config.gateway
                )));
            }
            config.gateway.clone_from(text);
            Ok(())
        })?;
    }
    for (name, address) in pairs(&parsed.all("aux-address")) {
        place(&address, "aux-address", &mut |config| {
            config
                .auxiliary_addresses
                .insert(name.clone(), address.clone());
            Ok(())
        })?;
    }
    Ok(all)
}

/// `network rm`
pub(crate) fn remove(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let force = parsed.is_set("force");
    let mut code = 0;
    for name in &parsed.args {
        match session
            .client
            .delete(&format!("/networks/{}", escape_path(name)))
        {
            Ok(_) => session.line(name)?,
            Err(error @ Error::NoDaemon { .. }) => return Err(error),
            Err(error) if force && error.is_not_found() => {}
            Err(error) => {
                session.warn(&error.to_string());
                code = 1;
            }
        }
    }
    if code != 0 {
        // As Docker's client says it.
        return Err(Error::text("exit status 1"));
    }
    Ok(0)
}

/// `network connect`
pub(crate) fn connect(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let request = NetworkConnectRequest {
        container: parsed.args[1].clone(),
        endpoint_config: Some(EndpointSettings {
            ipam_config: Some(EndpointIpam {
                ipv4_address: parsed.text("ip").to_owned(),
                ipv6_address: parsed.text("ip6").to_owned(),
                link_local_ips: parsed.all("link-local-ip"),
            }),
            links: some(parsed.all("link")),
            aliases: some(parsed.all("alias")),
            driver_opts: Some(pairs(&parsed.all("driver-opt"))),
            gw_priority: parsed.int("gw-priority"),
            ..EndpointSettings::default()
        }),
    };
    let path = format!("/networks/{}/connect", escape_path(&parsed.args[0]));
    session.client.post_json(&path, &request)?;
    Ok(0)
}

/// `network disconnect`
pub(crate) fn disconnect(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let request = NetworkDisconnectRequest {
        container: parsed.args[1].clone(),
        force: parsed.is_set("force"),
    };
    let path = format!("/networks/{}/disconnect", escape_path(&parsed.args[0]));
    session.client.post_json(&path, &request)?;
    Ok(0)
}

/// `network prune`
pub(crate) fn prune(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let warning =
        "WARNING! This will remove all custom networks not used by at least one container.";
    if !parsed.is_set("force") && !confirm(session, warning)? {
        return Ok(1);
    }
    let query = Query::default().with_filters(&parsed.filters()).render();
    let answer = session.client.post(&format!("/networks/prune{query}"))?;
    let answer: NetworksPruned = parse(&answer)?;
    if let Some(names) = answer.networks_deleted.filter(|names| !names.is_empty()) {
        session.print(&format!("Deleted Networks:\n{}\n\n", names.join("\n")))?;
    }
    Ok(0)
}
