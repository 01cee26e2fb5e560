//! `--device`, `--device-cgroup-rule` and the limits of block devices: paths of the host are looked
//! up when a container starts, for devices come and go.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use types::oci::runtime::{self as oci, Device, DeviceRule};

use super::record::{BlockIo, Host};
use crate::error::{Error, Result};

/// Nodes to make, and rules that let them be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices {
    pub(crate) nodes: Vec<Device>,
    pub(crate) rules: Vec<DeviceRule>,
}

impl Devices {
    fn add(&mut self, meta: &Metadata, path: String, access: &str) {
        let node = node(meta, path);
        self.rules.push(DeviceRule {
            allow: true,
            kind: node.kind.clone(),
            major: Some(node.major),
            minor: Some(node.minor),
            access: access.to_owned(),
        });
        self.nodes.push(node);
    }
}

/// Looks up what a container is to see. A privileged one has everything under its own name already,
/// and may use all of it.
pub(crate) fn resolve(host: &Host) -> Result<Devices> {
    let mut all = Devices::default();
    if host.privileged {
        all.nodes = of_the_host();
    }
    for device in &host.devices {
        if host.privileged && device.source == device.target {
            continue;
        }
        one(&device.source, &device.target, &device.access, &mut all)?;
    }
    // Those of the host come first, and a path is made once: the last one asked for.
    let mut seen = std::collections::HashSet::new();
    all.nodes.reverse();
    all.nodes.retain(|node| seen.insert(node.path.clone()));
    all.nodes.reverse();
    all.rules.extend(host.device_rules.iter().cloned());
    Ok(all)
}

fn one(source: &str, target: &str, access: &str, all: &mut Devices) -> Result<()> {
    let failed = |why: &str| {
        Error::new(
            types::ErrorKind::Internal,
            format!(
                "error gathering device information while adding custom device {source:?}: {why}"
            ),
        )
    };
    // A link (/dev/disk/by-id/…) stands for what it leads to.
    let real = std::fs::canonicalize(source).map_err(|e| failed(&words(&e)))?;
    let meta = std::fs::symlink_metadata(&real).map_err(|e| failed(&words(&e)))?;
    if is_device(&meta) {
        all.add(&meta, target.to_owned(), access);
        return Ok(());
    }
    let before = all.nodes.len();
    if meta.is_dir() {
        walk(&real, &mut |path, meta| {
            let below = path.strip_prefix(&real).unwrap_or(path);
            let path = Path::new(target).join(below);
            all.add(meta, path.display().to_string(), access);
        });
    }
    if all.nodes.len() == before {
        return Err(failed("not a device node"));
    }
    Ok(())
}

fn is_device(meta: &Metadata) -> bool {
    meta.file_type().is_char_device() || meta.file_type().is_block_device()
}

fn node(meta: &Metadata, path: String) -> Device {
    let number = meta.rdev();
    Device {
        kind: if meta.file_type().is_char_device() {
            "c"
        } else {
            "b"
        }
        .to_owned(),
        path,
        major: i64::from(sys::regular::major(number)),
        minor: i64::from(sys::regular::minor(number)),
        file_mode: Some(meta.mode() & 0o7777),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
    }
}

/// Reads a node of the host; else why it is none.
pub(crate) fn at(path: &Path) -> Result<Device, String> {
    let meta = std::fs::metadata(path).map_err(|e| words(&e))?;
    if !is_device(&meta) {
        return Err("not a device node".to_owned());
    }
    Ok(node(&meta, path.display().to_string()))
}

/// Shows every device node below a directory; what goes away meanwhile is left out.
fn walk(dir: &Path, show: &mut dyn FnMut(&Path, &Metadata)) {
    let mut dirs = vec![PathBuf::from(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.is_dir() {
                dirs.push(path);
            } else if is_device(&meta) {
                show(&path, &meta);
            }
        }
    }
}

