//! `build`: a directory goes to the daemon as an archive; what it says is shown as it comes.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use api::progress::Progress;
use archive::ignore::{Ignore, clean};
use archive::{Compression, Entry, EntryKind, Writer};

use crate::container_config::ulimits;
use crate::error::{Error, Result, go_text};
use crate::flags::Parsed;
use crate::http::Query;
use crate::progress;
use crate::session::Session;
use crate::stream::is_terminal;

const TAR: &str = "application/x-tar";
/// How a Dockerfile from stdin is called in its context.
const FROM_STDIN: &str = ".dockerfile.from-stdin";

/// `build`
pub(crate) fn build(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let source = Source::of(&parsed.args[0], parsed.text("file"))?;
    let query = query(session, parsed, source.dockerfile())?;
    let path = format!("/build{}", query.render());
    let mut produce = |to: &mut dyn Write| source.write(to);
    let mut response = session.client.produce("POST", &path, TAR, &mut produce)?;
    let mut id = String::new();
    let quiet = parsed.is_set("quiet");
    progress::each(&mut response, |line: Progress| {
        if let Some(detail) = line.error_detail {
            let code = i32::try_from(detail.code).ok().filter(|code| *code != 0);
            return Err(Error::Exit {
                text: detail.message,
                code: code.unwrap_or(1),
            });
        }
        if let Some(found) = line.aux.as_ref().and_then(|aux| aux["ID"].as_str()) {
            found.clone_into(&mut id);
        }
        if quiet && line.stream.starts_with("sha256:") {
            line.stream.trim().clone_into(&mut id);
        }
        Ok(io::stdout().lock().write_all(line.stream.as_bytes())?)
    })?;
    match parsed.text("iidfile") {
        "" => {}
        path => sys::durable::replace(Path::new(path), id.as_bytes(), 0o666)
            .map_err(|error| Error::text(format!("failed to write image ID file: {error}")))?,
    }
    Ok(0)
}

fn query(session: &Session, parsed: &Parsed, dockerfile: &str) -> Result<Query> {
    let mut query = Query::default()
        .with("version", "1")
        .with_text("dockerfile", dockerfile)
        .with_text("cgroupparent", parsed.text("cgroup-parent"))
        .with_text("cpusetcpus", parsed.text("cpuset-cpus"))
        .with_text("cpusetmems", parsed.text("cpuset-mems"))
        .with_text(
            "networkmode",
            match parsed.text("network") {
                "default" => "",
                other => other,
            },
        )
        .with_text("platform", parsed.text("platform"))
        .with_text("target", parsed.text("target"));
    for (flag, key) in [
        ("cpu-period", "cpuperiod"),
        ("cpu-quota", "cpuquota"),
        ("cpu-shares", "cpushares"),
    ] {
        if parsed.int(flag) != 0 {
            query = query.with(key, parsed.int(flag).to_string());
        }
    }
    for (flag, key) in [
        ("memory", "memory"),
        ("memory-swap", "memswap"),
        ("shm-size", "shmsize"),
    ] {
        if parsed.bytes(flag) != 0 {
            query = query.with(key, parsed.bytes(flag).to_string());
        }
    }
    for (flag, key) in [
        ("no-cache", "nocache"),
        ("pull", "pull"),
        ("quiet", "q"),
        ("squash", "squash"),
    ] {
        if parsed.is_set(flag) {
            query = query.with(key, "1");
        }
    }
    for (flag, key) in [
        ("tag", "t"),
        ("add-host", "extrahosts"),
        ("security-opt", "securityopt"),
    ] {
        for value in parsed.all(flag) {
            query = query.with(key, value);
        }
    }
    for tag in parsed.all("tag") {
        tag.parse::<types::Reference>().map_err(|_| {
            Error::text(format!(
                "invalid argument {tag:?} for \"-t, --tag\" flag: invalid reference format"
            ))
        })?;
    }
    documents(session, parsed, query)
}

