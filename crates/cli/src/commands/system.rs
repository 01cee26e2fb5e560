//! `version`, `info`, `system df`, `system trace`.

use api::container::TraceStep;
use api::system::{DiskUsage, Info};

use crate::VERSION;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::template::{Over, Template};
use crate::format::value::Value;
use crate::format::{Listing, row, table, unescape};
use crate::session::Session;
use crate::text::append;

fn client(session: &Session) -> Value {
    let version = session.client.version().to_string();
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    row(vec![
        ("Version", Value::text(VERSION)),
        ("ApiVersion", Value::text(version)),
        (
            "DefaultAPIVersion",
            Value::text(api::ApiVersion::MAX.to_string()),
        ),
        (
            "GitCommit",
            Value::text(concat!("wharf-", env!("CARGO_PKG_VERSION"))),
        ),
        ("GoVersion", Value::text("none")),
        ("Os", Value::text("linux")),
        ("Arch", Value::text(arch)),
        ("BuildTime", Value::text("")),
        ("Context", Value::text("default")),
    ])
}

/// `version`
pub(crate) fn version(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let format = parsed.text("format");
    let template = match format {
        "" | "json" => None,
        text => Some(
            Template::parse(&unescape(text)).map_err(|error| Error::Exit {
                text: format!("template parsing error: {error}"),
                code: 64,
            })?,
        ),
    };
    let server = session.client.get_json::<Value>("/version");
    let (server, failure) = match server {
        Ok(server) => (server, None),
        Err(error) => (Value::Null, Some(error)),
    };
    let both = row(vec![
        ("Client", client(session)),
        ("Server", with_dates(server)),
    ]);
    match (&template, format) {
        (Some(template), _) => {
            let text = template.execute(&both, Over::Document);
            let text =
                text.map_err(|error| Error::text(format!("template parsing error: {error}")))?;
            session.line(&text)?;
        }
        (None, "json") => session.line(&both.to_json(true))?,
        (None, _) => session.print(&version_text(&both))?,
    }
    failure.map_or(Ok(0), Err)
}

/// Writes the build time of components as C does.
fn with_dates(server: Value) -> Value {
    let Value::Object(entries) = server else {
        return server;
    };
    let shown = |value: Value| match value {
        Value::String(text) => Value::String(ansi_date(&text).unwrap_or(text)),
        value => value,
    };
    let detail = |(key, value): (String, Value)| match key.as_str() {
        "BuildTime" => (key, shown(value)),
        _ => (key, value),
    };
    let field = |(key, value): (String, Value)| match (key.as_str(), value) {
        ("Details", Value::Object(details)) => (
            key,
            Value::Object(details.into_iter().map(detail).collect()),
        ),
        (_, value) => (key, value),
    };
    let component = |value| match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(field).collect()),
        value => value,
    };
    let entry = |(key, value): (String, Value)| match (key.as_str(), value) {
        ("Components", Value::Array(list)) => {
            (key, Value::Array(list.into_iter().map(component).collect()))
        }
        (_, value) => (key, value),
    };
    Value::Object(entries.into_iter().map(entry).collect())
}

fn ansi_date(text: &str) -> Option<String> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.strftime("%a %b %e %H:%M:%S %Y").to_string())
}

