//! The store on a real directory, with real layers. Needs root for owners and device nodes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::tests_outside_test_module,
    reason = "this whole file is tests"
)]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use archive::{Entry, EntryKind, Writer};
use image::{Error, ImageId, ImportOptions, RemovedItem, Snapshot, Store, User};
use meta::Meta;
use types::{Mount, Reference};

/// A data root that goes with its test.
struct House {
    root: PathBuf,
    meta: Meta,
    store: Store,
}

impl House {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("image-test-{}-{number}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let meta = Meta::open(&root.join("meta.redb")).unwrap();
        let store = Store::open(&root).unwrap();
        Self { root, meta, store }
    }

    fn import(&self, tar: &[u8], tag: &str) -> Result<ImageId, Error> {
        let staged = self.store.import(tar, &ImportOptions::default())?;
        let tag: Reference = tag.parse().unwrap();
        self.meta
            .write(|txn| self.store.publish(txn, staged, Some(&tag)))
    }

    fn remove(
        &self,
        name: &str,
        force: bool,
        users: &[User<'_>],
    ) -> Result<Vec<RemovedItem>, Error> {
        let removed = self
            .meta
            .write(|txn| self.store.remove(txn, name, force, users))?;
        self.store.discard(&removed.garbage)?;
        Ok(removed.items)
    }

    fn names(&self, area: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.join(area))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The directory of the only layer of an image.
    fn layer(&self, name: &str) -> PathBuf {
        let view = self.meta.read().unwrap();
        let snapshot = self
            .store
            .prepare(&view, self.store.resolve(&view, name).unwrap())
            .unwrap();
        let Mount::Overlay { lower, .. } = self.store.mount(&view, &snapshot, false).unwrap()
        else {
            panic!("no overlay")
        };
        self.store.remove_snapshot(&snapshot).unwrap();
        lower[0].clone()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let parent = sys::dir::Dir::open(self.root.parent().unwrap()).unwrap();
        parent.remove_tree(self.root.file_name().unwrap()).unwrap();
    }
}

fn tar(entries: &[(Entry, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

fn file(path: &str, content: &'static str) -> (Entry, &'static str) {
    (
        Entry::new(
            path,
            EntryKind::File {
                size: content.len() as u64,
            },
        ),
        content,
    )
}

#[test]
fn root_import_and_names() {
    let house = House::new();
    let tar = tar(&[file("a", "one"), file("d/b", "two!")]);
    let id = house.import(&tar, "x").unwrap();
    let view = house.meta.read().unwrap();
    let record = house.store.get(&view, id).unwrap();
    assert_eq!(record.size, 7);
    assert_eq!(types::Digest::of(record.config_text.as_bytes()), id);
    assert_eq!(
        record.layers(),
        [types::Digest::of(&tar)],
        "the diff id is of the tar"
    );
    let hex = id.hex();
    for name in [
        "x",
        "x:latest",
        "docker.io/library/x",
        &id.to_string(),
        &hex,
        &hex[..5],
        &format!("sha256:{}", &hex[..1]),
    ] {
        assert_eq!(house.store.resolve(&view, name).unwrap(), id, "{name}");
    }
    for (name, text) in [
        ("nope:1", "No such image: nope:1"),
        ("nope", "No such image: nope:latest"),
        ("x:2", "No such image: x:2"),
        ("x@sha256:ff", "invalid reference format"),
        (
            "Nope",
            "invalid reference format: repository name (library/Nope) must be lowercase",
        ),
    ] {
        assert_eq!(
            house.store.resolve(&view, name).unwrap_err().to_string(),
            text
        );
    }
    assert_eq!(fs::read(house.layer("x").join("d/b")).unwrap(), b"two!");
    assert_eq!(house.store.list(&view).unwrap(), [record]);
}

#[test]
fn root_equal_layers_are_kept_once() {
    let house = House::new();
    let tar = tar(&[file("a", "one")]);
    let first = house.import(&tar, "x:1").unwrap();
    let gzip = {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut to, &tar).unwrap();
        to.finish().unwrap()
    };
    let second = house.import(&gzip, "x:2").unwrap();
    assert_ne!(first, second, "their configs differ in time");
    assert_eq!(house.names("layers").len(), 2, "init and one");
    house.remove("x:1", false, &[]).unwrap();
    assert_eq!(house.names("layers").len(), 2);
    house.remove("x:2", false, &[]).unwrap();
    assert_eq!(house.names("layers"), ["0"]);
    house.store.reap().unwrap();
    assert!(house.names("trash").is_empty());
}

#[test]
fn root_what_fails_leaves_nothing() {
    let house = House::new();
    let bad = tar(&[file("a", "one"), file("../evil", "x")]);
    let error = house.import(&bad, "x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid tar entry \"../evil\": escapes the root"
    );
    let whole = tar(&[file("a", "one")]);
    assert!(house.import(&whole[..600], "x").is_err());
    let options = ImportOptions {
        changes: vec!["RUN x".to_owned()],
        ..Default::default()
    };
    assert!(house.store.import(&whole[..], &options).is_err());
    drop(
        house
            .store
            .import(&whole[..], &ImportOptions::default())
            .unwrap(),
    );
    assert_eq!(house.names("layers"), ["0"]);
    assert!(house.names("trash").is_empty());
    assert!(!house.root.parent().unwrap().join("evil").exists());
    assert!(
        house
            .store
            .list(&house.meta.read().unwrap())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn root_removal_conflicts() {
    let house = House::new();
    let id = house.import(&tar(&[file("a", "one")]), "x").unwrap();
    let view = house.meta.read().unwrap();
    let snapshot = house.store.prepare(&view, id).unwrap();
    drop(view);
    let user = |running| {
        [User {
            container: "0123456789ab",
            image: id,
            running,
            snapshot: &snapshot,
        }]
    };
    let short = id.short();
    let text = |name: &str, force, running| {
        house
            .remove(name, force, &user(running))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        text("x", false, false),
        format!(
            "conflict: unable to remove repository reference \"x\" (must force) - container \
             0123456789ab is using its referenced image {short}"
        )
    );
    assert_eq!(
        text(&short, true, true),
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running \
             container 0123456789ab"
        )
    );
    assert_eq!(
        text(&short, false, false),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped \
             container 0123456789ab"
        )
    );
    let tag: Reference = "y:2".parse().unwrap();
    house
        .meta
        .write(|txn| house.store.tag(txn, id, &tag))
        .unwrap();
    assert_eq!(
        house.remove(&short, false, &[]).unwrap_err().to_string(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    // One of two names goes though a container runs.
    let untagged = |name: &str| RemovedItem::Untagged(name.to_owned());
    assert_eq!(
        house.remove("y:2", false, &user(true)).unwrap(),
        [untagged("y:2")]
    );
    assert_eq!(
        house.remove("x", true, &user(true)).unwrap(),
        [untagged("x:latest")]
    );
    // A stopped container keeps its layers when the image goes.
    let items = house.remove(&short, true, &user(false)).unwrap();
    assert_eq!(items, [RemovedItem::Deleted(id)]);
    let view = house.meta.read().unwrap();
    let Mount::Overlay { lower, .. } = house.store.mount(&view, &snapshot, false).unwrap() else {
        panic!("no overlay")
    };
    assert!(lower[0].join("a").exists());
    drop(view);
    let garbage = house
        .meta
        .write(|txn| house.store.collect(txn, []))
        .unwrap();
    house.store.discard(&garbage).unwrap();
    assert_eq!(house.names("layers"), ["0"]);
}

#[test]
fn root_snapshots_and_sweep() {
    let house = House::new();
    let mut root = Entry::new("./", EntryKind::Directory);
    (root.mode, root.uid) = (0o1711, 7);
    let id = house
        .import(&tar(&[(root, ""), file("a", "one")]), "x")
        .unwrap();
    let view = house.meta.read().unwrap();
    let [kept, lost] = [0; 2].map(|_| house.store.prepare(&view, id).unwrap());
    let mount = house.store.mount(&view, &kept, true).unwrap();
    let Mount::Overlay {
        lower,
        upper,
        work,
        volatile: true,
    } = mount
    else {
        panic!("{mount:?}")
    };
    assert_eq!(lower.len(), 2);
    assert_eq!(lower[1], house.root.join("layers/0/diff"));
    assert!(work.is_dir());
    let stat = fs::metadata(&upper).unwrap();
    assert_eq!(stat.permissions().mode() & 0o7777, 0o1711);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&stat), 7);
    for path in ["proc", "dev/pts", "etc/hosts", ".dockerenv"] {
        assert!(lower[1].join(path).exists(), "{path}");
    }
    let json = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), kept);

    fs::create_dir(house.root.join("layers/zz")).unwrap();
    fs::create_dir(house.root.join("ingest/q")).unwrap();
    // A new start must not reuse a name, and throws away what no row has.
    let again = Store::open(&house.root).unwrap();
    again.sweep(&view, std::slice::from_ref(&kept)).unwrap();
    assert_eq!(house.names("rw"), [kept.key()]);
    assert_ne!(kept.key(), lost.key());
    assert_eq!(house.names("layers").len(), 2);
    assert!(house.names("ingest").is_empty());
    again.reap().unwrap();
    assert!(house.names("trash").is_empty());
    again.remove_snapshot(&kept).unwrap();
    assert!(house.names("rw").is_empty());
}

#[test]
fn root_whiteouts_become_overlayfs_s() {
    let house = House::new();
    let directory = |path: &str| (Entry::new(path, EntryKind::Directory), "");
    house
        .import(
            &tar(&[
                file("d/.wh.gone", ""),
                directory("o/"),
                file("o/.wh..wh..opq", ""),
                file("o/new", "x"),
            ]),
            "x",
        )
        .unwrap();
    let layer = house.layer("x");
    assert!(
        fs::symlink_metadata(layer.join("d/gone"))
            .unwrap()
            .file_type()
            .is_char_device()
    );
    let dir = sys::dir::Dir::open(&layer.join("o")).unwrap();
    let fd = std::os::fd::AsFd::as_fd(&dir);
    let value = sys::xattr::get(fd, OsStr::new("trusted.overlay.opaque")).unwrap();
    assert_eq!(value.as_deref(), Some(&b"y"[..]));
}

#[test]
fn root_from_host_runs() {
    let house = House::new();
    let staged = house.store.from_host_default().unwrap();
    let tag: Reference = "wharf/host".parse().unwrap();
    let id = house
        .meta
        .write(|txn| house.store.publish(txn, staged, Some(&tag)))
        .unwrap();
    let view = house.meta.read().unwrap();
    let record = house.store.get(&view, id).unwrap();
    assert_eq!(
        record.config.config.as_ref().unwrap().cmd,
        Some(vec!["sh".to_owned()])
    );
    let again = house.store.from_host_default().unwrap();
    let other = house
        .meta
        .write(|txn| house.store.publish(txn, again, None))
        .unwrap();
    assert_eq!(
        house
            .store
            .get(&view, other)
            .map(|r| r.layers().to_vec())
            .ok(),
        None,
        "old view"
    );
    let view = house.meta.read().unwrap();
    assert_eq!(
        house.store.get(&view, other).unwrap().layers(),
        record.layers(),
        "same files, same layer"
    );

    let layer = house.layer("wharf/host");
    assert_eq!(run(&layer, "exit 7"), (Some(7), String::new()));
    let (code, text) = run(
        &layer,
        "ls -d /tmp && id -un && cat /etc/passwd | wc -l && echo x | grep x",
    );
    assert_eq!((code, text.as_str()), (Some(0), "/tmp\nroot\n2\nx\n"));
    // Every program finds all its shared objects.
    for program in image::from_host::DEFAULT_PROGRAMS {
        let script = format!(
            "if command -v {program}; then {program} --help </dev/null; fi >/dev/null 2>&1; echo $?"
        );
        let (_, text) = run(&layer, &script);
        assert_ne!(text, "127\n", "{program}");
    }
}

#[test]
fn root_from_host_by_name() {
    let house = House::new();
    let error = house
        .store
        .from_host(&["no-such-program".to_owned()])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "program \"no-such-program\" is not on this machine"
    );
    let staged = house
        .store
        .from_host(&["/bin/sh".to_owned(), "true".to_owned()])
        .unwrap();
    let tag: Reference = "mine:1".parse().unwrap();
    house
        .meta
        .write(|txn| house.store.publish(txn, staged, Some(&tag)))
        .unwrap();
    let layer = house.layer("mine:1");
    assert_eq!(run(&layer, "true && exit 3").0, Some(3));
    assert_eq!(
        run(&layer, "cat /etc/passwd").0,
        Some(127),
        "only what was asked for"
    );
}

/// Runs a script by the shell of a root file system.
#[expect(
    clippy::disallowed_methods,
    reason = "the test wants chroot(8) and nothing of ours"
)]
fn run(root: &Path, script: &str) -> (Option<i32>, String) {
    let output = std::process::Command::new("/usr/sbin/chroot")
        .arg(root)
        .args(["/bin/sh", "-c", script])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}
