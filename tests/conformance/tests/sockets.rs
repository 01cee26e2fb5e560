//! What a runtime sends: a container's terminal, a filter's listener, a process's descriptor.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use conformance::{Bundle, Runtime, unique};
use serde_json::{Value, json};

/// Accepts once, prints what came as JSON: the bytes, and what the descriptors say until their end.
const LISTEN: &str = r"
import json, os, socket, sys
path, read = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(1)
print('ready', flush=True)
client, _ = server.accept()
data, fds, _, _ = socket.recv_fds(client, 65536, 4)
said = b''
while read == 'yes':
    try:
        part = os.read(fds[0], 4096)
    except OSError:
        break
    if not part:
        break
    said += part
for fd in fds:
    os.close(fd)
print(json.dumps({'data': data.decode(), 'fds': len(fds), 'said': said.decode()}), flush=True)
";

struct Listener {
    child: Child,
    path: String,
}

impl Listener {
    fn start(dir: &Path, read: bool) -> Self {
        use std::io::{BufRead, BufReader};
        let path = dir.join("socket").display().to_string();
        let mut child = Command::new("timeout")
            .args([
                "20",
                "python3",
                "-c",
                LISTEN,
                &path,
                if read { "yes" } else { "no" },
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        let mut reader = BufReader::new(stdout);
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        child.stdout = Some(reader.into_inner());
        Self { child, path }
    }

    fn end(self) -> Value {
        let output = self.child.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }
}

/// What is shown on the terminal of a created container.
fn shown(runtime: &Runtime, change: impl Fn(&mut Bundle)) -> String {
    let mut bundle = Bundle::new(
        "tty; stty size; ls -l /dev/console | cut -c 1; test -t 0 && test -t 2 && echo all",
    );
    bundle.set("/process/terminal", json!(true));
    bundle.set("/process/consoleSize", json!({"height": 33, "width": 77}));
    change(&mut bundle);
    let listener = Listener::start(bundle.dir(), true);
    let id = unique(runtime);
    bundle.write(&id);
    let said = runtime.run_in(
        bundle.dir(),
        &["create", "--console-socket", &listener.path, &id],
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(runtime.run(&["start", &id]).code, 0);
    let got = listener.end();
    runtime.clear(&id);
    assert_eq!(got["fds"], 1, "{got}");
    got["said"].as_str().unwrap().to_owned()
}

#[test]
fn root_console_socket() {
    let plain = |_: &mut Bundle| {};
    let text = shown(&Runtime::ours(), plain);
    assert_eq!(text, shown(&Runtime::runc(), plain));
    assert_eq!(text, "/dev/pts/0\r\n33 77\r\nc\r\nall\r\n");
    let ids = |bundle: &mut Bundle| {
        bundle.set("/linux/namespaces/-", json!({"type": "user"}));
        bundle.set(
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 0, "size": 1000}]),
        );
        bundle.set(
            "/linux/gidMappings",
            json!([{"containerID": 0, "hostID": 0, "size": 1000}]),
        );
    };
    assert_eq!(shown(&Runtime::ours(), ids), text);
}

#[test]
fn root_console_socket_of_exec() {
    for runtime in [Runtime::ours(), Runtime::runc()] {
        let bundle = Bundle::new("sleep 60");
        let id = unique(&runtime);
        bundle.write(&id);
        assert_eq!(runtime.run_in(bundle.dir(), &["run", "-d", &id]).code, 0);
        let listener = Listener::start(bundle.dir(), true);
        let said = runtime.run(&[
            "exec",
            "-t",
            "-d",
            "--console-socket",
            &listener.path,
            &id,
            "tty",
        ]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(listener.end()["said"], "/dev/pts/0\r\n");
        runtime.clear(&id);
    }
}

#[test]
fn root_seccomp_listener() {
    for runtime in [Runtime::ours(), Runtime::runc()] {
        for no_new_privs in [true, false] {
            let mut bundle = Bundle::new("uname 2>&1; echo after");
            bundle.set("/process/noNewPrivileges", json!(no_new_privs));
            let listener = Listener::start(bundle.dir(), false);
            bundle.set(
                "/linux/seccomp",
                json!({
                    "defaultAction": "SCMP_ACT_ALLOW",
                    "listenerPath": listener.path,
                    "listenerMetadata": "word",
                    "syscalls": [{"names": ["uname"], "action": "SCMP_ACT_NOTIFY"}],
                }),
            );
            let said = bundle.run(&runtime);
            let got = listener.end();
            assert_eq!(got["fds"], 1, "{}: {got} {said:?}", runtime.name);
            let state: Value = serde_json::from_str(got["data"].as_str().unwrap()).unwrap();
            assert_eq!(state["fds"], json!(["seccompFd"]));
            assert_eq!(state["metadata"], "word");
            assert!(state["pid"].as_i64().is_some_and(|pid| pid > 0), "{state}");
            assert_eq!(
                state["state"]["status"], "creating",
                "{}: {state}",
                runtime.name
            );
            // Nobody answers: the call does not exist.
            assert!(
                said.out.ends_with("after\n") && said.code == 0,
                "{}: {said:?}",
                runtime.name
            );
        }
    }
}

#[test]
fn root_exec_affinity() {
    let runtime = Runtime::ours();
    let bundle = Bundle::new("sleep 60");
    let id = unique(&runtime);
    bundle.write(&id);
    assert_eq!(runtime.run_in(bundle.dir(), &["run", "-d", &id]).code, 0);
    let process = bundle.dir().join("process.json");
    let text = json!({
        "args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"],
        "execCPUAffinity": {"initial": "0", "final": "0"},
    });
    std::fs::write(&process, text.to_string()).unwrap();
    let said = runtime.run(&["exec", "--process", process.to_str().unwrap(), &id]);
    runtime.clear(&id);
    assert_eq!(said.out, "Cpus_allowed_list:\t0\n", "{said:?}");
}

#[test]
fn root_io_priority() {
    let mut bundle = Bundle::new("true");
    bundle.set(
        "/process/ioPriority",
        json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0}),
    );
    bundle.set("/process/args", json!(["busybox", "ionice", "-p", "1"]));
    assert!(bundle.run(&Runtime::ours()).out.starts_with("idle"));
}

#[test]
fn root_kept_descriptors() {
    for runtime in [Runtime::ours(), Runtime::runc()] {
        let bundle = Bundle::new("cat <&3; ls /proc/self/fd | wc -l");
        let file = bundle.dir().join("given");
        std::fs::write(&file, "given\n").unwrap();
        let id = unique(&runtime);
        bundle.write(&id);
        let line = format!(
            "exec 3<{}; exec {} --root {} run --preserve-fds 1 {id}",
            file.display(),
            runtime.program.display(),
            runtime.root()
        );
        let output = Command::new("sh")
            .args(["-c", &line])
            .current_dir(bundle.dir())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        runtime.clear(&id);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "given\n5\n",
            "{}: {output:?}",
            runtime.name
        );
    }
}
