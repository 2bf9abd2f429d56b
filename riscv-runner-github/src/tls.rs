//! The one crypto provider of the process: ring.
//!
//! A host application that installed another provider keeps its own.

/// Makes ring the provider that TLS clients of this process use, unless one was chosen before.
pub(crate) fn install_ring() {
    // An error means that somebody chose before us, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
