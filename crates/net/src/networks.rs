//! The door of this room: what the engine asks for.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use meta::Read;
use sys::netlink::Protocol;
use types::id::ContainerId;

use crate::firewall::Firewall;
use crate::ipam::ledger::{self, EndpointRecord, Ledger};
use crate::keeper::{Keeper, Retired};
use crate::link::bridge::{self, BridgeConfig};
use crate::link::lan;
use crate::netd::{Netd, NetdSetup, Sandbox};
use crate::nft::rules::Segment;
use crate::ports::PortBook;
use crate::publish::Publication;
use crate::record::{Driver, NetworkRecord, Subnet};
use crate::wire::route::Link;
use crate::wire::talk::Talk;
use crate::wired::Wiring;
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
    pub(crate) config: Config,
    pub(crate) keeper: Keeper,
    pub(crate) firewall: Arc<Firewall>,
    /// A conversation about the host's links.
    host: Mutex<Talk>,
    /// By id.
    all: RwLock<BTreeMap<String, Arc<Live>>>,
    /// Id of the default bridge's network.
    pub(crate) default: Option<String>,
    pub(crate) ports: PortBook,
    pub(crate) netd: Arc<Netd>,
}

/// A network as it is used.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) record: NetworkRecord,
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// Nothing until it is in the kernel.
    wiring: Mutex<Option<Wiring>>,
}

/// A container that runs, as a new daemon finds it.
#[derive(Debug)]
pub struct Running {
    /// Which.
    pub container: ContainerId,
    /// Where it is.
    pub endpoints: Vec<EndpointRecord>,
    /// What it publishes.
    pub ports: Vec<Publication>,
    /// What it may ask for, and its namespace.
    pub names: Option<(Sandbox, OwnedFd)>,
}

impl Live {
    pub(crate) fn new(record: NetworkRecord) -> Arc<Self> {
        let subnet = record.subnet.clone();
        let ledger = subnet.map(|subnet| Arc::new(Ledger::new(&record, subnet)));
        Arc::new(Self {
            record,
            ledger,
            wiring: Mutex::default(),
        })
    }

    pub(crate) fn wiring(&self) -> MutexGuard<'_, Option<Wiring>> {
        // It is set in one step.
        self.wiring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment(&self) -> Option<Segment> {
        let wiring = self.wiring();
        let wiring = wiring.as_ref()?;
        let option = |name: &str| format!("com.docker.network.bridge.{name}");
        Some(Segment {
            bridge: wiring.bridge.name.clone(),
            subnet: wiring.bridge.gateway,
            masquerade: self.record.switch(&option("enable_ip_masquerade"), true),
            internal: self.record.internal,
            together: wiring.together,
        })
    }
}

impl Config {
    /// Returns the name by which this engine's things in the kernel are known.
    pub(crate) fn owner(&self) -> String {
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
    pub(crate) fn wire_alias(&self, endpoint: &EndpointRecord) -> String {
        let id = endpoint.id.get(..12).unwrap_or(&endpoint.id);
        format!("{}:{}:{id}", self.owner(), endpoint.container)
    }
}

impl Networks {
    /// Makes what is missing of `records`: bridges, rules, the pool of namespaces. Called once, at
    /// start, from a thread in the host's network namespace.
    pub fn open(config: Config, records: Vec<NetworkRecord>, netd: NetdSetup) -> Result<Self> {
        let mut host = Talk::open(Protocol::Route)?;
        let (mut all, mut default, mut prepared) = (BTreeMap::new(), None, None);
        for mut record in records {
            let bridge = config.bridge.as_ref().filter(|_| record.name == "bridge");
            let mut wiring = None;
            if let Some(name) = bridge {
                wiring = Some(open_default(&mut host, &config, name, &mut record)?);
                default = Some(record.id.clone());
                prepared.clone_from(&wiring);
            } else if record.name == "bridge" {
                continue;
            }
            let live = Live::new(record);
            *live.wiring() = wiring;
            all.insert(live.record.id.clone(), live);
        }
        let networks = Self {
            keeper: Keeper::start(prepared)?,
            firewall: Firewall::new(config.firewall, config.owner()),
            config,
            host: Mutex::new(host),
            all: RwLock::new(all),
            default,
            ports: PortBook::default(),
            netd: Netd::new(netd),
        };
        for live in networks.lives() {
            // One that cannot be made now is made, or refused, when somebody needs it.
            drop(networks.raise_link(&live));
        }
        networks.ensure_rules()?;
        Ok(networks)
    }

    /// Returns the networks as they are.
    pub fn list(&self) -> Vec<NetworkRecord> {
        self.lives()
            .iter()
            .map(|live| live.record.clone())
            .collect()
    }

    /// Finds a network by id, by name, or by the only beginning of an id.
    pub fn find(&self, typed: &str) -> Option<NetworkRecord> {
        let all = self.lives();
        let by = |test: &dyn Fn(&NetworkRecord) -> bool| {
            let mut found = all.iter().filter(|live| test(&live.record));
            let first = found.next()?;
            found.next().is_none().then(|| first.record.clone())
        };
        by(&|record| record.id == typed)
            .or_else(|| by(&|record| record.name == typed))
            .or_else(|| by(&|record| !typed.is_empty() && record.id.starts_with(typed)))
    }

