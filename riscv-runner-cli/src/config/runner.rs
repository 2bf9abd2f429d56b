//! `[runner]`: what our runners are called and where GitHub keeps them.

use riscv_runner_core::policy::NamePrefix;

use super::reader::Section;

/// The reference service's runner group.
const GROUP: &str = "RISE RISC-V Runners";
/// The reference service's prefix.
const PREFIX: &str = "rise-riscv-runner-";
/// GitHub's own default.
const WORK_FOLDER: &str = "_work";

/// What our runners are called.
#[derive(Debug)]
pub(crate) struct Runner {
    /// What their names begin with; `None` when it was refused.
    pub(crate) name_prefix: Option<NamePrefix>,
    /// The runner group in organizations.
    pub(crate) group: String,
    /// The work folder, relative to the runner's installation.
    pub(crate) work_folder: String,
}

impl Runner {
    /// Reads `[runner]`.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let name_prefix = match NamePrefix::new(PREFIX) {
            Ok(usual) => Some(section.or("name_prefix", usual)),
            Err(_) => section.get("name_prefix"),
        };
        let runner = Self {
            name_prefix,
            group: section.or("group", GROUP.to_owned()),
            work_folder: section.or("work_folder", WORK_FOLDER.to_owned()),
        };
        section.done();
        runner
    }
}
