//! What the process may do and use, in the order in which it can still be set.

use std::os::fd::OwnedFd;

use sys::sched::Limit;
use sys::{Errno, credentials};

use super::{At, Done};
use crate::handshake::Step;
use crate::plan::process::ProcessPlan;

/// The number of capabilities that a set can hold.
const CAPABILITY_NUMBERS: u32 = 64;

/// Limits, before the user changes: a hard limit that may not be raised stays as it is, unless the
/// caller wants to hear of that.
pub(super) fn set_limits(process: &ProcessPlan) -> Done {
    for (item, limit) in process.limits.iter().enumerate() {
        let done = match sys::sched::set_limit(*limit) {
            Err(error) if error.errno == Errno::PERM && !process.is_alone => {
                sys::sched::limit(limit.resource).and_then(|now| {
                    let hard = limit.hard.min(now.hard);
                    sys::sched::set_limit(Limit {
                        hard,
                        soft: limit.soft.min(hard),
                        ..*limit
                    })
                })
            }
            done => done,
        };
        done.at(Step::Limit, item)?;
    }
    Ok(())
}

/// When it runs.
pub(super) fn set_schedule(process: &ProcessPlan) -> Done {
    if let Some(wanted) = process.scheduling {
        sys::sched::set_scheduling(wanted).at(Step::Schedule, 0)?;
    }
    if let Some((class, level)) = process.io_priority {
        sys::sched::set_io_priority(class, level).at(Step::Schedule, 1)?;
    }
    if let Some(persona) = process.personality {
        sys::sched::set_personality(persona).at(Step::Schedule, 2)?;
    }
    Ok(())
}

/// The profile that execve changes to.
pub(super) fn set_label(process: &ProcessPlan) -> Done {
    if let Some(label) = &process.selinux {
        sys::lsm::set_selinux_exec(label.to_bytes()).at(Step::Label, 1)?;
    }
    match &process.apparmor {
        Some(word) => sys::lsm::set_apparmor_exec(word.to_bytes()).at(Step::Label, 0),
        None => Ok(()),
    }
}

/// The filter; returns its listener.
pub(super) fn load_filter(process: &ProcessPlan) -> Done<Option<OwnedFd>> {
    if process.no_new_privs {
        credentials::set_no_new_privs().at(Step::Capabilities, 0)?;
    }
    match &process.filter {
        Some(filter) if filter.listener.is_some() => {
            sys::seccomp::load_with_listener(&filter.program, filter.flags)
                .map(Some)
                .at(Step::Seccomp, 0)
        }
        Some(filter) => sys::seccomp::load(&filter.program, filter.flags)
            .map(|()| None)
            .at(Step::Seccomp, 0),
        None => Ok(None),
    }
}

/// Bounding set, groups, user, sets: the first needs CAP_SETPCAP, the ids CAP_SETUID and
/// CAP_SETGID, and the change of user must not clear what is set after it.
pub(super) fn set_user(process: &ProcessPlan) -> Done {
    let wanted = process.capabilities;
    for capability in 0..CAPABILITY_NUMBERS {
        if wanted.bounding & (1 << capability) != 0 {
            continue;
        }
        match credentials::drop_from_bounding_set(capability) {
            // The first number that this kernel does not know.
            Err(error) if error.errno == Errno::INVAL => break,
            done => done.at(Step::Capabilities, 1)?,
        }
    }
    credentials::keep_capabilities(true).at(Step::Capabilities, 2)?;
    credentials::set_groups(&process.groups).at(Step::User, 2)?;
    credentials::set_gid(process.gid).at(Step::User, 3)?;
    credentials::set_uid(process.uid).at(Step::User, 4)?;
    credentials::keep_capabilities(false).at(Step::Capabilities, 3)?;
    credentials::clear_ambient_set().at(Step::Capabilities, 4)?;
    credentials::set_capabilities(wanted.sets).at(Step::Capabilities, 5)?;
    for capability in (0..CAPABILITY_NUMBERS).filter(|at| wanted.ambient & (1 << at) != 0) {
        credentials::raise_ambient(capability).at(Step::Capabilities, 6)?;
    }
    Ok(())
}
