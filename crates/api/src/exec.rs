//! Pure: additional processes in a container.

use crate::json::{Words, document};

document! {
    /// `POST /containers/{id}/exec`.
    ExecCreateRequest {
        user: String = "User",
        privileged: bool = "Privileged",
        tty: bool = "Tty",
        console_size: Option<[u32; 2]> = "ConsoleSize" omit,
        attach_stdin: bool = "AttachStdin",
        attach_stderr: bool = "AttachStderr",
        attach_stdout: bool = "AttachStdout",
        detach_keys: String = "DetachKeys",
        env: Option<Vec<String>> = "Env",
        working_dir: String = "WorkingDir",
        cmd: Option<Words> = "Cmd",
    }
    /// The answer to it, and to commit: an id.
    IdResponse { id: String = "Id" }
    /// `POST /exec/{id}/start`.
    ExecStartRequest {
        detach: bool = "Detach",
        tty: bool = "Tty",
        console_size: Option<[u32; 2]> = "ConsoleSize" omit,
    }
    /// `GET /exec/{id}/json`.
    ExecInspect {
        id: String = "ID",
        running: bool = "Running",
        exit_code: Option<i64> = "ExitCode",
        process_config: ProcessConfig = "ProcessConfig",
        open_stdin: bool = "OpenStdin",
        open_stderr: bool = "OpenStderr",
        open_stdout: bool = "OpenStdout",
        can_remove: bool = "CanRemove",
        container_id: String = "ContainerID",
        detach_keys: String = "DetachKeys",
        pid: i64 = "Pid",
    }
    /// What it runs.
    ProcessConfig {
        tty: bool = "tty",
        entrypoint: String = "entrypoint",
        arguments: Option<Vec<String>> = "arguments",
        privileged: Option<bool> = "privileged" omit,
        user: String = "user" omit,
    }
}
