//! `volume`, `-v NAME:/path`, `VOLUME`: data that outlives containers.

use serde_json::{Value, json};
use testkit::{BOX, Engine, case, eventually};

use crate::events::now;

/// Makes an image with files, owners and modes below /data, and a volume there; returns its name.
pub(crate) fn with_data(e: &Engine) -> String {
    let (name, image) = (e.name("maker"), e.name("image"));
    let script = "mkdir -p /data/sub /empty; echo one > /data/file; echo two > /data/sub/deep
        chown -R 1234:1235 /data; chmod 2750 /data; chmod 4711 /data/file; ln -s file /data/link
        ln /data/file /data/twin; chown 77:78 /empty; chmod 1777 /empty";
    e.cli(&[
        "run",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        script,
    ])
    .exits(0);
    e.cli(&[
        "commit",
        "-c",
        "VOLUME /data",
        "-c",
        "CMD [\"sh\"]",
        &name,
        &image,
    ])
    .exits(0);
    e.cli(&["rm", &name]).exits(0);
    image
}

/// Returns the volumes that the engine has and whose names satisfy a filter.
pub(crate) fn listed(e: &Engine, filters: &[&str]) -> Vec<String> {
    let mut words = vec!["volume", "ls", "-q"];
    for filter in filters {
        words.extend(["--filter", filter]);
    }
    e.cli(&words).ok().lines().map(str::to_owned).collect()
}

/// Returns the mounts of a container as inspect tells them, by destination.
fn mount(e: &Engine, container: &str, destination: &str) -> Value {
    let mounts = e.inspect(container)["Mounts"].clone();
    let found = mounts.as_array().expect("a list").iter();
    let mut found = found.filter(|one| one["Destination"] == destination);
    found.next().cloned().unwrap_or_default()
}

case!(create_inspect_and_remove, |e| {
    let name = e.name("v");
    e.cli(&["volume", "create", "--label", "a=b", "--label", "c", &name])
        .exits(0)
        .says(&format!("{name}\n"));
    // Again it is the same one.
    e.cli(&["volume", "create", &name]).exits(0);
    let seen = e.get_path(&format!("/volumes/{name}")).is(200).json();
    assert_eq!(seen["Name"], name.as_str());
    assert_eq!(
        (&seen["Driver"], &seen["Scope"]),
        (&json!("local"), &json!("local"))
    );
    assert_eq!(seen["Labels"], json!({"a": "b", "c": ""}));
    assert_eq!(seen["Options"], Value::Null);
    let path = seen["Mountpoint"].as_str().expect("a path");
    assert!(path.ends_with(&format!("/volumes/{name}/_data")), "{path}");
    e.cli(&[
        "volume",
        "inspect",
        "-f",
        "{{.Labels.a}} {{.Driver}}",
        &name,
    ])
    .exits(0)
    .says("b local\n");
    e.cli(&["volume", "rm", &name])
        .exits(0)
        .says(&format!("{name}\n"));
    e.get_path(&format!("/volumes/{name}"))
        .refuses(404, &format!("get {name}: no such volume"));
    e.cli(&["volume", "rm", &name])
        .exits(1)
        .complains(&format!("get {name}: no such volume"));
    e.cli(&["volume", "rm", "-f", &name]).exits(0);
    let reply = e.post("/volumes/create", &json!({}));
    let made = reply.is(201).json();
    let drawn = made["Name"].as_str().expect("a name");
    assert_eq!(drawn.len(), 64);
    assert_eq!(made["Labels"], json!({"com.docker.volume.anonymous": ""}));
    e.cli(&["volume", "rm", drawn]).exits(0);
});

