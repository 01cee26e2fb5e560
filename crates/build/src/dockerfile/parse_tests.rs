//! Tables of the parser.

use super::*;

fn only(line: &str) -> Instruction {
    let file = parse(&format!("FROM a\n{line}")).unwrap();
    file.stages[0].nodes[0].instruction.clone()
}

#[test]
fn stages() {
    let file =
        parse("ARG V=1\nFROM --platform=linux/amd64 a:$V AS Build\nRUN x\nfrom build\n").unwrap();
    assert_eq!(file.global.len(), 1);
    assert_eq!(file.stages[0].from.name.as_deref(), Some("build"));
    assert_eq!(file.stages[0].from.platform.as_deref(), Some("linux/amd64"));
    assert_eq!(file.stages[0].from.image, "a:$V");
    assert_eq!(file.stages[1].original, "from build");
    assert_eq!(file.stages[1].line, 4);
}

#[test]
fn forms() {
    let strings = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
    for (line, wanted) in [
        (
            "CMD [\"a\", \"b c\"]",
            Instruction::Cmd(Form::Exec(strings(&["a", "b c"]))),
        ),
        (
            "cmd a  'b c'",
            Instruction::Cmd(Form::Shell("a  'b c'".to_owned())),
        ),
        (
            "CMD ['a']",
            Instruction::Cmd(Form::Shell("['a']".to_owned())),
        ),
        ("CMD", Instruction::Cmd(Form::Shell(String::new()))),
        ("ENTRYPOINT []", Instruction::Entrypoint(Form::Exec(vec![]))),
        (
            "EXPOSE 80 90/udp",
            Instruction::Expose(strings(&["80", "90/udp"])),
        ),
        ("VOLUME [\"/a b\"]", Instruction::Volume(strings(&["/a b"]))),
        ("VOLUME /a /b", Instruction::Volume(strings(&["/a", "/b"]))),
        ("USER a b", Instruction::User("a b".to_owned())),
        (
            "SHELL [\"sh\", \"-ec\"]",
            Instruction::Shell(strings(&["sh", "-ec"])),
        ),
        (
            "ONBUILD RUN a \\\n b",
            Instruction::Onbuild("RUN a  b".to_owned()),
        ),
        (
            "ARG a b=c",
            Instruction::Arg(vec![("a".into(), None), ("b".into(), Some("c".into()))]),
        ),
        ("WORKDIR /a b", Instruction::Workdir("/a b".to_owned())),
    ] {
        assert_eq!(only(line), wanted, "{line}");
    }
}

#[test]
fn copies_and_checks() {
    let Instruction::Copy {
        add,
        flags,
        sources,
        dest,
        heredocs,
    } = only(
        "COPY --from=b --chown=1:2 --chmod=755 --link --exclude=*.o --exclude=x a \"b c\" /d/",
    )
    else {
        panic!("a COPY");
    };
    assert!(!add && flags.link && !flags.parents && heredocs.is_empty());
    assert_eq!(flags.from.as_deref(), Some("b"));
    assert_eq!(flags.exclude, ["*.o", "x"]);
    assert_eq!((sources.len(), dest.as_str()), (3, "/d/"));
    let Instruction::Copy {
        sources, heredocs, ..
    } = only("COPY <<a <<b /d/\n1\na\n2\nb")
    else {
        panic!("a COPY");
    };
    assert_eq!((sources.len(), heredocs[1].body.as_str()), (2, "2\n"));
    let Instruction::Healthcheck(check) = only("HEALTHCHECK --interval=1m --retries=3 CMD curl x")
    else {
        panic!("a HEALTHCHECK");
    };
    assert_eq!((check.interval_ns, check.retries), (60_000_000_000, 3));
    assert_eq!(check.test, Some(Form::Shell("curl x".to_owned())));
    assert_eq!(
        only("HEALTHCHECK NONE"),
        Instruction::Healthcheck(Healthcheck::default())
    );
}

/// Files that are no files, and why.
const REFUSED: &[(&str, &str)] = &[
    (" \n", "the Dockerfile cannot be empty"),
    ("ARG a", "dockerfile contains no stages to build"),
    (
        "RUN a",
        "dockerfile parse error on line 1: no build stage in current context",
    ),
    (
        "FROM",
        "dockerfile parse error on line 1: FROM requires either one or three arguments",
    ),
    (
        "FROM a b c",
        "dockerfile parse error on line 1: FROM requires either one or three arguments",
    ),
    (
        "FROM a AS 1b",
        "dockerfile parse error on line 1: invalid name for build stage: \"1b\", name can't start with a number or contain symbols",
    ),
    (
        "FROM --plat=x a",
        "dockerfile parse error on line 1: unknown flag: --plat",
    ),
    (
        "FROM a\n\nRNU x",
        "dockerfile parse error on line 3: unknown instruction: RNU (did you mean RUN?)",
    ),
    (
        "FROM a\nNOSUCH x",
        "dockerfile parse error on line 2: unknown instruction: NOSUCH",
    ),
    (
        "FROM a\nRUN",
        "dockerfile parse error on line 2: RUN requires at least one argument",
    ),
    (
        "FROM a\nRUN --mnt=x y",
        "dockerfile parse error on line 2: unknown flag: --mnt (did you mean mount?)",
    ),
    (
        "FROM a\nCOPY a",
        "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined.",
    ),
    (
        "FROM a\nCOPY --chown a b",
        "dockerfile parse error on line 2: missing a value on flag: --chown",
    ),
    (
        "FROM a\nCOPY --link=x a b",
        "dockerfile parse error on line 2: expecting boolean value for flag link, not: x",
    ),
    (
        "FROM a\nCOPY --chown=1 --chown=2 a b",
        "dockerfile parse error on line 2: duplicate flag specified: chown",
    ),
    (
        "FROM a\nCOPY a <<E\nE",
        "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination",
    ),
    (
        "FROM a\nCMD [1]",
        "dockerfile parse error on line 2: when using JSON array syntax, arrays must be comprised of strings only",
    ),
    (
        "FROM a\nSHELL sh",
        "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form",
    ),
    (
        "FROM a\nENV",
        "dockerfile parse error on line 2: ENV requires at least one argument",
    ),
    (
        "FROM a\nWORKDIR",
        "dockerfile parse error on line 2: WORKDIR requires exactly one argument",
    ),
    (
        "FROM a\nONBUILD ONBUILD RUN a",
        "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    ),
    (
        "FROM a\nONBUILD FROM b",
        "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger",
    ),
    (
        "FROM a\nHEALTHCHECK x",
        "dockerfile parse error on line 2: unknown type \"X\" in HEALTHCHECK (try CMD)",
    ),
    (
        "FROM a\nHEALTHCHECK --interval=1us CMD x",
        "dockerfile parse error on line 2: interval \"interval\" cannot be less than 1ms",
    ),
    (
        "FROM a\nRUN --network=x y",
        "dockerfile parse error on line 2: invalid network mode: x",
    ),
];

#[test]
fn refuses() {
    for (text, wanted) in REFUSED {
        assert_eq!(&parse(text).unwrap_err().to_string(), wanted, "{text:?}");
    }
}
