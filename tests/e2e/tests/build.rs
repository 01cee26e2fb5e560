//! `build`: a Dockerfile becomes an image.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use testkit::{BOX, Engine, Output, case};

/// Makes a context with a Dockerfile on top of the image of the cases.
fn context(e: &Engine, name: &str, dockerfile: &str) -> PathBuf {
    let dir = e.temp().path().join(name);
    fs::create_dir_all(&dir).expect("a directory of ours");
    fs::write(dir.join("Dockerfile"), format!("FROM {BOX}\n{dockerfile}")).expect("a file");
    dir
}

fn write(dir: &std::path::Path, path: &str, text: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("below")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// Builds with more words, and returns what was said.
fn build(e: &Engine, dir: &std::path::Path, words: &[&str]) -> Output {
    let dir = dir.display().to_string();
    let mut all = vec!["build"];
    all.extend(words);
    all.push(&dir);
    e.cli(&all)
}

fn image(e: &Engine, name: &str) -> Value {
    let reply = e.get_path(&format!("/images/{name}/json"));
    reply.is(200).json()
}

fn run(e: &Engine, image: &str, script: &str) -> Output {
    let words = ["run", "--rm", "--network", "none", "--entrypoint", "sh"];
    let mut words = words.to_vec();
    words.extend([image, "-c", script]);
    e.cli(&words)
}

/// Removes an image with all that a build made for it.
fn forget(e: &Engine, names: &[&str]) {
    let mut words = vec!["rmi", "-f"];
    words.extend(names);
    e.cli(&words).exits(0);
}

case!(what_an_image_says, |e| {
    let tag = e.name("says");
    let dir = context(
        e,
        "says",
        r#"ENV A=one B="two words"
ENV C three $A
LABEL l="$A" m=n
WORKDIR /srv
WORKDIR sub
USER 1:2
EXPOSE 80 53/udp
VOLUME /data
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=5s --retries=2 CMD true
ENTRYPOINT ["echo"]
CMD ["a", "$A"]
ONBUILD RUN true
"#,
    );
    build(e, &dir, &["-t", &tag, "--label", "from=cli"]).exits(0);
    let image = image(e, &tag);
    let config = &image["Config"];
    let env = config["Env"].as_array().expect("a list");
    for wanted in ["A=one", "B=two words", "C=three one"] {
        assert!(env.contains(&Value::from(wanted)), "{wanted} in {env:?}");
    }
    for (key, value) in [
        ("WorkingDir", serde_json::json!("/srv/sub")),
        ("User", serde_json::json!("1:2")),
        ("StopSignal", serde_json::json!("SIGINT")),
        ("Entrypoint", serde_json::json!(["echo"])),
        ("Cmd", serde_json::json!(["a", "$A"])),
        ("OnBuild", serde_json::json!(["RUN true"])),
        ("Shell", serde_json::json!(["/bin/sh", "-ec"])),
        (
            "Labels",
            serde_json::json!({"l": "one", "m": "n", "from": "cli"}),
        ),
        ("Volumes", serde_json::json!({"/data": {}})),
        (
            "ExposedPorts",
            serde_json::json!({"80/tcp": {}, "53/udp": {}}),
        ),
    ] {
        assert_eq!(config[key], value, "{key}");
    }
    assert_eq!(
        config["Healthcheck"]["Test"],
        serde_json::json!(["CMD-SHELL", "true"])
    );
    assert_eq!(config["Healthcheck"]["Interval"], 5_000_000_000_i64);
    forget(e, &[&tag]);
});

case!(programs_and_files, |e| {
    let tag = e.name("files");
    let dir = context(
        e,
        "files",
        "COPY one two* /a/\nCOPY d /b\nCOPY --chown=7:8 one /c\nADD tar.tar /t/\nCOPY . /all/\n\
         RUN echo made > /made && rm /a/one && chmod 600 /c\nWORKDIR /w\nRUN pwd > here\n",
    );
    for path in [
        "one", "two1", "two2", "d/x", "d/e/y", "left/out", "left/in", "x.o",
    ] {
        write(&dir, path, path);
    }
    write(&dir, ".dockerignore", "# a comment\nleft\n!left/in\n*.o\n");
    write(&e.temp().path().join("packed"), "in/side", "side");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-cf").arg(dir.join("tar.tar"));
    tar.arg("-C").arg(e.temp().path().join("packed")).arg("in");
    testkit::Program::start(&mut tar).finish().exits(0);
    build(e, &dir, &["-t", &tag]).exits(0);
    let script = "ls /a; ls /b /b/e; stat -c '%u:%g %a' /c; cat /c; echo; cat /t/in/side; echo; \
        ls -A /all /all/left; cat /made /w/here";
    run(e, &tag, script).exits(0).says(
        "two1\ntwo2\n/b:\ne\nx\n\n/b/e:\ny\n7:8 600\none\nside\n\
         /all:\n.dockerignore\nDockerfile\nd\nleft\none\ntar.tar\ntwo1\ntwo2\n\n/all/left:\nin\n\
         made\n/w\n",
    );
    forget(e, &[&tag]);
});

case!(arguments, |e| {
    let tag = e.name("args");
    let dir = e.temp().path().join("args");
    let text = "ARG BASE=nothing\nARG SEEN=global\nFROM $BASE\nARG SEEN\nARG GIVEN=default\nARG EMPTY\n\
         ENV SEEN_=$SEEN GIVEN_=${GIVEN} EMPTY_=${EMPTY:-none} BASE_=${BASE:-gone}\nRUN echo $GIVEN > /given\n";
    write(&dir, "Dockerfile", text);
    let base = format!("BASE={BOX}");
    let words = [
        "-t",
        &tag,
        "--build-arg",
        &base,
        "--build-arg",
        "GIVEN=mine",
        "--build-arg",
        "UNUSED=1",
    ];
    let output = build(e, &dir, &words).exits(0).stdout.clone();
    assert!(
        output.contains("[Warning] One or more build-args [UNUSED] were not consumed"),
        "{output}"
    );
    run(
        e,
        &tag,
        "echo $SEEN_ $GIVEN_ $EMPTY_ $BASE_ ${GIVEN:-unset}; cat /given",
    )
    .exits(0)
    .says("global mine none gone unset\nmine\n");
    forget(e, &[&tag]);
});

case!(stages, |e| {
    let tag = e.name("stages");
    let dir = context(e, "stages", "");
    let text = format!(
        "FROM {BOX} AS Base\nRUN echo base > /base\nFROM base AS tool\nRUN echo tool > /tool\n\
         FROM {BOX} AS unused\nRUN exit 9\nFROM scratch AS empty\nCOPY --from=tool /tool /base /\n\
         FROM {BOX}\nCOPY --from=empty / /from/\nCOPY --from=1 /tool /again\n"
    );
    write(&dir, "Dockerfile", &text);
    let all = format!("{tag}:all");
    let one = format!("{tag}:one");
    if e.kind() == testkit::Kind::Wharf {
        build(e, &dir, &["-t", &all]).exits(0);
    } else {
        // Docker's own builder makes stages that nobody needs.
        write(&dir, "Dockerfile", &text.replace("RUN exit 9\n", ""));
        build(e, &dir, &["-t", &all]).exits(0);
    }
    run(e, &all, "ls /from; cat /from/tool /again; ls /base")
        .exits(1)
        .says("base\ntool\ntool\ntool\n");
    build(e, &dir, &["-t", &one, "--target", "BASE"]).exits(0);
    run(e, &one, "cat /base; ls /tool").exits(1).says("base\n");
    build(e, &dir, &["--target", "nowhere"])
        .exits(1)
        .complains("nowhere");
    forget(e, &[&all, &one]);
});

case!(what_was_built_before, |e| {
    let tag = e.name("cache");
    let dir = context(
        e,
        "cache",
        "COPY f /f\nRUN date +%N > /made\nCMD [\"cat\", \"/made\"]\n",
    );
    write(&dir, "f", "1");
    let id = |words: &[&str]| {
        let mut all = vec!["-q", "-t", &tag];
        all.extend(words);
        build(e, &dir, &all).ok().trim().to_owned()
    };
    let first = id(&[]);
    assert!(first.starts_with("sha256:"), "{first}");
    assert_eq!(id(&[]), first, "nothing changed");
    // Neither does a new time of a file.
    write(&dir, "f", "1");
    assert_eq!(id(&[]), first, "the same content");
    write(&dir, "f", "2");
    let second = id(&[]);
    assert_ne!(second, first, "a file changed");
    assert_ne!(id(&["--no-cache"]), second, "nothing is remembered");
    forget(e, &[&tag, &first, &second]);
});

case!(a_program_that_fails, |e| {
    let dir = context(e, "fails", "RUN echo before; exit 7\nRUN echo never\n");
    let output = build(e, &dir, &[]);
    output
        .exits(7)
        .complains("The command '/bin/sh -c echo before; exit 7' returned a non-zero code: 7");
    assert!(output.stdout.contains("before\n"), "{output:?}");
    assert!(!output.stdout.contains("never\n"), "{output:?}");
    e.cli(&["ps", "-aq", "--filter", "status=running"])
        .exits(0)
        .says("");
    let left = e.cli(&["ps", "-aq"]).ok().to_owned();
    for id in left.lines() {
        e.cli(&["rm", "-f", id]).exits(0);
    }
});

case!(files_that_cannot_be, |e| {
    for (text, wanted) in [
        (
            "RUNN x\n",
            "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
        ),
        (
            "RUN --nope x\n",
            "dockerfile parse error on line 2: unknown flag: --nope",
        ),
        ("ENV A\n", "ENV must have two arguments"),
        (
            "SHELL sh\n",
            "SHELL requires the arguments to be in JSON form",
        ),
        (
            "ONBUILD ONBUILD RUN x\n",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        (
            "COPY x\n",
            "COPY requires at least two arguments, but only one was provided",
        ),
        (
            "COPY nope /\n",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist",
        ),
        ("COPY ../nope /\n", "COPY failed: "),
        ("STOPSIGNAL NOPE\n", "NOPE"),
        (
            "CMD [1]\n",
            "when using JSON array syntax, arrays must be comprised of strings only",
        ),
    ] {
        let dir = context(e, "bad", text);
        build(e, &dir, &[]).exits(1).complains(wanted);
    }
    let nowhere = e.temp().at("nowhere");
    e.cli(&["build", &nowhere])
        .exits(1)
        .complains("unable to prepare context: path");
    let dir = context(e, "bad", "");
    build(e, &dir, &["-f", "/nosuch"]).exits(1).complains("unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat /nosuch: no such file or directory");
    build(e, &dir, &["-t", "UPPER"]).complains("invalid reference format");
    e.cli(&["images", "-q", "--filter", "dangling=true"])
        .exits(0)
        .says("");
});

case!(a_dockerfile_from_elsewhere, |e| {
    let tag = e.name("else");
    let dir = context(e, "else", "RUN exit 1\n");
    write(&dir, "f", "f");
    write(&dir, "sub/Other", &format!("FROM {BOX}\nCOPY f /other\n"));
    let other = dir.join("sub/Other").display().to_string();
    let ids = e.temp().at("id");
    build(e, &dir, &["-t", &tag, "-f", &other, "--iidfile", &ids]).exits(0);
    let id = fs::read_to_string(&ids).expect("it was written");
    assert_eq!(image(e, &tag)["Id"], id.trim());
    run(e, &tag, "cat /other").exits(0).says("f");
    let text = format!("FROM {BOX}\nRUN echo stdin > /stdin\n");
    e.cli_with(&text, &["build", "-t", &tag, "-"]).exits(0);
    run(e, &tag, "cat /stdin").exits(0).says("stdin\n");
    forget(e, &[&tag, id.trim()]);
});

case!(steps_are_shown_when_all_are, |e| {
    let tag = e.name("steps");
    let dir = context(e, "steps", "RUN echo a > /a\nRUN echo b > /b\nLABEL x=y\n");
    build(e, &dir, &["-t", &tag]).exits(0);
    let count = |words: &[&str]| {
        let mut all = vec!["images", "-q"];
        all.extend(words);
        e.cli(&all).ok().lines().count()
    };
    let (few, all) = (count(&[]), count(&["--all"]));
    assert!(all >= few + 2, "{few} and {all}");
    assert_eq!(count(&["--all", "--filter", "dangling=true"]), 0);
    forget(e, &[&tag]);
    assert_eq!(count(&["--all"]), few - 1, "a build's steps go with it");
});

case!(triggers_for_children, |e| {
    let (base, child) = (e.name("base"), e.name("child"));
    let dir = context(
        e,
        "base",
        "ONBUILD COPY f /f\nONBUILD ENV FROM_TRIGGER=yes\n",
    );
    build(e, &dir, &["-t", &base]).exits(0);
    let dir = e.temp().path().join("child");
    write(&dir, "Dockerfile", &format!("FROM {base}\n"));
    write(&dir, "f", "triggered");
    build(e, &dir, &["-t", &child]).exits(0);
    run(e, &child, "cat /f; echo $FROM_TRIGGER")
        .exits(0)
        .says("triggeredyes\n");
    assert!(
        image(e, &child)["Config"]["OnBuild"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    forget(e, &[&child, &base]);
});

case!(the_newer_language, |e| {
    let tag = e.name("newer");
    let dir = context(
        e,
        "newer",
        "ARG V=3\nCOPY <<one <<\"two\" /d/\nvalue $V\none\nvalue $V\ntwo\n\
         COPY --chmod=u=rwx,go= --exclude=*.o src /src\nRUN <<EOT\nset -e\necho $V > /ran\nEOT\n\
         RUN <<EOT\n#!/bin/cat\ntext\nEOT\nRUN --mount=type=tmpfs,target=/tmpfs touch /tmpfs/x\n\
         RUN --mount=type=bind,source=src,target=/bound cp /bound/a /copied\n\
         RUN --mount=type=cache,target=/cache echo kept >> /cache/f\n\
         RUN --mount=type=cache,target=/cache cp /cache/f /from-cache\n\
         COPY --parents src/deep/./er/f /parents/\n",
    );
    for path in ["src/a", "src/b.o", "src/deep/er/f"] {
        write(&dir, path, path);
    }
    build(e, &dir, &["-t", &tag]).exits(0);
    let script = "cat /d/one /d/two /ran /copied; echo; cat /from-cache; ls /src; stat -c %a /src/a; \
        ls /tmpfs; find /parents -type f";
    run(e, &tag, script)
        .exits(0)
        .says("value 3\nvalue $V\n3\nsrc/a\nkept\na\ndeep\n700\n/parents/er/f\n");
    forget(e, &[&tag]);
    let names = e.cli(&["volume", "ls", "-q"]).ok().to_owned();
    for name in names.lines().filter(|name| name.starts_with("buildcache-")) {
        e.cli(&["volume", "rm", name]).exits(0);
    }
});
