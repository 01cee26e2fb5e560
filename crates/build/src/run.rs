//! `RUN`: a program in a container on top of what was built so far.

use engine::Engine;
use engine::container::record::{Config, Host, Network};
use engine::container::state::WaitCondition;
use engine::container::{CreateRequest, LogRequest, Volumes};
use engine::volume::VolumeMount;
use types::Digest;
use types::digest::Hasher;

use crate::Event;
use crate::builder::Builder;
use crate::dockerfile::{Command, Form, RunFlags};
use crate::error::{Error, Result};
use crate::state::{State, absolute, step};

/// The container of a step. However the step ends, it goes.
struct Running {
    engine: Engine,
    id: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let (engine, id) = (self.engine.clone(), std::mem::take(&mut self.id));
        if id.is_empty() {
            return;
        }
        tokio::spawn(async move {
            if let Err(error) = engine.remove(&id, true, Volumes::Remove).await {
                tracing::warn!(%error, id, "removing the container of a build");
            }
        });
    }
}

/// What a step runs, and how.
struct Plan {
    argv: Vec<String>,
    env: Vec<String>,
    host: Host,
    /// Digests of the files that it is given.
    content: Vec<Digest>,
    created_by: String,
}

impl Builder<'_> {
    pub(crate) async fn run(
        &mut self,
        state: &mut State,
        flags: &RunFlags,
        command: &Command,
    ) -> Result<()> {
        let plan = self.plan(state, flags, command)?;
        let key = key(state, &plan);
        if self.cached(state, key).await? {
            return Ok(());
        }
        let image = self.image_for(state).await?;
        let created = self
            .engine
            .create(CreateRequest {
                name: None,
                config: Config {
                    image: image.to_string(),
                    user: state.user().to_owned(),
                    working_dir: state.working_dir().to_owned(),
                    env: plan.env,
                    cmd: Some(plan.argv.clone()),
                    ..Config::default()
                },
                host: plan.host,
                is_whole: true,
                face: self.request.face.clone(),
            })
            .await?;
        let id = created.id.to_string();
        let mut running = Running {
            engine: self.engine.clone(),
            id: id.clone(),
        };
        self.say(format!(" ---> Running in {}\n", created.id.short()));
        let code = self.follow(&id).await?;
        if code != 0 {
            return Err(Error::Run {
                command: plan.argv.join(" "),
                code,
            });
        }
        let made = self
            .engine
            .image_of_container(
                &id,
                state.config.clone(),
                step(plan.created_by),
                state.image,
            )
            .await?;
        running.id.clear();
        self.engine.remove(&id, true, Volumes::Remove).await?;
        self.say(format!(
            " ---> Removed intermediate container {}\n",
            created.id.short()
        ));
        self.made(state, key, made).await
    }

    /// Starts a container, passes on what it says, and returns its exit code.
    async fn follow(&self, id: &str) -> Result<i32> {
        self.engine.start(id).await?;
        let request = LogRequest {
            follow: true,
            ..LogRequest::default()
        };
        let mut logs = self.engine.logs(id, request).await?;
        loop {
            let batch = logs.next().await?;
            if batch.is_empty() {
                break;
            }
            for entry in batch {
                self.tell(Event::Output(entry.bytes));
            }
        }
        let waiting = self.engine.wait(id, WaitCondition::NotRunning)?;
        Ok(waiting.end().await?.0)
    }

    fn plan(&self, state: &State, flags: &RunFlags, command: &Command) -> Result<Plan> {
        if let Some(security) = flags.security.as_deref().filter(|mode| *mode != "sandbox") {
            return Err(Error::Step(format!(
                "RUN --security={security} is not there yet"
            )));
        }
        let mut host = self.request.host.clone();
        match flags.network.as_deref() {
            Some("none") => host.network = Network::None,
            Some("host") => host.network = Network::Host,
            _ => {}
        }
        let mut content = Vec::new();
        for mount in &flags.mounts {
            content.extend(self.mount(state, mount, &mut host)?);
        }
        content.extend(
            command
                .heredocs
                .iter()
                .map(|one| Digest::of(one.body.as_bytes())),
        );
        let argv = self.argv(state, command, &mut host)?;
        let args = state.arg_env();
        let mut env = args.clone();
        env.extend(state.env().iter().cloned());
        env.extend(self.proxies(&env));
        let prefix = if args.is_empty() {
            String::new()
        } else {
            format!("|{} {} ", args.len(), args.join(" "))
        };
        Ok(Plan {
            created_by: format!("RUN {prefix}{} # buildkit", argv.join(" ")),
            argv,
            env,
            host,
            content,
        })
    }

    /// The words that are executed. One heredoc alone is a script of its own.
    fn argv(&self, state: &State, command: &Command, host: &mut Host) -> Result<Vec<String>> {
        let (Form::Shell(text), [first, ..]) = (&command.form, command.heredocs.as_slice()) else {
            return Ok(state.command(&command.form));
        };
        let alone = command.heredocs.len() == 1
            && !text.trim().contains(char::is_whitespace)
            && text.starts_with("<<");
        if alone && first.body.starts_with("#!") {
            let target = format!("/dev/pipes/{}", first.name);
            host.binds.push(self.script(&target, &first.body)?);
            return Ok(state.command(&Form::Shell(target)));
        }
        if alone {
            return Ok(state.command(&Form::Shell(first.body.clone())));
        }
        let mut whole = format!("{text}\n");
        for heredoc in &command.heredocs {
            whole.push_str(&heredoc.body);
            whole.push_str(&heredoc.name);
            whole.push('\n');
        }
        Ok(state.command(&Form::Shell(whole)))
    }

    /// Adds a mount, and returns the digest of what is in it, where that decides what the step makes.
    fn mount(&self, state: &State, typed: &str, host: &mut Host) -> Result<Option<Digest>> {
        let typed = state
            .expand(|expander| expander.word(typed))
            .map_err(Error::Step)?;
        let mut fields = std::collections::BTreeMap::new();
        for field in typed.split(',') {
            let (key, value) = field.split_once('=').unwrap_or((field, "true"));
            fields.insert(key.to_ascii_lowercase(), value.to_owned());
        }
        let kind = fields.remove("type").unwrap_or_else(|| "bind".to_owned());
        let mut take = |names: &[&str]| names.iter().find_map(|name| fields.remove(*name));
        let target = take(&["target", "dst", "destination"])
            .ok_or_else(|| Error::Step(format!("invalid mount {typed:?}: target required")))?;
        let target = absolute(state.working_dir(), &target);
        let mut content = None;
        if target == "/" {
            return Err(Error::Step("invalid mount target \"/\"".to_owned()));
        }
        match kind.as_str() {
            "tmpfs" => {
                let size = take(&["size"])
                    .map(|size| format!("size={size}"))
                    .unwrap_or_default();
                host.tmpfs.insert(target, size);
            }
            "bind" => {
                if let Some(from) = take(&["from"]) {
                    return Err(Error::Step(format!(
                        "RUN --mount=type=bind,from={from} is not there yet"
                    )));
                }
                let source = take(&["source", "src"]).unwrap_or_default();
                let read_only = take(&["rw", "readwrite"]).is_none_or(|on| on == "false");
                let (bind, digest) = self.bind_context(&source, target, read_only)?;
                host.binds.push(bind);
                content = Some(digest);
            }
            "cache" => {
                let id = take(&["id"]).unwrap_or_else(|| target.clone());
                // A volume like others: it is seen, measured and removed as one.
                host.volumes.push(VolumeMount {
                    name: format!("buildcache-{}", Digest::of(id.as_bytes()).short()),
                    target,
                    read_only: take(&["ro", "readonly"]).is_some_and(|on| on != "false"),
                    no_copy: true,
                    ..VolumeMount::default()
                });
            }
            other => {
                return Err(Error::Step(format!(
                    "RUN --mount=type={other} is not there yet: a build of this kind has no session"
                )));
            }
        }
        let known = [
            "ro",
            "readonly",
            "rw",
            "readwrite",
            "sharing",
            "mode",
            "uid",
            "gid",
            "required",
        ];
        match fields.keys().find(|key| !known.contains(&key.as_str())) {
            Some(other) => Err(Error::Step(format!(
                "unexpected key '{other}' in '{typed}'"
            ))),
            None => Ok(content),
        }
    }
}

fn key(state: &State, plan: &Plan) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(b"run\0");
    for layer in &state.config.rootfs.diff_ids {
        hasher.update(layer.to_string().as_bytes());
    }
    let mounts: Vec<&str> = plan
        .host
        .binds
        .iter()
        .map(|bind| bind.target.as_str())
        .collect();
    let volumes: Vec<_> = plan
        .host
        .volumes
        .iter()
        .map(|one| (&one.name, &one.target))
        .collect();
    let env: Vec<&String> = plan
        .env
        .iter()
        .filter(|entry| !crate::state::is_proxy(entry.split('=').next().unwrap_or_default()))
        .collect();
    let rest = serde_json::to_vec(&(
        &plan.argv,
        env,
        state.user(),
        state.working_dir(),
        mounts,
        volumes,
        &plan.content,
        &plan.host.tmpfs,
        &plan.host.network,
    ))
    .expect("invariant: words and numbers have a document");
    hasher.update(&rest);
    hasher.finish()
}
