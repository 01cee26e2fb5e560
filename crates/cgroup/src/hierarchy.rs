//! Pure: what is mounted where, v1, v2 or both, from the texts of /proc.
//!
//! Co-mounted controllers (`cpu,cpuacct`) share one hierarchy and one directory. A mount may show
//! only a part of a hierarchy (its *root* is not `/`): paths of groups are relative to the mount.

use std::path::PathBuf;

/// Which interface a hierarchy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One of several trees, with some controllers each.
    V1,
    /// The unified tree.
    V2,
}

/// One tree of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which interface it speaks.
    pub version: Version,
    /// `cpu`, `memory`, …; `name=systemd` for a v1 hierarchy without a controller.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// What part of the tree is mounted there; `/` is all of it.
    pub root: String,
    /// The group this process is in, from the root of the tree.
    pub own: String,
}

impl Hierarchy {
    /// The last part of the mount point: `cpu,cpuacct`, `memory`, `systemd`, `unified`.
    pub fn name(&self) -> &str {
        self.mount_point
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// The group this process is in, from the root of the mount; `/` where it lies outside.
    pub fn below_mount(&self) -> &str {
        let root = self.root.trim_end_matches('/');
        match self.own.strip_prefix(root) {
            Some(rest) if rest.starts_with('/') => rest,
            _ => "/",
        }
    }

    /// Tells whether `controller` lives here.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|own| own == controller)
    }

    /// The directory of the group `path` (from the root of the mount).
    pub fn directory(&self, path: &str) -> PathBuf {
        self.mount_point.join(path.trim_start_matches('/'))
    }
}

/// What is mounted where on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// v1 in the order of their mounts, then v2.
    hierarchies: Vec<Hierarchy>,
}

impl Topology {
    /// Builds it from the texts of /proc/self/mountinfo, /proc/self/cgroup and, if v2 is mounted
    /// ([`unified_mount`]), its `cgroup.controllers`.
    pub fn parse(mountinfo: &str, own: &str, v2_controllers: &str) -> Self {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        let mut unified: Option<Hierarchy> = None;
        for mount in mountinfo.lines().filter_map(cgroup_mount) {
            let (controllers, slot) = match mount.version {
                Version::V2 => (words(v2_controllers), unified.as_mut()),
                Version::V1 => {
                    let controllers = v1_controllers(&mount.options, own);
                    let known = hierarchies
                        .iter_mut()
                        .find(|h| h.controllers == controllers);
                    (controllers, known)
                }
            };
            // A second mount of the same tree counts only when it shows more of it.
            if let Some(known) = slot {
                if mount.root.len() < known.root.len() {
                    known.root = mount.root;
                    known.mount_point = mount.mount_point;
                }
                continue;
            }
            let hierarchy = Hierarchy {
                version: mount.version,
                own: own_path(own, mount.version, &controllers),
                controllers,
                mount_point: mount.mount_point,
                root: mount.root,
            };
            match mount.version {
                Version::V1 if hierarchy.controllers.is_empty() => {}
                Version::V1 => hierarchies.push(hierarchy),
                Version::V2 => unified = Some(hierarchy),
            }
        }
        // An empty v2 beside v1 limits and measures nothing: groups stay out of it.
        let only = hierarchies.is_empty();
        hierarchies.extend(unified.filter(|v2| only || !v2.controllers.is_empty()));
        Self { hierarchies }
    }

    /// All of them: v1 first, then v2.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// Tells whether only cgroup v2 is mounted.
    pub fn is_unified(&self) -> bool {
        matches!(&self.hierarchies[..], [one] if one.version == Version::V2)
    }

    /// Tells whether groups are made in v2 at all.
    pub(crate) fn has_unified(&self) -> bool {
        self.hierarchies
            .last()
            .is_some_and(|last| last.version == Version::V2)
    }

    /// The hierarchy of `controller`: v2's, if it has it, else v1's.
    pub fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies
            .iter()
            .rev()
            .find(|hierarchy| hierarchy.has(controller))
    }

    /// Which interface `controller` speaks here, if it is there at all.
    pub(crate) fn version(&self, controller: &str) -> Option<Version> {
        self.hierarchy(controller)
            .map(|hierarchy| hierarchy.version)
    }
}

/// Where v2 is mounted, from the text of /proc/self/mountinfo.
pub(crate) fn unified_mount(mountinfo: &str) -> Option<PathBuf> {
    let mut mounts = mountinfo.lines().filter_map(cgroup_mount);
    mounts
        .find(|mount| mount.version == Version::V2)
        .map(|mount| mount.mount_point)
}

struct CgroupMount {
    version: Version,
    mount_point: PathBuf,
    root: String,
    options: String,
}

