//! `SecurityOpt`: what confines a container, in the engine's words.

use api::host_config::HostConfig;
use engine::container::record::Host;
use types::seccomp_profile::SeccompProfile;

use crate::error::Failure;
use crate::request::Result;

pub(super) fn security(given: &HostConfig, host: &mut Host) -> Result<()> {
    for option in given.security_opt.iter().flatten() {
        if option == "no-new-privileges" {
            host.no_new_privileges = true;
            continue;
        }
        let Some((key, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
            return Err(Failure::internal(format!(
                "invalid --security-opt 1: {option:?}"
            )));
        };
        let truth = || match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err(unknown(option)),
        };
        match (key, value) {
            ("no-new-privileges", _) => host.no_new_privileges = truth()?,
            ("writable-cgroups", _) => host.cgroup_writable = truth()?,
            ("systempaths", "unconfined") => host.system_paths_unconfined = true,
            ("seccomp", "unconfined") => host.seccomp_unconfined = true,
            ("seccomp", "builtin") | ("label", "disable") => {}
            ("seccomp", text) => {
                let refused = |e| format!("decoding seccomp profile failed: {e}");
                let profile = SeccompProfile::parse(text);
                host.seccomp = Some(profile.map_err(|e| Failure::bad_request(refused(e)))?);
            }
            // As in Docker both mean nothing on a kernel without that module.
            ("apparmor", profile) => {
                if has_apparmor() && profile != "unconfined" {
                    profile.clone_into(&mut host.apparmor);
                }
            }
            ("label", _) if has_selinux() => {
                return Err(Failure::not_yet(&format!("--security-opt {option}")));
            }
            ("label", _) => {}
            _ => return Err(unknown(option)),
        }
    }
    Ok(())
}

fn unknown(option: &str) -> Failure {
    Failure::internal(format!("invalid --security-opt 2: {option:?}"))
}

fn has_apparmor() -> bool {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.starts_with('Y'))
}

fn has_selinux() -> bool {
    std::path::Path::new("/sys/fs/selinux/enforce").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(option: &str) -> Result<Host> {
        let given = HostConfig {
            security_opt: Some(vec![option.to_owned()]),
            ..HostConfig::default()
        };
        let mut host = Host::default();
        security(&given, &mut host).map(|()| host)
    }

    #[test]
    fn options_in_all_forms() {
        let fits = |option: &str, wanted: fn(&Host) -> bool| {
            let host = with(option).map_err(|e| e.message);
            assert!(wanted(&host.unwrap()), "{option}");
        };
        fits("no-new-privileges", |host| host.no_new_privileges);
        fits("no-new-privileges:true", |host| host.no_new_privileges);
        fits("no-new-privileges=0", |host| !host.no_new_privileges);
        fits("seccomp=unconfined", |host| host.seccomp_unconfined);
        fits("seccomp=builtin", |host| !host.seccomp_unconfined);
        fits("writable-cgroups=true", |host| host.cgroup_writable);
        fits("label=disable", |_| true);
        fits("systempaths=unconfined", |host| {
            host.system_paths_unconfined
        });
        for (option, text) in [
            ("foo", "invalid --security-opt 1: \"foo\""),
            ("foo=bar", "invalid --security-opt 2: \"foo=bar\""),
            (
                "no-new-privileges=x",
                "invalid --security-opt 2: \"no-new-privileges=x\"",
            ),
        ] {
            assert_eq!(with(option).unwrap_err().message, text);
        }
    }
}
