//! The test's end of the page that a failpoint build shares with us: count the calls that a verb
//! passes, let its n-th one kill its process, or fail. `crates/sys/src/failpoint/board.rs` draws it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::temp::TempDir;

const SLOT_BYTES: u64 = 64 << 10;
const NAMES_AT: u64 = 64;
const NAME_BYTES: u64 = 32;
const NAMES: u64 = (SLOT_BYTES - NAMES_AT) / NAME_BYTES;

/// Whose calls are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The daemon.
    Daemon,
    /// All shims of the engine, with the runtime in them and its children before execve.
    Shim,
}

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: calls are only counted.
    Count,
    /// SIGKILL to the process that makes it.
    Kill,
    /// It fails with this number.
    Errno(i32),
}

/// A page that several processes share with this one.
#[derive(Debug)]
pub struct Board {
    temp: TempDir,
    file: File,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// Makes a board on which nothing is ordered.
    pub fn new() -> Board {
        let temp = TempDir::new("wharf-board");
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(temp.path().join("board"))
            .expect("a new file");
        file.set_len(2 * SLOT_BYTES).expect("room for a board");
        Board { temp, file }
    }

    /// Returns the order for `WHARF_FAILPOINTS`.
    pub fn order(&self) -> String {
        format!("board={}", self.temp.at("board"))
    }

    /// Orders `fault` for the `nth` call (from 1) that `side` passes from now on.
    pub fn arm(&self, side: Side, nth: u64, fault: Fault) {
        self.disarm(side);
        let zeros = vec![0; usize::try_from(SLOT_BYTES).expect("small")];
        self.file
            .write_all_at(&zeros, slot(side))
            .expect("the board is written");
        let (mode, errno) = match fault {
            Fault::Count => (1, 0),
            Fault::Kill => (2, 0),
            Fault::Errno(number) => (3, u64::try_from(number).expect("positive")),
        };
        self.set(side, 8, nth);
        self.set(side, 16, errno);
        // Last: from here on it counts.
        self.set(side, 0, mode);
    }

    /// Takes the order back; what was counted stays to be read.
    pub fn disarm(&self, side: Side) {
        self.set(side, 0, 0);
    }

    /// Returns how many calls were passed since it was armed.
    pub fn seen(&self, side: Side) -> u64 {
        self.get(side, 24)
    }

    /// Tells whether the fault has happened.
    pub fn fired(&self, side: Side) -> bool {
        self.get(side, 32) != 0
    }

    /// Returns the name of the `nth` call since it was armed.
    pub fn name(&self, side: Side, nth: u64) -> String {
        let number = nth.saturating_sub(1).min(NAMES - 1);
        let mut name = [0; 32];
        let at = slot(side) + NAMES_AT + NAME_BYTES * number;
        self.file.read_exact_at(&mut name, at).expect("the board");
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(32);
        String::from_utf8_lossy(&name[..end]).into_owned()
    }

    fn set(&self, side: Side, at: u64, value: u64) {
        self.file
            .write_all_at(&value.to_ne_bytes(), slot(side) + at)
            .expect("the board is written");
    }

    fn get(&self, side: Side, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file
            .read_exact_at(&mut bytes, slot(side) + at)
            .expect("the board is read");
        u64::from_ne_bytes(bytes)
    }
}

const fn slot(side: Side) -> u64 {
    match side {
        Side::Daemon => 0,
        Side::Shim => SLOT_BYTES,
    }
}
