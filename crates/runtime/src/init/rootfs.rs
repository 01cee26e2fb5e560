//! The root file system: everything in its place, then the change of root, then what is covered.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::mount::{self, Attributes, Tree, attr};
use sys::tty::{self, Pair};
use sys::{Errno, namespace, root};

use super::{At, Done};
use crate::copy_up::copy_up;
use crate::error::unheard;
use crate::handshake::Step;
use crate::plan::Plan;
use crate::plan::mounts::{MountStep, Part, Target, What};
use crate::prepare::{CgroupView, Covers, Prepared, Source};

/// Mounts the root and all below it, and fills /dev. Nothing of the host is covered: it happens in
/// a mount namespace of this process's own.
///
/// Returns the terminal, where init makes it itself.
pub(super) fn build(plan: &Plan, prepared: &Prepared) -> Done<Option<Pair>> {
    let root = prepared.root.as_fd();
    mount::make_all_private().at(Step::Root, 0)?;
    match &plan.root_place {
        Some(path) => mount::move_onto_path(root, path),
        None => mount::move_onto_root(root),
    }
    .at(Step::Root, 1)?;
    let (mut proc, mut pair) = (None, None);
    for (item, (step, source)) in plan.mounts.iter().zip(&prepared.mounts).enumerate() {
        let made = place(root, step, source).at(Step::Mount, item)?;
        if step.is_proc() {
            proc = made;
        } else if let Some(made) = made
            && plan.process.terminal
            && step.target.name == "/dev/pts"
        {
            pair = Some(tty::open_pair(made.as_fd()).at(Step::Console, 2)?);
        }
    }
    set_sysctls(plan, proc)?;
    fill_dev(plan, prepared)?;
    let shown = pair.as_ref().or(prepared.console.as_ref());
    if let (Some(target), Some(pair)) = (&plan.console, shown) {
        mount::open_tree(pair.peer.as_fd(), c"", Tree::Clone)
            .and_then(|peer| {
                let target = ensure(root, target, Shape::File)?;
                mount::move_onto(peer.as_fd(), target.as_fd())
            })
            .at(Step::Console, 1)?;
    }
    Ok(pair)
}

/// Nodes and links. Nearly all lie in one directory, which is looked up once.
fn fill_dev(plan: &Plan, prepared: &Prepared) -> Done {
    let root = prepared.root.as_fd();
    let mut dir = Directory { root, last: None };
    for (item, step) in plan.nodes.iter().enumerate() {
        if let Some(node) = prepared.nodes.get(item) {
            ensure(root, &step.target, Shape::File)
                .and_then(|target| mount::move_onto(node.as_fd(), target.as_fd()))
                .at(Step::Node, item)?;
            continue;
        }
        dir.of(&step.target)
            .and_then(|(dir, name)| root::make_node(dir, name, step.node))
            .at(Step::Node, item)?;
    }
    for (item, step) in plan.links.iter().enumerate() {
        dir.of(&step.target)
            .and_then(|(dir, name)| root::make_link(&step.text, dir, name))
            .at(Step::Link, item)?;
    }
    Ok(())
}

/// Changes the root and covers what the container must not see or change.
pub(super) fn finish(plan: &Plan, prepared: &Prepared) -> Done {
    let root = prepared.root.as_fd();
    if plan.pivots {
        root::pivot(root).at(Step::Pivot, 0)?;
    } else {
        root::change_root(root).at(Step::Pivot, 0)?;
    }
    if let Some((kind, recursive)) = plan.root_propagation {
        let attributes = Attributes {
            propagation: kind,
            ..Attributes::default()
        };
        mount::set_attributes(root, recursive, attributes).at(Step::Root, 2)?;
    }
    if let Some(name) = &plan.hostname {
        namespace::set_hostname(name).at(Step::Hostname, 0)?;
    }
    if let Some(name) = &plan.domainname {
        namespace::set_domainname(name).at(Step::Domainname, 0)?;
    }
    make_cwd(root, &plan.process.cwd);
    for (item, path) in plan.readonly.iter().enumerate() {
        make_readonly(root, path).at(Step::Readonly, item)?;
    }
    if let Some(covers) = &prepared.covers {
        mask(root, &plan.masked, covers)?;
    }
    if plan.readonly_root {
        let attributes = Attributes {
            set: attr::RDONLY,
            ..Attributes::default()
        };
        mount::set_attributes(root, false, attributes).at(Step::ReadonlyRoot, 0)?;
    }
    Ok(())
}

