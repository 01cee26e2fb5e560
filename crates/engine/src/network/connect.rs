//! `network connect`, `network disconnect`: a container comes to a network, or leaves it, while it
//! runs or for its next start.

use std::os::fd::AsFd;
use std::sync::Arc;

use net::{EndpointRecord, NetworkRecord};
use types::ErrorKind;

use crate::container::attachment::{check_attachment, request};
use crate::container::cell::Cell;
use crate::container::network::{named, network_error, stored};
use crate::container::record::{Attachment, CONTAINERS, Network, Record};
use crate::error::{Error, Result};
use crate::{Engine, blocking, to_its_end};

impl Engine {
    /// Connects a container to a network.
    pub async fn network_connect(&self, container: &str, wanted: Attachment) -> Result<()> {
        let network = self.find_network(&wanted.network)?;
        let cell = self.find(container)?;
        let engine = self.clone();
        to_its_end(async move { engine.connect_whole(&cell, &network, wanted).await }).await
    }

    async fn connect_whole(
        &self,
        cell: &Arc<Cell>,
        network: &NetworkRecord,
        mut wanted: Attachment,
    ) -> Result<()> {
        let _verb = cell.verb.lock().await;
        wanted.network.clone_from(&network.name);
        check_modes(&cell.record(), network)?;
        check_attachment(&wanted, network)?;
        let running = cell.state().status.is_running();
        let (engine, taken, there) = (self.clone(), Arc::clone(cell), network.clone());
        blocking::run(move || {
            if running {
                engine.join_now(&taken, &there, &wanted)
            } else {
                engine.change_endpoints(&taken, |record| put(record, &wanted))
            }
        })
        .await?;
        if running {
            self.network_event(network, "connect", &[("container", &cell.id.to_string())]);
        }
        Ok(())
    }

    fn join_now(&self, cell: &Cell, network: &NetworkRecord, wanted: &Attachment) -> Result<()> {
        let failed = |error| network_error("", error);
        let record = cell.record();
        if record.endpoints.iter().any(|one| one.network == network.id) {
            let sentence = format!(
                "endpoint with name {} already exists in network {}",
                record.name, network.name
            );
            return Err(Error::new(ErrorKind::Forbidden, sentence));
        }
        let netns = self
            .netns_of(cell)?
            .ok_or_else(|| Error::conflict("no network namespace"))?;
        let link = free_link(&record.endpoints);
        let mut changed = None;
        self.meta().write(|txn| {
            let mut record = stored(txn, cell)?;
            put(&mut record, wanted);
            let wish = request(&record, wanted, network, link.clone());
            let endpoint = self.networks().plan_endpoint(txn, &wish).map_err(failed)?;
            record.endpoints.push(endpoint.clone());
            txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            changed = Some((record, endpoint));
            Ok::<_, Error>(())
        })?;
        let (record, endpoint) = changed.expect("invariant: the transaction was committed");
        let before = cell.record().endpoints.clone();
        if let Err(error) = self
            .networks()
            .join(netns.as_fd(), &endpoint, &record.endpoints)
        {
            self.meta().write(|txn| {
                self.networks().release(txn, &endpoint).map_err(failed)?;
                let mut record = stored(txn, cell)?;
                take(&mut record, network);
                txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
                Ok::<_, Error>(())
            })?;
            return Err(failed(error));
        }
        cell.change_record(|known| {
            put(known, wanted);
            known.endpoints.clone_from(&record.endpoints);
        });
        self.networks_changed(cell, &before)
    }

    /// Disconnects a container from a network; `force` is for one that is not there any more.
    pub async fn network_disconnect(
        &self,
        typed: &str,
        container: &str,
        force: bool,
    ) -> Result<()> {
        let network = self.find_network(typed)?;
        let cell = match self.find(container) {
            Err(_) if force => {
                let sentence = format!("endpoint {container} not found");
                return Err(Error::not_found(sentence));
            }
            found => found?,
        };
        let engine = self.clone();
        to_its_end(async move { engine.disconnect_whole(&cell, &network).await }).await
    }

