//! What a container changed, through a real overlay: diff, commit, export.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use archive::{Entry, EntryKind, Reader};
use image::{ChangeKind, CommitOptions, ImageId, Snapshot};
use types::oci::image::ContainerDefaults;

use crate::house::{House, file, overlay, tar};

fn base(house: &House) -> ImageId {
    let directory = |path: &str| (Entry::new(path, EntryKind::Directory), "");
    house
        .import(
            &tar(&[
                directory("etc/"),
                file("etc/passwd", "root"),
                file("etc/old", ""),
                directory("d/"),
                file("d/x", ""),
                file("d/y", ""),
                directory("opt/"),
                file("opt/kept", "kept"),
            ]),
            "base",
        )
        .unwrap()
}

/// What a program does in the container.
fn work(root: &Path) {
    fs::File::create(root.join("etc/passwd")).unwrap();
    fs::remove_file(root.join("etc/old")).unwrap();
    for path in ["d/x", "d/y"] {
        fs::remove_file(root.join(path)).unwrap();
    }
    fs::remove_dir(root.join("d")).unwrap();
    fs::create_dir(root.join("d")).unwrap();
    fs::File::create(root.join("d/new")).unwrap();
    fs::create_dir_all(root.join("new/sub")).unwrap();
    symlink("/etc/passwd", root.join("new/link")).unwrap();
    fs::hard_link(root.join("d/new"), root.join("new/hard")).unwrap();
    fs::set_permissions(root.join("opt"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::File::create(root.join("gone")).unwrap();
    fs::remove_file(root.join("gone")).unwrap();
}

fn options(parent: ImageId) -> CommitOptions {
    CommitOptions {
        parent,
        defaults: ContainerDefaults {
            cmd: Some(vec!["sh".to_owned()]),
            ..Default::default()
        },
        changes: vec!["ENV A=1".to_owned()],
        author: "me".to_owned(),
        comment: String::new(),
        created_by: "sh -c work".to_owned(),
    }
}

fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            found.push(
                entry
                    .path()
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn prepare(house: &House, image: ImageId) -> Snapshot {
    house
        .store
        .prepare(&house.meta.read().unwrap(), image)
        .unwrap()
}

fn path_of(mount: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()))
}

fn changes(house: &House, snapshot: &Snapshot) -> Vec<String> {
    let letter = |kind| match kind {
        ChangeKind::Modified => 'C',
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
    };
    let changes = house
        .store
        .changes(&house.meta.read().unwrap(), snapshot)
        .unwrap();
    changes
        .iter()
        .map(|one| format!("{} {}", letter(one.kind), one.path.display()))
        .collect()
}

#[test]
fn root_diff_and_commit() {
    let house = House::new();
    let id = base(&house);
    let snapshot = prepare(&house, id);
    let mount = house.mounted(&snapshot);
    assert!(
        changes(&house, &snapshot).is_empty(),
        "the engine's mount points are no change"
    );
    work(&path_of(&mount));
    let view_of_container = tree(&path_of(&mount));
    assert_eq!(
        changes(&house, &snapshot),
        [
            "C /d",
            "A /d/new",
            "D /d/x",
            "D /d/y",
            "C /etc",
            "D /etc/old",
            "C /etc/passwd",
            "A /new",
            "A /new/hard",
            "A /new/link",
            "A /new/sub",
            "C /opt",
        ]
    );
    let view = house.meta.read().unwrap();
    let staged = house.store.commit(&view, &snapshot, &options(id)).unwrap();
    let tag = "made:1".parse().unwrap();
    let made = house
        .meta
        .write(|txn| house.store.publish(txn, staged, Some(&tag)))
        .unwrap();
    let view = house.meta.read().unwrap();
    let record = house.store.get(&view, made).unwrap();
    assert_eq!((record.layers().len(), record.parent), (2, Some(id)));
    assert_eq!(record.config.config.unwrap().env, ["A=1"]);
    let history = record.config.history.last().unwrap();
    assert_eq!(history.created_by.as_deref(), Some("sh -c work"));
    assert_eq!(
        (history.author.as_deref(), history.comment.as_deref()),
        (Some("me"), None)
    );

    let steps = house.store.history(&view, made).unwrap();
    let ids: Vec<_> = steps.iter().map(|step| step.id).collect();
    assert_eq!(ids, [Some(made), Some(id)]);
    assert_eq!((steps[0].size, steps[1].size), (0, 8), "root, kept");
    assert_eq!(steps[0].tags, [tag]);

    // A container of the new image sees what the old container saw.
    let next = prepare(&house, made);
    let mount = house.mounted(&next);
    assert_eq!(tree(&path_of(&mount)), view_of_container);
    assert_eq!(
        fs::metadata(path_of(&mount).join("opt"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    assert!(changes(&house, &next).is_empty());
    // A parent stays while it has children.
    let text = house
        .remove(&id.short(), true, &[])
        .unwrap_err()
        .to_string();
    assert!(
        text.ends_with("(cannot be forced) - image has dependent child images"),
        "{text}"
    );
}

#[test]
fn root_commit_of_nothing_makes_no_layer() {
    let house = House::new();
    let id = base(&house);
    let view = house.meta.read().unwrap();
    let staged = house
        .store
        .commit(&view, &prepare(&house, id), &options(id))
        .unwrap();
    let made = house
        .meta
        .write(|txn| house.store.publish(txn, staged, None))
        .unwrap();
    let record = house.store.get(&house.meta.read().unwrap(), made).unwrap();
    assert_eq!(record.layers().len(), 1);
    assert!(record.config.history.last().unwrap().empty_layer);
    assert_eq!(house.names("layers").len(), 2);
}

#[test]
fn root_export_is_what_the_container_sees() {
    let house = House::new();
    let snapshot = prepare(&house, base(&house));
    let mount = house.mounted(&snapshot);
    work(&path_of(&mount));
    let mut bytes = Vec::new();
    let expect = tree(&path_of(&mount));
    image::export(&sys::dir::Dir::from(mount), &mut bytes).unwrap();
    let mut reader = Reader::new(&bytes[..]);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let name = String::from_utf8(entry.path).unwrap();
        if name == "opt/kept" {
            let mut content = String::new();
            reader.read_to_string(&mut content).unwrap();
            assert_eq!(content, "kept");
        }
        names.push(name.trim_end_matches('/').to_owned());
    }
    names.sort();
    assert_eq!(names, expect);
}

#[test]
fn root_a_volatile_container_starts_again() {
    let house = House::new();
    let snapshot = prepare(&house, base(&house));
    let view = house.meta.read().unwrap();
    let mount = || house.store.mount(&view, &snapshot, true).unwrap();
    for _ in 0..2 {
        let mounted = overlay(mount()).unwrap();
        fs::File::create(path_of(&mounted).join("written"))
            .unwrap()
            .write_all(b"12345")
            .unwrap();
    }
    let size = house.store.size(&view, &snapshot).unwrap();
    assert_eq!((size.written, size.root), (5, 13));
    // Without us the kernel refuses: the test would otherwise prove nothing.
    let plan = mount();
    drop(overlay(plan.clone()).unwrap());
    assert_eq!(overlay(plan).unwrap_err().errno, sys::Errno::INVAL);
}
