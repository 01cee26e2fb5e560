//! Every path of an engine.
//!
//! ```text
//! DATA-ROOT/                 0710
//!   format  lock  reserve    "wharf-store 1"; flock for life, holds the pid; 4 MiB to give back
//!   meta.redb                all records
//!   events.jsonl             the last events, for those who ask what was
//!   docker-init              our program, for the containers that want an init; made when one does
//!   blobs layers rw …        the image store's own (image::layout)
//!   volumes/<name>/_data     a volume's files; .gone-<n> is being removed
//!   builds/<number>/         the context of a build that runs
//!   containers/<id>/         config.json hosts hostname resolv.conf exit.json state.log <id>-json.log
//! EXEC-ROOT/                 0700
//!   shims/<id>               socket of a container's shim
//!   netd                     socket of the process that serves names and loopback ports
//! ```

use std::path::{Path, PathBuf};

use types::ContainerId;

/// Knows the paths of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    data: PathBuf,
    exec: PathBuf,
}

impl Layout {
    pub(crate) fn new(data: &Path, exec: &Path) -> Self {
        Self {
            data: data.to_owned(),
            exec: exec.to_owned(),
        }
    }

    pub(crate) fn data_root(&self) -> &Path {
        &self.data
    }

    pub(crate) fn exec_root(&self) -> &Path {
        &self.exec
    }

    pub(crate) fn format(&self) -> PathBuf {
        self.data.join("format")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    /// Contexts of builds that run; what a crash leaves there is swept.
    pub(crate) fn builds(&self) -> PathBuf {
        self.data.join("builds")
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.data.join("reserve")
    }

    pub(crate) fn meta(&self) -> PathBuf {
        self.data.join("meta.redb")
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.data.join("events.jsonl")
    }

    pub(crate) fn init(&self) -> PathBuf {
        self.data.join("docker-init")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    pub(crate) fn container(&self, id: ContainerId) -> PathBuf {
        self.containers().join(id.to_string())
    }

    pub(crate) fn container_file(&self, id: ContainerId, name: &str) -> PathBuf {
        self.container(id).join(name)
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    pub(crate) fn volume_data(&self, name: &str) -> PathBuf {
        self.volumes().join(name).join("_data")
    }

    pub(crate) fn log_name(id: ContainerId) -> String {
        format!("{id}-json.log")
    }

    pub(crate) fn shims(&self) -> PathBuf {
        self.exec.join("shims")
    }

    pub(crate) fn netd_socket(&self) -> PathBuf {
        self.exec.join("netd")
    }

    pub(crate) fn shim_socket(&self, id: ContainerId) -> PathBuf {
        self.shims().join(id.to_string())
    }
}
