//! `Binds` and `Mounts`: what of the host a container sees, in the engine's words.

use std::collections::BTreeMap;

use api::host_config::{HostConfig, MountRequest};
use engine::container::record::{Bind, Host, ImageMount};
use engine::volume::VolumeMount;
use types::mount_spec::{MountKind, MountSpec, clean};

use crate::error::Failure;
use crate::request::Result;

/// `-v SOURCE:TARGET[:OPTIONS]` with a path of the host.
pub(super) fn binds(given: &HostConfig) -> Result<Vec<Bind>> {
    let all = specs(given)?.into_iter();
    let binds = all.filter(|spec| spec.kind == MountKind::Bind);
    Ok(binds
        .map(|spec| Bind {
            source: spec.source,
            target: spec.target,
            read_only: spec.read_only,
            propagation: spec.propagation,
            create: true,
            ..Bind::default()
        })
        .collect())
}

/// `-v NAME:TARGET[:OPTIONS]`.
pub(super) fn volumes(given: &HostConfig) -> Result<Vec<VolumeMount>> {
    let all = specs(given)?.into_iter();
    let volumes = all.filter(|spec| spec.kind == MountKind::Volume);
    Ok(volumes
        .map(|spec| VolumeMount {
            name: spec.source,
            target: spec.target,
            read_only: spec.read_only,
            mode: or_z(spec.mode),
            no_copy: spec.no_copy,
            driver: given.volume_driver.clone(),
            ..VolumeMount::default()
        })
        .collect())
}

fn specs(given: &HostConfig) -> Result<Vec<MountSpec>> {
    let parse = |text: &String| {
        MountSpec::parse_volume(text).map_err(|e| Failure::bad_request(e.to_string()))
    };
    given.binds.iter().flatten().map(parse).collect()
}

/// What inspect shows of a volume whose mode nobody gave.
fn or_z(mode: String) -> String {
    if mode.is_empty() {
        "z".to_owned()
    } else {
        mode
    }
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

/// `--mount`.
pub(super) fn mounts(given: &HostConfig, host: &mut Host) -> Result<()> {
    for mount in &given.mounts {
        check_mount(mount)?;
        match mount.kind.as_str() {
            "bind" => host.binds.push(bind_mount(mount)),
            "volume" => host.volumes.push(volume_mount(mount)),
            "tmpfs" => {
                let options = tmpfs_options(mount)?;
                if host.tmpfs.insert(clean(&mount.target), options).is_some() {
                    return Err(duplicate(&mount.target));
                }
            }
            _ => host.images.push(image_mount(mount)?),
        }
    }
    Ok(())
}

/// dockerd's checks of one mount, in its order and words.
fn check_mount(mount: &MountRequest) -> Result<()> {
    let kind = mount.kind.as_str();
    for (present, field, own) in [
        (mount.bind_options.is_some(), "BindOptions", "bind"),
        (mount.volume_options.is_some(), "VolumeOptions", "volume"),
        (mount.image_options.is_some(), "ImageOptions", "image"),
        (mount.tmpfs_options.is_some(), "TmpfsOptions", "tmpfs"),
    ] {
        if present && kind != own {
            return Err(Failure::bad_request(format!(
                "{field} must not be specified on mount type {kind:?}"
            )));
        }
    }
    let invalid = |why: &str| {
        Err(Failure::bad_request(format!(
            "invalid mount config for type {kind:?}: {why}"
        )))
    };
    let relative = |path: &str| {
        invalid(&format!(
            "invalid mount path: '{path}' mount path must be absolute"
        ))
    };
    if mount.target.is_empty() {
        return invalid("field Target must not be empty");
    }
    if clean(&mount.target) == "/" {
        return invalid("invalid specification: destination can't be '/'");
    }
    if !mount.target.starts_with('/') {
        return relative(&mount.target);
    }
    let has_source = !mount.source.is_empty();
    match kind {
        "bind" | "image" if !has_source => invalid("field Source must not be empty"),
        "bind" => {
            let options = mount.bind_options.clone().unwrap_or_default();
            let word = options.propagation.as_str();
            if !word.is_empty() && !PROPAGATIONS.contains(&word) {
                return invalid(&format!("invalid propagation mode: {word}"));
            }
            if mount.source.starts_with('/') {
                Ok(())
            } else {
                relative(&mount.source)
            }
        }
        "volume" => {
            let options = mount.volume_options.as_ref();
            let subpath = options.map_or("", |options| &options.subpath);
            if !subpath.is_empty() && !has_source {
                return invalid("must not set Subpath when using anonymous volumes");
            }
            let leads_out = clean(subpath).split('/').next() == Some("..");
            if subpath.starts_with('/') || leads_out {
                return invalid("subpath must be a relative path within the volume");
            }
            if mount.read_only && !has_source {
                return invalid("must not set ReadOnly mode when using anonymous volumes");
            }
            Ok(())
        }
        "tmpfs" if has_source => invalid("field Source must not be specified"),
        "tmpfs" | "image" => Ok(()),
        _ => invalid("mount type unknown"),
    }
}

/// How mounts spread between the host and a container (mount_namespaces(7)).
const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "slave", "rslave", "shared", "rshared",
];