case!(names_that_cannot_be, |e| {
    e.cli(&["volume", "create", "a"]).exits(1).complains(
        "create a: volume name is too short, names should be at least two alphanumeric characters",
    );
    e.cli(&["volume", "create", "a/b"]).exits(1).complains(
        "create a/b: \"a/b\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use \
         absolute path",
    );
    e.sh(&["-v", "a/b:/x"], "true")
        .exits(125)
        .complains("includes invalid characters for a local volume name");
    e.cli(&["volume", "create", "-d", "no-such", "x1"])
        .exits(1)
        .complains("plugin \"no-such\" not found");
    // A 404 is an image to be pulled to clients.
    let host = json!({"Binds": ["vv:/x"], "VolumeDriver": "no-such"});
    let body = json!({"Image": BOX, "Cmd": ["true"], "HostConfig": host});
    e.post("/containers/create", &body).refuses(
        404,
        "create vv: error looking up volume plugin no-such: plugin \"no-such\" not found",
    );
    e.cli(&["volume", "ls", "--filter", "nope=1"])
        .exits(1)
        .complains("invalid filter 'nope'");
    e.cli(&["volume", "ls", "--filter", "dangling=maybe"])
        .exits(1)
        .complains("invalid filter 'dangling=");
});

case!(data_outlives_its_containers, |e| {
    let name = e.name("v");
    let bind = format!("{name}:/data");
    e.sh(&["-v", &bind], "echo kept > /data/file").exits(0);
    e.sh(&["-v", &bind], "cat /data/file")
        .exits(0)
        .says("kept\n");
    let mounted = format!("type=volume,src={name},dst=/data");
    e.sh(&["--mount", &mounted], "cat /data/file")
        .exits(0)
        .says("kept\n");
    e.sh(&["-v", &format!("{bind}:ro")], "echo no > /data/file")
        .exits(1)
        .complains("Read-only file system");
    e.sh(
        &["--mount", &format!("{mounted},readonly")],
        "echo no > /data/file",
    )
    .exits(1)
    .complains("Read-only file system");
    assert_eq!(
        listed(e, &[&format!("name={name}")]),
        std::slice::from_ref(&name)
    );
    e.cli(&["volume", "rm", &name]).exits(0);
});

case!(a_volume_in_use_stays, |e| {
    let name = e.name("v");
    let holder = e.name("holder");
    let bind = format!("{name}:/data");
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
    let sentence = format!("remove {name}: volume is in use - [{id}]");
    e.cli(&["volume", "rm", &name])
        .exits(1)
        .complains(&sentence);
    e.cli(&["volume", "rm", "-f", &name])
        .exits(1)
        .complains(&sentence);
    e.cli(&[
        "volume",
        "prune",
        "-a",
        "-f",
        "--filter",
        "label=none-has-it",
    ])
    .exits(0);
    assert!(listed(e, &["dangling=false"]).contains(&name));
    assert!(!listed(e, &["dangling=true"]).contains(&name));
    e.cli(&["rm", "-v", &holder]).exits(0);
    // It has a name of its own.
    assert!(listed(e, &["dangling=true"]).contains(&name));
    e.cli(&["volume", "rm", &name]).exits(0);
});

case!(anonymous_volumes_go_with_their_container, |e| {
    let create = |suffix: &str, options: &[&str]| {
        let name = e.name(suffix);
        let mut words = vec!["create", "--network", "none", "--name", &name];
        words.extend(options);
        words.extend([BOX, "true"]);
        e.cli(&words).exits(0);
        let seen = mount(e, &name, "/data");
        assert_eq!(seen["Type"], "volume");
        let volume = seen["Name"].as_str().expect("a name").to_owned();
        assert_eq!(volume.len(), 64);
        let seen = e.get_path(&format!("/volumes/{volume}")).is(200).json();
        assert_eq!(seen["Labels"], json!({"com.docker.volume.anonymous": ""}));
        (name, volume)
    };
    let is_there = |volume: &str| e.get_path(&format!("/volumes/{volume}")).status == 200;
    let (name, volume) = create("kept", &["-v", "/data"]);
    e.cli(&["rm", &name]).exits(0);
    assert!(is_there(&volume));
    e.cli(&["volume", "rm", &volume]).exits(0);
    let (name, volume) = create("gone", &["-v", "/data"]);
    e.cli(&["rm", "-v", &name]).exits(0);
    assert!(!is_there(&volume));
    let (name, volume) = create("mount", &["--mount", "type=volume,dst=/data"]);
    e.cli(&["rm", "-v", &name]).exits(0);
    assert!(!is_there(&volume));
    let (name, volume) = create("self", &["--rm", "-v", "/data"]);
    e.cli(&["start", "-a", &name]).exits(0);
    eventually("it goes with --rm", || (!is_there(&volume)).then_some(()));
});

