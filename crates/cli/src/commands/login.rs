//! `login` and `logout`: credentials are shown to the registry once, by the daemon, and kept here.

use std::io::{BufRead, Read, Write};
use std::os::fd::AsFd;

use crate::client::parse;
use crate::credentials::{Credentials, File, INDEX, key_of};
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::session::Session;
use crate::stream::is_terminal;

/// Longest password that is read from stdin.
const SECRET_MAX: u64 = 1 << 16;

/// `login`
pub(crate) fn login(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let from_stdin = parsed.is_set("password-stdin");
    let mut known = Credentials {
        username: parsed.text("username").to_owned(),
        password: parsed.text("password").to_owned(),
        identity_token: String::new(),
    };
    if parsed.given("password") {
        session.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        if from_stdin {
            return Err(Error::text(
                "conflicting options: cannot specify both --password and --password-stdin",
            ));
        }
    }
    if from_stdin {
        if known.username.is_empty() {
            return Err(Error::text(
                "the --password-stdin option requires --username to be set",
            ));
        }
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(SECRET_MAX)
            .read_to_string(&mut text)?;
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        secret.clone_into(&mut known.password);
    }
    let server = key_of(parsed.args.first().map_or("", String::as_str));
    ask(session, &server, &mut known)?;
    let document = api::auth::AuthRequest {
        username: known.username.clone(),
        password: known.password.clone(),
        server_address: server.clone(),
        ..api::auth::AuthRequest::default()
    };
    let answer: api::auth::AuthAnswer = parse(&session.client.post_json("/auth", &document)?)?;
    if !answer.identity_token.is_empty() {
        known.identity_token = answer.identity_token;
        known.password.clear();
    }
    let mut file = File::load(&session.config)?;
    file.store(&session.config, &server, &known)?;
    if file.helper(&server).is_none() {
        session.warn(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential \
             helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            file.path().display()
        ));
    }
    session.line(&answer.status)?;
    Ok(0)
}

/// Asks on the terminal for what is missing.
fn ask(session: &mut Session, server: &str, known: &mut Credentials) -> Result<()> {
    if !known.username.is_empty() && !known.password.is_empty() {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !is_terminal(stdin.as_fd()) {
        return Err(Error::text(
            "Error: Cannot perform an interactive login from a non TTY device",
        ));
    }
    if known.username.is_empty() {
        if server == INDEX {
            session.line("Log in with your Docker ID to push and pull images from Docker Hub.")?;
        }
        session.print("Username: ")?;
        let mut name = String::new();
        stdin.lock().read_line(&mut name)?;
        name.trim().clone_into(&mut known.username);
        if known.username.is_empty() {
            return Err(Error::text("Error: Non-null Username Required"));
        }
    }
    if known.password.is_empty() {
        session.print("Password: ")?;
        known.password = hidden_line()?;
        session.print("\n")?;
        if known.password.is_empty() {
            return Err(Error::text("Error: Password Required"));
        }
    }
    Ok(())
}

/// Reads a line without showing it.
fn hidden_line() -> Result<String> {
    let stdin = std::io::stdin();
    let raw = sys::tty::Raw::enter(stdin.as_fd())?;
    let mut line = Vec::new();
    let mut byte = [0];
    while stdin.lock().read(&mut byte)? > 0 {
        match byte[0] {
            b'\r' | b'\n' => break,
            // Ctrl-C and Ctrl-D, which the terminal does not turn into anything now.
            3 | 4 => {
                drop(raw);
                std::io::stdout().lock().write_all(b"\n")?;
                return Err(Error::code(1));
            }
            8 | 127 => drop(line.pop()),
            other => line.push(other),
        }
    }
    drop(raw);
    String::from_utf8(line).map_err(|_| Error::text("Error: the password is no text"))
}

/// `logout`
pub(crate) fn logout(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let server = key_of(parsed.args.first().map_or("", String::as_str));
    session.line(&format!("Removing login credentials for {server}"))?;
    let mut file = File::load(&session.config)?;
    if let Err(error) = file.erase(&session.config, &server) {
        session.warn("WARNING: could not erase credentials:");
        session.warn(&error.to_string());
    }
    Ok(0)
}
