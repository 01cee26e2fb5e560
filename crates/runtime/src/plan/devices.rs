//! /dev: its nodes and links, and which devices the container's group may use. No I/O here.

use sys::root::{Node, NodeKind};
use types::oci::runtime::{Device, DeviceRule, Resources};

use super::mounts::Target;
use super::{Invalid, LinkStep, NodeStep};

/// The nodes that every Linux program may expect (runtime specification, "Default Devices").
const DEFAULT_NODES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The nodes of /dev: the default ones, and what else is asked for.
pub(super) fn nodes(devices: &[Device]) -> Result<Vec<NodeStep>, Invalid> {
    let mut steps = Vec::new();
    for (path, major, minor) in DEFAULT_NODES {
        let node = Node {
            kind: NodeKind::Char,
            major,
            minor,
            mode: 0o666,
            uid: 0,
            gid: 0,
        };
        if !devices.iter().any(|device| device.path == path) {
            steps.push(NodeStep {
                target: Target::new(path)?,
                node,
            });
        }
    }
    for device in devices {
        let kind = match device.kind.as_str() {
            "c" | "u" => NodeKind::Char,
            "b" => NodeKind::Block,
            "p" => NodeKind::Fifo,
            word => {
                return Err(Invalid::Unknown {
                    what: "device type",
                    word: word.to_owned(),
                });
            }
        };
        let number = |value: i64| {
            let unknown = |_| Invalid::Unknown {
                what: "device number",
                word: value.to_string(),
            };
            u32::try_from(value).map_err(unknown)
        };
        let node = Node {
            kind,
            major: number(device.major)?,
            minor: number(device.minor)?,
            mode: device.file_mode.unwrap_or(0o666) & 0o7777,
            uid: device.uid.unwrap_or(0),
            gid: device.gid.unwrap_or(0),
        };
        steps.push(NodeStep {
            target: Target::new(&device.path)?,
            node,
        });
    }
    Ok(steps)
}

/// The links of /dev.
pub(super) fn links(has_kcore: bool) -> Result<Vec<LinkStep>, Invalid> {
    let core = ("/dev/core", c"/proc/kcore");
    [
        ("/dev/fd", c"/proc/self/fd"),
        ("/dev/stdin", c"/proc/self/fd/0"),
        ("/dev/stdout", c"/proc/self/fd/1"),
        ("/dev/stderr", c"/proc/self/fd/2"),
        ("/dev/ptmx", c"pts/ptmx"),
    ]
    .into_iter()
    .chain(has_kcore.then_some(core))
    .map(|(path, text)| {
        let target = Target::new(path)?;
        Ok(LinkStep {
            target,
            text: text.to_owned(),
        })
    })
    .collect()
}

/// Adds what every container may do to rules that were given: make any node, use the default ones
/// and terminals. Peers' engines leave that to the runtime; without rules all is allowed anyway.
pub(crate) fn with_default_rules(resources: &Resources) -> Resources {
    let mut resources = resources.clone();
    if resources.devices.is_empty() {
        return resources;
    }
    let rule = |kind: &str, major: Option<u32>, minor: Option<u32>, access: &str| DeviceRule {
        allow: true,
        kind: kind.to_owned(),
        major: major.map(i64::from),
        minor: minor.map(i64::from),
        access: access.to_owned(),
    };
    resources
        .devices
        .extend([rule("c", None, None, "m"), rule("b", None, None, "m")]);
    for (_, major, minor) in DEFAULT_NODES {
        resources
            .devices
            .push(rule("c", Some(major), Some(minor), "rwm"));
    }
    // Terminals: /dev/pts/N, /dev/ptmx.
    resources.devices.push(rule("c", Some(136), None, "rwm"));
    resources.devices.push(rule("c", Some(5), Some(2), "rwm"));
    resources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_rules_get_the_default_ones() {
        assert!(with_default_rules(&Resources::default()).devices.is_empty());
        let deny = DeviceRule {
            access: "rwm".to_owned(),
            ..DeviceRule::default()
        };
        let given = Resources {
            devices: vec![deny.clone()],
            ..Resources::default()
        };
        let all = with_default_rules(&given).devices;
        assert_eq!(all.len(), 11);
        assert_eq!(all[0], deny);
        assert!(all[1..].iter().all(|rule| rule.allow));
    }

    #[test]
    fn a_given_node_replaces_the_default_one() {
        let null = Device {
            kind: "c".to_owned(),
            path: "/dev/null".to_owned(),
            major: 1,
            minor: 3,
            file_mode: Some(0o600),
            ..Device::default()
        };
        let steps = nodes(&[null]).unwrap();
        assert_eq!(steps.len(), 6);
        let found: Vec<_> = steps
            .iter()
            .filter(|step| step.target.name == "/dev/null")
            .collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].node.mode, 0o600);
        assert!(
            nodes(&[Device {
                path: "/dev/x".to_owned(),
                ..Device::default()
            }])
            .is_err()
        );
    }
}
