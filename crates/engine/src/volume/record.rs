//! What is known of a volume, and of those that are gone but for their directory.

use std::collections::BTreeMap;

use meta::Table;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Name → volume.
pub(crate) const VOLUMES: Table<VolumeRecord> = Table::new("volume");
/// Names of volumes whose record is gone and whose directory may be there still. A directory that
/// nobody knows is somebody's data, and stays.
pub(crate) const DOOMED: Table<String> = Table::new("volume_doomed");

/// The label of a volume that got its name from us.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";
/// The driver that is built in.
pub const LOCAL: &str = "local";

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeRecord {
    /// Its name.
    pub name: String,
    /// Who keeps it.
    pub driver: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

impl VolumeRecord {
    /// Tells whether it got its name from us.
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }
}

/// Returns a name for a volume that was given none.
pub(crate) fn new_name() -> Result<String> {
    let mut bytes = [0; 32];
    sys::random::fill(&mut bytes).map_err(|e| Error::internal("drawing a name", e))?;
    Ok(bytes.iter().fold(String::new(), |mut name, byte| {
        use std::fmt::Write as _;
        // To a string it cannot fail.
        let _written = write!(name, "{byte:02x}");
        name
    }))
}

/// Checks a name of the local driver; the messages are Docker's.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::invalid(
            "volume name is too short, names should be at least two alphanumeric characters",
        ));
    }
    let first = name.bytes().next().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    // The file system's own limit for one name.
    if first.is_ascii_alphanumeric() && name.bytes().all(fits) && name.len() <= 255 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name:?} includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use \
         absolute path"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["ab", "a_b.c-d", "0x", &"a".repeat(255)] {
            check_name(good).unwrap();
        }
        for bad in ["", "a", ".a", "-a", "a/b", "a b", "ä1", &"a".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        let name = new_name().unwrap();
        assert!(name.len() == 64 && check_name(&name).is_ok());
    }
}
