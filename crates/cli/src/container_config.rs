//! Flags of `run` and `create` → the document that asks for a container.

use std::collections::{BTreeMap, BTreeSet};

use api::Keys;
use api::Words;
use api::container::{
    Config as ContainerConfig, ContainerCreateRequest, HealthConfig, PortBinding,
};
use api::host_config::{
    BindOptions, DeviceMapping, DeviceRequest, HostConfig, ImageOptions, LogConfig, MountRequest,
    Resources, RestartPolicy, TmpfsOptions, VolumeDriver, VolumeOptions,
};
use types::{MountKind, MountSpec, env, label, mount_spec, port};

use crate::config::Config;
use crate::device_flags::{
    capabilities, device, extra_host, gpus, is_cdi, rate_device, ulimit, weight_device,
};
use crate::error::{Error, Result, go_text};
use crate::flags::{Parsed, quote};

/// Returns the document that `run` or `create` sends.
pub(crate) fn request(config: &Config, parsed: &Parsed) -> Result<ContainerCreateRequest> {
    let (exposed, bindings) = ports(parsed)?;
    let (binds, volumes) = volumes(parsed)?;
    let container = container(config, parsed, exposed, volumes)?;
    let mut host = host(parsed)?;
    host.binds = binds;
    host.port_bindings = Some(bindings);
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return Err(Error::text(
            "conflicting options: cannot specify both --restart and --rm",
        ));
    }
    let networking = crate::network_flags::networks(parsed, &mut host)?;
    Ok(ContainerCreateRequest {
        config: container,
        host_config: Some(host),
        networking_config: Some(networking),
    })
}

fn container(
    config: &Config,
    parsed: &Parsed,
    exposed_ports: Keys,
    volumes: Keys,
) -> Result<ContainerConfig> {
    let attached: Vec<String> = parsed
        .all("attach")
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    let attach = |name: &str| attached.iter().any(|known| known == name);
    let open_stdin = parsed.is_set("interactive");
    let attach_stdin = attach("stdin") || open_stdin;
    let mut args = parsed.args.iter();
    let image = args.next().cloned().unwrap_or_default();
    let cmd: Vec<String> = args.cloned().collect();
    let entrypoint = parsed
        .last("entrypoint")
        .map(|word| Words(vec![word.to_owned()]));
    if !parsed.text("mac-address").is_empty() && !is_mac(parsed.text("mac-address")) {
        let text = parsed.text("mac-address");
        return Err(Error::text(format!("{text} is not a valid mac address")));
    }
    Ok(ContainerConfig {
        hostname: parsed.text("hostname").to_owned(),
        domainname: parsed.text("domainname").to_owned(),
        user: parsed.text("user").to_owned(),
        attach_stdin,
        attach_stdout: attached.is_empty() || attach("stdout"),
        attach_stderr: attached.is_empty() || attach("stderr"),
        exposed_ports,
        tty: parsed.is_set("tty"),
        open_stdin,
        stdin_once: open_stdin && attach_stdin,
        env: some(with_proxies(config, variables(config, parsed)?)),
        cmd: some(cmd).map(Words),
        healthcheck: health(parsed)?,
        image,
        volumes: Some(volumes),
        working_dir: parsed.text("workdir").to_owned(),
        entrypoint,
        labels: Some(labels(parsed)?),
        stop_signal: parsed.text("stop-signal").to_owned(),
        stop_timeout: parsed
            .given("stop-timeout")
            .then(|| parsed.int("stop-timeout")),
        ..ContainerConfig::default()
    })
}

