//! Volume plugins: a program that keeps volumes and is asked by Docker's protocol.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::{BOX, Engine, TempDir, case, eventually};

/// A plugin that keeps volumes in a directory; its file goes when this does.
struct Plugin {
    name: String,
    spec: PathBuf,
    /// What it was asked.
    asked: Arc<Mutex<Vec<String>>>,
    temp: TempDir,
}

impl Plugin {
    fn start(e: &Engine) -> Plugin {
        let name = e.name("keeper").replace('.', "-");
        // Not the engine's directory: whose sockets are left there is looked at.
        let temp = TempDir::new("wharf-keeper");
        let (socket, place) = (temp.path().join("plugin"), temp.path().join("kept"));
        std::fs::create_dir_all(&place).expect("a new directory");
        let listener = UnixListener::bind(&socket).expect("a new socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &place, &log);
            }
        });
        let folder = Path::new("/etc/docker/plugins");
        std::fs::create_dir_all(folder).expect("a directory of the administrator's");
        let spec = folder.join(format!("{name}.spec"));
        std::fs::write(&spec, format!("unix://{}\n", socket.display())).expect("a new file");
        Plugin {
            name,
            spec,
            asked,
            temp,
        }
    }

    /// Where it keeps its volumes.
    fn kept(&self) -> PathBuf {
        self.temp.path().join("kept")
    }

    fn asked(&self, method: &str) -> usize {
        let asked = self.asked.lock().expect("no panic holds the lock");
        asked.iter().filter(|one| *one == method).count()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // It may be gone; the case says what is wrong.
        drop(std::fs::remove_file(&self.spec));
    }
}

fn answer(mut stream: UnixStream, place: &Path, log: &Mutex<Vec<String>>) {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    let (head, length) = loop {
        let Ok(count @ 1..) = stream.read(&mut buffer) else {
            return;
        };
        all.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
    };
    let method = head
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .trim_start_matches('/')
        .to_owned();
    let asked: Value = serde_json::from_str(&length).unwrap_or_default();
    log.lock()
        .expect("no panic holds the lock")
        .push(method.clone());
    let name = asked["Name"].as_str().unwrap_or_default();
    let path = place.join(name);
    let said = match method.as_str() {
        "Plugin.Activate" => json!({"Implements": ["VolumeDriver"]}),
        "VolumeDriver.Create" if asked["Opts"]["refuse"] == "yes" => json!({"Err": "I will not"}),
        "VolumeDriver.Create" => {
            std::fs::create_dir_all(&path).expect("a new directory");
            json!({"Err": ""})
        }
        "VolumeDriver.Remove" => {
            drop(std::fs::remove_dir_all(&path));
            json!({"Err": ""})
        }
        "VolumeDriver.Mount" | "VolumeDriver.Path" if path.exists() => {
            json!({"Mountpoint": path, "Err": ""})
        }
        "VolumeDriver.Get" if path.exists() => {
            json!({"Volume": {"Name": name, "Mountpoint": path}, "Err": ""})
        }
        "VolumeDriver.Mount" | "VolumeDriver.Path" | "VolumeDriver.Get" => {
            json!({"Err": "no such volume"})
        }
        "VolumeDriver.List" => json!({"Volumes": [], "Err": ""}),
        "VolumeDriver.Capabilities" => json!({"Capabilities": {"Scope": "local"}}),
        _ => json!({"Err": ""}),
    };
    let body = said.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Who asked may be gone.
    drop(stream.write_all((head + &body).as_bytes()));
}

case!(a_plugin_keeps_a_volume, |e| {
    let plugin = Plugin::start(e);
    let (volume, name) = (e.name("v"), plugin.name.clone());
    e.cli(&["volume", "create", "-d", &name, "-o", "k=v", &volume])
        .exits(0);
    assert_eq!(plugin.asked("VolumeDriver.Create"), 1);
    e.cli(&[
        "volume",
        "inspect",
        "-f",
        "{{.Driver}} {{.Mountpoint}}",
        &volume,
    ])
    .exits(0)
    .says(&format!(
        "{name} {}\n",
        plugin.kept().join(&volume).display()
    ));
    let bind = format!("{volume}:/d");
    let holder = e.background("h", &["-v", &bind], "echo kept > /d/file; sleep 100");
    let file = plugin.kept().join(&volume).join("file");
    eventually("the file is where the plugin keeps it", || {
        file.exists().then_some(())
    });
    e.cli(&["volume", "rm", &volume])
        .exits(1)
        .complains("volume is in use");
    assert_eq!(plugin.asked("VolumeDriver.Unmount"), 0);
    e.cli(&["rm", "-f", &holder]).exits(0);
    eventually("it is told of the end", || {
        (plugin.asked("VolumeDriver.Unmount") >= 1).then_some(())
    });
    assert_eq!(plugin.asked("VolumeDriver.Remove"), 0);
    e.cli(&["volume", "rm", &volume]).exits(0);
    assert_eq!(plugin.asked("VolumeDriver.Remove"), 1);
    assert!(!file.exists());
});

case!(a_volume_comes_with_its_container, |e| {
    let plugin = Plugin::start(e);
    let (volume, other) = (e.name("v"), e.name("other"));
    let bind = format!("{volume}:/d");
    e.sh(
        &["--volume-driver", &plugin.name, "-v", &bind],
        "echo x > /d/f",
    )
    .exits(0);
    e.cli(&["volume", "inspect", "-f", "{{.Driver}}", &volume])
        .exits(0)
        .says(&format!("{}\n", plugin.name));
    let mount = format!(
        "type=volume,src={other},dst=/d,volume-driver={}",
        plugin.name
    );
    e.sh(&["--mount", &mount], "echo y > /d/f").exits(0);
    let kept = plugin.kept();
    assert_eq!(
        std::fs::read_to_string(kept.join(&volume).join("f")).expect("a file"),
        "x\n"
    );
    assert_eq!(
        std::fs::read_to_string(kept.join(&other).join("f")).expect("a file"),
        "y\n"
    );
    let holder = e.name("h");
    let words = [
        "create",
        "--network",
        "none",
        "--name",
        &holder,
        "--volume-driver",
        &plugin.name,
    ];
    let mut words = words.to_vec();
    words.extend(["-v", &bind, BOX, "true"]);
    e.cli(&words).exits(0);
    let mounts = e.inspect(&holder)["Mounts"].clone();
    assert_eq!(mounts[0]["Driver"], plugin.name.as_str());
    e.cli(&["rm", &holder]).exits(0);
    e.cli(&["volume", "rm", &volume, &other]).exits(0);
    assert_eq!(std::fs::read_dir(kept).expect("a directory").count(), 0);
});

case!(a_plugin_that_refuses, |e| {
    let plugin = Plugin::start(e);
    let volume = e.name("v");
    e.cli(&[
        "volume",
        "create",
        "-d",
        &plugin.name,
        "-o",
        "refuse=yes",
        &volume,
    ])
    .exits(1)
    .complains(&format!("create {volume}: I will not"));
    e.get_path(&format!("/volumes/{volume}")).is(404);
});
