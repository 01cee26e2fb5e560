//! Pure: who is called what on which network, and what a container is told about it (network
//! reference §2.4).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::message::{A, Data, PTR, Question, reversed};
use crate::netd::{Entry, Sandbox, Scope};

/// The endpoints of all networks, by network and endpoint.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    networks: HashMap<String, Network>,
}

#[derive(Debug, Default)]
struct Network {
    entries: HashMap<String, Entry>,
    names: HashMap<String, Vec<Ipv4Addr>>,
}

/// What is known about a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// These.
    Data(Vec<Data>),
    /// The name, but nothing of that kind.
    Nothing,
    /// Not even the name.
    Not,
}

impl Zones {
    /// An endpoint is there, or is called otherwise now.
    pub(crate) fn insert(&mut self, network: &str, endpoint: String, entry: Entry) {
        self.remove(network, &endpoint);
        let network = self.networks.entry(network.to_owned()).or_default();
        for name in &entry.names {
            let places = network.names.entry(name.to_lowercase()).or_default();
            places.push(entry.address);
        }
        network.entries.insert(endpoint, entry);
    }

    /// It is there no more.
    pub(crate) fn remove(&mut self, network: &str, endpoint: &str) {
        let Some(found) = self.networks.get_mut(network) else {
            return;
        };
        let Some(entry) = found.entries.remove(endpoint) else {
            return;
        };
        for name in &entry.names {
            let name = name.to_lowercase();
            if let Some(places) = found.names.get_mut(&name) {
                if let Some(place) = places.iter().position(|place| *place == entry.address) {
                    places.swap_remove(place);
                }
                if places.is_empty() {
                    found.names.remove(&name);
                }
            }
        }
        if found.entries.is_empty() {
            self.networks.remove(network);
        }
    }

    /// Tells what a container is told.
    pub(crate) fn answer(&self, sandbox: &Sandbox, question: &Question) -> Known {
        if question.kind == PTR {
            return match reversed(&question.name).and_then(|at| self.name_of(sandbox, at)) {
                Some(name) => Known::Data(vec![Data::Name(name)]),
                None => Known::Not,
            };
        }
        let found = self.addresses(sandbox, &question.name);
        match question.kind {
            _ if found.is_empty() => Known::Not,
            A => Known::Data(
                found
                    .into_iter()
                    .map(|address| Data::Address(address.into()))
                    .collect(),
            ),
            // Other kinds of a name of ours are nobody else's affair either.
            _ => Known::Nothing,
        }
    }

    fn name_of(&self, sandbox: &Sandbox, address: IpAddr) -> Option<String> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        sandbox.scopes.iter().find_map(|scope| {
            let network = self.networks.get(&scope.network)?;
            let entry = network
                .entries
                .values()
                .find(|entry| entry.address == address)?;
            Some(format!("{}.{}", entry.names.first()?, entry.network))
        })
    }

    /// The container's own words for others come first, then the first of its networks that knows the
    /// name; with a network's name behind, that network alone.
    fn addresses(&self, sandbox: &Sandbox, name: &str) -> Vec<Ipv4Addr> {
        for scope in &sandbox.scopes {
            let found = self.on(scope, name);
            if !found.is_empty() {
                return found;
            }
        }
        for scope in &sandbox.scopes {
            let suffix = format!(".{}", scope.name.to_lowercase());
            if let Some(first) = name.strip_suffix(&suffix) {
                let found = self.on(scope, first);
                if !found.is_empty() {
                    return found;
                }
            }
        }
        Vec::new()
    }

    fn on(&self, scope: &Scope, name: &str) -> Vec<Ipv4Addr> {
        let Some(network) = self.networks.get(&scope.network) else {
            return Vec::new();
        };
        let linked = scope
            .links
            .iter()
            .find(|(alias, _)| alias.to_lowercase() == name)
            .and_then(|(_, target)| network.names.get(&target.to_lowercase()));
        linked
            .or_else(|| network.names.get(name))
            .cloned()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::query;
    use super::super::message::{AAAA, MX, parse};
    use super::*;

    fn zones() -> Zones {
        let mut zones = Zones::default();
        for (network, endpoint, last, names) in [
            ("n", "1", 2, &["web", "www", "0123456789ab"][..]),
            ("n", "2", 3, &["Db", "www"]),
            ("m", "3", 4, &["web"]),
        ] {
            let entry = Entry {
                address: Ipv4Addr::new(10, 0, 0, last),
                names: names.iter().map(|&name| name.to_owned()).collect(),
                network: network.to_owned(),
            };
            zones.insert(network, endpoint.to_owned(), entry);
        }
        zones
    }

    fn sandbox(networks: &[&str]) -> Sandbox {
        let scope = |name: &&str| Scope {
            network: (*name).to_owned(),
            name: (*name).to_owned(),
            links: vec![("base".to_owned(), "db".to_owned())],
        };
        Sandbox {
            scopes: networks.iter().map(scope).collect(),
            ..Sandbox::default()
        }
    }

    fn ask(zones: &Zones, networks: &[&str], name: &str, kind: u16) -> String {
        let question = parse(&query(name, kind)).unwrap();
        match zones.answer(&sandbox(networks), &question) {
            Known::Not => "not".to_owned(),
            Known::Nothing => "nothing".to_owned(),
            Known::Data(data) => {
                let text = data.iter().map(|one| match one {
                    Data::Address(address) => address.to_string(),
                    Data::Name(name) => name.clone(),
                });
                text.collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn names_are_those_of_ones_own_networks() {
        let zones = zones();
        for (networks, name, kind, expected) in [
            (&["n"][..], "web", A, "10.0.0.2"),
            (&["n"], "DB", A, "10.0.0.3"),
            (&["n"], "www", A, "10.0.0.2 10.0.0.3"),
            (&["n"], "0123456789ab", A, "10.0.0.2"),
            (&["n"], "base", A, "10.0.0.3"),
            (&["n"], "web.n", A, "10.0.0.2"),
            (&["n"], "web.m", A, "not"),
            (&["n", "m"], "web.m", A, "10.0.0.4"),
            (&["m", "n"], "web", A, "10.0.0.4"),
            (&["m"], "db", A, "not"),
            (&[], "web", A, "not"),
            (&["n"], "web", AAAA, "nothing"),
            (&["n"], "web", MX, "nothing"),
            (&["n"], "no.such", A, "not"),
            (&["n"], "2.0.0.10.in-addr.arpa", PTR, "web.n"),
            (&["m"], "2.0.0.10.in-addr.arpa", PTR, "not"),
        ] {
            assert_eq!(ask(&zones, networks, name, kind), expected, "{name}");
        }
    }

    #[test]
    fn who_goes_is_forgotten_and_who_comes_again_is_called_anew() {
        let mut zones = zones();
        zones.remove("n", "1");
        assert_eq!(ask(&zones, &["n"], "web", A), "not");
        assert_eq!(ask(&zones, &["n"], "www", A), "10.0.0.3");
        let entry = Entry {
            address: Ipv4Addr::new(10, 0, 0, 9),
            names: vec!["new".to_owned()],
            network: "n".to_owned(),
        };
        zones.insert("n", "2".to_owned(), entry);
        assert_eq!(ask(&zones, &["n"], "db", A), "not");
        assert_eq!(ask(&zones, &["n"], "new", A), "10.0.0.9");
        zones.remove("n", "2");
        zones.remove("n", "2");
        assert_eq!(ask(&zones, &["n"], "new", A), "not");
    }
}