case!(an_image_fills_its_volume, |e| {
    let image = with_data(e);
    let look = "stat -c '%n %a %u:%g %h' /data /data/file /data/sub/deep /data/twin; readlink /data/link; \
                cat /data/file";
    let wanted = "/data 2750 1234:1235 3\n/data/file 4711 1234:1235 2\n/data/sub/deep 644 1234:1235 1\n\
                  /data/twin 4711 1234:1235 2\nfile\none\n";
    let run = |options: &[&str], script: &str| {
        let mut words = vec!["run", "--rm", "--network", "none"];
        words.extend(options);
        words.extend([&image, "sh", "-c", script]);
        e.cli(&words)
    };
    run(&[], look).exits(0).says(wanted);
    let name = e.name("v");
    let bind = format!("{name}:/data");
    run(&["-v", &bind], look).exits(0).says(wanted);
    // What is there already is not touched.
    run(&["-v", &bind], "rm /data/file; echo own > /data/own").exits(0);
    run(&["-v", &bind], "ls /data")
        .exits(0)
        .says("link\nown\nsub\ntwin\n");
    e.cli(&["volume", "rm", &name]).exits(0);
    run(
        &["-v", &format!("{bind}:nocopy")],
        "ls /data; stat -c %a /data",
    )
    .exits(0)
    .says("755\n");
    e.cli(&["volume", "rm", &name]).exits(0);
    let mounted = format!("type=volume,src={name},dst=/data,volume-nocopy,volume-label=x=y");
    run(&["--mount", &mounted], "ls /data").exits(0).says("");
    e.cli(&["volume", "inspect", "-f", "{{.Labels.x}}", &name])
        .exits(0)
        .says("y\n");
    e.cli(&["volume", "rm", &name]).exits(0);
    // Filled when the container is created, for others to see.
    let creator = e.name("creator");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &creator,
        "-v",
        &bind,
        &image,
    ])
    .exits(0);
    e.sh(&["-v", &format!("{name}:/x")], "cat /x/file")
        .exits(0)
        .says("one\n");
    e.cli(&["rm", &creator]).exits(0);
    e.cli(&["volume", "rm", &name]).exits(0);
    // An empty directory gives its owner and mode.
    run(
        &["-v", &format!("{name}:/empty")],
        "stat -c '%a %u:%g' /empty",
    )
    .exits(0)
    .says("1777 77:78\n");
    e.cli(&["volume", "rm", &name]).exits(0);
    e.cli(&["rmi", &image]).exits(0);
});

