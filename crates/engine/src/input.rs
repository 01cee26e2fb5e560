//! A client's upload, from the async side that receives it to the sync side that unpacks it.

use std::io::{self, Read};

use tokio::sync::mpsc;

/// Pieces that wait for a slow disk before the client waits too.
const PIECES: usize = 32;

/// The sync side: reads what the client sends; an upload that breaks off is an error, not an end.
#[derive(Debug)]
pub struct Input {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    taken: usize,
}

impl Input {
    /// Makes both sides. Dropping the sender is the end of the upload.
    pub fn channel() -> (mpsc::Sender<io::Result<Vec<u8>>>, Self) {
        let (sender, pieces) = mpsc::channel(PIECES);
        (
            sender,
            Self {
                pieces,
                current: Vec::new(),
                taken: 0,
            },
        )
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.current.len() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.current = piece?,
            }
            self.taken = 0;
        }
        let count = buffer.len().min(self.current.len() - self.taken);
        buffer[..count].copy_from_slice(&self.current[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
