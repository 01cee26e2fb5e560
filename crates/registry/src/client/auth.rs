//! What a registry is shown: credentials or a token for them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request};
use serde::Deserialize;

use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::repository::{Answer, refused};
use super::transport::{nothing, whole};
use super::{Access, Client, lock};
use crate::protocol::challenge::Challenge;
use crate::protocol::path::escape;

/// Longest answer of a server of tokens.
const TOKEN_MAX: usize = 1 << 20;
/// Tokens that are kept.
const TOKENS_MAX: usize = 256;
/// How long a token holds when nobody says it, and at least (the distribution project's rules).
const TOKEN_TIME: u64 = 60;
/// A token that ends this soon is not used any more.
const MARGIN: Duration = Duration::from_secs(5);
/// What we call ourselves in OAuth2.
const CLIENT_ID: &str = "docker";

/// Tokens that still hold.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<TokenKey, Token>>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    realm: String,
    service: String,
    scope: String,
    credentials: Option<Credentials>,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.service, self.scope)
    }
}

struct Token {
    text: String,
    until: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// For what a header is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) credentials: Option<&'a Credentials>,
    /// Empty: only to log in.
    pub(super) repository: &'a str,
    pub(super) access: Access,
    /// The request that is answered, for errors.
    pub(super) method: &'a str,
    pub(super) url: &'a str,
}

impl Client {
    /// Returns the `Authorization` header that answers the challenges; none if nothing is asked for.
    pub(super) async fn authorization(
        &self,
        challenges: &[Challenge],
        wanted: Wanted<'_>,
    ) -> Result<Option<HeaderValue>> {
        let by = |scheme| challenges.iter().find(|known| known.scheme == scheme);
        let text = if let Some(challenge) = by("bearer") {
            let ready = wanted
                .credentials
                .map(|known| known.registry_token.as_str())
                .filter(|token| !token.is_empty());
            match ready {
                Some(token) => format!("Bearer {token}"),
                None => format!("Bearer {}", self.token(challenge, wanted).await?),
            }
        } else if by("basic").is_some() {
            let header = wanted.credentials.and_then(Credentials::basic_header);
            header.ok_or_else(|| Error::NoCredentials {
                method: super::transport::go_method(wanted.method),
                url: wanted.url.to_owned(),
            })?
        } else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| Error::Token("credentials that no header can hold".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Forgets the tokens for a repository: one was not accepted.
    pub(super) fn forget_tokens(&self, repository: &str) {
        let of = format!("repository:{repository}:");
        lock(&self.0.tokens.0).retain(|key, _| !key.scope.starts_with(&of));
    }

    async fn token(&self, challenge: &Challenge, wanted: Wanted<'_>) -> Result<String> {
        let realm = challenge.get("realm").unwrap_or_default();
        let secret = wanted.endpoint.base.starts_with("https://");
        if !realm.starts_with("https://") && (secret || !realm.starts_with("http://")) {
            return Err(Error::Token(format!(
                "the registry {} names {realm:?} as its server of tokens, which is no secure address",
                wanted.endpoint.host
            )));
        }
        let actions = match wanted.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = if wanted.repository.is_empty() {
            String::new()
        } else {
            format!("repository:{}:{actions}", wanted.repository)
        };
        let key = TokenKey {
            realm: realm.to_owned(),
            service: challenge.get("service").unwrap_or_default().to_owned(),
            scope,
            credentials: wanted.credentials.cloned(),
        };
        if let Some(token) = lock(&self.0.tokens.0).get(&key)
            && token.until > Instant::now() + MARGIN
        {
            return Ok(token.text.clone());
        }
        let answer = self.ask_for_token(&key).await?;
        let text = if answer.token.is_empty() {
            answer.access_token
        } else {
            answer.token
        };
        if text.is_empty() {
            return Err(Error::Token(
                "authorization server did not include a token in the response".to_owned(),
            ));
        }
        let holds = Duration::from_secs(answer.expires_in.clamp(TOKEN_TIME, 24 * 3600));
        let mut tokens = lock(&self.0.tokens.0);
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        let token = Token {
            text: text.clone(),
            until: Instant::now() + holds,
        };
        tokens.insert(key, token);
        Ok(text)
    }

    async fn ask_for_token(&self, key: &TokenKey) -> Result<TokenAnswer> {
        let bad = |_| Error::Token(format!("{:?} is no address of a token server", key.realm));
        let refresh = key
            .credentials
            .as_ref()
            .map(|known| known.identity_token.as_str())
            .filter(|token| !token.is_empty());
        let request = if let Some(refresh) = refresh {
            let form = format!(
                "grant_type=refresh_token&service={}&client_id={CLIENT_ID}&scope={}&refresh_token={}",
                escape(&key.service),
                escape(&key.scope),
                escape(refresh)
            );
            Request::builder()
                .method(Method::POST)
                .uri(key.realm.as_str())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(whole(Bytes::from(form)))
        } else {
            let mut query = format!("service={}", escape(&key.service));
            if !key.scope.is_empty() {
                query.push_str("&scope=");
                query.push_str(&escape(&key.scope));
            }
            let named = key
                .credentials
                .as_ref()
                .filter(|known| !known.username.is_empty());
            if let Some(named) = named {
                query.push_str("&account=");
                query.push_str(&escape(&named.username));
            }
            let join = if key.realm.contains('?') { '&' } else { '?' };
            let mut request = Request::builder().uri(format!("{}{join}{query}", key.realm));
            if let Some(named) = named {
                let pair = format!("{}:{}", named.username, named.password);
                let code = base64::engine::general_purpose::STANDARD.encode(pair);
                request = request.header(AUTHORIZATION, format!("Basic {code}"));
            }
            request.body(nothing())
        };
        let request = request.map_err(bad)?;
        let url = request.uri().to_string();
        let endpoint = self.place_of(request.uri());
        let response = self.transport(&endpoint)?.send(request, false).await?;
        let answer = Answer {
            response,
            url: key.realm.clone(),
            patience: self.0.settings.patience,
        };
        if answer.response.status().as_u16() >= 400 {
            let error = refused(answer).await;
            return Err(Error::NoAnswer {
                method: "Get".to_owned(),
                url,
                reason: error.to_string(),
                refused: true,
            });
        }
        let bytes = answer.bytes(TOKEN_MAX).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Token(format!("unable to decode token response: {error}")))
    }
}