case!(what_an_image_declares_is_told, |e| {
    let image = with_data(e);
    let name = e.name("c");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        "-v",
        "/more",
        &image,
    ])
    .exits(0);
    let seen = e.inspect(&name);
    assert_eq!(seen["Config"]["Volumes"], json!({"/data": {}, "/more": {}}));
    assert_eq!(seen["HostConfig"]["Binds"], Value::Null);
    let data = mount(e, &name, "/data");
    assert_eq!(data["Driver"], "local");
    assert_eq!(
        (&data["Mode"], &data["RW"], &data["Propagation"]),
        (&json!(""), &json!(true), &json!(""))
    );
    let source = data["Source"].as_str().expect("a path");
    let ending = format!("/volumes/{}/_data", data["Name"].as_str().expect("a name"));
    assert!(source.ends_with(&ending), "{source}");
    e.cli(&["rm", "-v", &name]).exits(0);
    // A volume of one's own takes the place of the declared one.
    let own = e.name("own");
    let bind = format!("{own}:/data:ro");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        "-v",
        &bind,
        &image,
    ])
    .exits(0);
    assert_eq!(e.inspect(&name)["Mounts"].as_array().map(Vec::len), Some(1));
    let data = mount(e, &name, "/data");
    assert_eq!(
        (&data["Name"], &data["Mode"], &data["RW"]),
        (&json!(own), &json!("ro"), &json!(false))
    );
    assert_eq!(e.inspect(&name)["HostConfig"]["Binds"], json!([bind]));
    e.cli(&[
        "ps",
        "-a",
        "--filter",
        &format!("volume={own}"),
        "--format",
        "{{.Names}} {{.LocalVolumes}}",
    ])
    .exits(0)
    .says(&format!("{name} 1\n"));
    e.cli(&["rm", "-v", &name]).exits(0);
    e.cli(&["volume", "rm", &own]).exits(0);
    e.cli(&["rmi", &image]).exits(0);
});

case!(mounts_that_cannot_be, |e| {
    for (options, message) in [
        (
            &["-v", "x1:/a", "-v", "x2:/a"][..],
            "Duplicate mount point: /a",
        ),
        (
            &["-v", "x1:/a", "--tmpfs", "/a"],
            "Duplicate mount point: /a",
        ),
        (
            &["-v", "x1:/a", "--mount", "type=volume,dst=/a"],
            "Duplicate mount point: /a",
        ),
        (&["-v", "x1:/a:zz"], "invalid mode: zz"),
        (
            &["-v", "x1:/a:rslave"],
            "field BindOptions must not be specified",
        ),
        (
            &["-v", "x1:/"],
            "invalid specification: destination can't be '/'",
        ),
        (
            &["--mount", "type=volume,dst=/a,readonly"],
            "must not set ReadOnly mode when using anonymous volumes",
        ),
        (
            &["-v", "/etc/passwd"],
            "cannot mount volume over existing file, file exists ",
        ),
    ] {
        e.sh(options, "true").exits(125).complains(message);
    }
    // Nothing is left of what was refused.
    assert_eq!(listed(e, &["name=x1"]), Vec::<String>::new());
});

case!(lists_and_filters, |e| {
    let (one, two) = (e.name("v2"), e.name("v10"));
    e.cli(&["volume", "create", "--label", "k=a", &one])
        .exits(0);
    e.cli(&["volume", "create", "--label", "k=b", &two])
        .exits(0);
    let mine = format!("name={}", e.name("v"));
    assert_eq!(listed(e, &[&mine]), [one.clone(), two.clone()]);
    assert_eq!(listed(e, &[&mine, "label=k=a"]), std::slice::from_ref(&one));
    assert_eq!(listed(e, &[&mine, "label=k", "driver=local"]).len(), 2);
    assert_eq!(listed(e, &[&mine, "driver=other"]), Vec::<String>::new());
    e.cli(&["volume", "ls", "--filter", &format!("name={one}")])
        .exits(0)
        .says(&format!("DRIVER    VOLUME NAME\nlocal     {one}\n"));
    e.cli(&[
        "volume",
        "ls",
        "--filter",
        &mine,
        "--format",
        "{{.Name}}={{.Label \"k\"}}",
    ])
    .exits(0)
    .says(&format!("{one}=a\n{two}=b\n"));
    e.cli(&["volume", "rm", &one, &two])
        .exits(0)
        .says(&format!("{one}\n{two}\n"));
});

