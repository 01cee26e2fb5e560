//! `GET /containers/json` and `GET /containers/{id}/json`: the engine's words in Docker's documents.

use std::collections::BTreeMap;

use api::container::{
    ContainerInspect, ContainerSummary, Health, HealthConfig, HealthProbe, MountPoint, State,
    SummaryHostConfig, SummaryNetworks,
};
use api::image::GraphDriver;
use api::{Filters, Keys, Words};
use engine::Feeling;
use engine::container::record::{Log, Record};
use engine::container::state::Status;
use engine::container::{Snapshot, feeling_word};

use super::container_create::Face;
use super::event::labels;
use super::network_view;
use crate::error::Failure;
use crate::request::{Answer, Request, Result};
use crate::time;

/// The storage driver's name that clients know.
pub(super) const DRIVER: &str = "overlay2";

pub(crate) async fn list(request: Request) -> Result {
    let query = &request.query;
    let filters =
        Filters::parse(query.get("filters")).map_err(|_| Failure::bad_request("invalid filter"))?;
    let filter = Filter::check(&filters)?;
    let limit = query
        .number("limit")
        .and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| *limit > 0);
    let all = query.is_on("all")
        || limit.is_some()
        || filters.contains("status")
        || filters.contains("exited");
    let images = request.engine.images_list().await?;
    let containers = request.engine.list();
    let bounds = filter.bounds(&request, &filters)?;
    let ancestors: Vec<_> = filters
        .get("ancestor")
        .iter()
        .filter_map(|name| {
            images
                .iter()
                .find(|image| is_named(image, name))
                .map(|image| image.id)
        })
        .collect();
    let now_ns = engine::now_ns();
    let wanted: Vec<&Snapshot> = containers
        .iter()
        .filter(|one| all || one.state.status.is_running())
        .filter(|one| bounds.holds(one.record.created_ns))
        .filter(|one| !filters.contains("ancestor") || ancestors.contains(&one.record.image_id))
        .filter(|one| filter.holds(one, &filters))
        .take(limit.unwrap_or(usize::MAX))
        .collect();
    let mut rows = Vec::with_capacity(wanted.len());
    for one in wanted {
        let named = has_name(one, &images);
        let mut row = summary(&request.engine, one, named, now_ns);
        if query.is_on("size") {
            // One that is removed meanwhile has none.
            (row.size_rw, row.size_root_fs) = size(&request, one).await.unwrap_or_default();
        }
        rows.push(row);
    }
    Ok(Answer::ok(&rows))
}

/// Tells whether the name that a container was made with still is its image's.
fn has_name(one: &Snapshot, images: &[engine::ImageRecord]) -> bool {
    images
        .iter()
        .any(|image| image.id == one.record.image_id && is_named(image, &one.record.config.image))
}

/// A row of the list with what the container wrote, and what its whole root has.
pub(super) fn summary_with_size(
    engine: &engine::Engine,
    one: &Snapshot,
    images: &[engine::ImageRecord],
    (own, all): (u64, u64),
) -> ContainerSummary {
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    ContainerSummary {
        size_rw: number(own),
        size_root_fs: number(all),
        ..summary(engine, one, has_name(one, images), engine::now_ns())
    }
}

/// Tells whether a text names this image: a reference, or the beginning of its id.
pub(super) fn is_named(image: &engine::ImageRecord, name: &str) -> bool {
    let tagged = name
        .parse::<types::Reference>()
        .is_ok_and(|reference| image.tags.contains(&reference.or_latest()));
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    tagged || (!hex.is_empty() && image.id.hex().starts_with(hex))
}

/// Which creation times are wanted (`before`, `since`).
#[derive(Debug, Default)]
struct Bounds {
    before_ns: Option<i64>,
    since_ns: Option<i64>,
}

impl Bounds {
    fn holds(&self, created_ns: i64) -> bool {
        self.before_ns.is_none_or(|before| created_ns < before)
            && self.since_ns.is_none_or(|since| created_ns > since)
    }
}

/// The filters of the container list, checked.
struct Filter;