fn host(parsed: &Parsed) -> Result<HostConfig> {
    let mode = |flag: &str, valid: &[&str], what: &str| {
        let value = parsed.text(flag);
        let known = valid.contains(&value)
            || value
                .strip_prefix("container:")
                .is_some_and(|name| !name.is_empty() && flag == "pid");
        if known {
            Ok(value.to_owned())
        } else {
            Err(Error::text(format!("--{flag}: invalid {what} mode")))
        }
    };
    let (security, open_paths) = security_options(parsed)?;
    let (cap_add, cap_drop) = capabilities(&parsed.all("cap-add"), &parsed.all("cap-drop"));
    Ok(HostConfig {
        container_id_file: parsed.text("cidfile").to_owned(),
        log_config: log_config(parsed)?,
        restart_policy: restart_policy(parsed.last("restart").unwrap_or("no"))?,
        auto_remove: parsed.is_set("rm"),
        volume_driver: parsed.text("volume-driver").to_owned(),
        volumes_from: some(parsed.all("volumes-from")),
        annotations: map_of(&parsed.all("annotation")),
        cap_add: some(cap_add).map(Words),
        cap_drop: some(cap_drop).map(Words),
        cgroupns_mode: mode("cgroupns", &["", "host", "private"], "CGROUP")?,
        dns: Some(
            parsed
                .all("dns")
                .iter()
                .map(|ip| ip.trim().to_owned())
                .collect(),
        ),
        dns_options: Some(parsed.all_of(&["dns-option", "dns-opt"])),
        dns_search: Some(parsed.all("dns-search")),
        extra_hosts: some(extra_hosts(parsed)),
        group_add: some(parsed.all("group-add")),
        ipc_mode: parsed.text("ipc").to_owned(),
        links: some(parsed.all("link")),
        oom_score_adj: parsed.int("oom-score-adj"),
        pid_mode: mode("pid", &["", "host"], "PID")?,
        privileged: parsed.is_set("privileged"),
        publish_all_ports: parsed.is_set("publish-all"),
        readonly_rootfs: parsed.is_set("read-only"),
        security_opt: some(security),
        masked_paths: open_paths.then(Vec::new),
        readonly_paths: open_paths.then(Vec::new),
        storage_opt: storage_options(parsed)?,
        tmpfs: parsed
            .all("tmpfs")
            .iter()
            .map(|text| text.split_once(':').unwrap_or((text, "")))
            .map(|(path, options)| (path.to_owned(), options.to_owned()))
            .collect(),
        uts_mode: mode("uts", &["", "host"], "UTS")?,
        userns_mode: mode("userns", &["", "host"], "USER")?,
        shm_size: parsed.bytes("shm-size"),
        sysctls: map_of(&parsed.all("sysctl")),
        runtime: parsed.text("runtime").to_owned(),
        isolation: parsed.text("isolation").to_owned(),
        resources: resources(parsed)?,
        mounts: mounts(parsed)?,
        init: parsed.given("init").then(|| parsed.is_set("init")),
        ..HostConfig::default()
    })
}

/// Returns the limits that `run`, `create` and `update` share.
fn resources(parsed: &Parsed) -> Result<Resources> {
    let rates = |flag: &str, bytes: bool| {
        let parse = |text: &String| rate_device(text, bytes).map_err(Error::Text);
        parsed
            .all(flag)
            .iter()
            .map(parse)
            .collect::<Result<Vec<_>>>()
            .map(Some)
    };
    Ok(Resources {
        cpu_shares: parsed.int("cpu-shares"),
        memory: parsed.bytes("memory"),
        nano_cpus: parsed
            .last("cpus")
            .and_then(|text| types::units::parse_cpus(text).ok())
            .unwrap_or(0),
        cgroup_parent: parsed.text("cgroup-parent").to_owned(),
        blkio_weight: u16::try_from(parsed.int("blkio-weight")).unwrap_or(0),
        blkio_weight_device: each(parsed, "blkio-weight-device", weight_device)?,
        blkio_device_read_bps: rates("device-read-bps", true)?,
        blkio_device_write_bps: rates("device-write-bps", true)?,
        blkio_device_read_iops: rates("device-read-iops", false)?,
        blkio_device_write_iops: rates("device-write-iops", false)?,
        cpu_period: parsed.int("cpu-period"),
        cpu_quota: parsed.int("cpu-quota"),
        cpu_realtime_period: parsed.int("cpu-rt-period"),
        cpu_realtime_runtime: parsed.int("cpu-rt-runtime"),
        cpuset_cpus: parsed.text("cpuset-cpus").to_owned(),
        cpuset_mems: parsed.text("cpuset-mems").to_owned(),
        devices: Some(devices(parsed)?),
        device_requests: some(device_requests(parsed)?),
        device_cgroup_rules: some(parsed.all("device-cgroup-rule")),
        memory_reservation: parsed.bytes("memory-reservation"),
        memory_swap: parsed.bytes("memory-swap"),
        memory_swappiness: Some(swappiness(parsed)?),
        oom_kill_disable: Some(parsed.is_set("oom-kill-disable")),
        pids_limit: Some(parsed.int("pids-limit")),
        ulimits: ulimits(parsed)?,
        ..Resources::default()
    })
}

