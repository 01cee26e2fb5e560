//! HostConfig: Docker's defaults, what cannot be obeyed yet, and the engine's words for the rest.

use api::ApiVersion;
use api::host_config::HostConfig;
use engine::container::record::Host;
use engine::container::{MASKED_PATHS, READONLY_PATHS, capability_name};
use types::oci::runtime::Rlimit;
use types::restart_policy::Rule;

use super::create_devices::devices;
use super::create_limits::resources;
use super::create_log::log;
use super::create_modes::modes;
use super::create_mounts::{binds, check_targets, mounts, tmpfs, volumes};
use super::create_security::security;
use super::update::restart_rule;
use crate::error::Failure;
use crate::request::Result;

/// Fills in what dockerd fills in (API reference §6, "Key order and values").
pub(super) fn with_defaults(mut host: HostConfig, version: ApiVersion) -> HostConfig {
    let default = |text: &mut String, value: &str| {
        if text.is_empty() {
            value.clone_into(text);
        }
    };
    if host.network_mode == "default" {
        host.network_mode.clear();
    }
    default(&mut host.network_mode, "bridge");
    default(&mut host.log_config.kind, "json-file");
    host.log_config.config.get_or_insert_default();
    default(&mut host.restart_policy.name, "no");
    default(&mut host.cgroupns_mode, "host");
    default(
        &mut host.ipc_mode,
        if version.at_least(40) {
            "private"
        } else {
            "shareable"
        },
    );
    default(&mut host.runtime, "runc");
    if host.shm_size == 0 {
        host.shm_size = 64 << 20;
    }
    // As Docker: as much swap as memory.
    if host.resources.memory > 0 && host.resources.memory_swap == 0 {
        host.resources.memory_swap = host.resources.memory.saturating_mul(2);
    }
    if host.resources.pids_limit.is_some_and(|limit| limit <= 0) {
        host.resources.pids_limit = None;
    }
    let open = host
        .security_opt
        .iter()
        .flatten()
        .any(|option| option == "systempaths=unconfined");
    let paths = |all: &[&str]| {
        if open {
            Vec::new()
        } else {
            all.iter().map(|&path| path.to_owned()).collect()
        }
    };
    // A privileged container has none, which Docker shows as null.
    if !host.privileged {
        host.masked_paths
            .get_or_insert_with(|| paths(&MASKED_PATHS));
        host.readonly_paths
            .get_or_insert_with(|| paths(&READONLY_PATHS));
    }
    host
}

/// Translates, or names what cannot be obeyed.
pub(super) fn host(given: &HostConfig) -> Result<Host> {
    let restart = restart_rule(&given.restart_policy)?;
    if given.auto_remove && restart != Rule::No {
        return Err(Failure::bad_request(
            "can't create 'AutoRemove' container with restart policy",
        ));
    }
    refuse_foreign(given)?;
    refuse_storage(given)?;
    let mut host = Host {
        binds: binds(given)?,
        volumes: volumes(given)?,
        volumes_from: given.volumes_from.clone().unwrap_or_default(),
        network: super::create_networks::network(&given.network_mode),
        ports: super::create_networks::ports(given)?,
        publish_all: given.publish_all_ports,
        log: log(&given.log_config)?,
        auto_remove: given.auto_remove,
        restart,
        read_only: given.readonly_rootfs,
        privileged: given.privileged,
        cap_add: capabilities(given.cap_add.as_ref(), "CapAdd")?,
        cap_drop: capabilities(given.cap_drop.as_ref(), "CapDrop")?,
        resources: resources(given)?,
        shm_size: u64::try_from(given.shm_size)
            .map_err(|_| Failure::bad_request("SHM size can not be less than 0"))?,
        tmpfs: tmpfs(given)?,
        sysctls: given.sysctls.clone(),
        rlimits: rlimits(given),
        oom_score_adj: score(given)?,
        group_add: given.group_add.clone().unwrap_or_default(),
        cgroup_parent: parent(&given.resources.cgroup_parent)?,
        annotations: annotations(given)?,
        init: given.init == Some(true),
        extra_hosts: given.extra_hosts.clone().unwrap_or_default(),
        dns: given.dns.clone().unwrap_or_default(),
        dns_search: given.dns_search.clone().unwrap_or_default(),
        dns_options: given.dns_options.clone().unwrap_or_default(),
        ..Host::default()
    };
    modes(given, &mut host)?;
    devices(given, &mut host)?;
    security(given, &mut host)?;
    mounts(given, &mut host)?;
    check_targets(&host)?;
    Ok(host)
}

