//! Loading archives of images.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use archive::{Entry, EntryKind, Writer};
use image::{Error, Loaded, Store};
use types::Digest;

use crate::house::{House, file, gzip, tar};

/// An image archive in the making.
struct Archive(Vec<(Entry, Vec<u8>)>);

impl Archive {
    fn add(&mut self, path: &str, bytes: &[u8]) {
        let kind = EntryKind::File {
            size: bytes.len() as u64,
        };
        self.0.push((Entry::new(path, kind), bytes.to_vec()));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (entry, content) in &self.0 {
            writer.entry(entry, &content[..]).unwrap();
        }
        writer.finish().unwrap()
    }
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| Digest::of(layer).to_string())
        .collect();
    serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Env": null, "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "extra": "is kept",
    })
    .to_string()
    .into_bytes()
}

/// Docker's archive of one image with layers as given; `stored` is what the files hold.
fn docker(layers: &[&[u8]], stored: &[&[u8]], tags: impl serde::Serialize) -> Archive {
    let mut archive = Archive(Vec::new());
    let config = config(layers);
    let names: Vec<String> = (0..layers.len())
        .map(|n| format!("l{n}/layer.tar"))
        .collect();
    for (name, bytes) in names.iter().zip(stored) {
        archive.add(name, bytes);
    }
    archive.add("config.json", &config);
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": tags, "Layers": names}]);
    archive.add("manifest.json", manifest.to_string().as_bytes());
    archive
}

fn oci(layers: &[&[u8]], stored: &[&[u8]], name: &str) -> Archive {
    let mut archive = Archive(Vec::new());
    let mut blob = |kind: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        archive.add(&format!("blobs/sha256/{}", digest.hex()), bytes);
        serde_json::json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    };
    let layer = |bytes: &&[u8]| blob("application/vnd.oci.image.layer.v1.tar", bytes);
    let descriptors: Vec<_> = stored.iter().map(layer).collect();
    let config = blob("application/vnd.oci.image.config.v1+json", &config(layers));
    let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": descriptors});
    let manifest = blob(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    // An index in the index, as multi-platform images have.
    let mut foreign = manifest.clone();
    foreign["platform"] = serde_json::json!({"os": "linux", "architecture": "pdp11"});
    foreign["digest"] = serde_json::json!(Digest::of(b"not here"));
    let mut ours = manifest;
    ours["platform"] = serde_json::json!({"os": "linux", "architecture": go_architecture()});
    let inner = serde_json::json!({"schemaVersion": 2, "manifests": [foreign, ours]});
    let mut index = blob(
        "application/vnd.oci.image.index.v1+json",
        inner.to_string().as_bytes(),
    );
    index["annotations"] = serde_json::json!({"io.containerd.image.name": name});
    archive.add(
        "index.json",
        serde_json::json!({"schemaVersion": 2, "manifests": [index]})
            .to_string()
            .as_bytes(),
    );
    archive.add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    archive
}

fn go_architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    }
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

impl House {
    pub(crate) fn load(&self, bytes: &[u8]) -> Result<Loaded, Error> {
        let view = self.meta.read()?;
        let mut last = None;
        let loaded = self.store.load(bytes, &view, &mut |progress| {
            assert!(progress.current <= progress.total);
            last = Some(progress);
        })?;
        if let Some(last) = last {
            assert_eq!(last.current, last.total);
        }
        self.meta
            .write(|txn| self.store.publish_loaded(txn, loaded))
    }
}

#[test]
fn root_load_reads_every_shape() {
    let [one, two] = [tar(&[file("a", "one")]), tar(&[file("b", "two")])];
    let layers = [&one[..], &two[..]];
    let packed = [gzip(&one), zstd(&two)];
    let packed = [&packed[0][..], &packed[1][..]];
    let id = Digest::of(&config(&layers));
    let tags = serde_json::json!(["x:1", "example.org/y:2"]);
    let mut backwards = docker(&layers, &layers, tags.clone());
    backwards.0.reverse();
    // Layers by links, as Docker before 25 shared them.
    let mut links = docker(&layers, &layers, tags.clone());
    links.0[0].0.path = b"store/one".to_vec();
    let target = b"../store/one".to_vec();
    links.0.push((
        Entry::new("l0/layer.tar", EntryKind::Symlink { target }),
        Vec::new(),
    ));
    let plain = docker(&layers, &layers, tags.clone()).bytes();
    for (name, bytes) in [
        ("plain", plain.clone()),
        ("gzip outside", gzip(&plain)),
        ("zstd outside", zstd(&plain)),
        ("packed layers", docker(&layers, &packed, tags).bytes()),
        ("any order", backwards.bytes()),
        ("links", links.bytes()),
    ] {
        let house = House::new();
        let loaded = house
            .load(&bytes)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(loaded.ids, [id], "{name}: the config's bytes are the id");
        assert_eq!(
            loaded.lines,
            ["Loaded image: x:1", "Loaded image: example.org/y:2"]
        );
        let view = house.meta.read().unwrap();
        assert_eq!(house.store.get(&view, id).unwrap().layers().len(), 2);
        assert_eq!(fs::read(house.layer("x:1").join("b")).unwrap(), b"two");
        assert!(house.names("ingest").is_empty(), "{name}");
        // Again: everything is there, nothing is unpacked.
        assert_eq!(house.load(&bytes).unwrap().ids, [id]);
        assert_eq!(house.names("layers").len(), 3);
    }
    let house = House::new();
    let loaded = house
        .load(&oci(&layers, &packed, "docker.io/library/o:1").bytes())
        .unwrap();
    assert_eq!(
        (loaded.ids, loaded.lines),
        (vec![id], vec!["Loaded image: o:1".to_owned()])
    );
    let nameless = docker(&layers, &layers, serde_json::Value::Null);
    assert_eq!(
        house.load(&nameless.bytes()).unwrap().lines,
        [format!("Loaded image ID: {id}")]
    );
    // The tag goes over to another image.
    let other = docker(&layers[..1], &layers[..1], serde_json::json!(["o:1"]));
    let lines = house.load(&other.bytes()).unwrap().lines;
    let moved =
        format!("The image o:1 already exists, renaming the old one with ID {id} to empty string");
    assert_eq!(lines, [moved, "Loaded image: o:1".to_owned()]);
}

