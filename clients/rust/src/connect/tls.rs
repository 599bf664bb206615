//! TLS as the files of a context say. They are read anew for each connection, so that renewed certificates are used.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::Error;

/// How services prove who they are, and how this client does. Without files, services are trusted by the certificates of
/// the system, and are shown none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of the authorities to trust instead of the system's, in a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show, with those between it and its authority, in a PEM file.
    pub cert_file: Option<PathBuf>,
    /// Its private key, in a PEM file.
    pub key_file: Option<PathBuf>,
    /// The name to expect in the services' certificates, instead of the host of their addresses.
    pub server_name: Option<String>,
}

impl Tls {
    /// What `rustls` needs, from the files as they are now.
    pub(crate) fn load(&self) -> Result<ClientConfig, Error> {
        let roots = match &self.ca_file {
            Some(path) => own_roots(path)?,
            None => system_roots()?,
        };
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS", error))?
            .with_root_certificates(roots);
        let mut config = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => config
                .with_client_auth_cert(certificates("cert-file", cert)?, private_key(key)?)
                .map_err(|error| wrong(&format!("cert-file {}, key-file {}", cert.display(), key.display()), error))?,
            (None, None) => config.with_no_client_auth(),
            (Some(cert), None) => return Err(alone("cert-file", cert, "key-file")),
            (None, Some(key)) => return Err(alone("key-file", key, "cert-file")),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// The name that the certificate of `host` must hold.
    pub(crate) fn name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let reason = "it is no name of a host; one such as graft.example.org, or an IP address, is accepted";
        ServerName::try_from(name.to_owned()).map_err(|_| wrong(&format!("server-name {name}"), reason))
    }
}

fn wrong(place: &str, reason: impl ToString) -> Error {
    Error::Config { place: place.to_owned(), reason: reason.to_string() }
}

fn alone(there: &str, path: &Path, missing: &str) -> Error {
    wrong(&format!("{there} {}", path.display()), format!("{missing} is missing; the two are given together"))
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| wrong(&format!("{key} {}", path.display()), format!("it cannot be read: {error}")))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let place = format!("{key} {}", path.display());
    let found = CertificateDer::pem_slice_iter(&read(key, path)?).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong(&place, format!("it is no PEM file of certificates: {error}")))?;
    if found.is_empty() {
        return Err(wrong(&place, "it holds no certificate; a PEM file of certificates is accepted"));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let reason = "it holds no private key; a PEM file with a PKCS#8, PKCS#1 or SEC1 key is accepted";
    let bytes = read("key-file", path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| wrong(&format!("key-file {}", path.display()), reason))
}

fn own_roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca-file", path)? {
        let added = roots.add(certificate);
        added.map_err(|error| wrong(&format!("ca-file {}", path.display()), format!("a certificate: {error}")))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // A store of the system may hold certificates that nothing can read: the others count.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(wrong("TLS", "this system has no certificates of authorities; `ca-file` names some"));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_certificates_are_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("ca.pem");
        let load = |tls: Tls| tls.load().unwrap_err().to_string();
        let ca = || Tls { ca_file: Some(path.clone()), ..Tls::default() };
        assert!(load(ca()).contains("ca.pem: it cannot be read"));
        fs::write(&path, "words").unwrap();
        assert!(load(ca()).contains("no certificate"));
        let message = load(Tls { cert_file: Some(path.clone()), ca_file: None, ..Tls::default() });
        assert!(message.contains("cert-file") && message.contains("key-file is missing"), "{message}");
    }

    #[test]
    fn the_name_is_the_hosts_unless_told() {
        let name = |tls: &Tls, host| tls.name(host).unwrap().to_str().into_owned();
        let told = Tls { server_name: Some("graft.example.org".into()), ..Tls::default() };
        assert_eq!(name(&Tls::default(), "127.0.0.1"), "127.0.0.1");
        assert_eq!(name(&told, "127.0.0.1"), "graft.example.org");
        let odd = Tls { server_name: Some("not a name".into()), ..Tls::default() };
        assert!(odd.name("x").unwrap_err().to_string().contains("not a name"));
    }
}