fn version_text(both: &Value) -> String {
    let text = |value: Option<&Value>, key: &str| match value.and_then(|value| value.get(key)) {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    let client = both.get("Client");
    let pair = |name: &str, value: &str| format!("{name:<20}{value}\n");
    let (version, newest) = (
        text(client, "ApiVersion"),
        text(client, "DefaultAPIVersion"),
    );
    let downgraded = if version == newest {
        String::new()
    } else {
        format!(" (downgraded from {newest})")
    };
    let mut out = String::from("Client:\n");
    out += &pair(" Version:", &text(client, "Version"));
    out += &pair(" API version:", &format!("{version}{downgraded}"));
    out += &pair(" Go version:", &text(client, "GoVersion"));
    out += &pair(" Git commit:", &text(client, "GitCommit"));
    out += &pair(" Built:", &text(client, "BuildTime"));
    out += &pair(
        " OS/Arch:",
        &format!("{}/{}", text(client, "Os"), text(client, "Arch")),
    );
    out += &pair(" Context:", &text(client, "Context"));
    let Some(server @ Value::Object(_)) = both.get("Server") else {
        return out;
    };
    let platform = text(server.get("Platform"), "Name");
    append(
        &mut out,
        format_args!(
            "\nServer:{}{platform}\n",
            if platform.is_empty() { "" } else { " " }
        ),
    );
    let Some(Value::Array(components)) = server.get("Components") else {
        return out;
    };
    for component in components {
        let name = text(Some(component), "Name");
        append(&mut out, format_args!(" {name}:\n"));
        out += &pair("  Version:", &text(Some(component), "Version"));
        let details = component.get("Details");
        let detail = |key: &str| text(details, key);
        if name != "Engine" {
            if let Some(Value::Object(entries)) = details {
                for (key, _) in entries {
                    out += &pair(&format!("  {key}:"), &detail(key));
                }
            }
            continue;
        }
        let least = detail("MinAPIVersion");
        let least = if least.is_empty() {
            least
        } else {
            format!(" (minimum version {least})")
        };
        out += &pair(
            "  API version:",
            &format!("{}{least}", detail("ApiVersion")),
        );
        out += &pair("  Go version:", &detail("GoVersion"));
        out += &pair("  Git commit:", &detail("GitCommit"));
        out += &pair("  Built:", &detail("BuildTime"));
        out += &pair(
            "  OS/Arch:",
            &format!("{}/{}", detail("Os"), detail("Arch")),
        );
        out += &pair("  Experimental:", &detail("Experimental"));
    }
    out
}

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
            session.warn(&error.to_string());
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
        directories
            .iter()
            .for_each(|path| append(&mut out, format_args!("  {path}\n")));
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

/// `system df`
pub(crate) fn disk_usage(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    if parsed.is_set("verbose") {
        return Err(Error::text(format!(
            "{}: 'system df -v' is not built yet",
            session.config.program
        )));
    }
    let usage: DiskUsage = session.client.get_json("/system/df")?;
    let images = usage.images.unwrap_or_default();
    let containers = usage.containers.unwrap_or_default();
    let volumes = usage.volumes.unwrap_or_default();
    let size = |bytes: i64| types::units::human_size(bytes, 4);
    let reclaimable = |bytes: i64, of: i64| {
        if of > 0 {
            format!("{} ({}%)", size(bytes), bytes.saturating_mul(100) / of)
        } else {
            size(bytes)
        }
    };
    let used: i64 = images
        .iter()
        .filter(|image| image.containers > 0)
        .map(|image| {
            if image.size == -1 || image.shared_size == -1 {
                0
            } else {
                image.size - image.shared_size
            }
        })
        .sum();
    let is_active = |state: &str| matches!(state, "running" | "paused" | "restarting");
    let (active, stopped): (Vec<_>, Vec<_>) = containers
        .iter()
        .partition(|container| is_active(&container.state));
    let sum =
        |list: &[&api::container::ContainerSummary]| list.iter().map(|c| c.size_rw).sum::<i64>();
    let container_size = sum(&active) + sum(&stopped);
    let volume_size = |in_use: Option<bool>| -> i64 {
        let usages = volumes
            .iter()
            .filter_map(|volume| volume.usage_data.as_ref());
        usages
            .filter(|usage| usage.size != -1)
            .filter(|usage| in_use.is_none_or(|wanted| (usage.ref_count > 0) == wanted))
            .map(|usage| usage.size)
            .sum()
    };
    let active_volumes = volumes
        .iter()
        .filter(|volume| {
            volume
                .usage_data
                .as_ref()
                .is_some_and(|usage| usage.ref_count > 0)
        })
        .count();
    let active_images = images.iter().filter(|image| image.containers > 0).count();
    let make = |kind: &str, total: usize, active: usize, bytes: i64, free: String| {
        row(vec![
            ("Type", Value::text(kind)),
            ("TotalCount", Value::text(total.to_string())),
            ("Active", Value::text(active.to_string())),
            ("Size", Value::text(size(bytes))),
            ("Reclaimable", Value::text(free)),
        ])
    };
    let layers = usage.layers_size;
    let rows = vec![
        make(
            "Images",
            images.len(),
            active_images,
            layers,
            reclaimable(layers - used, layers),
        ),
        make(
            "Containers",
            containers.len(),
            active.len(),
            container_size,
            reclaimable(sum(&stopped), container_size),
        ),
        make(
            "Local Volumes",
            volumes.len(),
            active_volumes,
            volume_size(None),
            reclaimable(volume_size(Some(false)), volume_size(None)),
        ),
        make(
            "Build Cache",
            usage.build_cache.unwrap_or_default().len(),
            0,
            0,
            size(0),
        ),
    ];
    let listing = Listing {
        headers: &[
            ("Type", "TYPE"),
            ("TotalCount", "TOTAL"),
            ("Active", "ACTIVE"),
            ("Size", "SIZE"),
            ("Reclaimable", "RECLAIMABLE"),
        ],
        columns: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
        quiet: None,
        raw: "",
        kind: "*formatter.diskUsageImagesContext",
        complaint: "template parsing error",
        rows,
    };
    listing.show(session, parsed.text("format"))?;
    Ok(0)
}

/// `system trace`: the step clock of a container's start.
pub(crate) fn trace(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = crate::http::escape_path(&parsed.args[0]);
    let steps: Vec<TraceStep> = session
        .client
        .get_json(&format!("/wharf/v1/containers/{name}/trace"))?;
    let mut rows = vec![vec!["STEP".to_owned(), "AT".to_owned(), "TOOK".to_owned()]];
    let mut before = 0;
    let shown = |us: u64| format!("{}.{:03}ms", us / 1000, us % 1000);
    for step in &steps {
        rows.push(vec![
            step.name.clone(),
            shown(step.us),
            shown(step.us.saturating_sub(before)),
        ]);
        before = step.us;
    }
    session.print(&table::render(&rows))?;
    Ok(0)
}
