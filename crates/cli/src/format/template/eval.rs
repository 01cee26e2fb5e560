//! Pure: a tree and a value → text.

use super::functions;
use super::parse::{Command, Node, Operand, OperandKind, Pipe};
use super::{Over, Template};
use crate::format::value::Value;

/// How deep templates may call each other.
const DEEPEST: usize = 100;

/// Fields of Go's types that the documents leave out when empty, with what they then are.
const OPTIONAL: [(&str, &str); 16] = [
    ("Health", "<nil>"),
    ("Healthcheck", "<nil>"),
    ("Init", "<nil>"),
    ("StopTimeout", "<nil>"),
    ("SizeRw", "<nil>"),
    ("SizeRootFs", "<nil>"),
    ("ExposedPorts", "map[]"),
    ("Annotations", "map[]"),
    ("StorageOpt", "map[]"),
    ("Tmpfs", "map[]"),
    ("Sysctls", "map[]"),
    ("Mounts", "[]"),
    ("Shell", "[]"),
    ("StopSignal", ""),
    ("MacAddress", ""),
    ("Runtime", ""),
];

/// Fields that are maps in Go, and so print as `map[k:v]`; other objects print as `{v v}`.
const MAPS: [&str; 18] = [
    "Labels",
    "Annotations",
    "Tmpfs",
    "Sysctls",
    "StorageOpt",
    "Ports",
    "Networks",
    "PortBindings",
    "ExposedPorts",
    "Volumes",
    "Data",
    "Options",
    "DriverOpts",
    "EndpointsConfig",
    "Details",
    "Attributes",
    "Runtimes",
    "LogConfig.Config",
];

/// Null fields that are pointers in Go.
const POINTERS: [&str; 8] = [
    "PidsLimit",
    "MemorySwappiness",
    "OomKillDisable",
    "IPAMConfig",
    "Health",
    "Init",
    "StopTimeout",
    "Platform",
];

/// A value, and how its kind shows: the field that it came from.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) value: Value,
    /// The name of the last field, which tells maps from structs.
    pub(super) field: String,
}

impl Item {
    pub(super) fn new(value: Value) -> Self {
        Self {
            value,
            field: String::new(),
        }
    }
}

enum Flow {
    Go,
    Break,
    Continue,
}

struct Machine<'a> {
    template: &'a Template,
    over: Over<'a>,
    out: String,
    variables: Vec<(String, Item)>,
    depth: usize,
}

/// Executes a template.
pub(super) fn execute(template: &Template, data: &Value, over: Over<'_>) -> Result<String, String> {
    let root = Item::new(data.clone());
    let mut machine = Machine {
        template,
        over,
        out: String::new(),
        variables: vec![("$".to_owned(), root.clone())],
        depth: 0,
    };
    machine.walk(&template.nodes, &root)?;
    Ok(machine.out)
}

