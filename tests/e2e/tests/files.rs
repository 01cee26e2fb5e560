//! `diff`, `export`, `commit`, `save`: what a container did to its files, and images that travel.

use testkit::{BOX, Engine, Program, case, eventually};

/// Makes a stopped container that added, changed and removed files.
fn changed(e: &Engine, suffix: &str) -> String {
    let name = e.name(suffix);
    let script = "echo new > /file; rm /etc/group; echo x >> /etc/passwd; mkdir /d; echo y > /d/z";
    let words = ["create", "--network", "none", "--name", &name, BOX];
    let mut words = words.to_vec();
    words.extend(["sh", "-c", script]);
    e.cli(&words).exits(0);
    e.cli(&["diff", &name]).exits(0).says("");
    e.cli(&["start", "-a", &name]).exits(0);
    name
}

/// Lists an archive with its types and names.
fn listed(archive: &str) -> Vec<String> {
    let mut tar = std::process::Command::new("tar");
    tar.args(["-tf", archive]);
    let output = Program::start(&mut tar).finish();
    output.ok().lines().map(str::to_owned).collect()
}

case!(diff, |e| {
    let name = changed(e, "d");
    let output = e.cli(&["diff", &name]);
    let mut lines: Vec<_> = output.ok().lines().collect();
    lines.sort_unstable();
    let wanted = [
        "A /d",
        "A /d/z",
        "A /file",
        "C /etc",
        "C /etc/passwd",
        "D /etc/group",
    ];
    assert_eq!(lines, wanted);
    let rows = e.get_path(&format!("/containers/{name}/changes"));
    let rows = rows.is(200).json();
    let added = rows.as_array().expect("a list").iter();
    assert!(
        added
            .clone()
            .any(|row| row["Path"] == "/file" && row["Kind"] == 1),
        "{rows}"
    );
    e.cli(&["rm", &name]).exits(0);
});

case!(diff_of_nothing, |e| {
    e.cli(&["diff", "no-such"])
        .exits(1)
        .errs("Error response from daemon: No such container: no-such\n");
});

