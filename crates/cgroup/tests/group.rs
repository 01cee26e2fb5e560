//! Groups on this machine's hierarchies: v1, hybrid or v2, whatever is mounted.

#![allow(
    clippy::tests_outside_test_module,
    reason = "this whole file is a test"
)]

mod common;

use cgroup::{Error, Group};
use common::{Cleanup, Sleeper, topology};

#[test]
fn root_a_group_is_made_entered_killed_and_removed() {
    let cleanup = Cleanup::new("life");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    assert_eq!(
        cleanup.directories("one").len(),
        topology().hierarchies().len()
    );
    assert!(group.pids().unwrap().is_empty());

    let mut first = Sleeper::enter(&group);
    let mut second = Sleeper::enter(&group);
    let mut expect = vec![first.pid(), second.pid()];
    expect.sort_unstable();
    assert_eq!(group.pids().unwrap(), expect);
    for own in first.groups() {
        assert!(own.ends_with(group.path()) || !topology_has(&own), "{own}");
    }

    group.kill().unwrap();
    assert_eq!(first.signal(), Some(9));
    assert_eq!(second.signal(), Some(9));
    assert_eq!(group.oom_kills().unwrap(), 0);
    group.destroy().unwrap();
    assert!(cleanup.directories("one").is_empty());
}

/// A line of /proc/PID/cgroup is of a hierarchy that groups are made in.
fn topology_has(line: &str) -> bool {
    let name = line.split(':').nth(1).unwrap_or_default();
    match name {
        "" => topology()
            .hierarchies()
            .iter()
            .any(|h| h.version == cgroup::Version::V2),
        name => name
            .split(',')
            .all(|one| topology().hierarchy(one).is_some()),
    }
}

#[test]
fn root_an_existing_group_is_refused_and_kept() {
    let cleanup = Cleanup::new("exists");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    let error = Group::create(&topology(), &cleanup.path("one")).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error:?}");
    assert_eq!(
        cleanup.directories("one").len(),
        topology().hierarchies().len()
    );

    // A left-over in the last hierarchy alone: nothing is left in the others.
    let last = topology()
        .hierarchies()
        .last()
        .unwrap()
        .directory(&cleanup.path("two"));
    std::fs::create_dir(&last).unwrap();
    let error = Group::create(&topology(), &cleanup.path("two")).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error:?}");
    assert_eq!(cleanup.directories("two"), [last]);
    group.destroy().unwrap();
}

#[test]
fn root_missing_directories_are_no_error_and_sub_groups_go_too() {
    let cleanup = Cleanup::new("missing");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    std::fs::remove_dir(&cleanup.directories("one")[0]).unwrap();
    let below = Group::create(&topology(), &cleanup.path("one/a/b"));
    // The first hierarchy's parent is made again by the sub-group.
    below.unwrap();
    Group::open(&topology(), &cleanup.path("one"))
        .unwrap()
        .destroy()
        .unwrap();
    assert!(cleanup.directories("one").is_empty());
    group.destroy().unwrap();
    let error = Group::open(&topology(), &cleanup.path("one")).unwrap_err();
    assert_eq!(error.errno(), Some(sys::Errno::NOENT), "{error:?}");
}

#[test]
fn root_frozen_processes_stop_and_can_be_killed() {
    let cleanup = Cleanup::new("freeze");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    let mut counter = Sleeper::count(&group);
    group.freeze(true).unwrap();
    assert!(group.is_frozen().unwrap());
    let used = counter.cpu_ticks();
    std::thread::sleep(std::time::Duration::from_millis(120));
    assert_eq!(counter.cpu_ticks(), used);
    group.freeze(false).unwrap();
    assert!(!group.is_frozen().unwrap());
    counter.wait_for_cpu_beyond(used);
    group.freeze(true).unwrap();
    group.kill().unwrap();
    assert_eq!(counter.signal(), Some(9));
    group.destroy().unwrap();
}

#[test]
fn root_kill_catches_what_forks() {
    let cleanup = Cleanup::new("forks");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    // Each generation lives for a moment only and starts the next.
    let mut forker = Sleeper::script(
        &group,
        "f() { sleep 0.01; f & }; f & f & f & wait; sleep 60",
    );
    std::thread::sleep(std::time::Duration::from_millis(60));
    group.kill().unwrap();
    assert_eq!(forker.signal(), Some(9));
    assert!(group.pids().unwrap().is_empty());
    group.destroy().unwrap();
}

#[test]
fn root_a_group_in_use_is_not_removed() {
    let cleanup = Cleanup::new("busy");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    let mut sleeper = Sleeper::enter(&group);
    let error = Group::open(&topology(), &cleanup.path("one"))
        .unwrap()
        .destroy()
        .unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error:?}");
    group.kill().unwrap();
    assert_eq!(sleeper.signal(), Some(9));
    group.destroy().unwrap();
}

#[test]
fn root_a_group_with_inner_groups_is_entered_beside_its_oldest_process() {
    let cleanup = Cleanup::new("inner");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    let mut first = Sleeper::enter(&group);
    let unified = topology()
        .hierarchies()
        .iter()
        .rfind(|h| h.version == cgroup::Version::V2)
        .cloned();
    let Some(unified) = unified else { return };
    // As systemd does in a container: into a leaf, then pass a controller on.
    let own = unified.directory(group.path());
    std::fs::create_dir(own.join("leaf")).unwrap();
    common::write(&own.join("leaf/cgroup.procs"), &first.pid().to_string());
    let controller = unified.controllers.first().unwrap();
    common::write(
        &own.join("cgroup.subtree_control"),
        &format!("+{controller}"),
    );

    let mut second = Sleeper::enter(&group);
    let line = second
        .groups()
        .into_iter()
        .find(|line| line.starts_with("0::"))
        .unwrap();
    assert!(line.ends_with(&format!("{}/leaf", group.path())), "{line}");
    let mut expect = vec![first.pid(), second.pid()];
    expect.sort_unstable();
    assert_eq!(group.pids().unwrap(), expect);
    group.kill().unwrap();
    assert_eq!((first.signal(), second.signal()), (Some(9), Some(9)));
    group.destroy().unwrap();
}
