//! Runs tests on a kernel of their own with cgroup v2 only, in the virtual machine of `tests/vm`.
//!
//! The host builds static test programs and boots; this same program then runs again in the guest
//! and gives every test a process of its own, as nextest does on the host.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::e2e::{Counts, build, target};
use crate::run::{run, step};

/// Rooms whose `root_` tests are about cgroups or what hangs on them.
const ROOMS: [&str; 3] = ["cgroup", "runtime", "shim"];
/// The cases that show cgroups at work; a start takes seconds under emulation, so not all of them.
const CORE: &str = "limits::,security::devices,security::default_mounts,run::exit_code,\
    run::detached,exec::exit_code,exec::it_is_inside,logs::both,logs::follow_to_the_end,\
    stop::stop,stop::the_whole_tree,crash::";
/// Emulation is slow, and a test that hangs must not hang the rest.
const LONGEST: Duration = Duration::from_mins(4);

/// `cargo xtask vm [rooms|e2e] [FILTER[,FILTER…]]`; without a word: both.
pub(crate) fn main(root: &Path, words: &[String]) -> Result<()> {
    let (rooms, e2e, filter) = match words.first().map(String::as_str) {
        Some("rooms") => (true, false, &words[1..]),
        Some("e2e") => (false, true, &words[1..]),
        _ => (true, true, words),
    };
    let filter = filter.first().map(String::as_str);
    setup(root)?;
    if rooms {
        step("the rooms' tests on cgroup v2");
        let names = ROOMS.iter().flat_map(|room| ["--package", room]);
        let programs = programs(root, names)?;
        whole(guest(root, &programs, filter.unwrap_or("root_"), &[])?)?;
    }
    if e2e {
        whole(cases(root, filter.unwrap_or(CORE))?)?;
    }
    Ok(())
}

fn whole(counts: Counts) -> Result<()> {
    if counts.failed > 0 {
        bail!("{} failed on cgroup v2", counts.failed);
    }
    Ok(())
}

fn setup(root: &Path) -> Result<()> {
    run(Command::new(root.join("tests/vm/vm")).arg("setup"))
}

/// The core of the cases, for `cargo xtask ci`: where there can be no virtual machine they are
/// skipped, but not in CI.
pub(crate) fn core(root: &Path) -> Result<Counts> {
    match setup(root) {
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("   skipped: no virtual machine here: {error:#}");
            Ok(Counts {
                skipped: 1,
                ..Counts::default()
            })
        }
        Err(error) => Err(error),
        Ok(()) => cases(root, CORE),
    }
}

fn cases(root: &Path, filter: &str) -> Result<Counts> {
    step("the cases on cgroup v2");
    let wharf = build(root)?;
    let programs = programs(root, ["--package", "e2e"].into_iter())?;
    let environment = [
        ("ENGINE", PathBuf::from("wharf")),
        // The official one takes seconds to start under emulation.
        ("CLIENT", PathBuf::from("wharf")),
        ("WHARF_BIN", wharf),
        // virtiofs cannot be the upper directory of an overlay, and tmpfs is memory.
        ("TMPDIR", PathBuf::from("/scratch")),
    ];
    guest(root, &programs, filter, &environment)
}

/// Builds test programs and returns where they lie.
fn programs<'a>(root: &Path, packages: impl Iterator<Item = &'a str>) -> Result<Vec<PathBuf>> {
    let output = Command::new("cargo")
        .args(["test", "--no-run"])
        .args(packages)
        .current_dir(root)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("cargo test --no-run:\n{text}");
    }
    // `  Executable tests/group.rs (target/…/group-1234)`
    let lines = text
        .lines()
        .filter(|line| line.trim_start().starts_with("Executable "));
    let paths = lines.filter_map(|line| line.rsplit_once('(')?.1.strip_suffix(')'));
    let paths: Vec<_> = paths.map(|path| root.join(path)).collect();
    if paths.is_empty() {
        bail!("cargo named no test program");
    }
    Ok(paths)
}

/// Boots, and runs this program with the words of [`in_guest`] there.
fn guest(
    root: &Path,
    programs: &[PathBuf],
    filter: &str,
    environment: &[(&str, PathBuf)],
) -> Result<Counts> {
    let own = std::env::current_exe().context("this program")?;
    // The repository is the guest's, too.
    let counts = root.join("target/vm-counts.txt");
    drop(std::fs::remove_file(&counts));
    let mut command = Command::new(root.join("tests/vm/vm"));
    command
        .args(["run", "--timeout", "3000", "--cwd", "/"])
        .current_dir(root);
    // Programs lie below the repository, or where cargo was told to build.
    let mut shared: Vec<PathBuf> = vec![target(root)];
    shared.extend(own.parent().map(Path::to_owned));
    for (name, value) in environment {
        command
            .arg("--env")
            .arg(format!("{name}={}", value.display()));
        shared.extend(
            value
                .parent()
                .filter(|_| value.is_file())
                .map(Path::to_owned),
        );
    }
    shared.retain(|path| !path.starts_with(root));
    shared.sort();
    shared.dedup_by(|path, before| path.starts_with(before));
    for path in shared {
        command
            .arg("--share")
            .arg(format!("{}:{0}:ro", path.display()));
    }
    command
        .arg("--")
        .arg(own)
        .args(["vm-guest", filter])
        .arg(&counts)
        .args(programs);
    let ran = run(&mut command);
    let text = std::fs::read_to_string(&counts).unwrap_or_default();
    let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(passed), Some(failed)) => Ok(Counts {
            passed,
            failed,
            skipped: 0,
        }),
        // It did not come to its end.
        _ => ran.and_then(|()| bail!("the guest counted nothing")),
    }
}

/// In the guest: every test of `programs` whose name contains one of `filter` (with commas).
pub(crate) fn in_guest(words: &[String]) -> Result<()> {
    let [filter, counts, programs @ ..] = words else {
        bail!("vm-guest FILTER COUNTS PROGRAM…")
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for program in programs {
        let list = Command::new(program)
            .args(["--list", "--format", "terse"])
            .args(filter.split(','))
            .output()?;
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        for test in list.lines().filter_map(|line| line.strip_suffix(": test")) {
            let started = Instant::now();
            let verdict = one(program, test)?;
            let word = if verdict { "ok" } else { "FAILED" };
            println!("{word:6} {:5.1} s  {test}", started.elapsed().as_secs_f64());
            if verdict {
                passed += 1;
            } else {
                failed.push(test.to_owned());
            }
        }
    }
    println!("{passed} passed, {} failed", failed.len());
    std::fs::write(counts, format!("{passed} {}", failed.len()))?;
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(" "));
    }
    if passed == 0 {
        bail!("no test is named {filter:?}");
    }
    Ok(())
}

/// Runs one test; its words are printed when it fails.
fn one(program: &str, test: &str) -> Result<bool> {
    let output = std::env::temp_dir().join("vm-guest-output");
    let file = std::fs::File::create(&output)?;
    let mut child = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()?;
    let deadline = Instant::now() + LONGEST;
    let verdict = loop {
        if let Some(status) = child.try_wait()? {
            break status.success();
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            println!("{test}: more than {} s", LONGEST.as_secs());
            break false;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !verdict {
        println!("{}", String::from_utf8_lossy(&std::fs::read(&output)?));
    }
    Ok(verdict)
}
