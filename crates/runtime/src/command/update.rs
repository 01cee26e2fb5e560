//! `update`.

use std::io::Read;

use types::oci::runtime::{BlockIo, Cpu, Memory, Pids, Resources};

use super::error::{Error, Result};
use super::store::Status;
use super::words::Words;
use super::{Context, control};

/// `update ID`
pub(super) fn update(context: &Context, words: &Words) -> Result<i32> {
    let entry = control::named(context, words)?;
    if entry.status() == Status::Stopped {
        return Err(Error::said("container not running"));
    }
    for flag in ["l3-cache-schema", "mem-bw-schema"] {
        if words.get(flag).is_some_and(|value| !value.is_empty()) {
            return Err(Error::said("Intel RDT: not supported by this runtime"));
        }
    }
    let wanted = match words.get("resources") {
        Some(path) => of_file(path)?,
        None => of_flags(words)?,
    };
    let topology = crate::create::topology()?;
    let (writes, warnings) = cgroup::plan(&wanted, topology)?;
    for warning in warnings {
        context.report.warning(&warning);
    }
    entry.group()?.apply(&writes)?;
    let mut spec = entry.spec()?;
    let known = spec
        .linux
        .get_or_insert_default()
        .resources
        .get_or_insert_default();
    merge(known, wanted);
    let text = serde_json::to_vec(&spec).map_err(|error| Error::said(error.to_string()))?;
    entry.save_spec(&text)?;
    Ok(0)
}

fn of_file(path: &str) -> Result<Resources> {
    let text = if path == "-" {
        let mut text = Vec::new();
        let read = std::io::stdin().read_to_end(&mut text);
        read.map_err(|error| Error::file("stdin".as_ref(), &error))?;
        text
    } else {
        std::fs::read(path).map_err(|error| Error::file(path.as_ref(), &error))?
    };
    serde_json::from_slice(&text).map_err(|error| Error::said(format!("{path}: {error}")))
}

fn of_flags(words: &Words) -> Result<Resources> {
    let text = |name: &str| words.get(name).unwrap_or_default().to_owned();
    let weight: Option<u16> = words.number("blkio-weight").map_err(Error::Said)?;
    let pids: Option<i64> = words.number("pids-limit").map_err(Error::Said)?;
    Ok(Resources {
        cpu: Some(Cpu {
            shares: unsigned(words, "cpu-share")?,
            quota: words.number("cpu-quota").map_err(Error::Said)?,
            period: unsigned(words, "cpu-period")?,
            burst: unsigned(words, "cpu-burst")?,
            realtime_runtime: words.number("cpu-rt-runtime").map_err(Error::Said)?,
            realtime_period: unsigned(words, "cpu-rt-period")?,
            idle: words.number("cpu-idle").map_err(Error::Said)?,
            cpus: text("cpuset-cpus"),
            mems: text("cpuset-mems"),
        }),
        memory: Some(Memory {
            limit: bytes(words, "memory")?,
            swap: bytes(words, "memory-swap")?,
            reservation: bytes(words, "memory-reservation")?,
            kernel: bytes(words, "kernel-memory")?,
            kernel_tcp: bytes(words, "kernel-memory-tcp")?,
            swappiness: unsigned(words, "memory-swappiness")?,
            ..Memory::default()
        }),
        block_io: weight.map(|weight| BlockIo {
            weight: Some(weight),
            ..BlockIo::default()
        }),
        pids: pids.filter(|limit| *limit != 0).map(|limit| Pids { limit }),
        ..Resources::default()
    })
}

fn unsigned(words: &Words, name: &str) -> Result<Option<u64>> {
    let invalid = |_| Error::said(format!("invalid value for {name}: invalid syntax"));
    words
        .get(name)
        .map(|text| text.parse().map_err(invalid))
        .transpose()
}

/// Bytes with a unit: `64M`; `-1` is no limit.
fn bytes(words: &Words, name: &str) -> Result<Option<i64>> {
    let Some(text) = words.get(name) else {
        return Ok(None);
    };
    if text == "-1" {
        return Ok(Some(-1));
    }
    let invalid = || Error::said(format!("invalid value for {name}: invalid size: '{text}'"));
    types::units::parse_bytes(text)
        .map(Some)
        .map_err(|_| invalid())
}

/// Keeps what was changed beside what was there.
fn merge(known: &mut Resources, wanted: Resources) {
    if let Some(cpu) = wanted.cpu {
        let own = known.cpu.get_or_insert_default();
        own.shares = cpu.shares.or(own.shares);
        own.quota = cpu.quota.or(own.quota);
        own.period = cpu.period.or(own.period);
        own.burst = cpu.burst.or(own.burst);
        own.realtime_runtime = cpu.realtime_runtime.or(own.realtime_runtime);
        own.realtime_period = cpu.realtime_period.or(own.realtime_period);
        own.idle = cpu.idle.or(own.idle);
        if !cpu.cpus.is_empty() {
            own.cpus = cpu.cpus;
        }
        if !cpu.mems.is_empty() {
            own.mems = cpu.mems;
        }
    }
    if let Some(memory) = wanted.memory {
        let own = known.memory.get_or_insert_default();
        own.limit = memory.limit.or(own.limit);
        own.swap = memory.swap.or(own.swap);
        own.reservation = memory.reservation.or(own.reservation);
        own.swappiness = memory.swappiness.or(own.swappiness);
    }
    known.pids = wanted.pids.or(known.pids.take());
    known.block_io = wanted.block_io.or(known.block_io.take());
}
