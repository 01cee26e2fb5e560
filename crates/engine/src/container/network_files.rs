//! /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.

use std::net::IpAddr;
use std::path::PathBuf;

use net::hosts;

use super::attachment::split_link;
use super::network::named;
use super::record::{Network, Record};
use super::spec::hostname;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Where the files that belong to a container's network are.
    pub(crate) fn network_files(&self, record: &Record) -> PathBuf {
        let shared = match &record.host.network {
            Network::Container(other) => self.find(other).ok().map(|cell| cell.id),
            _ => None,
        };
        self.layout().container(shared.unwrap_or(record.id))
    }

    /// Writes /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.
    pub(crate) fn write_network_files(&self, record: &Record) -> Result<()> {
        if matches!(record.host.network, Network::Container(_)) {
            return Ok(());
        }
        let dir = self.layout().container(record.id);
        for (file, text) in [
            ("hosts", self.hosts_file(record)?),
            ("hostname", hosts::hostname(&hostname(record))),
            ("resolv.conf", self.resolv_file(record)?),
        ] {
            let path = dir.join(file);
            sys::durable::replace_volatile(&path, text.as_bytes(), 0o644)
                .map_err(|e| Error::internal(format_args!("writing {}", path.display()), e))?;
        }
        Ok(())
    }

    fn hosts_file(&self, record: &Record) -> Result<String> {
        let host = &record.host;
        let mut extra: Vec<(String, String)> = host
            .extra_hosts
            .iter()
            .map(|line| self.extra_host(line))
            .collect::<Result<_>>()?;
        if host.network == Network::Host {
            let own = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
            return Ok(hosts::hosts_of_host(&own, &extra));
        }
        extra.extend(self.linked_hosts(record)?);
        let addresses: Vec<IpAddr> = record
            .endpoints
            .iter()
            .map(|endpoint| IpAddr::V4(endpoint.address.address()))
            .collect();
        let (name, domain) = (hostname(record), &record.config.domainname);
        Ok(hosts::hosts(&addresses, &name, domain, &extra))
    }

    /// What a container on the default bridge calls others there (`--link`).
    fn linked_hosts(&self, record: &Record) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        let bridge = record
            .host
            .attachments
            .iter()
            .find(|one| one.network == "bridge");
        for link in bridge.map(|one| one.links.as_slice()).unwrap_or_default() {
            let (alias, target) = split_link(link);
            let other = self.find(&target)?.record();
            let Some(endpoint) = other.endpoints.first() else {
                let sentence = format!(
                    "Cannot link to a non running container: /{} AS /{}/{alias}",
                    other.name, record.name
                );
                return Err(Error::conflict(sentence));
            };
            let mut names = vec![alias, other.config.hostname.clone(), other.name.clone()];
            names.dedup();
            all.push((names.join(" "), endpoint.address.address().to_string()));
        }
        Ok(all)
    }

    #[expect(clippy::unused_self, reason = "a verb's part, like its neighbours")]
    pub(crate) fn resolv_file(&self, record: &Record) -> Result<String> {
        let Resolv { conf, path } = Resolv::of(record)?;
        Ok(if record.host.network == Network::Host {
            conf.for_host(path)
        } else if named(&record.endpoints).is_empty() {
            conf.for_container(path)
        } else {
            conf.for_resolver(path)
        })
    }

    /// Splits `--add-host NAME:ADDRESS` (or `NAME=ADDRESS`); `host-gateway` is the bridge's address.
    fn extra_host(&self, line: &str) -> Result<(String, String)> {
        let (name, address) = line
            .split_once(':')
            .or_else(|| line.split_once('='))
            .ok_or_else(|| Error::invalid(format!("bad format for add-host: \"{line}\"")))?;
        if address != "host-gateway" {
            return Ok((name.to_owned(), address.to_owned()));
        }
        let gateway = self.networks().bridge_address().ok_or_else(|| {
            Error::invalid(
                "unable to derive the IP value for host-gateway: there is no default bridge",
            )
        })?;
        Ok((name.to_owned(), gateway.address().to_string()))
    }
}

/// The host's resolvers with the user's words over them, and the file they are from.
pub(super) struct Resolv {
    pub(super) conf: hosts::ResolvConf,
    pub(super) path: &'static str,
}

impl Resolv {
    /// Reads what the host has, and what the user says.
    pub(super) fn of(record: &Record) -> Result<Self> {
        let host = &record.host;
        let own = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let servers: Vec<IpAddr> = host
            .dns
            .iter()
            .map(|text| {
                text.parse()
                    .map_err(|_| Error::invalid(format!("bad nameserver address {text}")))
            })
            .collect::<Result<_>>()?;
        let mut path = "/etc/resolv.conf";
        let mut conf = hosts::ResolvConf::parse(&own(path));
        if conf.is_local_stub() {
            path = "/run/systemd/resolve/resolv.conf";
            conf = hosts::ResolvConf::parse(&own(path));
        }
        let conf = conf.overridden(&servers, &host.dns_search, &host.dns_options);
        Ok(Self { conf, path })
    }
}