/// The size of a container's layer: as Docker's own driver, only where the file system can, which
/// none does here.
fn refuse_storage(given: &HostConfig) -> Result<()> {
    let mut names = given.storage_opt.keys();
    match names.find(|name| !name.eq_ignore_ascii_case("size")) {
        Some(name) => Err(Failure::internal(format!("Unknown option {name}"))),
        None if given.storage_opt.is_empty() => Ok(()),
        None => Err(Failure::internal(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        )),
    }
}

/// What exists on Windows only, and runtimes that are not ours.
fn refuse_foreign(given: &HostConfig) -> Result<()> {
    let resources = &given.resources;
    if !["", "default"].contains(&given.isolation.as_str()) {
        return Err(Failure::bad_request(format!(
            "invalid isolation ({}): linux only supports 'default'",
            given.isolation
        )));
    }
    let windows = resources.cpu_count != 0
        || resources.cpu_percent != 0
        || resources.io_maximum_iops != 0
        || resources.io_maximum_bandwidth != 0;
    if windows {
        return Err(Failure::bad_request(
            "CpuCount, CpuPercent, IOMaximumIOps, and IOMaximumBandwidth exist on Windows only",
        ));
    }
    if !["runc", "io.containerd.runc.v2", "wharf"].contains(&given.runtime.as_str()) {
        return Err(Failure::bad_request(format!(
            "unknown or invalid runtime name: {}",
            given.runtime
        )));
    }
    Ok(())
}

/// A group's path from the root, without `..`.
fn parent(given: &str) -> Result<String> {
    if given.contains('\0') {
        return Err(Failure::bad_request(
            "invalid cgroup parent: it has a NUL byte",
        ));
    }
    Ok(if given.is_empty() {
        String::new()
    } else {
        types::mount_spec::clean(&format!("/{given}"))
    })
}

fn annotations(given: &HostConfig) -> Result<std::collections::BTreeMap<String, String>> {
    if given.annotations.contains_key("") {
        return Err(Failure::bad_request(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    Ok(given.annotations.clone())
}

fn capabilities(given: Option<&api::Words>, what: &str) -> Result<Vec<String>> {
    given
        .map(|words| words.0.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|name| {
            capability_name(name).ok_or_else(|| {
                Failure::bad_request(format!("invalid {what}: unknown capability: \"{}\"", {
                    let upper = name.to_ascii_uppercase();
                    if upper.starts_with("CAP_") {
                        upper
                    } else {
                        format!("CAP_{upper}")
                    }
                }))
            })
        })
        .collect()
}

fn score(given: &HostConfig) -> Result<Option<i32>> {
    match i32::try_from(given.oom_score_adj) {
        Ok(0) => Ok(None),
        Ok(score @ -1000..=1000) => Ok(Some(score)),
        _ => Err(Failure::bad_request(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            given.oom_score_adj
        ))),
    }
}

fn rlimits(given: &HostConfig) -> Vec<Rlimit> {
    // −1 is "unlimited" in the kernel's words, too.
    let number = |value: i64| u64::from_ne_bytes(value.to_ne_bytes());
    given
        .resources
        .ulimits
        .iter()
        .flatten()
        .map(|limit| Rlimit {
            kind: format!("RLIMIT_{}", limit.name.to_ascii_uppercase()),
            hard: number(limit.hard),
            soft: number(limit.soft),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_docker_s() {
        let given = with_defaults(HostConfig::default(), ApiVersion::MAX);
        assert_eq!(given.network_mode, "bridge");
        assert_eq!(given.shm_size, 67_108_864);
        assert_eq!(given.masked_paths.as_ref().map(Vec::len), Some(12));
        assert!(host(&given).is_ok());
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        let mut given = with_defaults(HostConfig::default(), ApiVersion::MAX);
        let size = ("foo".to_owned(), "1".to_owned());
        given.storage_opt.extend([size]);
        assert_eq!(host(&given).unwrap_err().message, "Unknown option foo");
    }
}
