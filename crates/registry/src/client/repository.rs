//! One repository: a request finds its endpoint, its credentials and, at the end, its answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderName, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use serde::Deserialize;

use super::auth::Wanted;
use super::credentials::Credentials;
use super::endpoint::{Endpoint, endpoints};
use super::error::{Error, Result};
use super::transport::{Body, nothing, whole};
use super::{Access, Client, lock};
use crate::protocol::challenge::{self, Challenge};
use crate::protocol::errors::{self, Item};
use crate::protocol::{link, path};

/// Redirects that are followed (security reference §5).
const REDIRECTS: usize = 5;
/// Longest body of a refusal.
const REFUSAL_MAX: usize = 64 << 10;
/// Longest page of a list of tags, and pages of one.
const TAGS_MAX: usize = 4 << 20;
const PAGES: usize = 1000;
const AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));

/// A repository with the credentials of one request. Clones are the same repository.
#[derive(Clone, Debug)]
pub struct Repository(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    registry: String,
    name: String,
    credentials: Option<Credentials>,
    access: Access,
    /// Where the last answer came from, and what it wants to be shown.
    place: Mutex<Option<Place>>,
}

#[derive(Clone, Debug)]
struct Place {
    endpoint: Endpoint,
    challenges: Vec<Challenge>,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// A path of the registry, or a whole URL of it.
    pub(super) target: String,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Option<Bytes>,
}

