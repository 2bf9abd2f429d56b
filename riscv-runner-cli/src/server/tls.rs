//! Certificates from files, read again when the files change. Connections that are open keep what they
//! began with.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use crate::failure::Failure;

/// How often the files are looked at: a stat costs nothing, and renewals come weeks ahead.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate in force, and where it comes from.
pub(crate) struct Certificates {
    certificate: PathBuf,
    private_key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.certificate.display())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificates {
    /// Reads a chain and its key, both PEM.
    pub(crate) fn load(certificate: &Path, private_key: &Path) -> Result<Arc<Self>, Failure> {
        let current = RwLock::new(Arc::new(read(certificate, private_key)?));
        let (certificate, private_key) = (certificate.to_owned(), private_key.to_owned());
        Ok(Arc::new(Self { certificate, private_key, current }))
    }

    /// What accepts connections with them.
    pub(crate) fn acceptor(self: Arc<Self>) -> TlsAcceptor {
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Reads the files again whenever they change, for as long as the process lives. A pair that cannot
    /// be used is refused; so is half of a renewal, until the other half is there.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut known = self.state();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let current = self.state();
            if current == known {
                continue;
            }
            known = current;
            match read(&self.certificate, &self.private_key) {
                Ok(pair) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    tracing::info!("the TLS certificate was read again");
                }
                Err(failure) => {
                    tracing::error!(?failure, "the new TLS certificate is refused; the old one stays");
                }
            }
        }
    }

    fn state(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.certificate, &self.private_key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        })
    }
}

fn read(certificate: &Path, private_key: &Path) -> Result<CertifiedKey, Failure> {
    let unreadable = |path: &Path, error: &(dyn std::error::Error + 'static)| {
        Failure::because(&format!("{} cannot be used for TLS", path.display()), error).hint(
            "[server] tls_certificate is a PEM chain, the server's own first; tls_private_key_file its key",
        )
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(private_key).map_err(|error| unreadable(private_key, &error))?;
    let provider: CryptoProvider = ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| unreadable(certificate, &error))
}
