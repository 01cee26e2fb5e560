//! The door: who asks, and whether they may; and the tokens that say so the next time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use http_body_util::{BodyExt as _, Limited};
use hyper::Method;
use hyper::header;
use serde_json::json;

use super::answer::{self, Answer, Ask, Caller};
use super::fault::{Code, Fault};
use super::names::Repository;
use super::query::Query;
use super::rights::{self, Identity, Right, Rule, Scope};
use super::secret::{Secrets, TOKEN_LIFE};

/// Wrong passwords that one address may try in a second.
const TRIES: u32 = 5;
/// Addresses whose tries are counted.
const ADDRESSES: usize = 4096;
/// Longest form of a token request.
const FORM_MAX: usize = 64 << 10;
const FORM_TIME: Duration = Duration::from_secs(10);

/// How clients are asked to sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Challenge {
    /// With each request.
    #[default]
    Basic,
    /// With a token that `/token` gives for name and password.
    Token,
}

/// Rights that were missing.
type Wanted<'a> = &'a [(&'a Repository, &'a [Right])];

/// Why somebody is asked to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// No name, or a wrong one.
    NoName,
    /// A token that is not ours, or is old.
    BadToken,
    /// A token that was given for less.
    SmallToken,
}

/// Everything that decides who may do what.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) challenge: Challenge,
    /// How clients reach us, if not as they say: `https://registry.example.org`.
    pub(crate) url: Option<String>,
    /// Whether TLS ends here.
    pub(crate) tls: bool,
    failures: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Door {
    pub(crate) fn new(
        secrets: Secrets,
        (rules, challenge): (Vec<Rule>, Challenge),
        (url, tls): (Option<String>, bool),
    ) -> Self {
        Self {
            secrets: Arc::new(secrets),
            rules,
            challenge,
            url,
            tls,
            failures: Mutex::default(),
        }
    }

    /// Finds out who asks. Somebody who gives a wrong name is not taken for nobody.
    pub(crate) async fn identify(
        &self,
        caller: &Caller,
        authorization: Option<&str>,
    ) -> Result<Identity, Fault> {
        if !self.secrets.has_accounts() {
            return Ok(Identity::Unasked);
        }
        let Some(said) = authorization else {
            return Ok(Identity::Anonymous);
        };
        let (kind, value) = said.trim().split_once(' ').unwrap_or((said, ""));
        if kind.eq_ignore_ascii_case("bearer") {
            let known = self.secrets.read_token(value.trim());
            return known.ok_or_else(|| {
                let how = Why::BadToken;
                self.ask_name(caller, (&[], how), "the token is not valid")
            });
        }
        let decoded = BASE64_STANDARD
            .decode(value.trim())
            .or_else(|_| BASE64_STANDARD_NO_PAD.decode(value.trim()));
        let pair = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = pair.filter(|_| kind.eq_ignore_ascii_case("basic"));
        let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
        let (name, password) = pair.ok_or_else(|| {
            self.ask_name(
                caller,
                (&[], Why::NoName),
                "the Authorization header is none",
            )
        })?;
        self.check(caller, name, password).await?;
        Ok(Identity::Account(name.to_owned()))
    }

    async fn check(&self, caller: &Caller, name: &str, password: &str) -> Result<(), Fault> {
        if self.tried(caller.peer) >= TRIES {
            return Err(
                Fault::new(Code::TooManyRequests, "too many wrong passwords")
                    .with_header(header::RETRY_AFTER, "1"),
            );
        }
        if self.secrets.check(name, password).await? {
            return Ok(());
        }
        self.failed(caller.peer);
        Err(self.ask_name(caller, (&[], Why::NoName), "incorrect username or password"))
    }

    /// Returns how often an address was wrong in this second.
    fn tried(&self, peer: IpAddr) -> u32 {
        let failures = self.failures.lock();
        let failures = failures.unwrap_or_else(PoisonError::into_inner);
        let lately = failures.get(&peer);
        let lately = lately.filter(|(since, _)| since.elapsed() < Duration::from_secs(1));
        lately.map_or(0, |(_, count)| *count)
    }

    fn failed(&self, peer: IpAddr) {
        let failures = self.failures.lock();
        let mut failures = failures.unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, (since, _)| now - *since < second);
        }
        let (since, count) = failures.entry(peer).or_insert((now, 0));
        if now - *since >= second {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }

    /// Refuses what the asker may not do: who gave no name is asked for it.
    pub(crate) fn require(
        &self,
        ask: &Ask,
        repository: &Repository,
        right: Right,
    ) -> Result<(), Fault> {
        if self.may(&ask.who, repository, right) {
            return Ok(());
        }
        if let Identity::Account(_) = ask.who {
            let words = "requested access to the resource is denied";
            return Err(Fault::new(Code::Denied, words));
        }
        // Whoever pushes looks first.
        let mut rights = vec![Right::Pull, right];
        rights.dedup();
        let wanted = [(repository, rights.as_slice())];
        let why = match ask.who {
            Identity::Bearer { .. } => Why::SmallToken,
            _ => Why::NoName,
        };
        Err(self.ask_name(&ask.caller, (&wanted, why), "authentication required"))
    }

    /// Refuses who gave no name.
    pub(crate) fn require_name(&self, ask: &Ask) -> Result<(), Fault> {
        // A token without a name was given to whoever asked, so that the public can be read.
        if !matches!(ask.who, Identity::Anonymous) {
            return Ok(());
        }
        Err(self.ask_name(&ask.caller, (&[], Why::NoName), "authentication required"))
    }

    pub(crate) fn may(&self, who: &Identity, repository: &Repository, right: Right) -> bool {
        rights::may(&self.rules, who, repository, right)
    }

    /// Tells whether `who` may see that there is such a repository.
    pub(crate) fn may_see(&self, who: &Identity, repository: &Repository) -> bool {
        match who {
            // A token carries the rights of one errand; a list is nobody's errand.
            Identity::Bearer { name, .. } if !name.is_empty() => {
                let account = Identity::Account(name.clone());
                self.may(&account, repository, Right::Pull)
            }
            Identity::Bearer { .. } => self.may(&Identity::Anonymous, repository, Right::Pull),
            _ => self.may(who, repository, Right::Pull),
        }
    }

    /// `/token`: gives a token for name and password, by `GET` or as OAuth's form.
    pub(crate) async fn token(&self, ask: Ask) -> Answer {
        let (query, who) = match ask.method {
            Method::GET => (ask.query, ask.who),
            Method::POST => {
                let form = form(ask.body).await?;
                let name = form.find("username").unwrap_or_default().to_owned();
                let password = form.find("password").unwrap_or_default();
                self.check(&ask.caller, &name, password).await?;
                (form, Identity::Account(name))
            }
            _ => return Err(super::blobs::not_allowed("GET, POST")),
        };
        let asked = query.all("scope").flat_map(|scopes| scopes.split(' '));
        let asked = asked.filter_map(Scope::parse).collect();
        let access = match &who {
            // A token does not beget another.
            Identity::Bearer { .. } | Identity::Unasked => Vec::new(),
            who => rights::granted(&self.rules, who, asked),
        };
        let name = match &who {
            Identity::Account(name) => name.as_str(),
            _ => "",
        };
        let token = self.secrets.sign(name, access);
        Ok(answer::json(&json!({
            "token": token,
            "access_token": token,
            "expires_in": TOKEN_LIFE.as_secs(),
            "token_type": "Bearer",
        })))
    }

    /// Makes the refusal that says how to sign in.
    fn ask_name(&self, caller: &Caller, (wanted, why): (Wanted<'_>, Why), words: &str) -> Fault {
        let how = match self.challenge {
            Challenge::Basic => "Basic realm=\"wharf registry\"".to_owned(),
            Challenge::Token => {
                let scheme = if self.tls { "https" } else { "http" };
                let host = caller.host.as_deref().unwrap_or("localhost");
                let said = self.url.clone();
                let url = said.unwrap_or_else(|| format!("{scheme}://{host}"));
                let mut how = format!("Bearer realm=\"{url}/token\",service=\"wharf\"");
                for (repository, rights) in wanted {
                    let words: Vec<&str> = rights.iter().map(|right| right.word()).collect();
                    let scope = format!("repository:{repository}:{}", words.join(","));
                    how = format!("{how},scope=\"{scope}\"");
                }
                // RFC 6750: without it Docker's client tries again and again.
                match why {
                    Why::NoName => how,
                    Why::BadToken => format!("{how},error=\"invalid_token\""),
                    Why::SmallToken => format!("{how},error=\"insufficient_scope\""),
                }
            }
        };
        Fault::new(Code::Unauthorized, words).with_header(header::WWW_AUTHENTICATE, &how)
    }
}

/// Reads OAuth's form; only a password is exchanged for a token here.
async fn form(body: hyper::body::Incoming) -> Result<Query, Fault> {
    let bad = |words: &str| {
        Fault::new(Code::Unsupported, words).with_status(hyper::StatusCode::BAD_REQUEST)
    };
    let bytes = Limited::new(body, FORM_MAX).collect();
    let bytes = tokio::time::timeout(FORM_TIME, bytes).await;
    let bytes = bytes.map_err(|_| bad("the form took too long"))?;
    let bytes = bytes.map_err(|_| bad("the form is too long, or broke off"))?;
    let form = Query::parse(&String::from_utf8_lossy(&bytes.to_bytes()));
    if form.find("grant_type") != Some("password") {
        return Err(bad("only grant_type=password is known"));
    }
    Ok(form)
}
