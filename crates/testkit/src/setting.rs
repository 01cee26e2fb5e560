//! Which engine and which client are under test: read once from the environment.

use std::path::PathBuf;

/// An engine that cases can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Wharf,
    /// Docker 20.10, API 1.41.
    Dockerd,
    /// Docker 28.5, API 1.51: the reference.
    Dockerd28,
}

impl Kind {
    /// Every engine.
    pub const ALL: [Kind; 3] = [Kind::Wharf, Kind::Dockerd, Kind::Dockerd28];

    /// Returns the word for it in `ENGINE`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Wharf => "wharf",
            Kind::Dockerd => "dockerd",
            Kind::Dockerd28 => "dockerd28",
        }
    }

    /// Returns the engine of that name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A client that cases can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The official command line.
    Docker,
    /// Ours.
    Wharf,
}

impl Client {
    /// Returns the word for it in `CLIENT`.
    pub fn name(self) -> &'static str {
        match self {
            Client::Docker => "docker",
            Client::Wharf => "wharf",
        }
    }

    /// Returns the client of that name.
    pub fn parse(name: &str) -> Option<Client> {
        [Client::Docker, Client::Wharf]
            .into_iter()
            .find(|client| client.name() == name)
    }
}

/// What the command `cargo xtask e2e` chose.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The engine: `ENGINE`.
    pub kind: Kind,
    /// The client: `CLIENT`.
    pub client: Client,
    /// Our program: `WHARF_BIN`.
    pub wharf: PathBuf,
    /// The official command line: `WHARF_E2E_DOCKER`.
    pub docker: PathBuf,
    /// Where the running reference engine listens: `WHARF_E2E_HOST`.
    pub host: Option<String>,
    /// A file to which each skipped case adds a line: `WHARF_E2E_SKIPPED`.
    pub skipped: Option<PathBuf>,
    /// A folder where each case has a file with the rows that it touched: `WHARF_E2E_ROWS`.
    pub rows: Option<PathBuf>,
}

impl Setting {
    /// Reads the environment of this process.
    pub fn from_environment() -> Setting {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let kind = get("ENGINE").unwrap_or_else(|| "wharf".to_owned());
        let client = get("CLIENT").unwrap_or_else(|| "docker".to_owned());
        let wharf = get("WHARF_BIN").expect("cases are run by `cargo xtask e2e`");
        Setting {
            kind: Kind::parse(&kind).unwrap_or_else(|| panic!("no such engine: {kind}")),
            client: Client::parse(&client).unwrap_or_else(|| panic!("no such client: {client}")),
            wharf: PathBuf::from(wharf),
            docker: PathBuf::from(get("WHARF_E2E_DOCKER").unwrap_or_else(|| "docker".to_owned())),
            host: get("WHARF_E2E_HOST"),
            skipped: get("WHARF_E2E_SKIPPED").map(PathBuf::from),
            rows: get("WHARF_E2E_ROWS").map(PathBuf::from),
        }
    }
}
