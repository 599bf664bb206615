//! TLS in front of a service: a proxy that proves who it is, asks callers for certificates if told, and hands the bytes on.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// An authority, made on the spot.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Authority> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Authority { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Write its certificate to `ca.pem`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        Ok(std::fs::write(folder.join("ca.pem"), self.issuer.pem())?)
    }

    /// Write a certificate of a client to `client.pem`, and its key to `client-key.pem`.
    pub fn write_client(&self, folder: &Path) -> Result<()> {
        let (cert, key) = self.certify("somebody")?;
        std::fs::write(folder.join("client.pem"), cert)?;
        Ok(std::fs::write(folder.join("client-key.pem"), key)?)
    }

    fn certify(&self, name: &str) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }

    fn server(&self) -> Result<ServerConfig> {
        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.issuer.pem().as_bytes())?)?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        let (cert, key) = self.certify("127.0.0.1")?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// A proxy in front of what listens on `port` of this machine: it takes callers that show a certificate of this authority.
    pub async fn guard(&self, port: u16) -> Result<Guard> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let acceptor = TlsAcceptor::from(Arc::new(self.server().context("a server's certificate")?));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // Whoever has no certificate is gone here.
                    let mut outside = acceptor.accept(stream).await?;
                    let mut inside = TcpStream::connect(("127.0.0.1", port)).await?;
                    copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Ok(Guard { url, _task: task })
    }
}

/// A proxy; dropping it ends it.
pub struct Guard {
    /// Its address.
    pub url: String,
    _task: JoinSet<()>,
}