case!(export_a_stopped_container, |e| {
    let name = changed(e, "x");
    let archive = e.temp().at("x.tar");
    e.cli(&["export", "-o", &archive, &name])
        .exits(0)
        .says("")
        .errs("");
    let names = listed(&archive);
    for wanted in ["file", "d/z", "bin/busybox", "etc/passwd"] {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    assert!(!names.iter().any(|name| name == "etc/group"), "{names:?}");
    // Still a container like before.
    e.cli(&["start", "-a", &name])
        .exits(0)
        .complains("can't create directory '/d': File exists");
    e.cli(&["rm", &name]).exits(0);
});

case!(export_a_running_container, |e| {
    let name = e.background("r", &[], "echo live > /live; sleep 100");
    eventually("the file is there", || {
        (e.cli(&["exec", &name, "ls", "/live"]).code == 0).then_some(())
    });
    let archive = e.temp().at("r.tar");
    e.cli(&["export", "-o", &archive, &name]).exits(0);
    let names = listed(&archive);
    assert!(names.iter().any(|name| name == "live"), "{names:?}");
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("proc/") && name.len() > 5),
        "what is mounted is not exported: {names:?}"
    );
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(bad_exports, |e| {
    e.cli(&["export", "no-such"])
        .exits(1)
        .errs("Error response from daemon: No such container: no-such\n");
    e.cli(&["export", "-o", "/no/such/dir/x", "no-such"])
        .exits(1)
        .complains("invalid output path: stat /no/such/dir: no such file or directory");
});

case!(commit, |e| {
    let (name, image) = (changed(e, "c"), e.name("image"));
    let words = ["commit", "-a", "me", "-m", "why", "-c", "ENV A=b"];
    let mut words = words.to_vec();
    words.extend(["-c", "CMD [\"cat\", \"/file\"]", &name, &image]);
    let output = e.cli(&words);
    let id = output.ok();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    assert_eq!(seen["Id"], id);
    assert_eq!(
        (&seen["Author"], &seen["Comment"]),
        (&"me".into(), &"why".into())
    );
    assert_eq!(seen["Config"]["Cmd"], serde_json::json!(["cat", "/file"]));
    assert_eq!(seen["RootFS"]["Layers"].as_array().map(Vec::len), Some(2));
    let run = ["run", "--rm", "--network", "none"];
    let with = |more: &[&'static str]| {
        let mut words = run.to_vec();
        words.push(&image);
        words.extend(more);
        e.cli(&words)
    };
    with(&[]).exits(0).says("new\n");
    with(&["sh", "-c", "echo $A; ls /etc/group"])
        .exits(1)
        .says("b\n");
    let history = e.cli(&["history", "--format", "{{.Comment}}", &image]);
    history.exits(0).says("why\nImported from -\n");
    e.cli(&["rm", &name]).exits(0);
    e.cli(&["rmi", &image]).exits(0);
});

case!(commit_of_a_running_container, |e| {
    let image = e.name("live");
    let name = e.background("p", &[], "echo live > /live; sleep 100");
    eventually("the file is there", || {
        (e.cli(&["exec", &name, "ls", "/live"]).code == 0).then_some(())
    });
    e.cli(&["commit", &name, &image]).exits(0);
    assert_eq!(e.inspect(&name)["State"]["Status"], "running");
    e.cli(&["run", "--rm", "--network", "none", &image, "cat", "/live"])
        .exits(0)
        .says("live\n");
    e.cli(&["rm", "-f", &name]).exits(0);
    e.cli(&["rmi", &image]).exits(0);
});

case!(bad_commits, |e| {
    e.cli(&["commit", "no-such"])
        .exits(1)
        .errs("Error response from daemon: No such container: no-such\n");
    let name = e.name("b");
    e.cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .exits(0);
    e.cli(&["commit", "-c", "BAD x", &name])
        .exits(1)
        .errs("Error response from daemon: BAD is not a valid change command\n");
    e.cli(&["commit", &name, "Upper"])
        .exits(1)
        .errs("invalid reference format: repository name (library/Upper) must be lowercase\n");
    e.cli(&["rm", &name]).exits(0);
});

case!(save_and_load, |e| {
    let (name, image) = (changed(e, "s"), e.name("saved:1"));
    let id = e.cli(&["commit", &name, &image]).ok().to_owned();
    let archive = e.temp().at("saved.tar");
    e.cli(&["save", "-o", &archive, &image])
        .exits(0)
        .says("")
        .errs("");
    e.cli(&["rm", &name]).exits(0);
    let loaded = format!("Loaded image: {image}\n");
    for program in ["cat", "gzip -c", "zstd -qc"] {
        e.cli(&["rmi", &image]).exits(0);
        e.get_path(&format!("/images/{image}/json")).is(404);
        let packed = e.temp().at("packed");
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", &format!("{program} {archive} > {packed}")]);
        Program::start(&mut sh).finish().exits(0);
        e.cli(&["load", "-i", &packed]).exits(0).says(&loaded);
        let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
        assert_eq!(seen["Id"], id, "the same image by {program}");
    }
    let mut sh = std::process::Command::new("sh");
    let command = e.command(&["load"]);
    let program = command.get_program().to_string_lossy().into_owned();
    let socket = e.socket().display().to_string();
    sh.args([
        "-c",
        "exec \"$1\" -H \"unix://$2\" load < \"$3\"",
        "sh",
        &program,
        &socket,
        &archive,
    ]);
    Program::start(&mut sh).finish().exits(0).says(&loaded);
    e.cli(&["run", "--rm", "--network", "none", &image, "cat", "/file"])
        .exits(0)
        .says("new\n");
    e.cli(&["rmi", &image]).exits(0);
});

case!(save_of_nothing, |e| {
    let archive = e.temp().at("none.tar");
    for (image, words) in [
        ("no-such", "No such image: no-such"),
        ("no-such:1", "reference does not exist"),
    ] {
        e.cli(&["save", "-o", &archive, image])
            .exits(1)
            .errs(&format!("Error response from daemon: {words}\n"));
        assert!(!std::path::Path::new(&archive).exists());
        e.get_path(&format!("/images/{image}/get")).is(404);
    }
});
