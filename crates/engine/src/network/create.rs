//! `network create`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use net::{Driver, NetworkRequest, Prefix};

use crate::container::network::network_error;
use crate::error::{Error, Result};
use crate::{Engine, blocking, now_ns, to_its_end};

/// What a face asks for.
#[derive(Clone, Debug, Default)]
pub struct NetworkCreate {
    /// What people shall call it.
    pub name: String,
    /// What connects its containers; empty: a bridge.
    pub driver: String,
    /// Its addresses, as `ADDRESS/LENGTH`; empty: the first that nobody uses.
    pub subnet: String,
    /// Those that are given out; empty: all.
    pub range: String,
    /// The way out; empty: the first.
    pub gateway: String,
    /// Addresses that belong to somebody else.
    pub auxiliary: BTreeMap<String, String>,
    /// Nothing leads out of it.
    pub internal: bool,
    /// Kept for those who ask.
    pub attachable: bool,
    /// The driver's.
    pub options: BTreeMap<String, String>,
    /// The address management's.
    pub ipam_options: BTreeMap<String, String>,
    /// The user's.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Makes a network and returns its id.
    pub async fn network_create(&self, wanted: NetworkCreate) -> Result<String> {
        let engine = self.clone();
        to_its_end(async move { engine.network_create_whole(wanted).await }).await
    }

    async fn network_create_whole(&self, wanted: NetworkCreate) -> Result<String> {
        let _busy = self.0.busy.read().await;
        let request = checked(wanted)?;
        let engine = self.clone();
        let record = blocking::run(move || {
            let failed = |error| network_error("", error);
            let networks = engine.networks();
            let record = engine
                .meta()
                .write(|txn| networks.plan_network(txn, request).map_err(failed))?;
            if let Err(error) = networks.raise(&record) {
                engine
                    .meta()
                    .write(|txn| networks.undo_network(txn, &record).map_err(failed))?;
                return Err(failed(error));
            }
            Ok(record)
        })
        .await?;
        self.network_event(&record, "create", &[]);
        Ok(record.id)
    }
}

fn checked(wanted: NetworkCreate) -> Result<NetworkRequest> {
    if wanted.name.trim().is_empty() {
        return Err(Error::invalid("invalid name: name is empty"));
    }
    if ["bridge", "host", "none", "default"].contains(&wanted.name.as_str()) {
        let name = wanted.name;
        // The blank at the end is Docker's.
        let sentence = format!("operation is not permitted on predefined {name} network ");
        return Err(Error::new(types::ErrorKind::Forbidden, sentence));
    }
    let subnet = subnet(&wanted.subnet, "subnet")?;
    let range = subnet_part(&wanted.range, subnet)?;
    let gateway = address(&wanted.gateway, "gateway")?;
    let mut auxiliary = BTreeMap::new();
    for (name, text) in &wanted.auxiliary {
        if let Some(address) = address(text, &format!("auxiliary address {name}"))? {
            auxiliary.insert(name.clone(), address);
        }
    }
    Ok(NetworkRequest {
        driver: driver(&wanted.driver)?,
        name: wanted.name,
        created_ns: now_ns(),
        subnet,
        range,
        gateway,
        auxiliary,
        internal: wanted.internal,
        attachable: wanted.attachable,
        options: wanted.options,
        ipam_options: wanted.ipam_options,
        labels: wanted.labels,
    })
}

fn driver(name: &str) -> Result<Driver> {
    match Driver::parse(if name.is_empty() { "bridge" } else { name }) {
        Some(known @ (Driver::Bridge | Driver::Macvlan | Driver::Ipvlan)) => Ok(known),
        Some(Driver::Host | Driver::Null) => {
            let sentence = format!("only one instance of \"{name}\" network is allowed");
            Err(Error::new(types::ErrorKind::Forbidden, sentence))
        }
        None if name == "overlay" => Err(Error::new(
            types::ErrorKind::Unavailable,
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" \
             to connect this node to swarm and try again.",
        )),
        None => Err(Error::not_found(format!("plugin {name:?} not found"))),
    }
}

fn invalid(why: &str) -> Error {
    Error::invalid(format!("invalid network config:\n{why}"))
}

fn subnet(text: &str, what: &str) -> Result<Option<Prefix>> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed: Prefix = text.parse().map_err(|_| {
        invalid(&format!(
            "invalid {what} {text}: invalid CIDR block notation"
        ))
    })?;
    if parsed.network() != parsed {
        return Err(invalid(&format!(
            "invalid {what} {text}: it should be {}",
            parsed.network()
        )));
    }
    Ok(Some(parsed))
}

fn subnet_part(text: &str, all: Option<Prefix>) -> Result<Option<Prefix>> {
    let Some(range) = subnet(text, "ip-range")? else {
        return Ok(None);
    };
    match all {
        Some(all) if all.contains(range.address()) && range.length() >= all.length() => {
            Ok(Some(range))
        }
        _ => Err(invalid(&format!(
            "invalid ip-range {text}: it should be within the subnet"
        ))),
    }
}

fn address(text: &str, what: &str) -> Result<Option<Ipv4Addr>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| invalid(&format!("invalid {what} {text}: invalid address")))
}
