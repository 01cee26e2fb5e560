//! `ps`: the list of containers.

use api::container::{ContainerSummary, Port};

use crate::error::Result;
use crate::flags::{Parsed, quote};
use crate::format::value::Value;
use crate::format::{Listing, row, time};
use crate::http::Query;
use crate::session::Session;

const HEADERS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Names", "NAMES"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
];

const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

/// `ps`
pub(crate) fn ps(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let format = parsed.text("format");
    let size = parsed.is_set("size") || format.contains(".Size") || format.contains("{{json .}}");
    let mut last = if parsed.given("last") {
        parsed.int("last")
    } else {
        -1
    };
    if parsed.is_set("latest") && last == -1 {
        last = 1;
    }
    let mut query = Query::default()
        .with_flag("all", parsed.is_set("all"))
        .with_flag("size", size)
        .with_filters(&parsed.filters());
    if last > 0 {
        query = query.with("limit", last.to_string());
    }
    let containers: Vec<ContainerSummary> = session
        .client
        .get_json(&format!("/containers/json{}", query.render()))?;
    if parsed.is_set("tree") {
        return super::tree::show(session, &containers);
    }
    let truncate = !parsed.is_set("no-trunc");
    let with_size = [
        "ID",
        "Image",
        "Command",
        "RunningFor",
        "Status",
        "Ports",
        "Names",
        "Size",
    ];
    let listing = Listing {
        headers: HEADERS,
        columns: if size { &with_size } else { &with_size[..7] },
        quiet: parsed.is_set("quiet").then_some("ID"),
        raw: RAW,
        kind: "*formatter.ContainerContext",
        complaint: "failed to execute template",
        rows: containers
            .iter()
            .map(|container| context(container, truncate, size))
            .collect(),
    };
    listing.show(session, format)?;
    Ok(0)
}

fn context(container: &ContainerSummary, truncate: bool, size: bool) -> Value {
    let labels: Vec<String> = container
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let label_map = container
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), Value::text(value)))
        .collect();
    let local = container
        .mounts
        .iter()
        .filter(|mount| mount.driver == "local")
        .count();
    let networks: Vec<&str> = container
        .network_settings
        .networks
        .keys()
        .map(String::as_str)
        .collect();
    let id = if truncate {
        short_id(&container.id)
    } else {
        &container.id
    };
    row(vec![
        ("ID", Value::text(id)),
        ("Names", Value::text(names(container, truncate))),
        ("Image", Value::text(image(container, truncate))),
        (
            "Command",
            Value::text(command(&container.command, truncate)),
        ),
        ("CreatedAt", Value::text(time::go_time(container.created))),
        ("RunningFor", Value::text(time::ago(container.created))),
        ("Ports", Value::text(ports(&container.ports))),
        ("State", Value::text(&container.state)),
        ("Status", Value::text(&container.status)),
        ("Size", Value::text(sizes(container, size))),
        ("Labels", Value::text(labels.join(","))),
        ("Label", Value::Object(label_map)),
        ("Mounts", Value::text(mounts(container, truncate))),
        ("LocalVolumes", Value::text(local.to_string())),
        ("Networks", Value::text(networks.join(","))),
        ("Platform", Value::Null),
    ])
}

/// Returns the first twelve characters of an id, without its algorithm.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, hex)| hex);
    id.get(..12).unwrap_or(id)
}

