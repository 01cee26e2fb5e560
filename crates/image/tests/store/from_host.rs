//! Images of this machine's programs run.

use std::path::Path;

use types::Reference;

use crate::house::House;

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
    assert_eq!(again.id(), id, "the same files are the same image");
    assert_eq!(
        house
            .meta
            .write(|txn| house.store.publish(txn, again, None))
            .unwrap(),
        id
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
