//! Pure: flags that name devices and resource limits.

use std::collections::{BTreeMap, BTreeSet};

use api::host_config::{DeviceMapping, DeviceRequest, ThrottleDevice, Ulimit, WeightDevice};

use crate::error::{Error, Result};
use crate::flags::quote;

/// Parses `--ulimit`: `name=soft[:hard]`.
pub(crate) fn ulimit(text: &str) -> Result<Ulimit, String> {
    const NAMES: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("invalid ulimit argument: {text}"));
    };
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |part: &str| {
        part.parse::<i64>()
            .map_err(|_| format!("strconv.ParseInt: parsing {}: invalid syntax", quote(part)))
    };
    let parts: Vec<&str> = value.split(':').collect();
    let (soft, hard) = match parts[..] {
        [soft] => (number(soft)?, number(soft)?),
        [soft, hard] => (number(soft)?, number(hard)?),
        _ => {
            return Err(format!(
                "too many limit value arguments - {value}, can only have up to two, `soft[:hard]`"
            ));
        }
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        let shown = if soft == -1 {
            "-1".to_owned()
        } else {
            soft.to_string()
        };
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {shown} > {hard}"
        ));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        hard,
        soft,
    })
}

/// Parses `--device`: `host[:container][:permissions]`.
pub(crate) fn device(text: &str) -> Result<DeviceMapping> {
    let valid = |mode: &str| {
        !mode.is_empty() && mode.bytes().all(|byte| b"rwm".contains(&byte)) && mode.len() <= 3
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, mode] if valid(mode) => (source, source, mode),
        [source, target] => (source, target, "rwm"),
        [source, target, mode] => (source, target, mode),
        _ => return Err(Error::text(format!("bad format for path: {text}"))),
    };
    Ok(DeviceMapping {
        path_on_host: source.to_owned(),
        path_in_container: if target.is_empty() { source } else { target }.to_owned(),
        cgroup_permissions: mode.to_owned(),
    })
}

/// Parses `--blkio-weight-device`: `path:weight`.
pub(crate) fn weight_device(text: &str) -> Result<WeightDevice, String> {
    let (path, weight) = device_pair(text)?;
    let number = weight
        .parse::<u16>()
        .map_err(|_| format!("invalid weight for device: {text}"))?;
    if number > 0 && !(10..=1000).contains(&number) {
        return Err(format!("invalid weight for device: {text}"));
    }
    Ok(WeightDevice {
        path: path.to_owned(),
        weight: number,
    })
}

/// Parses `--device-read-bps` and its like: `path:rate`.
pub(crate) fn rate_device(text: &str, bytes: bool) -> Result<ThrottleDevice, String> {
    let (path, rate) = device_pair(text)?;
    let number = if bytes {
        types::units::parse_bytes(rate)
            .ok()
            .and_then(|rate| u64::try_from(rate).ok())
    } else {
        rate.parse().ok()
    };
    let unit = if bytes {
        "<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
    } else {
        "<number>. Number must be a positive integer"
    };
    let rate = number.ok_or_else(|| {
        format!("invalid rate for device: {text}. The correct format is <device-path>:{unit}")
    })?;
    Ok(ThrottleDevice {
        path: path.to_owned(),
        rate,
    })
}

fn device_pair(text: &str) -> Result<(&str, &str), String> {
    let Some((path, value)) = text.split_once(':').filter(|(path, _)| !path.is_empty()) else {
        return Err(format!("bad format: {text}"));
    };
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    Ok((path, value))
}

/// Parses `--gpus`: `all` or a number.
pub(crate) fn gpus(text: &str) -> Result<DeviceRequest> {
    let count = match text {
        "all" => -1,
        _ => text
            .parse()
            .map_err(|_| Error::text(format!("--gpus {text} is not built yet")))?,
    };
    Ok(DeviceRequest {
        count,
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        options: Some(BTreeMap::new()),
        ..DeviceRequest::default()
    })
}

/// Returns the capabilities as the API takes them: with `CAP_`, sorted, once each; what is added
/// is not dropped.
pub(crate) fn capabilities(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let normal = |list: &[String]| -> BTreeSet<String> {
        let with_prefix = |name: &String| {
            let name = name.trim().to_ascii_uppercase();
            if name == "ALL" || name == "RESET" || name.starts_with("CAP_") {
                name
            } else {
                format!("CAP_{name}")
            }
        };
        list.iter().map(with_prefix).collect()
    };
    let added = normal(add);
    let dropped = normal(drop)
        .into_iter()
        .filter(|name| !added.contains(name))
        .collect();
    (added.into_iter().collect(), dropped)
}

/// Parses `--add-host`: `name:address` or `name=address`; returns it as the API takes it.
pub(crate) fn extra_host(text: &str) -> Result<String, String> {
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .filter(|(name, address)| !name.is_empty() && !address.is_empty())
        .ok_or_else(|| format!("bad format for add-host: {}", quote(text)))?;
    let bare = address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(format!(
            "invalid IP address in add-host: {}",
            quote(address)
        ));
    }
    Ok(format!("{name}:{bare}"))
}

/// Checks `--sysctl`: those of a namespace.
pub(crate) fn sysctl(text: &str) -> Result<(), String> {
    const NAMES: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let known = text.split_once('=').is_some_and(|(name, _)| {
        NAMES.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.")
    });
    if known {
        Ok(())
    } else {
        Err(format!("sysctl '{text}' is not allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(
            ulimit("nofile=1:2").unwrap(),
            Ulimit {
                name: "nofile".to_owned(),
                hard: 2,
                soft: 1
            }
        );
        for (text, message) in [
            ("x", "invalid ulimit argument: x"),
            ("zz=1", "invalid ulimit type: zz"),
            (
                "nofile=3:2",
                "ulimit soft limit must be less than or equal to hard limit: 3 > 2",
            ),
            (
                "nofile=x",
                "strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
        ] {
            assert_eq!(ulimit(text).unwrap_err(), message);
        }
    }

    #[test]
    fn devices() {
        let mapped = device("/dev/a:/dev/b:r").unwrap();
        assert_eq!(
            (
                mapped.path_in_container.as_str(),
                mapped.cgroup_permissions.as_str()
            ),
            ("/dev/b", "r")
        );
        assert_eq!(device("/dev/a:rw").unwrap().path_in_container, "/dev/a");
        assert!(device("a:b:c:d").is_err());
        assert_eq!(rate_device("/dev/sda:1mb", true).unwrap().rate, 1 << 20);
        assert!(rate_device("/dev/sda:x", false).is_err());
        assert!(weight_device("/dev/sda:5").is_err());
        assert!(weight_device("sda:50").is_err());
    }
}
