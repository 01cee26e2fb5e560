//! Pure: `--network` and the flags that belong to it → endpoints.

use std::collections::BTreeMap;

use api::host_config::HostConfig;
use api::network::{EndpointIpam, EndpointSettings, NetworkingConfig};

use crate::error::{Error, Result};
use crate::flags::{Parsed, quote};

/// The first network is the mode; options of `--network name=…,alias=…` and the flags that stand
/// for them make its endpoint. One network without options needs no endpoint.
pub(crate) fn networks(parsed: &Parsed, host: &mut HostConfig) -> Result<NetworkingConfig> {
    let mut endpoints = BTreeMap::new();
    let given = [parsed.all("network"), parsed.all("net")].concat();
    let wanted = if given.is_empty() {
        vec!["default".to_owned()]
    } else {
        given.clone()
    };
    let (mut own, mut special) = (false, false);
    for (index, text) in wanted.iter().enumerate() {
        let (name, mut endpoint) = network(text).map_err(Error::Text)?;
        if name.is_empty() {
            return Err(Error::text("no name set for network"));
        }
        let user_defined = is_user_defined(&name);
        own |= user_defined;
        special |= !user_defined;
        if index == 0 {
            host.network_mode.clone_from(&name);
            plain_network_flags(parsed, &mut endpoint, user_defined);
        }
        if !user_defined && endpoint.aliases.is_some() {
            let text = "network-scoped aliases are only supported for user-defined networks";
            return Err(Error::text(text));
        }
        if given.len() == 1 && endpoint == EndpointSettings::default() {
            continue;
        }
        if endpoints.insert(name.clone(), endpoint).is_some() {
            let name = quote(&name);
            return Err(Error::text(format!(
                "network {name} is specified multiple times"
            )));
        }
    }
    if own && special {
        return Err(Error::text(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        ));
    }
    Ok(NetworkingConfig {
        endpoints_config: Some(endpoints),
    })
}

fn is_user_defined(name: &str) -> bool {
    !matches!(name, "default" | "bridge" | "host" | "none") && !name.starts_with("container:")
}

fn plain_network_flags(parsed: &Parsed, endpoint: &mut EndpointSettings, user_defined: bool) {
    let aliases = [parsed.all("network-alias"), parsed.all("net-alias")].concat();
    if !aliases.is_empty() {
        endpoint.aliases.get_or_insert_default().extend(aliases);
    }
    if user_defined && parsed.given("link") {
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
    if parsed.given("mac-address") {
        parsed
            .text("mac-address")
            .clone_into(&mut endpoint.mac_address);
    }
}

/// Parses one `--network`: a name, or `name=…` with options.
pub(crate) fn network(text: &str) -> Result<(String, EndpointSettings), String> {
    let mut endpoint = EndpointSettings::default();
    if !text.contains('=') {
        return Ok((text.to_owned(), endpoint));
    }
    let mut name = String::new();
    let mut ipam = EndpointIpam::default();
    for field in text.split(',') {
        let Some((key, value)) = field.split_once('=') else {
            return Err(format!("invalid field {field}"));
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
                let bad = |_| format!("invalid gw-priority: {value}");
                endpoint.gw_priority = value.parse().map_err(bad)?;
            }
            _ => return Err(format!("invalid field key {key}")),
        }
    }
    if ipam != EndpointIpam::default() {
        endpoint.ipam_config = Some(ipam);
    }
    Ok((name, endpoint))
}
