//! `volume create`, `ls`, `rm`, `prune`.

use api::volume::{Volume, VolumeCreateRequest, VolumeList, VolumesPruned};

use crate::client::parse;
use crate::commands::lifecycle::{confirm, reclaimed};
use crate::container_config::map_of;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::value::Value;
use crate::format::{Listing, row};
use crate::http::{Query, escape_path};
use crate::session::Session;

const HEADERS: &[(&str, &str)] = &[
    ("Driver", "DRIVER"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Size", "SIZE"),
    ("Availability", "AVAILABILITY"),
    ("Group", "GROUP"),
    ("Status", "STATUS"),
];

const RAW: &str = "name: {{.Name}}\ndriver: {{.Driver}}\n";

/// `volume create`
pub(crate) fn create(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let request = VolumeCreateRequest {
        name: parsed.args.first().cloned().unwrap_or_default(),
        driver: parsed.text("driver").to_owned(),
        driver_opts: map_of(&parsed.all("opt")),
        labels: map_of(&parsed.all("label")),
        ..VolumeCreateRequest::default()
    };
    let made: Volume = parse(&session.client.post_json("/volumes/create", &request)?)?;
    session.line(&made.name)?;
    Ok(0)
}

/// `volume ls`
pub(crate) fn list(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let query = Query::default().with_filters(&parsed.filters()).render();
    let mut answer: VolumeList = session.client.get_json(&format!("/volumes{query}"))?;
    answer.volumes.sort_by(|a, b| natural(&a.name, &b.name));
    let listing = Listing {
        headers: HEADERS,
        columns: &["Driver", "Name"],
        quiet: parsed.is_set("quiet").then_some("Name"),
        raw: RAW,
        kind: "*formatter.volumeContext",
        complaint: "template parsing error",
        rows: answer.volumes.iter().map(context).collect(),
    };
    listing.show(session, parsed.text("format"))?;
    Ok(0)
}

fn context(volume: &Volume) -> Value {
    let labels = volume.labels.clone().unwrap_or_default();
    let text = |(key, value): (&String, &String)| format!("{key}={value}");
    let joined: Vec<String> = labels.iter().map(text).collect();
    let map = labels
        .iter()
        .map(|(key, value)| (key.clone(), Value::text(value)));
    let unknown = || Value::text("N/A");
    row(vec![
        ("Driver", Value::text(&volume.driver)),
        ("Name", Value::text(&volume.name)),
        ("Scope", Value::text(&volume.scope)),
        ("Mountpoint", Value::text(&volume.mountpoint)),
        ("Labels", Value::text(joined.join(","))),
        ("Label", Value::Object(map.collect())),
        ("Links", unknown()),
        ("Size", unknown()),
        ("Availability", unknown()),
        ("Group", unknown()),
        ("Status", unknown()),
    ])
}

/// Compares names as people sort them: runs of digits are numbers.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (one, two) = (digits(a), digits(b));
        if one > 0 && two > 0 {
            let number = |text: &str, length: usize| {
                let bare = text[..length].trim_start_matches('0').to_owned();
                (bare.len(), bare)
            };
            let order = number(a, one).cmp(&number(b, two));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[one..], &b[two..]);
            continue;
        }
        let (mut left, mut right) = (a.chars(), b.chars());
        match (left.next(), right.next()) {
            (Some(one), Some(two)) if one == two => (a, b) = (left.as_str(), right.as_str()),
            (one, two) => return one.cmp(&two),
        }
    }
}

/// `volume rm`
pub(crate) fn remove(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let query = Query::default()
        .with_flag("force", parsed.is_set("force"))
        .render();
    session.each(&parsed.args, |session, name| {
        let path = format!("/volumes/{}{query}", escape_path(name));
        session.client.delete(&path).map(drop)
    })
}

/// `volume prune`
pub(crate) fn prune(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let all = parsed.is_set("all");
    let mut filters = parsed.filters();
    let warning = if all {
        if filters.contains("all") {
            return Err(Error::text(
                "conflicting options: cannot specify both --all and --filter all=1",
            ));
        }
        filters.add("all", "true");
        "WARNING! This will remove all local volumes not used by at least one container."
    } else {
        "WARNING! This will remove anonymous local volumes not used by at least one container."
    };
    if !parsed.is_set("force") && !confirm(session, warning)? {
        return Ok(0);
    }
    let query = Query::default().with_filters(&filters).render();
    let answer: VolumesPruned = parse(&session.client.post(&format!("/volumes/prune{query}"))?)?;
    let mut text = String::new();
    if let Some(names) = answer.volumes_deleted.filter(|names| !names.is_empty()) {
        text = format!("Deleted Volumes:\n{}\n\n", names.join("\n"));
    }
    text.push_str(&reclaimed(answer.space_reclaimed));
    session.print(&text)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_sort() {
        let mut names = vec!["v10", "v2", "a", "v2b", "v02", "v", "w1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "v", "v2", "v02", "v2b", "v10", "w1"]);
    }
}
