//! `network rm`, `network prune`.

use net::NetworkRecord;

use super::NetworkFilter;
use crate::container::network::network_error;
use crate::error::{Error, Result};
use crate::{Engine, blocking, to_its_end};

impl Engine {
    /// Removes a network on which nobody is.
    pub async fn network_remove(&self, typed: &str) -> Result<()> {
        let record = self
            .network_record(typed)
            .ok_or_else(|| Error::not_found(format!("network {typed} not found")))?;
        if record.is_predefined() {
            let sentence = format!(
                "{} is a pre-defined network and cannot be removed",
                record.name
            );
            return Err(Error::new(types::ErrorKind::Forbidden, sentence));
        }
        let engine = self.clone();
        to_its_end(async move { engine.network_remove_whole(record).await }).await
    }

    async fn network_remove_whole(&self, record: NetworkRecord) -> Result<()> {
        let _busy = self.0.busy.read().await;
        let engine = self.clone();
        let gone = record.clone();
        blocking::run(move || {
            let failed = |error| network_error("", error);
            let call = |id: types::ContainerId| {
                let found = engine.find(&id.to_string());
                found
                    .map(|cell| cell.record().name.clone())
                    .unwrap_or_default()
            };
            engine.meta().write(|txn| {
                engine
                    .networks()
                    .forget_network(txn, &gone, call)
                    .map_err(failed)
            })?;
            engine.networks().lower(&gone).map_err(failed)
        })
        .await?;
        self.network_event(&record, "destroy", &[]);
        Ok(())
    }

    /// Removes the user's networks on which nobody is. Returns their names.
    pub async fn network_prune(&self, filter: &NetworkFilter) -> Result<Vec<String>> {
        let mut gone = Vec::new();
        for one in self.network_list() {
            let name = one.record.name.clone();
            if one.record.is_predefined() || !one.endpoints.is_empty() || !filter.holds(&one.record)
            {
                continue;
            }
            // Somebody came to it just now, or it went by itself.
            if self.network_remove(&one.record.id).await.is_ok() {
                gone.push(name);
            }
        }
        let attributes = [("reclaimed".to_owned(), "0".to_owned())].into();
        self.publish("network", "prune", String::new(), attributes);
        Ok(gone)
    }
}
