//! Labels of security modules.

use rustix::fs::{Mode, OFlags};

use crate::{Error, Result, failpoint};

/// Tells whether AppArmor is on here.
pub fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with(b"Y"))
}

/// Tells whether SELinux is on here.
pub fn has_selinux() -> bool {
    std::fs::metadata("/sys/fs/selinux/enforce").is_ok()
}

/// Asks SELinux for a label at the next execve.
pub fn set_selinux_exec(label: &[u8]) -> Result<()> {
    failpoint::pass("selinux_exec")?;
    let failed = |errno| Error::new("selinux_exec", errno);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/proc/self/attr/exec", flags, Mode::empty()).map_err(failed)?;
    rustix::io::write(&file, label).map_err(failed)?;
    Ok(())
}

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
