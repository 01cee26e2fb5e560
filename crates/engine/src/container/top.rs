//! `top`: the processes of a container, read from /proc; no ps is started.

use super::list::Processes;
use crate::error::{Error, Result};

/// A column that ps knows by this head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Uid,
    User,
    Pid,
    Ppid,
    C,
    Stime,
    Tty,
    Time,
    Cmd,
    Comm,
    Stat,
    Rss,
    Vsz,
    PercentCpu,
    PercentMem,
    Nice,
    Start,
    Pgid,
    Sid,
}

use Column::{
    C, Cmd, Comm, Nice, PercentCpu, PercentMem, Pgid, Pid, Ppid, Rss, Sid, Start, Stat, Stime,
    Time, Tty, Uid, User, Vsz,
};

/// `-ef` in ps's order.
const FULL: [Column; 8] = [Uid, Pid, Ppid, C, Stime, Tty, Time, Cmd];
/// `aux` in ps's order.
const BSD: [Column; 11] = [
    User, Pid, PercentCpu, PercentMem, Vsz, Rss, Tty, Stat, Start, Time, Cmd,
];

/// Reads ps's arguments: `-ef`, `aux`, `-o COLUMNS`.
pub(crate) fn columns(ps_args: &str) -> Result<Vec<(String, Column)>> {
    let args = ps_args.trim();
    let named = |columns: &[Column]| {
        columns
            .iter()
            .map(|&column| (head(column).to_owned(), column))
            .collect()
    };
    match args {
        "" | "-ef" | "-e -f" | "-f" | "ef" => return Ok(named(&FULL)),
        "aux" | "-aux" | "auxw" | "auxww" => {
            let mut all: Vec<(String, Column)> = named(&BSD);
            if let Some(last) = all.last_mut() {
                "COMMAND".clone_into(&mut last.0);
            }
            return Ok(all);
        }
        _ => {}
    }
    let list = args
        .strip_prefix("-eo")
        .or_else(|| args.strip_prefix("-o"))
        .or_else(|| args.strip_prefix("o"))
        .map(str::trim);
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Err(Error::invalid(format!(
            "ps arguments {args:?} are not understood here: use -ef, aux or -o COLUMNS"
        )));
    };
    list.split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(one_column)
        .collect()
}

fn one_column(word: &str) -> Result<(String, Column)> {
    let (name, title) = word
        .split_once('=')
        .map_or((word, None), |(name, title)| (name, Some(title)));
    let column = match name {
        "uid" => Uid,
        "user" | "euser" | "uname" => User,
        "pid" => Pid,
        "ppid" => Ppid,
        "c" => C,
        "stime" => Stime,
        "tty" | "tname" | "tt" => Tty,
        "time" | "cputime" => Time,
        "cmd" | "args" | "command" => Cmd,
        "comm" | "ucmd" => Comm,
        "stat" | "state" | "s" => Stat,
        "rss" => Rss,
        "vsz" => Vsz,
        "%cpu" | "pcpu" => PercentCpu,
        "%mem" | "pmem" => PercentMem,
        "ni" | "nice" => Nice,
        "start" => Start,
        "pgid" | "pgrp" => Pgid,
        "sid" | "sess" => Sid,
        _ => return Err(Error::invalid(format!("unknown ps column {name:?}"))),
    };
    let title = title.map_or_else(
        || match name {
            "args" | "command" | "comm" => "COMMAND".to_owned(),
            _ => head(column).to_owned(),
        },
        str::to_owned,
    );
    Ok((title, column))
}

fn head(column: Column) -> &'static str {
    match column {
        Uid => "UID",
        User => "USER",
        Pid => "PID",
        Ppid => "PPID",
        C => "C",
        Stime => "STIME",
        Tty => "TTY",
        Time => "TIME",
        Cmd => "CMD",
        Comm => "COMMAND",
        Stat => "STAT",
        Rss => "RSS",
        Vsz => "VSZ",
        PercentCpu => "%CPU",
        PercentMem => "%MEM",
        Nice => "NI",
        Start => "START",
        Pgid => "PGID",
        Sid => "SID",
    }
}

/// Reads the processes and lays them out. A process that ended meanwhile is left out.
pub(crate) fn table(columns: &[(String, Column)], pids: &[i32]) -> Processes {
    let host = Machine::read();
    let rows = pids
        .iter()
        .filter_map(|&pid| OneProcess::read(pid))
        .map(|process| {
            columns
                .iter()
                .map(|(_, column)| cell(*column, &process, &host))
                .collect()
        })
        .collect();
    Processes {
        titles: columns.iter().map(|(title, _)| title.clone()).collect(),
        rows,
    }
}

