//! BPF programs that decide which devices a cgroup v2 may use (bpf(2)).

#![allow(unsafe_code, reason = "bpf(2) has no safe wrapper")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::{Error, Result, failpoint};

// enum bpf_cmd, enum bpf_prog_type, enum bpf_attach_type of linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_PROG_QUERY: libc::c_int = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of the groups above stay in force.
const BPF_F_ALLOW_MULTI: u32 = 2;
/// More programs than this on one group: the kernel allows no more either (BPF_CGROUP_MAX_PROGS).
const MOST: u32 = 64;

/// The part of union bpf_attr that BPF_PROG_LOAD needs.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// The part that BPF_PROG_ATTACH and BPF_PROG_DETACH need.
#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

/// The part that BPF_PROG_QUERY needs.
#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

/// The part that BPF_PROG_GET_FD_BY_ID needs.
#[repr(C)]
#[derive(Default)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Calls bpf(2) with one of the structures above.
///
/// # Safety
/// Addresses inside `attr` are valid for what `command` does with them.
unsafe fn bpf<A>(call: &'static str, command: libc::c_int, attr: &mut A) -> Result<libc::c_int> {
    let attr: *mut A = attr;
    // SAFETY: attr is a live structure of the size that is given; what it points to is the
    // caller's promise.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<A>()) };
    libc::c_int::try_from(done)
        .ok()
        .filter(|done| *done >= 0)
        .ok_or_else(|| Error::last(call))
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Loads a device program; the verifier's refusal is `EINVAL` or `EACCES`.
pub fn load_device_program(code: &[u64]) -> Result<OwnedFd> {
    failpoint::pass("bpf_prog_load")?;
    let mut prog_name = [0; 16];
    prog_name[..12].copy_from_slice(b"wharf_device");
    let mut attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(code.len())
            .map_err(|_| Error::new("bpf_prog_load", Errno::TOOBIG))?,
        insns: code.as_ptr().addr() as u64,
        license: c"Apache-2.0".as_ptr().addr() as u64,
        prog_name,
        ..LoadAttr::default()
    };
    // SAFETY: insns and license point to memory that outlives the call, of the given lengths.
    let fd = unsafe { bpf("bpf_prog_load", BPF_PROG_LOAD, &mut attr)? };
    // SAFETY: the kernel has just made this descriptor (close-on-exec) for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a program to the group `dir`, beside those that are there already.
pub fn attach_device_program(dir: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("bpf_prog_attach")?;
    let mut attr = AttachAttr {
        target_fd: number(dir),
        attach_bpf_fd: number(program),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
        replace_bpf_fd: 0,
    };
    // SAFETY: this command takes no addresses.
    unsafe { bpf("bpf_prog_attach", BPF_PROG_ATTACH, &mut attr) }.map(drop)
}

/// Lists the ids of the programs that are attached to the group `dir` itself.
pub fn device_programs(dir: BorrowedFd<'_>) -> Result<Vec<u32>> {
    failpoint::pass("bpf_prog_query")?;
    let mut ids = vec![0_u32; MOST as usize];
    let mut attr = QueryAttr {
        target_fd: number(dir),
        attach_type: BPF_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr().addr() as u64,
        prog_cnt: MOST,
        ..QueryAttr::default()
    };
    // SAFETY: prog_ids has room for prog_cnt numbers and outlives the call.
    unsafe { bpf("bpf_prog_query", BPF_PROG_QUERY, &mut attr)? };
    ids.truncate(attr.prog_cnt as usize);
    Ok(ids)
}

/// Takes the program with this id off the group `dir`.
pub fn detach_device_program(dir: BorrowedFd<'_>, id: u32) -> Result<()> {
    failpoint::pass("bpf_prog_detach")?;
    let mut attr = IdAttr {
        id,
        ..IdAttr::default()
    };
    // SAFETY: this command takes no addresses.
    let fd = unsafe { bpf("bpf_prog_detach", BPF_PROG_GET_FD_BY_ID, &mut attr)? };
    // SAFETY: the kernel has just made this descriptor for us alone.
    let program = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut attr = AttachAttr {
        target_fd: number(dir),
        attach_bpf_fd: program.as_raw_fd().cast_unsigned(),
        attach_type: BPF_CGROUP_DEVICE,
        ..AttachAttr::default()
    };
    // SAFETY: this command takes no addresses.
    unsafe { bpf("bpf_prog_detach", BPF_PROG_DETACH, &mut attr) }.map(drop)
}
