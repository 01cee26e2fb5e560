//! Pure: platforms: `linux/arm64/v8`, written in several ways, some of which run others.

use std::fmt;
use std::str::FromStr;

/// An operating system and a kind of CPU, in the words of Go (`linux/amd64`, `linux/arm/v7`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`
    pub architecture: String,
    /// `v7`; empty where the architecture has one that goes without saying.
    pub variant: String,
}

/// What this program is built for.
const HERE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

/// A text is no platform; the words are those of containerd's parser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlatform {
    /// A part has other characters than letters, digits, `_`, `-` and `.`.
    #[error(
        "{part:?} is an invalid component of {whole:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"
    )]
    Part {
        /// The part.
        part: String,
        /// All of it.
        whole: String,
    },
    /// One word that is neither an operating system nor an architecture.
    #[error("{0:?}: unknown operating system or architecture: invalid argument")]
    Unknown(String),
    /// More than three parts.
    #[error("{0:?}: cannot parse platform specifier: invalid argument")]
    Parts(String),
}

impl Platform {
    /// Makes one of what a document says, in normal form.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) = normal(architecture, variant);
        Self {
            os,
            architecture,
            variant,
        }
    }

    /// Returns that of machines with this CPU (`std::env::consts::ARCH`).
    pub fn of_machine(arch: &str) -> Self {
        let arch = match arch {
            "powerpc64" => "ppc64le",
            "x86" => "386",
            other => other,
        };
        Self::new("linux", arch, "")
    }

    /// Tells how well machines of this platform run an image for `other`: 0 is best; `None`: not at
    /// all.
    pub fn runs(&self, other: &Self) -> Option<u32> {
        if self.os != other.os {
            return None;
        }
        if self.architecture == other.architecture {
            if self.variant == other.variant {
                return Some(0);
            }
            let (own, theirs) = (self.level()?, other.level()?);
            return (theirs < own).then(|| own - theirs);
        }
        // A 64-bit ARM runs programs for a 32-bit one, when nothing of its own is there.
        if self.architecture == "arm64" && other.architecture == "arm" {
            return Some(100 - other.level()?.min(99));
        }
        None
    }

    /// The variant as a number: each runs what is made for a lower one.
    fn level(&self) -> Option<u32> {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm", "") => Some(7),
            ("arm64", "") => Some(8),
            ("amd64", "") => Some(1),
            (_, variant) => variant.strip_prefix('v')?.parse().ok(),
        }
    }
}

fn normal(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (
        architecture.to_ascii_lowercase(),
        variant.to_ascii_lowercase(),
    );
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
        ("x86_64" | "x86-64", other) => ("amd64", other),
        ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
        ("aarch64", other) => ("arm64", other),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        (architecture, variant) => (architecture, variant),
    };
    (architecture.to_owned(), variant.to_owned())
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        for part in &parts {
            let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            if part.is_empty() || !part.chars().all(fits) {
                return Err(InvalidPlatform::Part {
                    part: (*part).to_owned(),
                    whole: text.to_owned(),
                });
            }
        }
        match parts[..] {
            [one] => {
                let lower = one.to_ascii_lowercase();
                if ["linux", "windows", "darwin", "macos", "freebsd"].contains(&lower.as_str()) {
                    return Ok(Self::new(&lower, HERE, ""));
                }
                let known = [
                    "386", "i386", "amd64", "x86_64", "x86-64", "arm", "armhf", "armel", "arm64",
                    "aarch64", "ppc64le", "riscv64", "s390x", "mips64le", "loong64",
                ];
                if known.contains(&lower.as_str()) {
                    return Ok(Self::new("linux", one, ""));
                }
                Err(InvalidPlatform::Unknown(one.to_owned()))
            }
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(InvalidPlatform::Parts(text.to_owned())),
        }
    }
}

/// As Docker prints it: the variant of arm64 that goes without saying is said.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_in_several_ways() {
        for (text, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("armhf", "linux/arm/v7"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/s390x", "linux/s390x"),
        ] {
            let platform: Platform = text.parse().unwrap();
            assert_eq!(platform.to_string(), normal, "{text}");
            assert_eq!(normal.parse::<Platform>().unwrap(), platform);
        }
        for bad in ["", "a/b/c/d", "linux/", "li nux/amd64", "nothing", "-/*"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_runs_what() {
        for (own, other, how) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm64", "linux/arm/v7", Some(93)),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
        ] {
            let [own, other] = [own, other].map(|text| text.parse::<Platform>().unwrap());
            assert_eq!(own.runs(&other), how, "{own} {other}");
        }
    }
}
