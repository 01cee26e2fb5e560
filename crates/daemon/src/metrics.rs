//! Metrics in Prometheus' text format, with dockerd's names where it has them.

use std::fmt::Write as _;

use engine::{Engine, Info};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long a reader may take to ask, and to read.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
/// Longest request.
const REQUEST_MAX: usize = 16 << 10;

/// Answers whoever asks, one after the other.
#[expect(
    clippy::infinite_loop,
    reason = "ends with the runtime that it is a task of"
)]
pub(crate) async fn serve(listener: TcpListener, engine: Engine) {
    loop {
        match listener.accept().await {
            // One that does not read keeps the next one waiting for so long, and nobody else.
            Ok((stream, _)) => drop(tokio::time::timeout(PATIENCE, answer(stream, &engine)).await),
            Err(error) => {
                tracing::warn!(%error, "accepting a reader of metrics");
                tokio::time::sleep(PATIENCE / 100).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, engine: &Engine) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await?;
        request.extend_from_slice(&buffer[..count]);
        if count == 0 || request.len() > REQUEST_MAX {
            return Ok(());
        }
    }
    let (status, body) = if request.starts_with(b"GET /metrics ") {
        match engine.info().await {
            Ok(info) => ("200 OK", text(&info, engine.id(), &memory())),
            Err(error) => ("500 Internal Server Error", format!("{error}\n")),
        }
    } else {
        ("404 Not Found", "404 page not found\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The daemon's own /proc/self/statm.
fn memory() -> String {
    std::fs::read_to_string("/proc/self/statm").unwrap_or_default()
}

fn text(info: &Info, id: &str, statm: &str) -> String {
    const PAGE: u64 = 4096;
    let resident = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, rows: &[(&str, String)]| {
        let written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        let rows = rows
            .iter()
            .try_for_each(|(labels, value)| writeln!(text, "{name}{labels} {value}"));
        written
            .and(rows)
            .expect("invariant: a String takes every text");
    };
    gauge(
        "engine_daemon_container_states_containers",
        "The count of containers in various states",
        &[
            ("{state=\"paused\"}", info.paused.to_string()),
            ("{state=\"running\"}", info.running.to_string()),
            ("{state=\"stopped\"}", info.stopped.to_string()),
        ],
    );
    gauge(
        "engine_daemon_engine_cpus_cpus",
        "The number of cpus that the host system of the engine has",
        &[("", info.cpus.to_string())],
    );
    let labels = format!(
        "{{architecture={:?},daemon_id={id:?},kernel={:?},os={:?},os_type=\"linux\",version={:?}}}",
        info.machine,
        info.kernel,
        info.operating_system,
        env!("CARGO_PKG_VERSION")
    );
    gauge(
        "engine_daemon_engine_info",
        "The information related to the engine and the OS it is running on",
        &[(&labels, "1".to_owned())],
    );
    gauge(
        "engine_daemon_engine_memory_bytes",
        "The number of bytes of memory that the host system of the engine has",
        &[("", info.memory.to_string())],
    );
    gauge(
        "process_open_fds",
        "Number of open file descriptors.",
        &[("", info.descriptors.to_string())],
    );
    gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        &[("", (resident.unwrap_or(0) * PAGE).to_string())],
    );
    text
}
