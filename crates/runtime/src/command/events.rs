//! `events`: measures and news of a container's group, one JSON object a line.

use std::os::fd::AsFd;
use std::time::Duration;

use cgroup::{Group, IoCount, OomNews, Stats};
use serde_json::{Map, Value, json};
use sys::poll::{Interest, Poll};

use super::error::{Error, Result};
use super::store::{Entry, Status};
use super::words::Words;
use super::{Context, control, print};

const OOM: u64 = 0;
const END: u64 = 1;

/// `events ID`
pub(super) fn events(context: &Context, words: &Words) -> Result<i32> {
    let entry = control::named(context, words)?;
    let interval = match words.get("interval") {
        None => Duration::from_secs(5),
        Some(text) => interval(text)?,
    };
    if entry.status() == Status::Stopped {
        let id = &entry.record.id;
        return Err(Error::said(format!(
            "container with id {id} is not running"
        )));
    }
    let group = entry.group()?;
    if words.is_on("stats") {
        print(&stats_line(&entry, &group)?);
        return Ok(0);
    }
    follow(&entry, &group, interval)?;
    Ok(0)
}

fn interval(text: &str) -> Result<Duration> {
    let invalid = || Error::said(format!("invalid value {text:?} for flag -interval"));
    let nanos = types::units::parse_duration(text).map_err(|_| invalid())?;
    match u64::try_from(nanos) {
        Ok(nanos @ 1..) => Ok(Duration::from_nanos(nanos)),
        _ => Err(Error::said("duration interval must be greater than 0")),
    }
}

/// Prints until the container ends.
fn follow(entry: &Entry, group: &Group, interval: Duration) -> Result<()> {
    let failed = || Error::kernel("wait for events");
    let Some(init) = entry.init() else {
        return Ok(());
    };
    let poll = Poll::new().map_err(failed())?;
    poll.add(init.as_fd(), END, Interest::Read)
        .map_err(failed())?;
    let mut watch = group.watch_oom()?;
    if let Some(watch) = &watch {
        poll.add(watch.as_fd(), OOM, watch.interest())
            .map_err(failed())?;
    }
    loop {
        let events = poll.wait(Some(interval)).map_err(failed())?;
        if events.iter().any(|event| event.token == END) {
            return Ok(());
        }
        if events.is_empty() {
            print(&stats_line(entry, group)?);
            continue;
        }
        match watch.as_mut().map(cgroup::OomWatch::take).transpose()? {
            Some(OomNews::OutOfMemory) => {
                let line = json!({ "type": "oom", "id": entry.record.id });
                print(&format!("{line}\n"));
            }
            Some(OomNews::Gone) => return Ok(()),
            Some(OomNews::Nothing) | None => {}
        }
    }
}

fn stats_line(entry: &Entry, group: &Group) -> Result<String> {
    let stats = group.stats()?;
    let line = json!({ "type": "stats", "id": entry.record.id, "data": data(&stats) });
    Ok(format!("{line}\n"))
}

/// The names of runc's `events`.
fn data(stats: &Stats) -> Value {
    let raw: Map<String, Value> = stats
        .memory_stats
        .iter()
        .map(|(key, value)| (key.clone(), (*value).into()))
        .collect();
    let stat = |key: &str| raw.get(key).cloned().unwrap_or_else(|| 0.into());
    let mut pids = Map::from_iter([("current".to_owned(), stats.pids_current.into())]);
    if stats.pids_limit > 0 {
        pids.insert("limit".to_owned(), stats.pids_limit.into());
    }
    json!({
        "cpu": {
            "usage": {
                "total": stats.cpu_usage_ns,
                "percpu": stats.cpu_per_cpu_ns,
                "kernel": stats.cpu_system_ns,
                "user": stats.cpu_user_ns,
            },
            "throttling": {
                "periods": stats.throttling.periods,
                "throttledPeriods": stats.throttling.throttled_periods,
                "throttledTime": stats.throttling.throttled_ns,
            },
        },
        "memory": {
            "cache": stat("cache"),
            "usage": {
                "limit": stats.memory_limit,
                "usage": stats.memory_usage,
                "max": stats.memory_max_usage,
                "failcnt": stats.memory_failures,
            },
            "raw": raw,
        },
        "pids": pids,
        "blkio": {
            "ioServiceBytesRecursive": counts(&stats.io_bytes),
            "ioServicedRecursive": counts(&stats.io_operations),
        },
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

fn counts(counts: &[IoCount]) -> Vec<Value> {
    let count = |count: &IoCount| {
        json!({
            "major": count.major,
            "minor": count.minor,
            "op": count.operation,
            "value": count.value,
        })
    };
    counts.iter().map(count).collect()
}
