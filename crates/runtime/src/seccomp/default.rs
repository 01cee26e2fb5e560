//! Docker's default profile, which depends on the capabilities that a container may have.
//!
//! The data is what dockerd 28.5 hands to its runtime for each set of capabilities; but AF_ALG
//! (38) is refused beside AF_VSOCK (40), as the project's profile does since.

use std::collections::BTreeMap;

use serde::Deserialize;
use types::oci::runtime::{Seccomp, SeccompRule};

/// Capabilities of a container that asks for nothing (security reference §4).
pub const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

#[derive(Deserialize)]
struct Data {
    /// For every container.
    rules: Vec<SeccompRule>,
    /// For one that has the capability.
    with: BTreeMap<String, Vec<SeccompRule>>,
    /// For one that has not.
    without: BTreeMap<String, Vec<SeccompRule>>,
}

/// Returns the profile for a container whose bounding set holds `capabilities` (`CAP_CHOWN`, …).
pub fn default_profile(capabilities: &[String]) -> Seccomp {
    let data: Data = serde_json::from_str(include_str!("default.json"))
        .expect("checked in, and read by the tests below");
    let has = |name: &String| capabilities.contains(name);
    let mut syscalls = data.rules;
    syscalls.extend(
        data.with
            .into_iter()
            .filter(|(name, _)| has(name))
            .flat_map(|(_, rules)| rules),
    );
    syscalls.extend(
        data.without
            .into_iter()
            .filter(|(name, _)| !has(name))
            .flat_map(|(_, rules)| rules),
    );
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".to_owned(),
        default_errno_ret: Some(1),
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
            .map(str::to_owned)
            .to_vec(),
        flags: Vec::new(),
        syscalls,
        ..Seccomp::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(capabilities: &[&str]) -> Vec<String> {
        let own: Vec<String> = capabilities.iter().map(|&name| name.to_owned()).collect();
        default_profile(&own)
            .syscalls
            .into_iter()
            .flat_map(|rule| rule.names)
            .collect()
    }

    #[test]
    fn capabilities_open_doors() {
        let has = |names: &[String], name: &str| names.iter().any(|own| own == name);
        let plain = names(&[]);
        assert!(has(&plain, "read") && has(&plain, "clone") && has(&plain, "clone3"));
        for name in [
            "mount",
            "bpf",
            "chroot",
            "reboot",
            "keyctl",
            "io_uring_setup",
        ] {
            assert!(!has(&plain, name), "{name}");
        }
        let admin = names(&["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]);
        assert!(has(&admin, "mount") && has(&admin, "chroot") && !has(&admin, "reboot"));
        assert_eq!(admin.iter().filter(|name| *name == "clone").count(), 1);
        assert!(has(&names(&["CAP_SYS_BOOT"]), "reboot"));
    }
}