impl Ask {
    pub(super) fn new(method: Method, target: String) -> Self {
        Self {
            method,
            target,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) url: String,
    pub(super) patience: Duration,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(self.response.headers(), name)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Reads the next bytes; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        let failed = |url: &str, reason: String| Error::NoAnswer {
            method: "Get".to_owned(),
            url: url.to_owned(),
            reason,
            refused: false,
        };
        loop {
            let frame = tokio::time::timeout(self.patience, self.response.body_mut().frame());
            match frame.await {
                Err(_) => {
                    let seconds = self.patience.as_secs();
                    let reason = format!("the registry said nothing for {seconds} s");
                    return Err(failed(&self.url, reason));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    let reason = if error.is_incomplete_message() || error.is_body_write_aborted() {
                        "unexpected EOF".to_owned()
                    } else {
                        error.to_string()
                    };
                    return Err(failed(&self.url, reason));
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Reads a body that is expected to be small.
    pub(super) async fn bytes(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(data) = self.next().await? {
            if bytes.len() + data.len() > limit {
                return Err(Error::TooLong {
                    url: self.url,
                    limit,
                });
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }
}

#[derive(Deserialize)]
struct TagList {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Repository {
    pub(super) fn new(
        client: Client,
        registry: String,
        name: String,
        credentials: Option<Credentials>,
        access: Access,
    ) -> Self {
        Self(Arc::new(Inner {
            client,
            registry,
            name,
            credentials,
            access,
            place: Mutex::default(),
        }))
    }

    /// Returns its name within the registry.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns how often something is tried that may pass.
    pub fn attempts(&self) -> u32 {
        self.0.client.settings().attempts.max(1)
    }

    /// Returns all tags, in the registry's order.
    pub async fn tags(&self) -> Result<Vec<String>> {
        let mut tags = Vec::new();
        let mut target = path::tags(self.name());
        for _ in 0..PAGES {
            let answer = self.ask(&Ask::new(Method::GET, target.clone())).await?;
            let next = answer.header("link").and_then(link::next);
            let next = next.map(|next| resolve(&answer.url, next)).transpose()?;
            let url = answer.url.clone();
            let page: TagList = parse(&url, &answer.bytes(TAGS_MAX).await?)?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) if same_origin(&url, &next) => target = next,
                _ => break,
            }
        }
        Ok(tags)
    }

    /// Sends a request to the registry's endpoints in turn until one answers.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer> {
        let mut last = None;
        for endpoint in self.places() {
            let mirror = endpoint.mirror;
            match self.ask_at(endpoint, ask, None).await {
                Err(error @ Error::NoAnswer { refused: true, .. }) => last = Some(error),
                Err(error) if mirror => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| {
            Error::Setting(format!("the registry {} has no address", self.0.registry))
        }))
    }

    /// Sends a request with a body that cannot be sent twice, to where the last answer came from.
    pub(super) async fn upload(&self, ask: &Ask, body: Body) -> Result<Answer> {
        let place = lock(&self.0.place).clone();
        let endpoint = place.map(|place| place.endpoint);
        let endpoint = endpoint.or_else(|| self.places().into_iter().next());
        match endpoint {
            Some(endpoint) => self.ask_at(endpoint, ask, Some(body)).await,
            None => Err(Error::Setting(format!(
                "the registry {} has no address",
                self.0.registry
            ))),
        }
    }

    fn places(&self) -> Vec<Endpoint> {
        let mut places = endpoints(&self.0.registry, self.0.client.settings());
        if self.0.access == Access::Push {
            places.retain(|place| !place.mirror);
        }
        let spoken = lock(&self.0.place)
            .as_ref()
            .map(|place| place.endpoint.clone())
            .or_else(|| lock(&self.0.client.0.spoken).get(&self.0.registry).cloned());
        if let Some(at) = spoken.and_then(|spoken| places.iter().position(|one| *one == spoken))
            && !places[..at].iter().any(|place| place.mirror)
        {
            places[..=at].rotate_right(1);
        }
        places
    }

    async fn ask_at(&self, endpoint: Endpoint, ask: &Ask, body: Option<Body>) -> Result<Answer> {
        // The old index has no such question.
        let mut challenges = if ask.target.starts_with("/v1/") {
            Vec::new()
        } else {
            self.challenges(&endpoint).await?
        };
        let url = if ask.target.starts_with('/') {
            format!("{}{}", endpoint.base, ask.target)
        } else {
            ask.target.clone()
        };
        let once = body.is_some();
        let mut body = body;
        for last in [once, true] {
            let wanted = Wanted {
                endpoint: &endpoint,
                credentials: self.0.credentials.as_ref(),
                repository: &self.0.name,
                access: self.0.access,
                method: ask.method.as_str(),
                url: &url,
            };
            let authorization = if same_origin(&url, &endpoint.base) {
                self.0.client.authorization(&challenges, wanted).await?
            } else {
                None
            };
            let answer = self
                .0
                .client
                .follow(ask, url.clone(), authorization, body.take())
                .await?;
            let ours = same_origin(&answer.url, &endpoint.base);
            if answer.status() == StatusCode::UNAUTHORIZED && ours && !last {
                challenges = challenges_of(&answer);
                self.0.client.forget_tokens(&self.0.name);
                continue;
            }
            *lock(&self.0.place) = Some(Place {
                endpoint,
                challenges,
            });
            if answer.status().as_u16() >= 400 {
                return Err(refused(answer).await);
            }
            return Ok(answer);
        }
        unreachable!("the second round is the last one")
    }

    /// Asks what an endpoint wants to be shown, once; whether it speaks at all comes out too.
    async fn challenges(&self, endpoint: &Endpoint) -> Result<Vec<Challenge>> {
        if let Some(place) = lock(&self.0.place).as_ref()
            && place.endpoint == *endpoint
        {
            return Ok(place.challenges.clone());
        }
        let ping = Ask::new(Method::GET, String::new());
        let url = format!("{}/v2/", endpoint.base);
        let answer = self.0.client.follow(&ping, url, None, None).await?;
        let challenges = challenges_of(&answer);
        if answer.status().is_server_error() {
            return Err(refused(answer).await);
        }
        let mut spoken = lock(&self.0.client.0.spoken);
        if spoken.len() > 256 {
            spoken.clear();
        }
        spoken.insert(self.0.registry.clone(), endpoint.clone());
        Ok(challenges)
    }

    /// Shows the credentials, as `login` does.
    pub async fn log_in(&self) -> Result<()> {
        let ping = Ask::new(Method::GET, "/v2/".to_owned());
        match self.ask(&ping).await {
            Err(Error::Refused { status, url, .. }) => Err(Error::LogIn { status, url }),
            other => other.map(drop),
        }
    }
}

impl Client {
    /// Sends a request and follows its redirects; another origin is shown no credentials.
    async fn follow(
        &self,
        ask: &Ask,
        url: String,
        authorization: Option<hyper::header::HeaderValue>,
        body: Option<Body>,
    ) -> Result<Answer> {
        let origin = url.clone();
        let upload = body.is_some();
        let mut body = body;
        let mut url = url;
        for _ in 0..=REDIRECTS {
            let uri: Uri = url.parse().map_err(|_| Error::Protocol {
                url: url.clone(),
                reason: "no address".to_owned(),
            })?;
            let endpoint = self.place_of(&uri);
            let mut request = Request::builder()
                .method(ask.method.clone())
                .uri(uri)
                .header(USER_AGENT, AGENT);
            for (name, value) in &ask.headers {
                request = request.header(name, value);
            }
            if let Some(value) = authorization
                .as_ref()
                .filter(|_| same_origin(&url, &origin))
            {
                request = request.header(AUTHORIZATION, value);
            }
            let sent = body.take().unwrap_or_else(|| match &ask.body {
                Some(bytes) => whole(bytes.clone()),
                None => nothing(),
            });
            let request = request.body(sent).map_err(|error| Error::Protocol {
                url: url.clone(),
                reason: error.to_string(),
            })?;
            let response = self.transport(&endpoint)?.send(request, upload).await?;
            let to = header(response.headers(), LOCATION.as_str()).map(str::to_owned);
            let reading = matches!(ask.method, Method::GET | Method::HEAD);
            match to {
                Some(to) if reading && response.status().is_redirection() => {
                    url = resolve(&url, &to)?;
                }
                _ => {
                    return Ok(Answer {
                        response,
                        url,
                        patience: self.settings().patience,
                    });
                }
            }
        }
        Err(Error::Protocol {
            url: origin,
            reason: format!("stopped after {REDIRECTS} redirects"),
        })
    }

    /// Returns the endpoint of any address: of a registry, a token server, a store of blobs.
    pub(super) fn place_of(&self, uri: &Uri) -> Endpoint {
        let host = uri.authority().map_or("", |authority| {
            let text = authority.as_str();
            text.rsplit_once('@').map_or(text, |(_, host)| host)
        });
        Endpoint {
            base: format!("{}://{host}", uri.scheme_str().unwrap_or("https")),
            host: host.to_owned(),
            unverified: self.settings().is_insecure(host),
            mirror: false,
        }
    }
}

fn challenges_of(answer: &Answer) -> Vec<Challenge> {
    let headers = answer.response.headers().get_all(WWW_AUTHENTICATE);
    headers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(challenge::parse)
        .collect()
}

/// Makes the error of an answer of 400 or above.
pub(super) async fn refused(answer: Answer) -> Error {
    let status = answer.status().as_u16();
    let url = answer.url.clone();
    let mut items = Vec::new();
    for challenge in challenges_of(&answer) {
        let (code, message) = match challenge.get("error") {
            Some("invalid_token") => ("UNAUTHORIZED", "authentication required"),
            Some("insufficient_scope") => ("DENIED", "requested access to the resource is denied"),
            _ => continue,
        };
        items.push(Item {
            code: code.to_owned(),
            message: challenge
                .get("error_description")
                .unwrap_or(message)
                .to_owned(),
        });
        break;
    }
    if items.is_empty() && status < 500 {
        let body = answer.bytes(REFUSAL_MAX).await.unwrap_or_default();
        items = errors::parse(&body);
        if status == 429
            && let Some(first) = items.first_mut().filter(|item| item.code.is_empty())
        {
            "TOOMANYREQUESTS".clone_into(&mut first.code);
        }
    }
    Error::Refused { status, url, items }
}

/// Parses a document of a registry.
pub(super) fn parse<T: serde::de::DeserializeOwned>(url: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Protocol {
        url: url.to_owned(),
        reason: format!("not the document that was asked for: {error}"),
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Returns where a `Location` or a link leads from `url`.
pub(super) fn resolve(url: &str, to: &str) -> Result<String> {
    let bad = || Error::Protocol {
        url: url.to_owned(),
        reason: format!("leads to {to:?}, which is no address"),
    };
    let base: Uri = url.parse().map_err(|_| bad())?;
    let (scheme, authority) = (base.scheme_str(), base.authority());
    let origin = match (scheme, authority) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
        _ => return Err(bad()),
    };
    let resolved = if to.starts_with("http://") || to.starts_with("https://") {
        to.to_owned()
    } else if let Some(rest) = to.strip_prefix("//") {
        format!("{}://{rest}", scheme.unwrap_or("https"))
    } else if to.starts_with('/') {
        format!("{origin}{to}")
    } else {
        let directory = base.path().rsplit_once('/').map_or("", |(dir, _)| dir);
        format!("{origin}{directory}/{to}")
    };
    let parsed: Uri = resolved.parse().map_err(|_| bad())?;
    if parsed.authority().is_none() {
        return Err(bad());
    }
    Ok(resolved)
}

/// Tells whether two addresses have the same scheme, host and port.
pub(super) fn same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| {
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_owned();
        let default = if scheme == "http" { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(default);
        Some((scheme, uri.host()?.to_ascii_lowercase(), port))
    };
    matches!((origin(one), origin(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_location_leads() {
        let base = "https://r.example:5/v2/a/blobs/x";
        for (to, expect) in [
            ("/v2/b", "https://r.example:5/v2/b"),
            ("y?z=1", "https://r.example:5/v2/a/blobs/y?z=1"),
            ("//s.example/t", "https://s.example/t"),
            ("http://s.example/t", "http://s.example/t"),
        ] {
            assert_eq!(resolve(base, to).unwrap(), expect, "{to}");
        }
        assert!(resolve(base, "http://").is_err());
    }

    #[test]
    fn origins() {
        for (one, other, same) in [
            ("https://a/x", "https://a:443/y", true),
            ("https://a/x", "https://A/y", true),
            ("https://a/x", "http://a/x", false),
            ("https://a/x", "https://a:444/x", false),
            ("https://a/x", "https://a.b/x", false),
            ("https://a/x", "https://b@c/x", false),
            ("nothing", "nothing", false),
        ] {
            assert_eq!(same_origin(one, other), same, "{one} {other}");
        }
    }
}
