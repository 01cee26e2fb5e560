//! The engine as a whole: ping, version, info.

use std::collections::BTreeMap;

use api::ApiVersion;
use api::system::{
    Commit, Component, Firewall, IndexConfig, Info, Platform, Plugins, RegistryConfig, Runtime,
    Swarm, Version,
};
use hyper::StatusCode;

use crate::request::{Answer, Request, Result};

pub(crate) async fn ping(_request: Request) -> Result {
    Ok(Answer::Text("OK"))
}

pub(crate) async fn ping_head(_request: Request) -> Result {
    Ok(Answer::Empty(StatusCode::OK))
}

pub(crate) async fn plugins(_request: Request) -> Result {
    Ok(Answer::ok(&Vec::<String>::new()))
}

/// The name of this architecture in Go's words.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(crate) async fn version(request: Request) -> Result {
    let info = request.engine.info().await?;
    let own = env!("CARGO_PKG_VERSION").to_owned();
    let detail = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let (maximum, minimum) = (ApiVersion::MAX.to_string(), ApiVersion::MIN.to_string());
    let document = Version {
        platform: Platform {
            name: String::new(),
        },
        components: vec![Component {
            name: "Engine".to_owned(),
            version: own.clone(),
            details: detail(&[
                ("ApiVersion", maximum.as_str()),
                ("Arch", go_arch()),
                ("Experimental", "false"),
                ("KernelVersion", info.kernel.as_str()),
                ("MinAPIVersion", minimum.as_str()),
                ("Os", "linux"),
            ]),
        }],
        version: own,
        api_version: maximum.clone(),
        min_api_version: minimum,
        os: "linux".to_owned(),
        arch: go_arch().to_owned(),
        kernel_version: info.kernel,
        ..Version::default()
    };
    Ok(Answer::ok(&document))
}

/// Which registries have rules of their own; this machine may always be talked to without TLS.
fn registries(known: &engine::Registries) -> RegistryConfig {
    let (networks, hosts): (Vec<_>, Vec<_>) = known
        .insecure
        .iter()
        .cloned()
        .partition(|name| name.contains('/'));
    let index = |name: &str, official: bool, mirrors: &[String]| IndexConfig {
        mirrors: Some(mirrors.to_vec()),
        name: name.to_owned(),
        official,
        secure: official,
    };
    let mut configs: BTreeMap<String, IndexConfig> = hosts
        .iter()
        .map(|host| (host.clone(), index(host, false, &[])))
        .collect();
    let official = index("docker.io", true, &known.mirrors);
    configs.insert("docker.io".to_owned(), official);
    let own = ["::1/128", "127.0.0.0/8"].map(str::to_owned);
    RegistryConfig {
        index_configs: configs,
        insecure_registry_cidrs: Some(networks.into_iter().chain(own).collect()),
        mirrors: (!known.mirrors.is_empty()).then(|| known.mirrors.clone()),
    }
}

pub(crate) async fn info(request: Request) -> Result {
    let engine = &request.engine;
    let facts = engine.info().await?;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let runtime = Runtime {
        path: "wharf".to_owned(),
        status: BTreeMap::new(),
    };
    let config = engine.config();
    let document = Info {
        id: engine.id().to_owned(),
        containers: count(facts.running + facts.paused + facts.stopped),
        containers_running: count(facts.running),
        containers_paused: count(facts.paused),
        containers_stopped: count(facts.stopped),
        images: count(facts.images),
        driver: super::container_list::DRIVER.to_owned(),
        driver_status: vec![["Backing Filesystem".to_owned(), "overlayfs".to_owned()]],
        plugins: Plugins {
            volume: Some(vec!["local".to_owned()]),
            network: Some(["bridge", "host", "null"].map(str::to_owned).to_vec()),
            authorization: None,
            log: Some(["json-file", "none"].map(str::to_owned).to_vec()),
        },
        memory_limit: true,
        swap_limit: true,
        cpu_cfs_period: true,
        cpu_cfs_quota: true,
        cpu_shares: true,
        cpu_set: true,
        pids_limit: true,
        // Version 2 of cgroups has no such switch.
        oom_kill_disable: !facts.unified,
        ipv4_forwarding: facts.forwarding,
        debug: config.debug,
        n_fd: count(facts.descriptors),
        system_time: crate::time::rfc3339_nano(engine::now_ns()),
        logging_driver: "json-file".to_owned(),
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: if facts.unified { "2" } else { "1" }.to_owned(),
        kernel_version: facts.kernel,
        operating_system: facts.operating_system,
        os_version: facts.os_version,
        os_type: "linux".to_owned(),
        architecture: facts.machine,
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        registry_config: registries(&config.registries),
        n_cpu: count(facts.cpus),
        mem_total: i64::try_from(facts.memory).unwrap_or(i64::MAX),
        docker_root_dir: config.data_root.display().to_string(),
        name: facts.host_name,
        labels: Some(config.labels.clone()),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        runtimes: BTreeMap::from([("runc".to_owned(), runtime)]),
        default_runtime: "runc".to_owned(),
        swarm: Swarm {
            local_node_state: "inactive".to_owned(),
            ..Swarm::default()
        },
        live_restore_enabled: true,
        init_binary: String::new(),
        containerd_commit: Commit::default(),
        security_options: vec!["name=seccomp,profile=builtin".to_owned()],
        firewall_backend: Some(Firewall {
            driver: "nftables".to_owned(),
            info: Vec::new(),
        }),
        ..Info::default()
    };
    Ok(Answer::ok(&document))
}
