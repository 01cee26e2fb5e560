//! Pure: what a container gets from its host.

use std::collections::BTreeMap;

use crate::container::PortBinding;
use crate::json::{Words, document};

document! {
    /// What a container gets from its host.
    HostConfig {
        binds: Option<Vec<String>> = "Binds",
        container_id_file: String = "ContainerIDFile",
        log_config: LogConfig = "LogConfig",
        network_mode: String = "NetworkMode",
        port_bindings: Option<BTreeMap<String, Option<Vec<PortBinding>>>> = "PortBindings",
        restart_policy: RestartPolicy = "RestartPolicy",
        auto_remove: bool = "AutoRemove",
        volume_driver: String = "VolumeDriver",
        volumes_from: Option<Vec<String>> = "VolumesFrom",
        console_size: [u32; 2] = "ConsoleSize",
        annotations: BTreeMap<String, String> = "Annotations" omit,
        cap_add: Option<Words> = "CapAdd",
        cap_drop: Option<Words> = "CapDrop",
        cgroupns_mode: String = "CgroupnsMode",
        dns: Option<Vec<String>> = "Dns",
        dns_options: Option<Vec<String>> = "DnsOptions",
        dns_search: Option<Vec<String>> = "DnsSearch",
        extra_hosts: Option<Vec<String>> = "ExtraHosts",
        group_add: Option<Vec<String>> = "GroupAdd",
        ipc_mode: String = "IpcMode",
        cgroup: String = "Cgroup",
        links: Option<Vec<String>> = "Links",
        oom_score_adj: i64 = "OomScoreAdj",
        pid_mode: String = "PidMode",
        privileged: bool = "Privileged",
        publish_all_ports: bool = "PublishAllPorts",
        readonly_rootfs: bool = "ReadonlyRootfs",
        security_opt: Option<Vec<String>> = "SecurityOpt",
        storage_opt: BTreeMap<String, String> = "StorageOpt" omit,
        tmpfs: BTreeMap<String, String> = "Tmpfs" omit,
        uts_mode: String = "UTSMode",
        userns_mode: String = "UsernsMode",
        shm_size: i64 = "ShmSize",
        sysctls: BTreeMap<String, String> = "Sysctls" omit,
        runtime: String = "Runtime" omit,
        isolation: String = "Isolation",
        resources: Resources = flatten,
        mounts: Vec<MountRequest> = "Mounts" omit,
        masked_paths: Option<Vec<String>> = "MaskedPaths",
        readonly_paths: Option<Vec<String>> = "ReadonlyPaths",
        init: Option<bool> = "Init" omit,
    }
    /// Limits; 0 or null = none. Part of [`HostConfig`] and [`UpdateRequest`].
    Resources {
        cpu_shares: i64 = "CpuShares",
        memory: i64 = "Memory",
        nano_cpus: i64 = "NanoCpus",
        cgroup_parent: String = "CgroupParent",
        blkio_weight: u16 = "BlkioWeight",
        blkio_weight_device: Option<Vec<WeightDevice>> = "BlkioWeightDevice",
        blkio_device_read_bps: Option<Vec<ThrottleDevice>> = "BlkioDeviceReadBps",
        blkio_device_write_bps: Option<Vec<ThrottleDevice>> = "BlkioDeviceWriteBps",
        blkio_device_read_iops: Option<Vec<ThrottleDevice>> = "BlkioDeviceReadIOps",
        blkio_device_write_iops: Option<Vec<ThrottleDevice>> = "BlkioDeviceWriteIOps",
        cpu_period: i64 = "CpuPeriod",
        cpu_quota: i64 = "CpuQuota",
        cpu_realtime_period: i64 = "CpuRealtimePeriod",
        cpu_realtime_runtime: i64 = "CpuRealtimeRuntime",
        cpuset_cpus: String = "CpusetCpus",
        cpuset_mems: String = "CpusetMems",
        devices: Option<Vec<DeviceMapping>> = "Devices",
        device_cgroup_rules: Option<Vec<String>> = "DeviceCgroupRules",
        device_requests: Option<Vec<DeviceRequest>> = "DeviceRequests",
        kernel_memory: i64 = "KernelMemory" omit,
        kernel_memory_tcp: i64 = "KernelMemoryTCP" omit,
        memory_reservation: i64 = "MemoryReservation",
        memory_swap: i64 = "MemorySwap",
        memory_swappiness: Option<i64> = "MemorySwappiness",
        oom_kill_disable: Option<bool> = "OomKillDisable",
        pids_limit: Option<i64> = "PidsLimit",
        ulimits: Option<Vec<Ulimit>> = "Ulimits",
        cpu_count: i64 = "CpuCount",
        cpu_percent: i64 = "CpuPercent",
        io_maximum_iops: u64 = "IOMaximumIOps",
        io_maximum_bandwidth: u64 = "IOMaximumBandwidth",
    }
    /// `POST /containers/{id}/update`.
    UpdateRequest { resources: Resources = flatten, restart_policy: RestartPolicy = "RestartPolicy" }
    /// Which log driver, with its options.
    LogConfig {
        kind: String = "Type",
        config: Option<BTreeMap<String, String>> = "Config",
    }
    /// What happens when the container ends.
    RestartPolicy { name: String = "Name", maximum_retry_count: i64 = "MaximumRetryCount" }
    /// Weight of a block device.
    WeightDevice { path: String = "Path", weight: u16 = "Weight" }
    /// Rate of a block device.
    ThrottleDevice { path: String = "Path", rate: u64 = "Rate" }
    /// A device of the host, shown in the container.
    DeviceMapping {
        path_on_host: String = "PathOnHost",
        path_in_container: String = "PathInContainer",
        cgroup_permissions: String = "CgroupPermissions",
    }
    /// A device by driver.
    DeviceRequest {
        driver: String = "Driver",
        count: i64 = "Count",
        device_ids: Option<Vec<String>> = "DeviceIDs",
        capabilities: Option<Vec<Vec<String>>> = "Capabilities",
        options: Option<BTreeMap<String, String>> = "Options",
    }
    /// A resource limit of setrlimit(2).
    Ulimit { name: String = "Name", hard: i64 = "Hard", soft: i64 = "Soft" }
    /// What `--mount` asks for.
    MountRequest {
        kind: String = "Type" omit,
        source: String = "Source" omit,
        target: String = "Target" omit,
        read_only: bool = "ReadOnly" omit,
        consistency: String = "Consistency" omit,
        bind_options: Option<BindOptions> = "BindOptions" omit,
        volume_options: Option<VolumeOptions> = "VolumeOptions" omit,
        image_options: Option<ImageOptions> = "ImageOptions" omit,
        tmpfs_options: Option<TmpfsOptions> = "TmpfsOptions" omit,
    }
    /// For a bind mount.
    BindOptions {
        propagation: String = "Propagation" omit,
        non_recursive: bool = "NonRecursive" omit,
        create_mountpoint: bool = "CreateMountpoint" omit,
        read_only_non_recursive: bool = "ReadOnlyNonRecursive" omit,
        read_only_force_recursive: bool = "ReadOnlyForceRecursive" omit,
    }
    /// For a volume.
    VolumeOptions {
        no_copy: bool = "NoCopy" omit,
        labels: BTreeMap<String, String> = "Labels" omit,
        subpath: String = "Subpath" omit,
        driver_config: Option<VolumeDriver> = "DriverConfig" omit,
    }
    /// Which volume driver, with its options.
    VolumeDriver {
        name: String = "Name" omit,
        options: BTreeMap<String, String> = "Options" omit,
    }
    /// For an image as a mount.
    ImageOptions { subpath: String = "Subpath" omit }
    /// For a tmpfs.
    TmpfsOptions {
        size_bytes: i64 = "SizeBytes" omit,
        mode: u32 = "Mode" omit,
        options: Vec<Vec<String>> = "Options" omit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_docker_s_order() {
        let text = serde_json::to_string(&HostConfig::default()).unwrap();
        let expected = concat!(
            r#"{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":null},"#,
            r#""NetworkMode":"","PortBindings":null,"RestartPolicy":{"Name":"","MaximumRetryCount":0},"#,
            r#""AutoRemove":false,"VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"#,
            r#""CapAdd":null,"CapDrop":null,"CgroupnsMode":"","Dns":null,"DnsOptions":null,"#,
            r#""DnsSearch":null,"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","#,
            r#""Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,"PublishAllPorts":false,"#,
            r#""ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"","ShmSize":0,"#,
            r#""Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"","#,
            r#""BlkioWeight":0,"BlkioWeightDevice":null,"BlkioDeviceReadBps":null,"#,
            r#""BlkioDeviceWriteBps":null,"BlkioDeviceReadIOps":null,"BlkioDeviceWriteIOps":null,"#,
            r#""CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"#,
            r#""CpusetCpus":"","CpusetMems":"","Devices":null,"DeviceCgroupRules":null,"#,
            r#""DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":null,"#,
            r#""OomKillDisable":null,"PidsLimit":null,"Ulimits":null,"CpuCount":0,"CpuPercent":0,"#,
            r#""IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null}"#,
        );
        assert_eq!(text, expected);
        assert_eq!(
            serde_json::from_str::<HostConfig>(&text).unwrap(),
            HostConfig::default()
        );
    }
}
