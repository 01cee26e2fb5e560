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
            format!("soft: -1 (unlimited), hard: {hard}")
        } else {
            format!("{soft} > {hard}")
        };
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {shown}"
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
        !mode.is_empty()
            && mode.bytes().all(|byte| b"rwm".contains(&byte))
            && b"rwm"
                .iter()
                .all(|letter| mode.bytes().filter(|byte| byte == letter).count() < 2)
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source] if !source.is_empty() => (source, source, "rwm"),
        [source, mode] if !source.is_empty() && valid(mode) => (source, source, mode),
        [source, target] if !source.is_empty() => (source, target, "rwm"),
        [source, target, mode] if !source.is_empty() => (source, target, mode),
        _ => return Err(Error::text(format!("bad format for path: {text}"))),
    };
    if !valid(mode) {
        return Err(Error::text(format!("bad mode specified: {mode}")));
    }
    if !target.starts_with('/') {
        return Err(Error::text(format!("{target} is not an absolute path")));
    }
    Ok(DeviceMapping {
        path_on_host: source.to_owned(),
        path_in_container: target.to_owned(),
        cgroup_permissions: mode.to_owned(),
    })
}

/// Tells whether `--device` names a device of the Container Device Interface:
/// `vendor.com/class=name`.
pub(crate) fn is_cdi(text: &str) -> bool {
    let Some((kind, name)) = text.split_once('=') else {
        return false;
    };
    let Some((vendor, class)) = kind.split_once('/') else {
        return false;
    };
    let word = |text: &str, more: &[u8]| {
        let bytes = text.as_bytes();
        let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || more.contains(byte);
        alphanumeric(bytes.first()) && alphanumeric(bytes.last()) && bytes.iter().all(fits)
    };
    word(vendor, b"_-.") && word(class, b"_-") && word(name, b"_-.:")
}

/// Checks `--device-cgroup-rule`: `c 7:* rwm`.
pub(crate) fn device_rule(text: &str) -> Result<(), String> {
    let number = |part: &str| {
        part == "*" || (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let fits = match text.split(' ').collect::<Vec<_>>()[..] {
        [kind, numbers, access] => {
            matches!(kind, "a" | "b" | "c")
                && numbers
                    .split_once(':')
                    .is_some_and(|(major, minor)| number(major) && number(minor))
                && (1..=3).contains(&access.len())
                && access.bytes().all(|byte| b"rwm".contains(&byte))
        }
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("invalid device cgroup format '{text}'"))
    }
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

/// Parses `--gpus`: `all`, a number, or `key=value` pairs, quoted as in CSV.
pub(crate) fn gpus(text: &str) -> Result<DeviceRequest, String> {
    let count = |value: &str| {
        match value {
        "all" => Ok(-1),
        _ => value.parse::<i64>().map_err(|_| {
            format!(
                "invalid count ({value}): value must be either \"all\" or an integer: invalid syntax"
            )
        }),
    }
    };
    let fields =
        |text: &str| types::mount_spec::csv_fields(text).map_err(|error| error.to_string());
    let words = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
    let mut request = DeviceRequest::default();
    let mut seen = BTreeSet::new();
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => ("count".to_owned(), field.clone()),
        };
        if !seen.insert(key.clone()) {
            return Err(format!(
                "gpu request key '{key}' can be specified only once"
            ));
        }
        match key.as_str() {
            "driver" => request.driver = value,
            "count" => request.count = count(&value)?,
            "device" => request.device_ids = Some(words(&value)),
            "capabilities" => {
                let mut all = words(&value);
                all.push("gpu".to_owned());
                request.capabilities = Some(vec![all]);
            }
            "options" => {
                let pairs = fields(&value)?;
                let own = |pair: &String| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (key.to_owned(), value.to_owned())
                };
                request.options = Some(pairs.iter().map(own).collect());
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if !seen.contains("count") && request.device_ids.is_none() {
        request.count = 1;
    }
    request.options.get_or_insert_with(BTreeMap::new);
    request
        .capabilities
        .get_or_insert_with(|| vec![vec!["gpu".to_owned()]]);
    Ok(request)
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
    fn graphics() {
        let all = gpus("all").unwrap();
        assert_eq!((all.count, all.driver.as_str()), (-1, ""));
        assert_eq!(all.capabilities, Some(vec![vec!["gpu".to_owned()]]));
        assert_eq!(gpus("2").unwrap().count, 2);
        let some = gpus("driver=nvidia,\"device=0,1\"").unwrap();
        let ids = some.device_ids.unwrap();
        assert_eq!(
            (some.count, ids.len(), some.driver.as_str()),
            (0, 2, "nvidia")
        );
        for (text, message) in [
            (
                "x",
                "invalid count (x): value must be either \"all\" or an integer: invalid syntax",
            ),
            ("foo=1", "unexpected key 'foo' in 'foo=1'"),
            ("1,2", "gpu request key 'count' can be specified only once"),
        ] {
            assert_eq!(gpus(text).unwrap_err(), message);
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
        for (text, message) in [
            ("a:b:c:d", "bad format for path: a:b:c:d"),
            (":/dev/b", "bad format for path: :/dev/b"),
            ("/dev/a:/dev/b:zz", "bad mode specified: zz"),
            ("/dev/a:/dev/b:rr", "bad mode specified: rr"),
            ("rel", "rel is not an absolute path"),
            ("/dev/a:rel", "rel is not an absolute path"),
        ] {
            assert_eq!(device(text).unwrap_err().to_string(), message);
        }
        assert!(is_cdi("vendor.com/class=dev") && is_cdi("nvidia.com/gpu=all"));
        assert!(!is_cdi("/dev/a") && !is_cdi("/dev/x=y:rwm") && !is_cdi("a/b="));
        assert!(device_rule("c 7:* rwm").is_ok() && device_rule("c 7:1 x").is_err());
        assert_eq!(rate_device("/dev/sda:1mb", true).unwrap().rate, 1 << 20);
        assert!(rate_device("/dev/sda:x", false).is_err());
        assert!(weight_device("/dev/sda:5").is_err());
        assert!(weight_device("sda:50").is_err());
    }
}
