//! `--volumes-from`, `--mount`, `--tmpfs`, options of volumes: what is mounted, and how.

use serde_json::{Value, json};
use testkit::{BOX, Engine, case};

/// Creates a container named with `suffix` and returns its name.
#[track_caller]
fn create(e: &Engine, suffix: &str, options: &[&str], script: &str) -> String {
    let name = e.name(suffix);
    let mut words = vec!["create", "--network", "none", "--name", &name];
    words.extend(options);
    words.extend([BOX, "sh", "-c", script]);
    e.cli(&words).exits(0);
    name
}

/// Returns the mounts of a container: destination, kind, writable, mode; sorted.
fn mounts(e: &Engine, name: &str) -> Vec<(String, String, bool, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let seen = e.inspect(name)["Mounts"].clone();
    let mut all: Vec<_> = seen
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let write = one["RW"] == true;
            (
                text(&one["Destination"]),
                text(&one["Type"]),
                write,
                text(&one["Mode"]),
            )
        })
        .collect();
    all.sort();
    all
}

fn seen(destination: &str, kind: &str, write: bool, mode: &str) -> (String, String, bool, String) {
    (
        destination.to_owned(),
        kind.to_owned(),
        write,
        mode.to_owned(),
    )
}

case!(what_another_container_has, |e| {
    let volume = e.name("v");
    let (host, other) = (e.temp().path().join("host"), e.temp().path().join("other"));
    for (dir, text) in [(&host, "of the host"), (&other, "another")] {
        std::fs::create_dir_all(dir).expect("a new directory");
        std::fs::write(dir.join("file"), text).expect("a new file");
    }
    let (named, bound) = (
        format!("{volume}:/named"),
        format!("{}:/bound:ro", host.display()),
    );
    let first = create(
        e,
        "first",
        &["-v", "/anonymous", "-v", &named, "-v", &bound],
        "echo a > /anonymous/file; echo n > /named/file",
    );
    e.cli(&["start", "-a", &first]).exits(0);
    let look = "cat /anonymous/file /named/file /bound/file";
    e.sh(&["--volumes-from", &first], look)
        .exits(0)
        .says("a\nn\nof the host");
    e.sh(&["--volumes-from", &first], "echo x > /bound/file")
        .exits(1)
        .complains("Read-only file system");
    e.sh(
        &["--volumes-from", &format!("{first}:ro")],
        "echo x > /named/file",
    )
    .exits(1)
    .complains("Read-only file system");
    e.sh(
        &["--volumes-from", &format!("{first}:rw")],
        "echo n > /named/file",
    )
    .exits(0);
    // One's own takes the place of another's.
    let own = format!("{}:/named", other.display());
    e.sh(&["--volumes-from", &first, "-v", &own], look)
        .exits(0)
        .says("a\nanotherof the host");
    let second = create(e, "second", &["--volumes-from", &first], "true");
    assert_eq!(
        mounts(e, &second),
        [
            seen("/anonymous", "volume", true, ""),
            seen("/bound", "bind", false, ""),
            seen("/named", "volume", true, ""),
        ]
    );
    assert_eq!(
        e.inspect(&second)["HostConfig"]["VolumesFrom"],
        json!([first])
    );
    // The anonymous one goes with the last who has it.
    let anonymous = |name: &str| {
        let seen = e.inspect(name)["Mounts"].clone();
        let mut all = seen.as_array().expect("a list").iter();
        let found = all
            .find(|one| one["Destination"] == "/anonymous")
            .expect("it is mounted");
        found["Name"].as_str().expect("a name").to_owned()
    };
    let name = anonymous(&second);
    e.cli(&["rm", "-v", &first]).exits(0);
    e.get_path(&format!("/volumes/{name}")).is(200);
    e.cli(&["start", "-a", &second]).exits(0);
    e.cli(&["rm", "-v", &second]).exits(0);
    e.get_path(&format!("/volumes/{name}")).is(404);
    e.cli(&["volume", "rm", &volume]).exits(0);
});

case!(volumes_from_that_cannot_be, |e| {
    let first = create(e, "f", &["-v", "/d"], "true");
    for (text, message) in [
        (format!("{first}:zz"), "invalid mode: zz"),
        (format!("{first}:ro:x"), "invalid mode: ro:x"),
        (
            String::new(),
            "volumes-from specification cannot be an empty string",
        ),
    ] {
        e.sh(&["--volumes-from", &text], "true")
            .exits(125)
            .complains(message);
    }
    let host = json!({"VolumesFrom": ["no-such"]});
    let body = json!({"Image": BOX, "Cmd": ["true"], "HostConfig": host});
    e.post("/containers/create", &body)
        .refuses(400, "No such container: no-such");
    e.cli(&["rm", "-v", &first]).exits(0);
});

