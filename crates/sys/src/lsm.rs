//! Labels of security modules.

use rustix::fs::{Mode, OFlags};

use crate::{Error, Result, failpoint};

/// Asks AppArmor for a profile at the next execve; `word` is `exec NAME`.
pub fn set_apparmor_exec(word: &[u8]) -> Result<()> {
    failpoint::pass("apparmor_exec")?;
    let failed = |errno| Error::new("apparmor_exec", errno);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/proc/self/attr/apparmor/exec", flags, Mode::empty())
        .or_else(|_| rustix::fs::open(c"/proc/self/attr/exec", flags, Mode::empty()))
        .map_err(failed)?;
    rustix::io::write(&file, word).map_err(failed)?;
    Ok(())
}
