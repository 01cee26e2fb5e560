//! Which file is executed, found early, so that a name that is not there fails the creation.

use std::ffi::{CStr, CString};

use sys::{Errno, Error};

use super::Done;
use crate::handshake::{Failed, Step};
use crate::plan::process::{ProcessPlan, Program};

/// Finds the program as Go's exec.LookPath does, whose words Docker's users know: a name with a
/// slash fails with its own error, a search only with "not found".
pub(super) fn find(process: &ProcessPlan) -> Done<usize> {
    let failed = |error| Failed {
        step: Step::Program,
        item: 0,
        error,
    };
    match &process.program {
        Program::Path(path) => check(path).map(|()| 0).map_err(failed),
        Program::Search(places) => search(places).map_err(failed),
    }
}

/// Returns the first place that has the program. A place that could not be looked at may have it.
fn search(places: &[CString]) -> sys::Result<usize> {
    let mut reason = Error::new("search", Errno::NOENT);
    for (at, place) in places.iter().enumerate() {
        match check(place) {
            Ok(()) => return Ok(at),
            Err(error) if matches!(error.errno, Errno::IO | Errno::NOMEM) => reason = error,
            Err(_) => {}
        }
    }
    Err(reason)
}

/// Returns the path of place number `at`.
pub(super) fn place(program: &Program, at: usize) -> Option<&CStr> {
    match program {
        Program::Path(path) => Some(path),
        Program::Search(places) => places.get(at).map(AsRef::as_ref),
    }
}

fn check(path: &CStr) -> sys::Result<()> {
    let kind = sys::root::kind_at(path)?;
    if kind.is_dir {
        return Err(Error::new("execve", Errno::ISDIR));
    }
    if !kind.is_executable {
        return Err(Error::new("execve", Errno::ACCESS));
    }
    sys::root::may_execute(path)
}
