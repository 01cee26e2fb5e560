//! `/networks`: Docker's documents, the engine's words.

use std::collections::BTreeMap;

use api::Filters;
use api::network::{
    ConfigFrom, EndpointSettings, Ipam, IpamConfig, Network, NetworkConnectRequest,
    NetworkContainer, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
    NetworksPruned,
};
use engine::network::Driver;
use engine::network::{NetworkCreate, NetworkFilter, NetworkSnapshot};
use hyper::StatusCode;

use super::create_networks::attachment;
use super::event::labels;
use crate::error::Failure;
use crate::request::{Answer, Request, Result};
use crate::time;

pub(crate) async fn list(request: Request) -> Result {
    let filters = filters(&request)?;
    check(&filters)?;
    let rows: Vec<Network> = request
        .engine
        .network_list()
        .iter()
        .filter(|one| holds(one, &filters))
        .map(|one| Network {
            containers: BTreeMap::new(),
            ..document(one)
        })
        .collect();
    Ok(Answer::ok(&rows))
}

fn filters(request: &Request) -> Result<Filters> {
    Filters::parse(request.query.get("filters")).map_err(|_| Failure::bad_request("invalid filter"))
}

fn check(filters: &Filters) -> Result<()> {
    const KEYS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
    if let Some(key) = filters.0.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Failure::bad_request(format!("invalid filter '{key}'")));
    }
    if filters
        .get("dangling")
        .iter()
        .any(|text| truth(text).is_none())
    {
        return Err(Failure::bad_request(
            "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")",
        ));
    }
    for kind in filters.get("type") {
        if !["builtin", "custom"].contains(&kind.as_str()) {
            let sentence = format!("invalid filter: 'type'='{kind}'");
            return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, sentence));
        }
    }
    Ok(())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn holds(one: &NetworkSnapshot, filters: &Filters) -> bool {
    let record = &one.record;
    let any = |key: &str, test: &dyn Fn(&str) -> bool| {
        !filters.contains(key) || filters.get(key).iter().any(|value| test(value))
    };
    let dangling = !record.is_predefined() && one.endpoints.is_empty();
    any("driver", &|value| record.driver.name() == value)
        && any("id", &|value| record.id.starts_with(value))
        && any("name", &|value| record.name.contains(value))
        && any("scope", &|value| value == "local")
        && any("type", &|value| {
            (value == "builtin") == record.is_predefined()
        })
        && any("dangling", &|value| truth(value) == Some(dangling))
        && labels(&record.labels, filters.get("label"))
}

fn document(one: &NetworkSnapshot) -> Network {
    let record = &one.record;
    let config = record.subnet.as_ref().map(|subnet| {
        vec![IpamConfig {
            subnet: subnet.subnet.to_string(),
            ip_range: subnet
                .range
                .map(|range| range.to_string())
                .unwrap_or_default(),
            gateway: if subnet.gateway_told {
                subnet.gateway.to_string()
            } else {
                String::new()
            },
            auxiliary_addresses: subnet
                .auxiliary
                .iter()
                .map(|(name, address)| (name.clone(), address.to_string()))
                .collect(),
        }]
    });
    let container = |(name, endpoint): &(String, engine::network::EndpointRecord)| {
        let shown = NetworkContainer {
            name: name.clone(),
            endpoint_id: endpoint.id.clone(),
            mac_address: endpoint.mac_text(),
            ipv4_address: endpoint.address.to_string(),
            ipv6_address: String::new(),
        };
        (endpoint.container.to_string(), shown)
    };
    Network {
        name: record.name.clone(),
        id: record.id.clone(),
        created: time::rfc3339_nano(record.created_ns),
        scope: "local".to_owned(),
        driver: record.driver.name().to_owned(),
        enable_ipv4: true,
        enable_ipv6: false,
        ipam: Ipam {
            driver: "default".to_owned(),
            options: (!record.is_predefined()).then(|| record.ipam_options.clone()),
            config: config.filter(|_| !matches!(record.driver, Driver::Host | Driver::Null)),
        },
        internal: record.internal,
        attachable: record.attachable,
        ingress: false,
        config_from: ConfigFrom::default(),
        config_only: false,
        containers: one.endpoints.iter().map(container).collect(),
        options: Some(record.options.clone()),
        labels: Some(record.labels.clone()),
    }
}

pub(crate) async fn inspect(request: Request) -> Result {
    let one = request.engine.network_inspect(&request.name)?;
    Ok(Answer::ok(&document(&one)))
}

