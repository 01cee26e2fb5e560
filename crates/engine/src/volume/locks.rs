//! Who works with which names: a commit and the directory that goes with it are one step for
//! everybody else.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// Names that somebody works with.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Mutex<BTreeSet<String>>,
    freed: Condvar,
}

/// Some names are held until this goes.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    locks: &'a Locks,
    names: BTreeSet<String>,
}

impl Locks {
    /// Waits until nobody holds any of the names and takes all of them at once, so that two who want
    /// the same never wait for each other.
    pub(crate) fn lock(&self, names: BTreeSet<String>) -> Held<'_> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self
            .freed
            .wait_while(held, |held| !held.is_disjoint(&names))
            .unwrap_or_else(PoisonError::into_inner);
        held.extend(names.iter().cloned());
        Held { locks: self, names }
    }

    /// The same for one name.
    pub(crate) fn lock_one(&self, name: &str) -> Held<'_> {
        self.lock(BTreeSet::from([name.to_owned()]))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self
            .locks
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.retain(|name| !self.names.contains(name));
        self.locks.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_and_no_dead_end() {
        let (locks, inside) = (Locks::default(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for turn in 0..8 {
                let (locks, inside) = (&locks, &inside);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let both = ["a", if turn % 2 == 0 { "b" } else { "c" }];
                        let _held = locks.lock(both.map(str::to_owned).into());
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(locks.held.lock().unwrap().is_empty());
        let _other = (locks.lock_one("a"), locks.lock_one("b"));
    }
}
