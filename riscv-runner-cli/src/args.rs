//! The command line of `rrctl`, as types.

pub(crate) mod deliveries;
mod listing;
mod orders;
pub(crate) mod pin;
pub(crate) mod trace;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use riscv_runner_core::{
    ids::{JobId, RepoName},
    preflight::parse_repository,
};

pub(crate) use self::listing::{Boards, Filtered, Listing, RowStatus};
pub(crate) use self::orders::{
    CapArgument, ControlsListing, Drain, DrainKind, EntityCommand, Order, Pause, PauseKind, Revoke,
};
use crate::{
    commands::{
        board::Board,
        github_app::GithubApp,
        nodes::Nodes,
        simulate::{Profiles, Seeds},
    },
    remote::Remote,
};

/// Control plane that gives GitHub Actions real RISC-V boards.
#[derive(Debug, Parser)]
#[command(name = "rrctl", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 usage or configuration.")]
pub(crate) struct Arguments {
    /// The configuration file [default: ./rrctl.toml, then /etc/rrctl/rrctl.toml; env: RRCTL_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// When to use colours; `NO_COLOR` turns them off, too
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Color::Auto,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub(crate) color: Color,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table, for reading
    Table,
    /// JSON, for programs
    Json,
}

/// `--format`, of every command that reads.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// How the data is written
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Options of a command whose data a server shows, too.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    /// Where to read it
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// How the data is written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take webhooks, schedule jobs, show pages
    Serve(Serve),
    /// Run one cycle of the scheduler, or show what it would do
    Schedule(Schedule),
    /// Write what the planner sees as JSON, for `schedule --snapshot` and bug reports
    Snapshot,
    /// Bring the database's schema up to date
    Migrate,
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Explain, rule by rule, which pool a job would run in
    Route(Route),
    /// Say why a job waits
    Why(Why),
    /// Say why an account's jobs stopped: what was delivered, and what is wrong
    Trace(trace::Trace),
    /// Show deliveries, have GitHub deliver again, or replay what is stored
    #[command(subcommand)]
    Deliveries(deliveries::Deliveries),
    /// Show leader, queue, workers and boards at a glance
    Status(Status),
    /// Show waiting jobs by labels, with the reason why they wait
    Queue(Filtered),
    /// Show jobs, newest first
    Jobs(Listing),
    /// Show workers, newest first
    Workers(Listing),
    /// Show the pools and their slots
    Pools(Reading),
    /// Show the boards and what runs on them
    Boards(Boards),
    /// Show demand and supply by account, pool and labels
    Usage(Filtered),
    /// Place nothing new on a board or a pool; running jobs finish
    Drain(Drain),
    /// End a drain
    Undrain(Drain),
    /// Provision nothing for an account, a repository or at all; running jobs finish
    Pause(Pause),
    /// End a pause
    Resume(Pause),
    /// Change at run time how many workers an account may have, or refuse its jobs
    #[command(subcommand)]
    Entity(EntityCommand),
    /// End a worker now: deregister it, then end its pod
    Revoke(Revoke),
    /// Show what operators hold back, and who ordered what
    Controls(ControlsListing),
    /// Turn nodes without a device plugin into boards
    #[command(subcommand)]
    Nodes(Nodes),
    /// Say which kind of board this machine is
    #[command(subcommand)]
    Board(Board),
    /// Create a GitHub App with the required permissions
    #[command(subcommand)]
    GithubApp(GithubApp),
    /// Pin a row of a job, a worker or the event log, so that retention keeps it whatever its age
    Pin(pin::Pin),
    /// Unpin a row, so that retention may remove it
    Unpin(pin::Pin),
    /// Remove rows past their retention; the server does it daily by itself
    Retention(Retention),
    /// Check everything that the server needs, and say how to fix it
    Doctor(Output),
    /// Write completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write the manual page, or one for each command into a folder
    Man {
        /// The folder
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
    /// Check whether the jobs of a repository would be served, and what prevents it
    Check(Check),
    /// Run the real engine on simulated boards; nothing else is needed
    Demo(Demo),
    /// Run the real engine in simulated worlds under faults, and judge it by the laws
    Simulate(Simulate),
}

/// `rrctl config`
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report everything that is wrong with the configuration
    Check(ConfigCheck),
    /// Show the configuration in force and where each value comes from; secrets are not shown
    Show(Output),
}

