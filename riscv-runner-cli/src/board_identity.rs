//! The kind of board of a machine, by the identity of its harts, or by its device tree where the kernel does
//! not report that. Pure.

use std::fmt;

/// The identity of a hart, as reported by `riscv_hwprobe` and `/proc/cpuinfo` (RISC-V privileged
/// architecture: the registers `mvendorid`, `marchid` and `mimpid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Triple {
    /// Who designed the hart.
    pub(crate) vendor: u64,
    /// Its microarchitecture.
    pub(crate) architecture: u64,
    /// Its revision.
    pub(crate) implementation: u64,
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vendor, architecture, implementation } = self;
        write!(f, "mvendorid {vendor:#x}, marchid {architecture:#x}, mimpid {implementation:#x}")
    }
}

/// The boards that are known by their harts.
const BY_TRIPLE: &[(Triple, &str)] = &[
    (triple(0x710, 0x8000_0000_5800_0001, 0x1000_0000_4977_2200), "spacemit-k1"),
    (triple(0x710, 0x8000_0000_5800_0002, 0x33d8_a600), "spacemit-k3"),
    (triple(0x710, 0x8000_0000_5800_0002, 0x4c4_d900), "spacemit-v100"),
];

/// The boards that are known by how the first entry of `compatible` begins: their kernels do not report the
/// identity of harts.
const BY_DEVICE_TREE: &[(&str, &str)] = &[("scaleway,em-rv1", "scaleway-em-rv1")];

const fn triple(vendor: u64, architecture: u64, implementation: u64) -> Triple {
    Triple { vendor, architecture, implementation }
}

/// The result of the identification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A known board.
    Known {
        /// Its name, as pools select it.
        board: &'static str,
        /// The evidence for it.
        by: Evidence,
    },
    /// Evidence that no known board has.
    Unknown(Evidence),
    /// The machine's harts are of several kinds.
    Mixed(Vec<Triple>),
    /// Neither harts nor device tree identify the machine.
    Silent,
}

/// What a board is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The identity of its harts.
    Harts(Triple),
    /// The first entry of the device tree's `compatible`.
    DeviceTree(String),
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Harts(triple) => triple.fmt(f),
            Self::DeviceTree(compatible) => write!(f, "device tree {compatible}"),
        }
    }
}

/// Identifies a board from `/proc/cpuinfo` and the device tree's `compatible`, as far as there are any.
pub(crate) fn identify(cpuinfo: &str, compatible: Option<&str>) -> Identity {
    let triples = triples(cpuinfo);
    match triples.as_slice() {
        [] => by_device_tree(compatible),
        [triple] => match BY_TRIPLE.iter().find(|(known, _)| known == triple) {
            Some((_, board)) => Identity::Known { board, by: Evidence::Harts(*triple) },
            None => Identity::Unknown(Evidence::Harts(*triple)),
        },
        several => Identity::Mixed(several.to_vec()),
    }
}

fn by_device_tree(compatible: Option<&str>) -> Identity {
    let first = compatible.unwrap_or_default().split('\0').map(str::trim).find(|entry| !entry.is_empty());
    let Some(first) = first else { return Identity::Silent };
    let by = Evidence::DeviceTree(first.to_owned());
    match BY_DEVICE_TREE.iter().find(|(begins, _)| first.starts_with(begins)) {
        Some((_, board)) => Identity::Known { board, by },
        None => Identity::Unknown(by),
    }
}

/// The different identities of the harts, in order; a hart that does not report all three has none.
fn triples(cpuinfo: &str) -> Vec<Triple> {
    let mut found: Vec<_> = cpuinfo
        .split("\n\n")
        .filter_map(|hart| {
            let value = |key: &str| {
                let fields = hart.lines().filter_map(|line| line.split_once(':'));
                let text = fields.into_iter().find(|(name, _)| name.trim() == key)?.1.trim();
                u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
            };
            Some(triple(value("mvendorid")?, value("marchid")?, value("mimpid")?))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpuinfo(harts: &[(&str, &str, &str)]) -> String {
        let hart = |(n, (vendor, arch, imp)): (usize, &(&str, &str, &str))| {
            format!(
                "processor\t: {n}\nhart\t\t: {n}\nisa\t\t: rv64imafdcv\nmmu\t\t: sv39\n\
                 mvendorid\t: {vendor}\nmarchid\t\t: {arch}\nmimpid\t\t: {imp}\n"
            )
        };
        harts.iter().enumerate().map(hart).collect::<Vec<_>>().join("\n")
    }

    const K1: (&str, &str, &str) = ("0x710", "0x8000000058000001", "0x1000000049772200");

    #[test]
    fn known_harts_name_their_board() {
        for (hart, board) in [
            (K1, "spacemit-k1"),
            (("0x710", "0x8000000058000002", "0x33d8a600"), "spacemit-k3"),
            (("0x710", "0x8000000058000002", "0x4c4d900"), "spacemit-v100"),
        ] {
            let found = identify(&cpuinfo(&[hart, hart]), Some("scaleway,em-rv1-c4m16s128-a\0"));
            assert!(
                matches!(found, Identity::Known { board: known, by: Evidence::Harts(_) } if known == board),
                "harts win over the device tree: {found:?}"
            );
        }
    }

    #[test]
    fn unknown_harts_are_told_and_never_guessed_from_the_device_tree() {
        let found = identify(&cpuinfo(&[("0x489", "0x1", "0x2")]), Some("scaleway,em-rv1"));
        let Identity::Unknown(by) = found else { panic!("{found:?}") };
        assert_eq!(by.to_string(), "mvendorid 0x489, marchid 0x1, mimpid 0x2");
    }

    #[test]
    fn a_kernel_that_does_not_tell_harts_leaves_the_device_tree() {
        let old = "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\n";
        let found = identify(old, Some("scaleway,em-rv1-c4m16s128-a\0thead,light\0"));
        assert!(matches!(found, Identity::Known { board: "scaleway-em-rv1", .. }), "{found:?}");
        let other = identify(old, Some("sipeed,lichee\0scaleway,em-rv1\0"));
        assert_eq!(other, Identity::Unknown(Evidence::DeviceTree("sipeed,lichee".to_owned())));
        assert_eq!(identify(old, None), Identity::Silent);
        assert_eq!(identify("", Some("\0")), Identity::Silent);
    }

    #[test]
    fn harts_of_several_kinds_are_told() {
        let found = identify(&cpuinfo(&[K1, ("0x710", "0x1", "0x2"), K1]), None);
        assert!(matches!(found, Identity::Mixed(ref kinds) if kinds.len() == 2), "{found:?}");
    }
}
