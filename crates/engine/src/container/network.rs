//! The network of a running container: taken at start, given back at the end.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

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
            let mut record = (*cell.record()).clone();
            let endpoint = self.meta().write(|txn| {
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
            cell.set_record(record);
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

    /// Gives the network of an ended container back; never on the path of an answer.
    pub(crate) fn release_network(&self, cell: &Arc<Cell>) {
        let attached = cell
            .network
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let endpoint = cell.record().endpoint.clone();
        if attached.is_none() && endpoint.is_none() {
            return;
        }
        let engine = self.clone();
        let cell = Arc::clone(cell);
        tokio::spawn(blocking::run(move || {
            match attached {
                Some(Attached {
                    netns,
                    endpoint: Some(endpoint),
                }) => {
                    engine.networks().detach(&endpoint, Some(netns));
                }
                Some(Attached {
                    netns,
                    endpoint: None,
                }) => engine.networks().discard(netns),
                None => {
                    if let Some(endpoint) = endpoint {
                        engine.networks().detach(&endpoint, None);
                    }
                }
            }
            if let Err(error) = engine.release_endpoint(&cell) {
                tracing::warn!(%error, id = %cell.id, "giving an address back");
            }
        }));
    }

    fn release_endpoint(&self, cell: &Cell) -> Result<()> {
        let mut record = (*cell.record()).clone();
        let Some(endpoint) = record.endpoint.take() else {
            return Ok(());
        };
        self.meta().write(|txn| {
            use meta::Read;
            self.networks()
                .release(txn, &endpoint)
                .map_err(|e| Error::internal("giving an address back", e))?;
            // Not for a container that was removed meanwhile.
            if txn.get(&CONTAINERS, &cell.id.to_string())?.is_some() {
                txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            }
            Ok::<_, Error>(())
        })?;
        cell.set_record(record);
        Ok(())
    }

    /// Writes /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.
    pub(crate) fn write_network_files(&self, record: &Record) -> Result<()> {
        let name = hostname(record);
        for (file, text) in [
            ("hosts", "127.0.0.1\tlocalhost\n".to_owned()),
            ("hostname", format!("{name}\n")),
            ("resolv.conf", String::new()),
        ] {
            let path = self.layout().container_file(record.id, file);
            sys::durable::replace_volatile(&path, text.as_bytes(), 0o644)
                .map_err(|e| Error::internal(format_args!("writing {}", path.display()), e))?;
        }
        Ok(())
    }
}
