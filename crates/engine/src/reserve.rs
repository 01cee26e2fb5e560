//! Disk space kept back: when the disk is full, what ends and removes things can still work.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use crate::Engine;
use crate::layout::Layout;

/// Bytes that `stop`, `kill`, `rm` and `rmi` may use when the disk is full.
const RESERVE_BYTES: u64 = 4 << 20;
/// The disk is full: with less than this, records and exit codes may not be written.
const FULL_BYTES: u64 = 1 << 20;

/// Takes the space, where there is enough of it.
pub(crate) fn keep(layout: &Layout) {
    let kept = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(layout.reserve())
        .map_err(|e| sys::Error::from_io("open", &e))
        .and_then(|file| {
            // With less the reserve itself would fill the disk.
            if available(&file)? < 2 * RESERVE_BYTES && !is_kept(&file) {
                return Err(sys::Error::from_io(
                    "fallocate",
                    &std::io::ErrorKind::StorageFull.into(),
                ));
            }
            sys::dir::fallocate(file.as_fd(), RESERVE_BYTES)
        });
    if let Err(error) = kept {
        tracing::warn!(%error, "no disk space in reserve");
    }
}

fn is_kept(file: &File) -> bool {
    file.metadata()
        .is_ok_and(|found| found.len() == RESERVE_BYTES)
}

fn available(file: &File) -> sys::Result<u64> {
    Ok(sys::dir::space(file.as_fd())?.available)
}

impl Engine {
    /// Gives the space back when the disk is full: what comes next frees more. A daemon that starts,
    /// and a removal that found room again, take it anew.
    pub(crate) fn make_room(&self) {
        let Ok(file) = OpenOptions::new().write(true).open(self.layout().reserve()) else {
            return;
        };
        let full = available(&file).is_ok_and(|available| available < FULL_BYTES);
        if full && is_kept(&file) {
            match file.set_len(0) {
                Ok(()) => tracing::warn!("the disk is full: the space in reserve is given back"),
                Err(error) => tracing::warn!(%error, "giving back the space in reserve"),
            }
        }
    }

    /// Takes the space again that [`Self::make_room`] gave.
    pub(crate) fn keep_room(&self) {
        let reserve = self.layout().reserve();
        if std::fs::metadata(&reserve).is_ok_and(|found| found.len() == 0) {
            keep(self.layout());
        }
    }
}