/// Cuts a text to so many characters, the last one an ellipsis.
pub(crate) fn ellipsis(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

fn names(container: &ContainerSummary, truncate: bool) -> String {
    let names = container
        .names
        .iter()
        .map(|name| name.trim_start_matches('/'));
    // Names with a slash are links of other containers.
    let names: Vec<&str> = names
        .filter(|name| !truncate || !name.contains('/'))
        .collect();
    names.join(",")
}

fn image(container: &ContainerSummary, truncate: bool) -> String {
    if container.image.is_empty() {
        return "<no image>".to_owned();
    }
    if truncate {
        if short_id(&container.image_id) == short_id(&container.image) {
            return short_id(&container.image_id).to_owned();
        }
        // A digest is long; the name alone tells enough.
        if let Ok(reference) = container.image.parse::<types::Reference>()
            && reference.digest().is_some()
        {
            return match reference.tag() {
                Some(tag) => format!("{}:{tag}", reference.familiar_name()),
                None => reference.familiar_name(),
            };
        }
    }
    container.image.clone()
}

fn command(command: &str, truncate: bool) -> String {
    if truncate {
        quote(&ellipsis(command, 20))
    } else {
        quote(command)
    }
}

fn sizes(container: &ContainerSummary, asked: bool) -> String {
    if !asked {
        return "0B".to_owned();
    }
    let own = types::units::human_size(container.size_rw, 3);
    if container.size_root_fs > 0 {
        let virtually = types::units::human_size(container.size_root_fs, 3);
        return format!("{own} (virtual {virtually})");
    }
    own
}

fn mounts(container: &ContainerSummary, truncate: bool) -> String {
    let name = |mount: &api::container::MountPoint| {
        let name = if mount.name.is_empty() {
            &mount.source
        } else {
            &mount.name
        };
        if truncate {
            ellipsis(name, 15)
        } else {
            name.clone()
        }
    };
    container
        .mounts
        .iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(",")
}

/// Returns the ports as the table shows them: neighbours with equal sides grouped.
fn ports(ports: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by_key(|port| {
        (
            port.private_port,
            port.ip.clone(),
            port.public_port,
            port.kind.clone(),
        )
    });
    // Insertion order of the groups is their order of appearance.
    let mut groups: Vec<(String, u16, u16)> = Vec::new();
    let mut order: Vec<String> = Vec::new();
    let (mut same, mut host) = (Vec::new(), Vec::new());
    for port in sorted {
        let key = if port.public_port > 0 {
            if port.public_port != port.private_port {
                host.push(format!(
                    "{}->{}/{}",
                    address(&port.ip, &port.public_port.to_string()),
                    port.private_port,
                    port.kind
                ));
                continue;
            }
            format!("{}/{}", port.ip, port.kind)
        } else {
            port.kind.clone()
        };
        let number = port.private_port;
        match groups.iter_mut().find(|(known, ..)| *known == key) {
            None => {
                order.push(key.clone());
                groups.push((key, number, number));
            }
            Some(group) if number == group.2 + 1 || number == group.2 => group.2 = number,
            Some(group) => {
                same.push(shown_group(&group.0, group.1, group.2));
                (group.1, group.2) = (number, number);
            }
        }
    }
    for key in order {
        if let Some((_, first, last)) = groups.iter().find(|(known, ..)| *known == key) {
            same.push(shown_group(&key, *first, *last));
        }
    }
    same.extend(host);
    same.join(", ")
}

fn address(ip: &str, port: &str) -> String {
    if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}

fn shown_group(key: &str, first: u16, last: u16) -> String {
    let range = if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    };
    match key.rsplit_once('/') {
        Some((ip, kind)) => format!("{}->{range}/{kind}", address(ip, &range)),
        None => format!("{range}/{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private_port: u16, public_port: u16, kind: &str) -> Port {
        Port {
            ip: ip.to_owned(),
            private_port,
            public_port,
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn neighbouring_ports_are_grouped() {
        assert_eq!(ports(&[]), "");
        assert_eq!(ports(&[port("", 80, 0, "tcp")]), "80/tcp");
        assert_eq!(
            ports(&[port("127.0.0.1", 80, 8080, "tcp"), port("", 99, 0, "tcp")]),
            "99/tcp, 127.0.0.1:8080->80/tcp"
        );
        let many = [
            port("", 1, 0, "tcp"),
            port("", 2, 0, "tcp"),
            port("", 3, 0, "tcp"),
            port("", 9, 0, "udp"),
            port("0.0.0.0", 70, 70, "tcp"),
            port("0.0.0.0", 71, 71, "tcp"),
            port("0.0.0.0", 72, 72, "tcp"),
            port("::", 70, 70, "tcp"),
            port("::", 71, 71, "tcp"),
            port("::", 72, 72, "tcp"),
            port("0.0.0.0", 83, 73, "tcp"),
        ];
        assert_eq!(
            ports(&many),
            "1-3/tcp, 9/udp, 0.0.0.0:70-72->70-72/tcp, [::]:70-72->70-72/tcp, 0.0.0.0:73->83/tcp"
        );
    }

    #[test]
    fn commands_are_cut() {
        assert_eq!(command("sleep 1000", true), "\"sleep 1000\"");
        assert_eq!(
            command("123456789012345678901", true),
            "\"1234567890123456789…\""
        );
    }
}
