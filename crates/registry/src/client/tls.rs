//! Whom a connection believes: the machine's authorities, a registry's own, or whoever answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::settings::Settings;

/// Makes the TLS settings for an endpoint, from `certs.d/HOST:PORT/`: `*.crt` are authorities,
/// `*.cert` with `*.key` are what we show (as dockerd reads that directory).
pub(super) fn config(endpoint: &Endpoint, settings: &Settings) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Setting(format!("cannot prepare TLS: {error}")))?;
    let files = files(endpoint, settings)?;
    let builder = if endpoint.unverified {
        let anybody = Arc::new(Anybody(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(anybody)
    } else {
        builder.with_root_certificates(authorities(&files)?)
    };
    let config = match pair(&files)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| Error::Setting(format!("the client's certificate: {error}")))?,
    };
    Ok(config)
}

fn authorities(files: &[PathBuf]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // Some authority of the system that cannot be read is missed by nobody else.
    let (_good, _bad) = roots.add_parsable_certificates(system.certs);
    for file in files.iter().filter(|file| has_extension(file, "crt")) {
        for certificate in certificates(file)? {
            roots
                .add(certificate)
                .map_err(|error| Error::Setting(format!("{}: {error}", file.display())))?;
        }
    }
    Ok(roots)
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair(files: &[PathBuf]) -> Result<Option<Pair>> {
    for file in files {
        let (cert, key) = (file.with_extension("cert"), file.with_extension("key"));
        if has_extension(file, "key") && !files.contains(&cert) {
            return Err(Error::Setting(format!(
                "missing client certificate {} for key {}",
                name(&cert),
                name(file)
            )));
        }
        if has_extension(file, "cert") {
            if !files.contains(&key) {
                return Err(Error::Setting(format!(
                    "missing key {} for client certificate {}. CA certificates must use the \
                     extension .crt",
                    name(&key),
                    name(file)
                )));
            }
            let secret = PrivateKeyDer::from_pem_file(&key)
                .map_err(|error| Error::Setting(format!("{}: {error}", key.display())))?;
            return Ok(Some((certificates(file)?, secret)));
        }
    }
    Ok(None)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = |error| Error::Setting(format!("{}: {error}", file.display()));
    let read = CertificateDer::pem_file_iter(file).map_err(failed)?;
    read.collect::<Result<_, _>>().map_err(failed)
}

/// Returns what lies in the first directory of the endpoint's own.
fn files(endpoint: &Endpoint, settings: &Settings) -> Result<Vec<PathBuf>> {
    for root in &settings.certificates {
        let directory = root.join(&endpoint.host);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Error::Setting(format!("{}: {error}", directory.display())));
            }
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        return Ok(files);
    }
    Ok(Vec::new())
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|known| known == extension)
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Believes everybody, for `--insecure-registry`; signatures are still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
