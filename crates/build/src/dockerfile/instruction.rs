//! Pure: what an instruction is, before variables have values.

use super::lex::Heredoc;

/// A command line: words as they are, or text for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `["program", "argument"]`.
    Exec(Vec<String>),
    /// `text for a shell`.
    Shell(String),
}

/// `FROM`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct From {
    /// Image, stage or `scratch`.
    pub image: String,
    /// `--platform`.
    pub platform: Option<String>,
    /// `AS`, in lower case.
    pub name: Option<String>,
}

/// What `RUN` executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Words or text.
    pub form: Form,
    /// Bodies that the text names.
    pub heredocs: Vec<Heredoc>,
}

/// Flags of `RUN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFlags {
    /// `--mount`, as typed.
    pub mounts: Vec<String>,
    /// `--network`.
    pub network: Option<String>,
    /// `--security`.
    pub security: Option<String>,
}

/// Flags of `COPY` and `ADD`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyFlags {
    /// Stage or image that it copies from; none: the context.
    pub from: Option<String>,
    /// `user[:group]`.
    pub chown: Option<String>,
    /// Octal or symbolic mode.
    pub chmod: Option<String>,
    /// The layer does not depend on what is below.
    pub link: bool,
    /// Keep the sources' directories.
    pub parents: bool,
    /// Patterns of what stays behind.
    pub exclude: Vec<String>,
    /// Digest that a download must have.
    pub checksum: Option<String>,
    /// Keep `.git` of a repository.
    pub keep_git_dir: bool,
    /// Unpack an archive.
    pub unpack: Option<bool>,
}

/// `HEALTHCHECK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// What asks; none: an inherited check is switched off.
    pub test: Option<Form>,
    /// Nanoseconds between two; 0: the default.
    pub interval_ns: i64,
    /// Nanoseconds that one may take.
    pub timeout_ns: i64,
    /// Nanoseconds at the start in which failures do not count.
    pub start_period_ns: i64,
    /// Nanoseconds between two in that time.
    pub start_interval_ns: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Names that get values from outside.
    Arg(Vec<(String, Option<String>)>),
    /// Files from the context, another stage or image, a URL or a heredoc.
    Copy {
        /// `ADD`: URLs and archives, too.
        add: bool,
        /// Flags.
        flags: CopyFlags,
        /// What is copied.
        sources: Vec<String>,
        /// Where to.
        dest: String,
        /// Bodies of the sources that are heredocs.
        heredocs: Vec<Heredoc>,
    },
    /// Default arguments.
    Cmd(Form),
    /// First words.
    Entrypoint(Form),
    /// Environment.
    Env(Vec<(String, String)>),
    /// Ports.
    Expose(Vec<String>),
    /// Health check.
    Healthcheck(Healthcheck),
    /// Labels.
    Label(Vec<(String, String)>),
    /// Author.
    Maintainer(String),
    /// An instruction for builds from this image.
    Onbuild(String),
    /// A program at build time.
    Run {
        /// Flags.
        flags: RunFlags,
        /// What.
        command: Command,
    },
    /// The shell of the shell form.
    Shell(Vec<String>),
    /// The signal that stops it.
    Stopsignal(String),
    /// Who.
    User(String),
    /// Anonymous volumes.
    Volume(Vec<String>),
    /// Where.
    Workdir(String),
}
