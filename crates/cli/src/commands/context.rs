//! `context`: named endpoints are made, shown, chosen and removed. No daemon is asked.

use serde_json::{Map, Value as Json, json};

use crate::config::Host;
use crate::contexts::{Context, Contexts, DEFAULT, TLS_FILES, check_name, document};
use crate::error::{Error, Result, go_text};
use crate::flags::{Parsed, quote};
use crate::format::value::Value;
use crate::format::{Listing, row};
use crate::session::Session;

/// What `--docker` says, by key.
type Endpoint = Map<String, Json>;

/// `context create`
pub(crate) fn create(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let contexts = Contexts::of(&session.config);
    let name = &parsed.args[0];
    check_name(name)?;
    if contexts.exists(name) {
        return Err(Error::text(format!(
            "context {} already exists",
            quote(name)
        )));
    }
    let endpoint = endpoint(parsed.text("docker"))?;
    let current = session.config.context.clone();
    let from = match parsed.text("from") {
        // Nothing is said: as the one that is used now.
        "" if endpoint.is_empty() => Some(current.as_str()),
        "" => None,
        from => Some(from),
    };
    let mut context = match from {
        Some(from) => find(session, &contexts, from)?,
        None => Context::default(),
    };
    context.name.clone_from(name);
    if parsed.given("description") {
        parsed
            .text("description")
            .clone_into(&mut context.description);
    }
    apply(session, &contexts, &mut context, &endpoint, from)?;
    session.line(name)?;
    session.warn(&format!("Successfully created context {}", quote(name)));
    Ok(0)
}

/// `context update`
pub(crate) fn update(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let contexts = Contexts::of(&session.config);
    let name = &parsed.args[0];
    check_name(name)?;
    let mut context = contexts.get(name)?;
    if parsed.given("description") {
        parsed
            .text("description")
            .clone_into(&mut context.description);
    }
    let endpoint = endpoint(parsed.text("docker"))?;
    apply(session, &contexts, &mut context, &endpoint, None)?;
    session.line(name)?;
    session.warn(&format!("Successfully updated context {}", quote(name)));
    Ok(0)
}

/// Reads `host=…,ca=…`.
fn endpoint(text: &str) -> Result<Endpoint> {
    const KEYS: [&str; 6] = ["from", "host", "ca", "cert", "key", "skip-tls-verify"];
    let mut endpoint = Endpoint::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Error::text(format!(
                "{pair} must be formatted as key=value"
            )));
        };
        if !KEYS.contains(&key) {
            return Err(Error::text(format!("unrecognized config key: {key}")));
        }
        endpoint.insert(key.to_owned(), value.into());
    }
    Ok(endpoint)
}

/// Writes a context with what `--docker` said of it, and the keys that it names or inherits.
fn apply(
    session: &Session,
    contexts: &Contexts,
    context: &mut Context,
    endpoint: &Endpoint,
    from: Option<&str>,
) -> Result<()> {
    let text = |key: &str| endpoint.get(key).and_then(Json::as_str);
    let from = text("from").or(from);
    if let Some(from) = text("from") {
        let other = find(session, contexts, from)?;
        (context.host, context.skip_tls_verify) = (other.host, other.skip_tls_verify);
    }
    if let Some(host) = text("host") {
        Host::parse(host).map_err(|error| {
            Error::text(format!("unable to create docker endpoint config: {error}"))
        })?;
        host.clone_into(&mut context.host);
    }
    if let Some(skip) = text("skip-tls-verify") {
        context.skip_tls_verify = crate::flags::parse_bool(skip)
            .ok_or_else(|| Error::text(format!("invalid value {skip:?} for skip-tls-verify")))?;
    }
    let mut files = Vec::new();
    for (key, file) in TLS_FILES {
        let inherited = from.map(|from| contexts.tls_dir(from).join("docker").join(file));
        let given = text(key).map(std::path::PathBuf::from);
        let wanted = given.is_some();
        let Some(path) = given.or(inherited) else {
            continue;
        };
        match std::fs::read(&path) {
            Ok(bytes) => files.push((file, bytes)),
            Err(_) if !wanted => {}
            Err(error) => {
                return Err(Error::text(format!(
                    "unable to create docker endpoint config: open {}: {}",
                    path.display(),
                    go_text(&error)
                )));
            }
        }
    }
    contexts.put(context)?;
    files
        .iter()
        .try_for_each(|(file, bytes)| contexts.put_tls(&context.name, file, bytes))
}

/// A context by name; the default one is what the surroundings say.
fn find(session: &Session, contexts: &Contexts, name: &str) -> Result<Context> {
    if name == DEFAULT {
        return Ok(surroundings(session));
    }
    contexts.get(name)
}

fn surroundings(session: &Session) -> Context {
    let host = session.config.var("DOCKER_HOST");
    Context {
        name: DEFAULT.to_owned(),
        host: host.unwrap_or_else(|| session.config.own_host().to_string()),
        ..Context::default()
    }
}

