//! Pure: volumes.

use std::collections::BTreeMap;

use crate::json::document;

document! {
    /// `GET /volumes/{name}`.
    Volume {
        created_at: String = "CreatedAt" omit,
        driver: String = "Driver",
        labels: Option<BTreeMap<String, String>> = "Labels",
        mountpoint: String = "Mountpoint",
        name: String = "Name",
        options: Option<BTreeMap<String, String>> = "Options",
        scope: String = "Scope",
        usage_data: Option<UsageData> = "UsageData" omit,
    }
    /// What a volume takes.
    UsageData { ref_count: i64 = "RefCount", size: i64 = "Size" }
    /// `POST /volumes/create`.
    VolumeCreateRequest {
        cluster_volume_spec: Option<serde_json::Value> = "ClusterVolumeSpec" omit,
        driver: String = "Driver" omit,
        driver_opts: BTreeMap<String, String> = "DriverOpts" omit,
        labels: BTreeMap<String, String> = "Labels" omit,
        name: String = "Name" omit,
    }
    /// `POST /volumes/prune`.
    VolumesPruned {
        volumes_deleted: Option<Vec<String>> = "VolumesDeleted",
        space_reclaimed: u64 = "SpaceReclaimed",
    }
    /// `GET /volumes`.
    VolumeList { volumes: Vec<Volume> = "Volumes", warnings: Option<Vec<String>> = "Warnings" }
}
