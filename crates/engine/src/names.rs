//! Name ⇄ container, and what a person may type for one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use types::ContainerId;

use crate::container::cell::Cell;
use crate::error::{Error, Result};

/// All containers of an engine, by id and by name.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    by_id: BTreeMap<String, Arc<Cell>>,
    by_name: HashMap<String, ContainerId>,
}

impl Cells {
    pub(crate) fn insert(&mut self, name: String, cell: Arc<Cell>) {
        self.by_name.insert(name, cell.id);
        self.by_id.insert(cell.id.to_string(), cell);
    }

    pub(crate) fn remove(&mut self, id: ContainerId) {
        self.by_id.remove(&id.to_string());
        self.by_name.retain(|_, named| *named != id);
    }

    pub(crate) fn rename(&mut self, id: ContainerId, new: String) {
        self.by_name.retain(|_, named| *named != id);
        self.by_name.insert(new, id);
    }

    pub(crate) fn owner_of(&self, name: &str) -> Option<ContainerId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        self.by_id.values().cloned().collect()
    }

    /// Finds a container by whole id, name (with or without slash) or unique prefix of its id.
    pub(crate) fn find(&self, typed: &str) -> Result<Arc<Cell>> {
        let not_found = || Error::not_found(format!("No such container: {typed}"));
        if let Some(cell) = self.by_id.get(typed) {
            return Ok(Arc::clone(cell));
        }
        let name = typed.strip_prefix('/').unwrap_or(typed);
        if let Some(cell) = self
            .by_name
            .get(name)
            .and_then(|id| self.by_id.get(&id.to_string()))
        {
            return Ok(Arc::clone(cell));
        }
        if typed.is_empty() {
            return Err(not_found());
        }
        let from = (Bound::Included(typed.to_owned()), Bound::Unbounded);
        let mut matches = self
            .by_id
            .range(from)
            .take_while(|(id, _)| id.starts_with(typed))
            .map(|(_, cell)| cell);
        match (matches.next(), matches.next()) {
            (Some(cell), None) => Ok(Arc::clone(cell)),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "multiple IDs found with provided prefix: {typed}"
            ))),
            (None, _) => Err(not_found()),
        }
    }
}