impl Machine<'_> {
    /// Makes Go's message about a place in the text.
    fn complain(&self, at: usize, shown: &str, what: &str) -> String {
        let text = &self.template.text;
        let before = &text[..at.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rfind('\n')
            .map_or(before.len(), |newline| before.len() - newline - 1);
        // Go cuts long excerpts.
        let shown = if shown.chars().count() > 20 {
            format!("{}...", shown.chars().take(20).collect::<String>())
        } else {
            shown.to_owned()
        };
        format!("template: :{line}:{column}: executing \"\" at <{shown}>: {what}")
    }

    fn walk(&mut self, nodes: &[Node], dot: &Item) -> Result<Flow, String> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::Go
                }
                Node::Action(pipe) => {
                    let item = self.pipe(pipe, dot)?;
                    if pipe.variables.is_empty() {
                        self.out.push_str(&show(&item));
                    }
                    Flow::Go
                }
                Node::If {
                    pipe,
                    then,
                    otherwise,
                } => {
                    let mark = self.variables.len();
                    let item = self.pipe(pipe, dot)?;
                    let branch = if is_true(&item.value) {
                        then
                    } else {
                        otherwise
                    };
                    let flow = self.walk(branch, dot)?;
                    self.variables.truncate(mark);
                    flow
                }
                Node::With {
                    pipe,
                    then,
                    otherwise,
                } => {
                    let mark = self.variables.len();
                    let item = self.pipe(pipe, dot)?;
                    let flow = if is_true(&item.value) {
                        self.walk(then, &item)?
                    } else {
                        self.walk(otherwise, dot)?
                    };
                    self.variables.truncate(mark);
                    flow
                }
                Node::Range {
                    pipe,
                    body,
                    otherwise,
                } => self.range(pipe, body, otherwise, dot)?,
                Node::Call { name, pipe, at } => {
                    self.call(name, pipe.as_ref(), *at, dot)?;
                    Flow::Go
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            };
            if !matches!(flow, Flow::Go) {
                return Ok(flow);
            }
        }
        Ok(Flow::Go)
    }

    fn call(
        &mut self,
        name: &str,
        pipe: Option<&Pipe>,
        at: usize,
        dot: &Item,
    ) -> Result<(), String> {
        let shown = format!("{{{{template \"{name}\"}}}}");
        let Some(nodes) = self.template.defined.get(name) else {
            return Err(self.complain(at, &shown, &format!("template \"{name}\" not defined")));
        };
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.complain(at, &shown, "exceeded maximum template depth (100000)"));
        }
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Item::new(Value::Null),
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        self.walk(nodes, &dot)?;
        self.variables = outer;
        self.depth -= 1;
        Ok(())
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        body: &[Node],
        otherwise: &[Node],
        dot: &Item,
    ) -> Result<Flow, String> {
        let mark = self.variables.len();
        let over = self.commands(pipe, dot)?;
        let entries: Vec<(Value, Item)> = match over.value {
            Value::Array(values) => values
                .into_iter()
                .enumerate()
                .map(|(index, value)| (Value::Number(index.to_string()), Item::new(value)))
                .collect(),
            Value::Object(mut entries) => {
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries
                    .into_iter()
                    .map(|(key, value)| (Value::String(key), Item::new(value)))
                    .collect()
            }
            Value::Number(text) => (0..text.parse::<u32>().unwrap_or(0).min(1 << 20))
                .map(|n| {
                    (
                        Value::Number(n.to_string()),
                        Item::new(Value::Number(n.to_string())),
                    )
                })
                .collect(),
            Value::Null => Vec::new(),
            value => {
                let (at, shown) = last(pipe);
                let what = format!("range can't iterate over {}", show(&Item::new(value)));
                return Err(self.complain(at, &shown, &what));
            }
        };
        if entries.is_empty() {
            let flow = self.walk(otherwise, dot)?;
            self.variables.truncate(mark);
            return Ok(flow);
        }
        for (key, item) in entries {
            match &pipe.variables[..] {
                [one] => self.set(one, item.clone(), pipe.assigns),
                [first, second] => {
                    self.set(first, Item::new(key), pipe.assigns);
                    self.set(second, item.clone(), pipe.assigns);
                }
                _ => {}
            }
            let flow = self.walk(body, &item)?;
            self.variables.truncate(mark);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(Flow::Go)
    }

    fn set(&mut self, name: &str, item: Item, assigns: bool) {
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        match known {
            Some((_, old)) if assigns => *old = item,
            _ => self.variables.push((name.to_owned(), item)),
        }
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Item) -> Result<Item, String> {
        let item = self.commands(pipe, dot)?;
        if let [name] = &pipe.variables[..] {
            self.set(name, item.clone(), pipe.assigns);
        }
        Ok(item)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Item) -> Result<Item, String> {
        let mut result = None;
        for command in &pipe.commands {
            result = Some(self.command(command, dot, result)?);
        }
        Ok(result.unwrap_or_else(|| Item::new(Value::Null)))
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Item,
        piped: Option<Item>,
    ) -> Result<Item, String> {
        let Some(first) = command.words.first() else {
            return Ok(Item::new(Value::Null));
        };
        let rest = &command.words[1..];
        if let OperandKind::Function(name) = &first.kind {
            // `and` and `or` look no further than they need.
            if let "and" | "or" = name.as_str() {
                return self.short_circuit(name, rest, dot, piped);
            }
            let mut arguments = Vec::new();
            for word in rest {
                arguments.push(self.operand(word, dot)?);
            }
            arguments.extend(piped);
            if name == "json"
                && matches!(self.over, Over::Row(_))
                && let [
                    Item {
                        value: row @ Value::Object(_),
                        ..
                    },
                ] = &arguments[..]
            {
                // A whole row is shown as `--format json` shows it.
                let text = crate::format::sorted(row).to_json(true);
                return Ok(Item::new(Value::String(text)));
            }
            let items = functions::call(name, &arguments, self.over == Over::Header);
            let item = items.map_err(|what| {
                self.complain(
                    command.at,
                    &command.to_string(),
                    &format!("error calling {name}: {what}"),
                )
            })?;
            return self.fields(item, first);
        }
        let mut arguments = Vec::new();
        for word in rest {
            arguments.push(self.operand(word, dot)?);
        }
        arguments.extend(piped);
        if first.fields.is_empty() {
            if !arguments.is_empty() {
                let shown = first.to_string();
                let what = format!("can't give argument to non-function {shown}");
                return Err(self.complain(first.at, &shown, &what));
            }
            return self.operand(first, dot);
        }
        self.method(first, dot, &arguments)
    }

    /// A field with arguments: the only methods are lookups, as `.Label "key"`.
    fn method(
        &mut self,
        operand: &Operand,
        dot: &Item,
        arguments: &[Item],
    ) -> Result<Item, String> {
        let name = operand.fields.last().map_or("", String::as_str);
        let is_method = name == "Label" && self.over != Over::Document;
        if !is_method {
            if !arguments.is_empty() {
                let shown = operand.to_string();
                let what = format!("{name} has arguments but cannot be invoked as function");
                return Err(self.complain(operand.at, &shown, &what));
            }
            return self.operand(operand, dot);
        }
        let [key] = arguments else {
            let shown = operand.to_string();
            let what = format!(
                "wrong number of args for {name}: want 1 got {}",
                arguments.len()
            );
            return Err(self.complain(operand.at, &shown, &what));
        };
        let key = show(key);
        if self.over == Over::Header {
            let last = key.rsplit('.').next().unwrap_or_default();
            return Ok(Item::new(Value::String(last.replace(['-', '_'], " "))));
        }
        let found = dot
            .value
            .get(name)
            .and_then(|labels| labels.get(&key))
            .cloned();
        Ok(Item::new(found.unwrap_or_else(|| Value::text(""))))
    }

    fn short_circuit(
        &mut self,
        name: &str,
        words: &[Operand],
        dot: &Item,
        piped: Option<Item>,
    ) -> Result<Item, String> {
        let mut result = Item::new(Value::Null);
        for word in words {
            result = self.operand(word, dot)?;
            if is_true(&result.value) == (name == "or") {
                return Ok(result);
            }
        }
        Ok(piped.unwrap_or(result))
    }

    fn operand(&mut self, operand: &Operand, dot: &Item) -> Result<Item, String> {
        let base = match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let Some((_, item)) = found else {
                    let what = format!("undefined variable: {name}");
                    return Err(self.complain(operand.at, name, &what));
                };
                item.clone()
            }
            OperandKind::Function(name) => {
                let result = functions::call(name, &[], self.over == Over::Header);
                result.map_err(|what| {
                    self.complain(operand.at, name, &format!("error calling {name}: {what}"))
                })?
            }
            OperandKind::String(text) => Item::new(Value::text(text)),
            OperandKind::Number(text) => Item::new(Value::Number(text.clone())),
            OperandKind::Bool(value) => Item::new(Value::Bool(*value)),
            OperandKind::Nil => Item::new(Value::Null),
            OperandKind::Paren(pipe) => self.pipe(pipe, dot)?,
        };
        self.fields(base, operand)
    }

    fn fields(&self, base: Item, operand: &Operand) -> Result<Item, String> {
        let mut item = base;
        for name in &operand.fields {
            let Some(value) = lookup(&item.value, name) else {
                let value = self.missing(&item, name, operand)?;
                let known = OPTIONAL.iter().any(|(known, _)| *known == name);
                let field = if known { name.clone() } else { String::new() };
                item = Item { value, field };
                continue;
            };
            let qualified = format!("{}.{name}", item.field);
            let field = if MAPS.contains(&qualified.as_str()) {
                qualified
            } else {
                name.clone()
            };
            item = Item { value, field };
        }
        Ok(item)
    }

    /// What a field is that is not there.
    fn missing(&self, item: &Item, name: &str, operand: &Operand) -> Result<Value, String> {
        let complain = |what: &str| Err(self.complain(operand.at, &operand.to_string(), what));
        match (self.over, &item.value) {
            (Over::Header, _) => Ok(Value::text(name)),
            (Over::Row(kind), Value::Object(_)) => {
                complain(&format!("can't evaluate field {name} in type {kind}"))
            }
            (Over::Document, Value::Object(_)) => {
                if let Some((_, zero)) = OPTIONAL.iter().find(|(known, _)| *known == name) {
                    return Ok(if zero.is_empty() {
                        Value::text("")
                    } else {
                        Value::Null
                    });
                }
                if is_map(&item.field) {
                    return Ok(Value::Null);
                }
                complain(&format!("map has no entry for key \"{name}\""))
            }
            (_, Value::Null) if is_map(&item.field) || item.field.is_empty() => Ok(Value::Null),
            (_, Value::Null) if POINTERS.contains(&item.field.as_str()) => {
                complain(&format!("nil pointer evaluating interface {{}}.{name}"))
            }
            // A value that is absent stays absent: Go prints <no value>.
            (_, Value::Null) => Ok(Value::Null),
            _ => complain(&format!(
                "can't evaluate field {name} in type interface {{}}"
            )),
        }
    }
}

