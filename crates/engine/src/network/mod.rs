//! Networks: one file per verb.

mod connect;
mod create;
mod files;
mod list;
mod remove;

use std::collections::BTreeMap;

use net::NetworkRecord;

use crate::Engine;

pub use create::NetworkCreate;
pub use list::{NetworkFilter, NetworkSnapshot};
pub use net::{Driver, EndpointRecord, PortRequest, Publication};

impl Engine {
    /// Finds a network by id, name, or the only beginning of an id.
    pub fn network_record(&self, typed: &str) -> Option<NetworkRecord> {
        self.networks().find(typed)
    }

    /// Tells the listeners what happened to a network.
    pub(crate) fn network_event(
        &self,
        network: &NetworkRecord,
        action: &str,
        more: &[(&str, &str)],
    ) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.name().to_owned()),
        ]);
        for &(key, value) in more {
            attributes.insert(key.to_owned(), value.to_owned());
        }
        self.publish("network", action, network.id.clone(), attributes);
    }
}
