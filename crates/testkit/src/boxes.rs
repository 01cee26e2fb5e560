//! The image that cases run: one static busybox, the same for every engine.

use std::path::Path;
use std::process::Command;

/// The name of the image that every engine under test has.
pub const BOX: &str = "testbox";

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\ntester:x:1234:1235:tester:/home/tester:/bin/sh\n";
const GROUP: &str = "root:x:0:\ntesters:x:1235:tester\nextra:x:1300:tester\n";

/// Makes the image's archive at `archive`, with `scratch` as a place to build it in.
pub fn box_tar(scratch: &Path, archive: &Path) {
    let root = scratch.join("box");
    for folder in ["bin", "etc", "root", "home/tester", "tmp", "a-directory"] {
        make(&root.join(folder));
    }
    let busybox = root.join("bin/busybox");
    std::fs::copy("/bin/busybox", &busybox).expect("busybox-static is installed");
    let list = Command::new(&busybox)
        .arg("--list")
        .output()
        .expect("busybox runs");
    for applet in String::from_utf8_lossy(&list.stdout)
        .lines()
        .filter(|name| *name != "busybox")
    {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("a new name");
    }
    for (name, text) in [
        ("etc/passwd", PASSWD),
        ("etc/group", GROUP),
        ("etc/not-executable", "#!/bin/sh\n"),
    ] {
        std::fs::write(root.join(name), text).expect("a new file");
    }
    let status = Command::new("tar")
        .arg("--owner=0:0")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(archive)
        .arg(".")
        .status()
        .expect("tar runs");
    assert!(status.success(), "tar: {status}");
}

fn make(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap_or_else(|e| panic!("make {}: {e}", folder.display()));
}
