//! `LogConfig`: where a container's output goes, in the engine's words.

use std::num::IntErrorKind;

use api::host_config::LogConfig;
use engine::container::record::Log;

use crate::error::Failure;
use crate::request::Result;

/// Docker's drivers that are known and not built yet; any other name is a plugin that is not there.
const NOT_YET: [&str; 9] = [
    "local",
    "syslog",
    "journald",
    "gelf",
    "fluentd",
    "awslogs",
    "splunk",
    "gcplogs",
    "logentries",
];

pub(super) fn log(given: &LogConfig) -> Result<Log> {
    match given.kind.as_str() {
        "none" => Ok(Log::None),
        "json-file" => json_file(given),
        name if NOT_YET.contains(&name) => {
            Err(Failure::not_yet(&format!("the log driver {name:?}")))
        }
        name => Err(Failure::bad_request(format!(
            "error looking up logging plugin {name}: plugin {name:?} not found"
        ))),
    }
}

fn json_file(given: &LogConfig) -> Result<Log> {
    let Log::JsonFile {
        mut max_size,
        mut max_file,
    } = Log::default()
    else {
        return Ok(Log::default());
    };
    let options = || given.config.iter().flatten();
    for (key, _) in options() {
        match key.as_str() {
            "max-size" | "max-file" => {}
            "compress" | "labels" | "labels-regex" | "env" | "env-regex" | "tag" | "mode"
            | "max-buffer-size" => return Err(Failure::not_yet(&format!("log opt {key}"))),
            _ => {
                return Err(Failure::bad_request(format!(
                    "unknown log opt '{key}' for json-file log driver"
                )));
            }
        }
    }
    for (key, value) in options() {
        // Docker finds these when it starts the container; the sentence is the same here.
        let failed = |why: String| {
            Failure::new(
                hyper::StatusCode::INTERNAL_SERVER_ERROR,
                format!(
                    "failed to create task for container: failed to initialize logging driver: {why}"
                ),
            )
        };
        if key == "max-size" {
            max_size = size(value).map_err(failed)?;
        } else {
            max_file = files(value).map_err(failed)?;
        }
    }
    Ok(Log::JsonFile { max_size, max_file })
}

fn size(text: &str) -> std::result::Result<u64, String> {
    let bytes = types::units::parse_bytes(text).map_err(|e| e.to_string())?;
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "max-size must be a positive number".to_owned())
}

fn files(text: &str) -> std::result::Result<u32, String> {
    match text.parse::<i64>() {
        Ok(count) if count < 1 => Err("max-file cannot be less than 1".to_owned()),
        Ok(count) => Ok(u32::try_from(count).unwrap_or(u32::MAX)),
        Err(error) => Err(format!(
            "strconv.Atoi: parsing {text:?}: {}",
            match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            }
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_docker_s_words_about_bad_ones() {
        assert_eq!(size("4k"), Ok(4096));
        assert_eq!(files("3"), Ok(3));
        for (text, words) in [
            ("x", "invalid size: 'x'"),
            ("-1", "invalid size: '-1'"),
            ("0", "max-size must be a positive number"),
        ] {
            assert_eq!(size(text).unwrap_err(), words);
        }
        for (text, words) in [
            ("0", "max-file cannot be less than 1"),
            ("-1", "max-file cannot be less than 1"),
            ("x", "strconv.Atoi: parsing \"x\": invalid syntax"),
        ] {
            assert_eq!(files(text).unwrap_err(), words);
        }
    }
}
