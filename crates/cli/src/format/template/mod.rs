//! Pure: Go's text/template over JSON values, as far as `--format` can use it.

mod eval;
mod functions;
mod lex;
mod parse;
mod printf;

use std::collections::BTreeMap;

use crate::format::value::Value;
use parse::Node;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    nodes: Vec<Node>,
    /// Those of `define` and `block`, by name.
    defined: BTreeMap<String, Vec<Node>>,
}

/// What a template runs on, which decides what a missing field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over<'a> {
    /// A decoded document: a missing key is an error that names the key.
    Document,
    /// A row of a list: a missing field is an error that names this Go type.
    Row(&'a str),
    /// The names of the columns: functions leave them alone.
    Header,
}

impl Template {
    /// Parses. The error is Go's text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tokens = lex::lex(text)?;
        let (nodes, defined) = parse::parse(tokens)?;
        Ok(Self {
            text: text.to_owned(),
            nodes,
            defined,
        })
    }

    /// Executes over `data`. The error is Go's text.
    pub(crate) fn execute(&self, data: &Value, over: Over<'_>) -> Result<String, String> {
        eval::execute(self, data, over)
    }
}

/// Functions that a template may call.
pub(crate) const FUNCTIONS: [&str; 28] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js",
    "urlquery", "call", "eq", "ne", "lt", "le", "gt", "ge", "json", "split", "join", "title",
    "lower", "upper", "pad", "truncate", "break",
];

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = r#"{"Id":"abc","Name":"/s1","Args":["1000"],
        "State":{"Status":"exited","Running":false,"Pid":0,"Error":""},
        "Config":{"Env":["PATH=/bin","A=1"],"Labels":{"a":"1","b":"2"},"Image":"busybox"},
        "HostConfig":{"Binds":null,"PidsLimit":null,"LogConfig":{"Type":"json-file","Config":{}}},
        "NetworkSettings":{"Ports":{},"Networks":{"none":{"NetworkID":"n1"}}}}"#;

    fn run(template: &str) -> Result<String, String> {
        let data: Value = serde_json::from_str(DATA).unwrap();
        Template::parse(template)?.execute(&data, Over::Document)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn results_are_go_s() {
        for (template, expected) in [
            ("{{.State.Status}}", "exited"),
            ("{{.ID}} {{.Id}}", "abc abc"),
            ("{{.Name | upper}}", "/S1"),
            ("{{.Config.Env}}", "[PATH=/bin A=1]"),
            ("{{.Config.Labels}}", "map[a:1 b:2]"),
            ("{{.HostConfig.Binds}}{{.HostConfig.PidsLimit}}", "[]<nil>"),
            ("{{.HostConfig.LogConfig}}", "{json-file map[]}"),
            (
                "{{index .Config.Labels \"x\"}}|{{index .Config.Labels \"a\"}}",
                "|1",
            ),
            (
                "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.NetworkID}}{{end}}",
                "none=n1",
            ),
            (
                r#"{{printf "%s %d %q %v %5d|%-5s|%05d %x" .Name .State.Pid .Name .State.Running 3 "a" 7 255}}"#,
                "/s1 0 \"/s1\" false     3|a    |00007 ff",
            ),
            ("{{json .Config.Labels}}", r#"{"a":"1","b":"2"}"#),
            ("{{len .Config.Env}}{{len .Name}}", "23"),
            (
                "{{eq .State.Pid 0}} {{eq .Name \"a\" \"/s1\"}}",
                "true true",
            ),
            ("{{and 1 0}} {{or 0 \"x\"}} {{not 1}}", "0 x false"),
            ("{{with .Config}}{{.Image}}{{end}}", "busybox"),
            ("{{/* c */}}x {{- \"y\" -}} z", "xyz"),
            ("{{split .Name \"s\"}}", "[/ 1]"),
            ("{{join .Config.Env \",\"}}", "PATH=/bin,A=1"),
            (
                "{{title \"abc def\"}} {{truncate .Name 2}} {{pad \"x\" 2 3}}|",
                "Abc Def /s   x   |",
            ),
            ("{{println \"a\" 1}}", "a 1\n"),
            (
                "{{range .Config.Env}}{{.}};{{else}}none{{end}}",
                "PATH=/bin;A=1;",
            ),
            (
                "{{range .NetworkSettings.Ports}}x{{else}}none{{end}}",
                "none",
            ),
            (
                "{{range $i, $e := .Config.Env}}{{if eq $i 1}}{{break}}{{end}}{{$e}}{{end}}",
                "PATH=/bin",
            ),
            (
                "{{range .Config.Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}",
                "PATH=/bin",
            ),
            (
                "{{slice .Name 1 2}} {{index .Args 0}} {{lt 1 2}}",
                "s 1000 true",
            ),
            ("{{$x := 1}}{{$x = 2}}{{$x}}", "2"),
            (
                "{{define \"a\"}}A{{.}}{{end}}{{template \"a\" .Name}}",
                "A/s1",
            ),
            ("{{block \"b\" .Id}}<{{.}}>{{end}}", "<abc>"),
            ("}}", "}}"),
            (
                "{{html \"<a>\"}} {{urlquery \"a b\"}} {{js \"a'b\"}}",
                "&lt;a&gt; a+b a\\'b",
            ),
            ("{{.NetworkSettings.Networks.none.NetworkID}}", "n1"),
            (
                "{{if .State.Running}}r{{else if eq .State.Status \"exited\"}}e{{else}}o{{end}}",
                "e",
            ),
            (
                "{{.State.Health}} {{$.Name}} {{(index .Config.Env 1) | lower}}",
                "<nil> /s1 a=1",
            ),
            ("{{printf \"%d\" \"x\"}}", "%!d(string=x)"),
            (
                "{{with $e := .State.Error}}{{$e}}{{else}}fine{{end}}",
                "fine",
            ),
        ] {
            assert_eq!(run(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn complaints_are_go_s() {
        for (template, expected) in [
            (
                "{{.Nope}}",
                ":1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"",
            ),
            (
                "{{.State.Nope}}",
                ":1:8: executing \"\" at <.State.Nope>: map has no entry for key \"Nope\"",
            ),
            (
                "a{{.State.Pid.X}}",
                ":1:9: executing \"\" at <.State.Pid.X>: can't evaluate field X in type interface {}",
            ),
            ("{{nosuch}}", ":1: function \"nosuch\" not defined"),
            ("{{.State", ":1: unclosed action"),
            ("{{", ":1: unclosed action"),
            ("{{if}}", ":1: missing value for if"),
            ("{{end}}", ":1: unexpected {{end}}"),
            ("{{if .State}}x", ":1: unexpected EOF"),
            (
                "{{index .Config.Env 5}}",
                ":1:2: executing \"\" at <index .Config.Env 5>: error calling index: index out of range: 5",
            ),
            (
                "{{gt 1.5 2}}",
                ":1:2: executing \"\" at <gt 1.5 2>: error calling gt: incompatible types for comparison",
            ),
            ("{{\"a", ":1: unterminated quoted string"),
            ("{{.State.Status}", ":1: bad character U+007D '}'"),
            ("{{ .A B }}", ":1: function \"B\" not defined"),
            (
                "{{1 2}}",
                ":1:2: executing \"\" at <1>: can't give argument to non-function 1",
            ),
            (
                "{{range .X}}{{end}}",
                ":1:8: executing \"\" at <.X>: map has no entry for key \"X\"",
            ),
        ] {
            assert_eq!(
                run(template).unwrap_err(),
                format!("template: {expected}"),
                "{template}"
            );
        }
    }

    #[test]
    fn nothing_typed_makes_it_panic() {
        let pieces = [
            "{{", "}}", ".", "A", " ", "|", "(", ")", "\"", "range", "if", "end", "$x", ":=", "1",
            ",", "-", "`", "else", "define",
        ];
        let mut seed: u64 = 7;
        for _ in 0..20_000 {
            let mut text = String::from("{{");
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[usize::try_from(seed >> 33).unwrap() % pieces.len()]);
            }
            drop(run(&text));
        }
    }
}