case!(a_volume_in_memory, |e| {
    let volume = e.name("v");
    let options = ["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs"];
    let mut options = options.to_vec();
    options.extend(["-o", "o=size=1m,uid=1234,mode=750,noexec", &volume]);
    e.cli(&options).exits(0);
    e.cli(&["volume", "inspect", "-f", "{{.Options.o}}", &volume])
        .exits(0)
        .says("size=1m,uid=1234,mode=750,noexec\n");
    let bind = format!("{volume}:/d");
    let look = "stat -c %u-%a /d; grep -o 'size=1024k' /proc/mounts; ls /d";
    e.sh(&["-v", &bind], look)
        .exits(0)
        .says("1234-750\nsize=1024k\n");
    // Two who run share it; then it is gone.
    let holder = e.background("h", &["-v", &bind], "echo x > /d/shared; sleep 100");
    testkit::eventually("the file is there", || {
        (e.cli(&["exec", &holder, "cat", "/d/shared"]).code == 0).then_some(())
    });
    e.sh(&["-v", &bind], "cat /d/shared").exits(0).says("x\n");
    e.cli(&["exec", &holder, "cat", "/d/shared"])
        .exits(0)
        .says("x\n");
    e.cli(&["rm", "-f", &holder]).exits(0);
    e.sh(&["-v", &bind], "ls /d").exits(0).says("");
    // It is no space on disk to be had back.
    let label = format!("label!={volume}");
    let pruned = e.cli(&[
        "volume",
        "prune",
        "-a",
        "-f",
        "--filter",
        "label=none-has-it",
        "--filter",
        &label,
    ]);
    pruned.exits(0);
    e.cli(&["volume", "rm", &volume]).exits(0);
});

case!(a_volume_elsewhere, |e| {
    let volume = e.name("v");
    let place = e.temp().path().join("place");
    std::fs::create_dir_all(&place).expect("a new directory");
    std::fs::write(place.join("file"), "elsewhere\n").expect("a new file");
    let device = format!("device={}", place.display());
    e.cli(&[
        "volume",
        "create",
        "-o",
        "type=none",
        "-o",
        "o=bind",
        "-o",
        &device,
        &volume,
    ])
    .exits(0);
    let bind = format!("{volume}:/d");
    e.sh(&["-v", &bind], "cat /d/file; echo more > /d/more")
        .exits(0)
        .says("elsewhere\n");
    assert_eq!(
        std::fs::read_to_string(place.join("more")).expect("a file"),
        "more\n"
    );
    e.cli(&["volume", "rm", &volume]).exits(0);
    // What it showed is not its own.
    assert!(place.join("file").exists());
    e.cli(&[
        "volume",
        "create",
        "-o",
        "type=none",
        "-o",
        "o=bind,ro",
        "-o",
        &device,
        &volume,
    ])
    .exits(0);
    e.sh(&["-v", &bind], "echo > /d/no")
        .exits(1)
        .complains("Read-only file system");
    e.cli(&["volume", "rm", &volume]).exits(0);
    // Made with the container.
    let mount = format!(
        "type=volume,src={volume},dst=/d,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt={device}"
    );
    e.sh(&["--mount", &mount], "cat /d/file")
        .exits(0)
        .says("elsewhere\n");
    e.cli(&["volume", "rm", &volume]).exits(0);
});

case!(options_that_cannot_be, |e| {
    let volume = e.name("v");
    for (options, message) in [
        (&["type=tmpfs"][..], "missing required option: \"device\""),
        (&["device=/tmp"], "missing required option: \"type\""),
        (&["foo=bar"], "invalid option: \"foo\""),
    ] {
        let mut words = vec!["volume", "create"];
        for option in options {
            words.extend(["-o", option]);
        }
        words.push(&volume);
        let wanted = format!("create {volume}: {message}");
        e.cli(&words).exits(1).complains(&wanted);
    }
    let bind = format!("{volume}:/d");
    for (options, message) in [
        (["type=no-such", "device=/tmp", "o=rw"], "no such device"),
        (
            ["type=tmpfs", "device=tmpfs", "o=bad=3"],
            "data: bad=3: invalid argument",
        ),
        (
            ["type=none", "device=/no/such", "o=bind"],
            "flags: 0x1000: no such file or directory",
        ),
    ] {
        let mut words = vec!["volume", "create"];
        for option in &options {
            words.extend(["-o", option]);
        }
        words.push(&volume);
        e.cli(&words).exits(0);
        let output = e.sh(&["-v", &bind], "true");
        output
            .complains("failed to mount local volume: mount ")
            .complains(message);
        assert_ne!(output.code, 0);
        e.cli(&["volume", "rm", &volume]).exits(0);
    }
});

