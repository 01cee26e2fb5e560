//! The network of a running container: taken at start, given back at the end.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use meta::Read;
use net::hosts;

use super::cell::Cell;
use super::record::{CONTAINERS, Network, Record};
use super::spec::hostname;
use crate::error::{Error, Result};
use crate::{Engine, blocking};

/// A container's namespace, and its endpoint on the default bridge.
#[derive(Debug)]
pub(crate) struct Attached {
    netns: OwnedFd,
    endpoint: Option<net::EndpointRecord>,
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
        let bridged = record.host.network == Network::Bridge;
        let netns = blocking::run(move || engine.make_network(&taken, bridged)).await?;
        self.clock().note("start: network", cell.id, since);
        Ok(Some(netns))
    }

    fn make_network(&self, cell: &Cell, bridged: bool) -> Result<OwnedFd> {
        let failed = |e: net::Error| Error::internal("failed to set up container networking", e);
        let attached = if bridged {
            let endpoint = self.meta().write(|txn| {
                let mut record = stored(txn, cell)?;
                // A start that failed may have left one.
                if let Some(old) = record.endpoint.take() {
                    self.networks().release(txn, &old).map_err(failed)?;
                }
                let endpoint = self
                    .networks()
                    .plan_endpoint(txn, cell.id)
                    .map_err(failed)?;
                record.endpoint = Some(endpoint.clone());
                txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
                Ok::<_, Error>(endpoint)
            })?;
            cell.change_record(|record| record.endpoint = Some(endpoint.clone()));
            let netns = self.networks().attach(&endpoint).map_err(failed)?;
            Attached {
                netns,
                endpoint: Some(endpoint),
            }
        } else {
            Attached {
                netns: self.networks().none_netns().map_err(failed)?,
                endpoint: None,
            }
        };
        let netns = sys::fd::duplicate(attached.netns.as_fd())
            .map_err(|e| Error::internal("duplicating a network namespace", e))?;
        *cell.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(attached);
        Ok(netns)
    }

    /// Lets the wire of an ended container fall. Returns at once, with the endpoint that is still to
    /// be given back.
    pub(crate) fn detach_network(&self, cell: &Cell) -> Option<net::EndpointRecord> {
        let attached = cell
            .network
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Attached { netns, endpoint }) = attached else {
            // A container that an earlier daemon connected.
            let endpoint = cell.record().endpoint.clone();
            if let Some(endpoint) = &endpoint {
                self.networks().detach(endpoint, None);
            }
            return endpoint;
        };
        match &endpoint {
            Some(endpoint) => self.networks().detach(endpoint, Some(netns)),
            None => self.networks().discard(netns),
        }
        endpoint
    }

    /// Gives the address of an ended container back; never on the path of an answer. The container
    /// may have been started again meanwhile, and have another.
    pub(crate) fn release_endpoint(&self, cell: &Arc<Cell>, endpoint: Option<net::EndpointRecord>) {
        let Some(endpoint) = endpoint else { return };
        let engine = self.clone();
        let cell = Arc::clone(cell);
        tokio::spawn(async move {
            let _busy = engine.0.busy.read().await;
            let (engine, cell) = (engine.clone(), Arc::clone(&cell));
            let given_back = blocking::run(move || engine.release_now(&cell, &endpoint));
            if let Err(error) = given_back.await {
                tracing::warn!(%error, "giving an address back");
            }
        });
    }

    fn release_now(&self, cell: &Cell, endpoint: &net::EndpointRecord) -> Result<()> {
        self.meta().write(|txn| {
            self.networks()
                .release(txn, endpoint)
                .map_err(|e| Error::internal("giving an address back", e))?;
            // Not for a container that was removed meanwhile.
            let Some(mut record) = txn.get(&CONTAINERS, &cell.id.to_string())? else {
                return Ok(());
            };
            forget_endpoint(&mut record, endpoint);
            txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            Ok::<_, Error>(())
        })?;
        cell.change_record(|record| forget_endpoint(record, endpoint));
        Ok(())
    }

    /// Writes /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.
    pub(crate) fn write_network_files(&self, record: &Record) -> Result<()> {
        let dir = self.layout().container(record.id);
        let path = |name: &str| dir.join(name);
        let host = &record.host;
        let shared = host.network == Network::Host;
        let own = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let extra: Vec<(String, String)> = host
            .extra_hosts
            .iter()
            .map(|line| self.extra_host(line))
            .collect::<Result<_>>()?;
        let name = hostname(record);
        let addresses: Vec<IpAddr> = record
            .endpoint
            .iter()
            .map(|endpoint| IpAddr::V4(endpoint.address.address()))
            .collect();
        let hosts = if shared {
            hosts::hosts_of_host(&own("/etc/hosts"), &extra)
        } else {
            hosts::hosts(&addresses, &name, &record.config.domainname, &extra)
        };
        let servers: Vec<IpAddr> = host
            .dns
            .iter()
            .map(|text| {
                text.parse()
                    .map_err(|_| Error::invalid(format!("bad nameserver address {text}")))
            })
            .collect::<Result<_>>()?;
        let mut source = "/etc/resolv.conf";
        let mut resolv = hosts::ResolvConf::parse(&own(source));
        if resolv.is_local_stub() {
            source = "/run/systemd/resolve/resolv.conf";
            resolv = hosts::ResolvConf::parse(&own(source));
        }
        let resolv = resolv.overridden(&servers, &host.dns_search, &host.dns_options);
        let resolv = if shared {
            resolv.for_host(source)
        } else {
            resolv.for_container(source)
        };
        for (file, text) in [
            ("hosts", hosts),
            ("hostname", hosts::hostname(&name)),
            ("resolv.conf", resolv),
        ] {
            sys::durable::replace_volatile(&path(file), text.as_bytes(), 0o644).map_err(|e| {
                Error::internal(format_args!("writing {}", path(file).display()), e)
            })?;
        }
        Ok(())
    }

    /// Splits `--add-host NAME:ADDRESS` (or `NAME=ADDRESS`); `host-gateway` is the bridge's address.
    fn extra_host(&self, line: &str) -> Result<(String, String)> {
        let (name, address) = line
            .split_once(':')
            .or_else(|| line.split_once('='))
            .ok_or_else(|| Error::invalid(format!("bad format for add-host: \"{line}\"")))?;
        if address != "host-gateway" {
            return Ok((name.to_owned(), address.to_owned()));
        }
        let gateway = self.networks().bridge_address().ok_or_else(|| {
            Error::invalid(
                "unable to derive the IP value for host-gateway: there is no default bridge",
            )
        })?;
        Ok((name.to_owned(), gateway.address().to_string()))
    }
}

/// Returns the record as it is committed: the one in memory may be older than a rename.
fn stored(txn: &meta::Txn<'_>, cell: &Cell) -> Result<Record> {
    txn.get(&CONTAINERS, &cell.id.to_string())?
        .ok_or_else(|| Error::not_found(format!("No such container: {}", cell.id)))
}

fn forget_endpoint(record: &mut Record, endpoint: &net::EndpointRecord) {
    if record.endpoint.as_ref() == Some(endpoint) {
        record.endpoint = None;
    }
}
