//! The networks of a running container: taken at start, given back at the end.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use meta::Read;
use net::netd::{Sandbox, Scope, Upstream};
use net::{EndpointRecord, PortRequest, Running};
use types::ErrorKind;

use super::attachment::{names_of, port_requests, request, split_link};
use super::cell::Cell;
use super::network_files::Resolv;
use super::record::{CONTAINERS, Network, Record};
use crate::error::{Error, Result};
use crate::{Engine, blocking};

/// What every sentence about a failed network begins with.
const SETUP: &str = "failed to set up container networking";

/// A container's namespace; it may be another container's.
#[derive(Debug)]
pub(crate) struct Attached {
    netns: OwnedFd,
}

/// Says what failed, with the kind that Docker answers.
pub(crate) fn network_error(doing: &str, error: net::Error) -> Error {
    let kind = match error {
        net::Error::NoNetwork(_) => ErrorKind::NotFound,
        net::Error::NameTaken(_) => ErrorKind::Conflict,
        net::Error::NoParent { .. } | net::Error::LanMode { .. } => ErrorKind::InvalidArgument,
        net::Error::AddressTaken | net::Error::PoolOverlaps | net::Error::InUse { .. } => {
            ErrorKind::Forbidden
        }
        _ => ErrorKind::Internal,
    };
    let text = crate::error::chain(&error);
    let sentence = if doing.is_empty() {
        text
    } else {
        format!("{doing}: {text}")
    };
    Error::caused(kind, sentence, error)
}

fn failed(error: net::Error) -> Error {
    network_error(SETUP, error)
}

impl Engine {
    /// Makes the network of a container that starts; none for the host's own.
    pub(crate) async fn attach_network(
        &self,
        cell: &Arc<Cell>,
        record: &Record,
    ) -> Result<Option<OwnedFd>> {
        if record.host.network == Network::Host {
            return Ok(None);
        }
        let since = Instant::now();
        let engine = self.clone();
        let taken = Arc::clone(cell);
        let netns = blocking::run(move || engine.make_network(&taken)).await?;
        self.clock().note("start: network", cell.id, since);
        Ok(Some(netns))
    }

    fn make_network(&self, cell: &Cell) -> Result<OwnedFd> {
        let record = cell.record();
        let attached = match &record.host.network {
            Network::Container(other) => Attached {
                netns: self.netns_to_join(other)?,
            },
            Network::Bridge | Network::Named(_) if !record.host.attachments.is_empty() => {
                Attached {
                    netns: self.connect_all(cell, &record)?,
                }
            }
            _ => Attached {
                netns: self.networks().none_netns().map_err(failed)?,
            },
        };
        let netns = duplicate(&attached.netns)?;
        *cell.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(attached);
        Ok(netns)
    }

    /// Takes addresses and ports in one commit, then makes wires, rules and names.
    fn connect_all(&self, cell: &Cell, record: &Record) -> Result<OwnedFd> {
        let mut requests = Vec::new();
        for (number, attachment) in record.host.attachments.iter().enumerate() {
            let network = self
                .network_record(&attachment.network)
                .ok_or_else(|| failed(net::Error::NoNetwork(attachment.network.clone())))?;
            requests.push(request(
                record,
                attachment,
                &network,
                format!("eth{number}"),
            ));
        }
        let wanted = port_requests(&record.config, &record.host);
        let (mut endpoints, mut held) = (Vec::new(), Vec::new());
        let planned = self.meta().write(|txn| {
            let mut record = stored(txn, cell)?;
            // A start that failed may have left some.
            for old in record.endpoints.drain(..) {
                self.networks().release(txn, &old).map_err(failed)?;
            }
            for request in &requests {
                let planned = self.networks().plan_endpoint(txn, request);
                record.endpoints.push(planned.map_err(failed)?);
            }
            held = self.reserve_ports(&record, &wanted)?;
            record.ports = held.iter().map(|held| held.publication).collect();
            endpoints.clone_from(&record.endpoints);
            txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            Ok::<_, Error>(())
        });
        // Nothing is on record then that would give them back.
        planned.inspect_err(|_| self.networks().give_ports_back(cell.id))?;
        cell.change_record(|known| {
            known.endpoints.clone_from(&endpoints);
            known.ports = held.iter().map(|held| held.publication).collect();
        });
        let netns = self.networks().attach(&endpoints).map_err(failed)?;
        if let Some(way_out) = net::gateway_of(&endpoints).filter(|_| !held.is_empty()) {
            self.networks()
                .open_ports(way_out, held)
                .map_err(|error| port_error(record, way_out, error))?;
        }
        if let Some(sandbox) = self.sandbox(record, &endpoints)? {
            let named = named(&endpoints);
            self.networks()
                .resolve(cell.id, sandbox, duplicate(&netns)?, &named)
                .map_err(failed)?;
        }
        Ok(netns)
    }

