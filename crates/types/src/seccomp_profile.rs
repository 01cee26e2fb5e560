//! Pure: a system call filter as Docker's users write it (`--security-opt seccomp=FILE`): the
//! runtime's rules, with conditions on architecture, capabilities and kernel.

use serde::{Deserialize, Serialize};

use crate::oci::runtime::{Seccomp, SeccompArg, SeccompRule};

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompProfile {
    /// `SCMP_ACT_ERRNO`, …
    pub default_action: String,
    /// errno of the default action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_X86_64`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// Architectures by the machine's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arch_map: Vec<ArchMap>,
    /// `SECCOMP_FILTER_FLAG_LOG`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Rules.
    pub syscalls: Vec<ProfileRule>,
}

/// What else a machine runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ArchMap {
    /// The machine's.
    pub architecture: String,
    /// What it runs too.
    pub sub_architectures: Vec<String>,
}

/// A rule, and where it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProfileRule {
    /// One call; the old form.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Calls.
    pub names: Vec<String>,
    /// What happens.
    pub action: String,
    /// errno of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions on arguments.
    pub args: Option<Vec<SeccompArg>>,
    /// It counts only where all of this is so.
    pub includes: Condition,
    /// It does not count where any of this is so.
    pub excludes: Condition,
}

/// Where a rule counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Machines, as Go names them: `amd64`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arches: Vec<String>,
    /// Capabilities in the bounding set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<String>,
    /// Oldest kernel, `4.8`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub min_kernel: String,
}

/// Why a profile makes no sense. The texts are Docker's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not the document that we know.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Two ways to say the same.
    #[error("both '{0}' and '{1}' are specified in the seccomp profile, use either '{0}' or '{1}'")]
    Both(&'static str, &'static str),
    /// Neither `4.8` nor older than what runs here for certain.
    #[error("kernel version {0:?} in the seccomp profile is not understood")]
    Kernel(String),
}

/// The machine that this program is built for, in Go's and in libseccomp's words.
const MACHINE: (&str, &str) = if cfg!(target_arch = "aarch64") {
    ("arm64", "SCMP_ARCH_AARCH64")
} else {
    ("amd64", "SCMP_ARCH_X86_64")
};
/// Every kernel that containers run on here is at least this one: openat2 and clone3's arguments.
const OLDEST_KERNEL: (u32, u32) = (5, 8);

impl SeccompProfile {
    /// Reads the document, and makes sure that it resolves.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = serde_json::from_str(text)?;
        profile.resolve(&[]).map(|_| profile)
    }

    /// Returns what the runtime is told for a container whose bounding set holds `capabilities`.
    /// Whether it fails does not depend on them.
    pub fn resolve(&self, capabilities: &[String]) -> Result<Seccomp, ProfileError> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(ProfileError::Both("architectures", "archMap"));
        }
        let mut architectures = self.architectures.clone();
        for map in self
            .arch_map
            .iter()
            .filter(|map| map.architecture == MACHINE.1)
        {
            architectures.push(map.architecture.clone());
            architectures.extend(map.sub_architectures.iter().cloned());
        }
        let mut syscalls = Vec::with_capacity(self.syscalls.len());
        for rule in &self.syscalls {
            let names = match (rule.name.is_empty(), rule.names.is_empty()) {
                (false, false) => return Err(ProfileError::Both("name", "names")),
                (false, true) => vec![rule.name.clone()],
                (true, _) => rule.names.clone(),
            };
            // Both are asked in any case, so that an error does not depend on capabilities.
            let (included, excluded) = (
                rule.includes.all(capabilities)?,
                rule.excludes.any(capabilities)?,
            );
            if included && !excluded {
                syscalls.push(SeccompRule {
                    names,
                    action: rule.action.clone(),
                    errno_ret: rule.errno_ret,
                    args: rule.args.clone().unwrap_or_default(),
                });
            }
        }
        Ok(Seccomp {
            default_action: self.default_action.clone(),
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: self.flags.clone(),
            syscalls,
            ..Seccomp::default()
        })
    }
}

impl Condition {
    fn all(&self, capabilities: &[String]) -> Result<bool, ProfileError> {
        let kernel = self.min_kernel.is_empty() || self.is_new_enough()?;
        let arch = self.arches.is_empty() || self.arches.iter().any(|arch| arch == MACHINE.0);
        let caps = self.caps.iter().all(|cap| capabilities.contains(cap));
        Ok(arch && caps && kernel)
    }

    fn any(&self, capabilities: &[String]) -> Result<bool, ProfileError> {
        let kernel = !self.min_kernel.is_empty() && self.is_new_enough()?;
        let arch = self.arches.iter().any(|arch| arch == MACHINE.0);
        let caps = self.caps.iter().any(|cap| capabilities.contains(cap));
        Ok(arch || caps || kernel)
    }

    fn is_new_enough(&self) -> Result<bool, ProfileError> {
        let unknown = || ProfileError::Kernel(self.min_kernel.clone());
        let (major, minor) = self.min_kernel.split_once('.').ok_or_else(unknown)?;
        let number = |word: &str| word.parse::<u32>().map_err(|_| unknown());
        if (number(major)?, number(minor)?) <= OLDEST_KERNEL {
            Ok(true)
        } else {
            Err(unknown())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> SeccompProfile {
        serde_json::from_str(text).unwrap()
    }

    fn names(text: &str, capabilities: &[&str]) -> Result<Vec<String>, ProfileError> {
        let own: Vec<String> = capabilities.iter().map(|&name| name.to_owned()).collect();
        let resolved = profile(text).resolve(&own)?;
        Ok(resolved
            .syscalls
            .into_iter()
            .flat_map(|rule| rule.names)
            .collect())
    }

    #[test]
    fn rules_count_where_they_say() {
        let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null},
            {"name": "write", "action": "SCMP_ACT_ALLOW"},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["s390_x"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}}
        ]}"#;
        assert_eq!(
            names(text, &[]).unwrap(),
            ["read", "write", "clone", "ptrace"]
        );
        let admin = names(text, &["CAP_SYS_ADMIN"]).unwrap();
        assert_eq!(admin, ["read", "write", "mount", "ptrace"]);
    }

    #[test]
    fn architectures_are_those_of_the_machine() {
        let text = format!(
            r#"{{"archMap": [{{"architecture": "{}", "subArchitectures": ["SCMP_ARCH_X86"]}},
            {{"architecture": "SCMP_ARCH_S390X"}}]}}"#,
            MACHINE.1
        );
        let resolved = profile(&text).resolve(&[]).unwrap();
        assert_eq!(resolved.architectures, [MACHINE.1, "SCMP_ARCH_X86"]);
    }

    #[test]
    fn refuses_what_says_nothing() {
        let check = |text| names(text, &[]).unwrap_err().to_string();
        let both = r#"{"syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}"#;
        assert_eq!(
            check(both),
            "both 'name' and 'names' are specified in the seccomp profile, \
             use either 'name' or 'names'"
        );
        assert!(SeccompProfile::parse("{").is_err());
        assert!(SeccompProfile::parse(both).is_err());
        let kernel = r#"{"syscalls": [{"names": ["a"], "includes": {"minKernel": "99.1"}}]}"#;
        assert_eq!(
            check(kernel),
            "kernel version \"99.1\" in the seccomp profile is not understood"
        );
    }
}
