//! The engine under test: ours is started for each case, a reference engine is already running.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::Value;

use crate::http::{self, Reply};
use crate::leaks;
use crate::program::{Output, Program};
use crate::setting::{Client, Kind, Setting};
use crate::temp::TempDir;
use crate::{BOX, box_tar, eventually};

/// The header of the harness's own requests: they prove nothing, so no row is recorded for them.
const UNCOUNTED: &str = "Wharf-Uncounted: 1";

/// An engine with an image named [`BOX`], and a client that talks to it.
#[derive(Debug)]
pub struct Engine {
    setting: Setting,
    /// The case's name as a prefix of its objects.
    slug: String,
    socket: PathBuf,
    /// Where our programs write which rows of the compatibility table this case touches.
    rows: Option<PathBuf>,
    temp: TempDir,
    manner: Manner,
    daemon: Mutex<Option<Program>>,
}

/// How our daemon is started.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Beside those that give it places of its own.
    pub flags: Vec<String>,
    /// Added to this process's environment.
    pub environment: Vec<(String, String)>,
    /// Words before the program's name: what puts it into namespaces of its own.
    pub before: Vec<String>,
}

impl Manner {
    /// The bridge of the cases that need one, the same for every engine.
    pub const BIP: &str = "10.213.0.1/24";

    /// With a bridge, in a network namespace of the engine's own.
    pub fn on_a_bridge() -> Manner {
        let script = "ip link set lo up && exec \"$@\"";
        Manner {
            flags: ["-b", "e2e0", "--bip", Manner::BIP]
                .map(str::to_owned)
                .to_vec(),
            environment: Vec::new(),
            before: ["unshare", "--net", "sh", "-c", script, "sh"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            flags: ["-b", "none"].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            before: Vec::new(),
        }
    }
}

impl Engine {
    /// Returns the engine for the case `name`.
    pub fn get(setting: &Setting, name: &str) -> Engine {
        Engine::started(setting, name, Manner::default())
    }

    /// Returns the engine for the case `name`; ours is started in the given manner.
    pub fn started(setting: &Setting, name: &str, manner: Manner) -> Engine {
        let slug = name.replace("::", "-").replace('_', "-");
        let temp = TempDir::new("wharf-e2e");
        let socket = match (setting.kind, &setting.host) {
            (Kind::Wharf, _) => temp.path().join("s"),
            (_, Some(host)) => PathBuf::from(host.strip_prefix("unix://").unwrap_or(host)),
            (_, None) => panic!("{} is started by `cargo xtask e2e`", setting.kind.name()),
        };
        let rows = setting.rows.as_ref().map(|folder| folder.join(name));
        // Of an earlier run; mostly there is none.
        if let Some(file) = &rows {
            drop(std::fs::remove_file(file));
        }
        let setting = setting.clone();
        let engine = Engine {
            setting,
            slug,
            socket,
            rows,
            temp,
            manner,
            daemon: Mutex::new(None),
        };
        if engine.kind() == Kind::Wharf {
            leaks::adopt_orphans();
            engine.start_daemon(&[]);
            let archive = engine.temp.path().join("box.tar");
            box_tar(engine.temp.path(), &archive);
            engine.import(&archive);
        }
        engine
    }

    /// Imports by the API itself: a client that can't must fail its own case, not every case.
    fn import(&self, archive: &Path) {
        let bytes = std::fs::read(archive).expect("the archive was just made");
        let path = format!("/images/create?fromSrc=-&repo={BOX}");
        let headers = ["Content-Type: application/x-tar", UNCOUNTED];
        let reply = self.request("POST", &path, &headers, &bytes);
        assert!(
            reply.is(200).text().contains("sha256:"),
            "import: {}",
            reply.text()
        );
    }

    /// Returns which engine this is.
    pub fn kind(&self) -> Kind {
        self.setting.kind
    }

    /// Returns which client [`Engine::cli`] uses.
    pub fn client(&self) -> Client {
        self.setting.client
    }

    /// Returns our program.
    pub fn program(&self) -> &Path {
        &self.setting.wharf
    }

    /// Returns a name for an object of this case.
    pub fn name(&self, suffix: &str) -> String {
        // A point, for one case's name may begin another's: on an engine that all share, a case that
        // clears up must not remove its neighbour's.
        format!("{}.{suffix}", self.slug)
    }

    /// Returns a directory of this case.
    pub fn temp(&self) -> &TempDir {
        &self.temp
    }

    /// Returns how our daemon is started.
    pub fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Returns where the engine listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns our daemon's data root.
    pub fn data_root(&self) -> PathBuf {
        self.temp.path().join("d")
    }

