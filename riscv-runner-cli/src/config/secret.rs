//! Secrets: as a value, as a file, or from the environment; shown as `(set)` and never otherwise.

use std::{fs, io, path::Path};

use secrecy::{SecretString, zeroize::Zeroizing};

use super::{
    problem::Origin,
    reader::Section,
    setting::{Fault, Read, Setting, text},
    tree::Node,
};

/// How a secret is shown.
const SET: &str = "(set)";
/// Nothing that is a secret of ours is larger; a larger file is another file.
const MAX_BYTES: u64 = 1024 * 1024;

/// A secret as a setting.
#[derive(Debug, Clone)]
pub(crate) struct Secret(pub(crate) SecretString);

impl Setting for Secret {
    fn read(node: &Node) -> Read<Self> {
        let text = text(node, "text")?;
        if text.trim().is_empty() {
            return Err(vec![Fault::new("must not be empty")]);
        }
        Ok(Self(SecretString::from(text.to_owned())))
    }
    fn show(&self) -> String {
        super::setting::quoted(SET)
    }
    fn kind() -> &'static str {
        "secret"
    }
}

/// A file that holds a secret, as far as it can be read.
enum FromFile {
    Read(SecretString),
    Missing,
    Refused(String),
}

impl Section<'_> {
    /// The secret of `key`, or of the file that `file_key` names. A file that does not exist is a warning: a
    /// configuration may be checked where its secrets are not; [`SecretState::Elsewhere`] says so.
    pub(crate) fn secret(&self, key: &'static str, file_key: &'static str) -> SecretState {
        let value = self.get::<Secret>(key);
        if self.has(key) && self.has(file_key) {
            let problem = format!("is set beside {}: keep one of them", self.path_of(key));
            self.error(file_key, problem, None);
        }
        match (value, self.get::<String>(file_key)) {
            (Some(Secret(secret)), _) => {
                self.keep(self.path_of(key), &secret);
                SecretState::Set(secret)
            }
            (None, Some(path)) => self.secret_of_file(file_key, &path, &self.origin_of(file_key), ""),
            (None, None) if self.has(key) || self.has(file_key) => SecretState::Elsewhere,
            (None, None) => SecretState::Unset,
        }
    }

    /// The secrets of a list and of a list of files.
    pub(crate) fn secrets(&self, key: &'static str, files_key: &'static str) -> Vec<SecretState> {
        let values = self.get::<Vec<Secret>>(key).unwrap_or_default();
        for (n, Secret(secret)) in values.iter().enumerate() {
            self.keep(format!("{}[{n}]", self.path_of(key)), secret);
        }
        let mut all: Vec<_> = values.into_iter().map(|Secret(secret)| SecretState::Set(secret)).collect();
        for (n, path) in self.get::<Vec<String>>(files_key).unwrap_or_default().iter().enumerate() {
            let below = format!("[{n}]");
            let origin = self.node(files_key).map_or(Origin::Default, |node| node.at(&below).origin.clone());
            all.push(self.secret_of_file(files_key, path, &origin, &below));
        }
        if all.is_empty() && (self.has(key) || self.has(files_key)) {
            all.push(SecretState::Elsewhere);
        }
        all
    }

    fn secret_of_file(&self, key: &'static str, path: &str, origin: &Origin, below: &str) -> SecretState {
        let path = self.resolve(key, path);
        let name = format!("{}{below}", self.path_of(key));
        match read_file(&path) {
            FromFile::Read(secret) => {
                self.keep(name, &secret);
                self.warn_if_open(key, below, &path);
                SecretState::Set(secret)
            }
            FromFile::Missing => {
                let problem = format!("{} is not there", path.display());
                let hint = "rrctl serve needs it; relative paths start at the configuration's folder";
                self.problems().missing_secret(origin, &name, problem, Some(hint.to_owned()));
                SecretState::Elsewhere
            }
            FromFile::Refused(problem) => {
                self.problems().error(origin, &name, format!("{} {problem}", path.display()), None);
                SecretState::Elsewhere
            }
        }
    }
}

/// What is known of a secret.
#[derive(Debug, Clone)]
pub(crate) enum SecretState {
    /// The secret.
    Set(SecretString),
    /// It is configured, but is not available on this machine; a problem says why.
    Elsewhere,
    /// It is not configured.
    Unset,
}

impl SecretState {
    /// The secret, if it is available.
    pub(crate) fn get(self) -> Option<SecretString> {
        match self {
            Self::Set(secret) => Some(secret),
            Self::Elsewhere | Self::Unset => None,
        }
    }

    /// Whether it is not configured.
    pub(crate) const fn is_unset(&self) -> bool {
        matches!(self, Self::Unset)
    }
}

fn read_file(path: &Path) -> FromFile {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return FromFile::Missing,
        Err(error) => return FromFile::Refused(format!("cannot be read: {error}")),
        Ok(found) if found.is_dir() => return FromFile::Refused("is a folder".to_owned()),
        Ok(found) if found.len() > MAX_BYTES => {
            return FromFile::Refused("is too large for a secret".to_owned());
        }
        Ok(_) => {}
    }
    match fs::read_to_string(path).map(Zeroizing::new) {
        // Editors and `echo` end a file with a line break that is no part of the secret.
        Ok(text) if text.trim().is_empty() => FromFile::Refused("is empty".to_owned()),
        Ok(text) => FromFile::Read(SecretString::from(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(error) => FromFile::Refused(format!("cannot be read: {error}")),
    }
}