/// Limits of processes.
pub(crate) fn ulimits(parsed: &Parsed) -> Result<Option<Vec<api::host_config::Ulimit>>> {
    each(parsed, "ulimit", ulimit)
}

/// What `--device` names by path.
fn devices(parsed: &Parsed) -> Result<Vec<DeviceMapping>> {
    let given = parsed.all("device");
    let paths = given.iter().filter(|text| !is_cdi(text));
    paths.map(|text| device(text)).collect()
}

/// What `--gpus` asks for, and what `--device` names by vendor and class.
fn device_requests(parsed: &Parsed) -> Result<Vec<DeviceRequest>> {
    let graphics = parsed.all("gpus");
    let mut all: Vec<DeviceRequest> = graphics
        .iter()
        .map(|text| gpus(text).map_err(Error::Text))
        .collect::<Result<_>>()?;
    let mut named = parsed.all("device");
    named.retain(|text| is_cdi(text));
    if !named.is_empty() {
        all.push(DeviceRequest {
            driver: "cdi".to_owned(),
            device_ids: Some(named),
            ..DeviceRequest::default()
        });
    }
    Ok(all)
}

/// `NAME=VALUE`; anything else is not an option.
fn storage_options(parsed: &Parsed) -> Result<BTreeMap<String, String>> {
    let given = parsed.all("storage-opt");
    if given.iter().any(|text| !text.contains('=')) {
        return Err(Error::text("invalid storage option"));
    }
    Ok(map_of(&given))
}

/// -1 leaves it to the kernel.
fn swappiness(parsed: &Parsed) -> Result<i64> {
    if !parsed.given("memory-swappiness") {
        return Ok(-1);
    }
    let swappiness = parsed.int("memory-swappiness");
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(Error::text(format!(
            "invalid value: {swappiness}. Valid memory swappiness range is 0-100"
        )));
    }
    Ok(swappiness)
}

