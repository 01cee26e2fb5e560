//! `COPY` and `ADD`: what goes where, and whose it becomes.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use archive::ignore::Pattern;
use engine::build_verbs::Tree;
use engine::container::record::Bind;
use sys::dir::{Dir, Kind};
use types::Digest;
use types::digest::Hasher;

use crate::builder::{Builder, key};
use crate::copy::{As, From, Item, kind};
use crate::dockerfile::lex::{Heredoc, heredoc};
use crate::dockerfile::{CopyFlags, Instruction};
use crate::error::{Error, Result, object};
use crate::files::Context;
use crate::mode::Mode;
use crate::state::{State, absolute, step};

/// What one instruction does, with all variables filled in.
struct Plan {
    sources: Vec<String>,
    /// Name and text of sources that stand in the Dockerfile itself.
    texts: Vec<(String, String)>,
    /// As an absolute path.
    dest: String,
    /// The destination ends with a slash, or can only be a directory.
    into: bool,
    as_: As,
    chown: Option<String>,
    unpack: bool,
    created_by: String,
}

/// The work of one instruction, on a thread that may block.
struct Job {
    context: Arc<Context>,
    /// Where it copies from, if not from the context.
    other: Option<Tree>,
    exclude: Vec<Pattern>,
    parents: bool,
    add: bool,
    plan: Plan,
}

impl Job {
    fn from(&self) -> From<'_> {
        From {
            root: self.other.as_ref().map_or(self.context.root(), Tree::root),
            ignore: self.other.is_none().then(|| self.context.ignore()),
            exclude: &self.exclude,
        }
    }

    /// Finds what is copied, and the digest of it.
    fn look(&self) -> Result<(Vec<Item>, Digest)> {
        let from = self.from();
        let mut items = Vec::new();
        for source in &self.plan.sources {
            let found = from.items(source, self.parents);
            items.extend(found.map_err(|error| named(self.add, error))?);
        }
        let mut hasher = Hasher::default();
        for item in &items {
            from.digest(item, &self.plan.as_, &mut hasher)?;
        }
        for (name, text) in &self.plan.texts {
            hasher.update(format!("\0{name}\0{text}").as_bytes());
        }
        Ok((items, hasher.finish()))
    }
}

