//! `ps`.

use std::fs;

use super::error::{Error, Result};
use super::words::Words;
use super::{Context, control, list, print};

/// `ps ID`
pub(super) fn ps(context: &Context, words: &Words) -> Result<i32> {
    let entry = control::named(context, words)?;
    let pids = entry
        .group()
        .and_then(|group| Ok(group.pids()?))
        .unwrap_or_default();
    match words.get("format").unwrap_or("table") {
        "json" => print(&format!("{}\n", serde_json::json!(pids))),
        "table" => {
            let options = words.args.get(1..).unwrap_or_default();
            if !matches!(options, [] | [_]) || options.first().is_some_and(|one| one != "-ef") {
                return Err(Error::said(format!(
                    "ps options {:?} are not supported: only -ef",
                    options.join(" ")
                )));
            }
            print("UID          PID    PPID  C STIME TTY          TIME CMD\n");
            for pid in pids {
                // One that ended meanwhile has no line.
                if let Some(line) = line(pid) {
                    print(&line);
                }
            }
        }
        _ => return Err(Error::said("invalid format option")),
    }
    Ok(0)
}

/// A process as `ps -ef` shows it, as far as its files tell without a look at the whole machine.
fn line(pid: i32) -> Option<String> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let status = read("status")?;
    let stat = read("stat")?;
    let (front, fields) = stat.rsplit_once(')')?;
    let name = front.split_once('(')?.1;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let uid: u32 = uid.split_ascii_whitespace().next()?.parse().ok()?;
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let ticks = number(11)? + number(12)?;
    let seconds = ticks / 100;
    let tty = number(4)?;
    let tty = match (tty >> 8 & 0xfff, tty & 0xff) {
        (0, 0) => "?".to_owned(),
        (136..=143, minor) => format!("pts/{minor}"),
        (major, minor) => format!("{major}:{minor}"),
    };
    let command = read("cmdline")?.replace('\0', " ");
    let command = match command.trim_end() {
        "" => format!("[{name}]"),
        text => text.to_owned(),
    };
    Some(format!(
        "{:<8} {pid:>7} {:>7}  0 {} {tty:<8} {:02}:{:02}:{:02} {command}\n",
        list::owner(uid),
        number(1)?,
        started(number(19)?),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    ))
}

/// The hour and minute of a start, given in ticks since boot.
fn started(ticks: u64) -> String {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "));
    let boot: i64 = boot.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let at = boot.saturating_add_unsigned(ticks / 100);
    let Ok(time) = jiff::Timestamp::from_second(at) else {
        return "?".to_owned();
    };
    time.to_string().get(11..16).unwrap_or("?").to_owned()
}
