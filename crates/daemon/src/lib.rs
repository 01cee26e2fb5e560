//! The Docker face: HTTP in, one verb of the engine, HTTP out.
//!
//! Invariants: no decisions here; a route decodes, calls one verb and encodes. Differences between
//! API versions are small conversions at the edge of a route.

#![forbid(unsafe_code)]

mod activity;
mod body;
mod config;
mod error;
mod hijack;
mod listener;
mod metrics;
mod notify;
mod query;
mod request;
mod router;
mod routes;
mod rows;
mod serve;
mod telemetry;
mod time;
mod upload;
mod version;

pub use config::Environment;
pub use rows::operations;

use std::ffi::OsString;

/// Runs the daemon in the foreground until SIGTERM or SIGINT; returns the exit code. `args` are the
/// words after the program's name (or after `daemon`), `program` is how it was called.
pub fn main(program: &str, args: &[OsString], environment: &Environment) -> i32 {
    let config = match config::parse(program, args, environment) {
        Ok(config::Parsed::Run(config)) => *config,
        Ok(config::Parsed::Say(text)) => {
            say(&text);
            return 0;
        }
        Err(error) => {
            complain(&error.to_string());
            return 1;
        }
    };
    telemetry::start(&config.log_level);
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    sys::memory::limit_arenas(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(32)
        // Small: a thread's stack is touched where it is used, and handlers do not recurse.
        .thread_stack_size(512 * 1024)
        .thread_keep_alive(std::time::Duration::from_secs(5))
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(serve::run(config, environment));
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            outcome
        }
        Err(error) => Err(serve::Error::Runtime(error)),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            complain(&format!("failed to start daemon: {error}"));
            1
        }
    }
}

/// The two places where this crate speaks to a terminal.
fn say(text: &str) {
    use std::io::Write;
    // A closed stdout is the reader's choice.
    drop(writeln!(std::io::stdout(), "{text}"));
}

fn complain(text: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "{text}"));
}
