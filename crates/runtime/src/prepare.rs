//! What the parent opens and mounts, detached, before the clone: everything that can be decided and
//! refused where errors have room to explain themselves.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cgroup::{Group, Topology};
use sys::clone::Cloned;
use sys::mount::{self, Tree, attr};
use sys::single_threaded::SingleThreaded;
use sys::tty::Pair;
use sys::{Errno, namespace, root};
use types::Mount;

use crate::copy_up::copy_up;
use crate::error::{Failure, unheard};
use crate::plan::mounts::{MountStep, What};
use crate::plan::{IdMaps, NodeStep, Plan};
use crate::{foreign, init};

/// Descriptors for each line of the plan that needs one. Dropping it undoes all of it: a detached
/// mount lives as long as its descriptor.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) root: OwnedFd,
    /// One for each of the plan's mounts.
    pub(crate) mounts: Vec<Source>,
    pub(crate) join: Vec<(u64, OwnedFd)>,
    pub(crate) covers: Option<Covers>,
    pub(crate) console: Option<Pair>,
    /// Nodes of the host for each of the plan's, where a user namespace makes none.
    pub(crate) nodes: Vec<OwnedFd>,
}

/// Where a mount comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// It is made and only needs its place.
    Made { mount: OwnedFd, is_dir: bool },
    /// Init makes it, of this kind; what it is filled with.
    InInit {
        kind: CString,
        content: Option<OwnedFd>,
    },
    /// The groups of v1.
    CgroupV1(CgroupView),
}

/// A container's view of its groups on v1.
#[derive(Debug)]
pub(crate) struct CgroupView {
    pub(crate) tmpfs: OwnedFd,
    /// Name of each hierarchy and the group in it.
    pub(crate) groups: Vec<(CString, OwnedFd)>,
}

/// What masked paths are covered with.
#[derive(Debug)]
pub(crate) struct Covers {
    pub(crate) null: OwnedFd,
    pub(crate) empty: OwnedFd,
}

/// Opens everything that `plan` needs.
pub(crate) fn prepare(
    plan: &Plan,
    root: &Mount,
    group: &Group,
    topology: &Topology,
) -> Result<Prepared, Failure> {
    let root = make_root(root)?;
    let mut console = None;
    let mut mounts = Vec::with_capacity(plan.mounts.len());
    for step in &plan.mounts {
        let source = source((plan, root.as_fd()), step, group, topology)?;
        if let (Source::Made { mount, .. }, true) = (&source, plan.process.terminal)
            && step.target.name == "/dev/pts"
        {
            let pair = sys::tty::open_pair(mount.as_fd())
                .map_err(Failure::host(|| "open the console in /dev/pts".to_owned()))?;
            console = Some(pair);
        }
        mounts.push(source);
    }
    let in_init = plan.ids.is_some();
    if plan.process.terminal && console.is_none() && !in_init {
        let source = sys::Error::new("open_pty", Errno::NODEV);
        return Err(Failure::Host {
            what: "open the console: no /dev/pts".to_owned(),
            source,
        });
    }
    let join = plan.namespaces.join.iter().map(|(kind, path)| {
        let what = || format!("open namespace {path:?}");
        let file = namespace::open(Path::new(path)).map_err(Failure::host(what))?;
        let found = namespace::kind(file.as_fd()).map_err(Failure::host(what))?;
        if found != *kind {
            let source = sys::Error::new("namespace_kind", Errno::INVAL);
            return Err(Failure::Host {
                what: format!("{path:?} is of another kind"),
                source,
            });
        }
        Ok((*kind, file))
    });
    Ok(Prepared {
        join: join.collect::<Result<_, _>>()?,
        nodes: if in_init {
            host_nodes(plan)?
        } else {
            Vec::new()
        },
        covers: if plan.masked.is_empty() {
            None
        } else {
            Some(covers()?)
        },
        console,
        mounts,
        root,
    })
}

/// The host's nodes of these numbers, to be bound: a user namespace may make none.
fn host_nodes(plan: &Plan) -> Result<Vec<OwnedFd>, Failure> {
    let open = |step: &NodeStep| {
        let what = || format!("device node {:?} of the host", step.target.name);
        let mount =
            mount::open_host_tree(&step.target.path, Tree::Clone).map_err(Failure::host(what))?;
        let numbers = root::kind(mount.as_fd())
            .map_err(Failure::host(what))?
            .device;
        if numbers != Some((step.node.major, step.node.minor)) {
            return Err(Failure::Host {
                what: what(),
                source: sys::Error::new("fstat", Errno::NODEV),
            });
        }
        let private = mount::Attributes {
            propagation: mount::propagation::PRIVATE,
            ..mount::Attributes::default()
        };
        mount::set_attributes(mount.as_fd(), false, private).map_err(Failure::host(what))?;
        Ok(mount)
    };
    plan.nodes.iter().map(open).collect()
}

