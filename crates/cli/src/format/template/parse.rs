//! Pure: tokens → a tree.

use std::collections::BTreeMap;

use super::FUNCTIONS;
use super::lex::{Kind, Token};

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Printed as it is.
    Text(String),
    /// `{{pipeline}}`
    Action(Pipe),
    /// `{{if}}`
    If {
        pipe: Pipe,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `{{with}}`
    With {
        pipe: Pipe,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `{{range}}`
    Range {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `{{template "name" pipeline}}`
    Call {
        name: String,
        pipe: Option<Pipe>,
        at: usize,
    },
    /// `{{break}}`
    Break,
    /// `{{continue}}`
    Continue,
}

/// Commands, each handed the result of the one before.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    /// Variables that get the result.
    pub(super) variables: Vec<String>,
    /// `=` and not `:=`.
    pub(super) assigns: bool,
    /// The commands.
    pub(super) commands: Vec<Command>,
}

/// Words: what is called, or what stands for itself, and arguments.
#[derive(Clone, Debug)]
pub(super) struct Command {
    /// The words.
    pub(super) words: Vec<Operand>,
    /// Where it begins.
    pub(super) at: usize,
}

/// One word of a command.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    /// What it is.
    pub(super) kind: OperandKind,
    /// Fields behind it: `$x.A.B`, `(…).A`.
    pub(super) fields: Vec<String>,
    /// Where Go says that it is: its second field, if there is one.
    pub(super) at: usize,
}

/// What a word is.
#[derive(Clone, Debug)]
pub(super) enum OperandKind {
    /// `.`, or a field of it.
    Dot,
    /// A variable.
    Variable(String),
    /// A function.
    Function(String),
    /// A text.
    String(String),
    /// A number.
    Number(String),
    /// `true`, `false`
    Bool(bool),
    /// `nil`
    Nil,
    /// `(…)`
    Paren(Pipe),
}

/// Which word ended a list of nodes.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    End,
    Else,
    ElseWith(String),
}

pub(super) type Defined = BTreeMap<String, Vec<Node>>;

/// Parses tokens.
pub(super) fn parse(tokens: Vec<Token>) -> Result<(Vec<Node>, Defined), String> {
    let mut parser = Parser {
        tokens,
        next: 0,
        defined: BTreeMap::new(),
        loops: 0,
        depth: 0,
    };
    let mut nodes = Vec::new();
    while parser.next < parser.tokens.len() {
        match parser.node(&mut nodes)? {
            None => {}
            Some(Ended::End) => return Err(parser.complain("unexpected {{end}}")),
            Some(_) => return Err(parser.complain("unexpected {{else}}")),
        }
    }
    Ok((nodes, parser.defined))
}

/// How deep parentheses and blocks may nest.
const DEEPEST: usize = 100;

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    defined: Defined,
    loops: usize,
    depth: usize,
}

