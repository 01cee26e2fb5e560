//! Pure: /etc/hosts, /etc/hostname and /etc/resolv.conf of a container, as dockerd writes them
//! (network reference §2.3).

use std::net::{IpAddr, Ipv4Addr};

/// What every container's /etc/hosts begins with.
const LOCAL_HOSTS: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// Docker's name servers for when the host has none that a container could reach.
const DEFAULT_SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];

/// Returns /etc/hosts: the loopback's names, `extra` lines (`--add-host`: name and address), then
/// the container's own names at each of its addresses. A host name `a.b` is also called `a`.
pub fn hosts(
    addresses: &[IpAddr],
    hostname: &str,
    domainname: &str,
    extra: &[(String, String)],
) -> String {
    let mut text = LOCAL_HOSTS.to_owned();
    for (name, address) in extra {
        text.extend([address, "\t", name, "\n"]);
    }
    for address in addresses {
        text.push_str(&line(*address, hostname, domainname));
    }
    text
}

/// Returns the line of one of the container's own addresses.
pub fn line(address: IpAddr, hostname: &str, domainname: &str) -> String {
    let full = if domainname.is_empty() {
        hostname.to_owned()
    } else {
        format!("{hostname}.{domainname}")
    };
    let names = match full.split_once('.') {
        Some((short, _)) => format!("{full} {short}"),
        None => full,
    };
    format!("{address}\t{names}\n")
}

/// Returns a file with the lines that are `now` in the place of those that were `before`; what else
/// is in it stays.
pub fn edited(text: &str, before: &[String], now: &[String]) -> String {
    let gone = |line: &&str| {
        let is = |other: &String| other.trim_end() == line.trim_end();
        !before.iter().any(|old| is(old) && !now.iter().any(is))
    };
    let mut edited: String = text.split_inclusive('\n').filter(gone).collect();
    for line in now.iter().filter(|line| !before.contains(line)) {
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited.push('\n');
        }
        edited.push_str(line);
    }
    edited
}

/// Returns /etc/hosts in the host's network: the host's own file, unless names are added, which
/// begins a new one.
pub fn hosts_of_host(own: &str, extra: &[(String, String)]) -> String {
    if extra.is_empty() {
        own.to_owned()
    } else {
        hosts(&[], "", "", extra)
    }
}

/// Returns /etc/hostname: the host name as it was given, never with the domain name.
pub fn hostname(hostname: &str) -> String {
    format!("{hostname}\n")
}

/// A resolver's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    servers: Vec<IpAddr>,
    invalid_servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
    /// Lines with other words, as they are.
    other: Vec<String>,
    overrides: Vec<&'static str>,
    ndots_from: Option<&'static str>,
    defaults_used: bool,
    /// Who is asked by the embedded resolver.
    external: Option<String>,
}