fn is_map(field: &str) -> bool {
    MAPS.contains(&field)
}

/// Finds a field by its key or by the name that Go's type has for it.
fn lookup(value: &Value, name: &str) -> Option<Value> {
    if let Some(found) = value.get(name) {
        return Some(found.clone());
    }
    let json_name = match name {
        "ID" => "Id",
        "DNS" => "Dns",
        "DNSOptions" => "DnsOptions",
        "DNSSearch" => "DnsSearch",
        "NanoCPUs" => "NanoCpus",
        "HostIP" => "HostIp",
        "APIVersion" => "ApiVersion",
        _ => return None,
    };
    value.get(json_name).cloned()
}

/// Returns where the last command of a pipeline stands, and how it reads.
fn last(pipe: &Pipe) -> (usize, String) {
    pipe.commands.last().map_or((0, String::new()), |command| {
        (command.at, command.to_string())
    })
}

/// Go's truth: not false, not 0, not empty, not nil.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(text) => text.parse::<f64>().is_ok_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        // A struct is true even when empty; a map is not. Empty objects here are maps.
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// Prints as Go's `fmt.Print` does.
pub(super) fn show(item: &Item) -> String {
    match &item.value {
        Value::Null if item.field.is_empty() => "<no value>".to_owned(),
        Value::Null if is_map(&item.field) => "map[]".to_owned(),
        Value::Null if POINTERS.contains(&item.field.as_str()) => "<nil>".to_owned(),
        Value::Null => match OPTIONAL.iter().find(|(known, _)| *known == item.field) {
            Some((_, zero)) => (*zero).to_owned(),
            None => "[]".to_owned(),
        },
        value => show_value(value, &item.field),
    }
}

fn show_value(value: &Value, field: &str) -> String {
    match value {
        Value::Null => show(&Item {
            value: Value::Null,
            field: field.to_owned(),
        }),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) | Value::String(text) => text.clone(),
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(|value| show_value(value, "")).collect();
            format!("[{}]", parts.join(" "))
        }
        Value::Object(entries) if is_map(field) || entries.is_empty() => {
            let mut parts: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key}:{}", show_value(value, "")))
                .collect();
            parts.sort();
            format!("map[{}]", parts.join(" "))
        }
        Value::Object(entries) => {
            let parts: Vec<String> = entries
                .iter()
                .map(|(key, value)| {
                    let qualified = format!("{field}.{key}");
                    show_value(value, if is_map(&qualified) { &qualified } else { key })
                })
                .collect();
            // The one pointer that Go prints though the document leaves it out.
            let health = field == "State" && value.get("Health").is_none();
            format!(
                "{{{}{}}}",
                parts.join(" "),
                if health { " <nil>" } else { "" }
            )
        }
    }
}
