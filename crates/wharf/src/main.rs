//! The front door: picks the personality, nothing else.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

/// The environment variable that arms fault doors in a build with the feature `failpoints`.
const FAILPOINTS: &str = "WHARF_FAILPOINTS";

/// The environment variables that a build with the feature `failpoints` reads to learn where the
/// rows of the compatibility table are recorded that this process passes, and which does nothing.
const ROWS: &str = "WHARF_ROWS";
const NOOP: &str = "WHARF_NOOP";

/// Where a shim finds the socket to its daemon.
const SHIM_CONTROL: u8 = 3;

/// Runs a helper with the descriptor that it inherited.
fn with_control(run: impl FnOnce(std::os::fd::OwnedFd) -> i32) -> i32 {
    match sys::fd::take_inherited(SHIM_CONTROL) {
        Ok(control) => run(control),
        // Somebody called it by hand; there is nobody to tell.
        Err(_) => 1,
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let called = called.to_string_lossy();
    let name = called.rsplit('/').next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    #[expect(clippy::disallowed_methods, reason = "read once, here")]
    let failpoints = std::env::var_os(FAILPOINTS);
    let arm = |personality| {
        if let Some(order) = failpoints.as_ref().and_then(|order| order.to_str()) {
            sys::failpoint::configure(personality, order);
        }
    };
    #[expect(clippy::disallowed_methods, reason = "read once, here")]
    let watch_rows = || {
        let (record, dead) = (std::env::var_os(ROWS), std::env::var_os(NOOP));
        sys::rows::configure(record.as_deref(), dead.as_deref());
    };
    let environment = || daemon::Environment {
        failpoints: failpoints.clone(),
        notify_socket: variable("NOTIFY_SOCKET"),
        listen_fds: listen_fds(),
    };
    let code = match (name, args.first().and_then(|word| word.to_str())) {
        (engine::SHIM_NAME, _) => {
            arm("shim");
            with_control(shim::run)
        }
        (engine::NETD_NAME, _) => {
            arm("netd");
            with_control(engine::netd)
        }
        ("docker-init", _) => shim::init(&args, &std::env::vars_os().collect::<Vec<_>>()),
        ("dockerd", _) => {
            arm("daemon");
            watch_rows();
            daemon::main("dockerd", &args, &environment())
        }
        ("wharf-runc" | "runc" | "crun", _) => {
            arm("runtime");
            oci(name, &args)
        }
        ("wharf", Some("runtime")) => {
            arm("runtime");
            oci("wharf runtime", args.get(1..).unwrap_or_default())
        }
        ("wharf", Some("rows")) => cli::print_rows(&daemon::operations()),
        (_, Some("daemon")) => {
            arm("daemon");
            watch_rows();
            daemon::main("wharf daemon", &args[1..], &environment())
        }
        ("wharf", Some("registry")) if is_server(&args) => {
            arm("registry");
            watch_rows();
            registry::server::main(&args[2..])
        }
        _ => {
            arm("client");
            watch_rows();
            let words: Vec<OsString> = std::env::args_os().collect();
            cli::run(&words, std::env::vars_os().collect())
        }
    };
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}

/// Tells whether the words begin with `registry serve` and do not ask for help, which is the client's.
fn is_server(args: &[OsString]) -> bool {
    let help = |word: &OsString| word == "--help" || word == "-h";
    args.get(1).is_some_and(|word| word == "serve") && !args.iter().any(help)
}

#[expect(clippy::disallowed_methods, reason = "read once, at the front door")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns how many sockets systemd handed to this process (sd_listen_fds(3)).
fn listen_fds() -> u8 {
    let number = |name: &str| variable(name)?.to_str()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(std::process::id()) {
        return 0;
    }
    let count = number("LISTEN_FDS").and_then(|count| u8::try_from(count).ok());
    count.unwrap_or(0)
}

/// The OCI runtime.
fn oci(name: &str, args: &[OsString]) -> i32 {
    runtime::command::main(&runtime::command::Call {
        name,
        args,
        all: std::env::args_os().collect(),
        env: std::env::vars_os().collect(),
    })
}
