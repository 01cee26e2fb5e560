//! `POST /containers/create`: from Docker's documents to the engine's words.

use api::container::{ContainerCreateRequest, ContainerCreateResponse};
use engine::container::CreateRequest;
use engine::container::record::{Config, HealthCheck};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::{create_host, create_modes, create_mounts, create_networks};
use crate::error::Failure;
use crate::request::{Answer, Request, Result};

/// What this face keeps with a container, for a faithful inspect.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Face {
    pub(super) config: api::container::Config,
    pub(super) host: api::host_config::HostConfig,
}

pub(crate) async fn create(request: Request) -> Result {
    let (document, request) = request.document::<ContainerCreateRequest>().await?;
    let platform = request.query.get("platform");
    if !platform.is_empty() && !is_ours(platform) {
        return Err(Failure::new(
            StatusCode::NOT_FOUND,
            format!(
                "image with reference {} was found but does not provide the specified platform ({platform})",
                document.config.image
            ),
        ));
    }
    let name = request
        .query
        .find("name")
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    let ContainerCreateRequest {
        config,
        host_config,
        networking_config,
    } = document;
    if config == api::container::Config::default() {
        return Err(Failure::bad_request(
            "config cannot be empty in order to create a container",
        ));
    }
    let host_config = create_host::with_defaults(host_config.unwrap_or_default(), request.version);
    refuse_config(&config)?;
    let attachments = create_networks::attachments(
        &request,
        &host_config,
        networking_config.as_ref(),
        &config.mac_address,
    )?;
    if host_config.uts_mode == "host" && !config.hostname.is_empty() {
        return Err(Failure::bad_request(
            "conflicting options: hostname and the UTS mode",
        ));
    }
    create_mounts::check_versions(&host_config, request.version)?;
    let mut host = create_host::host(&host_config)?;
    create_modes::neighbours(&request.engine, &host_config, &mut host)?;
    host.attachments = attachments;
    let face = serde_json::to_value(Face {
        config: config.clone(),
        host: host_config,
    })
    .expect("API documents have string keys and no failing serializer");
    let created = request
        .engine
        .create(CreateRequest {
            name,
            config: process(config),
            host,
            is_whole: false,
            face,
        })
        .await?;
    let answer = ContainerCreateResponse {
        id: created.id.to_string(),
        warnings: created.warnings,
    };
    Ok(Answer::json(StatusCode::CREATED, &answer))
}

/// Returns whether a platform is this machine's.
pub(super) fn is_ours(platform: &str) -> bool {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    platform == "linux" || platform == format!("linux/{architecture}") || platform == architecture
}

fn process(config: api::container::Config) -> Config {
    Config {
        hostname: config.hostname,
        domainname: config.domainname,
        user: config.user,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: config.env.unwrap_or_default(),
        cmd: config.cmd.map(|words| words.0),
        entrypoint: config.entrypoint.map(|words| words.0),
        image: config.image,
        working_dir: config.working_dir,
        labels: config.labels.unwrap_or_default(),
        stop_signal: config.stop_signal,
        stop_timeout_s: config.stop_timeout,
        volumes: config
            .volumes
            .map(|all| all.0.into_iter().collect())
            .unwrap_or_default(),
        health: config.healthcheck.map(|check| HealthCheck {
            test: check.test,
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        shell: config.shell.map(|words| words.0).unwrap_or_default(),
        exposed: config.exposed_ports.0,
    }
}

/// Docker's bounds of a health check.
fn check_health(check: &api::container::HealthConfig) -> Result<()> {
    const SHORTEST_NS: i64 = 1_000_000;
    for (value, name) in [
        (check.interval, "Interval"),
        (check.timeout, "Timeout"),
        (check.start_period, "StartPeriod"),
        (check.start_interval, "StartInterval"),
    ] {
        if value != 0 && value < SHORTEST_NS {
            return Err(Failure::bad_request(format!(
                "{name} in Healthcheck cannot be less than 1ms"
            )));
        }
    }
    if check.retries < 0 {
        return Err(Failure::bad_request(
            "Retries in Healthcheck cannot be negative",
        ));
    }
    Ok(())
}

/// What cannot be obeyed yet is refused by name, never ignored.
fn refuse_config(config: &api::container::Config) -> Result<()> {
    if let Some(check) = &config.healthcheck {
        check_health(check)?;
    }
    for (given, what) in [(
        config.network_disabled,
        "NetworkDisabled (use --network none)",
    )] {
        if given {
            return Err(Failure::not_yet(what));
        }
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Failure::bad_request(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if !config.stop_signal.is_empty() && types::signal::parse(&config.stop_signal).is_err() {
        return Err(Failure::bad_request(format!(
            "invalid signal: {}",
            config.stop_signal
        )));
    }
    for entry in config.env.iter().flatten() {
        if entry.is_empty() || entry.starts_with('=') {
            return Err(Failure::bad_request(format!(
                "invalid environment variable: {entry}"
            )));
        }
    }
    Ok(())
}
