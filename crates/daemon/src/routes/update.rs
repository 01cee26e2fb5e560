//! `POST /containers/{id}/update`, and what a restart policy means.

use api::container::UpdateResponse;
use api::host_config::{HostConfig, Resources, RestartPolicy, UpdateRequest};
use engine::container::Update;
use engine::container::record::Record;
use hyper::StatusCode;
use types::restart_policy::Rule;

use super::container_create::Face;
use super::create_limits;
use crate::error::Failure;
use crate::request::{Answer, Request, Result};

pub(crate) async fn update(request: Request) -> Result {
    let (document, request) = request.document::<UpdateRequest>().await?;
    let version = request.version;
    let UpdateRequest {
        mut resources,
        restart_policy,
    } = document;
    if !version.at_least(40) {
        resources.pids_limit = None;
    }
    let policy = (!restart_policy.name.is_empty()).then_some(restart_policy);
    let restart = policy.as_ref().map(restart_rule).transpose()?;
    let alone = HostConfig {
        resources: resources.clone(),
        ..HostConfig::default()
    };
    refuse(&resources)?;
    let plan = |record: &Record| {
        let mut face: Face = serde_json::from_value(record.face.clone()).unwrap_or_default();
        let conflict = |why: &'static str| {
            let sentence = format!("Cannot update container {}: {why}", record.id);
            Failure::new(StatusCode::CONFLICT, sentence)
        };
        merge(&mut face.host.resources, &resources).map_err(conflict)?;
        if let Some(policy) = policy {
            if face.host.auto_remove && restart != Some(Rule::No) {
                return Err(conflict(
                    "Restart policy cannot be updated because AutoRemove is enabled for the \
                     container",
                ));
            }
            face.host.restart_policy = policy;
        }
        let resources = create_limits::resources(&face.host)?;
        let face = serde_json::to_value(face)
            .expect("API documents have string keys and no failing serializer");
        Ok(Update {
            resources,
            restart,
            face,
        })
    };
    // What is wrong by itself is told before the container is looked at, as under Docker.
    create_limits::check_alone(&alone)?;
    let warnings = request.engine.update(&request.name, plan).await?;
    Ok(Answer::ok(&UpdateResponse {
        warnings: (!warnings.is_empty()).then_some(warnings),
    }))
}

/// What `update` cannot change here yet.
fn refuse(given: &Resources) -> Result<()> {
    for (present, what) in [
        (
            given.cpu_realtime_period != 0 || given.cpu_realtime_runtime != 0,
            "realtime CPU limits",
        ),
        (given.blkio_weight != 0, "block I/O limits"),
    ] {
        if present {
            return Err(Failure::not_yet(what));
        }
    }
    Ok(())
}

/// Puts what was given into what a container has (moby's `UpdateContainer`).
fn merge(own: &mut Resources, given: &Resources) -> std::result::Result<(), &'static str> {
    for (both, why) in [
        (
            given.nano_cpus > 0 && own.cpu_period > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            given.nano_cpus > 0 && own.cpu_quota > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            given.cpu_period > 0 && own.nano_cpus > 0,
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            given.cpu_quota > 0 && own.nano_cpus > 0,
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        (
            given.memory != 0
                && given.memory_swap == 0
                && own.memory_swap != -1
                && given.memory > own.memory_swap,
            "Memory limit should be smaller than already set memoryswap limit, update the \
             memoryswap at the same time",
        ),
    ] {
        if both {
            return Err(why);
        }
    }
    for (own, given) in [
        (&mut own.cpu_shares, given.cpu_shares),
        (&mut own.nano_cpus, given.nano_cpus),
        (&mut own.cpu_period, given.cpu_period),
        (&mut own.cpu_quota, given.cpu_quota),
        (&mut own.memory, given.memory),
        (&mut own.memory_swap, given.memory_swap),
        (&mut own.memory_reservation, given.memory_reservation),
    ] {
        if given != 0 {
            *own = given;
        }
    }
    for (own, given) in [
        (&mut own.cpuset_cpus, &given.cpuset_cpus),
        (&mut own.cpuset_mems, &given.cpuset_mems),
    ] {
        if !given.is_empty() {
            own.clone_from(given);
        }
    }
    if given.pids_limit.is_some() {
        own.pids_limit = given.pids_limit;
    }
    Ok(())
}

/// Translates a restart policy; refuses in Docker's words.
pub(super) fn restart_rule(policy: &RestartPolicy) -> Result<Rule> {
    let count = policy.maximum_retry_count;
    let rule = match policy.name.as_str() {
        "" | "no" => Rule::No,
        "always" => Rule::Always,
        "unless-stopped" => Rule::UnlessStopped,
        "on-unhealthy" => Rule::OnUnhealthy,
        "on-failure" => {
            let max = u32::try_from(count).map_err(|_| {
                Failure::bad_request(
                    "invalid restart policy: maximum retry count cannot be negative",
                )
            })?;
            return Ok(Rule::OnFailure { max });
        }
        other => {
            return Err(Failure::bad_request(format!(
                "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', \
                 'on-failure', or 'unless-stopped'"
            )));
        }
    };
    if count != 0 {
        let negative = if count < 0 {
            " and cannot be negative"
        } else {
            ""
        };
        return Err(Failure::bad_request(format!(
            "invalid restart policy: maximum retry count can only be used with \
             'on-failure'{negative}"
        )));
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_merged() {
        let mut own = Resources {
            memory: 50 << 20,
            memory_swap: 100 << 20,
            cpu_shares: 5,
            ..Resources::default()
        };
        let given = |memory| Resources {
            memory,
            ..Resources::default()
        };
        assert!(merge(&mut own, &given(200 << 20)).is_err());
        assert_eq!(merge(&mut own, &given(60 << 20)), Ok(()));
        assert_eq!((own.memory, own.cpu_shares), (60 << 20, 5));
        let cpus = Resources {
            nano_cpus: 1,
            ..Resources::default()
        };
        own.cpu_quota = 1000;
        assert!(merge(&mut own, &cpus).unwrap_err().contains("CPU Quota"));
    }

    #[test]
    fn policies_become_rules() {
        let rule = |name: &str, maximum_retry_count| {
            restart_rule(&RestartPolicy {
                name: name.to_owned(),
                maximum_retry_count,
            })
            .map_err(|failure| failure.message)
        };
        assert_eq!(rule("", 0), Ok(Rule::No));
        assert_eq!(rule("on-failure", 3), Ok(Rule::OnFailure { max: 3 }));
        assert!(rule("on-failure", -1).unwrap_err().ends_with("be negative"));
        assert!(rule("always", 1).unwrap_err().ends_with("'on-failure'"));
        assert!(rule("foo", 0).unwrap_err().contains("unknown policy 'foo'"));
    }
}
