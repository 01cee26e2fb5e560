//! `info` and `system trace`.

use api::container::TraceStep;
use api::system::Info;

use crate::VERSION;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::template::{Over, Template};
use crate::format::value::Value;
use crate::format::{table, unescape};
use crate::session::Session;
use crate::text::append;

/// `info`
pub(crate) fn info(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let format = parsed.text("format");
    if !matches!(format, "" | "json") {
        let template = Template::parse(&unescape(format)).map_err(|error| Error::Exit {
            text: format!("template parsing error: {error}"),
            code: 64,
        })?;
        let document: Value = session.client.get_json("/info")?;
        let text = template
            .execute(&document, Over::Document)
            .map_err(|error| Error::text(format!("template parsing error: {error}")))?;
        session.line(&text)?;
        return Ok(0);
    }
    if format == "json" {
        let document: Value = session.client.get_json("/info")?;
        session.line(&document.to_json(true))?;
        return Ok(0);
    }
    let head = format!(
        "Client:\n Version:    {VERSION}\n Context:    default\n Debug Mode: false\n\nServer:\n"
    );
    let bytes = match session.client.get("/info") {
        Ok(bytes) => bytes,
        Err(error) => {
            session.print(&head)?;
            session.warn(&format!("ERROR: {error}"));
            return Err(Error::text("errors pretty printing info"));
        }
    };
    let info: Info = crate::client::parse(&bytes)?;
    session.print(&format!("{head}{}\n", info_text(&info)))?;
    for warning in info.warnings.iter().flatten() {
        session.warn(warning);
    }
    Ok(0)
}

fn info_text(info: &Info) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        append(&mut out, format_args!(" {name}: {value}\n"));
    };
    line("Containers", &info.containers);
    line(" Running", &info.containers_running);
    line(" Paused", &info.containers_paused);
    line(" Stopped", &info.containers_stopped);
    line("Images", &info.images);
    line("Server Version", &info.server_version);
    line("Storage Driver", &info.driver);
    for [name, value] in &info.driver_status {
        line(&format!(" {name}"), value);
    }
    line("Logging Driver", &info.logging_driver);
    line("Cgroup Driver", &info.cgroup_driver);
    line("Cgroup Version", &info.cgroup_version);
    let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default().join(" ");
    out.push_str(" Plugins:\n");
    for (name, words) in [
        ("Volume", list(&info.plugins.volume)),
        ("Network", list(&info.plugins.network)),
        ("Authorization", list(&info.plugins.authorization)),
        ("Log", list(&info.plugins.log)),
    ] {
        if name != "Authorization" || !words.is_empty() {
            append(&mut out, format_args!("  {name}: {words}\n"));
        }
    }
    if let Some(directories) = info.cdi_spec_dirs.as_ref().filter(|list| !list.is_empty()) {
        out.push_str(" CDI spec directories:\n");
        for path in directories {
            append(&mut out, format_args!("  {path}\n"));
        }
    }
    append(
        &mut out,
        format_args!(" Swarm: {}\n", info.swarm.local_node_state),
    );
    info_machine(info, &mut out);
    out
}

fn info_machine(info: &Info, out: &mut String) {
    let mut runtimes: Vec<&str> = info.runtimes.keys().map(String::as_str).collect();
    // The default stands first, as one reads it.
    runtimes.sort_by_key(|name| (*name != info.default_runtime, *name));
    if !runtimes.is_empty() {
        append(out, format_args!(" Runtimes: {}\n", runtimes.join(" ")));
        append(
            out,
            format_args!(" Default Runtime: {}\n", info.default_runtime),
        );
    }
    append(out, format_args!(" Init Binary: {}\n", info.init_binary));
    append(
        out,
        format_args!(" containerd version: {}\n", info.containerd_commit.id),
    );
    append(
        out,
        format_args!(" runc version: {}\n", info.runc_commit.id),
    );
    append(
        out,
        format_args!(" init version: {}\n", info.init_commit.id),
    );
    if !info.security_options.is_empty() {
        out.push_str(" Security Options:\n");
        for option in &info.security_options {
            for (index, pair) in option.split(',').enumerate() {
                let (key, value) = pair.split_once('=').unwrap_or(("name", pair));
                if index == 0 {
                    append(out, format_args!("  {value}\n"));
                } else {
                    let mut name = key.to_owned();
                    name[..1].make_ascii_uppercase();
                    append(out, format_args!("   {name}: {value}\n"));
                }
            }
        }
    }
    info_host(info, out);
}

fn info_host(info: &Info, out: &mut String) {
    for (name, value) in [
        ("Kernel Version", info.kernel_version.clone()),
        ("Operating System", info.operating_system.clone()),
        ("OSType", info.os_type.clone()),
        ("Architecture", info.architecture.clone()),
        ("CPUs", info.n_cpu.to_string()),
        (
            "Total Memory",
            types::units::human_binary_size(info.mem_total),
        ),
        ("Name", info.name.clone()),
        ("ID", info.id.clone()),
        ("Docker Root Dir", info.docker_root_dir.clone()),
        ("Debug Mode", info.debug.to_string()),
    ] {
        append(out, format_args!(" {name}: {value}\n"));
    }
    for (name, value) in [
        ("HTTP Proxy", &info.http_proxy),
        ("HTTPS Proxy", &info.https_proxy),
        ("No Proxy", &info.no_proxy),
    ] {
        if !value.is_empty() {
            append(out, format_args!(" {name}: {value}\n"));
        }
    }
    append(
        out,
        format_args!(" Experimental: {}\n", info.experimental_build),
    );
    let insecure = info
        .registry_config
        .insecure_registry_cidrs
        .clone()
        .unwrap_or_default();
    if !insecure.is_empty() {
        append(
            out,
            format_args!(" Insecure Registries:\n  {}\n", insecure.join("\n  ")),
        );
    }
    append(
        out,
        format_args!(" Live Restore Enabled: {}\n", info.live_restore_enabled),
    );
}

/// `system trace`: the step clock of a container's start.
pub(crate) fn trace(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = crate::http::escape_path(&parsed.args[0]);
    let steps: Vec<TraceStep> = session
        .client
        .get_json(&format!("/wharf/v1/containers/{name}/trace"))?;
    let mut rows = vec![vec!["STEP".to_owned(), "AT".to_owned(), "TOOK".to_owned()]];
    let first = steps.iter().map(|step| step.at_us).min().unwrap_or(0);
    let shown = |us: u64| format!("{}.{:03}ms", us / 1000, us % 1000);
    for step in &steps {
        rows.push(vec![
            step.name.clone(),
            shown(step.at_us - first),
            shown(step.us),
        ]);
    }
    session.print(&table::render(&rows))?;
    Ok(0)
}

/// `registry serve` under another name than `wharf`: the front door has taken the rest.
pub(crate) fn registry_serve(_: &mut Session, _: &Parsed) -> Result<i32> {
    Err(Error::text(
        "the registry is served by this program under its own name: wharf registry serve",
    ))
}