case!(prune, |e| {
    let (named, other) = (e.name("named"), e.name("other"));
    e.cli(&["volume", "create", "--label", "k=a", &named])
        .exits(0);
    e.cli(&["volume", "create", "--label", "k=b", &other])
        .exits(0);
    let fill = "dd if=/dev/zero of=/d/f bs=1k count=64 2>/dev/null";
    e.sh(&["-v", &format!("{named}:/d")], fill).exits(0);
    let made = e.post("/volumes/create", &json!({"Labels": {"k": "a"}}));
    let anonymous = made.is(201).json()["Name"]
        .as_str()
        .expect("a name")
        .to_owned();
    e.cli_with("n\n", &["volume", "prune"]).exits(0);
    let mut pruned = e.cli(&["volume", "prune", "-f", "--filter", "label=k=a"]);
    pruned.exits(0).says(&format!(
        "Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 0B\n"
    ));
    pruned = e.cli(&[
        "volume",
        "prune",
        "-f",
        "-a",
        "--filter",
        "label=k",
        "--filter",
        "label!=k=b",
    ]);
    let text = pruned.ok();
    assert!(
        text.starts_with(&format!(
            "Deleted Volumes:\n{named}\n\nTotal reclaimed space: "
        )),
        "{text}"
    );
    assert!(!text.ends_with(" 0B\n"), "{text}");
    assert_eq!(listed(e, &["label=k"]), std::slice::from_ref(&other));
    e.cli(&["volume", "prune", "-f", "--filter", "until=1h"])
        .exits(1)
        .complains("invalid filter 'until'");
    e.cli(&["volume", "rm", &other]).exits(0);
    let reply = e.post(
        "/volumes/prune?filters=%7B%22label%22%3A%5B%22none%22%5D%7D",
        &Value::Null,
    );
    assert_eq!(
        reply.is(200).json(),
        json!({"VolumesDeleted": [], "SpaceReclaimed": 0})
    );
});

case!(events_of_volumes, |e| {
    let since = now();
    let (name, volume) = (e.name("c"), e.name("v"));
    e.sh(&["--name", &name, "-v", &format!("{volume}:/d:ro")], "true")
        .exits(0);
    eventually("it is gone", || {
        (e.get_path(&format!("/containers/{name}/json")).status == 404).then_some(())
    });
    e.cli(&["volume", "rm", &volume]).exits(0);
    let path = format!("/events?since={since}&until={}", now() + 1);
    let text = e.get_path(&path).is(200).text();
    let events: Vec<Value> = serde_json::Deserializer::from_str(&text)
        .into_iter::<Value>()
        .filter_map(Result::ok)
        .filter(|event| event["Type"] == "volume" && event["Actor"]["ID"] == volume.as_str())
        .collect();
    let actions: Vec<_> = events
        .iter()
        .map(|event| event["Action"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(actions, ["create", "mount", "unmount", "destroy"]);
    let attributes = &events[1]["Actor"]["Attributes"];
    assert_eq!(attributes["driver"], "local");
    assert_eq!(attributes["destination"], "/d");
    assert_eq!(attributes["read/write"], "false");
    assert_eq!(attributes["container"].as_str().map(str::len), Some(64));
    assert_eq!(events[0]["Actor"]["Attributes"], json!({"driver": "local"}));
});

case!(they_outlive_the_daemon, |e| {
    let volume = e.name("v");
    let bind = format!("{volume}:/d");
    let name = e.background(
        "c",
        &["-v", &bind, "-v", "/anonymous"],
        "echo x > /d/f; sleep 100",
    );
    eventually("the file is there", || {
        (e.cli(&["exec", &name, "cat", "/d/f"]).code == 0).then_some(())
    });
    let anonymous = mount(e, &name, "/anonymous")["Name"]
        .as_str()
        .expect("a name")
        .to_owned();
    e.kill_daemon();
    e.start_daemon(&[]);
    let id = e.inspect(&name)["Id"].as_str().expect("an id").to_owned();
    e.cli(&["volume", "rm", &volume])
        .exits(1)
        .complains(&format!("volume is in use - [{id}]"));
    e.cli(&["rm", "-f", "-v", &name]).exits(0);
    e.kill_daemon();
    e.start_daemon(&[]);
    e.get_path(&format!("/volumes/{anonymous}")).is(404);
    e.sh(&["-v", &bind], "cat /d/f").exits(0).says("x\n");
    e.cli(&["volume", "rm", &volume]).exits(0);
});
