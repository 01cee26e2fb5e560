//! Pure: credentials of registries.

use crate::json::document;

document! {
    /// `POST /auth`.
    AuthRequest {
        username: String = "username" omit,
        password: String = "password" omit,
        auth: String = "auth" omit,
        server_address: String = "serveraddress" omit,
        identity_token: String = "identitytoken" omit,
        registry_token: String = "registrytoken" omit,
    }
    /// The answer to `POST /auth`.
    AuthAnswer { identity_token: String = "IdentityToken", status: String = "Status" }
}
