//! Where the configuration file is: `--config`, `RRCTL_CONFIG`, `./rrctl.toml`, `/etc/rrctl/rrctl.toml`.

use std::path::{Path, PathBuf};

use super::environment::Variables;

/// Tried in this order when nothing names a file.
const USUAL: [&str; 2] = ["rrctl.toml", "/etc/rrctl/rrctl.toml"];

/// The file to read, and what named it; `None` when nothing did and none of the usual ones exists.
pub(crate) fn locate(flag: Option<&Path>, variables: &Variables) -> Option<PathBuf> {
    if let Some(path) = flag {
        return Some(path.to_owned());
    }
    if let Some(path) = variables.get("RRCTL_CONFIG").filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(path));
    }
    USUAL.iter().map(PathBuf::from).find(|path| path.exists())
}
