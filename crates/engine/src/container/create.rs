//! `create`: a request and an image become a record and a writable layer. Nothing is mounted.

use std::time::Instant;

use meta::Read;
use types::ContainerId;
use types::oci::image::ImageConfig;

use super::cell::Cell;
use super::record::{CONTAINERS, Config, Host, NAMES, Network, Record, STATES};
use super::remove::Volumes;
use super::state::State;
use crate::config::Bridge;
use crate::error::{Error, Result};
use crate::volume::mounts::put_volumes;
use crate::volume::{self, VolumeRecord};
use crate::{Engine, blocking, now_ns, to_its_end};

/// What a face asks for.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// The name, with or without slash; none: a random one.
    pub name: Option<String>,
    /// What process 1 is.
    pub config: Config,
    /// How it runs.
    pub host: Host,
    /// The config is whole: nothing that the image says is added, its volumes neither.
    pub is_whole: bool,
    /// The face's own documents, given back by inspect.
    pub face: serde_json::Value,
}

/// A created container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates a container.
    pub async fn create(&self, request: CreateRequest) -> Result<Created> {
        let engine = self.clone();
        to_its_end(async move { engine.create_whole(request).await }).await
    }

    async fn create_whole(&self, request: CreateRequest) -> Result<Created> {
        // A clean stop sweeps what no record names yet.
        let _busy = self.0.busy.read().await;
        let since = Instant::now();
        let engine = self.clone();
        let (cell, warnings) = blocking::run(move || engine.create_record(request)).await?;
        self.clock().note("create", cell.id, since);
        self.container_event(&cell, "create", &[]);
        Ok(Created {
            id: cell.id,
            warnings,
        })
    }

    fn create_record(&self, request: CreateRequest) -> Result<(std::sync::Arc<Cell>, Vec<String>)> {
        let CreateRequest {
            name,
            mut config,
            mut host,
            is_whole,
            face,
        } = request;
        let created_ns = now_ns();
        let mut image = self.image_for(&config.image)?;
        if is_whole {
            image.config.config = None;
        }
        merge(&mut config, &image.config);
        if config.argv().is_empty() {
            return Err(Error::invalid("no command specified"));
        }
        if host.network == Network::Bridge && self.config().bridge == Bridge::None {
            host.network = Network::None;
        }
        let mut warnings = self.settle_networks(&mut config, &mut host)?;
        let wanted = self.plan_volumes(&mut config, &mut host, &image.config, created_ns)?;
        self.plan_images(&mut host)?;
        check_sources(&host)?;
        warnings.extend(super::support::fit(&mut host, &self.0.topology));
        let id = new_id()?;
        let (name, owner) = self.claim_name(name, id)?;
        if let Some(owner) = owner {
            return Err(name_conflict(&name, owner));
        }
        if config.hostname.is_empty() && !host.uts_host {
            // The one whose network it shares has a name for both.
            config.hostname = if host.network == Network::Host {
                // The host's network has the host's name.
                super::world::host_name()
            } else {
                id.short()
            };
        }
        let snapshot = self.images().prepare(&self.meta().read()?, image.id)?;
        let record = Record {
            id,
            name: name.clone(),
            created_ns,
            image_id: image.id,
            config,
            host,
            snapshot,
            endpoints: Vec::new(),
            ports: Vec::new(),
            face,
        };
        if let Err(error) = self.commit_new(&record, &wanted) {
            // After a disk error nobody knows whether the record is in the file: what belongs to it
            // stays, and the next start keeps or sweeps all of it.
            if !self.meta().has_failed() {
                self.discard(&record);
            }
            return Err(error);
        }
        let cell = Cell::new(record, State::created());
        self.cells_mut(|cells| cells.insert(name, std::sync::Arc::clone(&cell)));
        Ok((cell, warnings))
    }

    /// Writes the rows of a container and of the volumes that come with it, and fills those.
    fn commit_new(&self, record: &Record, wanted: &[VolumeRecord]) -> Result<()> {
        let names = volume::mounts::names(&record.host);
        let _held = self.volumes().locks.lock(names);
        for volume in wanted {
            self.bury_doomed(&volume.name)?;
        }
        self.make_directory(record)?;
        let id = record.id.to_string();
        let new = self.meta().write(|txn| {
            if let Some(owner) = txn.get(&NAMES, &record.name)? {
                return Err(name_conflict(&record.name, owner));
            }
            self.images().hold(txn, &record.snapshot)?;
            for (_, view) in record
                .host
                .images
                .iter()
                .filter_map(|one| one.found.as_ref())
            {
                self.images().hold(txn, view)?;
            }
            txn.put(&NAMES, &record.name, &record.id)?;
            txn.put(&CONTAINERS, &id, record)?;
            txn.put(&STATES, &id, &State::created())?;
            put_volumes(txn, wanted)
        })?;
        let made = new.iter().try_for_each(|one| self.make_plugins(one));
        if let Err(error) = made.and_then(|()| self.fill_volumes(record)) {
            let (layers, _) = self.delete_records(record, Volumes::Keep)?;
            self.images().discard(layers)?;
            self.take_volumes_back(&new);
            return Err(error);
        }
        for volume in &new {
            self.volume_event(volume, "create", &[]);
        }
        Ok(())
    }

    /// Checks a name, or draws one; tells who has it already.
    fn claim_name(
        &self,
        name: Option<String>,
        id: ContainerId,
    ) -> Result<(String, Option<ContainerId>)> {
        let owner = |name: &str| self.cells(|cells| cells.owner_of(name));
        if let Some(name) = name {
            let name = checked_name(&name)?;
            let owner = owner(&name);
            return Ok((name, owner));
        }
        for retry in 0..6 {
            let mut name = types::name::random(crate::random_u64()?);
            if retry > 2 {
                // The words are used up: a digit makes room.
                name.push_str(&retry.to_string());
            }
            if owner(&name).is_none() {
                return Ok((name, None));
            }
        }
        Ok((id.short(), None))
    }
}

