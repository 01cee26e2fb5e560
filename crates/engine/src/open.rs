//! How an engine begins and ends.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use meta::{Read, Table};

use crate::config::{Bridge, Config};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::{Engine, Inner, blocking, clock, events, followers, names, nursery, prune, reserve};

/// What the `format` file says; another number is another layout of the data root.
const FORMAT: &str = "wharf-store 1\n";
/// The data root of the engine that keeps the bare names.
const DEFAULT_DATA_ROOT: &str = "/var/lib/wharf";

/// How long a stop waits for what is being cleaned up.
const CLOSE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// As Docker: Ethernet's.
const DEFAULT_MTU: u32 = 1500;

const SETTINGS: Table<String> = Table::new("kv");

impl Engine {
    /// Opens the data root, adopts what runs, and is ready for verbs. `env` is the environment of
    /// shims.
    pub async fn open(config: Config, env: Vec<OsString>) -> Result<Self> {
        let engine = blocking::run(move || Self::open_blocking(config, env)).await?;
        engine.restore().await?;
        tokio::spawn(Arc::clone(engine.nursery()).refill());
        Ok(engine)
    }

    fn open_blocking(config: Config, env: Vec<OsString>) -> Result<Self> {
        let layout = Layout::new(&config.data_root, &config.exec_root);
        make_dir(layout.data_root(), 0o710)?;
        let lock = lock(&layout)?;
        check_format(&layout)?;
        make_dir(&layout.containers(), 0o710)?;
        crate::build_verbs::sweep(&layout);
        make_dir(&layout.volumes(), 0o701)?;
        make_dir(layout.exec_root(), 0o711)?;
        make_dir(&layout.shims(), 0o700)?;
        // Given back when a full disk blocks stop, rm and prune.
        reserve::keep(&layout);
        let meta = meta::Meta::open(&layout.meta())?;
        let id = engine_id(&meta)?;
        let images = image::Store::open(layout.data_root())?;
        let topology = cgroup::Topology::detect()
            .map_err(|e| Error::internal("looking for the cgroup hierarchies", e))?;
        let default = config.data_root == Path::new(DEFAULT_DATA_ROOT);
        let cgroup_base = if default {
            "/wharf".to_owned()
        } else {
            format!("/wharf-{id}")
        };
        let nursery = Arc::new(nursery::Nursery::open(env)?);
        let netd = netd_setup(&layout, &nursery);
        let known = network_records(&meta)?;
        let networks = net::Networks::open(network_config(&config, &id, default)?, known, netd)
            .map_err(|e| Error::internal("preparing the network", e))?;
        let registry = registry::client::Client::new(config.registries.clone());
        let events = events::Bus::open(layout.events());
        Ok(Self(Arc::new(Inner {
            id,
            registry,
            flights: crate::pull::Flights::new(config.downloads),
            config,
            layout,
            meta,
            images,
            volumes: crate::volume::Volumes::default(),
            networks,
            topology,
            cgroup_base,
            nursery,
            cells: std::sync::RwLock::new(names::Cells::default()),
            events,
            pruning: prune::Pruning::default(),
            clock: clock::Clock::new(),
            followers: followers::Followers::default(),
            init: std::sync::Mutex::default(),
            busy: tokio::sync::RwLock::new(()),
            _lock: lock,
        })))
    }

    /// Ends the engine: pools are drained; containers go on.
    pub async fn close(&self) {
        drop(self.nursery().close());
        // What is being cleaned up after an answer is finished first.
        let idle = tokio::time::timeout(CLOSE_PATIENCE, self.0.busy.write()).await;
        let quiet = idle.is_ok();
        if !quiet {
            tracing::warn!("cleaning up took too long; the next start goes on with it");
        }
        let engine = self.clone();
        blocking::run(move || {
            let idle = engine.cells(|cells| {
                cells
                    .all()
                    .iter()
                    .all(|cell| !cell.state().status.is_running())
            });
            if let Err(error) = engine.networks().close(idle) {
                tracing::warn!(%error, "closing the networks");
            }
            // What could not be removed when it was time to. After a disk error the records in
            // memory are not the truth.
            if quiet
                && !engine.meta().has_failed()
                && let Err(error) = engine.sweep_containers()
            {
                tracing::warn!(%error, "sweeping");
            }
            drop(engine.images().reap());
            // The parent of our cgroups goes when no container uses it.
            if let Ok(base) = cgroup::Group::open(&engine.0.topology, &engine.0.cgroup_base)
                && idle
            {
                drop(base.destroy());
            }
        })
        .await;
        drop(idle);
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|e| Error::internal(format_args!("making {}", path.display()), e))
}

