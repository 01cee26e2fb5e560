//! Devices and limits of block devices, in the engine's words.

use api::host_config::{HostConfig, ThrottleDevice};
use engine::container::record::{BlockIo, DeviceRequest, Host, HostDevice};
use types::oci::runtime::DeviceRule;

use crate::error::Failure;
use crate::request::Result;

pub(super) fn devices(given: &HostConfig, host: &mut Host) -> Result<()> {
    let limits = &given.resources;
    host.devices = limits
        .devices
        .iter()
        .flatten()
        .map(|device| HostDevice {
            source: device.path_on_host.clone(),
            target: if device.path_in_container.is_empty() {
                device.path_on_host.clone()
            } else {
                device.path_in_container.clone()
            },
            access: if device.cgroup_permissions.is_empty() {
                "rwm".to_owned()
            } else {
                device.cgroup_permissions.clone()
            },
        })
        .collect();
    for device in &host.devices {
        if !device.target.starts_with('/') {
            return Err(Failure::bad_request(format!(
                "invalid device path {:?}: it must be absolute",
                device.target
            )));
        }
        if !device.access.bytes().all(|byte| b"rwm".contains(&byte)) {
            return Err(Failure::bad_request(format!(
                "invalid device permissions {:?}",
                device.access
            )));
        }
    }
    host.device_rules = limits
        .device_cgroup_rules
        .iter()
        .flatten()
        .map(|text| {
            rule(text).ok_or_else(|| {
                Failure::bad_request(format!("invalid device cgroup rule format: '{text}'"))
            })
        })
        .collect::<Result<_>>()?;
    host.block_io = block_io(given)?;
    host.device_requests = limits
        .device_requests
        .iter()
        .flatten()
        .map(|request| DeviceRequest {
            driver: request.driver.clone(),
            count: request.count,
            ids: request.device_ids.clone().unwrap_or_default(),
            capabilities: request.capabilities.clone().unwrap_or_default(),
        })
        .collect();
    Ok(())
}

/// `c 7:* rwm`.
fn rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split(' ');
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let number = |text: &str| match text {
        "*" => Some(None),
        _ => text.parse::<u32>().ok().map(|n| Some(i64::from(n))),
    };
    let (major, minor) = numbers.split_once(':')?;
    let fits = ["a", "b", "c"].contains(&kind)
        && (1..=3).contains(&access.len())
        && access.bytes().all(|byte| b"rwm".contains(&byte))
        && words.next().is_none();
    fits.then_some(())?;
    Some(DeviceRule {
        allow: true,
        kind: kind.to_owned(),
        major: number(major)?,
        minor: number(minor)?,
        access: access.to_owned(),
    })
}

fn block_io(given: &HostConfig) -> Result<BlockIo> {
    let limits = &given.resources;
    let fits = |weight: u16| weight == 0 || (10..=1000).contains(&weight);
    if !fits(limits.blkio_weight) {
        return Err(Failure::bad_request(
            "Range of blkio weight is from 10 to 1000",
        ));
    }
    let weights: Vec<_> = limits
        .blkio_weight_device
        .iter()
        .flatten()
        .map(|device| (device.path.clone(), device.weight))
        .collect();
    if weights.iter().any(|(_, weight)| !fits(*weight)) {
        return Err(Failure::bad_request(
            "Range of blkio weight is from 10 to 1000",
        ));
    }
    let rates = |list: &Option<Vec<ThrottleDevice>>| {
        let all = list.iter().flatten();
        all.map(|device| (device.path.clone(), device.rate))
            .collect()
    };
    Ok(BlockIo {
        weight: limits.blkio_weight,
        weights,
        read_bps: rates(&limits.blkio_device_read_bps),
        write_bps: rates(&limits.blkio_device_write_bps),
        read_iops: rates(&limits.blkio_device_read_iops),
        write_iops: rates(&limits.blkio_device_write_iops),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_as_the_kernel_writes_them() {
        let parsed = rule("c 7:* rwm").unwrap();
        assert_eq!(
            (parsed.kind.as_str(), parsed.major, parsed.minor),
            ("c", Some(7), None)
        );
        for bad in [
            "",
            "bad",
            "c 7 r",
            "c 7:1",
            "c 7:1 x",
            "d 7:1 r",
            "c 7:1 rwmr",
            "c 7:1 r x",
        ] {
            assert_eq!(rule(bad), None, "{bad:?}");
        }
    }
}
