//! The shim alone, started by the tests as the engine starts it: the control socket is 3.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let Ok(control) = sys::fd::take_inherited(3) else {
        return ExitCode::FAILURE;
    };
    u8::try_from(shim::run(control)).map_or(ExitCode::FAILURE, ExitCode::from)
}