impl Builder<'_> {
    pub(crate) async fn copy(
        &mut self,
        stage: usize,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<()> {
        let Instruction::Copy { add, flags, .. } = instruction else {
            return Ok(());
        };
        let mut plan = plan(state, instruction)?;
        if *add && let Some(url) = plan.sources.iter().find(|source| is_remote(source)) {
            let sentence = format!("ADD of {url}: downloads are not there yet");
            return Err(Error::Step(sentence));
        }
        let mut tree = None;
        if let Some(chown) = &plan.chown {
            plan.as_.owner = Some(if let Some(owner) = numbers(chown) {
                owner
            } else {
                let mounted = self.tree(state).await?;
                let owner = mounted.user(chown)?;
                tree = Some(mounted);
                owner
            });
        }
        let job = Job {
            context: Arc::clone(&self.context),
            other: match &flags.from {
                None => None,
                Some(from) => Some(self.other(stage, from).await?),
            },
            exclude: excludes(state, flags)?,
            parents: flags.parents,
            add: *add,
            plan,
        };
        let (job, found) = engine::blocking(move || {
            let found = job.look();
            (job, found)
        })
        .await;
        let (items, content) = found?;
        let word = if *add { "add" } else { "copy" };
        let plan = &job.plan;
        let how = format!("{:?} {} {}", plan.as_, plan.into, plan.unpack);
        let key = key(state, &[word, &plan.dest, &how, &content.to_string()]);
        if self.cached(state, key).await? {
            return Ok(());
        }
        let tree = match tree {
            Some(tree) => tree,
            None => self.tree(state).await?,
        };
        let history = step(plan.created_by.clone());
        let (tree, put) = engine::blocking(move || {
            let put = put(&job.from(), &items, &job.plan, tree.root());
            (tree, put)
        })
        .await;
        put?;
        let made = self
            .engine
            .image_of_tree(tree, state.config.clone(), history, state.image)
            .await?;
        self.made(state, key, made).await
    }

    /// The tree of the layers so far.
    pub(crate) async fn tree(&self, state: &State) -> Result<Tree> {
        Ok(self
            .engine
            .tree(state.config.rootfs.diff_ids.clone())
            .await?)
    }

    /// The tree of another stage or image.
    async fn other(&self, stage: usize, name: &str) -> Result<Tree> {
        let layers = match self
            .find_stage(name, stage)
            .and_then(|index| self.stage_layers(index))
        {
            Some(layers) => layers,
            None => {
                self.engine
                    .image_of_name(name)
                    .await?
                    .config
                    .rootfs
                    .diff_ids
            }
        };
        Ok(self.engine.tree(layers).await?)
    }

    /// A script of a heredoc as a file that a step sees.
    pub(crate) fn script(&self, target: &str, body: &str) -> Result<Bind> {
        let name = format!("script-{}", Digest::of(body.as_bytes()).short());
        let path = self.context.place().path().join(".wharf-scripts");
        let failed = |e: std::io::Error| object("a heredoc")(sys::Error::from_io("write", &e));
        std::fs::DirBuilder::new()
            .recursive(true)
            .create(&path)
            .map_err(failed)?;
        let path = path.join(name);
        sys::durable::replace_volatile(&path, body.as_bytes(), 0o755)
            .map_err(object("a heredoc"))?;
        Ok(Bind {
            source: path.display().to_string(),
            target: target.to_owned(),
            read_only: true,
            propagation: "rprivate".to_owned(),
            create: false,
            ..Bind::default()
        })
    }

    /// A part of the context as a mount.
    pub(crate) fn bind_context(
        &self,
        source: &str,
        target: String,
        read_only: bool,
    ) -> Result<(Bind, Digest)> {
        let source = archive::ignore::clean(source);
        if kind(self.context.root(), &source).is_none() {
            return Err(Error::Step(format!(
                "{source:?}: not found in the build context"
            )));
        }
        let from = From {
            root: self.context.root(),
            ignore: Some(self.context.ignore()),
            exclude: &[],
        };
        let item = Item {
            path: source.clone(),
            to: String::new(),
        };
        let mut hasher = Hasher::default();
        from.digest(&item, &As::default(), &mut hasher)?;
        let bind = Bind {
            source: self
                .context
                .place()
                .path()
                .join(source)
                .display()
                .to_string(),
            target,
            read_only,
            propagation: "rprivate".to_owned(),
            create: false,
            ..Bind::default()
        };
        Ok((bind, hasher.finish()))
    }
}

fn excludes(state: &State, flags: &CopyFlags) -> Result<Vec<Pattern>> {
    let patterns = flags.exclude.iter().map(|pattern| {
        let pattern = state.expand(|expander| expander.word(pattern));
        let pattern = archive::ignore::clean(&pattern.map_err(Error::Step)?);
        Pattern::parse(&pattern).map_err(|error| Error::Step(error.to_string()))
    });
    patterns.collect()
}

fn plan(state: &State, instruction: &Instruction) -> Result<Plan> {
    let Instruction::Copy {
        add,
        flags,
        sources,
        dest,
        heredocs,
    } = instruction
    else {
        unreachable!("only called for copies")
    };
    let word = |text: &str| {
        state
            .expand(|expander| expander.word(text))
            .map_err(Error::Step)
    };
    let mut bodies = heredocs.iter();
    let (mut names, mut texts) = (Vec::new(), Vec::new());
    for source in sources {
        match (heredoc(source), bodies.as_slice().first()) {
            (Some(_), Some(body)) => {
                bodies.next();
                texts.push((body.name.clone(), text(state, body)?));
            }
            _ => names.push(word(source)?),
        }
    }
    let typed = word(dest)?;
    let chown = flags.chown.as_deref().map(word).transpose()?;
    let mode = flags.chmod.as_deref().map(word).transpose()?;
    let mode = mode
        .as_deref()
        .map(Mode::parse)
        .transpose()
        .map_err(Error::Step)?;
    let into = typed.ends_with('/') || typed == "." || typed.ends_with("/.") || flags.parents;
    Ok(Plan {
        created_by: history(*add, flags, sources, &typed),
        dest: absolute(state.working_dir(), &typed),
        into,
        as_: As {
            owner: flags.from.is_none().then_some((0, 0)),
            mode,
        },
        chown,
        unpack: *add && flags.unpack != Some(false),
        sources: names,
        texts,
    })
}