/// Parses every value of a flag.
fn each<T>(
    parsed: &Parsed,
    flag: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>> {
    let values = parsed.all(flag);
    let all = values.iter().map(|text| parse(text));
    all.collect::<Result<_, _>>().map(Some).map_err(Error::Text)
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(crate) fn map_of(pairs: &[String]) -> BTreeMap<String, String> {
    let split = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    pairs.iter().map(split).collect()
}

/// Parses `--restart`.
pub(crate) fn restart_policy(text: &str) -> Result<RestartPolicy> {
    let policy: types::restart_policy::RestartPolicy = text
        .parse()
        .map_err(|error| Error::text(format!("{error}")))?;
    Ok(RestartPolicy {
        name: policy.name,
        maximum_retry_count: policy.maximum_retry_count,
    })
}

fn read_file(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::text(format!("open {path}: {}", go_text(&error))))
}

/// A container learns of the proxies that config.json has for this daemon.
fn with_proxies(config: &Config, mut variables: Vec<String>) -> Vec<String> {
    let proxies = config
        .settings
        .proxies(&config.host.to_string(), &variables);
    variables.extend(proxies);
    variables
}

/// Returns the variables of `--env-file` and `-e`, in this order.
pub(crate) fn variables(config: &Config, parsed: &Parsed) -> Result<Vec<String>> {
    let lookup = |name: &str| config.raw_var(name);
    let mut variables = Vec::new();
    for path in parsed.all("env-file") {
        let lines = env::parse_file(&read_file(&path)?, lookup)
            .map_err(|error| Error::text(format!("invalid env file ({path}): {error}")))?;
        variables.extend(lines);
    }
    for text in parsed.all("env") {
        variables.push(env::parse(&text, lookup).map_err(|error| Error::text(error.to_string()))?);
    }
    Ok(variables)
}

fn labels(parsed: &Parsed) -> Result<BTreeMap<String, String>> {
    let mut lines = Vec::new();
    for path in parsed.all("label-file") {
        let more = env::parse_file(&read_file(&path)?, |_| None)
            .map_err(|error| Error::text(format!("invalid env file ({path}): {error}")))?;
        lines.extend(more);
    }
    lines.extend(parsed.all("label"));
    let split = |text: &String| label::parse(text).map_err(|error| Error::text(error.to_string()));
    lines.iter().map(split).collect()
}

type Bindings = BTreeMap<String, Option<Vec<PortBinding>>>;

fn ports(parsed: &Parsed) -> Result<(Keys, Bindings)> {
    let text = |error: port::InvalidPort| Error::text(error.to_string());
    let mut exposed = BTreeSet::new();
    let mut bindings = Bindings::new();
    for spec in parsed.all("publish") {
        for mapping in port::parse_publish(&spec).map_err(text)? {
            let key = mapping.container.to_string();
            exposed.insert(key.clone());
            bindings
                .entry(key)
                .or_default()
                .get_or_insert_default()
                .push(PortBinding {
                    host_ip: mapping.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                    host_port: mapping.host_port,
                });
        }
    }
    for spec in parsed.all("expose") {
        exposed.extend(
            port::parse_expose(&spec)
                .map_err(text)?
                .iter()
                .map(ToString::to_string),
        );
    }
    Ok((Keys(exposed), bindings))
}

fn volumes(parsed: &Parsed) -> Result<(Option<Vec<String>>, Keys)> {
    let mut binds = Vec::new();
    let mut anonymous = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for text in parsed.all("volume") {
        if !seen.insert(text.clone()) {
            continue;
        }
        if text.is_empty() {
            return Err(Error::text("invalid empty volume spec"));
        }
        let named =
            mount_spec::check_volume(&text).map_err(|error| Error::text(error.to_string()))?;
        if !named {
            anonymous.insert(text);
            continue;
        }
        let (source, rest) = text.split_once(':').unwrap_or((&text, ""));
        binds.push(if source.starts_with('.') {
            let absolute = std::path::absolute(source)?;
            format!("{}:{rest}", clean(&absolute))
        } else {
            text
        });
    }
    Ok((some(binds), Keys(anonymous)))
}

/// Returns a path without `.` and `..`.
fn clean(path: &std::path::Path) -> String {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

fn mounts(parsed: &Parsed) -> Result<Vec<MountRequest>> {
    let convert = |text: &String| {
        let spec = MountSpec::parse_mount(text).map_err(|error| Error::text(error.to_string()))?;
        Ok(mount(spec))
    };
    parsed.all("mount").iter().map(convert).collect()
}

fn mount(spec: MountSpec) -> MountRequest {
    let bind = BindOptions {
        propagation: spec.propagation,
        non_recursive: spec.non_recursive,
        read_only_non_recursive: spec.read_only_non_recursive,
        read_only_force_recursive: spec.read_only_force_recursive,
        ..BindOptions::default()
    };
    let driver = VolumeDriver {
        name: spec.driver,
        options: spec.driver_options,
    };
    let image = spec.kind == MountKind::Image;
    let (volume_path, image_path) = if image {
        (String::new(), spec.subpath)
    } else {
        (spec.subpath, String::new())
    };
    let volume = VolumeOptions {
        no_copy: spec.no_copy,
        labels: spec.labels,
        subpath: volume_path,
        driver_config: (driver != VolumeDriver::default()).then_some(driver),
    };
    let tmpfs = TmpfsOptions {
        size_bytes: spec.tmpfs_size,
        mode: spec.tmpfs_mode,
        ..TmpfsOptions::default()
    };
    MountRequest {
        kind: spec.kind.as_str().to_owned(),
        source: spec.source,
        target: spec.target,
        read_only: spec.read_only,
        consistency: spec.consistency,
        bind_options: (bind != BindOptions::default()).then_some(bind),
        volume_options: (volume != VolumeOptions::default()).then_some(volume),
        image_options: (!image_path.is_empty()).then_some(ImageOptions {
            subpath: image_path,
        }),
        tmpfs_options: (tmpfs != TmpfsOptions::default()).then_some(tmpfs),
    }
}

fn log_config(parsed: &Parsed) -> Result<LogConfig> {
    let kind = parsed.text("log-driver").to_owned();
    let options = map_of(&parsed.all("log-opt"));
    if kind == "none" && !options.is_empty() {
        return Err(Error::text("invalid logging opts for driver none"));
    }
    Ok(LogConfig {
        kind,
        config: Some(options),
    })
}

/// Returns the hosts of `--add-host` as the API takes them.
fn extra_hosts(parsed: &Parsed) -> Vec<String> {
    let hosts = parsed.all("add-host");
    hosts
        .iter()
        .filter_map(|text| extra_host(text).ok())
        .collect()
}

/// Returns the options, a seccomp profile as its file's text. `systempaths=unconfined` is not an
/// option of the daemon's; whether it was given is said beside.
fn security_options(parsed: &Parsed) -> Result<(Vec<String>, bool)> {
    let mut options = Vec::new();
    let mut open_paths = false;
    for text in parsed.all("security-opt") {
        if text == "systempaths=unconfined" {
            open_paths = true;
            continue;
        }
        let Some((key, value)) = text.split_once(['=', ':']) else {
            if text != "no-new-privileges" {
                let text = quote(&text);
                return Err(Error::text(format!("Invalid --security-opt: {text}")));
            }
            options.push(text);
            continue;
        };
        if key == "seccomp" && !matches!(value, "unconfined" | "builtin") {
            options.push(format!("seccomp={}", seccomp_profile(value)?));
        } else {
            options.push(text);
        }
    }
    Ok((options, open_paths))
}

fn seccomp_profile(path: &str) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| {
        let reason = go_text(&error);
        Error::text(format!(
            "opening seccomp profile ({path}) failed: open {path}: {reason}"
        ))
    })?;
    let profile: crate::format::value::Value = serde_json::from_slice(&bytes).map_err(|error| {
        Error::text(format!(
            "compacting json for seccomp profile ({path}) failed: {error}"
        ))
    })?;
    Ok(profile.to_json(false))
}