impl ResolvConf {
    /// Reads the host's file. The last `search` counts (`domain` is its old name); options add up.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let Some(word) = words.next() else { continue };
            let mut rest = words.map(str::to_owned).peekable();
            match word {
                _ if word.starts_with(['#', ';']) => {}
                "nameserver" => match rest.next().map(|server| (server.parse().ok(), server)) {
                    Some((Some(server), _)) => conf.servers.push(server),
                    Some((None, server)) => conf.invalid_servers.push(server),
                    None => {}
                },
                "domain" | "search" if rest.peek().is_some() => conf.search = rest.collect(),
                "options" => conf.options.extend(rest),
                "domain" | "search" => {}
                _ => conf.other.push(line.to_owned()),
            }
        }
        conf.ndots_from = conf.has_ndots().then_some("host");
        conf
    }

    /// Puts what the user said (`--dns`, `--dns-search`, `--dns-option`) in the place of what the
    /// host has; what is empty was not said. A search domain `.` means none.
    #[must_use]
    pub fn overridden(mut self, servers: &[IpAddr], search: &[String], options: &[String]) -> Self {
        if !servers.is_empty() {
            self.servers = servers.to_vec();
            self.overrides.push("nameservers");
        }
        if !search.is_empty() {
            self.search = search
                .iter()
                .filter(|domain| *domain != ".")
                .cloned()
                .collect();
            self.overrides.push("search");
        }
        if !options.is_empty() {
            self.options = options.to_vec();
            self.ndots_from = self.has_ndots().then_some("override");
            self.overrides.push("options");
        }
        self
    }

    /// Returns the file for a container in the host's network: the host's configuration.
    pub fn for_host(&self, path: &str) -> String {
        self.print(path, None)
    }

    /// Returns the file for a container without an embedded resolver (default bridge, none):
    /// without loopback and IPv6 servers, which would not answer there; when none is left, with
    /// Docker's default ones. What the user said stays as it is.
    pub fn for_container(&self, path: &str) -> String {
        let mut conf = self.clone();
        if !self.overrides.contains(&"nameservers") {
            conf.servers
                .retain(|server| server.is_ipv4() && !server.is_loopback());
            if conf.servers.is_empty() {
                conf.servers = DEFAULT_SERVERS.map(IpAddr::V4).to_vec();
                conf.defaults_used = true;
            }
        }
        conf.print(path, Some("legacy"))
    }

    /// Returns the file for a container that asks the embedded resolver, which asks these servers.
    pub fn for_resolver(&self, path: &str) -> String {
        let mut conf = self.clone();
        let own = |server: &IpAddr| {
            if self.overrides.contains(&"nameservers") {
                server.to_string()
            } else {
                format!("host({server})")
            }
        };
        let servers: Vec<_> = self.servers.iter().map(own).collect();
        conf.external = Some(servers.join(" "));
        conf.servers = vec![IpAddr::V4(crate::netd::SERVER)];
        if conf.ndots_from.is_none() {
            conf.options.push("ndots:0".to_owned());
            conf.ndots_from = Some("internal");
        }
        conf.print(path, Some("internal resolver"))
    }

    /// Returns the servers.
    pub fn servers(&self) -> &[IpAddr] {
        &self.servers
    }

    /// Tells whether the host asks a resolver of its own only (systemd-resolved): then the file
    /// with the real servers is `/run/systemd/resolve/resolv.conf`.
    pub fn is_local_stub(&self) -> bool {
        self.servers == [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53))]
    }

    /// Returns the IPv4 servers.
    pub(crate) fn ipv4_servers(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.servers.iter().filter_map(|server| match server {
            IpAddr::V4(server) => Some(*server),
            IpAddr::V6(_) => None,
        })
    }

    fn has_ndots(&self) -> bool {
        self.options
            .iter()
            .any(|option| option.split(':').next() == Some("ndots"))
    }

    fn print(&self, path: &str, transform: Option<&str>) -> String {
        let mut lines = vec![
            "# Generated by Docker Engine.".to_owned(),
            "# This file can be edited; Docker Engine will not make further changes once it"
                .to_owned(),
            "# has been modified.".to_owned(),
            String::new(),
        ];
        lines.extend(
            self.servers
                .iter()
                .map(|server| format!("nameserver {server}")),
        );
        for (word, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                lines.push(format!("{word} {}", values.join(" ")));
            }
        }
        lines.extend(self.other.iter().cloned());
        lines.push(String::new());
        let transform = transform
            .map(|name| format!(" ({name})"))
            .unwrap_or_default();
        lines.push(format!("# Based on host file: '{path}'{transform}"));
        if self.defaults_used {
            lines.push("# Used default nameservers.".to_owned());
        }
        if !self.invalid_servers.is_empty() {
            lines.push(format!(
                "# Invalid nameservers: [{}]",
                self.invalid_servers.join(" ")
            ));
        }
        lines.extend(
            self.external
                .iter()
                .map(|servers| format!("# ExtServers: [{servers}]")),
        );
        lines.push(format!("# Overrides: [{}]", self.overrides.join(" ")));
        lines.extend(
            self.ndots_from
                .map(|from| format!("# Option ndots from: {from}")),
        );
        lines.push(String::new());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# Generated by Docker Engine.
# This file can be edited; Docker Engine will not make further changes once it
# has been modified.

