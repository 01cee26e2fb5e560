//! A registry that says what a case wants it to say, however wrong, in the engine's network.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::engine::Engine;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /v2/…`
    pub line: String,
    /// All headers as they came.
    pub head: String,
}

impl Asked {
    /// Returns a header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Writes an answer to what was asked; the connection ends with it.
pub type Answerer = dyn Fn(&Asked, &mut TcpStream) + Send + Sync;

/// A registry at the end of its wits.
#[derive(Debug)]
pub struct Fake {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Engine {
    /// Listens in the engine's network; every request is answered by `answer`.
    pub fn fake_registry(&self, answer: Box<Answerer>) -> Fake {
        let network = std::fs::File::open(self.network()).expect("the daemon has a network");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let known = Arc::clone(&asked);
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Only this thread moves; a thread that it starts is where it is.
            let kind = LinkNameSpaceType::Network;
            move_into_link_name_space(network.as_fd(), Some(kind)).expect("cases run as root");
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("it is bound");
            sender.send(address.to_string()).expect("the case waits");
            let answer = Arc::new(answer);
            for stream in listener.incoming().flatten() {
                let (answer, known) = (Arc::clone(&answer), Arc::clone(&known));
                std::thread::spawn(move || serve(stream, &**answer, &known));
            }
        });
        Fake {
            address: receiver.recv().expect("it listens"),
            asked,
        }
    }
}

impl Fake {
    /// Returns `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns what was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic holds the lock").clone()
    }
}

fn serve(mut stream: TcpStream, answer: &Answerer, known: &Mutex<Vec<Asked>>) {
    drop(stream.set_read_timeout(Some(Duration::from_secs(20))));
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return,
        }
        // The first byte of a TLS greeting: this is none of that.
        if bytes.first() == Some(&22) {
            drop(stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n"));
            return;
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (line, head) = text.split_once("\r\n").unwrap_or((&text, ""));
    let asked = Asked {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        head: head.to_owned(),
    };
    known
        .lock()
        .expect("no panic holds the lock")
        .push(asked.clone());
    answer(&asked, &mut stream);
}

/// Writes a whole answer.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &[String], body: &[u8]) {
    let length = format!("Content-Length: {}", body.len());
    let first = [
        format!("HTTP/1.1 {status}"),
        "Connection: close".to_owned(),
        length,
    ];
    let lines: Vec<&str> = first.iter().chain(headers).map(String::as_str).collect();
    let head = lines.join("\r\n") + "\r\n\r\n";
    // Whoever asked may have gone: that is its business.
    drop(
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body)),
    );
}
