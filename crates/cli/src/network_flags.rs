//! Pure: `--network` and the flags that belong to it → endpoints.

use std::collections::BTreeMap;

use api::host_config::HostConfig;
use api::network::{EndpointIpam, EndpointSettings, NetworkingConfig};

use crate::error::{Error, Result};
use crate::flags::Parsed;

/// The first network is the mode; options of `--network name=…,alias=…` and the flags that stand
/// for them make its endpoint.
pub(crate) fn networks(parsed: &Parsed, host: &mut HostConfig) -> Result<NetworkingConfig> {
    let mut endpoints = BTreeMap::new();
    let wanted = [parsed.all("network"), parsed.all("net")].concat();
    for (index, text) in wanted.iter().enumerate() {
        let (name, mut endpoint) = network(text)?;
        if index == 0 {
            host.network_mode.clone_from(&name);
        }
        if index == 0 {
            plain_network_flags(parsed, &mut endpoint);
        }
        let plain = endpoint == EndpointSettings::default();
        let special = matches!(name.as_str(), "default" | "bridge" | "host" | "none")
            || name.starts_with("container:");
        if !(plain && special) {
            endpoints.insert(name, endpoint);
        }
    }
    if wanted.is_empty() {
        "default".clone_into(&mut host.network_mode);
        let mut endpoint = EndpointSettings::default();
        plain_network_flags(parsed, &mut endpoint);
        if endpoint != EndpointSettings::default() {
            endpoints.insert("default".to_owned(), endpoint);
        }
    }
    Ok(NetworkingConfig {
        endpoints_config: Some(endpoints),
    })
}

fn plain_network_flags(parsed: &Parsed, endpoint: &mut EndpointSettings) {
    let aliases = [parsed.all("network-alias"), parsed.all("net-alias")].concat();
    if !aliases.is_empty() {
        endpoint.aliases.get_or_insert_default().extend(aliases);
    }
    if !parsed.all("link").is_empty() {
        endpoint.links = Some(parsed.all("link"));
    }
    let ipam = EndpointIpam {
        ipv4_address: parsed.text("ip").to_owned(),
        ipv6_address: parsed.text("ip6").to_owned(),
        link_local_ips: parsed.all("link-local-ip"),
    };
    if ipam != EndpointIpam::default() {
        endpoint.ipam_config = Some(ipam);
    }
    if !parsed.text("mac-address").is_empty() {
        parsed
            .text("mac-address")
            .clone_into(&mut endpoint.mac_address);
    }
}

fn network(text: &str) -> Result<(String, EndpointSettings)> {
    let mut endpoint = EndpointSettings::default();
    if !text.contains('=') {
        return Ok((text.to_owned(), endpoint));
    }
    let mut name = String::new();
    let mut ipam = EndpointIpam::default();
    for field in text.split(',') {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Error::text(format!("invalid field {field}")));
        };
        match key.to_lowercase().as_str() {
            "name" => value.clone_into(&mut name),
            "alias" => endpoint
                .aliases
                .get_or_insert_default()
                .push(value.to_owned()),
            "ip" => value.clone_into(&mut ipam.ipv4_address),
            "ip6" => value.clone_into(&mut ipam.ipv6_address),
            "mac-address" => value.clone_into(&mut endpoint.mac_address),
            "link-local-ip" => ipam.link_local_ips.push(value.to_owned()),
            "driver-opt" => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                let options = endpoint.driver_opts.get_or_insert_default();
                options.insert(key.to_owned(), value.to_owned());
            }
            "gw-priority" => {
                let bad = |_| Error::text(format!("invalid gw-priority: {value}"));
                endpoint.gw_priority = value.parse().map_err(bad)?;
            }
            _ => return Err(Error::text(format!("invalid field key {key}"))),
        }
    }
    if ipam != EndpointIpam::default() {
        endpoint.ipam_config = Some(ipam);
    }
    Ok((name, endpoint))
}
