//! Failing calls, and images that want out.

use std::os::fd::AsFd;

use crate::bundle::{Bundle, pipes, write};

/// Runs `work` in a process of its own, for failpoints are ordered once for each process.
pub(crate) fn in_a_process(work: impl FnOnce()) -> i32 {
    let proof = sys::single_threaded::SingleThreaded::prove().unwrap();
    match sys::clone::clone3(proof, 0, None).unwrap() {
        sys::clone::Cloned::Parent { pidfd, .. } => sys::pidfd::wait(pidfd.as_fd()).unwrap().code(),
        sys::clone::Cloned::Child => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            sys::clone::exit(i32::from(done.is_err()))
        }
    }
}

/// Fails every single call of a creation, one after the other.
pub(crate) fn every_failed_call_leaves_nothing() {
    // Some of these look for what may be missing: a home directory, the first place in PATH. And
    // they are counted for both processes, of which neither makes all.
    const MAY_PASS: [&str; 5] = ["read", "openat2", "mkdirat", "fstat", "stat"];
    let mut bundle = Bundle::new("true");
    bundle.linux().seccomp = Some(runtime::seccomp::default_profile(&[]));
    bundle
        .linux()
        .sysctl
        .insert("kernel.shmmni".to_owned(), "99".to_owned());
    bundle.process().user.uid = 1000;
    let file = bundle.dir.join("host/f");
    write(&file, "");
    bundle.bind(
        file.to_str().unwrap(),
        "/made/file",
        &["rbind", "ro", "rprivate"],
    );
    let counted = bundle.dir.join("calls");
    let create = |order: &str, may_pass: bool| {
        sys::failpoint::configure("test", order);
        let (stdio, _pipes) = pipes();
        match bundle.create(stdio) {
            Ok((container, child)) => {
                let calls = std::fs::read_to_string(&counted).unwrap_or_default();
                write(&bundle.dir.join("calls-of-create"), &calls);
                if container.destroy().is_err() {
                    // The order was for a call that only this made.
                    let path = &bundle.spec.linux.as_ref().unwrap().cgroups_path;
                    let topology = cgroup::Topology::detect().unwrap();
                    if let Ok(group) = cgroup::Group::open(&topology, path) {
                        group.kill().unwrap();
                        group.destroy().unwrap();
                    }
                }
                sys::pidfd::wait(child.pidfd.as_fd()).unwrap();
                bundle.assert_nothing_left();
                assert!(may_pass, "{order} changed nothing");
            }
            Err(error) => {
                bundle.assert_nothing_left();
                let error = error.to_string();
                let words = ["input/output error", "executable file not found"];
                assert!(
                    words.iter().any(|word| error.contains(word)),
                    "{order}: {error}"
                );
            }
        }
    };
    // The group above is made once, by this one.
    bundle.run().unwrap();
    let order = format!("count={}", counted.display());
    assert_eq!(in_a_process(|| create(&order, true)), 0);
    let calls = std::fs::read_to_string(bundle.dir.join("calls-of-create")).unwrap();
    let mut seen = std::collections::BTreeMap::<&str, u32>::new();
    for call in calls.lines().filter_map(|line| line.strip_prefix("test ")) {
        *seen.entry(call).or_default() += 1;
    }
    assert!(seen.len() > 40, "{seen:?}");
    let mut failed = Vec::new();
    for (call, count) in seen {
        for nth in 1..=count {
            let order = format!("{call}:{nth}=errno:5");
            if in_a_process(|| create(&order, MAY_PASS.contains(&call))) != 0 {
                failed.push(order);
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A working directory that is a descriptor of the maker must not lead to the host.
pub(crate) fn cve_2024_21626_workdir_fd() {
    let mut bundle = Bundle::new("pwd; ls ../../../../../../../../../../host-marker");
    write(&bundle.dir.join("lower/host-marker"), "");
    let host = std::fs::File::open("/").unwrap();
    for number in 3..64 {
        format!("/proc/self/fd/{number}").clone_into(&mut bundle.process().cwd);
        let (stdio, pipes) = pipes();
        match bundle.create(stdio) {
            Ok((mut container, child)) => {
                container.start().unwrap();
                let output = pipes.finish(&child);
                assert!(
                    output.stdout.contains("host-marker"),
                    "{number}: {output:?}"
                );
                container.destroy().unwrap();
            }
            Err(error) => {
                assert!(
                    error.to_string().contains("set in config.json failed"),
                    "{error}"
                );
                bundle.assert_nothing_left();
            }
        }
    }
    drop(host);
}

/// What an image puts at /proc is covered by a real procfs, or nothing starts.
pub(crate) fn cve_2019_16884_hostile_proc() {
    let bundle = Bundle::new("cat /proc/self/attr/fake /proc/1/comm");
    std::fs::create_dir_all(bundle.dir.join("lower/proc/self/attr")).unwrap();
    write(&bundle.dir.join("lower/proc/self/attr/fake"), "fake");
    let output = bundle.run().unwrap();
    assert_eq!(output.stdout, "cat\n", "{output:?}");
}

/// /proc and /sys must be directories of the image, not links to others.
pub(crate) fn cve_2019_19921_links_for_proc() {
    for name in ["proc", "sys"] {
        let bundle = Bundle::new("true");
        std::fs::create_dir(bundle.dir.join("lower/other")).unwrap();
        std::os::unix::fs::symlink("other", bundle.dir.join("lower").join(name)).unwrap();
        let error = bundle.error();
        assert!(
            error.contains(&format!("to rootfs at \"/{name}\"")),
            "{error}"
        );
        assert!(error.contains("symbolic links"), "{error}");
    }
}
