//! Pages for people: repositories, tags, sizes, layers. No script, nothing from elsewhere.

use hyper::header;
use hyper::{Response, StatusCode};
use types::digest::Digest;

use super::answer::{self, Answer, Ask, put};
use super::body::Body;
use super::fault::{Code, Fault};
use super::lists;
use super::manifest::{self, Document};
use super::manifests;
use super::names::{Repository, Target};
use super::paging::Wish;
use super::query::Query;
use super::state::Registry;
use super::store::Key;

/// Entries on one page.
const PAGE: &str = "n=100";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #ddd;vertical-align:top}code{font-size:.9em}a{color:#0550ae}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}a{color:#79b8ff}th,td{border-color:#333}}";

/// `/`: all repositories that the asker may see.
pub(crate) async fn front(registry: &Registry, ask: &Ask) -> Answer {
    lists::only_get(ask)?;
    let mut seen = lists::repositories(registry).await?;
    seen.retain(|repository| registry.door.may_see(&ask.who, repository));
    let names = seen.iter().map(ToString::to_string).collect();
    let page = wish(ask)?.page(names, "/");
    let mut rows = String::new();
    for name in &page.entries {
        rows.push_str("<tr><td><a href=\"/r/");
        rows.push_str(&escape(name));
        rows.push_str("\">");
        rows.push_str(&escape(name));
        rows.push_str("</a></td></tr>");
    }
    if rows.is_empty() {
        rows.push_str("<tr><td>Nothing here yet.</td></tr>");
    }
    let body = format!(
        "<h1>Repositories</h1><table>{rows}</table>{}",
        next(page.link.as_deref())
    );
    Ok(html("Repositories", &body))
}

/// `/r/<name>`: a repository's tags.
pub(crate) async fn repository(registry: &Registry, ask: &Ask, name: &Repository) -> Answer {
    lists::only_get(ask)?;
    if !lists::exists(registry, name).await? {
        let words = "repository name not known to registry";
        return Err(Fault::new(Code::NameUnknown, words));
    }
    let tags = registry.store.names(Key::tags(name)).await?;
    let page = wish(ask)?.page(tags, &format!("/r/{name}"));
    let host = ask.caller.host.as_deref().unwrap_or("localhost");
    let mut rows = String::new();
    for tag in &page.entries {
        let Ok(tag) = tag.parse() else { continue };
        let target = Target::Tag(tag);
        if let Some(found) = manifests::find(registry, name, &target).await? {
            let document = manifest::read(Some(&found.media_type), &found.bytes).ok();
            rows.push_str(&row(&target.to_string(), found.digest, document.as_ref()));
        }
    }
    let (name, host) = (escape(name.as_str()), escape(host));
    let body = format!(
        "<p><a href=\"/\">Repositories</a></p><h1>{name}</h1><p><code>docker pull {host}/{name}</code></p>\
         <table><tr><th>Tag</th><th>Digest</th><th>Platforms</th><th>Size</th><th>Layers</th></tr>{rows}</table>{}",
        next(page.link.as_deref())
    );
    Ok(html(&name, &body))
}

fn wish(ask: &Ask) -> Result<Wish, Fault> {
    if ask.query.find("n").is_some() {
        return Wish::of(&ask.query);
    }
    Wish::of(&Query::parse(PAGE))
}

fn row(tag: &str, digest: Digest, document: Option<&Document>) -> String {
    let (mut platforms, mut size, mut layers) = (String::new(), String::new(), String::new());
    if let Some(document) = document {
        platforms = escape(&document.platforms.join(", "));
        if document.manifests.is_empty() {
            size = human(document.layers.iter().map(|(_, size)| size).sum());
            let list = document.layers.iter().map(|(digest, size)| {
                format!("<li><code>{}</code> {}</li>", digest.short(), human(*size))
            });
            let list: String = list.collect();
            layers = format!(
                "<details><summary>{}</summary><ol>{list}</ol></details>",
                document.layers.len()
            );
        }
    }
    format!(
        "<tr><td>{}</td><td><code title=\"{digest}\">{}</code></td><td>{platforms}</td><td>{size}</td><td>{layers}</td></tr>",
        escape(tag),
        digest.short(),
    )
}

/// The link to the next page out of the `Link` header's text.
fn next(link: Option<&str>) -> String {
    let address = link.and_then(|link| link.strip_prefix('<')?.split('>').next());
    address.map_or_else(String::new, |address| {
        format!(
            "<p><a rel=\"next\" href=\"{}\">Next</a></p>",
            escape(address)
        )
    })
}

/// Bytes as Docker writes them: thousands, three digits.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut whole, mut rest, mut unit) = (bytes, 0, 0);
    while whole >= 1000 && unit + 1 < UNITS.len() {
        (whole, rest) = (whole / 1000, whole % 1000);
        unit += 1;
    }
    let unit = UNITS[unit];
    match whole {
        0..10 if rest >= 10 => format!("{whole}.{:02} {unit}", rest / 10),
        10..100 if rest >= 100 => format!("{whole}.{} {unit}", rest / 100),
        _ => format!("{whole} {unit}"),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn html(title: &str, body: &str) -> Response<Body> {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} · Wharf registry</title>\
         <style>{STYLE}</style><body>{body}</body></html>\n"
    );
    let mut response = answer::whole(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    put(&mut response, header::CONTENT_SECURITY_POLICY, policy);
    put(&mut response, header::REFERRER_POLICY, "no-referrer");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (1234, "1.23 kB"),
            (12_345, "12.3 kB"),
            (123_456, "123 kB"),
            (5_000_000_000, "5 GB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(
            escape("<a href=\"'&\">"),
            "&lt;a href=&quot;&#39;&amp;&quot;&gt;"
        );
    }
}
