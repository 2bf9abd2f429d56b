//! `rrctl`: the command line and the server of riscv-runner. It reads a configuration, puts the parts
//! together and prints; everything else is in the libraries.

mod alarms;
mod args;
mod board_identity;
mod commands;
mod config;
mod counts;
mod failure;
mod logging;
mod moment;
mod platform;
mod printer;
mod progress;
mod reload;
mod remote;
mod server;
mod signals;
mod standby;
mod table;
mod telemetry;
mod visible;
mod when;
mod whole;
mod wire;
mod witness;

use std::{ffi::OsString, process::ExitCode};

use clap::{ColorChoice, CommandFactory, FromArgMatches, ValueEnum};
use riscv_runner_core::controls::Verb;

use self::{
    args::{Arguments, Color, Command},
    config::Sources,
    failure::Failure,
    printer::Printer,
};

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let color = color(&typed);
    let parsed = Arguments::command()
        .color(match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        })
        .try_get_matches_from(typed)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let printer = Printer::new(color);
    let ended = match parsed {
        Ok(arguments) => run(arguments, &printer),
        Err(told) => match told.print() {
            Err(error) if !told.use_stderr() => Err(Failure::Output(error)),
            Ok(()) | Err(_) => {
                return u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
            }
        },
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&printer),
    }
}

/// What `--color` says: help and usage, too, are written as it wants, which clap cannot know beforehand.
fn color(typed: &[OsString]) -> Color {
    let mut typed = typed.iter().filter_map(|argument| argument.to_str());
    let mut color = Color::Auto;
    while let Some(argument) = typed.next().filter(|argument| *argument != "--") {
        let value = match argument.strip_prefix("--color") {
            Some("") => typed.next(),
            Some(value) => value.strip_prefix('='),
            None => None,
        };
        color = value.and_then(|value| Color::from_str(value, false).ok()).unwrap_or(color);
    }
    color
}

fn run(arguments: Arguments, printer: &Printer) -> Result<(), Failure> {
    let sources = Sources::of_process(arguments.config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because("the runtime cannot be started", &error))?;
    wire::install_crypto();
    runtime.block_on(Box::pin(run_async(arguments.command, &sources, printer)))
}

async fn run_async(command: Command, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => Box::pin(commands::serve::run(serve, sources, printer)).await,
        Command::Schedule(schedule) => Box::pin(commands::schedule::run(&schedule, sources, printer)).await,
        Command::Snapshot => Box::pin(commands::snapshot::run(sources, printer)).await,
        Command::Migrate => Box::pin(commands::migrate::run(sources, printer)).await,
        Command::Why(why) => Box::pin(commands::why::run(&why, sources, printer)).await,
        Command::Trace(trace) => Box::pin(commands::trace::run(trace, sources, printer)).await,
        Command::Deliveries(command) => Box::pin(commands::deliveries::run(command, sources, printer)).await,
        Command::Status(status) => Box::pin(commands::status::run(&status, sources, printer)).await,
        Command::Retention(retention) => {
            Box::pin(commands::retention::run(retention, sources, printer)).await
        }
        Command::Pin(pin) => Box::pin(commands::pin::run(pin, true, sources, printer)).await,
        Command::Unpin(pin) => Box::pin(commands::pin::run(pin, false, sources, printer)).await,
        Command::Doctor(output) => Box::pin(commands::doctor::run(output, sources, printer)).await,
        Command::Completions { shell } => commands::completions::completions(shell, printer),
        Command::Man { dir } => commands::completions::man(dir.as_deref(), printer),
        Command::Queue(reading) => Box::pin(commands::queue::run(&reading, sources, printer)).await,
        Command::Jobs(listing) => Box::pin(commands::jobs::run(&listing, sources, printer)).await,
        Command::Workers(listing) => Box::pin(commands::workers::run(&listing, sources, printer)).await,
        Command::Pools(reading) => Box::pin(commands::pools::run(&reading, sources, printer)).await,
        Command::Boards(reading) => Box::pin(commands::boards::run(&reading, sources, printer)).await,
        Command::Usage(reading) => Box::pin(commands::usage::run(&reading, sources, printer)).await,
        Command::Drain(drain) => Box::pin(commands::order::drain(Verb::Drain, drain, sources, printer)).await,
        Command::Undrain(drain) => {
            Box::pin(commands::order::drain(Verb::Undrain, drain, sources, printer)).await
        }
        Command::Pause(pause) => Box::pin(commands::order::pause(Verb::Pause, pause, sources, printer)).await,
        Command::Resume(pause) => {
            Box::pin(commands::order::pause(Verb::Resume, pause, sources, printer)).await
        }
        Command::Entity(entity) => Box::pin(commands::order::entity(entity, sources, printer)).await,
        Command::Revoke(revoke) => Box::pin(commands::order::revoke(revoke, sources, printer)).await,
        Command::Controls(listing) => Box::pin(commands::controls::run(listing, sources, printer)).await,
        Command::Nodes(nodes) => Box::pin(commands::nodes::run(nodes, sources, printer)).await,
        Command::Board(board) => commands::board::run(&board, printer),
        Command::GithubApp(app) => Box::pin(commands::github_app::run(app, sources, printer)).await,
        Command::Demo(demo) => Box::pin(commands::demo::run(demo, printer)).await,
        Command::Simulate(simulate) => commands::simulate::run(&simulate, printer),
        Command::Config(command) => commands::config::run(command, sources, printer),
        Command::Check(check) => Box::pin(commands::check::run(&check, sources, printer)).await,
        Command::Route(route) => commands::route::run(&route, sources, printer),
    }
}
