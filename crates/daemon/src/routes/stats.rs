//! `GET /containers/{id}/stats`: one document per second, or one.

use std::collections::BTreeMap;
use std::time::Duration;

use api::stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats,
    ThrottlingData,
};
use engine::container::{Interface, Sample};

use crate::request::{Answer, Request, Result, line};
use crate::time;

/// Between two samples, as under Docker.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) async fn stats(request: Request) -> Result {
    let stream = request.query.find("stream").is_none() || request.query.is_on("stream");
    let one_shot = request.query.is_on("one-shot") && request.version.at_least(41);
    let one = request.engine.inspect(&request.name)?;
    let (id, name) = (one.record.id.to_string(), format!("/{}", one.record.name));
    let named = move |stats: Stats| Stats {
        id: id.clone(),
        name: name.clone(),
        ..stats
    };
    let engine = request.engine;
    let id = one.record.id.to_string();
    if !stream {
        let mut before = None;
        if !one_shot {
            before = engine.sample(&id).await?;
            if before.is_some() {
                tokio::time::sleep(INTERVAL).await;
            }
        }
        let now = engine.sample(&id).await?;
        let document = now.map_or_else(idle, |now| document(&now, before.as_ref()));
        let document = if one_shot { document } else { named(document) };
        return Ok(Answer::stream("", move |sender| async move {
            drop(sender.send(line(&document, "\n")).await);
        }));
    }
    // An empty content type is none, which is what Docker sends.
    Ok(Answer::stream("", move |sender| async move {
        let mut before = None;
        loop {
            // A container that was removed ends the stream.
            let Ok(now) = engine.sample(&id).await else {
                return;
            };
            let stats = now
                .as_ref()
                .map_or_else(idle, |now| document(now, before.as_ref()));
            if sender.send(line(&named(stats), "\n")).await.is_err() {
                return;
            }
            before = now;
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = sender.closed() => return,
            }
        }
    }))
}

/// What is said of a container that does not run.
fn idle() -> Stats {
    Stats {
        read: time::or_zero(None),
        preread: time::or_zero(None),
        ..Stats::default()
    }
}

fn document(now: &Sample, before: Option<&Sample>) -> Stats {
    let group = &now.group;
    let empty = || (!now.unified).then(Vec::new);
    let entries = |counts: &[engine::IoCount]| {
        counts
            .iter()
            .map(|count| BlkioEntry {
                major: count.major,
                minor: count.minor,
                op: count.operation.clone(),
                value: count.value,
            })
            .collect::<Vec<_>>()
    };
    let bytes = entries(&group.io_bytes);
    let operations = entries(&group.io_operations);
    let listed = |list: Vec<BlkioEntry>| {
        if list.is_empty() && now.unified {
            None
        } else {
            Some(list)
        }
    };
    Stats {
        read: time::rfc3339_nano(now.time_ns),
        preread: time::or_zero(before.map(|before| before.time_ns)),
        pids_stats: PidsStats {
            current: group.pids_current,
            limit: group.pids_limit,
        },
        blkio_stats: BlkioStats {
            io_service_bytes_recursive: listed(bytes),
            io_serviced_recursive: if now.unified { None } else { Some(operations) },
            io_queue_recursive: empty(),
            io_service_time_recursive: empty(),
            io_wait_time_recursive: empty(),
            io_merged_recursive: empty(),
            io_time_recursive: empty(),
            sectors_recursive: empty(),
        },
        cpu_stats: cpu(now),
        precpu_stats: before.map(cpu).unwrap_or_default(),
        memory_stats: MemoryStats {
            usage: group.memory_usage,
            max_usage: if now.unified {
                0
            } else {
                group.memory_max_usage
            },
            stats: group.memory_stats.iter().cloned().collect(),
            failcnt: group.memory_failures,
            limit: now.memory_limit,
        },
        networks: now
            .interfaces
            .iter()
            .map(interface)
            .collect::<BTreeMap<_, _>>(),
        ..Stats::default()
    }
}

fn cpu(sample: &Sample) -> CpuStats {
    let group = &sample.group;
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: group.cpu_usage_ns,
            percpu_usage: group.cpu_per_cpu_ns.clone(),
            usage_in_kernelmode: group.cpu_system_ns,
            usage_in_usermode: group.cpu_user_ns,
        },
        system_cpu_usage: sample.system_ns,
        online_cpus: sample.cpus,
        throttling_data: ThrottlingData {
            periods: group.throttling.periods,
            throttled_periods: group.throttling.throttled_periods,
            throttled_time: group.throttling.throttled_ns,
        },
    }
}

fn interface(one: &Interface) -> (String, NetworkStats) {
    let (
        [rx_bytes, rx_packets, rx_errors, rx_dropped],
        [tx_bytes, tx_packets, tx_errors, tx_dropped],
    ) = (one.received, one.sent);
    let stats = NetworkStats {
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    };
    (one.name.clone(), stats)
}
