//! The client: what is asked of a registry, and what its answers mean.
//!
//! A [`Client`] belongs to an engine and keeps connections and tokens; a [`Repository`] is one
//! repository with the credentials of one request. A credential is shown to the registry it was given
//! for, to the token server which that registry names, and to nobody else: a redirect loses it.

mod auth;
mod blob;
mod connect;
mod credentials;
mod endpoint;
mod error;
mod manifest;
mod repository;
mod search;
mod settings;
mod tls;
mod transport;
mod upload;

pub use blob::BlobStream;
pub(crate) use connect::Names;
pub use credentials::Credentials;
pub use error::{Error, Result};
pub use manifest::Fetched;
pub use repository::Repository;
pub use search::{SearchResult, SearchResults};
pub use settings::Settings;
pub use upload::{Begun, Upload};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use types::Reference;

use endpoint::Endpoint;
use transport::Transport;

/// The registries as one engine sees them. Clones are the same client.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// By endpoint: connections are kept.
    transports: Mutex<HashMap<String, Transport>>,
    /// Which of a registry's endpoints answered last: it is asked first.
    spoken: Mutex<HashMap<String, Endpoint>>,
    tokens: auth::Tokens,
}

/// What is going to be done in a repository: a token is good for it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

impl Client {
    /// Makes a client; nothing is connected.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            transports: Mutex::default(),
            spoken: Mutex::default(),
            tokens: auth::Tokens::default(),
        }))
    }

    /// Returns what the client was told.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns the repository of a reference.
    pub fn repository(
        &self,
        reference: &Reference,
        credentials: Option<Credentials>,
        access: Access,
    ) -> Repository {
        Repository::new(
            self.clone(),
            reference.registry().to_owned(),
            reference.repository().to_owned(),
            credentials,
            access,
        )
    }

    /// Shows credentials to a registry.
    pub async fn log_in(&self, registry: &str, credentials: Credentials) -> Result<()> {
        let (registry, none) = (registry.to_owned(), String::new());
        let access = Access::Pull;
        Repository::new(self.clone(), registry, none, Some(credentials), access)
            .log_in()
            .await
    }

    /// Returns the connections to an endpoint.
    fn transport(&self, endpoint: &Endpoint) -> Result<Transport> {
        let mut transports = lock(&self.0.transports);
        if let Some(transport) = transports.get(&endpoint.base) {
            return Ok(transport.clone());
        }
        let transport = Transport::new(endpoint, &self.0.settings)?;
        transports.insert(endpoint.base.clone(), transport.clone());
        Ok(transport)
    }
}

/// Takes a lock; what a panic left is still a map.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
