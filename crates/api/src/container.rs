//! Pure: containers: what is asked for, what is answered.

use std::collections::BTreeMap;

use crate::host_config::HostConfig;
use crate::image::GraphDriver;
use crate::json::{Keys, Words, document};
use crate::network::{EndpointSettings, NetworkSettings, NetworkingConfig};

document! {
    /// What runs in a container, whatever the host.
    Config {
        hostname: String = "Hostname",
        domainname: String = "Domainname",
        user: String = "User",
        attach_stdin: bool = "AttachStdin",
        attach_stdout: bool = "AttachStdout",
        attach_stderr: bool = "AttachStderr",
        exposed_ports: Keys = "ExposedPorts" omit,
        tty: bool = "Tty",
        open_stdin: bool = "OpenStdin",
        stdin_once: bool = "StdinOnce",
        env: Option<Vec<String>> = "Env",
        cmd: Option<Words> = "Cmd",
        healthcheck: Option<HealthConfig> = "Healthcheck" omit,
        args_escaped: bool = "ArgsEscaped" omit,
        image: String = "Image",
        volumes: Option<Keys> = "Volumes",
        working_dir: String = "WorkingDir",
        entrypoint: Option<Words> = "Entrypoint",
        network_disabled: bool = "NetworkDisabled" omit,
        mac_address: String = "MacAddress" omit,
        on_build: Option<Vec<String>> = "OnBuild",
        labels: Option<BTreeMap<String, String>> = "Labels",
        stop_signal: String = "StopSignal" omit,
        stop_timeout: Option<i64> = "StopTimeout" omit,
        shell: Option<Words> = "Shell" omit,
    }
    /// A health check; times in nanoseconds, 0 = inherit.
    HealthConfig {
        test: Vec<String> = "Test" omit,
        interval: i64 = "Interval" omit,
        timeout: i64 = "Timeout" omit,
        start_period: i64 = "StartPeriod" omit,
        start_interval: i64 = "StartInterval" omit,
        retries: i64 = "Retries" omit,
    }
    /// `POST /containers/create`.
    ContainerCreateRequest {
        config: Config = flatten,
        host_config: Option<HostConfig> = "HostConfig",
        networking_config: Option<NetworkingConfig> = "NetworkingConfig",
    }
    /// The answer to it.
    ContainerCreateResponse { id: String = "Id", warnings: Vec<String> = "Warnings" }
    /// `GET /containers/{id}/json`.
    ContainerInspect {
        id: String = "Id",
        created: String = "Created",
        path: String = "Path",
        args: Vec<String> = "Args",
        state: State = "State",
        image: String = "Image",
        resolv_conf_path: String = "ResolvConfPath",
        hostname_path: String = "HostnamePath",
        hosts_path: String = "HostsPath",
        log_path: String = "LogPath",
        name: String = "Name",
        restart_count: i64 = "RestartCount",
        driver: String = "Driver",
        platform: String = "Platform",
        mount_label: String = "MountLabel",
        process_label: String = "ProcessLabel",
        app_armor_profile: String = "AppArmorProfile",
        exec_ids: Option<Vec<String>> = "ExecIDs",
        host_config: HostConfig = "HostConfig",
        graph_driver: GraphDriver = "GraphDriver",
        size_rw: Option<i64> = "SizeRw" omit,
        size_root_fs: Option<i64> = "SizeRootFs" omit,
        mounts: Vec<MountPoint> = "Mounts",
        config: Config = "Config",
        network_settings: NetworkSettings = "NetworkSettings",
    }
    /// Where a container stands.
    State {
        status: String = "Status",
        running: bool = "Running",
        paused: bool = "Paused",
        restarting: bool = "Restarting",
        oom_killed: bool = "OOMKilled",
        dead: bool = "Dead",
        pid: i64 = "Pid",
        exit_code: i64 = "ExitCode",
        error: String = "Error",
        started_at: String = "StartedAt",
        finished_at: String = "FinishedAt",
        health: Option<Health> = "Health" omit,
    }
    /// How it feels.
    Health {
        status: String = "Status",
        failing_streak: i64 = "FailingStreak",
        log: Vec<HealthProbe> = "Log",
    }
    /// One probe.
    HealthProbe {
        start: String = "Start",
        end: String = "End",
        exit_code: i64 = "ExitCode",
        output: String = "Output",
    }
    /// One mount that the user asked for.
    MountPoint {
        kind: String = "Type" omit,
        name: String = "Name" omit,
        source: String = "Source",
        destination: String = "Destination",
        driver: String = "Driver" omit,
        mode: String = "Mode",
        rw: bool = "RW",
        propagation: String = "Propagation",
    }
    /// One row of `GET /containers/json`.
    ContainerSummary {
        id: String = "Id",
        names: Vec<String> = "Names",
        image: String = "Image",
        image_id: String = "ImageID",
        command: String = "Command",
        created: i64 = "Created",
        ports: Vec<Port> = "Ports",
        size_rw: i64 = "SizeRw" omit,
        size_root_fs: i64 = "SizeRootFs" omit,
        labels: BTreeMap<String, String> = "Labels",
        state: String = "State",
        status: String = "Status",
        host_config: SummaryHostConfig = "HostConfig",
        network_settings: SummaryNetworks = "NetworkSettings",
        mounts: Vec<MountPoint> = "Mounts",
    }
    /// A port of a container; `public_port` 0 = exposed only.
    Port {
        ip: String = "IP" omit,
        private_port: u16 = "PrivatePort",
        public_port: u16 = "PublicPort" omit,
        kind: String = "Type",
    }
    /// What the list says of the host configuration.
    SummaryHostConfig {
        network_mode: String = "NetworkMode" omit,
        annotations: BTreeMap<String, String> = "Annotations" omit,
    }
    /// What the list says of the networks.
    SummaryNetworks { networks: BTreeMap<String, EndpointSettings> = "Networks" }
    /// Where a port is published.
    PortBinding { host_ip: String = "HostIp", host_port: String = "HostPort" }
    /// `POST /containers/{id}/wait`.
    WaitResponse {
        status_code: i64 = "StatusCode",
        error: Option<WaitError> = "Error" omit,
    }
    /// Why waiting failed.
    WaitError { message: String = "Message" omit }
    /// `GET /containers/{id}/top`.
    Top { processes: Vec<Vec<String>> = "Processes", titles: Vec<String> = "Titles" }
    /// One row of `GET /containers/{id}/changes`; 0 changed, 1 added, 2 deleted.
    Change { kind: u8 = "Kind", path: String = "Path" }
    /// The answer to `POST /containers/{id}/update`.
    UpdateResponse { warnings: Option<Vec<String>> = "Warnings" }
    /// The answer to `POST /containers/prune`.
    ContainersPruned {
        containers_deleted: Option<Vec<String>> = "ContainersDeleted",
        space_reclaimed: u64 = "SpaceReclaimed",
    }
    /// `X-Docker-Container-Path-Stat`; `mode` is a Go `os.FileMode`.
    PathStat {
        name: String = "name",
        size: i64 = "size",
        mode: u32 = "mode",
        mtime: String = "mtime",
        link_target: String = "linkTarget",
    }
    /// One row of `GET /wharf/v1/containers/{id}/trace`.
    TraceStep { name: String = "name", at_us: u64 = "at_us", us: u64 = "us" }
}
