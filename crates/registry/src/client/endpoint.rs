//! Pure: where a registry is asked, in which order.

use super::settings::Settings;

/// Docker's own registry: its name, and where it answers.
const DOCKER: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// One place where a registry answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// `https://host:port`, without a slash at the end.
    pub(super) base: String,
    /// `host:port`: where its certificates lie.
    pub(super) host: String,
    /// Whoever answers is believed to be it.
    pub(super) unverified: bool,
    /// It stands for another registry: it can only be read, and it need not have everything.
    pub(super) mirror: bool,
}

/// Returns where a registry is asked, the first place first.
pub(super) fn endpoints(registry: &str, settings: &Settings) -> Vec<Endpoint> {
    let mut places = Vec::new();
    if registry == DOCKER.0 {
        places.extend(
            settings
                .mirrors
                .iter()
                .map(|mirror| mirror_of(mirror, settings)),
        );
    }
    let host = if registry == DOCKER.0 {
        DOCKER.1
    } else {
        registry
    };
    let unverified = settings.is_insecure(host);
    let at = |scheme: &str| Endpoint {
        base: format!("{scheme}://{host}"),
        host: host.to_owned(),
        unverified,
        mirror: false,
    };
    places.push(at("https"));
    if unverified {
        places.push(at("http"));
    }
    places
}

fn mirror_of(url: &str, settings: &Settings) -> Endpoint {
    let base = url.trim_end_matches('/').to_owned();
    let rest = base
        .split_once("://")
        .map_or(base.as_str(), |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest).to_owned();
    Endpoint {
        unverified: settings.is_insecure(&host),
        base,
        host,
        mirror: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let settings = Settings {
            mirrors: vec!["http://127.0.0.1:1/".to_owned()],
            ..Settings::default()
        };
        let bases = |registry: &str| -> Vec<String> {
            let places = endpoints(registry, &settings);
            places.into_iter().map(|place| place.base).collect()
        };
        assert_eq!(
            bases("docker.io"),
            ["http://127.0.0.1:1", "https://registry-1.docker.io"]
        );
        assert_eq!(
            bases("localhost:5"),
            ["https://localhost:5", "http://localhost:5"]
        );
        assert_eq!(bases("r.example"), ["https://r.example"]);
    }
}
