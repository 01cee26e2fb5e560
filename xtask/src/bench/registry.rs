//! The registry beside Debian's `docker-registry`: requests for manifests, blobs, memory.
//!
//! Both lie on the same file system, hold the same image and are asked by the same threads in turns,
//! over connections that are kept. Needs the package `docker-registry`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::{Program, TempDir, eventually};

use crate::result;
use crate::run::step;

/// Connections that ask for manifests at once.
const CLIENTS: usize = 16;
/// Connections while memory is measured.
const CROWD: usize = 200;
const TURN: Duration = Duration::from_secs(2);
/// Megabytes of the blob.
const BLOB: usize = 256;

struct Side {
    name: &'static str,
    addr: String,
    program: Program,
}

/// A connection that is kept.
struct Line(BufReader<TcpStream>);

impl Line {
    fn open(addr: &str) -> Result<Line> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Line(BufReader::with_capacity(256 << 10, stream)))
    }

    /// Asks, and reads the answer to its end; returns its status and how long its body is.
    fn ask(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<(u16, u64)> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\nAccept: {MANIFEST}\r\n\r\n"
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut status, mut left, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "it hung up");
            let text = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = text.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().unwrap_or_default().parse()?;
            } else if let Some(length) = text.strip_prefix("content-length: ") {
                left = length.parse()?;
            } else if text.is_empty() {
                break;
            }
        }
        let length = left;
        while left > 0 {
            let got = self.0.fill_buf()?.len();
            ensure!(got > 0, "it hung up");
            let got = got.min(usize::try_from(left).unwrap_or(got));
            self.0.consume(got);
            left -= got as u64;
        }
        Ok((status, length))
    }
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Measures both, prints a table and keeps it.
pub(super) fn bench(root: &Path, wharf: &Path) -> Result<()> {
    step("the registry beside docker-registry");
    let temp = TempDir::new("wharf-bench-registry");
    let (digest, manifest) = image(&temp)?;
    let sides = [ours(wharf, &temp)?, theirs(&temp)?];
    let blob = std::fs::read(temp.at("blob"))?;
    for side in &sides {
        fill(side, &temp, &digest, &blob, &manifest)?;
    }
    let mut rows: Vec<Value> = Vec::new();
    for (name, unit, path, clients) in [
        (
            "manifest by tag",
            "requests/s",
            "/v2/a/manifests/latest".to_owned(),
            CLIENTS,
        ),
        (
            "blob, one client",
            "MB/s",
            format!("/v2/a/blobs/{digest}"),
            1,
        ),
        (
            "blob, four clients",
            "MB/s",
            format!("/v2/a/blobs/{digest}"),
            4,
        ),
    ] {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..5 {
            for (side, figures) in sides.iter().zip(&mut figures) {
                let (count, bytes) = load(&side.addr, &path, clients)?;
                let figure = if unit == "MB/s" {
                    bytes / 1_000_000
                } else {
                    count
                };
                figures.push(figure / TURN.as_secs());
            }
        }
        rows.push(row(&format!("{name} ({unit})"), &figures));
    }
    rows.push(row(
        "memory under 200 clients (kB)",
        &crowd(&sides, &digest)?.map(|kb| vec![kb]),
    ));
    for side in sides {
        side.program.signal(rustix::process::Signal::TERM);
        side.program.finish();
    }
    result::keep(root, "registry", json!({"rows": rows}))
}

fn row(name: &str, figures: &[Vec<u64>; 2]) -> Value {
    let sorted = figures.clone().map(|mut figures| {
        figures.sort_unstable();
        figures
    });
    let median = sorted.each_ref().map(|figures| figures[figures.len() / 2]);
    println!("{name:<40} {:>10} beside {:>10}", median[0], median[1]);
    json!({"name": name, "wharf": median[0], "docker-registry": median[1], "all": sorted})
}

/// Makes a blob and the manifest of an image that has it; returns the blob's digest.
fn image(temp: &TempDir) -> Result<(String, String)> {
    let mut random = vec![0; BLOB << 20];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    std::fs::write(temp.at("blob"), &random)?;
    temp.file("config", "{}");
    let sum = |name: &str| -> Result<String> {
        let output = Command::new("sha256sum").arg(temp.at(name)).output()?;
        let text = String::from_utf8(output.stdout)?;
        Ok(format!(
            "sha256:{}",
            text.split(' ').next().context("a sum")?
        ))
    };
    let digest = sum("blob")?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": sum("config")?, "size": 2,
        },
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "digest": digest, "size": random.len(),
        }],
    });
    Ok((digest, manifest.to_string()))
}

