//! Running `rrctl` in a folder of its own, with an environment of its own.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// Where the fixtures are.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// An empty folder, which is also the working directory.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// With a fixture as its `rrctl.toml`.
    pub(crate) fn with_fixture(name: &str) -> Self {
        let folder = Self::new();
        fs::copy(fixtures().join(name), folder.path().join("rrctl.toml")).unwrap();
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that its owner alone may read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
        self.set_mode(name, 0o600);
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Exit status, standard output and standard error, as one text.
    pub(crate) fn rrctl(&self, arguments: &[&str]) -> String {
        self.rrctl_with(arguments, &[])
    }

    pub(crate) fn rrctl_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let Output { status, stdout, stderr } = self.output(arguments, variables);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let exit = status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
        let (stdout, stderr) = (text(&stdout), text(&stderr));
        format!("exit: {exit}\n----- stdout -----\n{stdout}----- stderr -----\n{stderr}")
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn rrctl_out(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn output(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        self.command(arguments).envs(variables.iter().copied()).output().unwrap()
    }

    /// A command in the folder, with no variable of ours.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rrctl"));
        command.args(arguments).current_dir(self.path()).env_clear();
        command
    }
}
