//! The server: repositories by the OCI distribution specification 1.1, as one process.
//!
//! A request's way: `serve` takes it, `route` reads its address, one of `blobs`, `manifests` and
//! `lists` answers it out of the `store`. Content is streamed; nothing here holds a blob in memory.
//!
//! Invariants: what was acknowledged is on disk; content stands under its digest only after that was
//! checked; a repository gives out only what was put into it, whatever the others have.

mod answer;
mod blobs;
mod blocking;
mod body;
mod cache;
mod collect;
mod door;
mod fault;
mod lists;
mod manifest;
mod manifests;
mod metrics;
mod mirror;
mod names;
mod options;
mod paging;
mod patience;
mod people;
mod query;
mod quota;
mod range;
mod rights;
mod route;
mod secret;
mod serve;
mod state;
mod store;
mod tls;
mod uploads;

use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

/// Threads that may wait for the disk at once.
const BLOCKING: usize = 16;

/// Serves a registry in the foreground until SIGTERM or SIGINT; returns the exit code. `args` are the
/// words after `registry serve`. Once it listens, its address stands on stdout.
pub fn main(args: &[OsString]) -> i32 {
    if !sys::rows::pass(|| "registry serve".to_owned()) {
        return 0;
    }
    let options = match options::parse(args) {
        Ok(options) => options,
        Err(error) => {
            complain(&error.to_string());
            return 125;
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    sys::memory::limit_arenas(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.min(8))
        .max_blocking_threads(BLOCKING)
        .thread_stack_size(512 << 10)
        .thread_keep_alive(Duration::from_secs(5))
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(serve::run(options, |address| {
                say(&format!("serving {address}"));
            }));
            runtime.shutdown_timeout(Duration::from_secs(2));
            outcome
        }
        Err(error) => Err(serve::Error::Runtime(error)),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            complain(&format!("failed to serve: {error}"));
            1
        }
    }
}

/// The two places where this crate speaks to a terminal.
fn say(text: &str) {
    // A closed stdout is the reader's choice.
    drop(writeln!(std::io::stdout(), "{text}"));
}

fn complain(text: &str) {
    drop(writeln!(std::io::stderr(), "wharf registry: {text}"));
}
