//! `Binds` and `Mounts`: what of the host a container sees, in the engine's words.

use std::collections::BTreeMap;

use api::host_config::{HostConfig, MountRequest};
use engine::container::record::{Bind, Host};

use crate::error::Failure;
use crate::request::Result;

/// `-v SOURCE:TARGET[:OPTIONS]`.
pub(super) fn binds(given: &HostConfig) -> Result<Vec<Bind>> {
    given
        .binds
        .iter()
        .flatten()
        .map(|text| bind(text))
        .collect()
}

fn bind(text: &str) -> Result<Bind> {
    let bad =
        |why: &str| Failure::bad_request(format!("invalid volume specification: '{text}': {why}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(Failure::not_yet(&format!("an anonymous volume ({text})"))),
    };
    if !source.starts_with('/') {
        return Err(Failure::not_yet(&format!("a named volume ({source})")));
    }
    let config = |why: &str| bad(&format!("invalid mount config for type \"bind\": {why}"));
    if !target.starts_with('/') {
        let why = format!("invalid mount path: '{target}' mount path must be absolute");
        return Err(config(&why));
    }
    if clean(target) == "/" {
        return Err(config("invalid specification: destination can't be '/'"));
    }
    let mut bind = Bind {
        source: source.to_owned(),
        target: clean(target),
        create: true,
        ..Bind::default()
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => bind.read_only = true,
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
                option.clone_into(&mut bind.propagation);
            }
            // SELinux labels mean nothing where SELinux is not; the others are macOS's and volumes'.
            "rw" | "z" | "Z" | "nocopy" | "consistent" | "cached" | "delegated" => {}
            _ => return Err(Failure::bad_request(format!("invalid mode: {options}"))),
        }
    }
    Ok(bind)
}

/// The path without `.`, `..` and doubled slashes, as Go's `path.Clean` has it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Options of a tmpfs that are flags of the mount.
const TMPFS_FLAGS: [&str; 22] = [
    "atime",
    "async",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "iversion",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nomand",
    "norelatime",
    "nosuid",
    "relatime",
    "ro",
    "rw",
    "suid",
    "sync",
];
/// Those with a value.
const TMPFS_VALUES: [&str; 6] = ["size", "mode", "uid", "gid", "nr_inodes", "mpol"];

/// `--tmpfs TARGET[:OPTIONS]`.
pub(super) fn tmpfs(given: &HostConfig) -> Result<BTreeMap<String, String>> {
    for (target, options) in &given.tmpfs {
        if !target.starts_with('/') {
            return Err(Failure::bad_request(format!(
                "invalid mount path: '{target}' mount path must be absolute"
            )));
        }
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let name = option.split_once('=').map_or("", |(name, _)| name);
            if !TMPFS_FLAGS.contains(&option) && !TMPFS_VALUES.contains(&name) {
                return Err(Failure::bad_request(format!(
                    "invalid tmpfs option {option:?}"
                )));
            }
        }
    }
    Ok(given.tmpfs.clone())
}

pub(super) fn mounts(given: &HostConfig, host: &mut Host) -> Result<()> {
    for mount in &given.mounts {
        match mount.kind.as_str() {
            "bind" => host.binds.push(bind_mount(mount)?),
            "tmpfs" => {
                let mut options = Vec::new();
                if let Some(tmpfs) = &mount.tmpfs_options {
                    if tmpfs.size_bytes != 0 {
                        options.push(format!("size={}", tmpfs.size_bytes));
                    }
                    if tmpfs.mode != 0 {
                        options.push(format!("mode={:o}", tmpfs.mode));
                    }
                }
                if mount.read_only {
                    options.push("ro".to_owned());
                }
                if host
                    .tmpfs
                    .insert(clean(&mount.target), options.join(","))
                    .is_some()
                {
                    return Err(duplicate(&mount.target));
                }
            }
            "volume" | "image" | "cluster" | "npipe" => {
                return Err(Failure::not_yet(&format!(
                    "a mount of type {:?}",
                    mount.kind
                )));
            }
            other => {
                return Err(Failure::bad_request(format!(
                    "mount type unknown: {other:?}"
                )));
            }
        }
    }
    Ok(())
}

fn bind_mount(mount: &MountRequest) -> Result<Bind> {
    let invalid =
        |why: &str| Failure::bad_request(format!("invalid mount config for type \"bind\": {why}"));
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty"));
    }
    if mount.source.is_empty() {
        return Err(invalid("field Source must not be empty"));
    }
    if !mount.source.starts_with('/') || !mount.target.starts_with('/') {
        return Err(invalid(&format!(
            "invalid mount path: '{}' mount path must be absolute",
            if mount.source.starts_with('/') {
                &mount.target
            } else {
                &mount.source
            }
        )));
    }
    if mount.volume_options.is_some() {
        return Err(Failure::bad_request(
            "VolumeOptions must not be specified on mount type \"bind\"",
        ));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    Ok(Bind {
        source: mount.source.clone(),
        target: clean(&mount.target),
        read_only: mount.read_only,
        propagation: options.propagation,
        create: options.create_mountpoint,
        non_recursive: options.non_recursive,
    })
}

fn duplicate(target: &str) -> Failure {
    Failure::bad_request(format!("Duplicate mount point: {target}"))
}

pub(super) fn check_targets(host: &Host) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for target in host
        .binds
        .iter()
        .map(|bind| &bind.target)
        .chain(host.tmpfs.keys())
    {
        if !seen.insert(target) {
            return Err(duplicate(target));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_as_people_write_them() {
        let parsed = bind("/a:/b/../c/:ro,rslave")
            .map_err(|e| e.message)
            .unwrap();
        assert_eq!((parsed.target.as_str(), parsed.read_only), ("/c", true));
        assert_eq!(parsed.propagation, "rslave");
        assert!(bind("name:/b").is_err());
        assert!(bind("/a:/b:bad").is_err());
        assert!(bind("/a:/").is_err());
    }
}
