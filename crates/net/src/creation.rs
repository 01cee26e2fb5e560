//! Networks come and go: their records, in the engine's transactions.

use std::collections::BTreeMap;

use meta::{Read, Txn};

use crate::ipam::{ledger, pool};
use crate::link::bridge;
use crate::networks::Networks;
use crate::record::{Driver, NETWORKS, NetworkRecord, NetworkRequest, Subnet};
use crate::wired::random_id;
use crate::{Error, Prefix, Result};

/// The networks that are always there, and their drivers.
const PREDEFINED: [(&str, Driver); 3] = [
    ("bridge", Driver::Bridge),
    ("host", Driver::Host),
    ("none", Driver::Null),
];

/// Returns the networks on record.
pub fn recorded(from: &impl Read) -> Result<Vec<NetworkRecord>> {
    let all = from.scan(&NETWORKS)?;
    Ok(all.into_iter().map(|(_, record)| record).collect())
}

/// Tells whether one of the networks that are always there is not on record yet.
pub fn lacks_predefined(records: &[NetworkRecord]) -> bool {
    PREDEFINED
        .iter()
        .any(|(name, _)| !records.iter().any(|record| record.name == *name))
}

/// Puts the networks that are always there on record.
pub fn record_predefined(txn: &Txn<'_>, now_ns: i64) -> Result<()> {
    let records = recorded(txn)?;
    for (name, driver) in PREDEFINED {
        if records.iter().any(|record| record.name == name) {
            continue;
        }
        let record = NetworkRecord {
            id: random_id()?,
            name: name.to_owned(),
            created_ns: now_ns,
            driver,
            subnet: None,
            internal: false,
            attachable: false,
            options: BTreeMap::new(),
            ipam_options: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        txn.put(&NETWORKS, &record.id, &record)?;
    }
    Ok(())
}

impl Networks {
    /// Puts a network on record. [`Networks::raise`] makes it exist.
    pub fn plan_network(&self, txn: &Txn<'_>, request: NetworkRequest) -> Result<NetworkRecord> {
        let records = recorded(txn)?;
        if records.iter().any(|record| record.name == request.name) {
            return Err(Error::NameTaken(request.name));
        }
        let mut taken: Vec<_> = records
            .iter()
            .filter_map(|record| record.subnet.as_ref().map(|subnet| subnet.subnet))
            .collect();
        taken.extend(self.bridge_address());
        let subnet = match request.subnet {
            Some(subnet) if taken.iter().any(|other| other.overlaps(subnet)) => {
                return Err(Error::PoolOverlaps);
            }
            Some(subnet) => subnet,
            None => self.free_subnet(taken)?,
        };
        let record = NetworkRecord {
            id: random_id()?,
            name: request.name,
            created_ns: request.created_ns,
            driver: request.driver,
            subnet: Some(Subnet {
                subnet,
                range: request.range,
                gateway: request
                    .gateway
                    .unwrap_or_else(|| first(subnet, request.range)),
                gateway_told: request.gateway.is_some() || request.subnet.is_none(),
                chosen: request.subnet.is_some(),
                auxiliary: request.auxiliary,
            }),
            internal: request.internal,
            attachable: request.attachable,
            options: request.options,
            ipam_options: request.ipam_options,
            labels: request.labels,
        };
        txn.put(&NETWORKS, &record.id, &record)?;
        Ok(record)
    }

    fn free_subnet(&self, mut taken: Vec<Prefix>) -> Result<Prefix> {
        taken.extend(bridge::used_by_host(&mut self.host())?);
        pool::choose(&taken).ok_or(Error::NoPool)
    }

    /// Takes a network off the record on which nobody is. `call` names a container for the message.
    pub fn forget_network(
        &self,
        txn: &Txn<'_>,
        record: &NetworkRecord,
        call: impl Fn(types::ContainerId) -> String,
    ) -> Result<()> {
        let on_it = ledger::all(txn)?;
        let on_it: Vec<_> = on_it
            .iter()
            .filter(|endpoint| endpoint.network == record.id)
            .map(|one| format!("name:{:?} id:{:?}", call(one.container), &one.id[..12]))
            .collect();
        if !on_it.is_empty() {
            return Err(Error::InUse {
                name: record.name.clone(),
                endpoints: on_it.join(", "),
            });
        }
        if txn.get(&NETWORKS, &record.id)?.is_none() {
            return Err(Error::NoNetwork(record.name.clone()));
        }
        Ok(txn.delete(&NETWORKS, &record.id)?)
    }

    /// Takes a network off the record that could not be made.
    pub fn undo_network(&self, txn: &Txn<'_>, record: &NetworkRecord) -> Result<()> {
        Ok(txn.delete(&NETWORKS, &record.id)?)
    }
}

/// The gateway that nobody chose: the first address of the range, else of the network.
fn first(subnet: Prefix, range: Option<Prefix>) -> std::net::Ipv4Addr {
    match range {
        Some(range) if range.network().address() != subnet.network().address() => {
            range.network().address()
        }
        _ => pool::first(subnet),
    }
}
