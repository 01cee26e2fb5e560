//! `ps --tree`: containers, and in each its processes below those that started them.

use std::collections::BTreeMap;

use api::container::{ContainerSummary, Top};

use crate::commands::container_path;
use crate::commands::ps::short_id;
use crate::error::Result;
use crate::session::Session;
use crate::text::append;

/// A process: its number, its parent's, its command.
type Process = (i64, i64, String);

/// Prints each container with its processes.
pub(crate) fn show(session: &mut Session, containers: &[ContainerSummary]) -> Result<i32> {
    for one in containers {
        let name = one.names.first().map(|name| name.trim_start_matches('/'));
        let mut text = format!(
            "{} {}  {}  {}\n",
            short_id(&one.id),
            name.unwrap_or_default(),
            one.image,
            one.status
        );
        if matches!(one.state.as_str(), "running" | "paused") {
            let path = container_path(&one.id, "/top?ps_args=-o%20pid,ppid,args");
            // One that ended meanwhile has none.
            if let Ok(top) = session.client.get_json::<Top>(&path) {
                draw(&mut text, &processes(&top));
            }
        }
        session.print(&text)?;
    }
    Ok(0)
}

fn processes(top: &Top) -> Vec<Process> {
    let rows = top.processes.iter().filter_map(|row| {
        let [pid, parent, words @ ..] = &row[..] else {
            return None;
        };
        Some((pid.parse().ok()?, parent.parse().ok()?, words.join(" ")))
    });
    rows.collect()
}

/// Draws processes whose parent is not among them, with what is below.
fn draw(text: &mut String, processes: &[Process]) {
    let mut children: BTreeMap<i64, Vec<&Process>> = BTreeMap::new();
    for process in processes {
        let known = processes.iter().any(|(pid, ..)| *pid == process.1);
        let parent = if known && process.1 != process.0 {
            process.1
        } else {
            0
        };
        children.entry(parent).or_default().push(process);
    }
    below(text, &children, 0, "");
}

fn below(text: &mut String, children: &BTreeMap<i64, Vec<&Process>>, parent: i64, indent: &str) {
    let own = children.get(&parent).map_or(&[][..], Vec::as_slice);
    for (index, (pid, _, command)) in own.iter().enumerate() {
        let is_last = index + 1 == own.len();
        let (branch, deeper) = if is_last {
            ("\u{2514}\u{2500} ", "   ")
        } else {
            ("\u{251c}\u{2500} ", "\u{2502}  ")
        };
        append(text, format_args!("{indent}{branch}{pid} {command}\n"));
        below(text, children, *pid, &format!("{indent}{deeper}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree() {
        let process = |pid, parent, command: &str| (pid, parent, command.to_owned());
        let mut text = String::new();
        let all = [
            process(5, 1, "sh"),
            process(6, 5, "a"),
            process(7, 5, "b"),
            process(8, 6, "c"),
        ];
        draw(&mut text, &all);
        assert_eq!(
            text,
            "\u{2514}\u{2500} 5 sh\n   \u{251c}\u{2500} 6 a\n   \u{2502}  \u{2514}\u{2500} 8 c\n   \u{2514}\u{2500} 7 b\n"
        );
    }
}