fn ours(wharf: &Path, temp: &TempDir) -> Result<Side> {
    let addr = free()?;
    let mut command = Command::new(wharf);
    command.args([
        "registry",
        "serve",
        "--addr",
        &addr,
        "--root",
        &temp.at("ours"),
    ]);
    Ok(started("wharf", addr, &mut command))
}

fn theirs(temp: &TempDir) -> Result<Side> {
    let addr = free()?;
    let root = temp.at("theirs");
    let config = temp.file(
        "config.yml",
        &format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  \
             cache:\n    blobdescriptor: inmemory\n  filesystem:\n    rootdirectory: {root}\n\
             http:\n  addr: {addr}\n"
        ),
    );
    let mut command = Command::new("docker-registry");
    command.args(["serve", &config]);
    Ok(started("docker-registry", addr, &mut command))
}

fn started(name: &'static str, addr: String, command: &mut Command) -> Side {
    let program = Program::start(command);
    eventually("a registry listens", || TcpStream::connect(&addr).ok());
    Side {
        name,
        addr,
        program,
    }
}

fn free() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

fn fill(side: &Side, temp: &TempDir, digest: &str, blob: &[u8], manifest: &str) -> Result<()> {
    let config = Command::new("sha256sum").arg(temp.at("config")).output()?;
    let config = String::from_utf8(config.stdout)?;
    let config = format!("sha256:{}", config.split(' ').next().context("a sum")?);
    let mut line = Line::open(&side.addr)?;
    for (digest, bytes) in [(config.as_str(), b"{}".as_slice()), (digest, blob)] {
        let mut begun = TcpStream::connect(&side.addr)?;
        begun.write_all(
            b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\
              Connection: close\r\n\r\n",
        )?;
        let mut text = String::new();
        begun.read_to_string(&mut text)?;
        let at = text.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location").then_some(value)
        });
        let at = at.context("a Location")?.trim_start_matches("http://x");
        let and = if at.contains('?') { '&' } else { '?' };
        let path = format!("{at}{and}digest={digest}");
        let kind = "application/octet-stream";
        let (status, _) = line.ask("PUT", &path, kind, bytes)?;
        ensure!(status == 201, "{}: a blob: {status}", side.name);
    }
    let path = "/v2/a/manifests/latest";
    let (status, _) = line.ask("PUT", path, MANIFEST, manifest.as_bytes())?;
    ensure!(status == 201, "{}: the manifest: {status}", side.name);
    Ok(())
}

/// Asks for one address again and again for a turn; returns how often, and the bytes that came.
fn load(addr: &str, path: &str, clients: usize) -> Result<(u64, u64)> {
    let end = Instant::now() + TURN;
    let results: Vec<Result<(u64, u64)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(move || {
                    let mut line = Line::open(addr)?;
                    let (mut count, mut bytes) = (0, 0);
                    while Instant::now() < end {
                        let (status, length) = line.ask("GET", path, MANIFEST, b"")?;
                        ensure!(status == 200, "{path}: {status}");
                        count += 1;
                        bytes += length;
                    }
                    Ok((count, bytes))
                })
            })
            .collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.filter_map(std::result::Result::ok).collect()
    });
    let mut sum = (0, 0);
    for result in results {
        let (count, bytes) = result?;
        sum = (sum.0 + count, sum.1 + bytes);
    }
    Ok(sum)
}

/// Returns the most memory that each takes while 200 clients read, half of them a blob.
fn crowd(sides: &[Side; 2], digest: &str) -> Result<[u64; 2]> {
    let mut most = [0, 0];
    for (side, most) in sides.iter().zip(&mut most) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| -> Result<()> {
            for number in 0..CROWD {
                let (addr, done) = (side.addr.as_str(), &done);
                let path = match number % 2 {
                    0 => "/v2/a/manifests/latest".to_owned(),
                    _ => format!("/v2/a/blobs/{digest}"),
                };
                let client = move || -> Result<()> {
                    let mut line = Line::open(addr)?;
                    while !done.load(Ordering::SeqCst) {
                        line.ask("GET", &path, MANIFEST, b"")?;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Ok(())
                };
                std::thread::Builder::new()
                    .stack_size(256 << 10)
                    .spawn_scoped(scope, client)?;
            }
            for _ in 0..30 {
                std::thread::sleep(Duration::from_millis(100));
                *most = (*most).max(resident(side.program.id())?);
            }
            done.store(true, Ordering::SeqCst);
            Ok(())
        })?;
    }
    Ok(most)
}

/// Returns a process's resident memory in kB.
fn resident(id: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.context("VmRSS")?.trim();
    Ok(words.trim_end_matches(" kB").parse()?)
}
