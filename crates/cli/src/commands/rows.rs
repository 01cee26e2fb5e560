//! `wharf rows`: every row of the compatibility table as JSON, for the tool that writes it.

use serde_json::{Value, json};

use crate::commands::handler;
use crate::session::print_bytes;

/// Prints the rows of the client and, given as name, state and note, those of the API; returns the
/// exit code.
pub(crate) fn print(operations: &[[String; 3]]) -> i32 {
    let own = crate::rows::all(|path| handler(path).is_some());
    let own = own.iter().map(
        |(row, state)| json!({"row": row, "face": "cli", "state": state.word(), "note": state.note()}),
    );
    let operations = operations
        .iter()
        .map(|[row, state, note]| json!({"row": row, "face": "api", "state": state, "note": note}));
    let rows: Vec<Value> = own.chain(operations).collect();
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    i32::from(print_bytes(text.as_bytes()).is_err())
}
