//! `rrctl board`: what kind of board this machine is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    args::Output,
    board_identity::{Evidence, Identity, Triple, identify},
    failure::Failure,
    printer::Printer,
};

/// Where kernels show the device tree.
const DEVICE_TREE: [&str; 2] = ["proc/device-tree", "sys/firmware/devicetree/base"];

/// `rrctl board`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Board {
    /// Say which kind of board this machine is; to be run on the board
    Probe(Probe),
}

/// `rrctl board probe`
#[derive(Debug, Clone, Args)]
pub(crate) struct Probe {
    /// Where the machine's /proc and /sys are, for containers that see them elsewhere
    #[arg(long, default_value = "/", value_name = "DIR")]
    root: PathBuf,
    /// How the answer is written
    #[command(flatten)]
    output: Output,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    board: Option<&'static str>,
    model: Option<String>,
    compatible: Vec<String>,
    harts: Vec<Harts>,
}

/// One kind of hart.
#[derive(Debug, Serialize)]
struct Harts {
    mvendorid: String,
    marchid: String,
    mimpid: String,
}

impl From<Triple> for Harts {
    fn from(triple: Triple) -> Self {
        let hex = |number: u64| format!("{number:#x}");
        Self {
            mvendorid: hex(triple.vendor),
            marchid: hex(triple.architecture),
            mimpid: hex(triple.implementation),
        }
    }
}

/// Runs `rrctl board`.
pub(crate) fn run(command: &Board, printer: &Printer) -> Result<(), Failure> {
    let Board::Probe(probe) = command;
    let cpuinfo = read(&probe.root.join("proc/cpuinfo"))?.unwrap_or_default();
    let compatible = of_device_tree(&probe.root, "compatible")?;
    let model = of_device_tree(&probe.root, "model")?;
    let identity = identify(&cpuinfo, compatible.as_deref());
    let entries = compatible.as_deref().unwrap_or_default().split('\0').filter(|entry| !entry.is_empty());
    let found = Found {
        board: if let Identity::Known { board, .. } = identity { Some(board) } else { None },
        model: model.map(|text| text.trim_end_matches('\0').to_owned()),
        compatible: entries.map(str::to_owned).collect(),
        harts: harts(&identity),
    };
    printer.data(probe.output.format, &found, || show(&found, &identity, printer))?;
    judge(&identity)
}

fn show(found: &Found, identity: &Identity, printer: &Printer) -> Result<(), Failure> {
    if let Some(model) = &found.model {
        printer.line(&format!("model     {model}"))?;
    }
    match identity {
        Identity::Known { board, by } => {
            printer.line(&format!("known by  {by}"))?;
            printer.line(&format!("board     {board}"))?;
            printer.note(&format!("enrol it with: rrctl nodes enroll NODE --board {board}"));
        }
        Identity::Unknown(by) => printer.line(&format!("found     {by}"))?,
        Identity::Mixed(kinds) => {
            for kind in kinds {
                printer.line(&format!("found     {kind}"))?;
            }
        }
        Identity::Silent => {}
    }
    Ok(())
}

fn harts(identity: &Identity) -> Vec<Harts> {
    match identity {
        Identity::Known { by: Evidence::Harts(triple), .. } | Identity::Unknown(Evidence::Harts(triple)) => {
            vec![(*triple).into()]
        }
        Identity::Mixed(kinds) => kinds.iter().map(|triple| (*triple).into()).collect(),
        Identity::Known { by: Evidence::DeviceTree(_), .. }
        | Identity::Unknown(Evidence::DeviceTree(_))
        | Identity::Silent => Vec::new(),
    }
}

/// A board that is not known for certain is a failure: a wrong label would send jobs to the wrong machine.
fn judge(identity: &Identity) -> Result<(), Failure> {
    let hint = "report these values so that the board becomes known, or name it yourself: \
                rrctl nodes enroll NODE --board NAME";
    match identity {
        Identity::Known { .. } => Ok(()),
        Identity::Unknown(by) => Err(Failure::failed(format!("no known board has {by}")).hint(hint)),
        Identity::Mixed(_) => Err(Failure::failed("the machine has harts of several kinds").hint(hint)),
        Identity::Silent => {
            let hint =
                "run it on the board, with a kernel that shows the harts in /proc/cpuinfo or a device tree";
            Err(Failure::failed("neither the harts nor a device tree identify this machine").hint(hint))
        }
    }
}

fn of_device_tree(root: &Path, property: &str) -> Result<Option<String>, Failure> {
    for folder in DEVICE_TREE {
        if let Some(text) = read(&root.join(folder).join(property))? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::because(&format!("{} cannot be read", path.display()), &error)),
    }
}