#[test]
fn root_load_of_broken_archives_names_the_part() {
    let [one, two] = [tar(&[file("a", "one")]), tar(&[file("b", "two")])];
    let evil = tar(&[file("a", "one"), file("../evil", "x")]);
    let tags = || serde_json::json!(["x:1"]);
    let without = |path: &str| {
        let mut archive = docker(&[&one], &[&one], tags());
        archive.0.retain(|(entry, _)| entry.path != path.as_bytes());
        archive.bytes()
    };
    let mut blob = oci(&[&one], &[&one], "x:1");
    blob.0[0].1[0] ^= 1;
    let blob_name = String::from_utf8(blob.0[0].0.path.clone()).unwrap();
    let mut device = docker(&[&one], &[&one], tags());
    device.0.push((
        Entry::new("null", EntryKind::CharDevice { device: (1, 3) }),
        Vec::new(),
    ));
    for (bytes, text) in [
        (
            docker(&[&one, &two], &[&one, &one], tags()).bytes(),
            "l1/layer.tar: invalid diffID for layer 1",
        ),
        (
            docker(&[&evil], &[&evil], tags()).bytes(),
            "layer l0/layer.tar: invalid tar entry \"../evil\": escapes the root",
        ),
        (
            docker(&[&one], &[&one[..600]], tags()).bytes(),
            "layer l0/layer.tar: the archive is cut off",
        ),
        (without("l0/layer.tar"), "l0/layer.tar: not in the archive"),
        (without("config.json"), "config.json: not in the archive"),
        (
            without("manifest.json"),
            "invalid archive: does not contain a manifest.json",
        ),
        (
            docker(&[&one], &[&one], serde_json::json!(["X"])).bytes(),
            "invalid tag \"X\"",
        ),
        (
            blob.bytes(),
            &format!("{blob_name}: the content has digest"),
        ),
        (device.bytes(), "null: not a file, directory or link"),
        (
            docker(&[&one], &[&one], tags()).bytes()[..700].to_vec(),
            "the archive is cut off",
        ),
        (b"no tar at all".repeat(100), "invalid tar header at byte 0"),
    ] {
        let house = House::new();
        let error = house.load(&bytes).unwrap_err();
        let mut found = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            found = format!("{found}: {source}");
            cause = source.source();
        }
        assert!(found.contains(text), "{found:?} lacks {text:?}");
        assert_eq!(house.names("layers"), ["0"]);
        assert!(house.names("ingest").is_empty() && house.names("trash").is_empty());
        let view = house.meta.read().unwrap();
        assert!(house.store.list(&view).unwrap().is_empty());
    }
}

#[test]
fn root_a_full_disk_leaves_nothing() {
    // A tmpfs that is attached nowhere: it goes with its descriptor.
    let context = sys::mount::fsopen(c"tmpfs").unwrap();
    let context = context.as_fd();
    sys::mount::set_option(context, c"size", Some(c"2m")).unwrap();
    sys::mount::create(context).unwrap();
    let disk = sys::mount::fsmount(context, 0).unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", disk.as_raw_fd()));
    let mut house = House::new();
    house.store = Store::open(&path).unwrap();
    // Zeros would become holes; so that the layer does not fit and its compressed form does.
    let content: &'static str = "x".repeat(3 << 20).leak();
    let big = tar(&[file("fits", "x"), file("too-big", content)]);
    let text = |error: Error| {
        let mut cause: &dyn std::error::Error = &error;
        let mut text = cause.to_string();
        while let Some(next) = cause.source() {
            cause = next;
            text = format!("{text}: {cause}");
        }
        text
    };
    let empty = |area: &str| fs::read_dir(path.join(area)).unwrap().count() == 0;
    let full = "write: no space left on device";
    let packed = gzip(&big);
    let error = text(
        house
            .load(&docker(&[&big], &[&packed], serde_json::json!(["x:1"])).bytes())
            .unwrap_err(),
    );
    assert_eq!(
        error,
        format!("layer l0/layer.tar: cannot extract \"too-big\": {full}")
    );
    let error = text(
        house
            .load(&docker(&[&big], &[&big], serde_json::json!(["x:1"])).bytes())
            .unwrap_err(),
    );
    assert!(
        error.contains("image store: ingest/") && error.ends_with(full),
        "{error}"
    );
    let error = text(house.import(&packed, "x:1").unwrap_err());
    assert_eq!(error, format!("cannot extract \"too-big\": {full}"));
    assert!(empty("ingest") && empty("trash"));
    assert_eq!(fs::read_dir(path.join("layers")).unwrap().count(), 1);
    // The space is back; a child that another test forks may hold our files for a moment.
    let free = || house.store.space().unwrap().available > 1 << 20;
    assert!((0..200).any(|_| free() || {
        std::thread::sleep(Duration::from_millis(10));
        false
    }));
    house.import(&tar(&[file("a", "one")]), "x:1").unwrap();
}
