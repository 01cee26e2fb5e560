//! The door of this room: what the engine asks for.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use meta::{Read, Txn};
use sys::netlink::Protocol;
use types::id::ContainerId;

use crate::ipam::ledger::{self, EndpointRecord, Ledger};
use crate::keeper::{Keeper, Retired};
use crate::link::bridge::{self, BridgeConfig};
use crate::nft::commit;
use crate::nft::rules::{self, Nat};
use crate::publish::{self, Publication};
use crate::wire::message::Batch;
use crate::wire::route::{self, Link};
use crate::wire::talk::{Talk, first_refusal};
use crate::wired::{Wired, Wiring, random_id};
use crate::{Error, Prefix, Result};

/// How long a clean stop waits for wires to fall.
const WIRES_FALL_WITHIN: Duration = Duration::from_secs(2);
/// The kernel takes some 50 ms for a few of them.
const WIRES_LOOKED_AT_EVERY: Duration = Duration::from_millis(5);

/// What the engine's configuration says about networks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names this engine's table and links: empty for the default engine, whose names are bare.
    pub engine_id: String,
    /// The default bridge; nothing with `--bridge none`.
    pub bridge: Option<String>,
    /// Address and network of the bridge (`--bip`); by default the first pool that is not used.
    pub bip: Option<Prefix>,
    /// Whether rules are made (`--iptables`).
    pub firewall: bool,
    /// Bytes of the largest packet.
    pub mtu: u32,
}

/// What exists in the kernel for this engine's sake, for tests that look for leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Prepared namespaces.
    pub prepared: usize,
    /// Namespaces that will be closed soon.
    pub retiring: usize,
    /// Wires.
    pub wires: usize,
}

/// The networks of one engine. All calls block for some kernel calls, none for a child.
#[derive(Debug)]
pub struct Networks {
    config: Config,
    keeper: Keeper,
    /// A conversation about the host's links.
    host: Mutex<Talk>,
    default: Option<DefaultBridge>,
}

/// The default bridge and its addresses.
#[derive(Debug)]
struct DefaultBridge {
    wiring: Wiring,
    ledger: Arc<Ledger>,
}

impl DefaultBridge {
    fn share(&self) -> (Wiring, Arc<Ledger>) {
        (self.wiring.clone(), Arc::clone(&self.ledger))
    }
}

impl Config {
    /// Returns the name by which this engine's things in the kernel are known.
    fn owner(&self) -> String {
        if self.engine_id.is_empty() {
            "wharf".to_owned()
        } else {
            format!("wharf-{}", self.engine_id)
        }
    }

    fn bridge_alias(&self) -> String {
        format!("{}:bridge", self.owner())
    }

    fn prepared_alias(&self) -> String {
        format!("{}:prepared", self.owner())
    }

    /// Of one endpoint: a container that is started again has a new wire while the old one falls.
    fn wire_alias(&self, endpoint: &EndpointRecord) -> String {
        let id = endpoint.id.get(..12).unwrap_or(&endpoint.id);
        format!("{}:{}:{id}", self.owner(), endpoint.container)
    }
}

impl Networks {
    /// Makes what is missing: bridge, rules, the pool of namespaces. Called once, at start, from a
    /// thread in the host's network namespace.
    pub fn open(config: Config) -> Result<Self> {
        let mut host = Talk::open(Protocol::Route)?;
        let default = match &config.bridge {
            Some(name) => Some(open_bridge(&mut host, &config, name)?),
            None => None,
        };
        let network = default.as_ref().map(DefaultBridge::share);
        let keeper = Keeper::start(network)?;
        Ok(Self {
            config,
            keeper,
            host: Mutex::new(host),
            default,
        })
    }

    /// Returns the default bridge's address with the length of its network; nothing when there is
    /// no default bridge.
    pub fn bridge_address(&self) -> Option<Prefix> {
        self.default
            .as_ref()
            .map(|default| default.wiring.bridge.gateway)
    }