/// `rrctl config check`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ConfigCheck {
    /// Fail on warnings, too, such as secret files that are not on this machine
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything
    All,
    /// Take webhooks
    Webhook,
    /// Schedule jobs and show pages
    Scheduler,
}

/// `rrctl serve`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Serve {
    /// What this process does
    #[arg(long, value_enum, default_value_t = Role::All, value_name = "ROLE")]
    pub(crate) role: Role,
    /// Bring the database's schema up to date first
    #[arg(long)]
    pub(crate) migrate: bool,
    /// Address and port to listen on, instead of `server.listen`
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

/// `rrctl schedule`
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("what").args(["dry_run", "once"]).required(true))]
#[command(
    override_usage = "rrctl schedule --dry-run [--snapshot <FILE>] [OPTIONS]\n       rrctl schedule --once [OPTIONS]"
)]
pub(crate) struct Schedule {
    /// Show the plan and every waiting job's verdict; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run one cycle: needs the lease, so no other scheduler may run
    #[arg(long, conflicts_with = "snapshot")]
    pub(crate) once: bool,
    /// Plan from this file, as `rrctl snapshot` writes it, instead of observing; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    pub(crate) snapshot: Option<PathBuf>,
    /// How the answer is written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `rrctl route`
#[derive(Debug, Clone, Args)]
pub(crate) struct Route {
    /// The job's `runs-on` labels, separated by commas
    #[arg(long, required = true, value_delimiter = ',', value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// The job's account, by id or login [default: the owner of --repo]
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) entity: Option<String>,
    /// The job's repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) repo: Option<RepoName>,
    /// The kind of the account
    #[arg(long, value_enum, default_value_t = AppKind::Organization, value_name = "KIND")]
    pub(crate) app: AppKind,
    /// How the explanation is written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The kind of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AppKind {
    /// An organization
    Organization,
    /// A personal account
    User,
}

/// `rrctl check`
#[derive(Debug, Clone, Args)]
pub(crate) struct Check {
    /// The repository, as `owner/name` or as the address of its page
    #[arg(value_name = "OWNER/REPO", value_parser = parse_repository)]
    pub(crate) repo: RepoName,
    /// The `runs-on` labels of a job, separated by commas [default: list the labels that are served]
    #[arg(long, value_delimiter = ',', value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// How the findings are written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `rrctl why`
#[derive(Debug, Clone, Args)]
pub(crate) struct Why {
    /// The job's id on GitHub
    #[arg(value_name = "JOB")]
    pub(crate) job: JobId,
    /// Where to read it, and how the answer is written
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// `rrctl status`
#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// Redraw until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Seconds between two updates
    #[arg(long, default_value = "2", value_parser = seconds, value_name = "SECONDS", requires = "watch")]
    pub(crate) every: Duration,
    /// Where to read it, and how the answer is written
    #[command(flatten)]
    pub(crate) reading: Reading,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let shortest = Duration::from_millis(100);
    seconds.filter(|every| *every >= shortest).ok_or_else(|| "must be a number of at least 0.1".to_owned())
}

/// `rrctl retention`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Retention {
    /// Say how many rows would be removed; remove none
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How the answer is written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `rrctl demo`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Demo {
    /// Seed of everything random
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// How many jobs arrive
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    pub(crate) jobs: u32,
    /// How many boards there are
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) boards: u32,
    /// Virtual seconds per real second; 0 is as fast as possible [default: 30, and 0 with --once]
    #[arg(long, value_name = "X")]
    pub(crate) speed: Option<u32>,
    /// Exit when every job is done: as fast as possible, with status 1 if an invariant broke
    #[arg(long)]
    pub(crate) once: bool,
    /// Address and port of the page
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
}

/// `rrctl simulate`
#[derive(Debug, Clone, Args)]
pub(crate) struct Simulate {
    /// The seeds to run, from A to before B
    #[arg(long, value_name = "A..B")]
    pub(crate) seeds: Seeds,
    /// What goes wrong: a fault profile, or `all` to run each seed under every one
    #[arg(long, default_value = "all", value_name = "PROFILE")]
    pub(crate) faults: Profiles,
    /// How many worlds run at the same time [default: one per core]
    #[arg(long, value_name = "N")]
    pub(crate) jobs_parallel: Option<NonZeroUsize>,
    /// How the totals are written
    #[command(flatten)]
    pub(crate) output: Output,
}
