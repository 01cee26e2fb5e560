//! The daemon is killed while volumes come and go.

use serde_json::{Value, json};
use testkit::{Board, Engine, Fault, Side, case};

use crate::volumes::{listed, with_data};

/// The directories below the data root's `volumes`.
fn directories(e: &Engine) -> Vec<String> {
    let entries = std::fs::read_dir(e.data_root().join("volumes")).expect("a directory");
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Kills the daemon at some of the calls that `verb` makes; after each the next daemon must agree with
/// the disk, and `whole` must hold.
fn killed_at_each(
    e: &Engine,
    board: &Board,
    prepare: &dyn Fn(),
    verb: &dyn Fn(),
    whole: &dyn Fn(),
) {
    prepare();
    board.arm(Side::Daemon, 0, Fault::Count);
    verb();
    let calls = board.seen(Side::Daemon);
    board.disarm(Side::Daemon);
    assert!(calls > 3, "{calls}");
    e.clear();
    for step in 0..5 {
        let nth = 1 + step * (calls - 1) / 4;
        prepare();
        board.arm(Side::Daemon, nth, Fault::Kill);
        verb();
        if board.fired(Side::Daemon) {
            e.daemon_died();
            e.start_daemon(&[("WHARF_FAILPOINTS", &board.order())]);
        }
        board.disarm(Side::Daemon);
        let known = listed(e, &[]);
        for name in directories(e) {
            assert!(
                known.contains(&name),
                "call {nth}: {name} is nobody's: {known:?}"
            );
        }
        whole();
        e.clear();
    }
}

case!(a_crash_leaves_no_half, |e| {
    let image = with_data(e);
    let board = Board::new();
    e.stop_daemon();
    e.start_daemon(&[("WHARF_FAILPOINTS", &board.order())]);
    let (name, volume, new) = (e.name("c"), e.name("v"), e.name("new"));
    let body = json!({"Image": image, "Cmd": ["sh", "-c", "ls /data /named | wc -l"],
        "HostConfig": {"NetworkMode": "none", "Mounts": [{"Type": "volume", "Source": volume, "Target": "/named"}]}});
    let create = || drop(e.attempt("POST", &format!("/containers/create?name={name}"), &body));
    let remove = || drop(e.attempt("DELETE", &format!("/containers/{name}?v=1"), &Value::Null));
    // Either there is no container, or its volume has all of the image's files.
    killed_at_each(e, &board, &|| {}, &create, &|| {
        if e.get_path(&format!("/containers/{name}/json")).status == 200 {
            e.cli(&["start", "-a", &name]).exits(0).says("7\n");
        }
    });
    killed_at_each(e, &board, &create, &remove, &|| {});
    let rename = || {
        drop(e.attempt(
            "POST",
            &format!("/wharf/v1/volumes/{volume}/rename?to={new}"),
            &Value::Null,
        ));
    };
    let fill = || {
        e.sh(&["-v", &format!("{volume}:/d")], "echo x > /d/f")
            .exits(0);
    };
    killed_at_each(e, &board, &fill, &rename, &|| {
        let known = listed(e, &[]);
        assert_eq!(known.len(), 1, "{known:?}");
        e.sh(&["-v", &format!("{}:/d", known[0])], "cat /d/f")
            .exits(0)
            .says("x\n");
    });
});
