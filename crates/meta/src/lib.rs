//! The record file: one `meta.redb` that holds every mutable record of an engine.
//!
//! Vocabulary: a *table* maps a text key to a record type; a [`View`] is a consistent reading; a
//! [`Txn`] is a change that becomes durable as a whole.
//!
//! Invariants: one process owns the file; one writer, who commits for everybody that waits (group
//! commit: N changes, one fsync); a change that failed leaves no trace: after a disk error the file is
//! opened again, and its own count of commits tells whether the last one is in it. Rooms change records through a `&Txn` that they are handed; only the
//! engine calls [`Meta::write`]. On disk a record is a version byte and JSON, so that a field can be
//! added without a migration (docs/decisions/0002-records-are-json.md).

#![forbid(unsafe_code)]

mod file;
mod group;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use file::Opened;
use group::{Change, Failure, Group};

/// Version byte in front of every record.
const RECORD_VERSION: u8 = 1;
/// How many commits the file has seen, under the empty key.
const COMMITS: TableDefinition<'static, &'static str, u64> = TableDefinition::new("commits");
/// How long an opening waits for those who still read the one before.
const READERS_PATIENCE: Duration = Duration::from_secs(2);

/// A table: its name in the file and the type of its records.
#[derive(Debug)]
pub struct Table<V> {
    name: &'static str,
    record: PhantomData<fn() -> V>,
}

impl<V> Table<V> {
    /// Names a table.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            record: PhantomData,
        }
    }

    fn definition(&self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(self.name)
    }
}

/// The record file failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or made.
    #[error("record file {path}: cannot open")]
    Open {
        /// The file.
        path: PathBuf,
        /// What redb said.
        #[source]
        source: Box<redb::Error>,
    },
    /// Reading or changing failed.
    #[error("record file: {0}")]
    Database(Box<redb::Error>),
    /// A record is not what its table says.
    #[error("record {key:?} in table {table} cannot be read")]
    Record {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// What serde said.
        #[source]
        source: serde_json::Error,
    },
    /// A record was written by a newer release.
    #[error(
        "record {key:?} in table {table} has version {version}; this release reads version {RECORD_VERSION}"
    )]
    Version {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// Its version.
        version: u8,
    },
    /// A disk error kept a change from being written. Nothing of it is in the file.
    #[error("the record file could not be written: {0}")]
    NotWritten(String),
    /// A disk error happened earlier, and the file cannot be opened again.
    #[error("the record file is read-only since an earlier disk error: {0}")]
    ReadOnly(String),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// The open record file.
#[derive(Debug)]
pub struct Meta {
    path: PathBuf,
    opened: RwLock<Arc<Opened>>,
    group: Group,
    _lock: std::fs::File,
}

/// Reading records, from a view or inside a change.
pub trait Read {
    /// Returns the bytes of a record.
    #[doc(hidden)]
    fn raw(&self, table: &'static str, key: &str) -> Result<Option<Vec<u8>>>;
    /// Returns all records of a table in order of their keys.
    #[doc(hidden)]
    fn raw_scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>>;

    /// Returns the record of `key`.
    fn get<V: DeserializeOwned>(&self, table: &Table<V>, key: &str) -> Result<Option<V>> {
        self.raw(table.name, key)?
            .map(|bytes| decode(table.name, key, &bytes))
            .transpose()
    }

    /// Returns all records in order of their keys.
    fn scan<V: DeserializeOwned>(&self, table: &Table<V>) -> Result<Vec<(String, V)>> {
        self.raw_scan(table.name)?
            .into_iter()
            .map(|(key, bytes)| {
                let record = decode(table.name, &key, &bytes)?;
                Ok((key, record))
            })
            .collect()
    }
}

/// A consistent reading of what is committed.
pub struct View {
    txn: redb::ReadTransaction,
    /// Who opens the file again waits for it.
    _opened: Arc<Opened>,
}

/// A change in the making. Nothing of it is seen by others before it is committed.
#[derive(Debug)]
pub struct Txn<'a> {
    meta: &'a Meta,
    /// Changes before this one that are not in the file yet, the newest last.
    before: [&'a Change; 2],
    own: RefCell<Change>,
}

impl Meta {
    /// Opens the file, or makes it. It is locked for this process.
    pub fn open(path: &Path) -> Result<Self> {
        let (lock, opened) = file::lock(path)
            .and_then(|lock| Ok((lock, Opened::open(path)?)))
            .map_err(|e| Error::Open {
                path: path.to_owned(),
                source: Box::new(e.into()),
            })?;
        Ok(Self {
            path: path.to_owned(),
            opened: RwLock::new(Arc::new(opened)),
            group: Group::default(),
            _lock: lock,
        })
    }

    /// Returns a reading of what is committed now.
    pub fn read(&self) -> Result<View> {
        let opened = self.opened();
        Ok(View {
            txn: opened.database.begin_read()?,
            _opened: opened,
        })
    }

