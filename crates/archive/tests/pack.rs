//! Real directories into archives and back. Needs root for owners and device nodes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::tests_outside_test_module,
    reason = "this whole file is tests"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use archive::{Entry, EntryKind, Reader, Source, Time, Writer, extract_layer, pack};
use sys::dir::Dir;

struct Temp(PathBuf);

impl Temp {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pack-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn dir(&self) -> Dir {
        Dir::open(&self.0).unwrap()
    }

    fn packed(&self, source: Source) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        pack(&self.dir(), source, &mut writer).unwrap();
        writer.finish().unwrap()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let parent = Dir::open(self.0.parent().unwrap()).unwrap();
        parent.remove_tree(self.0.file_name().unwrap()).unwrap();
    }
}

fn archive(entries: &[(Entry, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

fn file(path: &str, content: &'static str) -> (Entry, &'static str) {
    let kind = EntryKind::File {
        size: content.len() as u64,
    };
    (
        Entry {
            mtime: Time {
                seconds: 1000,
                nanos: 0,
            },
            ..Entry::new(path, kind)
        },
        content,
    )
}

fn other(path: &str, kind: EntryKind) -> (Entry, &'static str) {
    (
        Entry {
            mtime: Time {
                seconds: 1000,
                nanos: 0,
            },
            ..Entry::new(path, kind)
        },
        "",
    )
}

#[test]
fn root_what_is_extracted_packs_to_the_same_bytes() {
    let mut set_id = file("bin/su", "x");
    (set_id.0.mode, set_id.0.uid, set_id.0.gid) = (0o4755, 3_000_000, 7);
    let mut link = other(
        "z",
        EntryKind::Symlink {
            target: b"/a/very/far/place".to_vec(),
        },
    );
    link.0.mode = 0o777;
    let long = format!("{}/", "n".repeat(200));
    let entries = [
        other("a", EntryKind::CharDevice { device: (1, 3) }),
        other("b", EntryKind::Fifo),
        other("bin/", EntryKind::Directory),
        set_id,
        // A directory comes with its content before the next name.
        file("bin-file", ""),
        file("f\u{fc}r", "not ascii"),
        other(
            "h",
            EntryKind::HardLink {
                target: b"f\xc3\xbcr".to_vec(),
            },
        ),
        other(&long, EntryKind::Directory),
        link,
    ];
    let bytes = archive(&entries);
    let temp = Temp::new();
    extract_layer(&mut Reader::new(&bytes[..]), &temp.dir()).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(temp.0.join("socket")).unwrap();
    assert_eq!(temp.packed(Source::Tree), bytes);
    drop(socket);
}

trait Names {
    fn names(self) -> Vec<String>;
}

impl<R: std::io::Read> Names for Reader<R> {
    fn names(mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(entry) = self.next_entry().unwrap() {
            names.push(String::from_utf8_lossy(&entry.path).into_owned());
        }
        names
    }
}

#[test]
fn root_whiteouts_of_an_upper_directory() {
    let mut hidden = other("d/.wh.gone", EntryKind::File { size: 0 });
    let mut opaque = other("o/.wh..wh..opq", EntryKind::File { size: 0 });
    for (entry, _) in [&mut hidden, &mut opaque] {
        (entry.mode, entry.mtime) = (0, Time::default());
    }
    let directory = |path| other(path, EntryKind::Directory);
    let bytes = archive(&[
        directory("d/"),
        hidden,
        directory("o/"),
        opaque,
        file("o/in", "x"),
    ]);
    let temp = Temp::new();
    extract_layer(&mut Reader::new(&bytes[..]), &temp.dir()).unwrap();
    assert_eq!(temp.packed(Source::Upper), bytes);
    // As a tree it is what it is.
    assert_eq!(
        Reader::new(&temp.packed(Source::Tree)[..]).names(),
        ["d/", "d/gone", "o/", "o/in"]
    );
}
