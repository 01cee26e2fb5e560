//! Pure: which capabilities a container has, and their names.

use runtime::seccomp::DEFAULT_CAPABILITIES;

use super::record::Host;

/// All capabilities in the kernel's order (include/uapi/linux/capability.h).
const ALL_CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Returns the capability names of a container, in the kernel's order.
pub(crate) fn capabilities(host: &Host) -> Vec<String> {
    if host.privileged {
        return ALL_CAPABILITIES.map(str::to_owned).to_vec();
    }
    let listed = |list: &[String], name: &str| list.iter().any(|item| item == name);
    let drop_all = listed(&host.cap_drop, "ALL");
    let add_all = listed(&host.cap_add, "ALL");
    ALL_CAPABILITIES
        .into_iter()
        .filter(|name| {
            if listed(&host.cap_drop, name) {
                return false;
            }
            listed(&host.cap_add, name)
                || add_all
                || (!drop_all && DEFAULT_CAPABILITIES.contains(name))
        })
        .map(str::to_owned)
        .collect()
}

/// Brings a capability's name to its full form; `None` if there is no such capability.
pub fn capability_name(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" {
        return Some(upper);
    }
    let full = if upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    };
    ALL_CAPABILITIES.contains(&full.as_str()).then_some(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_as_docker_has_them() {
        let mask = |host: &Host| {
            capabilities(host).iter().fold(0_u64, |mask, name| {
                let bit = ALL_CAPABILITIES
                    .iter()
                    .position(|known| known == name)
                    .unwrap();
                mask | 1 << bit
            })
        };
        let host = |add: &[&str], drop: &[&str]| Host {
            cap_add: add.iter().map(|&name| name.to_owned()).collect(),
            cap_drop: drop.iter().map(|&name| name.to_owned()).collect(),
            ..Host::default()
        };
        assert_eq!(mask(&Host::default()), 0xa804_25fb);
        assert_eq!(mask(&host(&[], &["ALL"])), 0);
        assert_eq!(mask(&host(&["CAP_CHOWN"], &["ALL"])), 1);
        assert_eq!(mask(&host(&["ALL"], &[])), 0x1ff_ffff_ffff);
        assert_eq!(
            mask(&host(&["CAP_SYS_ADMIN"], &["CAP_CHOWN"])),
            0xa804_25fa | 1 << 21
        );
    }

    #[test]
    fn capability_names() {
        assert_eq!(
            capability_name("net_admin").as_deref(),
            Some("CAP_NET_ADMIN")
        );
        assert_eq!(capability_name("cap_chown").as_deref(), Some("CAP_CHOWN"));
        assert_eq!(capability_name("all").as_deref(), Some("ALL"));
        assert_eq!(capability_name("nope"), None);
    }
}