impl Parser {
    fn complain(&self, what: &str) -> String {
        let at = self.next.min(self.tokens.len().saturating_sub(1));
        let line = self.tokens.get(at).map_or(1, |token| token.line);
        format!("template: :{line}: {what}")
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.at)
    }

    fn take(&mut self) -> Option<Kind> {
        let kind = self.tokens.get(self.next).map(|token| token.kind.clone());
        self.next += 1;
        kind
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Kind::Space) {
            self.next += 1;
        }
    }

    /// Takes one text or action. Says if it was an `end` or `else`.
    fn node(&mut self, nodes: &mut Vec<Node>) -> Result<Option<Ended>, String> {
        if let Some(Kind::Text(text)) = self.peek() {
            nodes.push(Node::Text(text.clone()));
            self.next += 1;
            return Ok(None);
        }
        self.next += 1;
        self.skip_space();
        let word = match self.peek() {
            Some(Kind::Word(word)) => word.clone(),
            _ => String::new(),
        };
        let special = [
            "if", "with", "range", "end", "else", "define", "block", "template", "break",
            "continue",
        ];
        if !special.contains(&word.as_str()) {
            let pipe = self.pipe("command", &Kind::Close)?;
            nodes.push(Node::Action(pipe));
            return Ok(None);
        }
        self.next += 1;
        self.keyword(&word, nodes)
    }

    fn keyword(&mut self, word: &str, nodes: &mut Vec<Node>) -> Result<Option<Ended>, String> {
        match word {
            "end" => {
                self.close("end")?;
                return Ok(Some(Ended::End));
            }
            "else" => {
                self.skip_space();
                if let Some(Kind::Word(word)) = self.peek()
                    && matches!(word.as_str(), "if" | "with")
                {
                    let word = word.clone();
                    self.next += 1;
                    return Ok(Some(Ended::ElseWith(word)));
                }
                self.close("else")?;
                return Ok(Some(Ended::Else));
            }
            "if" | "with" | "range" => {
                let node = self.control(word)?;
                nodes.push(node);
            }
            "define" => self.define()?,
            "block" => {
                let at = self.position();
                let name = self.name("block clause")?;
                let pipe = self.pipe("block clause", &Kind::Close)?;
                let (body, _) = self.list(&["end"])?;
                self.defined.insert(name.clone(), body);
                nodes.push(Node::Call {
                    name,
                    pipe: Some(pipe),
                    at,
                });
            }
            "template" => {
                let at = self.position();
                let name = self.name("template clause")?;
                self.skip_space();
                let pipe = if self.peek() == Some(&Kind::Close) {
                    self.next += 1;
                    None
                } else {
                    Some(self.pipe("template clause", &Kind::Close)?)
                };
                nodes.push(Node::Call { name, pipe, at });
            }
            _ => {
                self.close(word)?;
                if self.loops == 0 {
                    return Err(self.complain(&format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                nodes.push(if word == "break" {
                    Node::Break
                } else {
                    Node::Continue
                });
            }
        }
        Ok(None)
    }

    fn define(&mut self) -> Result<(), String> {
        let name = self.name("define clause")?;
        self.close("define clause")?;
        let (body, _) = self.list(&["end"])?;
        self.defined.insert(name, body);
        Ok(())
    }

    fn name(&mut self, context: &str) -> Result<String, String> {
        self.skip_space();
        match self.take() {
            Some(Kind::String(name)) => Ok(name),
            _ => Err(self.complain(&format!("unexpected token in {context}"))),
        }
    }

    fn close(&mut self, context: &str) -> Result<(), String> {
        self.skip_space();
        match self.take() {
            Some(Kind::Close) => Ok(()),
            _ => Err(self.complain(&format!("unexpected token in {context}"))),
        }
    }

    /// Takes nodes up to one of the words that may end them here.
    fn list(&mut self, _enders: &[&str]) -> Result<(Vec<Node>, Ended), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.complain("nested too deeply"));
        }
        let mut nodes = Vec::new();
        while self.next < self.tokens.len() {
            if let Some(ended) = self.node(&mut nodes)? {
                self.depth -= 1;
                return Ok((nodes, ended));
            }
        }
        Err(self.complain("unexpected EOF"))
    }

    fn control(&mut self, word: &str) -> Result<Node, String> {
        let pipe = self.pipe(word, &Kind::Close)?;
        if word == "range" {
            self.loops += 1;
        }
        let (then, ended) = self.list(&["end", "else"])?;
        if word == "range" {
            self.loops -= 1;
        }
        let otherwise = match ended {
            Ended::End => Vec::new(),
            Ended::Else => {
                let (nodes, ended) = self.list(&["end"])?;
                if ended != Ended::End {
                    return Err(self.complain("expected end; found {{else}}"));
                }
                nodes
            }
            // `else if` is an `if` within the `else`, which the same `end` ends.
            Ended::ElseWith(inner) => vec![self.control(&inner)?],
        };
        Ok(match word {
            "if" => Node::If {
                pipe,
                then,
                otherwise,
            },
            "with" => Node::With {
                pipe,
                then,
                otherwise,
            },
            _ => Node::Range {
                pipe,
                body: then,
                otherwise,
            },
        })
    }

    /// Takes a pipeline and what closes it.
    fn pipe(&mut self, context: &str, closer: &Kind) -> Result<Pipe, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.complain("nested too deeply"));
        }
        let mut pipe = Pipe::default();
        self.skip_space();
        self.declarations(&mut pipe, context == "range");
        loop {
            self.skip_space();
            if self.peek() == Some(closer) {
                self.next += 1;
                if pipe.commands.is_empty() {
                    return Err(self.complain(&format!("missing value for {context}")));
                }
                self.depth -= 1;
                return Ok(pipe);
            }
            let command = self.command(context)?;
            pipe.commands.push(command);
            self.skip_space();
            if self.peek() == Some(&Kind::Pipe) {
                self.next += 1;
                self.skip_space();
                if self.peek() == Some(closer) {
                    return Err(self.complain(&format!("missing value for {context}")));
                }
            } else if self.peek() != Some(closer) {
                return Err(self.unexpected(context));
            }
        }
    }

    fn unexpected(&self, context: &str) -> String {
        let shown = match self.peek() {
            None => return self.complain("unexpected EOF"),
            Some(Kind::Close) => "\"}}\"".to_owned(),
            Some(Kind::CloseParen) => "\")\"".to_owned(),
            Some(Kind::Pipe) => "\"|\"".to_owned(),
            Some(Kind::Comma) => "\",\"".to_owned(),
            Some(Kind::Assign) => "\"=\"".to_owned(),
            Some(Kind::Declare) => "\":=\"".to_owned(),
            Some(Kind::Word(word) | Kind::Number(word) | Kind::Variable(word)) => {
                format!("<{word}>")
            }
            Some(Kind::Field(name)) => format!("<.{name}>"),
            Some(_) => "<.>".to_owned(),
        };
        self.complain(&format!("unexpected {shown} in {context}"))
    }

    /// Takes `$a, $b :=`, if it stands here.
    fn declarations(&mut self, pipe: &mut Pipe, two: bool) {
        let start = self.next;
        let mut variables = Vec::new();
        while let Some(Kind::Variable(name)) = self.peek() {
            variables.push(name.clone());
            self.next += 1;
            self.skip_space();
            match self.peek() {
                Some(Kind::Comma) if two && variables.len() == 1 => {
                    self.next += 1;
                    self.skip_space();
                }
                Some(kind @ (Kind::Declare | Kind::Assign)) => {
                    pipe.assigns = *kind == Kind::Assign;
                    pipe.variables = variables;
                    self.next += 1;
                    return;
                }
                _ => break,
            }
        }
        self.next = start;
    }

    fn command(&mut self, context: &str) -> Result<Command, String> {
        let at = self.position();
        let mut words = Vec::new();
        loop {
            self.skip_space();
            match self.operand()? {
                Some(operand) => words.push(operand),
                None if words.is_empty() => {
                    return Err(match self.peek() {
                        Some(Kind::Pipe | Kind::Close | Kind::CloseParen) | None => {
                            self.complain(&format!("missing value for {context}"))
                        }
                        Some(_) => self.unexpected("operand"),
                    });
                }
                None => return Ok(Command { words, at }),
            }
            // Words stand apart.
            if !matches!(self.peek(), Some(Kind::Space)) {
                return Ok(Command { words, at });
            }
        }
    }

    fn operand(&mut self) -> Result<Option<Operand>, String> {
        let mut at = self.position();
        let mut fields = Vec::new();
        let kind = match self.peek() {
            Some(Kind::Dot) => OperandKind::Dot,
            Some(Kind::Field(name)) => {
                fields.push(name.clone());
                OperandKind::Dot
            }
            Some(Kind::Variable(name)) => OperandKind::Variable(name.clone()),
            Some(Kind::String(text)) => OperandKind::String(text.clone()),
            Some(Kind::Number(text)) => {
                if text.parse::<f64>().is_err() {
                    return Err(self.complain(&format!("bad number syntax: \"{text}\"")));
                }
                OperandKind::Number(text.trim_start_matches('+').to_owned())
            }
            Some(Kind::Word(word)) => match word.as_str() {
                "true" | "false" => OperandKind::Bool(word == "true"),
                "nil" => OperandKind::Nil,
                name if FUNCTIONS.contains(&name) => OperandKind::Function(name.to_owned()),
                name => {
                    return Err(self.complain(&format!("function \"{name}\" not defined")));
                }
            },
            Some(Kind::OpenParen) => {
                self.next += 1;
                let pipe = self.pipe("parenthesized pipeline", &Kind::CloseParen)?;
                self.next -= 1;
                OperandKind::Paren(pipe)
            }
            _ => return Ok(None),
        };
        self.next += 1;
        let mut first = true;
        while let Some(Kind::Field(name)) = self.peek() {
            if first {
                at = self.position();
                first = false;
            }
            fields.push(name.clone());
            self.next += 1;
        }
        Ok(Some(Operand { kind, fields, at }))
    }
}

impl std::fmt::Display for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            OperandKind::Dot if self.fields.is_empty() => f.write_str(".")?,
            OperandKind::Dot => {}
            OperandKind::Variable(name)
            | OperandKind::Function(name)
            | OperandKind::Number(name) => {
                f.write_str(name)?;
            }
            OperandKind::String(text) => f.write_str(&crate::flags::quote(text))?,
            OperandKind::Bool(value) => write!(f, "{value}")?,
            OperandKind::Nil => f.write_str("nil")?,
            OperandKind::Paren(pipe) => {
                f.write_str("(")?;
                for (index, command) in pipe.commands.iter().enumerate() {
                    if index > 0 {
                        f.write_str(" | ")?;
                    }
                    write!(f, "{command}")?;
                }
                f.write_str(")")?;
            }
        }
        self.fields
            .iter()
            .try_for_each(|field| write!(f, ".{field}"))
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{word}")?;
        }
        Ok(())
    }
}