/// What is the same for all processes.
#[derive(Debug, Default)]
struct Machine {
    passwd: String,
    boot_s: u64,
    uptime_s: u64,
    memory_kb: u64,
}

impl Machine {
    fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let number = |text: &str, key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|word| word.split('.').next())
                .and_then(|word| word.parse().ok())
                .unwrap_or(0)
        };
        Self {
            passwd: text("/etc/passwd"),
            boot_s: number(&text("/proc/stat"), "btime "),
            uptime_s: number(&text("/proc/uptime"), ""),
            memory_kb: number(&text("/proc/meminfo"), "MemTotal:"),
        }
    }

    fn user(&self, uid: u32) -> String {
        let wanted = uid.to_string();
        self.passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&wanted.as_str()))
            .and_then(|fields| fields.first().map(|&name| name.to_owned()))
            .unwrap_or(wanted)
    }
}

/// One process as /proc tells it (proc_pid_stat(5)).
#[derive(Debug, Default)]
struct OneProcess {
    pid: i32,
    uid: u32,
    comm: String,
    cmd: String,
    /// Fields of /proc/PID/stat from the state on: field N is at N − 3.
    stat: Vec<String>,
}

impl OneProcess {
    fn read(pid: i32) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let dir = std::path::PathBuf::from(format!("/proc/{pid}"));
        let stat = std::fs::read_to_string(dir.join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_owned();
        let cmdline = std::fs::read(dir.join("cmdline")).ok()?;
        let words: Vec<_> = cmdline
            .split(|&byte| byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        let cmd = words.join(" ").trim_end().to_owned();
        Some(Self {
            pid,
            uid: std::fs::metadata(&dir).ok()?.uid(),
            cmd: if cmd.is_empty() {
                format!("[{comm}]")
            } else {
                cmd
            },
            comm,
            stat: tail.split_whitespace().map(str::to_owned).collect(),
        })
    }

    fn field(&self, number: usize) -> u64 {
        self.stat
            .get(number - 3)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    fn text(&self, number: usize) -> String {
        self.stat.get(number - 3).cloned().unwrap_or_default()
    }
}

/// Clock ticks per second as user space sees them: 100 on every Linux (sysconf(_SC_CLK_TCK)).
const TICKS: u64 = 100;

fn cell(column: Column, process: &OneProcess, host: &Machine) -> String {
    let cpu_s = (process.field(14) + process.field(15)) / TICKS;
    let started_s = process.field(22) / TICKS;
    let lived_s = host.uptime_s.saturating_sub(started_s).max(1);
    match column {
        Uid | User => host.user(process.uid),
        Pid => process.pid.to_string(),
        Ppid => process.text(4),
        C => (cpu_s * 100 / lived_s).min(99).to_string(),
        Stime | Start => clock_time(host.boot_s + started_s),
        Tty => terminal(process.field(7)),
        Time => format!(
            "{:02}:{:02}:{:02}",
            cpu_s / 3600,
            cpu_s / 60 % 60,
            cpu_s % 60
        ),
        Cmd => process.cmd.clone(),
        Comm => process.comm.clone(),
        Stat => process.text(3),
        Rss => (process.field(24) * 4).to_string(),
        Vsz => (process.field(23) / 1024).to_string(),
        PercentCpu => tenths(cpu_s * 1000 / lived_s),
        PercentMem => tenths(
            (process.field(24) * 4 * 1000)
                .checked_div(host.memory_kb)
                .unwrap_or(0),
        ),
        Nice => process.text(19),
        Pgid => process.text(5),
        Sid => process.text(6),
    }
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// Hours and minutes of a moment, in UTC as a daemon without locale has it.
fn clock_time(unix_s: u64) -> String {
    format!("{:02}:{:02}", unix_s / 3600 % 24, unix_s / 60 % 60)
}

/// Device number → name: 136 and up are pts (Documentation/admin-guide/devices.txt).
fn terminal(number: u64) -> String {
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00);
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_what_people_type() {
        let heads = |args: &str| {
            columns(args)
                .unwrap()
                .into_iter()
                .map(|(title, _)| title)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(heads(""), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(
            heads("aux"),
            "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"
        );
        assert_eq!(heads("-o pid,comm"), "PID COMMAND");
        assert_eq!(heads("-eo pid,args=ARGS"), "PID ARGS");
        assert!(columns("-o nope").is_err());
        assert!(columns("--forest").is_err());
    }

    #[test]
    fn terminals() {
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal(136 << 8 | 3), "pts/3");
        assert_eq!(terminal(4 << 8 | 1), "tty1");
    }

    #[test]
    fn reads_this_very_process() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let processes = table(&columns("-o pid,ppid").unwrap(), &[pid]);
        assert_eq!(processes.rows[0][0], pid.to_string());
        assert_ne!(processes.rows[0][1], "");
    }
}