/// One line of mountinfo (proc_pid_mountinfo(5)), if it is a cgroup mount.
fn cgroup_mount(line: &str) -> Option<CgroupMount> {
    let (front, back) = line.split_once(" - ")?;
    let mut back = back.split(' ');
    let version = match back.next()? {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let options = back.nth(1).unwrap_or_default().to_owned();
    let mut front = front.split(' ').skip(3);
    let root = unescape(front.next()?);
    let mount_point = PathBuf::from(unescape(front.next()?));
    Some(CgroupMount {
        version,
        mount_point,
        root,
        options,
    })
}

/// The super block options that are controllers; /proc/self/cgroup knows which are.
fn v1_controllers(options: &str, own: &str) -> Vec<String> {
    let known = |word: &str| {
        own.lines()
            .filter_map(own_line)
            .any(|(controllers, _)| controllers.contains(&word))
    };
    options
        .split(',')
        .filter(|word| known(word))
        .map(str::to_owned)
        .collect()
}

/// `4:cpu,cpuacct:/path` → (controllers, path); v2's has no controllers.
fn own_line(line: &str) -> Option<(Vec<&str>, &str)> {
    let mut parts = line.splitn(3, ':');
    let controllers = parts.nth(1)?;
    let path = parts.next()?;
    Some((
        controllers
            .split(',')
            .filter(|word| !word.is_empty())
            .collect(),
        path,
    ))
}

fn own_path(own: &str, version: Version, controllers: &[String]) -> String {
    let mut lines = own.lines().filter_map(own_line);
    let mine = lines.find(|(names, _)| match version {
        Version::V2 => names.is_empty(),
        Version::V1 => names
            .iter()
            .any(|name| controllers.iter().any(|own| own == name)),
    });
    mine.map_or_else(|| "/".to_owned(), |(_, path)| path.to_owned())
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mountinfo: &str, own: &str, v2: &str, expect: &[(Version, &str, &str, &str, &str)]) {
        let topology = Topology::parse(mountinfo, own, v2);
        let got: Vec<_> = topology
            .hierarchies()
            .iter()
            .map(|h| {
                let controllers = h.controllers.join(",");
                (
                    h.version,
                    controllers,
                    h.mount_point.display().to_string(),
                    &*h.root,
                    &*h.own,
                )
            })
            .collect();
        let expect: Vec<_> = expect
            .iter()
            .map(|(v, c, m, r, o)| (*v, (*c).to_owned(), (*m).to_owned(), *r, *o))
            .collect();
        assert_eq!(got, expect);
    }

    const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const OWN: &str = "3:name=systemd:/\n2:memory:/a/b:c\n1:cpu,cpuacct:/\n0::/u\n";

    #[test]
    fn v1_with_an_empty_v2_is_v1() {
        let v1 = [
            (
                Version::V1,
                "cpu,cpuacct",
                "/sys/fs/cgroup/cpu,cpuacct",
                "/",
                "/",
            ),
            (
                Version::V1,
                "memory",
                "/sys/fs/cgroup/memory",
                "/",
                "/a/b:c",
            ),
            (
                Version::V1,
                "name=systemd",
                "/sys/fs/cgroup/systemd",
                "/",
                "/",
            ),
        ];
        check(V1, OWN, "\n", &v1);
        let topology = Topology::parse(V1, OWN, "");
        assert!(!topology.is_unified());
        assert_eq!(topology.version("cpuacct"), Some(Version::V1));
        assert_eq!(topology.version("io"), None);
        assert_eq!(topology.hierarchy("cpu").unwrap().name(), "cpu,cpuacct");
    }

    #[test]
    fn a_hybrid_takes_v2_s_controllers_from_v2() {
        let topology = Topology::parse(V1, OWN, "hugetlb pids\n");
        assert_eq!(topology.version("pids"), Some(Version::V2));
        assert_eq!(topology.version("memory"), Some(Version::V1));
        assert_eq!(topology.hierarchy("pids").unwrap().own, "/u");
        assert!(!topology.is_unified());
    }

    #[test]
    fn v2_alone_is_unified_even_without_controllers() {
        let mountinfo = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        check(
            mountinfo,
            "0::/init.scope\n",
            "cpuset cpu io memory pids\n",
            &[(
                Version::V2,
                "cpuset,cpu,io,memory,pids",
                "/sys/fs/cgroup",
                "/",
                "/init.scope",
            )],
        );
        assert!(Topology::parse(mountinfo, "0::/\n", "").is_unified());
        assert!(!Topology::parse("", "", "").is_unified());
        assert_eq!(
            unified_mount(mountinfo),
            Some(PathBuf::from("/sys/fs/cgroup"))
        );
        assert_eq!(
            unified_mount(V1),
            Some(PathBuf::from("/sys/fs/cgroup/unified"))
        );
    }

    #[test]
    fn a_nested_mount_keeps_its_root_and_the_wider_mount_wins() {
        let nested = "\
50 40 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
51 40 0:32 / /mnt/all\\040memory rw - cgroup cgroup rw,memory
52 40 0:32 /x /mnt/less rw - cgroup cgroup rw,memory
";
        check(
            nested,
            "5:memory:/docker/abc\n",
            "",
            &[(Version::V1, "memory", "/mnt/all memory", "/", "/docker/abc")],
        );
    }

    #[test]
    fn paths_are_below_the_mount() {
        let topology = Topology::parse(V1, OWN, "");
        let memory = topology.hierarchy("memory").unwrap();
        assert_eq!(
            memory.directory("/wharf/x"),
            PathBuf::from("/sys/fs/cgroup/memory/wharf/x")
        );
        assert_eq!(
            memory.directory("/"),
            PathBuf::from("/sys/fs/cgroup/memory/")
        );
    }
}
