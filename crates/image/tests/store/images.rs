//! Import, names, removal, snapshots.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use archive::{Entry, EntryKind};
use image::{Error, ImportOptions, RemovedItem, Snapshot, Store, User};
use types::{Digest, Mount, Reference};

use crate::house::{House, file, gzip, tar};

#[test]
fn root_import_and_names() {
    let house = House::new();
    let tar = tar(&[file("a", "one"), file("d/b", "two!")]);
    let id = house.import(&tar, "x").unwrap();
    let view = house.meta.read().unwrap();
    let record = house.store.get(&view, id).unwrap();
    assert_eq!(record.size, 7);
    assert_eq!(Digest::of(record.config_text.as_bytes()), id);
    assert_eq!(
        record.layers(),
        [Digest::of(&tar)],
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
    let gzip = gzip(&tar);
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
}

#[test]
fn root_removal_of_one_name_of_two() {
    let house = House::new();
    let id = house.import(&tar(&[file("a", "one")]), "x").unwrap();
    let snapshot = house
        .store
        .prepare(&house.meta.read().unwrap(), id)
        .unwrap();
    let user = |running| {
        [User {
            container: "0123456789ab",
            image: id,
            running,
            snapshot: &snapshot,
        }]
    };
    let short = id.short();
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
    assert!(!house.store.has(&house.meta.read().unwrap(), id).unwrap());
    house
        .meta
        .write(|txn| house.store.hold(txn, &snapshot))
        .unwrap();
    let garbage = house
        .meta
        .write(|txn| house.store.collect(txn, []))
        .unwrap();
    let error = house
        .meta
        .write(|txn| house.store.hold(txn, &snapshot))
        .unwrap_err();
    assert!(matches!(error, Error::MissingLayer { .. }));
    house.store.discard(garbage).unwrap();
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
    again.sweep(&view).unwrap();
    again.sweep_snapshots(std::slice::from_ref(&kept)).unwrap();
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
    let fd = dir.as_fd();
    let value = sys::xattr::get(fd, OsStr::new("trusted.overlay.opaque")).unwrap();
    assert_eq!(value.as_deref(), Some(&b"y"[..]));
}
