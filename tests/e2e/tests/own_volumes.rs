//! What Docker's volumes cannot: `volume export`, `import`, `clone`, `snapshot`, `rename`.

use testkit::{BOX, Engine, case, eventually};

/// Makes a volume with two files, one of them another user's.
fn filled(e: &Engine, suffix: &str) -> String {
    let name = e.name(suffix);
    let script = "echo one > /d/one; mkdir /d/sub; echo two > /d/sub/two; chown 7:8 /d/one; chmod 640 /d/one";
    e.sh(&["-v", &format!("{name}:/d")], script).exits(0);
    name
}

/// Returns what a volume holds.
fn look(e: &Engine, name: &str) -> String {
    let script =
        "cd /d; find . -type f | sort | xargs stat -c '%n %a %u:%g'; cat $(find . -type f | sort)";
    e.sh(&["-v", &format!("{name}:/d")], script).stdout
}

const WANTED: &str = "./one 640 7:8\n./sub/two 644 0:0\none\ntwo\n";

case!(export_and_import, |e| {
    let (volume, other) = (filled(e, "v"), e.name("other"));
    let archive = e.temp().at("v.tar");
    e.cli(&["volume", "export", "-o", &archive, &volume])
        .exits(0)
        .says("");
    e.cli(&["volume", "create", &other]).exits(0);
    e.cli(&["volume", "import", &other, &archive])
        .exits(0)
        .says(&format!("{other}\n"));
    assert_eq!(look(e, &other), WANTED);
    // Over what is there; from a pipe.
    e.sh(
        &["-v", &format!("{other}:/d")],
        "echo x > /d/one; echo own > /d/own",
    )
    .exits(0);
    let mut import = e.command(&["volume", "import", &other, "-"]);
    import.stdin(std::fs::File::open(&archive).expect("it was written"));
    assert!(import.status().expect("the client runs").success());
    e.sh(&["-v", &format!("{other}:/d")], "cat /d/one /d/own")
        .exits(0)
        .says("one\nown\n");
    e.cli(&["volume", "import", "no-such", &archive])
        .exits(1)
        .complains("get no-such: no such volume");
    e.cli(&["volume", "export", "-o", &e.temp().at("x"), "no-such"])
        .exits(1)
        .complains("get no-such: no such volume");
    let text = e.temp().file(
        "text",
        "no archive at all, but long enough to be taken for something",
    );
    assert_ne!(e.cli(&["volume", "import", &other, &text]).code, 0);
});

case!(clone_and_snapshot, |e| {
    let (volume, since) = (filled(e, "v"), crate::events::now());
    let (copy, kept) = (e.name("copy"), e.name("kept"));
    e.cli(&["volume", "clone", &volume, &copy])
        .exits(0)
        .says(&format!("{copy}\n"));
    assert_eq!(look(e, &copy), WANTED);
    e.cli(&["volume", "clone", &volume, &copy])
        .exits(1)
        .complains(&format!("volume {copy} already exists"));
    e.cli(&["volume", "clone", "no-such", &kept])
        .exits(1)
        .complains("get no-such: no such volume");
    e.cli(&["volume", "clone", &volume, "a/b"])
        .exits(1)
        .complains("includes invalid characters");
    // Of a volume that is written all the time; its writer goes on.
    let bind = format!("{volume}:/d");
    let script = "i=0; while true; do i=$((i+1)); echo $i > /d/count; echo $i > /d/again; done";
    let writer = e.background("w", &["-v", &bind], script);
    eventually("it writes", || {
        (e.cli(&["exec", &writer, "cat", "/d/again"]).code == 0).then_some(())
    });
    let paused = || crate::events::actions(e, &writer, since).contains(&"pause".to_owned());
    let output = e.cli(&["volume", "snapshot", "--live", &volume]);
    let drawn = output.ok().trim().to_owned();
    assert!(drawn.starts_with(&format!("{volume}-20")), "{drawn}");
    assert!(!paused());
    e.cli(&["volume", "snapshot", &volume, &kept])
        .exits(0)
        .says(&format!("{kept}\n"));
    assert!(paused());
    assert_eq!(e.inspect(&writer)["State"]["Status"], "running");
    e.cli(&["volume", "inspect", "-f", "{{json .Labels}}", &kept])
        .exits(0)
        .says(&format!("{{\"wharf.snapshot.of\":\"{volume}\"}}\n"));
    e.cli(&["rm", "-f", &writer]).exits(0);
    e.sh(&["-v", &format!("{kept}:/d")], "cat /d/one /d/sub/two")
        .exits(0)
        .says("one\ntwo\n");
    e.cli(&["volume", "rm", &volume, &copy, &kept, &drawn])
        .exits(0);
});

case!(rename, |e| {
    let (volume, new) = (filled(e, "v"), e.name("new"));
    let holder = e.name("h");
    let bind = format!("{volume}:/d");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &holder,
        "-v",
        &bind,
        BOX,
        "true",
    ])
    .exits(0);
    let id = e.inspect(&holder)["Id"].as_str().expect("an id").to_owned();
    e.cli(&["volume", "rename", &volume, &new])
        .exits(1)
        .complains(&format!("rename {volume}: volume is in use - [{id}]"));
    e.cli(&["rm", &holder]).exits(0);
    e.cli(&["volume", "rename", &volume, &new])
        .exits(0)
        .says(&format!("{new}\n"));
    e.get_path(&format!("/volumes/{volume}")).is(404);
    e.kill_daemon();
    e.start_daemon(&[]);
    assert_eq!(look(e, &new), WANTED);
    // The old name is free for another one.
    e.sh(&["-v", &bind], "ls /d").exits(0).says("");
    e.cli(&["volume", "rename", &volume, &new])
        .exits(1)
        .complains(&format!("volume {new} already exists"));
    e.cli(&["volume", "rename", "no-such", "other-name"])
        .exits(1)
        .complains("get no-such: no such volume");
});
