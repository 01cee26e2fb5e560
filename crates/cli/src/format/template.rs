//! Pure: a first subset of Go templates.

use crate::format::value::Value;

#[derive(Debug)]
enum Part {
    Text(String),
    Field { path: Vec<String>, json: bool },
}

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template(Vec<Part>);

impl Template {
    /// Parses.
    pub(crate) fn parse(_name: &str, text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            parts.push(Part::Text(before.to_owned()));
            let (action, after) = after
                .split_once("}}")
                .ok_or("template: :1: unclosed action".to_owned())?;
            rest = after;
            let words: Vec<&str> = action.split_whitespace().collect();
            let (json, path) = match words[..] {
                ["json", path] => (true, path),
                [path] => (false, path),
                _ => return Err(format!("template: :1: function {action:?} not defined")),
            };
            let path = path
                .split('.')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect();
            parts.push(Part::Field { path, json });
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Executes.
    pub(crate) fn execute(&self, data: &Value) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field { path, json } => {
                    let mut value = data;
                    for name in path {
                        value = value.get(name).ok_or_else(|| {
                            format!("template: :1:2: executing \"\" at <.{0}>: map has no entry for key \"{0}\"", name)
                        })?;
                    }
                    match value {
                        Value::String(part) | Value::Number(part) if !json => text.push_str(part),
                        value => text.push_str(&value.to_json(false)),
                    }
                }
            }
        }
        Ok(text)
    }

    /// Executes; a missing key is an error.
    pub(crate) fn execute_strict(&self, data: &Value) -> Result<String, String> {
        self.execute(data)
    }

    /// Executes over the names of the columns.
    pub(crate) fn header(&self, names: &Value) -> Result<String, String> {
        self.execute(names)
    }
}
