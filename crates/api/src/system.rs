//! Pure: what the engine says about itself.

use std::collections::BTreeMap;

use crate::container::ContainerSummary;
use crate::image::ImageSummary;
use crate::json::document;
use crate::volume::Volume;

document! {
    /// `GET /version`.
    Version {
        platform: Platform = "Platform",
        components: Vec<Component> = "Components" omit,
        version: String = "Version",
        api_version: String = "ApiVersion",
        min_api_version: String = "MinAPIVersion" omit,
        git_commit: String = "GitCommit",
        go_version: String = "GoVersion",
        os: String = "Os",
        arch: String = "Arch",
        kernel_version: String = "KernelVersion" omit,
        experimental: bool = "Experimental" omit,
        build_time: String = "BuildTime" omit,
    }
    /// The product.
    Platform { name: String = "Name" }
    /// A program that belongs to the engine.
    Component {
        name: String = "Name",
        version: String = "Version",
        details: BTreeMap<String, String> = "Details" omit,
    }
    /// `GET /info`.
    Info {
        id: String = "ID",
        containers: i64 = "Containers",
        containers_running: i64 = "ContainersRunning",
        containers_paused: i64 = "ContainersPaused",
        containers_stopped: i64 = "ContainersStopped",
        images: i64 = "Images",
        driver: String = "Driver",
        driver_status: Vec<[String; 2]> = "DriverStatus",
        plugins: Plugins = "Plugins",
        memory_limit: bool = "MemoryLimit",
        swap_limit: bool = "SwapLimit",
        kernel_memory_tcp: bool = "KernelMemoryTCP" omit,
        cpu_cfs_period: bool = "CpuCfsPeriod",
        cpu_cfs_quota: bool = "CpuCfsQuota",
        cpu_shares: bool = "CPUShares",
        cpu_set: bool = "CPUSet",
        pids_limit: bool = "PidsLimit",
        ipv4_forwarding: bool = "IPv4Forwarding",
        debug: bool = "Debug",
        n_fd: i64 = "NFd",
        oom_kill_disable: bool = "OomKillDisable",
        n_goroutines: i64 = "NGoroutines",
        system_time: String = "SystemTime",
        logging_driver: String = "LoggingDriver",
        cgroup_driver: String = "CgroupDriver",
        cgroup_version: String = "CgroupVersion" omit,
        n_events_listener: i64 = "NEventsListener",
        kernel_version: String = "KernelVersion",
        operating_system: String = "OperatingSystem",
        os_version: String = "OSVersion",
        os_type: String = "OSType",
        architecture: String = "Architecture",
        index_server_address: String = "IndexServerAddress",
        registry_config: RegistryConfig = "RegistryConfig",
        n_cpu: i64 = "NCPU",
        mem_total: i64 = "MemTotal",
        generic_resources: Option<Vec<serde_json::Value>> = "GenericResources",
        docker_root_dir: String = "DockerRootDir",
        http_proxy: String = "HttpProxy",
        https_proxy: String = "HttpsProxy",
        no_proxy: String = "NoProxy",
        name: String = "Name",
        labels: Option<Vec<String>> = "Labels",
        experimental_build: bool = "ExperimentalBuild",
        server_version: String = "ServerVersion",
        runtimes: BTreeMap<String, Runtime> = "Runtimes",
        default_runtime: String = "DefaultRuntime",
        swarm: Swarm = "Swarm",
        live_restore_enabled: bool = "LiveRestoreEnabled",
        isolation: String = "Isolation",
        init_binary: String = "InitBinary",
        containerd_commit: Commit = "ContainerdCommit",
        runc_commit: Commit = "RuncCommit",
        init_commit: Commit = "InitCommit",
        security_options: Vec<String> = "SecurityOptions",
        firewall_backend: Option<Firewall> = "FirewallBackend" omit,
        cdi_spec_dirs: Option<Vec<String>> = "CDISpecDirs",
        warnings: Option<Vec<String>> = "Warnings",
    }
    /// What can be chosen by name.
    Plugins {
        volume: Option<Vec<String>> = "Volume",
        network: Option<Vec<String>> = "Network",
        authorization: Option<Vec<String>> = "Authorization",
        log: Option<Vec<String>> = "Log",
    }
    /// Registries with rules of their own.
    RegistryConfig {
        index_configs: BTreeMap<String, IndexConfig> = "IndexConfigs",
        insecure_registry_cidrs: Option<Vec<String>> = "InsecureRegistryCIDRs",
        mirrors: Option<Vec<String>> = "Mirrors",
    }
    /// One registry.
    IndexConfig {
        mirrors: Option<Vec<String>> = "Mirrors",
        name: String = "Name",
        official: bool = "Official",
        secure: bool = "Secure",
    }
    /// One OCI runtime.
    Runtime { path: String = "path", status: BTreeMap<String, String> = "status" omit }
    /// Always inactive here.
    Swarm {
        node_id: String = "NodeID",
        node_addr: String = "NodeAddr",
        local_node_state: String = "LocalNodeState",
        control_available: bool = "ControlAvailable",
        error: String = "Error",
        remote_managers: Option<Vec<String>> = "RemoteManagers",
    }
    /// A revision of a program.
    Commit { id: String = "ID", expected: String = "Expected" omit }
    /// Who writes the packet filter.
    Firewall { driver: String = "Driver", info: Vec<[String; 2]> = "Info" omit }
    /// `GET /system/df` (before 1.52). A kind that was not asked for is null.
    DiskUsage {
        layers_size: i64 = "LayersSize",
        images: Option<Vec<ImageSummary>> = "Images",
        containers: Option<Vec<ContainerSummary>> = "Containers",
        volumes: Option<Vec<Volume>> = "Volumes",
        build_cache: Option<Vec<serde_json::Value>> = "BuildCache",
    }
}
