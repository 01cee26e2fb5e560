//! /etc/hosts and /etc/resolv.conf of a container that runs, changed in place: they are mounted there
//! one by one, and what the user wrote into them stays.

use std::io::Write;
use std::path::Path;

use net::{EndpointRecord, hosts};

use crate::Engine;
use crate::container::cell::Cell;
use crate::container::record::Record;
use crate::error::{Error, Result};

impl Engine {
    /// The files follow when a container has other networks than `before`.
    pub(super) fn edit_network_files(&self, cell: &Cell, before: &[EndpointRecord]) -> Result<()> {
        let record = cell.record();
        let dir = self.network_files(&record);
        let path = dir.join("hosts");
        let text = read(&path)?;
        let line = |endpoint: &EndpointRecord| {
            let (name, domain) = (&record.config.hostname, &record.config.domainname);
            hosts::line(endpoint.address.address().into(), name, domain)
        };
        let (now, before_lines): (Vec<_>, Vec<_>) = (
            record.endpoints.iter().map(line).collect(),
            before.iter().map(line).collect(),
        );
        write(&path, &hosts::edited(&text, &before_lines, &now))?;
        let path = dir.join("resolv.conf");
        let old = Record {
            endpoints: before.to_vec(),
            ..Record::clone(&record)
        };
        // A file that somebody edited is his.
        if read(&path)? == self.resolv_file(&old)? {
            write(&path, &self.resolv_file(&record)?)?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::internal(format_args!("reading {}", path.display()), e))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| Error::internal(format_args!("writing {}", path.display()), e))
}
