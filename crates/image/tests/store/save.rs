//! Images saved, and loaded elsewhere as the same images.

use std::fs;
use std::io::Write;

use types::Reference;

use crate::house::{House, file, gzip, tar};

fn save(house: &House, names: &[&str]) -> Result<Vec<u8>, image::Error> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut bytes = Vec::new();
    house
        .store
        .save(&house.meta.read().unwrap(), &names, &mut bytes)?;
    Ok(bytes)
}

#[test]
fn root_saved_images_keep_their_ids() {
    let house = House::new();
    let [one, two] = [
        tar(&[file("a", "one")]),
        tar(&[file("b/c", "two"), file("empty", "")]),
    ];
    let first = house.import(&one, "x:1").unwrap();
    let second = house.import(&gzip(&two), "example.org/y:2").unwrap();
    let third = house.import(&one, "x:3").unwrap();
    let host = house.store.from_host(&["sh".to_owned()]).unwrap();
    let tag: Reference = "wharf/host".parse().unwrap();
    let host = house
        .meta
        .write(|txn| house.store.publish(txn, host, Some(&tag)))
        .unwrap();

    let other = House::new();
    let loaded = other
        .load(&save(&house, &["x", &second.hex(), "wharf/host:latest"]).unwrap())
        .unwrap();
    assert_eq!(loaded.ids, [first, third, second, host]);
    let second_line = format!("Loaded image ID: {second}");
    assert_eq!(
        loaded.lines,
        [
            "Loaded image: x:1",
            "Loaded image: x:3",
            "Loaded image: wharf/host:latest",
            &second_line
        ]
    );
    assert_eq!(
        fs::read(other.layer(&second.hex()).join("b/c")).unwrap(),
        b"two"
    );
    // The same images are the same stream.
    assert_eq!(
        save(&house, &["x:1"]).unwrap(),
        save(&other, &["x:1"]).unwrap()
    );
    let error = save(&house, &["x:1", "nope"]).unwrap_err().to_string();
    assert_eq!(error, "No such image: nope");
}

#[test]
fn root_what_cannot_be_saved_says_so() {
    let house = House::new();
    house
        .import(&tar(&[file("a", "one"), file("a", "two")]), "twice")
        .unwrap();
    let error = save(&house, &["twice"]).unwrap_err().to_string();
    assert!(
        error.ends_with("cannot be saved: its archive held a file twice"),
        "{error}"
    );
    house.import(&tar(&[file("a", "one")]), "x").unwrap();
    fs::File::create(house.layer("x").join("a"))
        .unwrap()
        .write_all(b"two")
        .unwrap();
    let error = save(&house, &["x"]).unwrap_err().to_string();
    assert!(error.ends_with("was changed on disk"), "{error}");
}

#[test]
fn root_the_oci_side_of_the_stream_is_whole() {
    let house = House::new();
    let id = house.import(&tar(&[file("a", "one")]), "x:1").unwrap();
    let bytes = save(&house, &["x:1"]).unwrap();
    // Without Docker's manifest the reader must take the index.
    let mut reader = archive::Reader::new(&bytes[..]);
    let mut writer = archive::Writer::new(Vec::new());
    while let Some(entry) = reader.next_entry().unwrap() {
        if !["manifest.json", "repositories"].contains(&entry.display_path().to_str().unwrap()) {
            writer.entry(&entry, &mut reader).unwrap();
        }
    }
    let other = House::new();
    let loaded = other.load(&writer.finish().unwrap()).unwrap();
    assert_eq!(
        (loaded.ids, loaded.lines),
        (vec![id], vec!["Loaded image: x:1".to_owned()])
    );
}