case!(a_part_of_a_volume, |e| {
    let volume = e.name("v");
    let bind = format!("{volume}:/d");
    let script = "mkdir -p /d/sub/deep; echo f > /d/sub/file; ln -s sub /d/in; ln -s / /d/out; ln -s ../../x /d/up";
    e.sh(&["-v", &bind], script).exits(0);
    let mount = |path: &str| format!("type=volume,src={volume},dst=/p,volume-subpath={path}");
    e.sh(&["--mount", &mount("sub")], "ls /p")
        .exits(0)
        .says("deep\nfile\n");
    e.sh(&["--mount", &mount("sub/file")], "cat /p")
        .exits(0)
        .says("f\n");
    e.sh(&["--mount", &mount("in/file")], "cat /p")
        .exits(0)
        .says("f\n");
    e.sh(
        &["--mount", &format!("{},readonly", mount("sub"))],
        "echo > /p/no",
    )
    .exits(1)
    .complains("Read-only file system");
    for (path, message) in [
        ("no-such", "no such file or directory"),
        (
            "out",
            "path concatenation escapes the base directory, base: ",
        ),
    ] {
        let output = e.sh(&["--mount", &mount(path)], "true");
        output.complains(message);
        assert_ne!(output.code, 0, "{path}");
    }
    assert_ne!(e.sh(&["--mount", &mount("up")], "true").code, 0);
    for path in ["../x", "/sub", "a/../../b"] {
        e.sh(&["--mount", &mount(path)], "true")
            .exits(125)
            .complains("subpath must be a relative path within the volume");
    }
    e.sh(&["--mount", "type=volume,dst=/p,volume-subpath=x"], "true")
        .exits(125)
        .complains("must not set Subpath when using anonymous volumes");
    e.cli(&["volume", "rm", &volume]).exits(0);
});

case!(memory, |e| {
    let look = "grep ' /t ' /proc/mounts | cut -d' ' -f3,4; stat -c %a /t";
    for (options, wanted) in [
        (
            ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770"],
            "tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=1770\n1770\n",
        ),
        (
            ["--mount", "type=tmpfs,dst=/t"],
            "tmpfs rw,nosuid,nodev,noexec,relatime\n1777\n",
        ),
        (
            ["--mount", "type=tmpfs,dst=/t,readonly"],
            "tmpfs ro,nosuid,nodev,noexec,relatime\n1777\n",
        ),
        (
            ["--tmpfs", "/t"],
            "tmpfs rw,nosuid,nodev,noexec,relatime\n1777\n",
        ),
        (
            ["--tmpfs", "/t:exec,size=1m,mode=700,uid=5"],
            "tmpfs rw,nosuid,nodev,relatime,size=1024k,mode=700,uid=5\n700\n",
        ),
    ] {
        e.sh(&options, look).exits(0).says(wanted);
    }
    let name = create(
        e,
        "c",
        &[
            "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=1m",
            "--tmpfs",
            "/other",
        ],
        "true",
    );
    assert_eq!(mounts(e, &name), [seen("/t", "tmpfs", true, "")]);
    e.cli(&["rm", &name]).exits(0);
    e.sh(
        &["--mount", "type=tmpfs,dst=/t,tmpfs-size=64k"],
        "dd if=/dev/zero of=/t/f bs=1k count=128 2>&1",
    )
    .exits(1)
    .complains("");
    e.sh(&["--tmpfs", "/t:foo"], "true")
        .exits(125)
        .complains("invalid tmpfs option \"foo\"");
    e.sh(&["--tmpfs", "t"], "true")
        .exits(125)
        .complains("invalid mount path: 't' mount path must be absolute");
    e.sh(&["--mount", "type=tmpfs,src=x,dst=/t"], "true")
        .exits(125)
        .complains("field Source must not be specified");
});

