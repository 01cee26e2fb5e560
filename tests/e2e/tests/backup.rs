//! The exercises of a course about volumes: pages on the host, a backup, a restore, data shared by two.

use testkit::{BOX, case, eventually};

case!(pages_on_a_host_directory, |e| {
    let pages = e.temp().path().join("htdocs");
    std::fs::create_dir_all(&pages).expect("a new directory");
    std::fs::write(pages.join("index.html"), "first\n").expect("a new file");
    let bind = format!("{}:/web/htdocs:ro", pages.display());
    let server = e.background("www", &["-v", &bind], "httpd -f -p 80 -h /web/htdocs");
    let fetch = || e.cli(&["exec", &server, "wget", "-qO-", "http://127.0.0.1/"]);
    eventually("the page is served", || {
        (fetch().stdout == "first\n").then_some(())
    });
    // What changes on the host changes for those who ask.
    std::fs::write(pages.join("index.html"), "second\n").expect("a file");
    assert_eq!(fetch().stdout, "second\n");
    e.cli(&[
        "exec",
        &server,
        "sh",
        "-c",
        "echo x > /web/htdocs/index.html",
    ])
    .exits(1)
    .complains("Read-only file system");
    e.cli(&["rm", "-f", &server]).exits(0);
});

case!(a_backup_of_a_volume_and_back, |e| {
    let place = e.temp().path().join("backup");
    std::fs::create_dir_all(&place).expect("a new directory");
    let backup = format!("{}:/backup", place.display());
    let owner = e.background("db", &["-v", "/data"], "echo rows > /data/table; sleep 100");
    eventually("the data is there", || {
        (e.cli(&["exec", &owner, "cat", "/data/table"]).code == 0).then_some(())
    });
    e.sh(
        &["--volumes-from", &owner, "-v", &backup],
        "tar cvf /backup/data.tar /data",
    )
    .exits(0);
    assert!(place.join("data.tar").exists());
    // The container goes and its data with it; a new one gets them back.
    e.cli(&["rm", "-f", "-v", &owner]).exits(0);
    let heir = e.background("heir", &["-v", "/data"], "sleep 100");
    e.cli(&["exec", &heir, "cat", "/data/table"]).exits(1);
    e.sh(
        &["--volumes-from", &heir, "-v", &backup],
        "cd / && tar xf /backup/data.tar",
    )
    .exits(0);
    e.cli(&["exec", &heir, "cat", "/data/table"])
        .exits(0)
        .says("rows\n");
    e.cli(&["rm", "-f", "-v", &heir]).exits(0);
});

case!(two_containers_and_one_volume, |e| {
    // A container that never runs and only has the volume, as it was done before volumes had names.
    let keeper = e.name("keeper");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &keeper,
        "-v",
        "/shared",
        BOX,
        "true",
    ])
    .exits(0);
    let writer = e.background(
        "w",
        &["--volumes-from", &keeper],
        "echo said > /shared/word; sleep 100",
    );
    let reader = format!("{keeper}:ro");
    let script = "while [ ! -s /shared/word ]; do sleep 0.1; done; cat /shared/word";
    e.sh(&["--volumes-from", &reader], script)
        .exits(0)
        .says("said\n");
    e.cli(&["rm", "-f", &writer]).exits(0);
    e.sh(&["--volumes-from", &keeper], "cat /shared/word")
        .exits(0)
        .says("said\n");
    e.cli(&["rm", "-v", &keeper]).exits(0);
});