/// One daemon per data root; the file names its pid.
fn lock(layout: &Layout) -> Result<std::fs::File> {
    let path = layout.lock();
    let failed = |e| Error::internal(format_args!("opening {}", path.display()), e);
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
        let owner = std::fs::read_to_string(&path).unwrap_or_default();
        return Err(Error::conflict(format!(
            "the data root {} is in use by the daemon with pid {}; stop it, or choose another \
             --data-root",
            layout.data_root().display(),
            owner.trim()
        )));
    }
    file.set_len(0)
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(failed)?;
    Ok(file)
}

fn check_format(layout: &Layout) -> Result<()> {
    let path = layout.format();
    match std::fs::read_to_string(&path) {
        Ok(text) if text == FORMAT => Ok(()),
        Ok(text) => Err(Error::conflict(format!(
            "the data root {} has format {:?}; this release reads {:?}",
            layout.data_root().display(),
            text.trim(),
            FORMAT.trim()
        ))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            sys::durable::replace(&path, FORMAT.as_bytes(), 0o644)
                .map_err(|e| Error::internal(format_args!("writing {}", path.display()), e))
        }
        Err(e) => Err(Error::internal(
            format_args!("reading {}", path.display()),
            e,
        )),
    }
}

/// Returns the networks on record; those that are always there are put on record first.
fn network_records(meta: &meta::Meta) -> Result<Vec<net::NetworkRecord>> {
    let failed = |e| Error::internal("reading the networks", e);
    let known = net::recorded(&meta.read()?).map_err(failed)?;
    if !net::lacks_predefined(&known) {
        return Ok(known);
    }
    meta.write(|txn| net::record_predefined(txn, crate::now_ns()).map_err(failed))?;
    net::recorded(&meta.read()?).map_err(failed)
}

/// How netd is started: like a shim, from the sealed copy of our program.
fn netd_setup(layout: &Layout, nursery: &Arc<nursery::Nursery>) -> net::netd::NetdSetup {
    let nursery = Arc::clone(nursery);
    net::netd::NetdSetup {
        socket: layout.netd_socket(),
        start: Box::new(move |door| nursery.bear_netd(&door).map_err(std::io::Error::other)),
    }
}

fn network_config(config: &Config, id: &str, default: bool) -> Result<net::Config> {
    let (bridge, bip) = match &config.bridge {
        Bridge::None => (None, None),
        Bridge::Named { name, address } => (Some(name.clone()), address.as_deref()),
    };
    let bip = bip.map(str::parse).transpose().map_err(|_| {
        let given = bip.unwrap_or_default();
        Error::invalid(format!(
            "invalid --bip {given:?}: must be an IPv4 address with a prefix length, 10.1.2.1/24"
        ))
    })?;
    Ok(net::Config {
        engine_id: if default {
            String::new()
        } else {
            id.to_owned()
        },
        bridge,
        bip,
        firewall: config.firewall,
        mtu: DEFAULT_MTU,
    })
}

fn engine_id(meta: &meta::Meta) -> Result<String> {
    if let Some(id) = meta.read()?.get(&SETTINGS, "engine_id")? {
        return Ok(id);
    }
    let mut bytes = [0; 4];
    sys::random::fill(&mut bytes).map_err(|e| Error::internal("drawing an id", e))?;
    let id = format!("{:08x}", u32::from_be_bytes(bytes));
    meta.write(|txn| {
        txn.put(&SETTINGS, "engine_id", &id)?;
        Ok::<_, Error>(())
    })?;
    Ok(id)
}
