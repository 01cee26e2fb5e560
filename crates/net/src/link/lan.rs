//! Links on one of this machine's links: macvlan and ipvlan. They fall with their namespace.

use std::net::Ipv4Addr;

use crate::apply::apply;
use crate::ipam::ledger::EndpointRecord;
use crate::link::bridge;
use crate::netns::Namespace;
use crate::plan::{self, LanMode};
use crate::record::{Driver, NetworkRecord};
use crate::wire::message::Batch;
use crate::wire::route;
use crate::wire::talk::Talk;
use crate::{Error, Result};

/// Returns the link of this machine's on which the network is, and how it is shared.
pub(crate) fn parent(host: &mut Talk, network: &NetworkRecord) -> Result<(u32, LanMode)> {
    let name = network.options.get("parent").map(String::as_str);
    let name = name.unwrap_or_default();
    let link = bridge::find(host, name)?.ok_or_else(|| Error::NoParent {
        network: network.name.clone(),
        parent: name.to_owned(),
    })?;
    Ok((link.index, mode(network)?))
}

fn mode(network: &NetworkRecord) -> Result<LanMode> {
    let option = format!("{}_mode", network.driver.name());
    let text = network.options.get(&option).map_or("", String::as_str);
    let known = match (network.driver, text) {
        (Driver::Macvlan, "" | "bridge") => LanMode::Macvlan(4),
        (Driver::Macvlan, "private") => LanMode::Macvlan(1),
        (Driver::Macvlan, "vepa") => LanMode::Macvlan(2),
        (Driver::Macvlan, "passthru") => LanMode::Macvlan(8),
        (Driver::Ipvlan, "" | "l2") => LanMode::Ipvlan(0),
        (Driver::Ipvlan, "l3") => LanMode::Ipvlan(1),
        (Driver::Ipvlan, "l3s") => LanMode::Ipvlan(2),
        (driver, _) => {
            return Err(Error::LanMode {
                driver: driver.name(),
                mode: text.to_owned(),
            });
        }
    };
    Ok(known)
}

/// Gives a namespace its link. On failure it has none.
pub(crate) fn connect(
    host: &mut Talk,
    network: &NetworkRecord,
    endpoint: &EndpointRecord,
    gateway: Option<Ipv4Addr>,
    mut namespace: Namespace,
) -> Result<Namespace> {
    let (parent, mode) = parent(host, network)?;
    namespace.link = None;
    let plan = plan::lan(endpoint, parent, mode, gateway);
    if let Err(error) = apply(&plan, host, &mut namespace, &endpoint.link) {
        let mut batch = Batch::new();
        route::delete_link(&mut batch, &endpoint.link);
        // The failure before this one is the one to report.
        drop(namespace.inside.send(&batch));
        return Err(error);
    }
    Ok(namespace)
}
