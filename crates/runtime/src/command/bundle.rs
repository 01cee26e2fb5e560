//! A bundle: config.json read, made absolute, and refused where it cannot be obeyed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use types::oci::runtime::{Hooks, Spec};

use super::error::{Error, Result};

/// Largest config.json that is read, in bytes.
const LIMIT: u64 = 64 << 20;

/// What a container is to be made from.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Absolute.
    pub(super) dir: PathBuf,
    pub(super) spec: Spec,
    /// Absolute.
    pub(super) rootfs: PathBuf,
}

/// Reads the bundle in `dir`; none is the working directory.
pub(super) fn read(dir: Option<&str>) -> Result<Bundle> {
    let dir = std::path::absolute(dir.unwrap_or(".").trim_end_matches('/'))
        .map_err(|error| Error::said(format!("bundle: {error}")))?;
    let dir = if dir.as_os_str().is_empty() {
        PathBuf::from("/")
    } else {
        dir
    };
    match fs::metadata(&dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(Error::said(format!(
                "chdir {}: not a directory",
                dir.display()
            )));
        }
        Err(error) => {
            let words = sys::errno_text(sys::Error::from_io("chdir", &error).errno);
            return Err(Error::said(format!("chdir {}: {words}", dir.display())));
        }
    }
    let mut spec = config(&dir)?;
    validate(&spec)?;
    let rootfs = rootfs(&dir, &spec)?;
    for mount in &mut spec.mounts {
        let binds = mount.kind == "bind"
            || mount
                .options
                .iter()
                .any(|word| matches!(word.as_str(), "bind" | "rbind"));
        if binds && !mount.source.starts_with('/') {
            mount.source = dir.join(&mount.source).display().to_string();
        }
    }
    Ok(Bundle { dir, spec, rootfs })
}

fn config(dir: &Path) -> Result<Spec> {
    let path = dir.join("config.json");
    let text = match fs::metadata(&path) {
        Ok(found) if found.len() > LIMIT => {
            return Err(Error::said(format!(
                "config.json is larger than {LIMIT} bytes"
            )));
        }
        _ => fs::read(&path),
    };
    let text = text.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::said("JSON specification file config.json not found"),
        _ => Error::file(&path, &error),
    })?;
    serde_json::from_slice(&text).map_err(|error| Error::said(format!("config.json: {error}")))
}

/// What does not depend on this machine.
fn validate(spec: &Spec) -> Result<()> {
    let version = &spec.oci_version;
    if !version.starts_with("1.") {
        return Err(Error::said(format!(
            "unsupported spec version {version:?}: not 1.x"
        )));
    }
    let Some(process) = &spec.process else {
        return Err(Error::said("process property must not be empty"));
    };
    if process.args.is_empty() {
        return Err(Error::said("args must not be empty"));
    }
    if process.cwd.is_empty() {
        return Err(Error::said("Cwd property must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(Error::said("Cwd must be an absolute path"));
    }
    for (at, limit) in process.rlimits.iter().enumerate() {
        let twice = process
            .rlimits
            .iter()
            .skip(at + 1)
            .any(|other| other.kind == limit.kind);
        if twice {
            return Err(Error::said(format!(
                "rlimit {} is listed twice",
                limit.kind
            )));
        }
        if limit.soft > limit.hard {
            let text = format!("rlimit {}: soft is above hard", limit.kind);
            return Err(Error::said(text));
        }
    }
    let default = Hooks::default();
    let hooks = spec.hooks.as_ref().unwrap_or(&default);
    let all = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (kind, hooks) in all {
        for (number, hook) in hooks.iter().enumerate() {
            if !hook.path.starts_with('/') {
                return Err(Error::said(format!(
                    "{kind} hook #{number}: path must be absolute"
                )));
            }
            if hook.timeout.is_some_and(|seconds| seconds <= 0) {
                return Err(Error::said(format!(
                    "{kind} hook #{number}: timeout must be positive"
                )));
            }
        }
    }
    Ok(())
}

fn rootfs(dir: &Path, spec: &Spec) -> Result<PathBuf> {
    let path = spec
        .root
        .as_ref()
        .map(|root| root.path.as_str())
        .unwrap_or_default();
    if path.is_empty() {
        return Err(Error::said("root must be specified"));
    }
    let rootfs = dir.join(path);
    let found = fs::symlink_metadata(&rootfs).map_err(|error| {
        let words = sys::errno_text(sys::Error::from_io("stat", &error).errno);
        Error::said(format!(
            "invalid rootfs: stat {}: {words}",
            rootfs.display()
        ))
    })?;
    if !found.is_dir() {
        let text = format!("invalid rootfs: {} is no directory", rootfs.display());
        return Err(Error::said(text));
    }
    // Parts on the way may be links: the place is the real one.
    fs::canonicalize(&rootfs).map_err(|error| Error::file(&rootfs, &error))
}
