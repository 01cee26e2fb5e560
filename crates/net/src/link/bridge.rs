//! The default bridge: made when missing, adopted when it is there.

use std::fs;

use super::super::wire::message::Batch;
use crate::hosts::ResolvConf;
use crate::ipam::pool;
use crate::wire::route::{self, Link};
use crate::wire::talk::{Talk, first_refusal};
use crate::{Error, Prefix, Result, sysctl};

/// The kernel's limit of a link's name, without the NUL.
const NAME_MAXIMUM: usize = 15;
/// No such link.
const NO_DEVICE: i32 = 19;

/// What the bridge shall be.
#[derive(Debug)]
pub(crate) struct BridgeConfig<'a> {
    pub(crate) name: &'a str,
    /// Its address (`--bip`); else what it has, else the first of a free pool.
    pub(crate) address: Option<Prefix>,
    pub(crate) mtu: u32,
    /// The alias that tells that this engine made it.
    pub(crate) alias: &'a str,
}

/// The bridge as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) index: u32,
    /// Its address, the gateway of the containers, with the length of the network.
    pub(crate) gateway: Prefix,
    /// Whether this engine made it, and may remove it.
    pub(crate) ours: bool,
}

/// Makes the bridge what `config` says, and the machine a router.
pub(crate) fn ensure(host: &mut Talk, config: &BridgeConfig<'_>) -> Result<Bridge> {
    check_name(config.name)?;
    let link = match find(host, config.name)? {
        Some(link) => link,
        None => create(host, config)?,
    };
    if link.kind != "bridge" {
        return Err(Error::NotABridge {
            name: link.name,
            kind: link.kind,
        });
    }
    let ours = link.alias == config.alias;
    let gateway = ensure_address(host, config, &link, ours)?;
    sysctl::ensure_if_present(&format!("ipv6/conf/{}/accept_ra", link.name), "0")?;
    if !link.up {
        let mut batch = Batch::new();
        route::set_up(&mut batch, &link.name, true);
        first_refusal(&host.send(&batch)?, |_| {
            format!("take bridge {} up", link.name)
        })?;
    }
    sysctl::ensure("ipv4/ip_forward", "1")?;
    Ok(Bridge {
        name: link.name,
        index: link.index,
        gateway,
        ours,
    })
}

/// Removes the bridge if this engine made it and nothing is connected to it.
pub(crate) fn remove(host: &mut Talk, bridge: &Bridge) -> Result<()> {
    if links(host)?.iter().any(|link| link.master == bridge.index) {
        return Ok(());
    }
    delete(host, bridge)
}

/// Removes the bridge if this engine made it, whatever is still connected to it.
pub(crate) fn delete(host: &mut Talk, bridge: &Bridge) -> Result<()> {
    if !bridge.ours {
        return Ok(());
    }
    let mut batch = Batch::new();
    route::delete_link(&mut batch, &bridge.name);
    let refusals = host.send(&batch)?;
    match refusals.first() {
        Some(refusal) if refusal.errno != NO_DEVICE => {
            Err(refusal.error(format!("remove bridge {}", bridge.name)))
        }
        _ => Ok(()),
    }
}

/// Lists the links of the namespace.
pub(crate) fn links(host: &mut Talk) -> Result<Vec<Link>> {
    let found = host.dump(&route::list_links())?;
    Ok(found
        .iter()
        .filter_map(|payload| route::parse_link(payload))
        .collect())
}

/// Finds a link by its name.
pub(crate) fn find(talk: &mut Talk, name: &str) -> Result<Option<Link>> {
    let found = talk.get(&route::get_link(name), NO_DEVICE)?;
    Ok(found.and_then(|payload| route::parse_link(&payload)))
}

/// The kernel's own rule for names.
fn check_name(name: &str) -> Result<()> {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    let fits = (1..=NAME_MAXIMUM).contains(&name.len()) && name != "." && name != "..";
    if fits && !name.contains(bad) {
        Ok(())
    } else {
        Err(Error::InvalidBridgeName(name.to_owned()))
    }
}

fn create(host: &mut Talk, config: &BridgeConfig<'_>) -> Result<Link> {
    let name = config.name;
    let address = match config.address {
        Some(address) => address,
        None => free_gateway(host)?,
    };
    let mut batch = Batch::new();
    // A fixed hardware address: else it is the lowest of the ports', and changes with them.
    route::new_bridge(&mut batch, name, pool::mac(address.address()), config.mtu);
    route::set_alias(&mut batch, name, config.alias);
    first_refusal(&host.send(&batch)?, |_| format!("make bridge {name}"))?;
    let mut link = find(host, name)?.ok_or(Error::Unsteady)?;
    let mut batch = Batch::new();
    route::new_address(&mut batch, link.index, address);
    route::set_up(&mut batch, name, true);
    let done = host.send(&batch).and_then(|refusals| {
        first_refusal(&refusals, |_| {
            format!("give bridge {name} address {address}")
        })
    });
    if let Err(error) = done {
        let mut undo = Batch::new();
        route::delete_link(&mut undo, name);
        // The first failure is the one to report.
        drop(host.send(&undo));
        return Err(error);
    }
    link.up = true;
    Ok(link)
}

fn ensure_address(
    host: &mut Talk,
    config: &BridgeConfig<'_>,
    link: &Link,
    ours: bool,
) -> Result<Prefix> {
    let present = addresses(host, link.index)?;
    let wanted = match (config.address, present.first()) {
        (None, Some(first)) => return Ok(*first),
        (Some(wanted), _) if present.contains(&wanted) => return Ok(wanted),
        (Some(wanted), Some(other)) if !ours => {
            let name = link.name.clone();
            return Err(Error::BridgeAddress {
                name,
                present: *other,
                wanted,
            });
        }
        (Some(wanted), _) => wanted,
        (None, None) => free_gateway(host)?,
    };
    let mut batch = Batch::new();
    for other in present {
        route::delete_address(&mut batch, link.index, other);
    }
    route::new_address(&mut batch, link.index, wanted);
    first_refusal(&host.send(&batch)?, |_| {
        format!("give bridge {} address {wanted}", link.name)
    })?;
    Ok(wanted)
}

fn addresses(host: &mut Talk, index: u32) -> Result<Vec<Prefix>> {
    let found = host.dump(&route::list_addresses())?;
    let parsed = found
        .iter()
        .filter_map(|payload| route::parse_address(payload));
    Ok(parsed
        .filter(|(of, _)| *of == index)
        .map(|(_, address)| address)
        .collect())
}

/// Returns the first address of the first default pool that overlaps no route and no name server.
fn free_gateway(host: &mut Talk) -> Result<Prefix> {
    let subnet = pool::choose(&used_by_host(host)?).ok_or(Error::NoPool)?;
    Ok(subnet.with_address(pool::first(subnet)))
}

/// Returns where this machine's routes lead, and its name servers.
pub(crate) fn used_by_host(host: &mut Talk) -> Result<Vec<Prefix>> {
    let routes = host.dump(&route::list_routes())?;
    let mut used: Vec<_> = routes
        .iter()
        .filter_map(|payload| route::parse_route(payload))
        .collect();
    // A machine without the file has no name server.
    let servers = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    used.extend(
        ResolvConf::parse(&servers)
            .ipv4_servers()
            .filter_map(|at| Prefix::new(at, 32)),
    );
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_kernel_takes() {
        for good in ["wharf0", "docker0", "br-0123456789ab", "a"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a:b",
            "0123456789abcdef",
            "a\n",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