    fn reserve_ports(&self, record: &Record, wanted: &[PortRequest]) -> Result<Vec<net::Held>> {
        let Some(way_out) = net::gateway_of(&record.endpoints).filter(|_| !wanted.is_empty())
        else {
            return Ok(Vec::new());
        };
        self.networks()
            .reserve(record.id, wanted, way_out.address.address())
            .map_err(|error| port_error(record, way_out, error))
    }

    /// Opens the namespace of a container that shall be shared.
    fn netns_to_join(&self, typed: &str) -> Result<OwnedFd> {
        let joining =
            |why: String| Error::conflict(format!("joining network namespace of container: {why}"));
        let cell = self
            .find(typed)
            .map_err(|error| joining(error.to_string()))?;
        if !cell.state().status.is_running() {
            return Err(Error::conflict(format!(
                "cannot join network namespace of a non running container: container {} is {}",
                cell.record().name,
                cell.state().status.as_str()
            )));
        }
        self.netns_of(&cell)?
            .ok_or_else(|| joining("it has the host's".to_owned()))
    }

    /// Returns the namespace of a container that runs; none when it is the host's.
    #[expect(clippy::unused_self, reason = "a verb's part, like its neighbours")]
    pub(crate) fn netns_of(&self, cell: &Cell) -> Result<Option<OwnedFd>> {
        if cell.record().host.network == Network::Host {
            return Ok(None);
        }
        let attached = cell.network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attached) = attached.as_ref() {
            return duplicate(&attached.netns).map(Some);
        }
        // A container that an earlier daemon connected.
        let path = format!("/proc/{}/ns/net", cell.state().pid);
        sys::namespace::open(Path::new(&path))
            .map(Some)
            .map_err(|e| Error::internal("opening a network namespace", e))
    }

    /// Tells what a container may ask for; nothing when it is on no network that has names.
    #[expect(clippy::unused_self, reason = "a verb's part, like its neighbours")]
    pub(crate) fn sandbox(
        &self,
        record: &Record,
        endpoints: &[EndpointRecord],
    ) -> Result<Option<Sandbox>> {
        let mut named = named(endpoints);
        if named.is_empty() {
            return Ok(None);
        }
        named.sort_by_key(|endpoint| (-endpoint.priority, endpoint.network_name.clone()));
        let links = |endpoint: &EndpointRecord| {
            let name = endpoint.network_name.as_str();
            let attachment = record
                .host
                .attachments
                .iter()
                .find(|one| one.network == name);
            let links = attachment.map(|one| one.links.as_slice());
            links
                .unwrap_or_default()
                .iter()
                .map(|link| split_link(link))
                .collect()
        };
        let scopes = named.iter().map(|endpoint| Scope {
            network: endpoint.network.clone(),
            name: endpoint.network_name.clone(),
            links: links(endpoint),
        });
        let resolv = Resolv::of(record)?;
        let inside = !record.host.dns.is_empty();
        let reachable = inside || net::gateway_of(endpoints).is_some();
        let servers = resolv.conf.servers().iter().filter(|_| reachable);
        let upstreams = servers.map(|address| Upstream {
            address: *address,
            inside,
        });
        Ok(Some(Sandbox {
            scopes: scopes.collect(),
            upstreams: upstreams.collect(),
            forward_short: !record
                .host
                .dns_options
                .iter()
                .any(|one| one.starts_with("ndots")),
        }))
    }

    /// Describes a container that an earlier daemon connected.
    pub(crate) fn as_running(&self, cell: &Cell) -> Running {
        let record = cell.record();
        let sandbox = self.sandbox(&record, &record.endpoints).ok().flatten();
        let netns = self.netns_of(cell).ok().flatten();
        Running {
            container: cell.id,
            endpoints: record.endpoints.clone(),
            ports: record.ports.clone(),
            names: sandbox.zip(netns),
        }
    }

    /// Lets the wires of an ended container fall. Returns at once, with the endpoints that are still
    /// to be given back.
    pub(crate) fn detach_network(&self, cell: &Cell) -> Vec<EndpointRecord> {
        let attached = cell
            .network
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let record = cell.record();
        if matches!(record.host.network, Network::Host | Network::Container(_)) {
            return Vec::new();
        }
        let netns = attached.map(|attached| attached.netns);
        let endpoints = record.endpoints.clone();
        self.networks()
            .detach(cell.id, &endpoints, &record.ports, netns);
        endpoints
    }

    /// Gives the addresses of an ended container back; never on the path of an answer. The container
    /// may have been started again meanwhile, and have others.
    pub(crate) fn release_endpoints(&self, cell: &Arc<Cell>, endpoints: Vec<EndpointRecord>) {
        if endpoints.is_empty() {
            return;
        }
        let engine = self.clone();
        let cell = Arc::clone(cell);
        tokio::spawn(async move {
            let _busy = engine.0.busy.read().await;
            let (engine, cell) = (engine.clone(), Arc::clone(&cell));
            let given_back = blocking::run(move || engine.release_now(&cell, &endpoints));
            if let Err(error) = given_back.await {
                tracing::warn!(%error, "giving addresses back");
            }
        });
    }

    fn release_now(&self, cell: &Cell, endpoints: &[EndpointRecord]) -> Result<()> {
        self.meta().write(|txn| {
            for endpoint in endpoints {
                self.networks()
                    .release(txn, endpoint)
                    .map_err(|e| Error::internal("giving an address back", e))?;
            }
            // Not for a container that was removed meanwhile.
            let Some(mut record) = txn.get(&CONTAINERS, &cell.id.to_string())? else {
                return Ok(());
            };
            forget_endpoints(&mut record, endpoints);
            txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            Ok::<_, Error>(())
        })?;
        cell.change_record(|record| forget_endpoints(record, endpoints));
        Ok(())
    }

    /// Tells the listeners that a container came to its networks, or left them.
    pub(crate) fn announce_networks(&self, cell: &Cell, action: &str) {
        let record = cell.record();
        let ids: Vec<String> = match record.host.network {
            Network::None => vec!["none".to_owned()],
            Network::Host => vec!["host".to_owned()],
            _ => record
                .endpoints
                .iter()
                .map(|endpoint| endpoint.network.clone())
                .collect(),
        };
        for id in ids {
            if let Some(network) = self.network_record(&id) {
                self.network_event(&network, action, &[("container", &cell.id.to_string())]);
            }
        }
    }

    /// Tells the others on its networks what a container is called now.
    pub(crate) async fn rename_on_networks(&self, cell: &Arc<Cell>) -> Result<()> {
        if named(&cell.record().endpoints).is_empty() {
            return Ok(());
        }
        let (engine, cell) = (self.clone(), Arc::clone(cell));
        blocking::run(move || {
            let record = cell.record();
            let mut endpoints = record.endpoints.clone();
            for endpoint in endpoints.iter_mut().filter(|one| !one.names.is_empty()) {
                let attachment = record
                    .host
                    .attachments
                    .iter()
                    .find(|one| one.network == endpoint.network_name);
                endpoint.names = names_of(&record, attachment);
                engine
                    .networks()
                    .rename(endpoint)
                    .map_err(|e| network_error("", e))?;
            }
            engine.change_endpoints(&cell, |record| record.endpoints.clone_from(&endpoints))
        })
        .await
    }

    /// Changes what a record says of its networks, on disk and in memory.
    pub(crate) fn change_endpoints(&self, cell: &Cell, change: impl Fn(&mut Record)) -> Result<()> {
        self.meta().write(|txn| {
            let mut record = stored(txn, cell)?;
            change(&mut record);
            txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            Ok::<_, Error>(())
        })?;
        cell.change_record(change);
        Ok(())
    }
}

