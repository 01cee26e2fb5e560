//! Kernel parameters, of namespaces that the container has of its own. No I/O here.

use std::ffi::CString;

use sys::namespace;
use types::oci::runtime::Linux;

use super::{Facts, Invalid, Namespaces, text};

/// A kernel parameter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sysctl {
    pub(crate) name: String,
    /// Below /proc: `sys/net/ipv4/…`.
    pub(crate) path: CString,
    pub(crate) value: CString,
}

/// Decides the parameters.
pub(super) fn sysctls(
    linux: &Linux,
    namespaces: &Namespaces,
    facts: Facts,
) -> Result<Vec<Sysctl>, Invalid> {
    let mut steps = Vec::new();
    for (name, value) in &linux.sysctl {
        if matches!(name.as_str(), "kernel.hostname" | "kernel/hostname") {
            return Err(Invalid::Conflict(
                "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \"hostname\" field",
            ));
        }
        // Both forms are in use: dots, and slashes where a part (a link's name) has dots itself.
        let path = match (name.find('/'), name.find('.')) {
            (Some(slash), Some(dot)) if slash < dot => name.clone(),
            (Some(_), None) => name.clone(),
            _ => name.replace(['.', '/'], "\0").replace('\0', "/"),
        };
        let separate = match sysctl_namespace(&path) {
            Some(namespace::NETWORK) if facts.has_netns => true,
            Some(kind) => namespaces.is_separate(kind),
            None => false,
        };
        if !separate || path.split('/').any(|part| part.is_empty() || part == "..") {
            return Err(Invalid::Sysctl(name.clone()));
        }
        steps.push(Sysctl {
            name: name.clone(),
            path: text("sysctl", &format!("sys/{path}"))?,
            value: text("sysctl", value)?,
        });
    }
    Ok(steps)
}

/// Which namespace a kernel parameter belongs to (namespaces(7), and what peers allow).
fn sysctl_namespace(path: &str) -> Option<u64> {
    const IPC: [&str; 9] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/auto_msgmni",
    ];
    if path.starts_with("net/") {
        Some(namespace::NETWORK)
    } else if IPC.contains(&path) || path.starts_with("fs/mqueue/") {
        Some(namespace::IPC)
    } else if path == "kernel/domainname" || path == "kernel/hostname" {
        Some(namespace::UTS)
    } else {
        None
    }
}
