//! Devices by name: `--device vendor.com/class=name`, `--gpus`. What a name stands for is said by
//! files of the Container Device Interface, which drivers leave on the host.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use types::oci::runtime::{Device, DeviceRule, SpecMount};

use super::devices::{self, Devices};
use super::record::DeviceRequest;
use crate::error::{Error, Result};

/// Where files are looked for; a later place overrules an earlier one.
const PLACES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// Longest file that is read.
const FILE_MAX: u64 = 4 << 20;
/// Kinds that `--gpus` means, the first that is there.
const GPUS: [&str; 2] = ["nvidia.com/gpu", "amd.com/gpu"];

/// What names of devices add to a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    pub(crate) env: Vec<String>,
    pub(crate) mounts: Vec<SpecMount>,
    pub(crate) groups: Vec<u32>,
    pub(crate) devices: Devices,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    kind: String,
    devices: Vec<Named>,
    container_edits: Change,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named {
    name: String,
    container_edits: Change,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Change {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<Mount>,
    hooks: Vec<serde::de::IgnoredAny>,
    #[serde(rename = "additionalGids")]
    groups: Vec<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    path: String,
    host_path: String,
    #[serde(rename = "type")]
    kind: String,
    major: i64,
    minor: i64,
    file_mode: Option<u32>,
    permissions: String,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Mount {
    host_path: String,
    container_path: String,
    options: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
}

/// Every device that has a name, with what its whole kind adds.
#[derive(Debug, Default)]
struct Registry {
    named: BTreeMap<String, (Change, Change)>,
}

/// Looks up what is asked for.
pub(crate) fn resolve(requests: &[DeviceRequest]) -> Result<Edits> {
    if requests.is_empty() {
        return Ok(Edits::default());
    }
    let registry = Registry::read(&PLACES.map(Path::new));
    let mut names = Vec::new();
    for request in requests {
        names.extend(registry.names(request)?);
    }
    registry.edits(&names)
}

impl Registry {
    /// A file that cannot be read is none: others must not suffer from it.
    fn read(places: &[&Path]) -> Self {
        let mut registry = Self::default();
        for place in places {
            let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
            let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
            paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
            paths.sort();
            for path in paths {
                let file = sys::dir::read_host_file(&path, FILE_MAX)
                    .map_err(|error| error.to_string())
                    .and_then(|text| {
                        serde_json::from_slice(&text).map_err(|error| error.to_string())
                    });
                match file {
                    Ok(file) => registry.add(file),
                    Err(error) => {
                        tracing::warn!(%error, path = %path.display(), "reading a device file");
                    }
                }
            }
        }
        registry
    }

    fn add(&mut self, file: File) {
        for device in file.devices {
            let name = format!("{}={}", file.kind, device.name);
            let change = (device.container_edits, file.container_edits.clone());
            self.named.insert(name, change);
        }
    }

    /// The whole names of what a request means.
    fn names(&self, request: &DeviceRequest) -> Result<Vec<String>> {
        if request.driver == "cdi" {
            return Ok(request.ids.clone());
        }
        let unknown = || {
            let all: Vec<String> = request
                .capabilities
                .iter()
                .map(|words| format!("[{}]", words.join(" ")))
                .collect();
            Error::new(
                types::ErrorKind::Internal,
                format!(
                    "could not select device driver {:?} with capabilities: [{}]",
                    request.driver,
                    all.join(" ")
                ),
            )
        };
        let graphics = request
            .capabilities
            .iter()
            .any(|words| words.iter().any(|word| word == "gpu"));
        let fits = |kind: &str| request.driver.is_empty() || kind.starts_with(&request.driver);
        let found = GPUS.iter().filter(|kind| fits(kind)).find_map(|kind| {
            let prefix = format!("{kind}=");
            let of_kind = self.named.keys().filter(|name| name.starts_with(&prefix));
            let all: Vec<String> = of_kind.cloned().collect();
            (!all.is_empty()).then_some((prefix, all))
        });
        let Some((prefix, all)) = found.filter(|_| graphics) else {
            return Err(unknown());
        };
        if !request.ids.is_empty() {
            return Ok(request
                .ids
                .iter()
                .map(|id| format!("{prefix}{id}"))
                .collect());
        }
        let whole = format!("{prefix}all");
        if request.count < 0 && all.contains(&whole) {
            return Ok(vec![whole]);
        }
        let single: Vec<String> = all.into_iter().filter(|name| *name != whole).collect();
        match usize::try_from(request.count) {
            Ok(count) if count > single.len() => Err(unknown()),
            Ok(count) => Ok(single.into_iter().take(count).collect()),
            Err(_) => Ok(single),
        }
    }

    fn edits(&self, names: &[String]) -> Result<Edits> {
        let failed = |why: String| {
            let sentence = format!("CDI device injection failed: {why}");
            Error::new(types::ErrorKind::Internal, sentence)
        };
        let unknown: Vec<&str> = names
            .iter()
            .filter(|name| !self.named.contains_key(*name))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            return Err(failed(format!(
                "unresolvable CDI devices {}",
                unknown.join(", ")
            )));
        }
        let mut edits = Edits::default();
        let mut kinds = std::collections::BTreeSet::new();
        for (name, (own, common)) in names
            .iter()
            .filter_map(|name| self.named.get_key_value(name))
        {
            let kind = name.split('=').next().unwrap_or_default();
            let first = kinds.insert(kind);
            for change in [Some(own), first.then_some(common)].into_iter().flatten() {
                // A driver that counts on its hook would be half there without it.
                if !change.hooks.is_empty() {
                    return Err(failed(format!("the hooks of {name} are not built yet")));
                }
                edits.add(change).map_err(failed)?;
            }
        }
        Ok(edits)
    }
}

impl Edits {
    fn add(&mut self, change: &Change) -> Result<(), String> {
        self.env.extend(change.env.iter().cloned());
        self.groups.extend(&change.groups);
        for node in &change.device_nodes {
            let node = device(node)?;
            self.devices.rules.push(node.1);
            self.devices.nodes.push(node.0);
        }
        self.mounts
            .extend(change.mounts.iter().map(|mount| SpecMount {
                destination: mount.container_path.clone(),
                kind: if mount.kind.is_empty() {
                    "bind".to_owned()
                } else {
                    mount.kind.clone()
                },
                source: mount.host_path.clone(),
                options: if mount.options.is_empty() {
                    vec!["rbind".to_owned(), "ro".to_owned()]
                } else {
                    mount.options.clone()
                },
                ..SpecMount::default()
            }));
        Ok(())
    }
}

/// What a file leaves open, the host's node says.
fn device(node: &Node) -> Result<(Device, DeviceRule), String> {
    let source = if node.host_path.is_empty() {
        &node.path
    } else {
        &node.host_path
    };
    let mut device = if node.kind.is_empty() || (node.kind != "p" && node.major == 0) {
        devices::at(Path::new(source)).map_err(|why| format!("{source}: {why}"))?
    } else {
        Device {
            kind: node.kind.clone(),
            major: node.major,
            minor: node.minor,
            ..Device::default()
        }
    };
    device.path.clone_from(&node.path);
    device.file_mode = node.file_mode.or(device.file_mode);
    device.uid = node.uid.or(device.uid);
    device.gid = node.gid.or(device.gid);
    let rule = DeviceRule {
        allow: true,
        kind: device.kind.clone(),
        major: Some(device.major),
        minor: Some(device.minor),
        access: if node.permissions.is_empty() {
            "rwm".to_owned()
        } else {
            node.permissions.clone()
        },
    };
    Ok((device, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.add(
            serde_json::from_str(
                r#"{"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu",
                "containerEdits": {"env": ["ALL=1"]},
                "devices": [
                    {"name": "0", "containerEdits": {"env": ["GPU=0"],
                        "deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/null"}]}},
                    {"name": "1", "containerEdits": {"mounts": [
                        {"hostPath": "/a", "containerPath": "/b"}]}},
                    {"name": "h", "containerEdits": {"hooks": [{"path": "/x"}]}}
                ]}"#,
            )
            .unwrap(),
        );
        registry
    }

    fn request(driver: &str, count: i64, ids: &[&str]) -> DeviceRequest {
        DeviceRequest {
            driver: driver.to_owned(),
            count,
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            capabilities: vec![vec!["gpu".to_owned()]],
        }
    }

    #[test]
    fn names_become_edits() {
        let registry = registry();
        let names = registry.names(&request("", 2, &[])).unwrap();
        assert_eq!(names, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]);
        let edits = registry.edits(&names).unwrap();
        assert_eq!(edits.env, ["GPU=0", "ALL=1"]);
        assert_eq!(edits.devices.nodes[0].path, "/dev/gpu0");
        assert_eq!((edits.devices.nodes[0].major, edits.mounts.len()), (1, 1));
        let named = registry.names(&request("cdi", 0, &["a.b/c=d"])).unwrap();
        assert_eq!(
            registry.edits(&named).unwrap_err().to_string(),
            "CDI device injection failed: unresolvable CDI devices a.b/c=d"
        );
        let ids = registry.names(&request("nvidia", 0, &["1"])).unwrap();
        assert_eq!(ids, ["nvidia.com/gpu=1"]);
        assert!(registry.edits(&["nvidia.com/gpu=h".to_owned()]).is_err());
    }

    #[test]
    fn without_a_driver_it_is_said_as_docker_says_it() {
        let none = Registry::default();
        assert_eq!(
            none.names(&request("", -1, &[])).unwrap_err().to_string(),
            "could not select device driver \"\" with capabilities: [[gpu]]"
        );
        assert!(registry().names(&request("", 9, &[])).is_err());
    }
}