/// Adds what travels as a document.
fn documents(session: &Session, parsed: &Parsed, mut query: Query) -> Result<Query> {
    let args: BTreeMap<String, Option<String>> = parsed
        .all("build-arg")
        .into_iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            // As `--env NAME`: from the environment of the client.
            None => (pair.clone(), session.config.raw_var(&pair)),
        })
        .collect();
    let labels: BTreeMap<String, String> = parsed
        .all("label")
        .iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let limits = ulimits(parsed)?;
    let document = |value: serde_json::Result<String>| value.unwrap_or_default();
    if !args.is_empty() {
        query = query.with("buildargs", document(serde_json::to_string(&args)));
    }
    if !labels.is_empty() {
        query = query.with("labels", document(serde_json::to_string(&labels)));
    }
    if let Some(limits) = limits.filter(|limits| !limits.is_empty()) {
        query = query.with("ulimits", document(serde_json::to_string(&limits)));
    }
    Ok(query)
}

/// Where the context comes from.
enum Source {
    /// A directory, its patterns, the Dockerfile's name in it, and its text when it is not there.
    Directory {
        root: PathBuf,
        ignore: Ignore,
        dockerfile: String,
        text: Option<Vec<u8>>,
    },
    /// An archive from stdin, of which this much is read.
    Archive(Vec<u8>, String),
    /// A Dockerfile from stdin, and nothing else.
    Dockerfile(Vec<u8>),
}

impl Source {
    fn of(context: &str, file: &str) -> Result<Self> {
        if context == "-" {
            if file == "-" {
                return Err(Error::text(
                    "invalid argument: can't use stdin for both build context and dockerfile",
                ));
            }
            return Self::of_stdin(file);
        }
        if context.contains("://") || context.starts_with("git@") {
            return Err(Error::text(format!(
                "{context}: a remote context is not there yet"
            )));
        }
        let root = Path::new(context);
        let fail = |error: io::Error| {
            Error::text(format!(
                "unable to prepare context: path {context:?} not found: {}",
                go_text(&error)
            ))
        };
        if !fs::metadata(root).map_err(fail)?.is_dir() {
            return Err(Error::text(format!(
                "unable to prepare context: context must be a directory: {context}"
            )));
        }
        let mut text = None;
        let dockerfile = match file {
            "" => "Dockerfile".to_owned(),
            "-" => {
                text = Some(stdin()?);
                FROM_STDIN.to_owned()
            }
            path => inside(root, path, &mut text)?,
        };
        if text.is_none() && fs::metadata(root.join(&dockerfile)).is_err() {
            return Err(Error::text(format!(
                "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat {}: no such file or directory",
                absolute(&root.join(&dockerfile)).display()
            )));
        }
        Ok(Self::Directory {
            ignore: ignore(root, &dockerfile)?,
            root: root.to_owned(),
            dockerfile,
            text,
        })
    }

    fn of_stdin(file: &str) -> Result<Self> {
        if is_terminal(io::stdin().as_fd()) {
            return Err(Error::text(
                "failed to get build context from stdin: stdin is a terminal",
            ));
        }
        let mut head = Vec::new();
        io::stdin().lock().take(512).read_to_end(&mut head)?;
        let packed = Compression::detect(&head) != Compression::None;
        if packed || head.get(257..262) == Some(b"ustar") {
            return Ok(Self::Archive(head, file.to_owned()));
        }
        io::stdin().lock().read_to_end(&mut head)?;
        Ok(Self::Dockerfile(head))
    }

    fn dockerfile(&self) -> &str {
        match self {
            Self::Directory { dockerfile, .. } => dockerfile,
            Self::Archive(_, file) => file,
            Self::Dockerfile(_) => "Dockerfile",
        }
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let (root, ignore, dockerfile, text) = match self {
            Self::Archive(head, _) => {
                to.write_all(head)?;
                return io::copy(&mut io::stdin().lock(), to).map(drop);
            }
            Self::Dockerfile(text) => {
                let mut writer = Writer::new(to);
                add_text(&mut writer, "Dockerfile", text)?;
                return writer.finish().map(drop).map_err(io::Error::other);
            }
            Self::Directory {
                root,
                ignore,
                dockerfile,
                text,
            } => (root, ignore, dockerfile, text),
        };
        let mut writer = Writer::new(io::BufWriter::with_capacity(1 << 16, to));
        if let Some(text) = text {
            add_text(&mut writer, dockerfile, text)?;
        }
        add_tree(&mut writer, root, "", ignore)?;
        let mut rest = writer.finish().map_err(io::Error::other)?;
        rest.flush()
    }
}

