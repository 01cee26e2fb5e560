//! Pure: images.

use std::collections::BTreeMap;

use crate::container::HealthConfig;
use crate::json::{Keys, Words, document};

document! {
    /// One row of `GET /images/json`.
    ImageSummary {
        containers: i64 = "Containers",
        created: i64 = "Created",
        id: String = "Id",
        labels: Option<BTreeMap<String, String>> = "Labels",
        parent_id: String = "ParentId",
        repo_digests: Vec<String> = "RepoDigests",
        repo_tags: Vec<String> = "RepoTags",
        shared_size: i64 = "SharedSize",
        size: i64 = "Size",
        virtual_size: i64 = "VirtualSize" omit,
    }
    /// `GET /images/{name}/json`.
    ImageInspect {
        id: String = "Id",
        repo_tags: Vec<String> = "RepoTags",
        repo_digests: Vec<String> = "RepoDigests",
        parent: String = "Parent",
        comment: String = "Comment",
        created: String = "Created",
        docker_version: String = "DockerVersion",
        author: String = "Author",
        architecture: String = "Architecture",
        variant: String = "Variant" omit,
        os: String = "Os",
        size: i64 = "Size",
        virtual_size: i64 = "VirtualSize" omit,
        graph_driver: GraphDriver = "GraphDriver",
        root_fs: RootFs = "RootFS",
        metadata: ImageMetadata = "Metadata",
        config: ImageConfig = "Config",
    }
    /// The configuration of an image as image inspect shows it (1.50 and newer).
    ImageConfig {
        cmd: Option<Words> = "Cmd",
        entrypoint: Option<Words> = "Entrypoint",
        env: Option<Vec<String>> = "Env",
        exposed_ports: Keys = "ExposedPorts" omit,
        healthcheck: Option<HealthConfig> = "Healthcheck" omit,
        labels: Option<BTreeMap<String, String>> = "Labels",
        on_build: Option<Vec<String>> = "OnBuild",
        shell: Vec<String> = "Shell" omit,
        stop_signal: String = "StopSignal" omit,
        user: String = "User",
        volumes: Option<Keys> = "Volumes",
        working_dir: String = "WorkingDir",
    }
    /// Where the store keeps it.
    GraphDriver { data: Option<BTreeMap<String, String>> = "Data", name: String = "Name" }
    /// Its layers, the lowest first.
    RootFs { kind: String = "Type", layers: Vec<String> = "Layers" omit }
    /// What the store knows besides.
    ImageMetadata { last_tag_time: String = "LastTagTime" omit }
    /// One row of the answer to `DELETE /images/{name}`.
    ImageDelete { untagged: String = "Untagged" omit, deleted: String = "Deleted" omit }
    /// One row of `GET /images/{name}/history`.
    ImageHistory {
        comment: String = "Comment",
        created: i64 = "Created",
        created_by: String = "CreatedBy",
        id: String = "Id",
        size: i64 = "Size",
        tags: Option<Vec<String>> = "Tags",
    }
    /// The answer to `POST /images/prune`.
    ImagesPruned {
        images_deleted: Option<Vec<ImageDelete>> = "ImagesDeleted",
        space_reclaimed: u64 = "SpaceReclaimed",
    }
    /// One row of `GET /images/search`.
    ImageFound {
        star_count: i64 = "star_count",
        is_official: bool = "is_official",
        name: String = "name",
        is_automated: bool = "is_automated",
        description: String = "description",
    }
    /// `POST /wharf/v1/images/from-host`.
    FromHostRequest { tag: String = "tag", programs: Vec<String> = "programs" }
}
