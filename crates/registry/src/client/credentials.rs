//! Credentials: parsed from what a client sends, shown to a registry, never printed.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// Who somebody is to a registry.
#[derive(Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password, or a personal token.
    pub password: String,
    /// Both of the above in one, as old clients send it.
    auth: String,
    /// For whom these are.
    #[serde(rename = "serveraddress")]
    pub server: String,
    /// A refresh token of OAuth2.
    #[serde(rename = "identitytoken")]
    pub identity_token: String,
    /// A bearer token, shown as it is.
    #[serde(rename = "registrytoken")]
    pub registry_token: String,
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

impl Credentials {
    /// Makes those of a name and a password, or of `auth`, which is both.
    pub fn new(username: &str, password: &str, auth: &str) -> Self {
        let made = Self {
            username: username.to_owned(),
            password: password.to_owned(),
            auth: auth.to_owned(),
            ..Self::default()
        };
        made.clone().settled().unwrap_or(made)
    }

    /// Adds a refresh token and a bearer token.
    #[must_use]
    pub fn with_tokens(mut self, identity: &str, bearer: &str) -> Self {
        identity.clone_into(&mut self.identity_token);
        bearer.clone_into(&mut self.registry_token);
        self
    }

    /// Reads `X-Registry-Auth`: JSON in base64 of either alphabet, padded or not. What cannot be read
    /// is as good as nothing, as in Docker.
    pub fn from_header(text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text).or_else(|_| STANDARD.decode(text));
        serde_json::from_slice::<Self>(&bytes.ok()?).ok()?.settled()
    }

    /// Takes `auth` apart; none if nothing is left to show.
    fn settled(mut self) -> Option<Self> {
        if self.username.is_empty()
            && let Ok(bytes) = STANDARD.decode(&self.auth)
            && let Ok(text) = String::from_utf8(bytes)
            && let Some((name, password)) = text.split_once(':')
        {
            name.clone_into(&mut self.username);
            password
                .trim_end_matches('\0')
                .clone_into(&mut self.password);
        }
        self.auth.clear();
        let empty = self.username.is_empty()
            && self.identity_token.is_empty()
            && self.registry_token.is_empty();
        (!empty).then_some(self)
    }

    /// Returns the header of basic authentication, where there is a name.
    pub(super) fn basic_header(&self) -> Option<String> {
        let named = !self.username.is_empty();
        named.then(|| {
            let pair = format!("{}:{}", self.username, self.password);
            let code = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {code}")
        })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_as_clients_send_them() {
        let json = br#"{"username":"a","password":"b??>","serveraddress":"r:1"}"#;
        let expect = Credentials {
            server: "r:1".to_owned(),
            ..Credentials::new("a", "b??>", "")
        };
        for text in [
            base64::engine::general_purpose::URL_SAFE.encode(json),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json),
            base64::engine::general_purpose::STANDARD.encode(json),
        ] {
            assert_eq!(Credentials::from_header(&text).as_ref(), Some(&expect));
        }
        for nothing in ["", "e30=", "{}", "%%%"] {
            assert_eq!(Credentials::from_header(nothing), None, "{nothing}");
        }
        let old = base64::engine::general_purpose::URL_SAFE.encode(r#"{"auth":"YTpiOmM="}"#);
        assert_eq!(
            Credentials::from_header(&old),
            Some(Credentials::new("a", "b:c", ""))
        );
        assert_eq!(format!("{expect:?}"), "***");
    }
}