    /// Returns a network namespace with nothing but a loopback (`--network none`).
    pub fn none_netns(&self) -> Result<OwnedFd> {
        self.keeper.take().map(|namespace| namespace.netns)
    }

    /// Takes an address on the default bridge for `container`, in the engine's transaction.
    pub fn plan_endpoint(&self, txn: &Txn<'_>, container: ContainerId) -> Result<EndpointRecord> {
        let default = self.default.as_ref().ok_or(Error::NoBridge)?;
        default.ledger.allocate(txn, container, random_id()?)
    }

    /// Makes the wire: returns a network namespace in which the endpoint works. On failure nothing
    /// is left in the kernel; the address is the caller's to release.
    pub fn attach(&self, endpoint: &EndpointRecord) -> Result<OwnedFd> {
        let default = self.default.as_ref().ok_or(Error::NoBridge)?;
        let wired = if let Some(wired) = self.keeper.take_wired() {
            wired
        } else {
            let namespace = self.keeper.take()?;
            Wired::connect(&default.wiring, &mut self.host(), namespace)?
        };
        let alias = self.config.wire_alias(endpoint);
        Ok(wired.adopt(endpoint, alias, &mut self.host())?.netns)
    }

    /// Gives the address back, in the engine's transaction. It is given out again when nothing
    /// answers there any more: [`Networks::detach`] comes first.
    pub fn release(&self, txn: &Txn<'_>, endpoint: &EndpointRecord) -> Result<()> {
        match &self.default {
            Some(default) => default.ledger.release(txn, endpoint),
            None => ledger::forget(txn, endpoint),
        }
    }

    /// Lets an endpoint and its namespace go. Returns at once; the wire falls with the namespace,
    /// in the background, when the last process is gone.
    pub fn detach(&self, endpoint: &EndpointRecord, netns: Option<OwnedFd>) {
        let alias = Some(self.config.wire_alias(endpoint));
        let address = Some(endpoint.address.address());
        if let (Some(default), Some(address)) = (&self.default, address) {
            default.ledger.linger(address);
        }
        self.keeper.retire(Retired {
            netns,
            alias,
            address,
            remove: false,
        });
    }

    /// Makes ports of this machine lead to the endpoint, all or none, in one transaction. They
    /// answer at all of this machine's addresses but the loopback's.
    pub fn publish(&self, endpoint: &EndpointRecord, ports: &[Publication]) -> Result<()> {
        commit::publish(&self.config.owner(), &publish::elements(endpoint, ports))
    }

    /// Withdraws what [`Networks::publish`] published.
    pub fn withdraw(&self, endpoint: &EndpointRecord, ports: &[Publication]) -> Result<()> {
        commit::withdraw(&self.config.owner(), &publish::elements(endpoint, ports))
    }

    /// Lets a namespace without an endpoint go. Returns at once.
    pub fn discard(&self, netns: OwnedFd) {
        self.keeper.retire(Retired {
            netns: Some(netns),
            ..Retired::default()
        });
    }

    /// Forgets, at start, the endpoints of containers that do not run any more, and connects the
    /// wires of the others again if the bridge had to be made anew. Returns what was forgotten.
    pub fn repair(&self, txn: &Txn<'_>, running: &[ContainerId]) -> Result<Vec<EndpointRecord>> {
        let (kept, gone): (Vec<_>, Vec<_>) = ledger::all(txn)?
            .into_iter()
            .partition(|endpoint| running.contains(&endpoint.container));
        for endpoint in &gone {
            ledger::forget(txn, endpoint)?;
        }
        self.repair_wires(&kept)?;
        self.repair_ports(&kept)?;
        Ok(gone)
    }

    /// Withdraws ports that lead to nobody.
    fn repair_ports(&self, kept: &[EndpointRecord]) -> Result<()> {
        if self.default.is_none() || !self.config.firewall {
            return Ok(());
        }
        let mut stale = commit::published(&self.config.owner())?;
        stale.retain(|port| {
            !kept
                .iter()
                .any(|kept| kept.address.address() == port.address)
        });
        commit::withdraw(&self.config.owner(), &stale)
    }

