//! Where a new App's secrets go: files that only their owner may read, and that are never overwritten.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use riscv_runner_core::entity::EntityKind;
use riscv_runner_github::app_manifest::NewApp;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

/// The files that will be written. That they can be is checked beforehand: GitHub returns the secrets only
/// once.
pub(super) struct Destination {
    private_key: PathBuf,
    webhook_secret: PathBuf,
}

/// The files that were written.
pub(super) struct Written {
    pub(super) private_key: PathBuf,
    pub(super) webhook_secret: Option<PathBuf>,
}

impl Destination {
    pub(super) fn prepare(folder: &Path, kind: EntityKind) -> Result<Self, Failure> {
        let name = match kind {
            EntityKind::Organization => "organization",
            EntityKind::User => "personal",
        };
        let unusable =
            |error: &std::io::Error| Failure::because(&format!("{} cannot be used", folder.display()), error);
        fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
        let folder = folder.canonicalize().map_err(|error| unusable(&error))?;
        let destination = Self {
            private_key: folder.join(format!("{name}-app.pem")),
            webhook_secret: folder.join(format!("{name}-webhook.secret")),
        };
        for path in [&destination.private_key, &destination.webhook_secret] {
            if path.exists() {
                let what = format!("{} already exists", path.display());
                return Err(Failure::failed(what).hint("choose another folder with --out, or move it away"));
            }
        }
        let attempt = folder.join(format!(".rrctl-{}", std::process::id()));
        fs::write(&attempt, "").and_then(|()| fs::remove_file(&attempt)).map_err(|error| unusable(&error))?;
        Ok(destination)
    }

    pub(super) fn write(self, app: &NewApp) -> Result<Written, Failure> {
        let Self { private_key, webhook_secret } = self;
        put(&private_key, &app.pem)?;
        let webhook_secret = match &app.webhook_secret {
            Some(secret) => {
                put(&webhook_secret, secret)?;
                Some(webhook_secret)
            }
            None => None,
        };
        Ok(Written { private_key, webhook_secret })
    }
}

fn put(path: &Path, secret: &SecretString) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(secret.expose_secret().as_bytes())).map_err(|error| {
        Failure::because(&format!("{} cannot be written", path.display()), &error)
            .hint("the App exists: create a new private key and webhook secret in its settings on GitHub")
    })
}
