//! Pure: one object of a progress stream (pull, push, import, load, build).

use serde_json::Value;

use crate::json::document;

document! {
    /// One line of progress; `error` ends a stream whose status was already 200.
    Progress {
        stream: String = "stream" omit,
        status: String = "status" omit,
        progress_detail: Option<ProgressDetail> = "progressDetail" omit,
        progress: String = "progress" omit,
        id: String = "id" omit,
        error_detail: Option<ErrorDetail> = "errorDetail" omit,
        error: String = "error" omit,
        aux: Option<Value> = "aux" omit,
    }
    /// How far.
    ProgressDetail {
        current: i64 = "current" omit,
        total: i64 = "total" omit,
        start: i64 = "start" omit,
        hide_counts: bool = "hidecounts" omit,
        units: String = "units" omit,
    }
    /// What went wrong, within the stream.
    ErrorDetail { code: i64 = "code" omit, message: String = "message" }
}

impl Progress {
    /// Returns the object that ends a stream with an error.
    pub fn error(message: &str) -> Self {
        Self {
            error_detail: Some(ErrorDetail {
                code: 0,
                message: message.to_owned(),
            }),
            error: message.to_owned(),
            ..Self::default()
        }
    }
}
