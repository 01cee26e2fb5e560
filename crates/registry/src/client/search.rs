//! `search`: the old index of version 1, which the Hub still has.

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::credentials::Credentials;
use super::error::Result;
use super::repository::{Ask, Repository, parse};
use super::{Access, Client};
use crate::protocol::path::escape;

/// Longest answer.
const ANSWER_MAX: usize = 4 << 20;

/// What was found.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SearchResults {
    /// Repositories.
    #[serde(default)]
    pub results: Vec<SearchResult>,
}

/// A repository that was found.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SearchResult {
    /// How many like it.
    pub star_count: i64,
    /// It is one of the Hub's own.
    pub is_official: bool,
    /// Its name.
    pub name: String,
    /// Always false now.
    pub is_automated: bool,
    /// What it says of itself.
    pub description: String,
}

impl Client {
    /// Searches a registry's index (`docker.io`: the Hub's).
    pub async fn search(
        &self,
        index: &str,
        term: &str,
        limit: u32,
        credentials: Option<Credentials>,
    ) -> Result<SearchResults> {
        let host = if index == "docker.io" {
            "index.docker.io"
        } else {
            index
        };
        let repository = Repository::new(
            self.clone(),
            host.to_owned(),
            String::new(),
            credentials,
            Access::Pull,
        );
        let target = format!("/v1/search?q={}&n={limit}", escape(term));
        let answer = repository.ask(&Ask::new(Method::GET, target)).await?;
        let url = answer.url.clone();
        parse(&url, &answer.bytes(ANSWER_MAX).await?)
    }
}