    /// Makes a change durable: `change` decides it, then one commit writes it together with the
    /// changes of everybody else who waits. An error leaves nothing.
    pub fn write<T, E: From<Error>>(
        &self,
        change: impl FnOnce(&Txn<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.group.run(
            || self.open_again().map_err(|error| error.to_string()),
            |before| {
                let txn = Txn {
                    meta: self,
                    before,
                    own: RefCell::default(),
                };
                let value = change(&txn)?;
                Ok((value, txn.own.into_inner()))
            },
            |changes| self.commit_or_heal(changes),
        )
    }

    /// Tells whether a commit has failed and the file could not be opened again. What the commit
    /// held may be in the file or not; the next [`Meta::open`] knows.
    pub fn has_failed(&self) -> bool {
        self.group.has_failed()
    }

    fn opened(&self) -> Arc<Opened> {
        Arc::clone(&self.opened.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Commits. redb writes nothing more after a disk error: then the file is opened again, and its
    /// count of commits tells what became of this one.
    fn commit_or_heal(&self, change: &Change) -> Result<(), Failure> {
        let count = self
            .commits()
            .map_err(|error| Failure::Undone(error.to_string()))?;
        let Err(error) = self.commit(change, count + 1) else {
            return Ok(());
        };
        let reason = error.to_string();
        match self.open_again().and_then(|()| self.commits()) {
            Ok(now) if now == count => Err(Failure::Undone(reason)),
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::Unknown(reason)),
        }
    }

    fn commit(&self, change: &Change, count: u64) -> Result<()> {
        let opened = self.opened();
        let txn = opened.database.begin_write()?;
        let mut rest = change.iter().peekable();
        while let Some(((name, _), _)) = rest.peek() {
            let name = *name;
            let mut table = txn.open_table(TableDefinition::<&str, &[u8]>::new(name))?;
            while let Some(((_, key), value)) = rest.next_if(|((table, _), _)| *table == name) {
                match value {
                    Some(bytes) => drop(table.insert(key.as_str(), bytes.as_slice())?),
                    None => drop(table.remove(key.as_str())?),
                }
            }
        }
        txn.open_table(COMMITS)?.insert("", count)?;
        txn.commit()?;
        Ok(())
    }

    /// Returns how many commits the file has seen.
    fn commits(&self) -> Result<u64> {
        match self.opened().database.begin_read()?.open_table(COMMITS) {
            Ok(table) => Ok(table.get("")?.map_or(0, |count| count.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
            Err(other) => Err(other.into()),
        }
    }

    /// Opens the file anew when nobody reads the old opening any more: what a new one writes would
    /// change the pages under them.
    fn open_again(&self) -> Result<()> {
        let mut slot = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let since = Instant::now();
        while Arc::strong_count(&slot) > 1 {
            if since.elapsed() > READERS_PATIENCE {
                return Err(Error::ReadOnly("its readers do not end".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let opened = Opened::open(&self.path).map_err(|e| Error::Open {
            path: self.path.clone(),
            source: Box::new(e.into()),
        })?;
        let old = std::mem::replace(&mut *slot, Arc::new(opened));
        if let Some(old) = Arc::into_inner(old) {
            old.abandon();
        }
        Ok(())
    }
}

impl Txn<'_> {
    /// Writes a record.
    pub fn put<V: Serialize>(&self, table: &Table<V>, key: &str, record: &V) -> Result<()> {
        let mut bytes = vec![RECORD_VERSION];
        serde_json::to_writer(&mut bytes, record).map_err(|source| Error::Record {
            table: table.name,
            key: key.to_owned(),
            source,
        })?;
        self.own
            .borrow_mut()
            .insert((table.name, key.to_owned()), Some(bytes));
        Ok(())
    }

    /// Removes a record; a missing one is no error.
    pub fn delete<V>(&self, table: &Table<V>, key: &str) -> Result<()> {
        self.own
            .borrow_mut()
            .insert((table.name, key.to_owned()), None);
        Ok(())
    }
}

impl Read for View {
    fn raw(&self, table: &'static str, key: &str) -> Result<Option<Vec<u8>>> {
        raw(&self.txn, table, key)
    }

    fn raw_scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>> {
        raw_scan(&self.txn, table)
    }
}

impl Read for Txn<'_> {
    fn raw(&self, table: &'static str, key: &str) -> Result<Option<Vec<u8>>> {
        let key = (table, key.to_owned());
        if let Some(value) = self.own.borrow().get(&key) {
            return Ok(value.clone());
        }
        if let Some(value) = self.before.iter().rev().find_map(|change| change.get(&key)) {
            return Ok(value.clone());
        }
        raw(&self.meta.read()?.txn, table, &key.1)
    }

    fn raw_scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>> {
        let mut all: BTreeMap<String, Vec<u8>> = raw_scan(&self.meta.read()?.txn, table)?
            .into_iter()
            .collect();
        let own = self.own.borrow();
        for ((_, key), value) in self.before.into_iter().chain([&*own]).flat_map(|change| {
            change
                .range((table, String::new())..)
                .take_while(|((name, _), _)| *name == table)
        }) {
            match value {
                Some(bytes) => all.insert(key.clone(), bytes.clone()),
                None => all.remove(key),
            };
        }
        Ok(all.into_iter().collect())
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View")
    }
}

fn raw(txn: &redb::ReadTransaction, table: &'static str, key: &str) -> Result<Option<Vec<u8>>> {
    match txn.open_table(Table::<()>::new(table).definition()) {
        Ok(table) => Ok(table.get(key)?.map(|value| value.value().to_vec())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn raw_scan(txn: &redb::ReadTransaction, table: &'static str) -> Result<Vec<(String, Vec<u8>)>> {
    let table = match txn.open_table(Table::<()>::new(table).definition()) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(other) => return Err(other.into()),
    };
    let mut all = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        all.push((key.value().to_owned(), value.value().to_vec()));
    }
    Ok(all)
}

fn decode<V: DeserializeOwned>(table: &'static str, key: &str, bytes: &[u8]) -> Result<V> {
    match bytes.split_first() {
        Some((&RECORD_VERSION, json)) => {
            serde_json::from_slice(json).map_err(|source| Error::Record {
                table,
                key: key.to_owned(),
                source,
            })
        }
        version => Err(Error::Version {
            table,
            key: key.to_owned(),
            version: version.map_or(0, |(version, _)| *version),
        }),
    }
}