/// Every device node of the host but those that a container has of its own.
fn of_the_host() -> Vec<Device> {
    const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", ".lxc", "console"];
    let mut all = Vec::new();
    walk(Path::new("/dev"), &mut |path, meta| {
        let own = path
            .components()
            .any(|part| OWN.iter().any(|own| part.as_os_str() == *own));
        if !own {
            all.push(node(meta, path.display().to_string()));
        }
    });
    all
}

/// Looks up the numbers of block devices with a limit.
pub(crate) fn block_io(given: &BlockIo) -> Result<Option<oci::BlockIo>> {
    if *given == BlockIo::default() {
        return Ok(None);
    }
    let rates = |list: &[(String, u64)]| -> Result<Vec<oci::ThrottleDevice>> {
        list.iter()
            .map(|(path, rate)| {
                let (major, minor) = numbers(path)?;
                Ok(oci::ThrottleDevice {
                    major,
                    minor,
                    rate: *rate,
                })
            })
            .collect()
    };
    let weights = given.weights.iter().map(|(path, weight)| {
        let (major, minor) = numbers(path)?;
        Ok(oci::WeightDevice {
            major,
            minor,
            weight: Some(*weight),
        })
    });
    Ok(Some(oci::BlockIo {
        weight: (given.weight != 0).then_some(given.weight),
        weight_device: weights.collect::<Result<_>>()?,
        throttle_read_bps_device: rates(&given.read_bps)?,
        throttle_write_bps_device: rates(&given.write_bps)?,
        throttle_read_iops_device: rates(&given.read_iops)?,
        throttle_write_iops_device: rates(&given.write_iops)?,
        ..oci::BlockIo::default()
    }))
}

fn numbers(path: &str) -> Result<(i64, i64)> {
    let meta = std::fs::metadata(path).map_err(|e| {
        let sentence = format!("stat {path}: {}", words(&e));
        Error::new(types::ErrorKind::Internal, sentence)
    })?;
    let number = meta.rdev();
    Ok((
        i64::from(sys::regular::major(number)),
        i64::from(sys::regular::minor(number)),
    ))
}

/// An errno as Go says it.
fn words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => sys::errno_text(sys::Errno::from_raw_os_error(errno)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::HostDevice;
    use super::*;

    fn host(source: &str, target: &str) -> Host {
        Host {
            devices: vec![HostDevice {
                source: source.to_owned(),
                target: target.to_owned(),
                access: "r".to_owned(),
            }],
            ..Host::default()
        }
    }

    #[test]
    fn a_node_is_looked_up() {
        let all = resolve(&host("/dev/null", "/dev/nothing")).unwrap();
        let node = &all.nodes[0];
        assert_eq!(
            (
                node.kind.as_str(),
                node.path.as_str(),
                node.major,
                node.minor
            ),
            ("c", "/dev/nothing", 1, 3)
        );
        assert_eq!(all.rules[0].access, "r");
        assert_eq!(numbers("/dev/null").unwrap(), (1, 3));
    }

    #[test]
    fn what_is_no_node_is_refused_in_docker_s_words() {
        let start = "error gathering device information while adding custom device";
        for (path, why) in [
            ("/dev/nope", "no such file or directory"),
            ("/etc/passwd", "not a device node"),
            ("/proc/sys", "not a device node"),
        ] {
            let error = resolve(&host(path, path)).unwrap_err();
            assert_eq!(error.to_string(), format!("{start} {path:?}: {why}"));
        }
        assert_eq!(
            numbers("/dev/nope").unwrap_err().to_string(),
            "stat /dev/nope: no such file or directory"
        );
    }

    #[test]
    fn a_privileged_container_has_all_once() {
        let mut host = host("/dev/null", "/dev/null");
        host.privileged = true;
        let all = resolve(&host).unwrap();
        let nulls = all.nodes.iter().filter(|node| node.path == "/dev/null");
        assert_eq!(nulls.count(), 1);
    }
}
