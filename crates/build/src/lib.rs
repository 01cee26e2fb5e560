//! A Dockerfile becomes an image.
//!
//! Vocabulary: a *stage* goes from one `FROM` to the next; a *step* is an instruction that may make
//! a layer; its *key* is the digest of all that decides what it makes.
//!
//! Invariants: what a step makes is remembered by its key only after it is durable, so that a crash
//! forgets, and never remembers wrongly; nothing that a build needs for itself outlives it; a build
//! whose caller has gone stops.

#![forbid(unsafe_code)]

mod add;
mod builder;
mod copy;
pub mod dockerfile;
mod error;
mod files;
mod mode;
mod run;
mod state;

use std::collections::BTreeMap;

pub use error::{Error, Result};

use engine::container::record::Host;
use engine::{Engine, Input};
use tokio::sync::mpsc;
use types::{Digest, Reference};

/// What a caller asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Where the Dockerfile is in the context.
    pub dockerfile: String,
    /// Names of the image.
    pub tags: Vec<Reference>,
    /// Values of `ARG`s; none: it is unset.
    pub args: BTreeMap<String, Option<String>>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The last stage that is built, by name or number.
    pub target: String,
    /// Remember nothing of what was built before.
    pub no_cache: bool,
    /// How programs of the build run: limits, network, hosts.
    pub host: Host,
    /// What a face keeps with the containers of the build.
    pub face: serde_json::Value,
}

/// What a caller is told on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Text for a person.
    Text(String),
    /// What a program of the build said.
    Output(Vec<u8>),
    /// A stage is done.
    Image(Digest),
}

/// Builds an image from a context, which is a tarball in any compression. A caller that drops what
/// this returns stops the build.
pub async fn build(
    engine: &Engine,
    context: Input,
    request: Request,
    events: mpsc::UnboundedSender<Event>,
) -> Result<Digest> {
    let context = files::Context::unpack(engine, context).await?;
    let text = context.dockerfile(&request.dockerfile)?;
    let file = dockerfile::parse(&text)?;
    builder::Builder::new(
        engine,
        std::sync::Arc::new(context),
        &request,
        &file,
        events,
    )
    .build()
    .await
}