impl Filter {
    fn check(filters: &Filters) -> Result<Self> {
        const KEYS: [&str; 16] = [
            "ancestor",
            "before",
            "exited",
            "expose",
            "health",
            "id",
            "is-task",
            "isolation",
            "label",
            "name",
            "network",
            "publish",
            "since",
            "status",
            "volume",
            "",
        ];
        const STATES: [&str; 7] = [
            "created",
            "restarting",
            "running",
            "removing",
            "paused",
            "exited",
            "dead",
        ];
        const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];
        if let Some(key) = filters.0.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(Failure::bad_request(format!("invalid filter '{key}'")));
        }
        for state in filters.get("status") {
            if !STATES.contains(&state.as_str()) {
                return Err(Failure::bad_request(format!(
                    "invalid filter 'status={state}': invalid value for state ({state}): must be \
                     one of created, restarting, running, removing, paused, exited, dead"
                )));
            }
        }
        for health in filters.get("health") {
            if !HEALTHS.contains(&health.as_str()) {
                return Err(Failure::bad_request(format!(
                    "invalid filter 'health={health}': invalid value for health ({health}): must \
                     be one of none, starting, healthy, unhealthy"
                )));
            }
        }
        for code in filters.get("exited") {
            if code.parse::<i32>().is_err() {
                return Err(Failure::bad_request(format!(
                    "invalid filter 'exited={code}'"
                )));
            }
        }
        for key in ["expose", "publish"] {
            if filters.contains(key) {
                return Err(Failure::not_yet(&format!("the filter {key:?}")));
            }
        }
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "only checked filters have bounds")]
    fn bounds(&self, request: &Request, filters: &Filters) -> Result<Bounds> {
        let created = |key: &str| -> Result<Option<i64>> {
            let Some(name) = filters.get(key).first() else {
                return Ok(None);
            };
            Ok(Some(request.engine.inspect(name)?.record.created_ns))
        };
        Ok(Bounds {
            before_ns: created("before")?,
            since_ns: created("since")?,
        })
    }

    #[expect(clippy::unused_self, reason = "only checked filters are applied")]
    fn holds(&self, one: &Snapshot, filters: &Filters) -> bool {
        let any = |key: &str, test: &dyn Fn(&str) -> bool| {
            !filters.contains(key) || filters.get(key).iter().any(|value| test(value))
        };
        let record = &one.record;
        any("id", &|value| record.id.to_string().starts_with(value))
            && any("name", &|value| name_matches(&record.name, value))
            && any("status", &|value| one.state.status.as_str() == value)
            && any("exited", &|value| {
                one.state.status == Status::Exited && value == one.state.exit_code.to_string()
            })
            && any("health", &|value| value == health_word(one))
            && any("is-task", &|value| matches!(value, "0" | "false"))
            && any("isolation", &|value| matches!(value, "" | "default"))
            && any("network", &|value| {
                let host = &record.host;
                value == network_view::mode(&host.network)
                    || host.attachments.iter().any(|one| one.network == value)
                    || record
                        .endpoints
                        .iter()
                        .any(|one| one.network.starts_with(value))
            })
            && any("volume", &|value| {
                let host = &record.host;
                let binds = host.binds.iter();
                let mut volumes = host.volumes.iter();
                volumes.any(|one| one.name == value || one.target == value)
                    || binds
                        .map(|bind| (&bind.source, &bind.target))
                        .any(|(source, target)| source == value || target == value)
            })
            && labels(&record.config.labels, filters.get("label"))
    }
}

/// Docker takes an unanchored regular expression, with or without the slash. Names are made of
/// letters, digits, `_`, `.` and `-`; of the expressions `^`, `$` and a plain part are understood.
fn name_matches(name: &str, wanted: &str) -> bool {
    let start = wanted.strip_prefix('^');
    let rest = start.unwrap_or(wanted);
    let end = rest.strip_suffix('$');
    let rest = end.unwrap_or(rest);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    match (start.is_some(), end.is_some()) {
        (true, true) => name == rest,
        (true, false) => name.starts_with(rest),
        (false, true) => name.ends_with(rest),
        (false, false) => name.contains(rest),
    }
}

fn summary(engine: &engine::Engine, one: &Snapshot, named: bool, now_ns: i64) -> ContainerSummary {
    let record = &one.record;
    ContainerSummary {
        id: record.id.to_string(),
        names: vec![format!("/{}", record.name)],
        image: if named {
            record.config.image.clone()
        } else {
            record.image_id.to_string()
        },
        image_id: record.image_id.to_string(),
        command: command(&record.config.argv()),
        created: record.created_ns / 1_000_000_000,
        ports: network_view::port_list(one),
        size_rw: 0,
        size_root_fs: 0,
        labels: record.config.labels.clone(),
        state: one.state.status.as_str().to_owned(),
        status: status(one, now_ns),
        host_config: SummaryHostConfig {
            network_mode: network_view::mode(&record.host.network),
            annotations: BTreeMap::new(),
        },
        network_settings: SummaryNetworks {
            networks: network_view::networks(engine, one),
        },
        mounts: mount_points(one),
    }
}

