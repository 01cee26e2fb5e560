//! Runs README's first command on a bare Debian: what a new person's machine has, and no more.
//!
//! The system is made by debootstrap once and kept below `target/`; each run gets a copy, entered by
//! `pivot_root` in private mount and pid namespaces, with the Rust toolchain and cargo's registry
//! bound in read-only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{run, step};

const SUITE: &str = "bookworm";
const INCLUDE: &str = "build-essential,ca-certificates";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What the first command's output must hold.
const PROOF: &str = "hello from ";

/// `$1` root, `$2` rustup's home, `$3` cargo's home, `$4` the command.
const SCRIPT: &str = r#"
set -eu
root=$1 rustup=$2 cargo=$3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/root/.rustup" "$root/root/.cargo/bin" "$root/root/.cargo/registry"
mount --bind "$rustup" "$root/root/.rustup"
mount -o remount,bind,ro "$root/root/.rustup"
for part in bin registry; do
  mount --bind "$cargo/$part" "$root/root/.cargo/$part"
  mount -o remount,bind,ro "$root/root/.cargo/$part"
done
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
cd /src
exec env -i HOME=/root LANG=C.UTF-8 RUSTUP_AUTO_INSTALL=0 \
  PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  sh -ec "$4"
"#;

/// Runs the command and checks what it says.
pub(crate) fn fresh(root: &Path) -> Result<()> {
    step("fresh: README's first command on a bare Debian");
    let command = first_command(&fs::read_to_string(root.join("README.md"))?)?;
    let place = root.join("target/fresh");
    fs::create_dir_all(&place)?;
    let base = base(&place)?;
    run(Command::new("cargo")
        .args(["fetch", "--locked"])
        .current_dir(root))?;
    let system = place.join("system");
    remove(&system)?;
    run(Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(&base)
        .arg(&system))?;
    copy_sources(root, &system.join("src"))?;
    println!("   $ {command}");
    let output = place.join("output.txt");
    let (rustup, cargo) = (
        home("RUSTUP_HOME", ".rustup")?,
        home("CARGO_HOME", ".cargo")?,
    );
    let ran = run(Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ])
        .args(["sh", "-c", SCRIPT, "sh"])
        .args([&system, &rustup, &cargo])
        .arg(&command)
        .stdout(fs::File::create(&output)?));
    let said = fs::read_to_string(&output)?;
    print!("{said}");
    remove(&system)?;
    ran?;
    ensure!(
        said.contains(PROOF),
        "the first command did not say {PROOF:?}"
    );
    Ok(())
}

/// Returns the first line of README that runs the program.
fn first_command(readme: &str) -> Result<String> {
    readme
        .lines()
        .find(|line| line.starts_with("cargo run "))
        .map(str::to_owned)
        .context("README.md has a line that starts with `cargo run `")
}

/// Returns the bare system; makes it when it is not there yet.
fn base(place: &Path) -> Result<PathBuf> {
    let base = place.join(format!("{SUITE}-base"));
    let whole = place.join(format!("{SUITE}-base.complete"));
    if whole.exists() && fs::read_to_string(&whole)? == INCLUDE {
        return Ok(base);
    }
    remove(&base)?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={INCLUDE}")]);
    if Path::new(KEYRING).exists() {
        command.arg(format!("--keyring={KEYRING}"));
    }
    run(command.arg(SUITE).arg(&base).arg(mirror()?))?;
    drop(fs::remove_dir_all(base.join("var/cache/apt/archives")));
    fs::write(&whole, INCLUDE)?;
    Ok(base)
}

/// Returns the mirror that this machine's apt uses.
fn mirror() -> Result<String> {
    let mut texts = vec![fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
    for entry in fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
    {
        texts.push(fs::read_to_string(entry.path()).unwrap_or_default());
    }
    for text in &texts {
        if let Some(found) = mirror_in(text) {
            return Ok(found);
        }
    }
    bail!("apt has no source for {SUITE}")
}

/// Finds the mirror in one file of apt's, of either form.
fn mirror_in(text: &str) -> Option<String> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let mut address = None;
    for line in lines {
        let words: Vec<_> = line
            .split_whitespace()
            .filter(|word| !word.contains('='))
            .collect();
        match words[..] {
            ["URIs:", uri, ..] => address = Some(uri),
            ["Suites:", ref suites @ ..] if suites.contains(&SUITE) => {
                return address.map(str::to_owned);
            }
            ["deb", uri, SUITE, ..] => return Some(uri.to_owned()),
            _ => {}
        }
    }
    None
}

/// Copies what git knows of the working tree.
fn copy_sources(root: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let script = r#"git -C "$1" ls-files -z | tar -C "$1" --null -T - -cf - | tar -C "$2" -xf -"#;
    run(Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(root)
        .arg(to))
}

/// Removes a system, which must hold no mount.
fn remove(system: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let name = system.to_string_lossy();
    ensure!(!mounts.contains(&*name), "something is mounted in {name}");
    if system.exists() {
        run(Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(system))?;
    }
    Ok(())
}

fn home(variable: &str, folder: &str) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(variable) {
        return Ok(PathBuf::from(given));
    }
    let home = std::env::var_os("HOME").context("HOME is set")?;
    Ok(PathBuf::from(home).join(folder))
}

#[cfg(test)]
mod tests {
    use super::{first_command, mirror_in};

    #[test]
    fn both_forms_of_sources_are_read() {
        let new =
            "Types: deb\n# old\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://mirror/debian"));
        let old = "deb [signed-by=/k] http://mirror/d bookworm main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("http://mirror/d"));
        assert_eq!(
            mirror_in("deb http://mirror/d bookworm-security main\n"),
            None
        );
    }

    #[test]
    fn the_first_command_is_found() {
        let readme = "# X\n```sh\ncargo run --release -- run x\n```\n";
        assert_eq!(
            first_command(readme).unwrap(),
            "cargo run --release -- run x"
        );
    }
}
