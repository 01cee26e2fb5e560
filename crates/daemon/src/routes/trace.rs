//! `GET /wharf/v1/containers/{id}/trace`: where the milliseconds of a container's verbs went.

use api::container::TraceStep;

use crate::request::{Answer, Request, Result};

pub(crate) async fn trace(request: Request) -> Result {
    let steps: Vec<TraceStep> = request
        .engine
        .trace(&request.name)?
        .into_iter()
        .map(|step| TraceStep {
            name: step.name.into_owned(),
            at_us: step.at_us,
            us: step.us,
        })
        .collect();
    Ok(Answer::ok(&steps))
}
