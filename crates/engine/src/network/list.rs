//! `network ls`, `network inspect`: what a network is, and who is on it.

use std::sync::Arc;

use net::{EndpointRecord, NetworkRecord};

use crate::Engine;
use crate::container::cell::Cell;
use crate::error::{Error, Result};

/// A network as it stands now.
#[derive(Clone, Debug)]
pub struct NetworkSnapshot {
    /// What it is.
    pub record: NetworkRecord,
    /// Who is on it: the containers' names and places.
    pub endpoints: Vec<(String, EndpointRecord)>,
}

/// Which networks `prune` takes.
#[derive(Clone, Debug, Default)]
pub struct NetworkFilter {
    /// Those older than this, in nanoseconds since 1970.
    pub until_ns: Option<i64>,
    /// With all of these labels, `k` or `k=v`.
    pub labels: Vec<String>,
    /// Without any of these.
    pub without_labels: Vec<String>,
}

impl Engine {
    /// Returns all networks.
    pub fn network_list(&self) -> Vec<NetworkSnapshot> {
        let cells = self.cells(crate::names::Cells::all);
        let mut all: Vec<_> = self
            .networks()
            .list()
            .into_iter()
            .map(|record| snapshot(&cells, record))
            .collect();
        all.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        all
    }

    /// Returns one network.
    pub fn network_inspect(&self, typed: &str) -> Result<NetworkSnapshot> {
        let record = self
            .network_record(typed)
            .ok_or_else(|| Error::not_found(format!("network {typed} not found")))?;
        Ok(snapshot(&self.cells(crate::names::Cells::all), record))
    }
}

fn snapshot(cells: &[Arc<Cell>], record: NetworkRecord) -> NetworkSnapshot {
    let mut endpoints = Vec::new();
    for cell in cells.iter().filter(|cell| cell.state().status.is_running()) {
        let container = cell.record();
        let here = container
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.network == record.id);
        endpoints.extend(here.map(|endpoint| (container.name.clone(), endpoint.clone())));
    }
    NetworkSnapshot { record, endpoints }
}

impl NetworkFilter {
    /// Tells whether a network is one of those.
    pub(crate) fn holds(&self, record: &NetworkRecord) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => record.labels.get(key).is_some_and(|own| own == value),
            None => record.labels.contains_key(wanted),
        };
        self.until_ns.is_none_or(|until| record.created_ns < until)
            && self.labels.iter().all(has)
            && !self.without_labels.iter().any(has)
    }
}
