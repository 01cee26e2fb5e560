//! Runs a program to its end, or to its end of time: a test that hangs says where.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(40);

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub line: String,
    /// The exit status; 128+n when a signal ended it.
    pub code: i32,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Output {
    /// Returns stdout without its last line feed; a status other than 0 fails the case.
    #[track_caller]
    pub fn ok(&self) -> &str {
        self.exits(0);
        self.stdout.strip_suffix('\n').unwrap_or(&self.stdout)
    }

    /// Checks the exit status.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Output {
        assert!(self.code == code, "expected exit {code}: {self:#?}");
        self
    }

    /// Checks that stderr holds `text`.
    #[track_caller]
    pub fn complains(&self, text: &str) -> &Output {
        assert!(
            self.stderr.contains(text),
            "expected {text:?} on stderr: {self:#?}"
        );
        self
    }

    /// Checks that stderr is exactly `text`.
    #[track_caller]
    pub fn errs(&self, text: &str) -> &Output {
        assert!(
            self.stderr == text,
            "expected {text:?} on stderr: {self:#?}"
        );
        self
    }

    /// Checks that stdout holds `text`.
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Output {
        assert!(
            self.stdout.contains(text),
            "expected {text:?} on stdout: {self:#?}"
        );
        self
    }

    /// Checks that stdout is exactly `text`.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Output {
        assert!(
            self.stdout == text,
            "expected {text:?} on stdout: {self:#?}"
        );
        self
    }
}

/// A running program whose output is collected.
#[derive(Debug)]
pub struct Program {
    line: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    reaped: bool,
}

impl Program {
    /// Starts `command` with pipes on its three standard streams.
    pub fn start(command: &mut Command) -> Program {
        let mut line = command.get_program().to_string_lossy().into_owned();
        for word in command.get_args().map(OsStr::to_string_lossy) {
            line = format!("{line} {word}");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {line}: {error}"));
        let mut readers = Vec::new();
        let stdout = collect(child.stdout.take(), &mut readers);
        let stderr = collect(child.stderr.take(), &mut readers);
        let stdin = child.stdin.take();
        Program {
            line,
            child,
            stdin,
            stdout,
            stderr,
            readers,
            reaped: false,
        }
    }

    /// Writes to its stdin.
    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin
            .write_all(text.as_bytes())
            .unwrap_or_else(|e| panic!("write to {}: {e}", self.line));
        stdin
            .flush()
            .unwrap_or_else(|error| panic!("write to {}: {error}", self.line));
    }

    /// Closes its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Returns what it has written on stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Returns what it has written on stderr so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by number.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.expect("a process id is positive"), signal)
            .unwrap_or_else(|error| panic!("signal {}: {error}", self.line));
    }

    /// Returns whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Closes its stdin and waits for its end; one that does not end is killed and fails the case.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        self.stdin = None;
        let deadline = Instant::now() + crate::patience(LIMIT);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => panic!("did not end in {LIMIT:?}: {}\n{}", self.line, self.stderr()),
            }
        };
        self.reaped = true;
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader does not panic");
        }
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        Output {
            line: std::mem::take(&mut self.line),
            code: code.unwrap_or(-1),
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.reaped {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().expect("no reader panics")).into_owned()
}

fn collect<R: Read + Send + 'static>(
    from: Option<R>,
    readers: &mut Vec<JoinHandle<()>>,
) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&all);
    if let Some(mut from) = from {
        readers.push(std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                into.lock()
                    .expect("no reader panics")
                    .extend_from_slice(&buffer[..count]);
            }
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Program;

    #[test]
    fn output_and_status() {
        let mut program =
            Program::start(Command::new("sh").args(["-c", "cat; echo e >&2; exit 3"]));
        program.write("hello\n");
        let output = program.finish();
        output.exits(3).says("hello\n").complains("e");
    }

    #[test]
    fn a_signal_is_128_and_its_number() {
        Program::start(Command::new("sh").args(["-c", "kill -9 $$"]))
            .finish()
            .exits(137);
    }
}
