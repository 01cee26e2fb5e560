//! A disk that is full: what can no longer be done, and what must go on.

use std::process::Command;

use testkit::{BOX, Program, case, eventually};

use crate::daemon::{Place, stop, unshared};

case!(a_full_disk, |e| {
    let place = Place::new(e, "full");
    let root = place.at("d");
    let script = format!("mkdir -p {root}; mount -t tmpfs -o size=16m tmpfs {root}");
    let mut command = unshared(&[], &script, e.program());
    command.arg("daemon");
    let running = place.start(command, &[]);
    let inside = format!("/proc/{}/root{root}", running.id());
    let used = || {
        let mut du = Command::new("du");
        du.args(["-sk", "--apparent-size", &inside]);
        let output = Program::start(&mut du).finish();
        let size = output.ok().split_whitespace().next();
        size.and_then(|size| size.parse::<u64>().ok())
            .expect("a size")
    };
    let before = used();
    let mut sh = Command::new("sh");
    let script = "set -e; cd \"$1\"; head -c 30000000 /dev/urandom > too-big; tar -cf big.tar too-big
mkdir l; cp big.tar l/layer.tar; sum=$(sha256sum big.tar | cut -d' ' -f1)
printf '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}' $sum > c.json
printf '[{\"Config\":\"c.json\",\"RepoTags\":[\"big:1\"],\"Layers\":[\"l/layer.tar\"]}]' > manifest.json
tar -czf save.tar.gz manifest.json c.json l";
    sh.args(["-c", script, "sh"]).arg(&place.0);
    Program::start(&mut sh).finish().exits(0);
    let host = format!("unix://{}", place.at("s"));
    let client = |words: &[&str]| {
        let mut command = Command::new(e.program());
        command.args(["-H", &host]).args(words);
        Program::start(&mut command).finish()
    };
    client(&["import", &place.at("big.tar"), "big:1"])
        .exits(1)
        .says("")
        .errs(
            "Error response from daemon: cannot extract \"too-big\": write: no space left on \
             device\n",
        );
    client(&["load", "-i", &place.at("save.tar.gz")])
        .exits(1)
        .complains("no space left on device");
    client(&["images", "-aq"]).exits(0).says("");
    eventually("what was written is gone", || {
        (used() <= before + 64).then_some(())
    });
    // There is room again for what fits.
    let archive = e.temp().at("box.tar");
    client(&["import", &archive, BOX]).exits(0);
    client(&["run", "--rm", "--network", "none", BOX, "echo", "hi"])
        .exits(0)
        .says("hi\n");
    stop(running);
});

case!(a_disk_that_fills_while_it_works, |e| {
    let place = Place::new(e, "fills");
    let root = place.at("d");
    let script = format!("mkdir -p {root}; mount -t tmpfs -o size=24m tmpfs {root}");
    let mut command = unshared(&[], &script, e.program());
    command.arg("daemon");
    let running = place.start(command, &[]);
    let filler = format!("/proc/{}/root{root}/filler", running.id());
    let host = format!("unix://{}", place.at("s"));
    let client = |words: &[&str]| {
        let mut command = Command::new(e.program());
        command.args(["-H", &host]).args(words);
        Program::start(&mut command).finish()
    };
    client(&["import", &e.temp().at("box.tar"), BOX]).exits(0);
    let loud = "while :; do echo word; sleep 0.05; done";
    let run = ["run", "-d", "--network", "none", "--name"];
    for (name, program) in [("loud", loud), ("quiet", "exec sleep 1000")] {
        client(&[&run[..], &[name, BOX, "sh", "-c", program]].concat()).exits(0);
    }
    let mut fill = Command::new("dd");
    fill.args(["if=/dev/zero", "bs=4096", &format!("of={filler}")]);
    Program::start(&mut fill).finish().exits(1);
    // Nothing new, and nothing half-made.
    // What little room the record file has by itself is used up first.
    let label = "x".repeat(100_000);
    let mut fillers = Vec::new();
    let fits = |name: &str| {
        let words = ["create", "--name", name, "--label", &label, BOX, "true"];
        client(&words).code == 0
    };
    while fits(&format!("filler{}", fillers.len())) {
        fillers.push(format!("filler{}", fillers.len()));
    }
    client(&["create", "--name", "new", "--label", &label, BOX, "true"])
        .exits(1)
        .complains("the record file could not be written: ");
    client(&["inspect", "new"]).exits(1);
    client(&["exec", "quiet", "echo", "hi"])
        .exits(0)
        .says("hi\n");
    // What frees space works.
    client(&["stop", "-t", "0", "loud"]).exits(0).says("loud\n");
    client(&[
        "inspect",
        "-f",
        "{{.State.Status}} {{.State.ExitCode}}",
        "loud",
    ])
    .exits(0)
    .says("exited 137\n");
    let mut all = vec!["rm", "-f", "loud", "quiet"];
    all.extend(fillers.iter().map(String::as_str));
    client(&all).exits(0);
    client(&["ps", "-aq"]).exits(0).says("");
    // With room again the same daemon goes on.
    std::fs::remove_file(&filler).expect("the filler goes");
    client(&["run", "--rm", "--network", "none", BOX, "echo", "hi"])
        .exits(0)
        .says("hi\n");
    stop(running);
});