    async fn disconnect_whole(&self, cell: &Arc<Cell>, network: &NetworkRecord) -> Result<()> {
        let _verb = cell.verb.lock().await;
        let record = cell.record();
        let on_it = record
            .host
            .attachments
            .iter()
            .any(|one| one.network == network.name)
            || record.endpoints.iter().any(|one| one.network == network.id);
        if record.host.network == Network::Host {
            return Err(Error::invalid(
                "container cannot be disconnected from host network or connected to host network",
            ));
        }
        if !on_it {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "container {} is not connected to network {}",
                    cell.id, network.name
                ),
            ));
        }
        let (engine, taken, there) = (self.clone(), Arc::clone(cell), network.clone());
        let left = blocking::run(move || engine.part_now(&taken, &there)).await?;
        if left {
            self.network_event(
                network,
                "disconnect",
                &[("container", &cell.id.to_string())],
            );
        }
        Ok(())
    }

    /// Returns whether the container was there.
    fn part_now(&self, cell: &Cell, network: &NetworkRecord) -> Result<bool> {
        let failed = |error| network_error("", error);
        let record = cell.record();
        let endpoint = record
            .endpoints
            .iter()
            .find(|one| one.network == network.id)
            .cloned();
        let running = cell.state().status.is_running();
        let Some(endpoint) = endpoint.filter(|_| running) else {
            self.change_endpoints(cell, |record| take(record, network))?;
            return Ok(false);
        };
        let mut left = record.endpoints.clone();
        left.retain(|one| one.id != endpoint.id);
        if let Some(netns) = self.netns_of(cell)? {
            self.networks()
                .part(netns.as_fd(), &endpoint, &left)
                .map_err(failed)?;
        }
        self.meta().write(|txn| {
            self.networks().release(txn, &endpoint).map_err(failed)?;
            let mut record = stored(txn, cell)?;
            take(&mut record, network);
            txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            Ok::<_, Error>(())
        })?;
        cell.change_record(|record| take(record, network));
        self.networks_changed(cell, &record.endpoints)?;
        Ok(true)
    }

    /// Ports, names and files follow when a running container has other networks than `before`.
    fn networks_changed(&self, cell: &Cell, before: &[EndpointRecord]) -> Result<()> {
        let failed = |error| network_error("", error);
        let record = cell.record();
        self.networks()
            .move_ports(cell.id, &record.ports, before, &record.endpoints)
            .map_err(failed)?;
        let sandbox = self.sandbox(&record, &record.endpoints)?;
        if let (Some(sandbox), Some(netns)) = (sandbox, self.netns_of(cell)?) {
            let named = named(&record.endpoints);
            self.networks()
                .resolve(cell.id, sandbox, netns, &named)
                .map_err(failed)?;
        }
        self.edit_network_files(cell, before)
    }

    fn find_network(&self, typed: &str) -> Result<NetworkRecord> {
        self.network_record(typed)
            .ok_or_else(|| Error::not_found(format!("network {typed} not found")))
    }
}

/// Docker's sentences about networks that do not go together.
fn check_modes(record: &Record, network: &NetworkRecord) -> Result<()> {
    let sentence = match (&record.host.network, network.name.as_str()) {
        (Network::Host | Network::Container(_), _) => {
            "container sharing network namespace with another container or host cannot be connected \
             to any other network"
        }
        (_, "host") => {
            "cannot connect container to host network - container must be created in host network \
             mode"
        }
        (Network::None, _) | (_, "none") => {
            "container cannot be connected to multiple networks with one of the networks in private \
             (none) mode"
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(sentence))
}

fn put(record: &mut Record, wanted: &Attachment) {
    let attachments = &mut record.host.attachments;
    attachments.retain(|one| one.network != wanted.network);
    attachments.push(wanted.clone());
}

fn take(record: &mut Record, network: &NetworkRecord) {
    record
        .host
        .attachments
        .retain(|one| one.network != network.name);
    record.endpoints.retain(|one| one.network != network.id);
}

/// The first name that is free.
fn free_link(endpoints: &[EndpointRecord]) -> String {
    (0..=endpoints.len())
        .map(|number| format!("eth{number}"))
        .find(|name| !endpoints.iter().any(|endpoint| endpoint.link == *name))
        .expect("invariant: there are more numbers than endpoints")
}
