//! Hostile and odd archives into a real directory, beside a canary that must not change. Needs root
//! for owners and device nodes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::tests_outside_test_module,
    reason = "this whole file is tests"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use archive::{
    Entry, EntryKind, Error, Extracted, Reader, Recorder, Replay, Time, Writer, extract_layer,
};
use proptest::prelude::*;
use sys::dir::Dir;

/// `BASE/root` is extracted into; `BASE/canary` must stay as it is.
struct Place {
    base: PathBuf,
}

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let base =
            std::env::temp_dir().join(format!("archive-test-{}-{number}", std::process::id()));
        fs::create_dir_all(base.join("root")).unwrap();
        fs::create_dir(base.join("canary")).unwrap();
        drop(fs::File::create(base.join("canary/file")).unwrap());
        Self { base }
    }

    fn extract(&self, entries: &[(Entry, &str)]) -> Result<Extracted, Error> {
        let bytes = tar(entries);
        let root = Dir::open(&self.base.join("root")).unwrap();
        let result = extract_layer(&mut Reader::new(&bytes[..]), &root);
        let mut canary: Vec<_> = fs::read_dir(self.base.join("canary")).unwrap().collect();
        assert_eq!(canary.len(), 1, "something was made beside the root");
        let stat = canary.pop().unwrap().unwrap().metadata().unwrap();
        assert_eq!(
            (stat.len(), stat.nlink(), stat.mode() & 0o777, stat.uid()),
            (0, 1, 0o644, 0)
        );
        let beside: Vec<_> = fs::read_dir(&self.base).unwrap().collect();
        assert_eq!(beside.len(), 2, "{beside:?}");
        result
    }

    fn at(&self, path: &str) -> PathBuf {
        self.base.join("root").join(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let parent = Dir::open(self.base.parent().unwrap()).unwrap();
        parent.remove_tree(self.base.file_name().unwrap()).unwrap();
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

fn directory(path: &str) -> (Entry, &'static str) {
    (Entry::new(path, EntryKind::Directory), "")
}

fn symlink(path: &str, target: &str) -> (Entry, &'static str) {
    (
        Entry::new(
            path,
            EntryKind::Symlink {
                target: target.into(),
            },
        ),
        "",
    )
}

fn link(path: &str, target: &str) -> (Entry, &'static str) {
    (
        Entry::new(
            path,
            EntryKind::HardLink {
                target: target.into(),
            },
        ),
        "",
    )
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn root_paths_that_leave_are_refused() {
    for (entry, rule) in [
        (file("../canary/file", "x"), "escapes the root"),
        (file("a/../../canary/new", "x"), "escapes the root"),
        (directory("../new"), "escapes the root"),
        (symlink("../new", "x"), "escapes the root"),
        (
            link("x", "../canary/file"),
            "the hard link escapes the root",
        ),
        (
            link("x", "/../canary/file"),
            "the hard link escapes the root",
        ),
        (file(".wh...", ""), "a whiteout needs a name"),
        (file("./", "x"), "the root must be a directory"),
        (symlink(".", "/"), "the root must be a directory"),
    ] {
        let place = Place::new();
        match place.extract(std::slice::from_ref(&entry)) {
            Err(Error::Entry { rule: found, .. }) => assert_eq!(found, rule, "{entry:?}"),
            other => panic!("{entry:?}: {other:?}"),
        }
    }
}

#[test]
fn root_absolute_paths_lie_in_the_root() {
    let place = Place::new();
    place
        .extract(&[file("/abs/file", "x"), symlink("/l", "/etc/passwd")])
        .unwrap();
    assert_eq!(text(&place.at("abs/file")), "x");
    assert_eq!(
        fs::read_link(place.at("l")).unwrap(),
        Path::new("/etc/passwd")
    );
}

#[test]
fn root_no_link_is_followed() {
    for target in ["../canary", "/tmp", "../../../../../../tmp", "."] {
        let place = Place::new();
        place
            .extract(&[symlink("l", target), file("l/new", "x"), directory("l/d/e")])
            .unwrap();
        assert!(
            fs::symlink_metadata(place.at("l")).unwrap().is_dir(),
            "replaced by a directory"
        );
        assert_eq!(text(&place.at("l/new")), "x");
    }
    // A file over a link replaces the link and does not write through it.
    let place = Place::new();
    place
        .extract(&[symlink("l", "../canary/file"), file("l", "evil")])
        .unwrap();
    assert_eq!(text(&place.at("l")), "evil");
    // A whiteout and a hard link below a link.
    let place = Place::new();
    place
        .extract(&[symlink("l", "../canary"), file("l/.wh.file", "")])
        .unwrap();
    let place = Place::new();
    let error = place
        .extract(&[symlink("l", "../canary"), link("x", "l/file")])
        .unwrap_err();
    assert!(matches!(error, Error::Entry { .. }), "{error:?}");
}

#[test]
fn root_hard_links() {
    let place = Place::new();
    place
        .extract(&[
            file("d/a", "x"),
            link("b", "d/a"),
            symlink("s", "../canary/file"),
            link("t", "s"),
        ])
        .unwrap();
    assert_eq!(fs::metadata(place.at("b")).unwrap().nlink(), 2);
    let linked = fs::symlink_metadata(place.at("t")).unwrap();
    assert!(
        linked.is_symlink() && linked.nlink() == 2,
        "the link itself is linked"
    );
    for (entries, rule) in [
        (
            vec![link("x", "missing")],
            "the target of the hard link is not in this archive",
        ),
        (
            vec![file(".wh.w", ""), link("x", "w")],
            "the target of the hard link is not in this archive",
        ),
        (
            vec![directory("d"), link("x", "d")],
            "the target of the hard link is a directory",
        ),
        (
            vec![file("a", ""), link("a", "./a")],
            "the hard link links to itself",
        ),
        (
            vec![file("d/in", ""), link("d", "d/in")],
            "the hard link replaces the directory of its target",
        ),
        (
            vec![link("x", "/")],
            "the target of the hard link is not in this archive",
        ),
    ] {
        match Place::new().extract(&entries) {
            Err(Error::Entry { rule: found, .. }) => assert_eq!(found, rule),
            other => panic!("{entries:?}: {other:?}"),
        }
    }
}

#[test]
fn root_the_last_of_equal_paths_wins() {
    let place = Place::new();
    place
        .extract(&[
            file("a", "first"),
            file("a", "second"),
            file("f", ""),
            directory("f"),
            file("f/in", "x"),
            directory("d"),
            file("d/in", "x"),
            file("d", "file"),
            file("p", ""),
            file("p/in", "below a file"),
            directory("k"),
            file("k/in", "kept"),
            directory("k/"),
        ])
        .unwrap();
    assert_eq!(text(&place.at("a")), "second");
    assert_eq!(text(&place.at("f/in")), "x");
    assert_eq!(text(&place.at("d")), "file");
    assert_eq!(text(&place.at("p/in")), "below a file");
    assert_eq!(text(&place.at("k/in")), "kept");
}

#[test]
fn root_whiteouts() {
    let place = Place::new();
    place
        .extract(&[
            file(".wh.gone", ""),
            file("both", "mine"),
            file(".wh.both", ""),
            file(".wh.later", ""),
            file("later", "mine"),
            file(".wh.d", ""),
            file("d/in", "x"),
            directory("e"),
            file(".wh.e", ""),
            file("o/.wh..wh..opq", ""),
            file("o/in", "x"),
            file(".wh..wh.aufs", ""),
        ])
        .unwrap();
    let gone = fs::symlink_metadata(place.at("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(text(&place.at("both")), "mine");
    assert_eq!(text(&place.at("later")), "mine");
    let opaque = |path: &str| {
        let dir = Dir::open(&place.at(path)).unwrap();
        sys::xattr::get(dir.as_fd(), OsStr::new("trusted.overlay.opaque")).unwrap()
    };
    for path in ["d", "e", "o"] {
        assert_eq!(
            opaque(path).as_deref(),
            Some(&b"y"[..]),
            "{path} hides the lower one"
        );
    }
    assert_eq!(opaque("").as_deref(), None);
    assert!(!place.at(".wh..wh.aufs").exists());
}

#[test]
fn root_metadata() {
    let place = Place::new();
    let time = Time {
        seconds: 1_234_567_890,
        nanos: 0,
    };
    let mut root = directory("./").0;
    (root.mode, root.uid, root.mtime) = (0o1750, 5, time);
    let mut set_id = file("set-id", "x").0;
    (set_id.mode, set_id.uid, set_id.gid, set_id.mtime) = (0o6755, 1000, 3_000_000, time);
    // CAP_NET_RAW, permitted and effective, in the kernel's format version 2.
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    set_id.xattrs = vec![
        (b"security.capability".to_vec(), capability.to_vec()),
        (b"user.note".to_vec(), b"kept".to_vec()),
        (b"trusted.overlay.opaque".to_vec(), b"y".to_vec()),
    ];
    let mut dir = directory("dir").0;
    (dir.mode, dir.mtime) = (0o2700, time);
    let mut old = symlink("old", "x").0;
    (old.uid, old.mtime) = (
        7,
        Time {
            seconds: -1000,
            nanos: 0,
        },
    );
    place
        .extract(&[
            (root, ""),
            (set_id, "x"),
            (dir, ""),
            file("dir/later", "y"),
            (old, ""),
        ])
        .unwrap();
    let stat = fs::metadata(place.at("set-id")).unwrap();
    assert_eq!(
        (stat.mode() & 0o7777, stat.uid(), stat.gid()),
        (0o6755, 1000, 3_000_000)
    );
    assert_eq!(stat.mtime(), 1_234_567_890);
    let opened = fs::File::open(place.at("set-id")).unwrap();
    let xattr = |name: &str| sys::xattr::get(opened.as_fd(), OsStr::new(name)).unwrap();
    assert_eq!(
        xattr("security.capability").as_deref(),
        Some(&capability[..])
    );
    assert_eq!(xattr("trusted.overlay.opaque"), None);
    if let Some(value) = xattr("user.note") {
        assert_eq!(value, b"kept");
    }
    let stat = fs::metadata(place.at("dir")).unwrap();
    assert_eq!(
        (stat.mode() & 0o7777, stat.mtime(), stat.gid()),
        (0o2700, 1_234_567_890, 0)
    );
    assert_eq!(fs::metadata(place.at("dir/later")).unwrap().gid(), 0);
    let stat = fs::symlink_metadata(place.at("old")).unwrap();
    assert_eq!((stat.uid(), stat.mtime()), (7, -1000));
    let stat = fs::metadata(place.at("")).unwrap();
    assert_eq!(
        (stat.mode() & 0o7777, stat.uid(), stat.mtime()),
        (0o1750, 5, 1_234_567_890)
    );
}

#[test]
fn root_special_files_are_made_and_not_opened() {
    let place = Place::new();
    let mut entries = vec![
        (
            Entry::new("null", EntryKind::CharDevice { device: (1, 3) }),
            "",
        ),
        (
            Entry::new("loop", EntryKind::BlockDevice { device: (7, 300) }),
            "",
        ),
        (Entry::new("pipe", EntryKind::Fifo), ""),
        (
            Entry::new("hidden", EntryKind::CharDevice { device: (0, 0) }),
            "",
        ),
    ];
    for (entry, _) in &mut entries {
        entry.mode = 0o666;
    }
    // A pipe that were opened would block, the device would take the text.
    entries.extend([file("pipe", "text"), file("null", "text")]);
    let mut last = entries.remove(2);
    last.0.path = b"pipe2".to_vec();
    entries.push(last);
    place.extract(&entries).unwrap();
    assert_eq!(text(&place.at("null")), "text");
    let stat = fs::metadata(place.at("loop")).unwrap();
    assert!(stat.file_type().is_block_device());
    assert_eq!(
        (stat.rdev(), stat.permissions().mode() & 0o777),
        (rustix_makedev(7, 300), 0o666)
    );
    assert!(
        fs::metadata(place.at("pipe2"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
}

/// glibc's makedev(3).
fn rustix_makedev(major: u64, minor: u64) -> u64 {
    (major & 0xfff) << 8 | (minor & 0xff) | (minor & !0xff) << 12
}

#[test]
fn root_zeros_become_holes() {
    let place = Place::new();
    let size = 4 << 20;
    let entry = Entry::new("sparse", EntryKind::File { size });
    let mut writer = Writer::new(Vec::new());
    writer.entry(&entry, std::io::repeat(0)).unwrap();
    let bytes = writer.finish().unwrap();
    let root = Dir::open(&place.at("")).unwrap();
    let done = extract_layer(&mut Reader::new(&bytes[..]), &root).unwrap();
    assert_eq!(done.size, size);
    let stat = fs::metadata(place.at("sparse")).unwrap();
    assert_eq!(stat.len(), size);
    assert!(stat.blocks() * 512 < size / 2, "{} blocks", stat.blocks());
}

#[test]
fn root_long_names_and_deep_trees() {
    let place = Place::new();
    let name = "n".repeat(255);
    let deep = "d/".repeat(1000) + "end";
    let (_, content) = file("", "x");
    let entry = |path: &str| (Entry::new(path, EntryKind::File { size: 1 }), content);
    place
        .extract(&[entry(&format!("{name}/{name}")), entry(&deep)])
        .unwrap();
    assert_eq!(text(&place.at(&format!("{name}/{name}"))), "x");
    // The tree is removed by Place, with fewer descriptors than it is deep.
    assert!(place.at("d/d/d/d").is_dir());
}

#[test]
fn root_a_recipe_gives_the_same_bytes() {
    let place = Place::new();
    let content: &'static str = "0123456789".repeat(20_000).leak();
    let mut odd = file(&"long/".repeat(60), content);
    odd.0.path.extend(b"name");
    let mut bytes = tar(&[
        file("a", content),
        link("b", "a"),
        file("empty", ""),
        odd,
        symlink("s", "a"),
    ]);
    bytes.extend([7; 3000]);
    let root = place.base.join("root");
    let recipe = place.base.join("recipe");
    let recorder = Recorder::new(fs::File::create(&recipe).unwrap()).unwrap();
    let mut reader = Reader::recorded(&bytes[..], recorder);
    let done = extract_layer(&mut reader, &Dir::open(&root).unwrap()).unwrap();
    assert!(!done.lossy);
    let (_, recorder) = reader.finish().unwrap();
    assert_eq!(recorder.unwrap().finish().unwrap(), bytes.len() as u64);
    assert!(
        fs::metadata(&recipe).unwrap().len() < 1000,
        "contents are not in the recipe"
    );
    let again = || -> std::io::Result<Vec<u8>> {
        let mut again = Vec::new();
        let recipe = fs::File::open(&recipe)?;
        Replay::new(recipe, Dir::open(&root).unwrap())?.read_to_end(&mut again)?;
        Ok(again)
    };
    assert_eq!(again().unwrap(), bytes);
    // A file that became shorter or went away is an error and no other archive.
    fs::OpenOptions::new()
        .write(true)
        .open(root.join("a"))
        .unwrap()
        .set_len(5)
        .unwrap();
    assert!(again().is_err());
    fs::remove_file(root.join("a")).unwrap();
    assert!(again().is_err());

    let place = Place::new();
    assert!(
        place
            .extract(&[file("a", "one"), file("a", "two")])
            .unwrap()
            .lossy
    );
    assert!(
        !place
            .extract(&[file(".wh.x", ""), file("x", "two")])
            .unwrap()
            .lossy
    );
}

/// Paths of few letters, so that entries meet: links, whiteouts, ways out.
fn hostile_path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "..",
        ".",
        "",
        ".wh.a",
        ".wh..wh..opq",
        "canary",
    ]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn hostile_entry() -> impl Strategy<Value = (Entry, &'static str)> {
    let kind = prop_oneof![
        Just(EntryKind::File { size: 4 }),
        Just(EntryKind::Directory),
        Just(EntryKind::Fifo),
        Just(EntryKind::CharDevice { device: (0, 0) }),
        hostile_path().prop_map(|path| EntryKind::Symlink {
            target: path.into_bytes()
        }),
        Just(EntryKind::Symlink {
            target: b"../canary".to_vec()
        }),
        hostile_path().prop_map(|path| EntryKind::HardLink {
            target: path.into_bytes()
        }),
        Just(EntryKind::HardLink {
            target: b"a/file".to_vec()
        }),
    ];
    (hostile_path(), kind, 0_u32..0o10000).prop_map(|(path, kind, mode)| {
        let content = if matches!(kind, EntryKind::File { .. }) {
            "evil"
        } else {
            ""
        };
        (
            Entry {
                mode,
                ..Entry::new(path, kind)
            },
            content,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the entries are, the canary stays (asserted by `extract`), and what went wrong is a
    /// rule of ours and no surprise of the kernel's.
    #[test]
    fn root_any_entries_stay_in_the_root(entries in prop::collection::vec(hostile_entry(), 1..12)) {
        let place = Place::new();
        match place.extract(&entries) {
            Ok(_) | Err(Error::Entry { .. } | Error::Header { .. }) => {}
            Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }
}
