//! Endpoints: a container comes to its networks, with ports and names, and leaves them.

use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use meta::Txn;
use types::id::ContainerId;

use crate::ipam::ledger::{self, EndpointRecord, EndpointRequest, Ledger, gateway_of};
use crate::keeper::Retired;
use crate::link::{bridge, lan};
use crate::netd::Sandbox;
use crate::networks::Networks;
use crate::plan::FIRST_LINK;
use crate::ports::{Held, PortRequest};
use crate::publish::{self, Publication};
use crate::record::Driver;
use crate::wire::message::Batch;
use crate::wire::route;
use crate::wire::talk::first_refusal;
use crate::wired::{Wired, random_id};
use crate::{Error, Result, netns};

impl Networks {
    /// Takes an address for a container, in the engine's transaction.
    pub fn plan_endpoint(
        &self,
        txn: &Txn<'_>,
        request: &EndpointRequest,
    ) -> Result<EndpointRecord> {
        let live = self.live(&request.network)?;
        let ledger = live.ledger.as_ref().ok_or(Error::NoBridge)?;
        ledger.allocate(txn, request, random_id()?)
    }

    /// Makes the wires: returns a network namespace in which the endpoints work. On failure nothing
    /// is left in the kernel; the addresses are the caller's to release.
    pub fn attach(&self, endpoints: &[EndpointRecord]) -> Result<OwnedFd> {
        let way_out = gateway_of(endpoints);
        let gateway = |endpoint: &EndpointRecord| {
            way_out
                .filter(|found| found.id == endpoint.id)
                .and_then(|found| found.gateway)
        };
        let (first, more) = endpoints.split_first().ok_or(Error::NoBridge)?;
        let mut namespace = self.connect(first, gateway(first), None)?;
        for endpoint in more {
            namespace = self
                .connect(endpoint, gateway(endpoint), Some(namespace))
                .inspect_err(|_| self.fall(endpoints))?;
        }
        Ok(namespace.netns)
    }

    /// Connects a namespace, or a new one.
    fn connect(
        &self,
        endpoint: &EndpointRecord,
        gateway: Option<Ipv4Addr>,
        namespace: Option<netns::Namespace>,
    ) -> Result<netns::Namespace> {
        let live = self.live(&endpoint.network)?;
        if matches!(live.record.driver, Driver::Macvlan | Driver::Ipvlan) {
            let namespace = match namespace {
                Some(namespace) => namespace,
                None => self.keeper.take()?,
            };
            let host = &mut self.host();
            return lan::connect(host, &live.record, endpoint, gateway, namespace);
        }
        let fresh = namespace.is_none() && endpoint.link == FIRST_LINK;
        let pooled = fresh && self.default.as_ref() == Some(&endpoint.network);
        let ready = pooled.then(|| self.keeper.take_wired()).flatten();
        let wired = if let Some(wired) = ready {
            wired
        } else {
            if live.wiring().is_none() {
                self.raise_link(&live)?;
                self.ensure_rules()?;
            }
            let wiring = live.wiring().clone().ok_or(Error::NoBridge)?;
            let namespace = match namespace {
                Some(namespace) => namespace,
                None => self.keeper.take()?,
            };
            Wired::connect(&wiring, &mut self.host(), namespace, &endpoint.link)?
        };
        let alias = self.config.wire_alias(endpoint);
        wired.adopt(endpoint, alias, gateway, &mut self.host())
    }

    /// Connects a container that runs to one more network. `all` are its endpoints then.
    pub fn join(
        &self,
        netns: BorrowedFd<'_>,
        endpoint: &EndpointRecord,
        all: &[EndpointRecord],
    ) -> Result<()> {
        let way_out = gateway_of(all).filter(|found| found.id == endpoint.id);
        let gateway = way_out.and_then(|found| found.gateway);
        let namespace = netns::open(netns)?;
        self.connect(endpoint, gateway, Some(namespace)).map(drop)
    }

    /// Disconnects a container that runs from a network. `left` are its endpoints then.
    pub fn part(
        &self,
        netns: BorrowedFd<'_>,
        endpoint: &EndpointRecord,
        left: &[EndpointRecord],
    ) -> Result<()> {
        let mut namespace = netns::open(netns)?;
        let mut batch = Batch::new();
        route::delete_link(&mut batch, &endpoint.link);
        if let Some(gateway) = gateway_of(left).and_then(|found| found.gateway) {
            route::new_default_route(&mut batch, gateway);
        }
        let refusals = namespace.inside.send(&batch)?;
        first_refusal(&refusals, |_| format!("remove {}", endpoint.link))?;
        self.netd.unname(endpoint);
        Ok(())
    }

    /// Gives an address back, in the engine's transaction. It is given out again when nothing
    /// answers there any more: [`Networks::detach`] comes first.
    pub fn release(&self, txn: &Txn<'_>, endpoint: &EndpointRecord) -> Result<()> {
        match self.ledger_of(endpoint) {
            Some(ledger) => ledger.release(txn, endpoint),
            None => ledger::forget(txn, endpoint),
        }
    }

