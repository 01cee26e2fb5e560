//! A mount of another container: the kernel copies a mount only for who is in its mount namespace,
//! so this process goes there for the time of one call.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use sys::mount::{self, Tree};
use sys::{Errno, namespace};

/// Copies the mount at a path of the host. Of a mount that is another container's,
/// `/proc/PID/root/PATH`, the copy is made in that container's namespace.
///
/// Invariant: the caller has one thread (setns(2) demands it of who changes its mount namespace).
/// Its root and directory are the mount namespace's own afterwards, which are a shim's anyway.
pub(crate) fn open_tree(source: &CStr, tree: Tree) -> sys::Result<OwnedFd> {
    let error = match mount::open_host_tree(source, tree) {
        Err(error) if error.errno == Errno::INVAL => error,
        done => return done,
    };
    let Some((process, path)) = parts(source) else {
        return Err(error);
    };
    let own = namespace::open(&PathBuf::from("/proc/self/ns/mnt"))?;
    let other = namespace::open(&process.join("ns/mnt"))?;
    namespace::enter(&other, namespace::MOUNT)?;
    let found = mount::open_host_tree(&path, tree);
    // To go on in a stranger's namespace would be worse than to end.
    if namespace::enter(&own, namespace::MOUNT).is_err() {
        std::process::abort();
    }
    found
}

fn parts(source: &CStr) -> Option<(PathBuf, CString)> {
    let rest = source.to_str().ok()?.strip_prefix("/proc/")?;
    let (pid, rest) = rest.split_once('/')?;
    let path = rest.strip_prefix("root/")?;
    let pid: u32 = pid.parse().ok()?;
    let path = CString::new(format!("/{path}")).ok()?;
    Some((PathBuf::from(format!("/proc/{pid}")), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roots_of_processes_are_foreign() {
        let (process, path) = parts(c"/proc/12/root/dev/shm").unwrap();
        assert_eq!(process, PathBuf::from("/proc/12"));
        assert_eq!(path.as_c_str(), c"/dev/shm");
        for other in [
            c"/proc/self/root/x",
            c"/dev/shm",
            c"/proc/12/cwd/x",
            c"/proc/12",
        ] {
            assert!(parts(other).is_none());
        }
    }
}
