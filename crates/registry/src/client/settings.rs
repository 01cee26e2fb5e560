//! What an engine is told about registries.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How registries are talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `--registry-mirror`: asked before docker.io itself.
    pub mirrors: Vec<String>,
    /// `--insecure-registry`: hosts (with port) and networks (`10.0.0.0/8`).
    pub insecure: Vec<String>,
    /// Where `HOST:PORT/{ca.crt,client.cert,client.key}` and `HOST:PORT/hosts.toml` lie.
    pub certificates: Vec<PathBuf>,
    /// `--http-proxy`.
    pub http_proxy: String,
    /// `--https-proxy`.
    pub https_proxy: String,
    /// `--no-proxy`.
    pub no_proxy: String,
    /// How often something is tried that may pass.
    pub attempts: u32,
    /// How long a connection may take, and how long an answer may say nothing.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            insecure: Vec::new(),
            certificates: vec![PathBuf::from("/etc/docker/certs.d")],
            http_proxy: String::new(),
            https_proxy: String::new(),
            no_proxy: String::new(),
            attempts: 5,
            patience: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// Tells whether a registry may be talked to without verified TLS: it was named, or lies in a named
    /// network, or is this machine. A name other than `localhost` is only compared, never looked up.
    pub fn is_insecure(&self, registry: &str) -> bool {
        let host = host_of(registry);
        let address: Option<IpAddr> = host.parse().ok();
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        self.insecure.iter().any(|known| {
            known == registry
                || known == host
                || address.is_some_and(|address| in_network(known, address))
        })
    }
}

/// Returns the host of `host[:port]`, without brackets.
pub(super) fn host_of(registry: &str) -> &str {
    if let Some(rest) = registry.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    registry.split(':').next().unwrap_or(registry)
}

/// Tells whether an address lies in a network, `10.0.0.0/8`.
fn in_network(network: &str, address: IpAddr) -> bool {
    let Some((base, length)) = network.split_once('/') else {
        return false;
    };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(base), IpAddr::V6(address)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_insecure() {
        let settings = Settings {
            insecure: ["r.example:5000", "10.0.0.0/8", "fd00::/8"]
                .map(str::to_owned)
                .to_vec(),
            ..Settings::default()
        };
        for (registry, insecure) in [
            ("localhost:5000", true),
            ("127.3.4.5", true),
            ("[::1]:5000", true),
            ("r.example:5000", true),
            ("r.example", false),
            ("10.9.8.7:1", true),
            ("11.0.0.1", false),
            ("[fd00::5]:1", true),
            ("docker.io", false),
        ] {
            assert_eq!(settings.is_insecure(registry), insecure, "{registry}");
        }
    }
}
