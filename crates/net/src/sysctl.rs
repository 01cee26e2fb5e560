//! Kernel settings under /proc/sys/net, as this thread's network namespace has them.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys/net").join(name)
}

/// Sets `name` (`ipv4/ip_forward`) to `value`; written only when it is something else, so that a
/// read-only /proc/sys with the right value is no error.
pub(crate) fn ensure(name: &str, value: &str) -> Result<()> {
    let path = path(name);
    let fail = |source| Error::Setting {
        path: path.clone(),
        source,
    };
    if std::fs::read_to_string(&path).map_err(fail)?.trim_end() == value {
        return Ok(());
    }
    write(&path, value).map_err(fail)
}

/// As [`ensure`], where the setting exists: without IPv6 in the kernel there is nothing to say
/// about it.
pub(crate) fn ensure_if_present(name: &str, value: &str) -> Result<()> {
    match ensure(name, value) {
        Err(Error::Setting { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}