/// Returns those of the endpoints that are on networks with names.
pub(crate) fn named(endpoints: &[EndpointRecord]) -> Vec<EndpointRecord> {
    let named = |endpoint: &&EndpointRecord| !endpoint.names.is_empty();
    endpoints.iter().filter(named).cloned().collect()
}

fn port_error(record: &Record, endpoint: &EndpointRecord, error: net::Error) -> Error {
    let doing = format!(
        "{SETUP}: driver failed programming external connectivity on endpoint {} ({})",
        record.name, endpoint.id
    );
    network_error(&doing, error)
}

fn duplicate(netns: &OwnedFd) -> Result<OwnedFd> {
    sys::fd::duplicate(netns.as_fd())
        .map_err(|e| Error::internal("duplicating a network namespace", e))
}

/// Returns the record as it is committed: the one in memory may be older than a rename.
pub(crate) fn stored(txn: &meta::Txn<'_>, cell: &Cell) -> Result<Record> {
    txn.get(&CONTAINERS, &cell.id.to_string())?
        .ok_or_else(|| Error::not_found(format!("No such container: {}", cell.id)))
}

fn forget_endpoints(record: &mut Record, endpoints: &[EndpointRecord]) {
    record
        .endpoints
        .retain(|one| !endpoints.iter().any(|gone| gone.id == one.id));
    if record.endpoints.is_empty() {
        record.ports.clear();
    }
}
