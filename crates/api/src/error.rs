//! Pure: the body of every failed request.

use crate::json::document;

document! {
    /// `{"message":"…"}`.
    ErrorBody { message: String = "message" }
}