case!(directories_of_the_host, |e| {
    let base = e.temp().path().join("base");
    std::fs::create_dir_all(base.join("sub")).expect("a new directory");
    let source = base.display().to_string();
    // As the API has it: the directory is made at the start.
    let fresh = e.temp().path().join("fresh");
    let host = json!({"NetworkMode": "none", "Mounts": [{"Type": "bind", "Source": fresh, "Target": "/x",
        "BindOptions": {"CreateMountpoint": true}}]});
    let body = json!({"Image": BOX, "Cmd": ["touch", "/x/made"], "HostConfig": host});
    let name = e.name("fresh");
    e.post(&format!("/containers/create?name={name}"), &body)
        .is(201);
    e.cli(&["start", "-a", &name]).exits(0);
    assert!(fresh.join("made").exists());
    e.cli(&["rm", &name]).exits(0);
    // What is mounted below is there, or not, and is read-only as well.
    let inner = format!("{source}/sub");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", &inner])
        .status();
    assert!(mounted.expect("mount runs").success());
    let mount = |more: &str| format!("type=bind,src={source},dst=/x{more}");
    let look = "grep -c ' /x/sub ' /proc/mounts";
    let write = "touch /x/sub/file && echo written";
    let check = |more: &str, script: &str, code: i32, wanted: &str| {
        e.sh(&["--mount", &mount(more)], script)
            .exits(code)
            .says(wanted);
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // On the reference engine the directory is another one in its mount namespace.
        if e.kind() == testkit::Kind::Wharf {
            check("", look, 0, "1\n");
            check("", write, 0, "written\n");
            check(",bind-recursive=disabled", look, 1, "0\n");
            check(",readonly", write, 1, "");
            check(",readonly,bind-recursive=writable", write, 0, "written\n");
            check(
                ",readonly,bind-propagation=rprivate,bind-recursive=readonly",
                write,
                1,
                "",
            );
            e.sh(&["-v", &format!("{source}:/x:ro")], write)
                .exits(1)
                .says("");
        }
    }));
    let gone = std::process::Command::new("umount").arg(&inner).status();
    assert!(gone.expect("umount runs").success());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    e.sh(&["--mount", "type=bind,src=/no/such,dst=/x"], "true")
        .exits(125)
        .complains("bind source path does not exist: /no/such");
    e.sh(&["--mount", &mount(",bind-propagation=zz")], "true")
        .exits(125)
        .complains("invalid propagation mode: zz");
    e.sh(&["--mount", "type=cluster,src=a,dst=/x"], "true")
        .exits(125)
        .complains("invalid mount config for type \"cluster\": mount type unknown");
    let host = json!({"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/x", "VolumeOptions": {"NoCopy": true}}]});
    let body = json!({"Image": BOX, "Cmd": ["true"], "HostConfig": host});
    e.post("/containers/create", &body).refuses(
        400,
        "VolumeOptions must not be specified on mount type \"bind\"",
    );
});

case!(copies_of_what_is_mounted_in_a_stopped_container, |e| {
    let volume = e.name("v");
    let file = e.temp().file("file", "content\n");
    let (write, read) = (format!("{volume}:/rw"), format!("{volume}:/ro:ro"));
    let name = create(e, "c", &["-v", &write, "-v", &read], "true");
    e.cli(&["cp", &file, &format!("{name}:/rw/copied")])
        .exits(0);
    e.sh(&["-v", &format!("{volume}:/d")], "cat /d/copied")
        .exits(0)
        .says("content\n");
    e.cli(&["cp", &file, &format!("{name}:/ro/copied")])
        .exits(1)
        .complains("mounted volume is marked read-only");
    let back = e.temp().at("back");
    e.cli(&["cp", &format!("{name}:/ro/copied"), &back])
        .exits(0);
    assert_eq!(std::fs::read_to_string(back).expect("a copy"), "content\n");
    let whole = e.temp().at("whole");
    e.cli(&["cp", &format!("{name}:/rw"), &whole]).exits(0);
    let text = std::fs::read_to_string(std::path::Path::new(&whole).join("copied"));
    assert_eq!(text.expect("a copy"), "content\n");
    e.cli(&["rm", "-v", &name]).exits(0);
    e.cli(&["volume", "rm", &volume]).exits(0);
});

case!(the_files_of_an_image, |e| {
    let mount = format!("type=image,src={BOX},dst=/i");
    e.sh(&["--mount", &mount], "ls /i/etc/passwd; echo x > /i/no")
        .exits(1)
        .says("/i/etc/passwd\n")
        .complains("Read-only file system");
    let name = create(e, "c", &["--mount", &mount], "ls /i/etc/passwd");
    assert_eq!(mounts(e, &name), [seen("/i", "image", false, "")]);
    e.cli(&["start", "-a", &name])
        .exits(0)
        .says("/i/etc/passwd\n");
    e.cli(&["rm", &name]).exits(0);
    // Its layers stay while somebody shows them.
    let (maker, image) = (create(e, "m", &[], "echo own > /own"), e.name("image"));
    e.cli(&["start", "-a", &maker]).exits(0);
    e.cli(&["commit", &maker, &image]).exits(0);
    e.cli(&["rm", &maker]).exits(0);
    let mount = format!("type=image,src={image},dst=/i");
    let name = create(e, "c", &["--mount", &mount], "cat /i/own");
    e.cli(&["start", "-a", &name]).exits(0).says("own\n");
    e.cli(&["rm", &name]).exits(0);
    e.cli(&["rmi", &image]).exits(0);
    let host = json!({"Mounts": [{"Type": "image", "Source": "no-such", "Target": "/x"}]});
    let body = json!({"Image": BOX, "Cmd": ["true"], "HostConfig": host});
    e.post("/containers/create", &body)
        .refuses(404, "No such image: no-such:latest");
    e.sh(&["--mount", "type=image,dst=/x"], "true")
        .exits(125)
        .complains("field Source must not be empty");
});