    /// Starts our daemon, with `environment` added.
    #[track_caller]
    pub fn start_daemon(&self, environment: &[(&str, &str)]) {
        let words = self.manner.before.iter().map(OsString::from);
        let mut words = words.chain([self.setting.wharf.clone().into_os_string()]);
        let mut command = Command::new(words.next().expect("the program is the last word"));
        command
            .args(words)
            .args(["daemon", "-H", &format!("unix://{}", self.socket.display())])
            .args([
                "--data-root",
                &self.temp.at("d"),
                "--exec-root",
                &self.temp.at("x"),
            ])
            .args(["--pidfile", &self.temp.at("pid")])
            .envs(self.recording())
            .args(&self.manner.flags)
            .envs(self.manner.environment.iter().cloned())
            .envs(environment.iter().copied());
        let mut daemon = Program::start(&mut command);
        eventually("the daemon answers", || {
            assert!(
                daemon.runs(),
                "the daemon ended: {}{}",
                daemon.stdout(),
                daemon.stderr()
            );
            // To connect is not enough: a killed daemon's child may hold its socket up to execve.
            let pong = http::attempt(&self.socket, "GET", "/_ping", &[UNCOUNTED], b"")?;
            (pong.status == 200).then_some(())
        });
        *self.daemon.lock().expect("no panic holds the lock") = Some(daemon);
    }

    fn recording(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.rows.iter().map(|file| ("WHARF_ROWS", file.as_path()))
    }

    /// Returns our program itself, to be given words that need no engine.
    pub fn own(&self) -> Command {
        let mut command = Command::new(&self.setting.wharf);
        command.envs(self.recording());
        command
    }

    /// Kills our daemon as if the power of its process had failed.
    pub fn kill_daemon(&self) {
        let daemon = self.daemon.lock().expect("no panic holds the lock").take();
        let daemon = daemon.expect("a daemon of ours runs");
        daemon.signal(Signal::KILL);
        daemon.finish().exits(137);
    }

    /// Waits for the end of our daemon, which somebody else has killed, and returns its last words.
    pub fn daemon_died(&self) -> String {
        let daemon = self.daemon.lock().expect("no panic holds the lock").take();
        let output = daemon.expect("a daemon of ours runs").finish();
        output.exits(137);
        output.stderr
    }

    /// Stops our daemon with SIGTERM and checks that it ends well.
    pub fn stop_daemon(&self) {
        let daemon = self.daemon.lock().expect("no panic holds the lock").take();
        let daemon = daemon.expect("a daemon of ours runs");
        daemon.signal(Signal::TERM);
        daemon.finish().exits(0);
    }

    /// Returns our daemon's process id.
    pub fn daemon_id(&self) -> u32 {
        let daemon = self.daemon.lock().expect("no panic holds the lock");
        daemon.as_ref().expect("a daemon of ours runs").id()
    }

    /// Returns the client's command with `words`.
    pub fn command(&self, words: &[&str]) -> Command {
        let program = match self.client() {
            Client::Docker => &self.setting.docker,
            Client::Wharf => &self.setting.wharf,
        };
        let mut command = Command::new(program);
        command
            .args(["-H", &format!("unix://{}", self.socket.display())])
            .args(words)
            // A client that forgets its -H must find nobody, least of all this machine's engine.
            .env("DOCKER_HOST", format!("unix://{}", self.temp.at("nobody")))
            .envs(self.recording())
            .env_remove("DOCKER_CONTEXT")
            // The daemon's own builder, whatever plugins there are.
            .env("DOCKER_BUILDKIT", "0")
            .env("DOCKER_CONFIG", self.temp.at("config"))
            .stdin(Stdio::null());
        command
    }