    fn ledger_of(&self, endpoint: &EndpointRecord) -> Option<Arc<Ledger>> {
        self.live(&endpoint.network).ok()?.ledger.clone()
    }

    /// Lets a container's endpoints and its namespace go, with its ports and names. Returns at once;
    /// the wires fall with the namespace, in the background, when the last process is gone.
    pub fn detach(
        &self,
        container: ContainerId,
        endpoints: &[EndpointRecord],
        ports: &[Publication],
        netns: Option<OwnedFd>,
    ) {
        if let Some(way_out) = gateway_of(endpoints).filter(|_| !ports.is_empty()) {
            // Gone already, if the table is.
            drop(self.withdraw(way_out, ports));
        }
        self.ports.release(container);
        self.netd.leave(container);
        let mut addresses = Vec::new();
        for endpoint in endpoints {
            self.netd.unname(endpoint);
            if let Some(ledger) = self.ledger_of(endpoint) {
                ledger.linger(endpoint.address.address());
                addresses.push((ledger, endpoint.address.address()));
            }
        }
        self.keeper.retire(Retired {
            netns,
            aliases: self.aliases(endpoints),
            addresses,
            remove: false,
        });
    }

    fn aliases(&self, endpoints: &[EndpointRecord]) -> Vec<String> {
        endpoints
            .iter()
            .map(|endpoint| self.config.wire_alias(endpoint))
            .collect()
    }

    /// Removes what is there of a namespace that could not be connected to all of its networks.
    fn fall(&self, endpoints: &[EndpointRecord]) {
        self.keeper.retire(Retired {
            aliases: self.aliases(endpoints),
            remove: true,
            ..Retired::default()
        });
    }

    /// Gets ports of this machine for a container that will be at `target`, all or none.
    pub fn reserve(
        &self,
        container: ContainerId,
        requests: &[PortRequest],
        target: Ipv4Addr,
    ) -> Result<Vec<Held>> {
        self.ports.reserve(container, requests, target)
    }

    /// Gives the ports of a container back that was not started after all.
    pub fn give_ports_back(&self, container: ContainerId) {
        self.ports.release(container);
    }

    /// Makes held ports lead to the endpoint: by a rule that keeps the guest's address, or, where no
    /// rule reaches, through netd.
    pub fn open_ports(&self, endpoint: &EndpointRecord, held: Vec<Held>) -> Result<()> {
        let ports: Vec<_> = held.iter().map(|held| held.publication).collect();
        if self.config.firewall {
            self.let_back_in(endpoint)?;
            self.publish(endpoint, &ports)?;
        }
        let target = endpoint.address.address();
        self.netd.listen(endpoint.container, held, target)
    }

    /// Lets the container reach itself by way of this machine.
    fn let_back_in(&self, endpoint: &EndpointRecord) -> Result<()> {
        let alias = self.config.wire_alias(endpoint);
        let links = bridge::links(&mut self.host())?;
        let mut batch = Batch::new();
        for link in links.iter().filter(|link| link.alias == alias) {
            route::hairpin(&mut batch, &link.name);
        }
        let refusals = self.host().send(&batch)?;
        first_refusal(&refusals, |_| {
            "let a port of the bridge answer itself".to_owned()
        })
    }

    /// Makes ports of this machine lead to the endpoint, all or none, in one transaction. They
    /// answer at all of this machine's addresses but the loopback's.
    pub fn publish(&self, endpoint: &EndpointRecord, ports: &[Publication]) -> Result<()> {
        self.firewall.publish(&publish::elements(endpoint, ports))
    }

    /// Withdraws what [`Networks::publish`] published.
    pub fn withdraw(&self, endpoint: &EndpointRecord, ports: &[Publication]) -> Result<()> {
        self.firewall.withdraw(&publish::elements(endpoint, ports))
    }

    /// Lets a container's programs ask for names.
    pub fn resolve(
        &self,
        container: ContainerId,
        sandbox: Sandbox,
        netns: OwnedFd,
        endpoints: &[EndpointRecord],
    ) -> Result<()> {
        self.netd.resolve(container, sandbox, netns)?;
        endpoints
            .iter()
            .try_for_each(|endpoint| self.netd.name(endpoint))
    }

    /// Leads a container's ports to where its way out is now, when that has changed.
    pub fn move_ports(
        &self,
        container: ContainerId,
        ports: &[Publication],
        before: &[EndpointRecord],
        now: &[EndpointRecord],
    ) -> Result<()> {
        let (old, new) = (gateway_of(before), gateway_of(now));
        if ports.is_empty() || old.map(|one| &one.id) == new.map(|one| &one.id) {
            return Ok(());
        }
        if let Some(old) = old {
            self.withdraw(old, ports)?;
        }
        let Some(new) = new else { return Ok(()) };
        if self.config.firewall {
            self.let_back_in(new)?;
            self.publish(new, ports)?;
        }
        self.netd.retarget(container, new.address.address())
    }

    /// An endpoint is called otherwise now.
    pub fn rename(&self, endpoint: &EndpointRecord) -> Result<()> {
        self.netd.name(endpoint)
    }
}
