//! Passwords and tokens: what is checked, and what is signed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::blocking;
use super::rights::{Identity, Scope};
use super::store::Error;

/// How long a token is good for.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_mins(5);
/// How long a password that was right is not checked again.
const REMEMBERED: Duration = Duration::from_mins(5);
/// Passwords that are remembered; more than that are checked each time.
const REMEMBERED_MAX: usize = 1024;
/// Checked where there is no such account, so that time does not tell.
const NOBODY: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

/// Accounts and the key that signs tokens. A password is never kept: only its keyed hash.
pub(crate) struct Secrets {
    key: hmac::Key,
    file: Option<PathBuf>,
    own: HashMap<String, String>,
    read: Mutex<FromFile>,
    right: Mutex<HashMap<[u8; 32], Instant>>,
}

/// What was read of the password file, and when that was written.
#[derive(Default)]
struct FromFile {
    written: Option<SystemTime>,
    accounts: HashMap<String, String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(***)")
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    /// Seconds since the epoch.
    exp: u64,
    access: Vec<Scope>,
}

impl Secrets {
    /// Reads or makes the key below `root`, and reads the password file for the first time.
    pub(crate) fn open(
        root: &Path,
        file: Option<PathBuf>,
        own: HashMap<String, String>,
    ) -> Result<Self, Error> {
        let path = root.join("token.key");
        let key = match sys::dir::read_host_file(&path, 64) {
            Ok(key) if key.len() == 32 => key,
            _ => {
                let mut key = vec![0; 32];
                sys::random::fill(&mut key).map_err(|e| Error::sys(&path, e))?;
                sys::durable::replace(&path, &key, 0o600).map_err(|e| Error::sys(&path, e))?;
                key
            }
        };
        let secrets = Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            file,
            own,
            read: Mutex::default(),
            right: Mutex::default(),
        };
        secrets.refresh()?;
        Ok(secrets)
    }

    /// Tells whether there is anybody to be known.
    pub(crate) fn has_accounts(&self) -> bool {
        self.file.is_some() || !self.own.is_empty()
    }

    /// Tells whether this is the account's password.
    pub(crate) async fn check(
        self: &std::sync::Arc<Self>,
        name: &str,
        password: &str,
    ) -> Result<bool, Error> {
        self.refresh()?;
        let hash = self.hash_of(name);
        let seen = format!(
            "{name}\0{password}\0{}",
            hash.as_deref().unwrap_or_default()
        );
        let seen = hmac::sign(&self.key, seen.as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(seen.as_ref());
        let now = Instant::now();
        let remembered = lock(&self.right).get(&tag).copied();
        if hash.is_some() && remembered.is_some_and(|then| now - then < REMEMBERED) {
            return Ok(true);
        }
        let known = hash.is_some();
        let (hash, password) = (
            hash.unwrap_or_else(|| NOBODY.to_owned()),
            password.to_owned(),
        );
        let same = blocking::run(move || bcrypt::verify(password, &hash).unwrap_or(false)).await;
        if same && known {
            let mut right = lock(&self.right);
            if right.len() >= REMEMBERED_MAX {
                right.clear();
            }
            right.insert(tag, now);
        }
        Ok(same && known)
    }

    /// Signs a token.
    pub(crate) fn sign(&self, name: &str, access: Vec<Scope>) -> String {
        let claims = Claims {
            sub: name.to_owned(),
            exp: now() + TOKEN_LIFE.as_secs(),
            access,
        };
        let claims = serde_json::to_vec(&claims).expect("invariant: its keys are texts");
        let claims = BASE64.encode(claims);
        // A word of its own before it: what is signed here is no other signature of this key.
        let tag = hmac::sign(&self.key, format!("token.{claims}").as_bytes());
        format!("{claims}.{}", BASE64.encode(tag))
    }

    /// Reads a token of ours that is still good.
    pub(crate) fn read_token(&self, token: &str) -> Option<Identity> {
        let (claims, tag) = token.split_once('.')?;
        let tag = BASE64.decode(tag).ok()?;
        hmac::verify(&self.key, format!("token.{claims}").as_bytes(), &tag).ok()?;
        let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
        (claims.exp > now()).then_some(Identity::Bearer {
            name: claims.sub,
            access: claims.access,
        })
    }

    fn hash_of(&self, name: &str) -> Option<String> {
        let own = self.own.get(name).cloned();
        own.or_else(|| lock(&self.read).accounts.get(name).cloned())
    }

    /// Reads the password file again when it was written since.
    fn refresh(&self) -> Result<(), Error> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let written = std::fs::metadata(path).and_then(|stat| stat.modified());
        let written = written.map_err(|e| Error::io("stat", path, e))?;
        if lock(&self.read).written == Some(written) {
            return Ok(());
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        let accounts =
            read_accounts(&text).map_err(|why| Error::io("read", path, io::Error::other(why)))?;
        *lock(&self.read) = FromFile {
            written: Some(written),
            accounts,
        };
        Ok(())
    }
}

/// Reads `name:hash` lines; only bcrypt, as Docker's registry.
fn read_accounts(text: &str) -> Result<HashMap<String, String>, String> {
    let mut accounts = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, hash) = line
            .split_once(':')
            .ok_or_else(|| format!("line {number} is no `name:hash`"))?;
        if !is_bcrypt(hash) {
            return Err(format!("line {number}: only bcrypt is taken (htpasswd -B)"));
        }
        accounts.insert(name.to_owned(), hash.to_owned());
    }
    Ok(accounts)
}

/// Tells whether a text is a password's bcrypt hash.
pub(crate) fn is_bcrypt(hash: &str) -> bool {
    let known = ["$2y$", "$2b$", "$2a$"];
    hash.len() == 60 && known.iter().any(|prefix| hash.starts_with(prefix))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (Secrets, testkit::TempDir) {
        let dir = testkit::TempDir::new("wharf-secrets");
        let secrets = Secrets::open(dir.path(), None, HashMap::new()).unwrap();
        (secrets, dir)
    }

    #[test]
    fn a_token_is_believed_only_as_it_was_signed() {
        let (secrets, dir) = secrets();
        let token = secrets.sign("alice", Vec::new());
        assert!(secrets.read_token(&token).is_some());
        let (claims, tag) = token.split_once('.').unwrap();
        let other = BASE64.encode(br#"{"sub":"root","exp":99999999999,"access":[]}"#);
        let none = BASE64.encode(br#"{"alg":"none"}"#);
        for forged in [
            format!("{other}.{tag}"),
            format!("{claims}."),
            format!("{claims}.{}", BASE64.encode([0; 32])),
            format!("{none}.{other}."),
            claims.to_owned(),
            String::new(),
        ] {
            assert_eq!(secrets.read_token(&forged), None, "{forged}");
        }
        // The key is kept: a token outlives the server that signed it.
        let again = Secrets::open(dir.path(), None, HashMap::new()).unwrap();
        assert!(again.read_token(&token).is_some());
        std::fs::remove_file(dir.path().join("token.key")).unwrap();
        let fresh = Secrets::open(dir.path(), None, HashMap::new()).unwrap();
        assert_eq!(fresh.read_token(&token), None);
    }

    #[test]
    fn only_bcrypt_is_read() {
        let hash = NOBODY;
        let accounts = read_accounts(&format!("# people\n\nalice:{hash}\n")).unwrap();
        assert_eq!(accounts["alice"], hash);
        for bad in ["alice", "alice:plain", "alice:$apr1$x$y", "alice:{SHA}x"] {
            assert!(read_accounts(bad).is_err(), "{bad}");
        }
    }
}
