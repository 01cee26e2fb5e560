//! How much there is, and how much there may be.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use types::digest::Digest;

use super::fault::{Code, Fault};
use super::lists;
use super::names::Repository;
use super::state::Registry;
use super::store::Key;

/// The most bytes of blobs; a blob that several repositories have counts in each of them, and once in
/// the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    total: Option<u64>,
    repository: Option<u64>,
}

#[derive(Debug, Default)]
struct Used {
    total: u64,
    repositories: HashMap<Repository, u64>,
}

/// What is used of the limits.
#[derive(Debug)]
pub(crate) struct Quotas {
    limits: Limits,
    used: Mutex<Used>,
}

impl Quotas {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            used: Mutex::default(),
        }
    }

    fn is_set(&self) -> bool {
        self.limits.total.is_some() || self.limits.repository.is_some()
    }

    /// Returns how many bytes a repository may still take.
    pub(crate) fn left(&self, repository: &Repository) -> u64 {
        let used = self.lock();
        let here = used.repositories.get(repository).copied().unwrap_or(0);
        let left =
            |limit: Option<u64>, used: u64| limit.map_or(u64::MAX, |l| l.saturating_sub(used));
        left(self.limits.repository, here).min(left(self.limits.total, used.total))
    }

    /// Takes what a new blob needs, or refuses it; `new` is what it adds to the whole.
    pub(crate) fn take(&self, repository: &Repository, size: u64, new: u64) -> Result<(), Fault> {
        if !self.is_set() {
            return Ok(());
        }
        let mut used = self.lock();
        let here = used.repositories.get(repository).copied().unwrap_or(0);
        let over = |limit: Option<u64>, sum: u64| limit.filter(|limit| sum > *limit);
        if let Some(limit) = over(self.limits.repository, here.saturating_add(size)) {
            let words = format!("quota exceeded: {repository} may have {limit} bytes");
            return Err(Fault::new(Code::Denied, words));
        }
        if let Some(limit) = over(self.limits.total, used.total.saturating_add(new)) {
            let words = format!("quota exceeded: this registry may have {limit} bytes");
            return Err(Fault::new(Code::Denied, words));
        }
        used.total += new;
        *used.repositories.entry(repository.clone()).or_default() += size;
        Ok(())
    }

    /// Counts again what is there.
    pub(crate) async fn recount(&self, registry: &Registry) -> Result<(), Fault> {
        if !self.is_set() {
            return Ok(());
        }
        let mut used = Used::default();
        let mut seen = HashSet::new();
        for repository in lists::repositories(registry).await? {
            let mut here = 0;
            for hex in registry.store.names(Key::blobs(&repository)).await? {
                let Some(digest) = Digest::from_hex(&hex) else {
                    continue;
                };
                let size = registry.store.size(Key::content(digest)).await?;
                let size = size.unwrap_or(0);
                here += size;
                if seen.insert(digest) {
                    used.total += size;
                }
            }
            used.repositories.insert(repository, here);
        }
        *self.lock() = used;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_and_not_passed() {
        let quotas = Quotas::new(Limits {
            total: Some(100),
            repository: Some(60),
        });
        let (a, b): (Repository, Repository) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_eq!(quotas.left(&a), 60);
        quotas.take(&a, 60, 60).unwrap();
        assert_eq!(quotas.take(&a, 1, 1).unwrap_err().code, Code::Denied);
        assert_eq!(quotas.left(&a), 0);
        // What another repository has costs nothing more in the whole.
        quotas.take(&b, 60, 0).unwrap();
        let c: Repository = "c".parse().unwrap();
        assert_eq!(quotas.left(&c), 40);
        assert_eq!(quotas.take(&c, 41, 41).unwrap_err().code, Code::Denied);
        quotas.take(&c, 40, 40).unwrap();
    }
}
