//! The verbs: one function per command.

mod attach;
mod build;
mod commit;
mod context;
mod copy;
mod dial;
mod disk;
mod events;
mod exec;
mod images;
mod inspect;
mod lifecycle;
mod login;
mod logs;
mod network;
mod prune;
mod ps;
pub(crate) mod rows;
mod run;
mod search;
mod start;
mod stats;
mod system;
mod transfer;
mod tree;
mod version;
mod volume_own;
mod volumes;

use crate::error::Result;
use crate::flags::Parsed;
use crate::session::Session;

/// What a command does; returns the exit code.
pub(crate) type Handler = fn(&mut Session, &Parsed) -> Result<i32>;

/// Returns the function of a command, by its first path; none if it is not built yet.
pub(crate) fn handler(name: &str) -> Option<Handler> {
    Some(match name {
        "container attach" => attach::attach,
        "container commit" => commit::commit,
        "container cp" => copy::copy,
        "container create" => run::create,
        "container diff" => lifecycle::diff,
        "container exec" => exec::exec,
        "container export" => transfer::export,
        "container inspect" => inspect::containers,
        "container kill" => lifecycle::kill,
        "container logs" => logs::logs,
        "container ls" => ps::ps,
        "container pause" => lifecycle::pause,
        "container port" => lifecycle::port,
        "container prune" => lifecycle::prune,
        "container rename" => lifecycle::rename,
        "container restart" => lifecycle::restart,
        "container rm" => lifecycle::remove,
        "container run" => run::run,
        "container start" => start::start,
        "container stats" => stats::stats,
        "container stop" => lifecycle::stop,
        "container top" => lifecycle::top,
        "container unpause" => lifecycle::unpause,
        "container update" => lifecycle::update,
        "container wait" => lifecycle::wait,
        other => return handler_of_others(other),
    })
}

/// Commands that are not about one container.
fn handler_of_others(name: &str) -> Option<Handler> {
    Some(match name {
        "context create" => context::create,
        "context inspect" => context::inspect,
        "context ls" => context::list,
        "context rm" => context::remove,
        "context show" => context::show,
        "context update" => context::update,
        "context use" => context::choose,
        "image build" => build::build,
        "image from-host" => transfer::from_host,
        "image history" => images::history,
        "image import" => transfer::import,
        "image inspect" => inspect::images,
        "image load" => transfer::load,
        "image ls" => images::list,
        "image prune" => images::prune,
        "image pull" => transfer::pull,
        "image push" => transfer::push,
        "image rm" => images::remove,
        "image save" => transfer::save,
        "image tag" => images::tag,
        "inspect" => inspect::any,
        "login" => login::login,
        "logout" => login::logout,
        "network connect" => network::connect,
        "network create" => network::create,
        "network disconnect" => network::disconnect,
        "network inspect" => inspect::networks,
        "network ls" => network::list,
        "network prune" => network::prune,
        "network rm" => network::remove,
        "registry serve" => system::registry_serve,
        "search" => search::search,
        "system dial-stdio" => dial::stdio,
        "system df" => disk::disk_usage,
        "system events" => events::events,
        "system info" => system::info,
        "system prune" => prune::system,
        "system trace" => system::trace,
        "version" => version::version,
        "volume clone" => volume_own::clone,
        "volume create" => volumes::create,
        "volume export" => volume_own::export,
        "volume import" => volume_own::import,
        "volume inspect" => inspect::volumes,
        "volume ls" => volumes::list,
        "volume prune" => volumes::prune,
        "volume rename" => volume_own::rename,
        "volume rm" => volumes::remove,
        "volume snapshot" => volume_own::snapshot,
        _ => return None,
    })
}

/// Returns the path of a container in the API.
pub(crate) fn container_path(name: &str, rest: &str) -> String {
    format!("/containers/{}{rest}", crate::http::escape_path(name))
}