/// Makes the working directory when it is missing, as peers do (not for an additional process). Where that fails, the change of
/// directory says what is wrong, with the user's own rights.
fn make_cwd(root: BorrowedFd<'_>, cwd: &Target) {
    unheard(ensure(root, cwd, Shape::Dir));
}

/// Puts one mount into its place; returns it when init made it.
fn place(root: BorrowedFd<'_>, step: &MountStep, source: &Source) -> sys::Result<Option<OwnedFd>> {
    match source {
        Source::Made { mount, is_dir } => {
            let shape = if *is_dir { Shape::Dir } else { Shape::File };
            let target = if step.is_strict() {
                ensure_strictly(root, &step.target)?
            } else {
                ensure(root, &step.target, shape)?
            };
            match mount::move_onto(mount.as_fd(), target.as_fd()) {
                // mount(2) had a better word for a directory on a file, which Docker's users know.
                Err(error) if error.errno == Errno::INVAL => {
                    let other = root::kind(target.as_fd())?.is_dir != *is_dir;
                    let errno = if other { Errno::NOTDIR } else { error.errno };
                    Err(sys::Error { errno, ..error })
                }
                done => done.map(|()| None),
            }
        }
        Source::InInit { kind, content } => {
            let mount = make(kind, step)?;
            if let Some(content) = content {
                copy_up(content.as_fd(), mount.as_fd())?;
            }
            let target = if step.is_strict() {
                ensure_strictly(root, &step.target)?
            } else {
                ensure(root, &step.target, Shape::Dir)?
            };
            mount::move_onto(mount.as_fd(), target.as_fd())?;
            Ok(Some(mount))
        }
        Source::CgroupV1(view) => {
            let target = ensure(root, &step.target, Shape::Dir)?;
            show_cgroups(view, target.as_fd(), step.attributes)?;
            Ok(None)
        }
    }
}

/// Makes a file system that shows a namespace of the container.
fn make(kind: &CStr, step: &MountStep) -> sys::Result<OwnedFd> {
    let context = mount::fsopen(kind)?;
    if let What::New {
        source, options, ..
    } = &step.what
    {
        mount::set_option(context.as_fd(), c"source", Some(source))?;
        for (key, value) in options {
            mount::set_option(context.as_fd(), key, value.as_deref())?;
        }
    }
    mount::create(context.as_fd())?;
    let mount = mount::fsmount(context.as_fd(), step.attributes.set)?;
    let rest = Attributes {
        set: 0,
        clear: 0,
        propagation: step.attributes.propagation,
    };
    change(mount.as_fd(), rest, step.recursive)?;
    Ok(mount)
}

/// Changes a mount, then it and all below, where there is something to change.
pub(crate) fn change(
    mount: BorrowedFd<'_>,
    own: Attributes,
    recursive: Attributes,
) -> sys::Result<()> {
    if !own.is_empty() {
        mount::set_attributes(mount, false, own)?;
    }
    if !recursive.is_empty() {
        mount::set_attributes(mount, true, recursive)?;
    }
    Ok(())
}

/// The container's own group of each v1 hierarchy, on a small tmpfs that ends up read-only.
fn show_cgroups(
    view: &CgroupView,
    target: BorrowedFd<'_>,
    attributes: Attributes,
) -> sys::Result<()> {
    let dir = view.tmpfs.as_fd();
    mount::move_onto(dir, target)?;
    for (name, group) in &view.groups {
        let target = root::find(dir, name)?;
        mount::move_onto(group.as_fd(), target.as_fd())?;
    }
    mount::set_attributes(dir, false, attributes)
}

/// Kernel parameters go through a procfs that nobody else could cover: the container's own, right
/// after it was made, or one that is never shown.
fn set_sysctls(plan: &Plan, proc: Option<OwnedFd>) -> Done {
    if plan.sysctls.is_empty() {
        return Ok(());
    }
    let made = || {
        let context = mount::fsopen(c"proc")?;
        mount::create(context.as_fd())?;
        mount::fsmount(context.as_fd(), 0)
    };
    let proc = match proc {
        Some(proc) => proc,
        None => made().at(Step::Sysctl, usize::MAX)?,
    };
    for (item, sysctl) in plan.sysctls.iter().enumerate() {
        root::write_beneath(proc.as_fd(), &sysctl.path, sysctl.value.to_bytes())
            .at(Step::Sysctl, item)?;
    }
    Ok(())
}

