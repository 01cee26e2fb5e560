//! What a directory of the image holds becomes the first content of a tmpfs mounted over it.

use std::ffi::OsStr;
use std::io::copy;
use std::os::fd::BorrowedFd;
use std::path::Path;

use sys::Errno;
use sys::dir::{Dir, Kind};

/// Deepest directory that is followed.
const DEPTH: usize = 64;

/// Copies all below `from` to the empty directory `to`: files, directories, links, with owners and
/// modes. Devices and sockets are left out.
pub(crate) fn copy_up(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> sys::Result<()> {
    copy_dir(&Dir::of(from)?, &Dir::of(to)?, DEPTH)
}

fn copy_dir(from: &Dir, to: &Dir, depth: usize) -> sys::Result<()> {
    if depth == 0 {
        return Err(sys::Error::new("copy_up", Errno::LOOP));
    }
    for name in from.names()? {
        copy_entry(from, to, &name, depth)?;
    }
    Ok(())
}

fn copy_entry(from: &Dir, to: &Dir, name: &OsStr, depth: usize) -> sys::Result<()> {
    let stat = from.stat(name)?;
    match stat.kind {
        Kind::Directory => {
            to.make_dir(name, 0o700)?;
            let path = Path::new(name);
            copy_dir(&from.open_dir(path)?, &to.open_dir(path)?, depth - 1)?;
        }
        Kind::Symlink => {
            to.symlink(&from.read_link(name)?, name)?;
            return to.chown(name, stat.uid, stat.gid);
        }
        Kind::File => {
            let mut source = from.open_file(Path::new(name))?;
            let mut target = to.create_file(name, 0o600)?;
            copy(&mut source, &mut target)
                .map_err(|error| sys::Error::from_io("copy_up", &error))?;
        }
        _ => return Ok(()),
    }
    to.chown(name, stat.uid, stat.gid)?;
    to.chmod(name, stat.mode & 0o7777)
}
