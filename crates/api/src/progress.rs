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
    /// Returns an object that says what is done with a part.
    pub fn status(id: &str, status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// Returns an object that says how far a part is, with the bar that old clients print.
    pub fn bar(id: &str, status: &str, current: u64, total: u64) -> Self {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (current, total) = (signed(current), signed(total));
        Self {
            progress: bar(current, total),
            progress_detail: Some(ProgressDetail {
                current,
                total,
                ..ProgressDetail::default()
            }),
            ..Self::status(id, status)
        }
    }

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

/// Fifty cells and two sizes, as Docker's library draws them.
fn bar(current: i64, total: i64) -> String {
    let size = |bytes: i64| types::units::human_size(bytes, 4);
    if current <= 0 && total <= 0 {
        return String::new();
    }
    if total <= 0 {
        return format!("{:>8}", size(current));
    }
    let cells = usize::try_from(i128::from(current) * 50 / i128::from(total)).unwrap_or(0);
    let cells = cells.min(50);
    let numbers = if current > total {
        format!("{:>8}", size(current))
    } else {
        format!("{:>8}/{}", size(current), size(total))
    };
    format!(
        "[{}>{}] {numbers}",
        "=".repeat(cells),
        " ".repeat(50 - cells)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(
            bar(36_450, 3_146_569),
            format!("[>{}]  36.45kB/3.147MB", " ".repeat(50))
        );
        assert_eq!(bar(5, 5), format!("[{}>]       5B/5B", "=".repeat(50)));
        assert_eq!(bar(7, 0), "      7B");
        assert_eq!(bar(0, 0), "");
    }
}
