//! A program on a terminal of its own: what a person types, and what a person sees.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::{SOON, eventually};

/// A program that runs on a terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reaped: bool,
}

impl Terminal {
    /// Starts `command` with a new terminal of `rows` and `columns` as its controlling one.
    pub fn start(command: &Command, rows: u16, columns: u16) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .and_then(|fd| grantpt(&fd).and_then(|()| unlockpt(&fd)).map(|()| fd))
            .expect("a terminal");
        let name = ptsname(&ours, Vec::new()).expect("its name");
        let name = name.to_str().expect("a path").to_owned();
        let theirs = || {
            let mut options = File::options();
            options
                .read(true)
                .write(true)
                .open(&name)
                .expect("the other end")
        };
        let kept = theirs();
        // The program itself makes the terminal its own: nothing of ours runs between fork and exec.
        let mut setsid = Command::new("setsid");
        setsid
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm")
            .stdin(Stdio::from(theirs()))
            .stdout(Stdio::from(theirs()))
            .stderr(Stdio::from(theirs()));
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => setsid.env(key, value),
                None => setsid.env_remove(key),
            };
        }
        let keyboard = File::from(ours);
        resize(&keyboard, rows, columns);
        let child = setsid.spawn().expect("setsid runs");
        drop(kept);
        let screen = Arc::<Mutex<Vec<u8>>>::default();
        let into = Arc::clone(&screen);
        let mut from = keyboard.try_clone().expect("a second descriptor");
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a terminal is an error: nobody has the other end open.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut screen = into.lock().expect("no reader panics");
                screen.extend_from_slice(&buffer[..count]);
            }
        });
        Terminal {
            child,
            keyboard,
            screen,
            reaped: false,
        }
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("the terminal is there");
    }

    /// Changes the size of the window.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.keyboard, rows, columns);
    }

    /// Returns all that was shown so far.
    pub fn screen(&self) -> String {
        let bytes = self.screen.lock().expect("no reader panics");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `text` was shown.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        let begun = Instant::now();
        while !self.screen().contains(text) {
            assert!(
                begun.elapsed() < SOON,
                "{text:?} is not shown, but {:?}",
                self.screen()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Waits for the end and returns the exit status.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        let status = eventually("the program on the terminal ends", || {
            self.child.try_wait().expect("it is our child")
        });
        self.reaped = true;
        // What it said last may still be on its way from the terminal.
        std::thread::sleep(std::time::Duration::from_millis(50));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.reaped {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn resize(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("it is a terminal");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Terminal;

    #[test]
    fn a_conversation() {
        let mut command = Command::new("sh");
        command.args(["-c", "stty size; read line; echo got $line; exit 5"]);
        let mut terminal = Terminal::start(&command, 31, 71);
        terminal.shows("31 71\r\n");
        terminal.types("hello\r");
        terminal.shows("got hello\r\n");
        assert_eq!(terminal.ends(), 5);
    }
}