pub(crate) async fn create(request: Request) -> Result {
    let (given, request) = request.document::<NetworkCreateRequest>().await?;
    refuse(&given)?;
    let ipam = given.ipam.unwrap_or_default();
    if !["", "default"].contains(&ipam.driver.as_str()) {
        let sentence = format!("plugin {:?} not found", ipam.driver);
        return Err(Failure::new(StatusCode::NOT_FOUND, sentence));
    }
    let config = ipam.config.unwrap_or_default();
    let first = match config.as_slice() {
        [] => IpamConfig::default(),
        [one] if !one.subnet.contains(':') => one.clone(),
        [_] => return Err(Failure::not_yet("a network with IPv6 addresses")),
        _ => return Err(Failure::not_yet("a network with several subnets")),
    };
    let id = request
        .engine
        .network_create(NetworkCreate {
            name: given.name,
            driver: given.driver,
            subnet: first.subnet,
            range: first.ip_range,
            gateway: first.gateway,
            auxiliary: first.auxiliary_addresses,
            internal: given.internal,
            attachable: given.attachable,
            options: given.options.unwrap_or_default(),
            ipam_options: ipam.options.unwrap_or_default(),
            labels: given.labels.unwrap_or_default(),
        })
        .await?;
    let answer = NetworkCreateResponse {
        id,
        warning: String::new(),
    };
    Ok(Answer::json(StatusCode::CREATED, &answer))
}

/// Options of the bridge driver that mean something here.
const OBEYED: [&str; 5] = [
    "com.docker.network.bridge.name",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.driver.mtu",
    // What it binds by default is what everybody gets.
    "com.docker.network.enable_ipv4",
];

/// What cannot be obeyed yet is refused by name, never ignored.
fn refuse(given: &NetworkCreateRequest) -> Result<()> {
    for (present, what) in [
        (
            given.enable_ipv6 == Some(true),
            "a network with IPv6 addresses",
        ),
        (
            given.enable_ipv4 == Some(false),
            "a network without IPv4 addresses",
        ),
        (given.config_only, "a network that is configuration only"),
        (
            given.config_from.is_some(),
            "a configuration of another network's",
        ),
        (given.ingress, "an ingress network"),
    ] {
        if present {
            return Err(Failure::not_yet(what));
        }
    }
    for option in given.options.iter().flatten().map(|(key, _)| key) {
        if option.starts_with("com.docker.network.") && !OBEYED.contains(&option.as_str()) {
            return Err(Failure::not_yet(&format!("the network option {option}")));
        }
    }
    Ok(())
}

pub(crate) async fn remove(request: Request) -> Result {
    request.engine.network_remove(&request.name).await?;
    Ok(Answer::no_content())
}

pub(crate) async fn connect(request: Request) -> Result {
    let (given, request) = request.document::<NetworkConnectRequest>().await?;
    let none = EndpointSettings::default();
    let endpoint = given.endpoint_config.as_ref().unwrap_or(&none);
    let wanted = attachment(&request.name, endpoint)?;
    request
        .engine
        .network_connect(&given.container, wanted)
        .await?;
    Ok(Answer::Empty(StatusCode::OK))
}

pub(crate) async fn disconnect(request: Request) -> Result {
    let (given, request) = request.document::<NetworkDisconnectRequest>().await?;
    request
        .engine
        .network_disconnect(&request.name, &given.container, given.force)
        .await?;
    Ok(Answer::Empty(StatusCode::OK))
}

/// A moment, or a time before now.
fn until(text: &str) -> Result<i64> {
    if let Ok(moment) = time::parse_unix(text) {
        return Ok(moment);
    }
    match types::units::parse_duration(text) {
        Ok(ns) => Ok(engine::now_ns().saturating_sub(ns)),
        Err(_) => Err(Failure::bad_request(format!(
            "failed to parse value as time or duration: \"{text}\""
        ))),
    }
}

const PRUNE_KEYS: [&str; 3] = ["label", "label!", "until"];

pub(crate) async fn prune(request: Request) -> Result {
    let filters = filters(&request)?;
    if let Some(key) = filters
        .0
        .keys()
        .find(|key| !PRUNE_KEYS.contains(&key.as_str()))
    {
        return Err(Failure::bad_request(format!("invalid filter '{key}'")));
    }
    let until_ns = match filters.get("until") {
        [] => None,
        [text] => Some(until(text)?),
        _ => return Err(Failure::bad_request("more than one until filter specified")),
    };
    let filter = NetworkFilter {
        until_ns,
        labels: filters.get("label").to_vec(),
        without_labels: filters.get("label!").to_vec(),
    };
    let gone = request.engine.network_prune(&filter).await?;
    Ok(Answer::ok(&NetworksPruned {
        networks_deleted: (!gone.is_empty()).then_some(gone),
    }))
}