    /// Runs the client without `-H`, with these variables beside its own config directory.
    #[track_caller]
    pub fn bare(&self, variables: &[(&str, &str)], words: &[&str]) -> Output {
        let command = self.command(words);
        let mut bare = Command::new(command.get_program());
        bare.args(words).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bare.env(name, value),
                None => bare.env_remove(name),
            };
        }
        bare.env_remove("DOCKER_HOST")
            .envs(variables.iter().copied());
        self.normal(Program::start(&mut bare).finish())
    }

    /// Runs the client to its end, with nothing on stdin.
    #[track_caller]
    pub fn cli(&self, words: &[&str]) -> Output {
        self.normal(self.spawn(words).finish())
    }

    /// Runs the client to its end with `input` on stdin.
    #[track_caller]
    pub fn cli_with(&self, input: &str, words: &[&str]) -> Output {
        let mut program = self.spawn(words);
        program.write(input);
        self.normal(program.finish())
    }

    /// Starts the client.
    pub fn spawn(&self, words: &[&str]) -> Program {
        Program::start(&mut self.command(words))
    }

    /// Our client calls itself `wharf` where the official one says `docker`; else the texts are the same.
    fn normal(&self, mut output: Output) -> Output {
        if self.client() == Client::Wharf {
            for (ours, theirs) in [("wharf: ", "docker: "), ("'wharf ", "'docker ")] {
                output.stderr = output.stderr.replace(ours, theirs);
            }
        }
        output
    }

    /// Runs `script` in a new container without network and returns what the client says.
    #[track_caller]
    pub fn sh(&self, options: &[&str], script: &str) -> Output {
        let mut words = vec!["run", "--rm", "--network", "none"];
        words.extend(options);
        words.extend([BOX, "sh", "-c", script]);
        self.cli(&words)
    }

    /// Starts a container named with `suffix` in the background and returns its name.
    #[track_caller]
    pub fn background(&self, suffix: &str, options: &[&str], script: &str) -> String {
        let name = self.name(suffix);
        let mut words = vec!["run", "-d", "--network", "none", "--name", &name];
        words.extend(options);
        words.extend([BOX, "sh", "-c", script]);
        self.cli(&words).exits(0);
        name
    }

    /// Returns what inspect says of a container.
    #[track_caller]
    pub fn inspect(&self, name: &str) -> Value {
        self.get_path(&format!("/containers/{name}/json"))
            .is(200)
            .json()
    }

    /// Sends a request without a body.
    #[track_caller]
    pub fn get_path(&self, path: &str) -> Reply {
        self.request("GET", path, &[], b"")
    }

    /// Sends a JSON document.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.request(
            "POST",
            path,
            &["Content-Type: application/json"],
            body.as_bytes(),
        )
    }

    /// Sends a request.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        http::request(&self.socket, method, path, headers, body)
    }

    /// Sends bytes and returns all that comes back; `half_close` shuts our writing side down first.
    pub fn exchange(&self, bytes: &[u8], half_close: bool) -> Vec<u8> {
        http::exchange(&self.socket, bytes, half_close)
    }

    /// Sends a request to an engine that may die meanwhile: no answer is none.
    pub fn attempt(&self, method: &str, path: &str, body: &Value) -> Option<Reply> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = ["Content-Type: application/json"];
        http::attempt(&self.socket, method, path, &headers, body.as_bytes())
    }

    /// Removes what the case made, stops our daemon and checks that nothing is left.
    pub fn finish(&self) {
        self.clear();
        if self.kind() == Kind::Wharf {
            self.stop_and_check();
        }
    }

    /// Removes the case's containers by force, then its volumes.
    pub fn clear(&self) {
        let path = "/containers/json?all=1";
        let all = self.request("GET", path, &[UNCOUNTED], b"").is(200).json();
        for container in all.as_array().expect("a list") {
            let id = container["Id"].as_str().expect("an id");
            let names = container["Names"].to_string();
            if self.kind() == Kind::Wharf || names.contains(&format!("/{}.", self.slug)) {
                let path = format!("/containers/{id}?force=1&v=1");
                let reply = self.request("DELETE", &path, &[UNCOUNTED], b"");
                assert!(
                    [204, 404, 409].contains(&reply.status),
                    "rm -f: {}",
                    reply.text()
                );
            }
        }
        self.clear_volumes();
    }

    fn clear_volumes(&self) {
        let all = self.request("GET", "/volumes", &[UNCOUNTED], b"");
        let all = all.is(200).json();
        for volume in all["Volumes"].as_array().into_iter().flatten() {
            let name = volume["Name"].as_str().expect("a name");
            if self.kind() == Kind::Wharf || name.starts_with(&format!("{}.", self.slug)) {
                let path = format!("/volumes/{name}");
                let reply = self.request("DELETE", &path, &[UNCOUNTED], b"");
                assert!(
                    [204, 404].contains(&reply.status),
                    "volume rm: {}",
                    reply.text()
                );
            }
        }
    }

    /// Stops our daemon, which has no container any more, and checks that nothing is left.
    pub fn stop_and_check(&self) {
        let id = self.id();
        self.stop_daemon();
        self.check_left(&id);
    }

    /// Returns the id of our engine, which runs.
    pub fn id(&self) -> String {
        let info = self.request("GET", "/info", &[UNCOUNTED], b"");
        let info = info.is(200).json();
        info["ID"].as_str().expect("an engine has an id").to_owned()
    }

    /// Checks that nothing is left of our engine `id`, which was stopped.
    pub fn check_left(&self, id: &str) {
        leaks::check(self.temp.path(), id);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Ok(mut daemon) = self.daemon.lock() else {
            return;
        };
        let Some(mut daemon) = daemon.take() else {
            if std::thread::panicking() && self.kind() == Kind::Wharf {
                leaks::kill_orphans();
            }
            return;
        };
        // The case failed. Its cgroups outlive every process, so the daemon is asked once more; in a
        // thread, for this one may be panicking already.
        let removed = std::thread::scope(|scope| {
            let removal = scope.spawn(|| self.clear());
            removal.join()
        });
        if removed.is_err() {
            eprintln!("-- not everything was removed");
        }
        daemon.signal(Signal::TERM);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(3);
        while daemon.runs() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        eprintln!("-- the daemon's words:\n{}", daemon.stderr());
        drop(daemon);
        leaks::kill_orphans();
    }
}
