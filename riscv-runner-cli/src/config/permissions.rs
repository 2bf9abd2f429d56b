//! Whether a file with a secret is accessible to every user of the machine.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use super::reader::Section;

/// What "others" may do, in a file's mode.
const OTHERS: u32 = 0o007;
/// Filesystems that live in memory. Kubernetes and systemd hand secrets over on one of their own for each pod
/// or service; Kubernetes' default is 0644 there, and no stranger shares the mount.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

impl Section<'_> {
    /// Warns when every user of this machine may read or change the file of a secret. A file that cannot be
    /// checked is reported by whatever reads it.
    pub(crate) fn warn_if_open(&self, key: &'static str, below: &str, path: &Path) {
        let Ok(found) = fs::metadata(path) else { return };
        if !is_open(&found) {
            return;
        }
        let origin = self.node(key).map_or_else(|| self.origin_of(key), |node| node.at(below).origin.clone());
        let name = format!("{}{below}", self.path_of(key));
        let problem = format!("{} is accessible to every user of this machine", path.display());
        let hint = format!("chmod o= {}", path.display());
        self.problems().warn(&origin, &name, problem, Some(hint));
    }
}

fn is_open(found: &Metadata) -> bool {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.permissions().mode() & OTHERS != 0 && !is_in_memory(found.dev(), &mounts())
}

/// Whether a device is one of memory, by `/proc/self/mountinfo` (proc_pid_mountinfo(5)): the third field is
/// its number, and the type of the filesystem stands behind ` - `.
fn is_in_memory(device: u64, mounts: &str) -> bool {
    let number = numbers(device);
    mounts.lines().any(|line| {
        let Some((mount, filesystem)) = line.split_once(" - ") else { return false };
        mount.split(' ').nth(2) == Some(number.as_str())
            && filesystem.split(' ').next().is_some_and(|kind| IN_MEMORY.contains(&kind))
    })
}

/// `MAJOR:MINOR` of a device number (makedev(3)).
fn numbers(device: u64) -> String {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    format!("{major}:{minor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
        391 390 0:52 / /run/secrets/rrctl ro,relatime - tmpfs tmpfs rw,size=65536k\n\
        30 22 0:26 / /run/credentials/rrctl.service ro - ramfs ramfs rw,mode=700\n\
        cannot be read\n";

    #[test]
    fn what_lives_in_memory_is_told_by_its_device() {
        for (major, minor, expected) in [(254, 1, false), (0, 52, true), (0, 26, true), (0, 5, false)] {
            let device = (major << 8) | minor;
            assert_eq!(is_in_memory(device, MOUNTS), expected, "{major}:{minor}");
        }
        assert!(!is_in_memory(0x34, ""), "where nothing is known, the mode counts");
    }

    #[test]
    fn large_numbers_of_devices_are_split_as_the_c_library_does() {
        assert_eq!(numbers(0xfe01), "254:1");
        assert_eq!(numbers((0x12 << 8) | 0x34 | (0x5 << 20)), "18:1332");
    }
}