fn stdin() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns the first part of a path that is not there.
fn first_missing(path: &Path) -> &Path {
    path.ancestors()
        .take_while(|part| fs::symlink_metadata(part).is_err())
        .last()
        .unwrap_or(path)
}

/// The Dockerfile's name below the context; one from elsewhere goes along under a name of its own.
fn inside(root: &Path, file: &str, text: &mut Option<Vec<u8>>) -> Result<String> {
    let (real_root, real) = (fs::canonicalize(root)?, fs::canonicalize(file));
    let real = real.map_err(|_| {
        Error::text(format!(
            "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat {}: no such file or directory",
            first_missing(&absolute(Path::new(file))).display()
        ))
    })?;
    if let Ok(path) = real.strip_prefix(&real_root) {
        return Ok(path.to_string_lossy().into_owned());
    }
    *text = Some(fs::read(&real)?);
    Ok(FROM_STDIN.to_owned())
}

fn ignore(root: &Path, dockerfile: &str) -> Result<Ignore> {
    for name in [
        format!("{dockerfile}.dockerignore"),
        ".dockerignore".to_owned(),
    ] {
        let Ok(text) = fs::read_to_string(root.join(&name)) else {
            continue;
        };
        let fail = |error: archive::ignore::BadPattern| {
            Error::text(format!("error checking context: {error} in {name}"))
        };
        let mut ignore = Ignore::parse(&text).map_err(fail)?;
        // The daemon needs both.
        for path in [dockerfile, &name] {
            ignore.keep(&clean(path)).map_err(fail)?;
        }
        return Ok(ignore);
    }
    Ok(Ignore::default())
}

fn add_text<W: Write>(writer: &mut Writer<W>, name: &str, text: &[u8]) -> io::Result<()> {
    let size = text.len() as u64;
    let entry = Entry::new(name, EntryKind::File { size });
    writer.entry(&entry, text).map_err(io::Error::other)
}

/// Adds what is below a directory, in order of names.
fn add_tree<W: Write>(
    writer: &mut Writer<W>,
    dir: &Path,
    at: &str,
    ignore: &Ignore,
) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let source = dir.join(&name);
        let path = if at.is_empty() {
            name.to_string_lossy().into_owned()
        } else {
            format!("{at}/{}", name.to_string_lossy())
        };
        let metadata = fs::symlink_metadata(&source)?;
        if !ignore.leaves_out(&path) {
            add(writer, &source, &path, &metadata)?;
        } else if !(metadata.is_dir() && ignore.has_exceptions()) {
            continue;
        }
        if metadata.is_dir() {
            add_tree(writer, &source, &path, ignore)?;
        }
    }
    Ok(())
}

fn add<W: Write>(
    writer: &mut Writer<W>,
    source: &Path,
    path: &str,
    metadata: &Metadata,
) -> io::Result<()> {
    let kind = if metadata.is_dir() {
        EntryKind::Directory
    } else if metadata.is_symlink() {
        let target = fs::read_link(source)?.into_os_string().into_vec();
        EntryKind::Symlink { target }
    } else if metadata.is_file() {
        let size = metadata.len();
        EntryKind::File { size }
    } else {
        // Pipes, devices and sockets are no part of a context.
        return Ok(());
    };
    let file = matches!(kind, EntryKind::File { .. });
    let mut entry = Entry::new(Path::new(path).as_os_str().as_bytes(), kind);
    entry.mode = metadata.mode() & 0o7777;
    entry.mtime.seconds = metadata.mtime();
    let written = if file {
        writer.entry(&entry, fs::File::open(source)?)
    } else {
        writer.entry(&entry, io::empty())
    };
    written.map_err(|error| io::Error::other(format!("{}: {error}", source.display())))
}