    pub(crate) fn lives(&self) -> Vec<Arc<Live>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }

    pub(crate) fn live(&self, id: &str) -> Result<Arc<Live>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(id).cloned();
        found.ok_or_else(|| Error::NoNetwork(id.to_owned()))
    }

    /// Makes a network that is on record exist. On failure nothing is left in the kernel.
    pub fn raise(&self, record: &NetworkRecord) -> Result<()> {
        let live = Live::new(record.clone());
        self.raise_link(&live)?;
        let id = record.id.clone();
        self.all
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, live);
        self.ensure_rules().inspect_err(|_| {
            // The first failure is the one to report.
            drop(self.lower(record));
        })
    }

    /// Takes a network out of the kernel.
    pub fn lower(&self, record: &NetworkRecord) -> Result<()> {
        let removed = self
            .all
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&record.id);
        let Some(live) = removed else { return Ok(()) };
        let wiring = live.wiring().take();
        self.ensure_rules()?;
        match wiring {
            Some(wiring) => bridge::delete(&mut self.host(), &wiring.bridge),
            None => Ok(()),
        }
    }

    /// Makes a network's bridge, if it is one of ours and missing.
    pub(crate) fn raise_link(&self, live: &Live) -> Result<()> {
        let (record, mut wiring) = (&live.record, live.wiring());
        if matches!(record.driver, Driver::Macvlan | Driver::Ipvlan) {
            return lan::parent(&mut self.host(), record).map(drop);
        }
        let (Driver::Bridge, None, Some(subnet)) = (record.driver, &*wiring, &record.subnet) else {
            return Ok(());
        };
        let name = record.bridge();
        let alias = self.config.bridge_alias();
        let mtu = record.mtu().unwrap_or(self.config.mtu);
        let wanted = BridgeConfig {
            name: &name,
            address: Some(subnet.subnet.with_address(subnet.gateway)),
            mtu,
            alias: &alias,
        };
        *wiring = Some(Wiring {
            bridge: bridge::ensure(&mut self.host(), &wanted)?,
            mtu,
            alias: self.config.prepared_alias(),
            together: record.switch("com.docker.network.bridge.enable_icc", true),
        });
        Ok(())
    }

    /// Makes the table what the networks need.
    pub(crate) fn ensure_rules(&self) -> Result<()> {
        self.firewall.ensure(|| {
            let lives = self.lives();
            lives.iter().filter_map(|live| live.segment()).collect()
        })
    }

    /// Returns the default bridge's address with the length of its network; nothing when there is
    /// no default bridge.
    pub fn bridge_address(&self) -> Option<Prefix> {
        let live = self.live(self.default.as_ref()?).ok()?;
        let wiring = live.wiring();
        wiring.as_ref().map(|wiring| wiring.bridge.gateway)
    }

    /// Returns a network namespace with nothing but a loopback (`--network none`).
    pub fn none_netns(&self) -> Result<OwnedFd> {
        self.keeper.take().map(|namespace| namespace.netns)
    }

    /// Lets a namespace without an endpoint go. Returns at once.
    pub fn discard(&self, netns: OwnedFd) {
        self.keeper.retire(Retired {
            netns: Some(netns),
            ..Retired::default()
        });
    }

    /// Lists the wires of this engine's containers.
    pub(crate) fn wires(&self) -> Result<Vec<Link>> {
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

    pub(crate) fn host(&self) -> MutexGuard<'_, Talk> {
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
    /// bridges go too, those that this engine made; without, they stay for the containers that go on.
    pub fn close(&self, remove: bool) -> Result<()> {
        self.keeper.stop();
        self.netd.close();
        let lives = self.lives();
        let bridges: Vec<_> = lives
            .iter()
            .filter_map(|live| Some(live.wiring().as_ref()?.bridge.clone()))
            .collect();
        if !remove || bridges.is_empty() {
            return Ok(());
        }
        self.wait_for_wires()?;
        self.firewall.remove()?;
        bridges
            .iter()
            .try_for_each(|bridge| bridge::remove(&mut self.host(), bridge))
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

/// Makes the default bridge, and its record tell what it is.
fn open_default(
    host: &mut Talk,
    config: &Config,
    name: &str,
    record: &mut NetworkRecord,
) -> Result<Wiring> {
    let alias = config.bridge_alias();
    let wanted = BridgeConfig {
        name,
        address: config.bip,
        mtu: config.mtu,
        alias: &alias,
    };
    let bridge = bridge::ensure(host, &wanted)?;
    record.subnet = Some(Subnet {
        subnet: bridge.gateway.network(),
        range: None,
        gateway: bridge.gateway.address(),
        gateway_told: true,
        chosen: false,
        auxiliary: BTreeMap::new(),
    });
    let mtu = config.mtu.to_string();
    let options = [
        ("com.docker.network.bridge.default_bridge", "true"),
        ("com.docker.network.bridge.enable_icc", "true"),
        ("com.docker.network.bridge.enable_ip_masquerade", "true"),
        ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
        ("com.docker.network.bridge.name", name),
        ("com.docker.network.driver.mtu", &mtu),
    ];
    record.options = options
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    Ok(Wiring {
        bridge,
        mtu: config.mtu,
        alias: config.prepared_alias(),
        together: true,
    })
}