/// Path and arguments joined by blanks, `'…'` around what holds a blank; nothing is escaped.
fn command(argv: &[String]) -> String {
    let mut words = argv.iter();
    let mut text = words.next().cloned().unwrap_or_default();
    for word in words {
        text.push(' ');
        if word.contains(' ') {
            text.extend(["'", word, "'"]);
        } else {
            text.push_str(word);
        }
    }
    text
}

/// The words of `docker ps`'s STATUS.
fn status(one: &Snapshot, now_ns: i64) -> String {
    let state = &one.state;
    let since = |moment: Option<i64>| {
        time::human((now_ns - moment.unwrap_or(now_ns)).div_euclid(1_000_000_000))
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => {
            let feeling = match &state.health {
                None => String::new(),
                Some(health) if health.feeling == Feeling::Starting => {
                    " (health: starting)".to_owned()
                }
                Some(health) => format!(" ({})", feeling_word(health.feeling)),
            };
            format!("Up {}{feeling}", since(state.started_ns))
        }
        Status::Restarting => format!(
            "Restarting ({}) {} ago",
            state.exit_code,
            since(state.finished_ns)
        ),
        Status::Paused => format!("Up {} (Paused)", since(state.started_ns)),
        Status::Exited => format!(
            "Exited ({}) {} ago",
            state.exit_code,
            since(state.finished_ns)
        ),
        Status::Removing => "Removal In Progress".to_owned(),
    }
}

/// How a container feels, in a word; `none` when it is not asked.
fn health_word(one: &Snapshot) -> &'static str {
    let health = one.state.health.as_ref();
    health.map_or("none", |health| feeling_word(health.feeling))
}

fn health(one: &Snapshot) -> Option<Health> {
    let health = one.state.health.as_ref()?;
    let log = health.log.iter().map(|probe| HealthProbe {
        start: time::rfc3339_nano(probe.start_ns),
        end: time::rfc3339_nano(probe.end_ns),
        exit_code: i64::from(probe.exit_code),
        output: probe.output.clone(),
    });
    Some(Health {
        status: feeling_word(health.feeling).to_owned(),
        failing_streak: i64::from(health.failing_streak),
        log: log.collect(),
    })
}

fn mount_points(one: &Snapshot) -> Vec<MountPoint> {
    let host = &one.record.host;
    let volumes = host.volumes.iter().zip(&one.volumes);
    let volumes = volumes.map(|(volume, path)| MountPoint {
        kind: "volume".to_owned(),
        name: volume.name.clone(),
        source: path.display().to_string(),
        destination: volume.target.clone(),
        driver: volume.driver.clone(),
        mode: volume.mode.clone(),
        rw: !volume.read_only,
        propagation: String::new(),
    });
    let images = host.images.iter().map(|image| MountPoint {
        kind: "image".to_owned(),
        name: image.image.clone(),
        destination: image.target.clone(),
        propagation: "rprivate".to_owned(),
        ..MountPoint::default()
    });
    // Those of --mount; of --tmpfs nothing is told.
    let face: Face = if host.tmpfs.is_empty() {
        Face::default()
    } else {
        serde_json::from_value(one.record.face.clone()).unwrap_or_default()
    };
    let tmpfs = face.host.mounts.into_iter();
    let tmpfs = tmpfs
        .filter(|mount| mount.kind == "tmpfs")
        .map(|mount| MountPoint {
            kind: mount.kind,
            destination: mount.target,
            rw: !mount.read_only,
            ..MountPoint::default()
        });
    let binds = host.binds.iter();
    binds
        .map(|bind| MountPoint {
            kind: "bind".to_owned(),
            source: bind.source.clone(),
            destination: bind.target.clone(),
            mode: if bind.create && bind.read_only {
                "ro".to_owned()
            } else {
                String::new()
            },
            rw: !bind.read_only,
            propagation: if bind.propagation.is_empty() {
                "rprivate".to_owned()
            } else {
                bind.propagation.clone()
            },
            ..MountPoint::default()
        })
        .chain(volumes)
        .chain(tmpfs)
        .chain(images)
        .collect()
}

