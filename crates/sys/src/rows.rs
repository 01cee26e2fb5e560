//! Rows of the compatibility table as they are passed: a test learns which flag was parsed and
//! which route was hit, and may ask that one of them does nothing.
//!
//! Compiled in by the feature `failpoints`; without it [`pass`] is an empty inline function. The
//! order is given once per process by [`configure`]: a file to which a line is appended for every
//! row that is passed, and the row that does nothing (see docs/decisions/0009-rows-are-proven.md).

#[cfg(feature = "failpoints")]
pub use armed::{configure, pass};

/// Passes a row; returns whether it is to be obeyed.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn pass(_row: impl FnOnce() -> String) -> bool {
    true
}

/// Takes the order for this process; without the feature there is none to take.
#[cfg(not(feature = "failpoints"))]
pub const fn configure(_record: Option<&std::ffi::OsStr>, _dead: Option<&std::ffi::OsStr>) {}

#[cfg(feature = "failpoints")]
mod armed {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io::Write;
    use std::sync::OnceLock;

    #[derive(Debug)]
    struct Order {
        record: Option<File>,
        dead: Option<String>,
    }

    static ORDER: OnceLock<Order> = OnceLock::new();

    /// Takes the order for this process, once: the file that tells what was passed, and the row
    /// that is `dead`: it is not to be obeyed.
    pub fn configure(record: Option<&OsStr>, dead: Option<&OsStr>) {
        let open = |path| {
            let file = File::options().append(true).create(true).open(path);
            file.ok()
        };
        // Ignored: a second order for one process is a caller's mistake that changes nothing.
        drop(ORDER.set(Order {
            record: record.filter(|path| !path.is_empty()).and_then(open),
            dead: dead.map(|row| row.to_string_lossy().into_owned()),
        }));
    }

    /// Passes a row; returns whether it is to be obeyed.
    pub fn pass(row: impl FnOnce() -> String) -> bool {
        let Some(order) = ORDER.get() else {
            return true;
        };
        if order.record.is_none() && order.dead.is_none() {
            return true;
        }
        let row = row();
        if let Some(mut record) = order.record.as_ref() {
            // One write, so that lines of several processes never mix; a full disk costs a line.
            drop(record.write_all(format!("{row}\n").as_bytes()));
        }
        order.dead.as_ref() != Some(&row)
    }
}