/// What is not made when it is missing must be there.
fn check_sources(host: &Host) -> Result<()> {
    let missing = host
        .binds
        .iter()
        .find(|bind| !bind.create && !std::path::Path::new(&bind.source).exists());
    missing.map_or(Ok(()), |bind| {
        Err(Error::invalid(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            bind.source
        )))
    })
}

/// Returns the name without slash, or Docker's sentence about it.
pub(crate) fn checked_name(name: &str) -> Result<String> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    if types::name::check(bare).is_ok() {
        return Ok(bare.to_owned());
    }
    Err(Error::invalid(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

pub(crate) fn name_conflict(name: &str, owner: ContainerId) -> Error {
    Error::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You \
         have to remove (or rename) that container to be able to reuse that name."
    ))
}

fn new_id() -> Result<ContainerId> {
    loop {
        let mut bytes = [0; 32];
        sys::random::fill(&mut bytes).map_err(|e| Error::internal("drawing an id", e))?;
        if let Some(id) = ContainerId::from_random(bytes) {
            return Ok(id);
        }
    }
}

/// What the request does not say, the image says (moby's rules: a new entrypoint drops the image's
/// command).
fn merge(config: &mut Config, image: &ImageConfig) {
    let Some(defaults) = &image.config else {
        return;
    };
    if config.user.is_empty() {
        config.user.clone_from(&defaults.user);
    }
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let inherited: Vec<String> = defaults
        .env
        .iter()
        .filter(|entry| !config.env.iter().any(|own| name(own) == name(entry)))
        .cloned()
        .collect();
    config.env.extend(inherited);
    for (label, value) in defaults.labels.iter().flatten() {
        config
            .labels
            .entry(label.clone())
            .or_insert_with(|| value.clone());
    }
    config
        .exposed
        .extend(defaults.exposed_ports.keys().cloned());
    // An empty list is how a client says "none": `--entrypoint ""` comes as [""].
    let cleared = config
        .entrypoint
        .as_ref()
        .is_some_and(|words| words == &[String::new()]);
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&defaults.cmd);
        }
        config.entrypoint.clone_from(&defaults.entrypoint);
    } else if cleared {
        config.entrypoint = None;
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&defaults.working_dir);
    }
    if config.stop_signal.is_empty() {
        config.stop_signal.clone_from(&defaults.stop_signal);
    }
    if config.shell.is_empty() {
        config.shell = defaults.shell.clone().unwrap_or_default();
    }
    if let Some(check) = &defaults.healthcheck {
        super::health::inherit(&mut config.health, check);
    }
}

#[cfg(test)]
mod tests {
    use types::oci::image::ContainerDefaults;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "the table has it so")]
    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn the_image_fills_what_the_request_leaves_open() {
        let image = ImageConfig {
            config: Some(ContainerDefaults {
                entrypoint: words(&["/entry"]),
                cmd: words(&["a"]),
                env: vec!["A=image".to_owned(), "B=image".to_owned()],
                ..ContainerDefaults::default()
            }),
            ..ImageConfig::default()
        };
        for (entrypoint, cmd, argv) in [
            (None, None, vec!["/entry", "a"]),
            (None, words(&["b"]), vec!["/entry", "b"]),
            (words(&["/own"]), None, vec!["/own"]),
            (words(&[""]), words(&["b"]), vec!["b"]),
        ] {
            let mut config = Config {
                cmd,
                entrypoint,
                ..Config::default()
            };
            config.env = vec!["A=own".to_owned()];
            merge(&mut config, &image);
            assert_eq!(config.argv(), argv);
            assert_eq!(config.env, ["A=own", "B=image"]);
        }
    }
}