pub(crate) async fn inspect(request: Request) -> Result {
    let one = request.engine.inspect(&request.name)?;
    let mut document = document(&request.engine, &one);
    if request.query.is_on("size") {
        let (own, all) = size(&request, &one).await?;
        (document.size_rw, document.size_root_fs) = (Some(own), Some(all));
    }
    Ok(Answer::ok(&document))
}

/// Bytes of a container's own files, and with those of its image.
async fn size(request: &Request, one: &Snapshot) -> Result<(i64, i64)> {
    let size = request.engine.size(&one.record.id.to_string()).await?;
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok((number(size.written), number(size.root)))
}

fn document(engine: &engine::Engine, one: &Snapshot) -> ContainerInspect {
    let record = &one.record;
    let face: Face = serde_json::from_value(record.face.clone()).unwrap_or_default();
    let argv = record.config.argv();
    // The files of a container exist from its first start.
    let path = |name: &str| {
        if one.state.started_ns.is_none() {
            return String::new();
        }
        one.dir.join(name).display().to_string()
    };
    ContainerInspect {
        id: record.id.to_string(),
        created: time::rfc3339_nano(record.created_ns),
        path: argv.first().cloned().unwrap_or_default(),
        args: argv.get(1..).unwrap_or_default().to_vec(),
        state: state(one),
        image: record.image_id.to_string(),
        resolv_conf_path: path("resolv.conf"),
        hostname_path: path("hostname"),
        hosts_path: path("hosts"),
        log_path: match record.host.log {
            Log::None => String::new(),
            Log::JsonFile { .. } => path(&format!("{}-json.log", record.id)),
        },
        name: format!("/{}", record.name),
        restart_count: i64::from(one.state.restarts),
        driver: DRIVER.to_owned(),
        platform: "linux".to_owned(),
        exec_ids: (!one.execs.is_empty()).then(|| one.execs.clone()),
        graph_driver: GraphDriver {
            data: None,
            name: DRIVER.to_owned(),
        },
        mounts: mount_points(one),
        config: config(record, face.config),
        host_config: host_config(record, face.host),
        network_settings: network_view::settings(engine, one),
        ..ContainerInspect::default()
    }
}

/// With `--bridge none` the default network is `none`, whatever was asked for.
fn host_config(
    record: &Record,
    mut host: api::host_config::HostConfig,
) -> api::host_config::HostConfig {
    host.network_mode = network_view::mode(&record.host.network);
    host
}

/// What was asked for, with what the image said where the request said nothing.
/// Returns a container's config as inspect shows it.
pub(super) fn config_of(one: &Snapshot) -> api::container::Config {
    let face: Face = serde_json::from_value(one.record.face.clone()).unwrap_or_default();
    config(&one.record, face.config)
}

fn config(record: &Record, asked: api::container::Config) -> api::container::Config {
    let own = &record.config;
    let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    api::container::Config {
        hostname: own.hostname.clone(),
        user: own.user.clone(),
        env: if own.env.is_empty() {
            asked.env
        } else {
            list(&own.env)
        },
        cmd: own.cmd.clone().map(Words),
        entrypoint: own.entrypoint.clone().map(Words),
        working_dir: own.working_dir.clone(),
        labels: Some(own.labels.clone()),
        stop_signal: own.stop_signal.clone(),
        volumes: (!own.volumes.is_empty()).then(|| Keys(own.volumes.iter().cloned().collect())),
        healthcheck: own.health.as_ref().map(|check| HealthConfig {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        ..asked
    }
}

fn state(one: &Snapshot) -> State {
    let state = &one.state;
    State {
        status: state.status.as_str().to_owned(),
        running: state.status.is_running(),
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: false,
        pid: i64::from(state.pid),
        exit_code: i64::from(state.exit_code),
        error: state.error.clone(),
        started_at: time::or_zero(state.started_ns),
        finished_at: time::or_zero(state.finished_ns),
        health: health(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_as_ps_shows_them() {
        let argv = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            command(&argv(&["sh", "-c", "echo 'a b'; x"])),
            "sh -c 'echo 'a b'; x'"
        );
        assert_eq!(command(&[]), "");
    }

    #[test]
    fn names_match_as_expressions() {
        for (wanted, holds) in [
            ("web", true),
            ("^/web1$", true),
            ("^eb", false),
            ("1$", true),
            ("/web", true),
            ("x", false),
        ] {
            assert_eq!(name_matches("web1", wanted), holds, "{wanted}");
        }
    }
}