fn tmpfs_options(mount: &MountRequest) -> Result<String> {
    let mut options = Vec::new();
    if let Some(tmpfs) = &mount.tmpfs_options {
        if tmpfs.size_bytes != 0 {
            options.push(format!("size={}", tmpfs.size_bytes));
        }
        if tmpfs.mode != 0 {
            options.push(format!("mode={:o}", tmpfs.mode));
        }
        for option in &tmpfs.options {
            let why = match &option[..] {
                [word] if word == "exec" || word == "noexec" => {
                    options.push(word.clone());
                    continue;
                }
                [word] | [word, _] => format!("invalid option: {word}"),
                _ => "invalid option array length".to_owned(),
            };
            return Err(Failure::bad_request(format!(
                "invalid mount config for type \"tmpfs\": {why}"
            )));
        }
    }
    if mount.read_only {
        options.push("ro".to_owned());
    }
    Ok(options.join(","))
}

fn bind_mount(mount: &MountRequest) -> Bind {
    let options = mount.bind_options.clone().unwrap_or_default();
    Bind {
        source: mount.source.clone(),
        target: clean(&mount.target),
        read_only: mount.read_only,
        propagation: options.propagation,
        create: options.create_mountpoint,
        non_recursive: options.non_recursive,
        read_only_here: options.read_only_non_recursive,
        read_only_whole: options.read_only_force_recursive,
    }
}

fn volume_mount(mount: &MountRequest) -> VolumeMount {
    let options = mount.volume_options.clone().unwrap_or_default();
    let driver = options.driver_config.unwrap_or_default();
    VolumeMount {
        name: mount.source.clone(),
        target: clean(&mount.target),
        read_only: mount.read_only,
        mode: "z".to_owned(),
        no_copy: options.no_copy,
        driver: driver.name,
        options: driver.options,
        labels: options.labels,
        subpath: options.subpath,
        ..VolumeMount::default()
    }
}

fn image_mount(mount: &MountRequest) -> Result<ImageMount> {
    let options = mount.image_options.clone().unwrap_or_default();
    if !options.subpath.is_empty() {
        return Err(Failure::not_yet("a path in an image (image-subpath)"));
    }
    Ok(ImageMount {
        image: mount.source.clone(),
        target: clean(&mount.target),
        found: None,
    })
}

/// Options that are newer than the version, and the older words for those of another kind.
pub(super) fn check_versions(given: &HostConfig, version: api::ApiVersion) -> Result<()> {
    for mount in &given.mounts {
        let kind = mount.kind.as_str();
        for (present, field, own) in [
            (mount.bind_options.is_some(), "BindOptions", "bind"),
            (mount.volume_options.is_some(), "VolumeOptions", "volume"),
            (mount.tmpfs_options.is_some(), "TmpfsOptions", "tmpfs"),
        ] {
            if present && kind != own && !version.at_least(42) {
                return Err(Failure::bad_request(format!(
                    "invalid mount config for type {kind:?}: field {field} must not be specified"
                )));
            }
        }
        let options = mount.bind_options.as_ref();
        if options.is_some_and(|one| one.read_only_force_recursive) && !version.at_least(44) {
            return Err(Failure::bad_request(
                "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
            ));
        }
    }
    Ok(())
}

fn duplicate(target: &str) -> Failure {
    Failure::bad_request(format!("Duplicate mount point: {target}"))
}

pub(super) fn check_targets(host: &Host) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    let binds = host.binds.iter().map(|bind| &bind.target);
    let volumes = host.volumes.iter().map(|volume| &volume.target);
    let images = host.images.iter().map(|image| &image.target);
    let all = binds.chain(volumes).chain(images);
    for target in all.chain(host.tmpfs.keys()) {
        if !seen.insert(target) {
            return Err(duplicate(target));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> HostConfig {
        HostConfig {
            binds: Some(vec![text.to_owned()]),
            ..HostConfig::default()
        }
    }

    #[test]
    fn binds_as_people_write_them() {
        let host = parsed("/a:/b/../c/:ro,rslave");
        let all = binds(&host).map_err(|e| e.message).unwrap();
        assert_eq!((all[0].target.as_str(), all[0].read_only), ("/c", true));
        assert_eq!(all[0].propagation, "rslave");
        assert!(volumes(&host).map_err(|e| e.message).unwrap().is_empty());
        let host = parsed("name:/b");
        let all = volumes(&host).map_err(|e| e.message).unwrap();
        assert_eq!((all[0].name.as_str(), all[0].mode.as_str()), ("name", "z"));
        assert!(binds(&parsed("/a:/b:bad")).is_err());
        assert!(binds(&parsed("/a:/")).is_err());
    }

    #[test]
    fn mounts_that_cannot_be() {
        let mount = |kind: &str, source: &str, target: &str, read_only| MountRequest {
            kind: kind.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            read_only,
            ..MountRequest::default()
        };
        for (given, message) in [
            (
                mount("nope", "", "/x", false),
                "invalid mount config for type \"nope\": mount type unknown",
            ),
            (
                mount("volume", "", "/x", true),
                "invalid mount config for type \"volume\": must not set ReadOnly mode when using anonymous volumes",
            ),
            (
                mount("volume", "v1", "", true),
                "invalid mount config for type \"volume\": field Target must not be empty",
            ),
            (
                mount("bind", "rel", "/x", true),
                "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
            ),
            (
                mount("tmpfs", "a", "/x", true),
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
        ] {
            let error = check_mount(&given).unwrap_err();
            assert_eq!(error.message, message);
        }
    }
}
