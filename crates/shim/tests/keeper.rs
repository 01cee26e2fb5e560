//! A real shim that keeps real containers: asked over its socket, looked at from outside.

#![allow(missing_docs, reason = "a test program")]

#[cfg(test)]
#[path = "keeper/rig.rs"]
mod rig;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;

    use shim::protocol::{Attach, Event, Exit, Log, Phase, Reply, Request};

    use super::rig::{Keeper, SIGKILL, attach, exec, payload, read_all, wait_readable};

    #[test]
    fn root_runs_to_the_exit_code() {
        let mut keeper = Keeper::new("echo out; echo err >&2; exit 7");
        keeper.create();
        assert_eq!(keeper.status().phase, Phase::Created);
        let client = keeper.attach(attach());
        keeper.ask(Request::Start);
        let Event::Exited(exit) = keeper.event() else {
            panic!("no exit")
        };
        assert_eq!((exit.code, exit.oom), (7, false));
        // Durable before anybody is told.
        let record: Exit = serde_json::from_slice(&keeper.file("exit.json")).unwrap();
        assert_eq!(record, exit);
        let (out, err) = payload(&read_all(client));
        assert_eq!((&out[..], &err[..]), (&b"out\n"[..], &b"err\n"[..]));
        let log = String::from_utf8(keeper.file(&shim::log_name(&keeper.id))).unwrap();
        assert_eq!(log.lines().count(), 2);
        assert!(
            log.contains(r#"{"log":"out\n","stream":"stdout","time":"2"#),
            "{log}"
        );
        let state = String::from_utf8(keeper.file("state.log")).unwrap();
        assert!(
            state.contains(r#""event":"start""#) && state.contains(r#""event":"die","code":7"#)
        );
        assert_eq!(keeper.status().phase, Phase::Stopped);
        keeper.delete();
    }

    #[test]
    fn root_goes_on_without_its_daemon() {
        let mut keeper = Keeper::new("echo before; read line; echo got $line; exit 3");
        keeper.create.open_stdin = true;
        keeper.create();
        let pid = keeper.status().pid;
        keeper.ask(Request::Start);
        // Else the client that comes later would still get the first line.
        let log = shim::log_name(&keeper.id);
        while !keeper.file(&log).ends_with(b"}\n") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        keeper.leave();
        keeper.return_to();
        let status = keeper.status();
        assert_eq!(
            (status.phase, status.pid, &status.id),
            (Phase::Running, pid, &keeper.id)
        );
        let mut client = keeper.attach(attach());
        client.write_all(b"it\n").unwrap();
        assert!(matches!(
            keeper.event(),
            Event::Exited(Exit { code: 3, .. })
        ));
        assert_eq!(payload(&read_all(client)).0, b"got it\n");
        keeper.delete();
    }

    #[test]
    fn root_records_the_exit_when_nobody_listens() {
        let mut keeper = Keeper::new("sleep 0.2; echo last; exit 5");
        keeper.create();
        keeper.ask(Request::Start);
        keeper.leave();
        assert_eq!(keeper.wait(), 0);
        let record: Exit = serde_json::from_slice(&keeper.file("exit.json")).unwrap();
        assert_eq!(record.code, 5);
        let log = keeper.file(&shim::log_name(&keeper.id));
        assert!(String::from_utf8(log).unwrap().contains("last"));
        keeper.assert_nothing_left();
    }

    #[test]
    fn root_a_container_that_was_never_started_ends_with_its_daemon() {
        let mut keeper = Keeper::new("true");
        keeper.create();
        keeper.leave();
        assert_eq!(keeper.wait(), 0);
        keeper.assert_nothing_left();
        let mut spare = Keeper::new("true");
        assert_eq!(spare.status().phase, Phase::Empty);
        spare.leave();
        assert_eq!(spare.wait(), 0);
    }

    #[test]
    fn root_a_failed_create_leaves_nothing_and_may_be_tried_again() {
        let mut keeper = Keeper::new("true");
        let args = std::mem::replace(&mut keeper.process().args, vec!["nosuch".to_owned()]);
        let message = keeper.refused(Request::Create(Box::new(keeper.create.clone())));
        assert!(
            message.contains(r#"exec: "nosuch": executable file not found in $PATH"#),
            "{message}"
        );
        assert_eq!(keeper.status().phase, Phase::Empty);
        keeper.assert_nothing_left();
        keeper.process().args = args;
        keeper.create();
        keeper.ask(Request::Start);
        assert!(matches!(
            keeper.event(),
            Event::Exited(Exit { code: 0, .. })
        ));
        keeper.delete();
    }

    #[test]
    fn root_stdin_ends_when_the_container_wants_it_so() {
        let mut keeper = Keeper::new("cat; echo end");
        (keeper.create.open_stdin, keeper.create.stdin_once) = (true, true);
        keeper.create.log = Log::None;
        keeper.create();
        let mut client = keeper.attach(Attach {
            early_input: b"a".to_vec(),
            ..attach()
        });
        keeper.ask(Request::Start);
        client.write_all(b"b\n").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(payload(&read_all(client)).0, b"ab\nend\n");
        assert!(matches!(
            keeper.event(),
            Event::Exited(Exit { code: 0, .. })
        ));
        keeper.delete();

        // Without open_stdin there is nothing to read.
        let mut keeper = Keeper::new("cat; exit 4");
        keeper.create();
        keeper.ask(Request::Start);
        assert!(matches!(
            keeper.event(),
            Event::Exited(Exit { code: 4, .. })
        ));
        keeper.delete();
    }

    #[test]
    fn root_execs_have_their_own_streams_and_codes() {
        let mut keeper = Keeper::new("sleep 100");
        keeper.create();
        assert!(
            keeper
                .refused(exec("1", "true", None))
                .contains("not running")
        );
        keeper.ask(Request::Start);
        let (mut client, reply) = keeper.exec("1", "cat; echo err >&2; exit 9");
        assert!(matches!(reply, Reply::Process { pid: 1.., .. }));
        assert_eq!(keeper.status().execs, ["1"]);
        client.write_all(b"through\n").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(
            keeper.event(),
            Event::ExecExited {
                exec_id: "1".to_owned(),
                code: 9
            }
        );
        let (out, err) = payload(&read_all(client));
        assert_eq!((&out[..], &err[..]), (&b"through\n"[..], &b"err\n"[..]));
        // Nobody attached.
        assert!(matches!(
            keeper.call(exec("2", "exit 8", None), &[]).0,
            Reply::Process { .. }
        ));
        assert_eq!(
            keeper.event(),
            Event::ExecExited {
                exec_id: "2".to_owned(),
                code: 8
            }
        );
        // A client keeps its stream when the exec cannot be started.
        let Request::Exec(mut bad) = exec("3", "", Some(attach())) else {
            unreachable!()
        };
        bad.process.args = vec!["nosuch".to_owned()];
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (reply, _) = keeper.call(Request::Exec(bad), &[theirs.as_fd()]);
        let Reply::Failed { message } = reply else {
            panic!("{reply:?}")
        };
        assert!(message.contains("executable file not found"), "{message}");
        (&theirs).write_all(b"told").unwrap();
        drop(theirs);
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "told");
        // The end of init ends the execs.
        let (client, _) = keeper.exec("4", "sleep 100");
        keeper.ask(Request::Signal {
            signal: SIGKILL,
            exec_id: None,
        });
        let mut events = [keeper.event(), keeper.event()];
        events.sort_by_key(|event| matches!(event, Event::Exited(_)));
        assert_eq!(
            events[0],
            Event::ExecExited {
                exec_id: "4".to_owned(),
                code: 137
            }
        );
        assert!(matches!(events[1], Event::Exited(Exit { code: 137, .. })));
        assert!(read_all(client).is_empty());
        keeper.delete();
    }

    #[test]
    fn root_terminals_are_typed_at_resized_and_left() {
        let mut keeper = Keeper::new("read line; echo got $line; read line; stty size; exit 6");
        keeper.process().terminal = true;
        keeper.create.open_stdin = true;
        keeper.create.console_size = Some((100, 40));
        keeper.create();
        let raw = Attach {
            framed: false,
            detach_keys: vec![16, 17],
            client: 5,
            ..attach()
        };
        let mut client = keeper.attach(raw.clone());
        keeper.ask(Request::Start);
        client.write_all(b"it\n").unwrap();
        let mut text = [0; 12];
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"it\r\ngot it\r\n");
        client.write_all(b"\x10\x11").unwrap();
        assert_eq!(
            keeper.event(),
            Event::Detached {
                client: 5,
                exec_id: None
            }
        );
        assert!(read_all(client).is_empty());
        keeper.ask(Request::Resize {
            exec_id: None,
            width: 90,
            height: 30,
        });
        let mut client = keeper.attach(raw);
        client.write_all(b"\n").unwrap();
        assert!(matches!(
            keeper.event(),
            Event::Exited(Exit { code: 6, .. })
        ));
        assert_eq!(read_all(client), b"\r\n30 90\r\n");
        keeper.delete();
    }

    #[test]
    fn root_everything_is_frozen_and_killed_together() {
        let mut keeper = Keeper::new("while true; do echo x; sleep 0.01; done");
        keeper.create();
        keeper.ask(Request::Start);
        keeper.ask(Request::Freeze { frozen: true });
        let before = keeper.file(&shim::log_name(&keeper.id)).len();
        // Longer than a round of the loop: what was in the pipe is in the log.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let settled = keeper.file(&shim::log_name(&keeper.id)).len();
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(keeper.file(&shim::log_name(&keeper.id)).len(), settled);
        assert!(before <= settled);
        keeper.ask(Request::Freeze { frozen: false });
        keeper.ask(Request::KillAll);
        assert!(matches!(
            keeper.event(),
            Event::Exited(Exit { code: 137, .. })
        ));
        keeper.delete();
    }

    #[test]
    fn root_delete_ends_what_runs() {
        let mut keeper = Keeper::new("sleep 100");
        keeper.create();
        keeper.ask(Request::Start);
        let client = keeper.attach(attach());
        let (Reply::Root, fds) = keeper.call(Request::OpenRoot, &[]) else {
            panic!("no root")
        };
        assert_eq!(fds.len(), 1);
        let inside = format!(
            "/proc/self/fd/{}/etc/plain",
            std::os::fd::AsRawFd::as_raw_fd(&fds[0])
        );
        assert_eq!(std::fs::read_to_string(inside).unwrap(), "here\n");
        keeper.delete();
        assert!(read_all(client).is_empty());
    }

    #[test]
    fn root_a_killed_shim_takes_its_container_with_it() {
        let mut keeper = Keeper::new("sleep 100");
        keeper.create();
        keeper.ask(Request::Start);
        let init = sys::pidfd::open(keeper.status().pid).unwrap();
        keeper.kill();
        // The death signal came; the zombie is reaped by whoever reaps orphans here.
        wait_readable(init.as_fd());
        // The daemon's work, of which this is all that is left.
        keeper.remove_groups();
        std::fs::remove_file(&keeper.create.socket).unwrap();
        keeper.assert_nothing_left();
    }

    #[test]
    fn root_a_container_for_one_run_is_recorded_too() {
        let mut keeper = Keeper::new("exit 2");
        keeper.make_volatile();
        keeper.create();
        keeper.ask(Request::Start);
        keeper.leave();
        assert_eq!(keeper.wait(), 0);
        let record: Exit = serde_json::from_slice(&keeper.file("exit.json")).unwrap();
        assert_eq!(record.code, 2);
    }

    #[test]
    fn root_kills_for_memory_are_told_and_recorded() {
        // The hog is a child of init, which lives on: not the end tells, but the kernel.
        let mut keeper =
            Keeper::new("head -c 100000000 /dev/zero | tail; echo over; read line; exit 3");
        keeper.create.open_stdin = true;
        keeper.limit_memory(16 << 20);
        keeper.create();
        let mut client = keeper.attach(attach());
        keeper.ask(Request::Start);
        assert_eq!(keeper.event(), Event::Oom);
        client.write_all(b"\n").unwrap();
        let Event::Exited(exit) = keeper.event() else {
            panic!("told twice")
        };
        assert_eq!((exit.code, exit.oom), (3, true));
        keeper.delete();
    }

    #[test]
    fn root_a_big_environment_travels_in_a_memory_file() {
        let mut keeper = Keeper::new("echo ${#BIG}");
        keeper
            .process()
            .env
            .push(format!("BIG={}", "x".repeat(100_000)));
        keeper.create();
        let client = keeper.attach(attach());
        keeper.ask(Request::Start);
        assert_eq!(payload(&read_all(client)).0, b"100000\n");
        assert!(matches!(
            keeper.event(),
            Event::Exited(Exit { code: 0, .. })
        ));
        keeper.delete();
    }
}