/// The body of a heredoc with the values of its variables.
fn text(state: &State, heredoc: &Heredoc) -> Result<String> {
    if heredoc.expand {
        let body = state.expand(|expander| expander.body(&heredoc.body));
        return body.map_err(Error::Step);
    }
    Ok(heredoc.body.clone())
}

/// Copies everything into the tree.
fn put(from: &From<'_>, items: &[Item], plan: &Plan, root: &Dir) -> Result<()> {
    let dest = plan.dest.trim_start_matches('/');
    let into = plan.into || kind(root, dest) == Some(Kind::Directory);
    for item in items {
        if plan.unpack && unpacked(from, item, root, dest, &plan.as_)? {
            continue;
        }
        let target = match (item.to.as_str(), into) {
            ("", _) | (_, false) => dest.to_owned(),
            (name, true) => format!("{dest}/{name}"),
        };
        // A link at the end of the path leads on, inside the tree.
        from.copy(item, root, target.trim_start_matches('/'), &plan.as_)?;
    }
    for (name, text) in &plan.texts {
        let target = if into {
            format!("{dest}/{name}")
        } else {
            dest.to_owned()
        };
        let target = target.trim_start_matches('/');
        let (parent, name) = target.rsplit_once('/').unwrap_or(("", target));
        let parent = crate::copy::make_dirs(root, parent, plan.as_.owner)?;
        crate::copy::write(&parent, name, text, &plan.as_)?;
    }
    Ok(())
}

/// Unpacks a source that is an archive; false where it is none.
fn unpacked(from: &From<'_>, item: &Item, root: &Dir, dest: &str, as_: &As) -> Result<bool> {
    if item.to.is_empty() {
        return Ok(false);
    }
    let Ok(mut file) = from.root.open_file(Path::new(&item.path)) else {
        return Ok(false);
    };
    let mut head = [0; 512];
    let failed = |e: std::io::Error| object(&*item.path)(sys::Error::from_io("read", &e));
    let mut filled = 0;
    loop {
        let count = file.read(&mut head[filled..]).map_err(failed)?;
        filled += count;
        if count == 0 || filled == head.len() {
            break;
        }
    }
    let packed = archive::Compression::detect(&head[..filled]) != archive::Compression::None;
    let tar = filled == head.len() && &head[257..262] == b"ustar";
    if !packed && !tar {
        return Ok(false);
    }
    let file = from
        .root
        .open_file(Path::new(&item.path))
        .map_err(object(&*item.path))?;
    let to = crate::copy::make_dirs(root, dest, as_.owner)?;
    let contents = archive::decompress(file)?;
    let owners = match as_.owner {
        Some((uid, gid)) if (uid, gid) != (0, 0) => archive::Owners::Fixed(uid, gid),
        _ => archive::Owners::Archive,
    };
    match archive::unpack(contents, &to, &archive::Rename::Keep, owners) {
        // A compressed file that is no archive is a file.
        Err(archive::Error::Header { .. } | archive::Error::Truncated { .. }) if !tar => Ok(false),
        other => other.map(|()| true).map_err(Error::from),
    }
}

fn history(add: bool, flags: &CopyFlags, sources: &[String], dest: &str) -> String {
    let mut text = if add { "ADD" } else { "COPY" }.to_owned();
    if flags.parents {
        text.push_str(" --parents");
    }
    for (name, value) in [("chown", &flags.chown), ("chmod", &flags.chmod)] {
        if let Some(value) = value {
            text = format!("{text} --{name}={value}");
        }
    }
    format!("{text} {} {dest} # buildkit", sources.join(" "))
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"]
        .iter()
        .any(|scheme| source.starts_with(scheme))
}

/// `uid[:gid]` in digits; one number is both.
fn numbers(chown: &str) -> Option<(u32, u32)> {
    let (uid, gid) = chown.split_once(':').unwrap_or((chown, chown));
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

fn named(add: bool, error: Error) -> Error {
    match error {
        Error::Step(text) => Error::Step(format!(
            "{} failed: {text}",
            if add { "ADD" } else { "COPY" }
        )),
        other => other,
    }
}
