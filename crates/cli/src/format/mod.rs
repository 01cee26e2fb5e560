//! Output as the user wants it: tables, JSON, Go templates.

pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod time;
pub(crate) mod value;

use crate::error::{Error, Result};
use crate::format::template::{Over, Template};
use crate::format::value::Value;
use crate::session::Session;

/// A list: its rows are objects; headers name the columns of every field.
pub(crate) struct Listing<'a> {
    /// field → header.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The fields of the default table.
    pub(crate) columns: &'a [&'a str],
    /// What `--quiet` prints.
    pub(crate) quiet: Option<&'a str>,
    /// What `raw` prints, as a template.
    pub(crate) raw: &'a str,
    /// What Go calls a row, for complaints.
    pub(crate) kind: &'a str,
    /// How a complaint of a template begins.
    pub(crate) complaint: &'a str,
    /// The rows.
    pub(crate) rows: Vec<Value>,
}

impl Listing<'_> {
    /// Prints the list in the wanted format; an empty format is the table.
    pub(crate) fn show(&self, session: &mut Session, format: &str) -> Result<()> {
        let format = format.trim();
        if let Some(field) = self.quiet {
            if !matches!(format, "" | "table" | "raw") {
                session.warn(
                    "WARNING: Ignoring custom format, because both --format and --quiet are set.",
                );
            }
            let lines: String = self
                .rows
                .iter()
                .map(|row| plain(row.get(field)) + "\n")
                .collect();
            return session.print(&lines);
        }
        match format {
            "" | "table" => {
                let mut rows = vec![
                    self.columns
                        .iter()
                        .map(|field| self.header(field))
                        .collect(),
                ];
                for row in &self.rows {
                    rows.push(
                        self.columns
                            .iter()
                            .map(|field| plain(row.get(field)))
                            .collect(),
                    );
                }
                session.print(&table::render(&rows))
            }
            "json" => {
                let lines: String = self
                    .rows
                    .iter()
                    .map(|row| sorted(row).to_json(true) + "\n")
                    .collect();
                session.print(&lines)
            }
            "raw" if !self.raw.is_empty() => self.show_template(session, self.raw, false),
            _ => match format.strip_prefix("table") {
                Some(template) => self.show_template(session, template.trim(), true),
                None => self.show_template(session, format, false),
            },
        }
    }

    fn header(&self, field: &str) -> String {
        let found = self.headers.iter().find(|(known, _)| *known == field);
        found.map_or_else(|| field.to_owned(), |(_, header)| (*header).to_owned())
    }

    fn show_template(&self, session: &mut Session, text: &str, with_header: bool) -> Result<()> {
        let text = unescape(text);
        let template = Template::parse(&text)
            .map_err(|error| Error::text(format!("failed to parse template: {error}")))?;
        let mut lines = String::new();
        if with_header {
            let mut names: Vec<(&str, Value)> = self
                .headers
                .iter()
                .map(|(field, header)| (*field, Value::text(*header)))
                .collect();
            names.push(("Label", Value::Null));
            lines.push_str(
                &template
                    .execute(&row(names), Over::Header)
                    .unwrap_or_default(),
            );
            lines.push('\n');
        }
        for row in &self.rows {
            let line = template
                .execute(row, Over::Row(self.kind))
                .map_err(|error| Error::text(format!("{}: {error}", self.complaint)))?;
            lines.push_str(&line);
            lines.push('\n');
        }
        if with_header {
            let rows: Vec<Vec<String>> = lines
                .lines()
                .map(|line| line.split('\t').map(str::to_owned).collect())
                .collect();
            lines = table::render(&rows);
        }
        session.print(&lines)
    }
}

/// `\t` and `\n` typed as two characters mean the character.
pub(crate) fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// Returns a field as a table shows it.
fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text) | Value::Number(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(value) if *value != Value::Null => value.to_json(false),
        _ => String::new(),
    }
}

/// Returns a row as JSON shows it: keys sorted, helpers left out.
pub(crate) fn sorted(row: &Value) -> Value {
    let Value::Object(entries) = row else {
        return row.clone();
    };
    let mut entries: Vec<_> = entries
        .iter()
        .filter(|(key, _)| key != "Label")
        .cloned()
        .collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(entries)
}

/// Makes a row.
pub(crate) fn row(fields: Vec<(&str, Value)>) -> Value {
    Value::Object(
        fields
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}