/// `context ls`
pub(crate) fn list(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let contexts = Contexts::of(&session.config);
    let current = session.config.context.clone();
    let mut all = vec![Context {
        description: "Current DOCKER_HOST based configuration".to_owned(),
        ..surroundings(session)
    }];
    all.extend(contexts.all());
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let quiet = parsed.is_set("quiet");
    let is_table = !quiet && matches!(parsed.text("format"), "" | "table");
    let rows = all.iter().map(|context| {
        let is_current = context.name == current;
        let mark = if is_current && is_table { " *" } else { "" };
        row(vec![
            ("Name", Value::text(format!("{}{mark}", context.name))),
            ("Description", Value::text(&context.description)),
            ("DockerEndpoint", Value::text(&context.host)),
            ("Error", Value::text("")),
            ("Current", Value::Bool(is_current)),
        ])
    });
    let listing = Listing {
        headers: &[
            ("Name", "NAME"),
            ("Description", "DESCRIPTION"),
            ("DockerEndpoint", "DOCKER ENDPOINT"),
            ("Error", "ERROR"),
            ("Current", "CURRENT"),
        ],
        columns: &["Name", "Description", "DockerEndpoint", "Error"],
        quiet: quiet.then_some("Name"),
        raw: "",
        kind: "*formatter.clientContextContext",
        complaint: "failed to execute template",
        rows: rows.collect(),
    };
    listing.show(session, parsed.text("format"))?;
    if session.config.var("DOCKER_HOST").is_some() && !quiet {
        session.warn(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a \
             context, either set the global --context flag, or unset DOCKER_HOST environment \
             variable.",
        );
    }
    Ok(0)
}

/// `context show`
pub(crate) fn show(session: &mut Session, _parsed: &Parsed) -> Result<i32> {
    let current = session.config.context.clone();
    session.line(&current)?;
    Ok(0)
}

/// `context use`
pub(crate) fn choose(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let contexts = Contexts::of(&session.config);
    let name = &parsed.args[0];
    if name != DEFAULT {
        check_name(name)?;
        contexts.get(name)?;
    }
    save_current(session, if name == DEFAULT { "" } else { name })?;
    session.line(name)?;
    session.warn(&format!("Current context is now {}", quote(name)));
    if name != DEFAULT && session.config.var("DOCKER_HOST").is_some() {
        session.warn(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {}, \
             either set the global --context flag, or unset DOCKER_HOST environment variable.",
            quote(name)
        ));
    }
    Ok(0)
}

/// Changes one key of config.json, and nothing else in it.
fn save_current(session: &Session, name: &str) -> Result<()> {
    let dir = session.config.docker_dir();
    let path = dir.join("config.json");
    // Through a link, so that a file that is kept elsewhere stays there.
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let mut document: Map<String, Json> = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| Error::text(format!("{}: {error}", path.display())))?,
        Err(_) => Map::new(),
    };
    if name.is_empty() {
        document.remove("currentContext");
    } else {
        document.insert("currentContext".to_owned(), name.into());
    }
    std::fs::create_dir_all(&dir)?;
    let mut text = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, tabs);
    serde::Serialize::serialize(&document, &mut writer)
        .map_err(|error| Error::text(error.to_string()))?;
    let mode = std::fs::metadata(&path).map_or(0o600, |found| {
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777
    });
    sys::durable::replace(&path, &text, mode)?;
    Ok(())
}

/// `context rm`
pub(crate) fn remove(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let contexts = Contexts::of(&session.config);
    let current = session.config.settings.text("currentContext").to_owned();
    let force = parsed.is_set("force");
    let mut errors = Vec::new();
    for name in &parsed.args {
        let refused = if name == DEFAULT {
            Some("context \"default\" cannot be removed".to_owned())
        } else if !contexts.exists(name) && !force {
            Some(format!("context {} does not exist", quote(name)))
        } else if *name == current && !force {
            Some(format!(
                "context {} is in use, set -f flag to force remove",
                quote(name)
            ))
        } else {
            None
        };
        if let Some(refused) = refused {
            errors.push(refused);
            continue;
        }
        contexts.remove(name)?;
        if *name == current {
            save_current(session, "")?;
        }
        session.line(name)?;
    }
    if errors.is_empty() {
        Ok(0)
    } else {
        Err(Error::text(errors.join("\n")))
    }
}

/// `context inspect`
pub(crate) fn inspect(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let contexts = Contexts::of(&session.config);
    let names = if parsed.args.is_empty() {
        vec![session.config.context.clone()]
    } else {
        parsed.args.clone()
    };
    super::inspect::show(session, parsed.text("format"), &names, |session, name| {
        let context = find(session, &contexts, name)?;
        let files = contexts.tls_files(name);
        let material = if files.is_empty() {
            json!({})
        } else {
            json!({"docker": files})
        };
        let path = |dir: std::path::PathBuf| {
            if name == DEFAULT {
                "<IN MEMORY>".to_owned()
            } else {
                dir.display().to_string()
            }
        };
        let storage = json!({
            "MetadataPath": path(contexts.meta_dir(name)),
            "TLSPath": path(contexts.tls_dir(name)),
        });
        let members = document(&context);
        let text = format!(r#"{{{members},"TLSMaterial":{material},"Storage":{storage}}}"#);
        Ok(text.into_bytes())
    })
}
