//! Pure: one event of the event stream.

use std::collections::BTreeMap;

use crate::json::document;

document! {
    /// Something happened. `status`, `id` and `from` are the older words, for containers and
    /// images only.
    Event {
        status: String = "status" omit,
        id: String = "id" omit,
        from: String = "from" omit,
        kind: String = "Type",
        action: String = "Action",
        actor: Actor = "Actor",
        scope: String = "scope" omit,
        time: i64 = "time" omit,
        time_nano: i64 = "timeNano" omit,
    }
    /// To what it happened.
    Actor { id: String = "ID", attributes: BTreeMap<String, String> = "Attributes" }
}