fn make_readonly(root: BorrowedFd<'_>, path: &CStr) -> sys::Result<()> {
    let target = match root::find(root, path) {
        Err(error) if is_missing(error.errno) => return Ok(()),
        found => found?,
    };
    let copy = mount::open_tree(target.as_fd(), c"", Tree::CloneRecursive)?;
    let attributes = Attributes {
        set: attr::RDONLY,
        ..Attributes::default()
    };
    mount::set_attributes(copy.as_fd(), true, attributes)?;
    mount::move_onto(copy.as_fd(), target.as_fd())
}

/// Covers files by the host's null device and directories by one empty tmpfs. Each is moved to its
/// first place and copied from there: a mount that is nowhere cannot be copied before Linux 6.15.
fn mask(root: BorrowedFd<'_>, paths: &[std::ffi::CString], covers: &Covers) -> Done {
    let (mut null_placed, mut empty_placed) = (false, false);
    for (item, path) in paths.iter().enumerate() {
        let target = match root::find(root, path) {
            Err(error) if is_missing(error.errno) => continue,
            found => found.at(Step::Masked, item)?,
        };
        let is_dir = root::kind(target.as_fd()).at(Step::Masked, item)?.is_dir;
        let (cover, placed) = if is_dir {
            (covers.empty.as_fd(), &mut empty_placed)
        } else {
            (covers.null.as_fd(), &mut null_placed)
        };
        if *placed {
            mount::open_tree(cover, c"", Tree::Clone)
                .and_then(|copy| mount::move_onto(copy.as_fd(), target.as_fd()))
                .at(Step::Masked, item)?;
        } else {
            mount::move_onto(cover, target.as_fd()).at(Step::Masked, item)?;
            *placed = true;
        }
    }
    Ok(())
}

fn is_missing(errno: Errno) -> bool {
    errno == Errno::NOENT || errno == Errno::NOTDIR
}

/// What is made where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Dir,
    File,
}

/// Finds a target, and makes what is missing of it.
fn ensure(root: BorrowedFd<'_>, target: &Target, shape: Shape) -> sys::Result<OwnedFd> {
    ensure_parts(root, &target.parts, &target.path, shape)
}

fn ensure_parts(
    root: BorrowedFd<'_>,
    parts: &[Part],
    path: &CStr,
    shape: Shape,
) -> sys::Result<OwnedFd> {
    match root::find(root, path) {
        Err(error) if error.errno == Errno::NOENT => {}
        found => return found,
    }
    let mut parent: Option<OwnedFd> = None;
    for (at, part) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        // That the last one is missing is known.
        let found = if is_last {
            None
        } else {
            find_or_none(root, &part.path)?
        };
        let found = if let Some(found) = found {
            found
        } else {
            let dir = parent.as_ref().map_or(root, AsFd::as_fd);
            if shape == Shape::File && is_last {
                root::make_file(dir, &part.name)?;
            } else {
                root::make_dir(dir, &part.name, 0o755)?;
            }
            root::find(root, &part.path)?
        };
        parent = Some(found);
    }
    match parent {
        Some(found) => Ok(found),
        None => root::find(root, path),
    }
}

fn find_or_none(root: BorrowedFd<'_>, path: &CStr) -> sys::Result<Option<OwnedFd>> {
    match root::find(root, path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.errno == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same for /proc and /sys, which must be real directories of the root.
fn ensure_strictly(root: BorrowedFd<'_>, target: &Target) -> sys::Result<OwnedFd> {
    if let [part] = target.parts.as_slice() {
        root::make_dir(root, &part.name, 0o755)?;
    }
    root::find_strictly(root, &target.path)
}

/// The directory that entries go to.
struct Directory<'a> {
    root: BorrowedFd<'a>,
    /// The one of the last entry, and its path.
    last: Option<(&'a CStr, OwnedFd)>,
}

impl<'a> Directory<'a> {
    /// The directory of an entry, made when it is missing, and the entry's name.
    fn of(&mut self, target: &'a Target) -> sys::Result<(BorrowedFd<'_>, &'a CStr)> {
        let missing = sys::Error::new("openat2", Errno::INVAL);
        let (entry, before) = target.parts.split_last().ok_or(missing)?;
        let path = before.last().map_or(c"/", |part| &part.path);
        if self.last.as_ref().is_none_or(|(last, _)| *last != path) {
            self.last = Some((path, ensure_parts(self.root, before, path, Shape::Dir)?));
        }
        let (_, dir) = self.last.as_ref().ok_or(missing)?;
        Ok((dir.as_fd(), &entry.name))
    }
}