";

    #[test]
    fn hosts_end_with_the_container() {
        let address = [IpAddr::from([172, 17, 0, 2])];
        assert_eq!(
            hosts(&address, "515cb5deffa8", "", &[]),
            format!("{LOCAL_HOSTS}172.17.0.2\t515cb5deffa8\n")
        );
        let extra = [("db".to_owned(), "10.0.0.9".to_owned())];
        assert_eq!(
            hosts(&address, "web", "example.org", &extra),
            format!("{LOCAL_HOSTS}10.0.0.9\tdb\n172.17.0.2\tweb.example.org web\n")
        );
        assert_eq!(hosts(&[], "x", "", &[]), LOCAL_HOSTS, "none has no address");
        assert_eq!(hosts_of_host("1.2.3.4 me\n", &[]), "1.2.3.4 me\n");
        assert_eq!(
            hosts_of_host("1.2.3.4 me\n", &extra),
            format!("{LOCAL_HOSTS}10.0.0.9\tdb\n")
        );
    }

    #[test]
    fn hostname_is_one_line() {
        assert_eq!(hostname("web"), "web\n");
        assert_eq!(hostname("web.example.org"), "web.example.org\n");
    }

    #[test]
    fn servers_a_container_cannot_reach_are_left_out() {
        let host = "; old\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver fd00::3\n\
                    domain a\nsearch b c\noptions ndots:2\noptions edns0\nsortlist 1.2.3.4\n";
        assert_eq!(
            ResolvConf::parse(host).for_container("/etc/resolv.conf"),
            format!(
                "{HEADER}nameserver 10.0.0.2\nsearch b c\noptions ndots:2 edns0\nsortlist 1.2.3.4\n\
                 \n# Based on host file: '/etc/resolv.conf' (legacy)\n# Overrides: []\n\
                 # Option ndots from: host\n"
            )
        );
        assert_eq!(
            ResolvConf::parse("nameserver 127.0.0.1\nnameserver fe80::1%eth0\n")
                .for_container("/etc/resolv.conf"),
            format!(
                "{HEADER}nameserver 8.8.8.8\nnameserver 8.8.4.4\n\n\
                 # Based on host file: '/etc/resolv.conf' (legacy)\n# Used default nameservers.\n\
                 # Invalid nameservers: [fe80::1%eth0]\n# Overrides: []\n"
            )
        );
    }

    #[test]
    fn the_host_s_network_has_the_host_s_servers() {
        assert_eq!(
            ResolvConf::parse("nameserver 127.0.0.53\nsearch .\n").for_host("/etc/resolv.conf"),
            format!(
                "{HEADER}nameserver 127.0.0.53\nsearch .\n\n\
                 # Based on host file: '/etc/resolv.conf'\n# Overrides: []\n"
            )
        );
        assert!(ResolvConf::parse("nameserver 127.0.0.53\n").is_local_stub());
        assert!(!ResolvConf::parse("nameserver 127.0.0.53\nnameserver 1.1.1.1\n").is_local_stub());
    }

    #[test]
    fn the_embedded_resolver_asks_the_others() {
        let conf = ResolvConf::parse("nameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch a\n");
        assert_eq!(
            conf.for_resolver("/etc/resolv.conf"),
            format!(
                "{HEADER}nameserver 127.0.0.11\nsearch a\noptions ndots:0\n\n\
                 # Based on host file: '/etc/resolv.conf' (internal resolver)\n\
                 # ExtServers: [host(127.0.0.53) host(10.0.0.2)]\n# Overrides: []\n\
                 # Option ndots from: internal\n"
            )
        );
        let conf = conf.overridden(&[[1, 1, 1, 1].into()], &[], &["ndots:3".into()]);
        let text = conf.for_resolver("/etc/resolv.conf");
        assert!(text.contains("\noptions ndots:3\n"), "{text}");
        assert!(text.contains("\n# ExtServers: [1.1.1.1]\n"), "{text}");
    }

    #[test]
    fn a_hosts_file_is_edited_and_not_rewritten() {
        let lines = |all: &[&str]| {
            all.iter()
                .map(|line| format!("{line}\n"))
                .collect::<Vec<_>>()
        };
        let text = "127.0.0.1\tlocalhost\n10.0.0.2\tme\n1.2.3.4 mine";
        let (before, now) = (lines(&["10.0.0.2\tme"]), lines(&["10.1.0.2\tme"]));
        assert_eq!(
            edited(text, &before, &now),
            "127.0.0.1\tlocalhost\n1.2.3.4 mine\n10.1.0.2\tme\n"
        );
        let both = [before.clone(), now].concat();
        assert_eq!(
            edited(text, &before, &both),
            format!("{text}\n10.1.0.2\tme\n")
        );
    }

    #[test]
    fn what_the_user_says_stays() {
        let conf = ResolvConf::parse("nameserver 10.0.0.2\nsearch a\noptions ndots:3\n");
        let servers = [IpAddr::from([127, 0, 0, 1])];
        let conf = conf.overridden(&servers, &[".".into()], &["ndots:1".into()]);
        assert_eq!(
            conf.for_container("/etc/resolv.conf"),
            format!(
                "{HEADER}nameserver 127.0.0.1\noptions ndots:1\n\n\
                 # Based on host file: '/etc/resolv.conf' (legacy)\n\
                 # Overrides: [nameservers search options]\n# Option ndots from: override\n"
            )
        );
    }
}