    fn repair_wires(&self, kept: &[EndpointRecord]) -> Result<()> {
        let Some(default) = &self.default else {
            return Ok(());
        };
        let bridge = &default.wiring.bridge;
        let aliases: Vec<_> = kept
            .iter()
            .map(|kept| self.config.wire_alias(kept))
            .collect();
        let mut batch = Batch::new();
        for wire in self.wires()? {
            if !aliases.contains(&wire.alias) {
                let alias = Some(wire.alias);
                self.keeper.retire(Retired {
                    alias,
                    remove: true,
                    ..Retired::default()
                });
            } else if wire.master != bridge.index {
                route::enslave(&mut batch, &wire.name, bridge.index, &wire.alias);
            }
        }
        let refusals = self.host().send(&batch)?;
        first_refusal(&refusals, |_| {
            format!("connect a wire to bridge {}", bridge.name)
        })
    }

    /// Lists the wires of this engine's containers.
    fn wires(&self) -> Result<Vec<Link>> {
        let mut links = self.own_links()?;
        let others = [self.config.bridge_alias(), self.config.prepared_alias()];
        links.retain(|link| !others.contains(&link.alias));
        Ok(links)
    }

    fn own_links(&self) -> Result<Vec<Link>> {
        let prefix = format!("{}:", self.config.owner());
        let mut links = bridge::links(&mut self.host())?;
        links.retain(|link| link.alias.starts_with(&prefix));
        Ok(links)
    }

    fn host(&self) -> MutexGuard<'_, Talk> {
        // Every conversation reads all its answers, or fails and is tried again by its caller.
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the endpoints on record.
    pub fn endpoints(&self, from: &impl Read) -> Result<Vec<EndpointRecord>> {
        ledger::all(from)
    }

    /// Counts what exists in the kernel for this engine.
    pub fn counts(&self) -> Result<Counts> {
        let (prepared, retiring) = self.keeper.counts();
        Ok(Counts {
            prepared,
            retiring,
            wires: self.wires()?.len(),
        })
    }

    /// Empties the pool and ends the thread. With `remove`, for when no container runs, rules and
    /// bridge go too, the bridge if this engine made it; without, they stay for the containers
    /// that go on.
    pub fn close(&self, remove: bool) -> Result<()> {
        self.keeper.stop();
        let Some(default) = self.default.as_ref().filter(|_| remove) else {
            return Ok(());
        };
        self.wait_for_wires()?;
        if self.config.firewall {
            commit::remove(&self.config.owner())?;
        }
        bridge::remove(&mut self.host(), &default.wiring.bridge)
    }

    /// Waits until the wires of the namespaces that were closed last are gone too, as far as
    /// nobody else holds them.
    fn wait_for_wires(&self) -> Result<()> {
        let bridge = self.config.bridge_alias();
        let deadline = Instant::now() + WIRES_FALL_WITHIN;
        while self.own_links()?.iter().any(|link| link.alias != bridge) && Instant::now() < deadline
        {
            std::thread::sleep(WIRES_LOOKED_AT_EVERY);
        }
        Ok(())
    }
}

fn open_bridge(host: &mut Talk, config: &Config, name: &str) -> Result<DefaultBridge> {
    let alias = config.bridge_alias();
    let wanted = BridgeConfig {
        name,
        address: config.bip,
        mtu: config.mtu,
        alias: &alias,
    };
    let bridge = bridge::ensure(host, &wanted)?;
    if config.firewall {
        let network = Nat {
            bridge: &bridge.name,
            subnet: bridge.gateway,
        };
        commit::ensure(&rules::ruleset(&config.owner(), &[network]))?;
    }
    let ledger = Arc::new(Ledger::new("bridge", bridge.gateway));
    let wiring = Wiring {
        bridge,
        mtu: config.mtu,
        alias: config.prepared_alias(),
    };
    Ok(DefaultBridge { wiring, ledger })
}
