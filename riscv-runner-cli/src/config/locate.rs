//! Where the configuration file is: `--config`, `RRCTL_CONFIG`, `./rrctl.toml`, `/etc/rrctl/rrctl.toml`.

use std::path::{Path, PathBuf};

use super::environment::Variables;

/// Tried in this order when nothing names a file.
const USUAL: [&str; 2] = ["rrctl.toml", "/etc/rrctl/rrctl.toml"];

/// The file to read, and who named it; `None` when nobody did and no usual one is there.
pub(crate) fn locate(flag: Option<&Path>, variables: &Variables) -> Option<PathBuf> {
    if let Some(path) = flag {
        return Some(path.to_owned());
    }
    if let Some(path) = variables.get("RRCTL_CONFIG").filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(path));
    }
    USUAL.iter().map(PathBuf::from).find(|path| path.exists())
}