/// What the image has where a mount wants its content; nothing, where nothing is.
fn content(root: BorrowedFd<'_>, step: &MountStep) -> sys::Result<Option<OwnedFd>> {
    let What::New { copy_up: true, .. } = step.what else {
        return Ok(None);
    };
    match root::find(root, &step.target.path) {
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Ok(None),
        found => found.map(Some),
    }
}

fn source(
    (plan, root): (&Plan, BorrowedFd<'_>),
    step: &MountStep,
    group: &Group,
    topology: &Topology,
) -> Result<Source, Failure> {
    let what = || {
        format!(
            "error mounting {:?} to rootfs at {:?}",
            step.source, step.target.name
        )
    };
    match &step.what {
        What::New {
            kind,
            in_init: true,
            ..
        } => Ok(Source::InInit {
            kind: kind.clone(),
            content: content(root, step).map_err(Failure::host(what))?,
        }),
        What::New {
            kind,
            source,
            options,
            in_init: false,
            ..
        } => {
            let context = mount::fsopen(kind).map_err(Failure::host(what))?;
            let made = (|| {
                mount::set_option(context.as_fd(), c"source", Some(source))?;
                for (key, value) in options {
                    mount::set_option(context.as_fd(), key, value.as_deref())?;
                }
                mount::create(context.as_fd())?;
                mount::fsmount(context.as_fd(), step.attributes.set)
            })();
            let mount = made.map_err(|source| Failure::Host {
                what: explained(what(), context.as_fd()),
                source,
            })?;
            let rest = mount::Attributes {
                propagation: step.attributes.propagation,
                ..mount::Attributes::default()
            };
            init::change(mount.as_fd(), rest, step.recursive).map_err(Failure::host(what))?;
            if let Some(content) = content(root, step).map_err(Failure::host(what))? {
                copy_up(content.as_fd(), mount.as_fd()).map_err(Failure::host(what))?;
            }
            Ok(Source::Made {
                mount,
                is_dir: true,
            })
        }
        What::Bind { .. } => bind(step).map_err(Failure::host(what)),
        What::Cgroup if topology.is_unified() && plan.namespaces.new_cgroup => Ok(Source::InInit {
            kind: c"cgroup2".to_owned(),
            content: None,
        }),
        What::Cgroup if topology.is_unified() => {
            let (_, dir) = group.directories().next().ok_or(Failure::NoCgroup)?;
            let mount = own_group(dir, step).map_err(Failure::host(what))?;
            Ok(Source::Made {
                mount,
                is_dir: true,
            })
        }
        What::Cgroup => cgroup_view(group, step)
            .map(Source::CgroupV1)
            .map_err(Failure::host(what)),
    }
}

/// Opens what of the host is shown, as the step wants it.
fn bind(step: &MountStep) -> sys::Result<Source> {
    let What::Bind {
        source,
        beneath,
        recursive,
    } = &step.what
    else {
        return Err(sys::Error::new("open_tree", Errno::INVAL));
    };
    let tree = if *recursive {
        Tree::CloneRecursive
    } else {
        Tree::Clone
    };
    let mount = match beneath {
        None => foreign::open_tree(source, tree)?,
        Some(path) => {
            let base = root::open_host(source)?;
            let found = root::find_beneath(base.as_fd(), path)?;
            mount::open_tree(found.as_fd(), c"", tree)?
        }
    };
    if let Some((ids, recursive)) = &step.ids {
        let ids = id_namespace(ids)?;
        mount::set_ids(mount.as_fd(), *recursive, ids.as_fd())?;
    }
    init::change(mount.as_fd(), step.attributes, step.recursive)?;
    let is_dir = root::kind(mount.as_fd())?.is_dir;
    Ok(Source::Made { mount, is_dir })
}

/// A user namespace with these ids, for as long as its descriptor. A child is its first process
/// until it is opened.
fn id_namespace(ids: &IdMaps) -> sys::Result<OwnedFd> {
    let proof = SingleThreaded::prove()?;
    let (wait, go) = sys::fd::pipe()?;
    match sys::clone::clone3(proof, namespace::USER, None)? {
        Cloned::Child => {
            // The end of the pipe, or the parent's, is the end.
            unheard(sys::clone::die_with_parent());
            drop(go);
            unheard(sys::fd::read(wait.as_fd(), &mut [0]));
            sys::clone::exit(0)
        }
        Cloned::Parent { pid, pidfd } => {
            let path = format!("/proc/{pid}/ns/user");
            let made = namespace::write_ids(pid, &ids.users, &ids.groups)
                .and_then(|()| namespace::open(Path::new(&path)));
            drop(go);
            unheard(sys::pidfd::wait(pidfd.as_fd()));
            made
        }
    }
}

fn own_group(dir: BorrowedFd<'_>, step: &MountStep) -> sys::Result<OwnedFd> {
    let mount = mount::open_tree(dir, c"", Tree::Clone)?;
    let private = mount::Attributes {
        propagation: mount::propagation::PRIVATE,
        ..step.attributes
    };
    init::change(mount.as_fd(), private, step.recursive)?;
    Ok(mount)
}

fn cgroup_view(group: &Group, step: &MountStep) -> sys::Result<CgroupView> {
    let tmpfs = tmpfs(c"755", None, step.attributes.set & !attr::RDONLY)?;
    let (mut groups, mut links) = (Vec::new(), Vec::new());
    for (hierarchy, dir) in group.directories() {
        let name = hierarchy.name();
        // Names come from the host's own mount table, which has no NUL in it.
        let Ok(text) = CString::new(name) else {
            continue;
        };
        for controller in name.split(',').filter(|controller| *controller != name) {
            if let Ok(controller) = CString::new(controller) {
                links.push((controller, text.clone()));
            }
        }
        groups.push((text, own_group(dir, step)?));
    }
    // Here, for in a user namespace of its own init is nobody to this file system.
    for (name, _) in &groups {
        root::make_dir(tmpfs.as_fd(), name, 0o755)?;
    }
    for (name, text) in &links {
        root::make_link(text, tmpfs.as_fd(), name)?;
    }
    Ok(CgroupView { tmpfs, groups })
}

fn tmpfs(mode: &CStr, size: Option<&CStr>, attributes: u64) -> sys::Result<OwnedFd> {
    let context = mount::fsopen(c"tmpfs")?;
    mount::set_option(context.as_fd(), c"source", Some(c"tmpfs"))?;
    mount::set_option(context.as_fd(), c"mode", Some(mode))?;
    if let Some(size) = size {
        mount::set_option(context.as_fd(), c"size", Some(size))?;
    }
    mount::create(context.as_fd())?;
    mount::fsmount(context.as_fd(), attributes)
}

/// The null device is verified: what lies at /dev/null of the host is covered for good by it.
fn covers() -> Result<Covers, Failure> {
    let host = |what: &'static str| Failure::host(move || what.to_owned());
    let null = mount::open_host_tree(c"/dev/null", Tree::Clone).map_err(host("/dev/null"))?;
    let kind = root::kind(null.as_fd()).map_err(host("/dev/null"))?;
    if kind.char_device != Some((1, 3)) {
        let source = sys::Error::new("fstat", Errno::NODEV);
        return Err(Failure::Host {
            what: "/dev/null is no null device".to_owned(),
            source,
        });
    }
    let private = mount::Attributes {
        propagation: mount::propagation::PRIVATE,
        ..mount::Attributes::default()
    };
    mount::set_attributes(null.as_fd(), false, private).map_err(host("/dev/null"))?;
    let empty = tmpfs(c"555", Some(c"0"), attr::RDONLY).map_err(host("cover for masked paths"))?;
    Ok(Covers { null, empty })
}

/// Mounts the root file system, detached: the host's mount table never shows it.
pub(crate) fn make_root(root: &Mount) -> Result<OwnedFd, Failure> {
    match root {
        Mount::Bind { source } => {
            let what = || format!("root file system {}", source.display());
            let path = host_path(source)?;
            let mount =
                mount::open_host_tree(&path, Tree::CloneRecursive).map_err(Failure::host(what))?;
            let private = mount::Attributes {
                propagation: mount::propagation::PRIVATE,
                ..mount::Attributes::default()
            };
            mount::set_attributes(mount.as_fd(), true, private).map_err(Failure::host(what))?;
            Ok(mount)
        }
        Mount::Overlay {
            lower,
            upper,
            work,
            volatile,
        } => {
            let what = || format!("overlay on {}", upper.display());
            let context = mount::fsopen(c"overlay").map_err(|source| Failure::Host {
                what: match source.errno {
                    Errno::NODEV => "this kernel has no overlayfs (modprobe overlay)".to_owned(),
                    _ => what(),
                },
                source,
            })?;
            let made = (|| {
                let context = context.as_fd();
                mount::set_option(context, c"source", Some(c"overlay"))?;
                // Kept open until the file system is made: it looks at them only then.
                let mut open = Vec::with_capacity(lower.len() + 2);
                add_layers(context, lower, &[upper, work], &mut open)?;
                mount::set_option(context, c"index", Some(c"off"))?;
                mount::set_option(context, c"redirect_dir", Some(c"off"))?;
                if *volatile {
                    mount::set_option(context, c"volatile", None)?;
                }
                mount::create(context)?;
                mount::fsmount(context, 0)
            })();
            made.map_err(|source| Failure::Host {
                what: explained(what(), context.as_fd()),
                source,
            })
        }
    }
}

/// Mounts layers as one tree that cannot be written, detached. Without an upper directory its end
/// waits for no disk.
pub(crate) fn make_view(lower: &[PathBuf]) -> Result<OwnedFd, Failure> {
    let what = || "a view of an image's layers".to_owned();
    let context = mount::fsopen(c"overlay").map_err(Failure::host(what))?;
    let made = (|| {
        let context = context.as_fd();
        mount::set_option(context, c"source", Some(c"overlay"))?;
        let mut open = Vec::with_capacity(lower.len());
        add_layers(context, lower, &[], &mut open)?;
        mount::create(context)?;
        mount::fsmount(context, attr::RDONLY)
    })();
    made.map_err(|source| Failure::Host {
        what: explained(what(), context.as_fd()),
        source,
    })
}

/// Adds layers by descriptor (Linux 6.13), else by names of descriptors in /proc: one by one
/// (6.7), or all in one value, which may have 255 bytes then: some 15 layers.
fn add_layers(
    context: BorrowedFd<'_>,
    lower: &[PathBuf],
    own: &[&Path],
    open: &mut Vec<OwnedFd>,
) -> sys::Result<()> {
    let all = lower.iter().map(PathBuf::as_path);
    for dir in all.chain(own.iter().copied()) {
        let path = CString::new(dir.as_os_str().as_bytes())
            .map_err(|_| sys::Error::new("fsconfig", Errno::INVAL))?;
        open.push(root::open_host(&path)?);
    }
    let keys = std::iter::repeat_n(c"lowerdir+", lower.len()).chain([c"upperdir", c"workdir"]);
    let layers = keys.zip(&*open);
    let by_fd = |(key, dir): (&CStr, &OwnedFd)| mount::set_option_fd(context, key, dir.as_fd());
    let one_by_one = match layers.clone().try_for_each(by_fd) {
        // Descriptors like ours, which are no open files, or any.
        Err(error) if matches!(error.errno, Errno::INVAL | Errno::BADF) => true,
        // Not one option is looked at before all are there.
        Err(error) if error.errno == Errno::OPNOTSUPP => false,
        done => return done,
    };
    let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let set = |key: &CStr, value: String| {
        let value = CString::new(value).expect("a path in /proc has no NUL");
        mount::set_option(context, key, Some(&value))
    };
    if one_by_one {
        let mut layers = layers.clone();
        match layers.try_for_each(|(key, dir)| set(key, name(dir))) {
            Err(error) if error.errno == Errno::INVAL => {}
            done => return done,
        }
    }
    let all: Vec<_> = open.iter().map(name).collect();
    let (lower, rest) = all.split_at(lower.len());
    set(c"lowerdir", lower.join(":"))?;
    let rest = [c"upperdir", c"workdir"].into_iter().zip(rest);
    rest.into_iter()
        .try_for_each(|(key, dir)| set(key, dir.clone()))
}

fn explained(what: String, context: BorrowedFd<'_>) -> String {
    let messages = mount::messages(context);
    if messages.is_empty() {
        what
    } else {
        format!("{what} ({messages})")
    }
}

fn host_path(path: &Path) -> Result<CString, Failure> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Failure::Host {
        what: format!("{} has a NUL byte in it", path.display()),
        source: sys::Error::new("open_tree", Errno::INVAL),
    })
}