fn health(parsed: &Parsed) -> Result<Option<HealthConfig>> {
    let given = [
        "health-cmd",
        "health-interval",
        "health-timeout",
        "health-start-period",
        "health-start-interval",
        "health-retries",
    ]
    .iter()
    .any(|flag| parsed.given(flag));
    if parsed.is_set("no-healthcheck") {
        if given {
            return Err(Error::text(
                "--no-healthcheck conflicts with --health-* options",
            ));
        }
        return Ok(Some(HealthConfig {
            test: vec!["NONE".to_owned()],
            ..HealthConfig::default()
        }));
    }
    if !given {
        return Ok(None);
    }
    for (flag, name) in [
        ("health-interval", "--health-interval"),
        ("health-timeout", "--health-timeout"),
        ("health-retries", "--health-retries"),
        ("health-start-period", "--health-start-period"),
        ("health-start-interval", "--health-start-interval"),
    ] {
        if parsed.text(flag).starts_with('-') {
            return Err(Error::text(format!("{name} cannot be negative")));
        }
    }
    let test = match parsed.text("health-cmd") {
        "" => Vec::new(),
        command => vec!["CMD-SHELL".to_owned(), command.to_owned()],
    };
    Ok(Some(HealthConfig {
        test,
        interval: parsed.duration("health-interval"),
        timeout: parsed.duration("health-timeout"),
        start_period: parsed.duration("health-start-period"),
        start_interval: parsed.duration("health-start-interval"),
        retries: parsed.int("health-retries"),
    }))
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts
            .iter()
            .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Returns the limits that `update` sends: only what was given.
pub(crate) fn update(parsed: &Parsed) -> Result<api::host_config::UpdateRequest> {
    let all = resources(parsed)?;
    let resources = Resources {
        blkio_weight_device: None,
        blkio_device_read_bps: None,
        blkio_device_write_bps: None,
        blkio_device_read_iops: None,
        blkio_device_write_iops: None,
        devices: None,
        memory_swappiness: None,
        oom_kill_disable: None,
        pids_limit: parsed.given("pids-limit").then(|| parsed.int("pids-limit")),
        ulimits: None,
        ..all
    };
    let restart_policy = restart_policy(parsed.text("restart"))?;
    Ok(api::host_config::UpdateRequest {
        resources,
        restart_policy,
    })
}
