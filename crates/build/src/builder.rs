//! One build: the stages that are needed, in order, instruction by instruction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::Engine;
use tokio::sync::mpsc;
use types::digest::Hasher;
use types::oci::image::ImageConfig;
use types::{Digest, Reference};

use crate::dockerfile::{self, Dockerfile, Expander, Form, Instruction, Node, Stage};
use crate::error::{Error, Result};
use crate::files::Context;
use crate::state::{self, State, absolute, add_labels, step};
use crate::{Event, Request};

/// Variables about the machine, which a stage must declare to see.
fn platform_args() -> BTreeMap<String, String> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut all = BTreeMap::new();
    for side in ["TARGET", "BUILD"] {
        for (name, value) in [
            ("PLATFORM", format!("linux/{arch}")),
            ("OS", "linux".to_owned()),
            ("ARCH", arch.to_owned()),
            ("VARIANT", String::new()),
        ] {
            all.insert(format!("{side}{name}"), value);
        }
    }
    all
}

/// A build on its way.
pub(crate) struct Builder<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) context: Arc<Context>,
    pub(crate) request: &'a Request,
    file: &'a Dockerfile,
    events: mpsc::UnboundedSender<Event>,
    /// `ARG`s before the first `FROM`, and what is always known.
    global: BTreeMap<String, Option<String>>,
    /// Stages that are done, by number.
    done: BTreeMap<usize, State>,
    consumed: BTreeSet<String>,
    index: usize,
    total: usize,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        context: Arc<Context>,
        request: &'a Request,
        file: &'a Dockerfile,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let global = platform_args()
            .into_iter()
            .map(|(name, value)| (name, Some(value)))
            .collect();
        Self {
            engine,
            context,
            request,
            file,
            events,
            global,
            done: BTreeMap::new(),
            consumed: BTreeSet::new(),
            index: 0,
            total: 0,
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        // Who asked is gone: the build is about to be dropped.
        let _gone = self.events.send(event);
    }

    pub(crate) fn say(&self, text: String) {
        self.tell(Event::Text(text));
    }

    pub(crate) async fn build(mut self) -> Result<Digest> {
        let target = self.target()?;
        let needed = self.needed(target)?;
        let stages = |index: &usize| self.file.stages[*index].nodes.len() + 1;
        self.total = self.file.global.len() + needed.iter().map(stages).sum::<usize>();
        self.globals()?;
        let mut last = None;
        for index in needed {
            let stage = &self.file.stages[index];
            let state = self.stage(index, stage).await?;
            if index == target {
                last = Some(self.finish(state).await?);
            } else {
                self.done.insert(index, state);
            }
        }
        let id = last.expect("invariant: the target is among what it needs");
        self.unused();
        self.say(format!("Successfully built {}\n", id.short()));
        for tag in &self.request.tags {
            let name = tag.clone().or_latest().familiar();
            self.say(format!("Successfully tagged {name}\n"));
        }
        Ok(id)
    }

    fn target(&self) -> Result<usize> {
        let wanted = self.request.target.as_str();
        let stages = &self.file.stages;
        if wanted.is_empty() {
            return Ok(stages.len() - 1);
        }
        self.find_stage(wanted, stages.len())
            .ok_or_else(|| Error::Request(format!("target stage {wanted:?} could not be found")))
    }

    /// Finds a stage before `end` by name, the latest first, or by number.
    pub(crate) fn find_stage(&self, name: &str, end: usize) -> Option<usize> {
        let lower = name.to_lowercase();
        let named = self.file.stages[..end]
            .iter()
            .rposition(|stage| stage.from.name.as_deref() == Some(&lower));
        named.or_else(|| name.parse().ok().filter(|index| *index < end))
    }

    /// Returns the target and all that it is made from, in order.
    fn needed(&self, target: usize) -> Result<Vec<usize>> {
        let mut needed = BTreeSet::new();
        let mut waiting = vec![target];
        while let Some(index) = waiting.pop() {
            if !needed.insert(index) {
                continue;
            }
            let stage = &self.file.stages[index];
            let base = self.find_named(&stage.from.image, index);
            waiting.extend(base);
            for node in &stage.nodes {
                let Instruction::Copy { flags, .. } = &node.instruction else {
                    continue;
                };
                let Some(from) = &flags.from else { continue };
                let found = self.find_stage(from, self.file.stages.len());
                if found == Some(index) || found.is_some_and(|found| found > index) {
                    return Err(Error::Dockerfile(dockerfile::Error::Line {
                        line: node.line,
                        reason: format!(
                            "cannot copy from stage {from:?}, it needs to be defined before current stage"
                        ),
                    }));
                }
                waiting.extend(found);
            }
        }
        Ok(needed.into_iter().collect())
    }

    /// A `FROM` names stages by name only.
    fn find_named(&self, name: &str, end: usize) -> Option<usize> {
        self.find_stage(name, end)
            .filter(|_| name.parse::<usize>().is_err())
    }

    fn globals(&mut self) -> Result<()> {
        for node in &self.file.global {
            self.step(&node.original);
            let Instruction::Arg(names) = &node.instruction else {
                continue;
            };
            for (name, default) in names {
                let value = self.argument(name, default.as_deref(), |name| {
                    self.global.get(name).cloned().flatten()
                })?;
                self.consumed.insert(name.clone());
                self.global.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// The value of an argument: the caller's, else its default.
    fn argument(
        &self,
        name: &str,
        default: Option<&str>,
        value: impl Fn(&str) -> Option<String> + Sync,
    ) -> Result<Option<String>> {
        if let Some(given) = self.request.args.get(name) {
            return Ok(given.clone());
        }
        let expander = Expander {
            escape: self.file.directives.escape,
            value: &value,
        };
        default
            .map(|text| expander.word(text))
            .transpose()
            .map_err(Error::Step)
    }

    fn step(&mut self, text: &str) {
        self.index += 1;
        let (index, total) = (self.index, self.total);
        self.say(format!("Step {index}/{total} : {text}\n"));
    }

    async fn stage(&mut self, index: usize, stage: &Stage) -> Result<State> {
        self.step(&stage.original);
        let mut state = self.base(index, stage).await?;
        if let Some(image) = state.image {
            self.say(format!(" ---> {}\n", image.short()));
        }
        let triggers = state.defaults().on_build.take().unwrap_or_default();
        if !triggers.is_empty() {
            let plural = if triggers.len() == 1 { "" } else { "s" };
            self.say(format!(
                "# Executing {} build trigger{plural}\n",
                triggers.len()
            ));
        }
        for trigger in triggers {
            let node = dockerfile::parse_trigger(&trigger, stage.line)?;
            self.node(index, &mut state, &node).await?;
        }
        for node in &stage.nodes {
            self.step(&node.original);
            self.node(index, &mut state, node).await?;
            if let Some(image) = state.image {
                self.say(format!(" ---> {}\n", image.short()));
            }
        }
        Ok(state)
    }

    async fn base(&self, index: usize, stage: &Stage) -> Result<State> {
        let escape = self.file.directives.escape;
        let value = |name: &str| self.global.get(name).cloned().flatten();
        let expander = Expander {
            escape,
            value: &value,
        };
        let fail = |reason: String| {
            Error::Dockerfile(dockerfile::Error::Line {
                line: stage.line,
                reason,
            })
        };
        if let Some(platform) = &stage.from.platform {
            let platform = expander.word(platform).map_err(fail)?;
            let ours = self.global.get("TARGETPLATFORM").cloned().flatten();
            if Some(&platform) != ours.as_ref() {
                return Err(fail(format!("a build for {platform} is not there yet")));
            }
        }
        let name = expander.word(&stage.from.image).map_err(fail)?;
        if name.is_empty() {
            return Err(fail("base name (${…}) should not be blank".to_owned()));
        }
        if let Some(other) = self.find_named(&name, index) {
            let other = self
                .done
                .get(&other)
                .expect("invariant: what is needed is done before");
            return Ok(State::on_stage(other));
        }
        if name == "scratch" {
            return Ok(State::on(engine::scratch_config(), None, escape));
        }
        let image = self.engine.image_of_name(&name).await?;
        Ok(State::on(image.config, Some(image.id), escape))
    }

    async fn node(&mut self, stage: usize, state: &mut State, node: &Node) -> Result<()> {
        let fail = |reason: String| {
            Error::Dockerfile(dockerfile::Error::Line {
                line: node.line,
                reason,
            })
        };
        match &node.instruction {
            Instruction::Run { flags, command } => self.run(state, flags, command).await,
            Instruction::Copy { .. } => self.copy(stage, state, &node.instruction).await,
            Instruction::Workdir(path) => self.workdir(state, path).await,
            Instruction::Arg(names) => self.arg(state, names),
            other => metadata(state, other).map_err(fail),
        }
    }

    fn arg(&mut self, state: &mut State, names: &[(String, Option<String>)]) -> Result<()> {
        let mut told = Vec::new();
        for (name, default) in names {
            let value = match self.argument(name, default.as_deref(), |name| state.value(name))? {
                None if !self.request.args.contains_key(name) => {
                    self.global.get(name).cloned().flatten()
                }
                value => value,
            };
            told.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            self.consumed.insert(name.clone());
            state.declare(name, value);
        }
        state.note(format!("ARG {}", told.join(" ")));
        Ok(())
    }

    /// Proxies that the caller gave and nobody declared.
    pub(crate) fn proxies(&self, known: &[String]) -> Vec<String> {
        self.request
            .args
            .iter()
            .filter(|(name, _)| state::is_proxy(name))
            .filter(|(name, _)| {
                !known
                    .iter()
                    .any(|entry| entry.split('=').next() == Some(name))
            })
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
            .collect()
    }

    async fn workdir(&mut self, state: &mut State, path: &str) -> Result<()> {
        let path = state
            .expand(|expander| expander.word(path))
            .map_err(Error::Step)?;
        let path = absolute(state.working_dir(), &path);
        path.clone_into(&mut state.defaults().working_dir);
        let text = format!("WORKDIR {path}");
        if path == "/" {
            state.note(text);
            return Ok(());
        }
        let key = key(state, &["workdir", &path, state.user()]);
        if self.cached(state, key).await? {
            return Ok(());
        }
        let tree = self.tree(state).await?;
        let owner = match state.user() {
            "" => None,
            user => Some(tree.user(user)?),
        };
        let (tree, made) = engine::blocking(move || {
            let made = crate::copy::make_dirs(tree.root(), &path, owner).map(drop);
            (tree, made)
        })
        .await;
        made?;
        let made = self
            .engine
            .image_of_tree(tree, state.config.clone(), step(text), state.image)
            .await?;
        self.made(state, key, made).await
    }

    /// Takes what an earlier build made of the same, if it is still there.
    pub(crate) async fn cached(&self, state: &mut State, key: Digest) -> Result<bool> {
        if self.request.no_cache {
            return Ok(false);
        }
        let Some(image) = self.engine.step_image(key).await? else {
            return Ok(false);
        };
        self.say(" ---> Using cache\n".to_owned());
        state.take(image.id, image.config);
        Ok(true)
    }

    /// Goes on from an image that a step made, and remembers it.
    pub(crate) async fn made(&self, state: &mut State, key: Digest, image: Digest) -> Result<()> {
        let made = self.engine.image_inspect(&image.to_string()).await?;
        state.take(image, made.config);
        Ok(self.engine.step_made(key, image).await?)
    }

    /// Returns an image that has the layers so far.
    pub(crate) async fn image_for(&self, state: &mut State) -> Result<Digest> {
        if let Some(image) = state.image {
            return Ok(image);
        }
        let image = self
            .engine
            .image_of_config(state.config.clone(), None, Vec::new())
            .await?;
        state.image = Some(image);
        Ok(image)
    }

    async fn finish(&self, mut state: State) -> Result<Digest> {
        add_labels(state.defaults(), self.request.labels.clone());
        let mut config: ImageConfig = state.config;
        if config.created.is_none() {
            // Nothing in it has a moment: it is as old as time, here and everywhere.
            config.created = Some("1970-01-01T00:00:00Z".to_owned());
        }
        let tags: Vec<Reference> = self.request.tags.clone();
        let id = self
            .engine
            .image_of_config(config, state.image, tags)
            .await?;
        self.tell(Event::Image(id));
        Ok(id)
    }

    /// Returns the layers of a stage that is done.
    pub(crate) fn stage_layers(&self, index: usize) -> Option<Vec<Digest>> {
        let state = self.done.get(&index)?;
        Some(state.config.rootfs.diff_ids.clone())
    }

    fn unused(&self) {
        let unused: Vec<&str> = self
            .request
            .args
            .keys()
            .filter(|name| !self.consumed.contains(*name) && !state::is_proxy(name))
            .map(String::as_str)
            .collect();
        if !unused.is_empty() {
            self.say(format!(
                "[Warning] One or more build-args [{}] were not consumed\n",
                unused.join(" ")
            ));
        }
    }
}

/// The key of a step on top of the layers so far.
pub(crate) fn key(state: &State, words: &[&str]) -> Digest {
    let mut hasher = Hasher::default();
    for layer in &state.config.rootfs.diff_ids {
        hasher.update(layer.to_string().as_bytes());
    }
    for word in words {
        hasher.update(word.as_bytes());
        hasher.update(b"\0");
    }
    hasher.finish()
}

/// Instructions that change the config only.
fn metadata(state: &mut State, instruction: &Instruction) -> Result<(), String> {
    let text = match instruction {
        Instruction::Env(pairs) => {
            let pairs = expanded(state, pairs)?;
            for (name, value) in &pairs {
                state.set_env(name, value);
            }
            format!("ENV {}", joined(&pairs))
        }
        Instruction::Label(pairs) => {
            let pairs = expanded(state, pairs)?;
            add_labels(state.defaults(), pairs.clone());
            format!("LABEL {}", joined(&pairs))
        }
        Instruction::Cmd(form) => format!("CMD {}", quoted(&state.set_cmd(form))),
        Instruction::Entrypoint(form) => {
            format!("ENTRYPOINT {}", quoted(&state.set_entrypoint(form)))
        }
        Instruction::Expose(ports) => {
            let mut words = Vec::new();
            for port in ports {
                words.extend(state.expand(|expander| expander.words(port))?);
            }
            format!("EXPOSE [{}]", state.expose(&words)?.join(" "))
        }
        Instruction::Volume(paths) => {
            let mut all = Vec::new();
            for path in paths {
                let path = state.expand(|expander| expander.word(path))?;
                state
                    .defaults()
                    .volumes
                    .insert(path.clone(), types::oci::image::Empty {});
                all.push(path);
            }
            format!("VOLUME [{}]", all.join(" "))
        }
        Instruction::User(user) => {
            let user = state.expand(|expander| expander.word(user))?;
            user.clone_into(&mut state.defaults().user);
            format!("USER {user}")
        }
        Instruction::Stopsignal(signal) => {
            let signal = state.expand(|expander| expander.word(signal))?;
            types::signal::parse(&signal).map_err(|_| format!("Invalid signal: {signal}"))?;
            signal.clone_into(&mut state.defaults().stop_signal);
            format!("STOPSIGNAL {signal}")
        }
        other => match metadata_of_the_end(state, other) {
            Some(text) => text,
            None => return Ok(()),
        },
    };
    state.note(text);
    Ok(())
}

/// How it begins, stays well and ends; none where the history says nothing.
fn metadata_of_the_end(state: &mut State, instruction: &Instruction) -> Option<String> {
    Some(match instruction {
        Instruction::Shell(words) => {
            state.defaults().shell = Some(words.clone());
            format!("SHELL [{}]", words.join(" "))
        }
        Instruction::Healthcheck(check) => {
            state.set_healthcheck(check);
            "HEALTHCHECK".to_owned()
                + &match &check.test {
                    None => " NONE".to_owned(),
                    Some(Form::Exec(words)) => format!(" CMD {}", quoted(words)),
                    Some(Form::Shell(text)) => format!(" CMD {text}"),
                }
        }
        Instruction::Maintainer(who) => {
            state.config.author = Some(who.clone());
            format!("MAINTAINER {who}")
        }
        Instruction::Onbuild(text) => {
            state
                .defaults()
                .on_build
                .get_or_insert_default()
                .push(text.clone());
            return None;
        }
        _ => return None,
    })
}

/// All pairs see the variables as they were before the instruction.
fn expanded(state: &State, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
    pairs
        .iter()
        .map(|(name, value)| {
            state.expand(|expander| Ok((expander.word(name)?, expander.word(value)?)))
        })
        .collect()
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

/// As Go's `%q` of a list of strings.
fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}
