//! `hadal`: server, agent and tools in one binary. Parses arguments and wires; the rest is in the crates.
#![forbid(unsafe_code)]

mod agent;
mod cli;
mod config;
mod doctor;
mod privileges;
mod query;
mod server;
mod stop;
mod trace;
mod up;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Exit code of errors that trying again does not cure (EX_CONFIG of sysexits.h).
const EXIT_SETUP: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = std::env::var("HADAL_LOG").unwrap_or_else(|_| "info".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let outcome = match cli.command {
        Command::Up(options) => up::run(&options),
        Command::Server(options) => server::run(&options),
        Command::Agent(options) => agent::run(&options),
        Command::Query(options) => query::run(&options),
        Command::Trace(options) => trace::run(&options),
        Command::Doctor(options) => return doctor::run(&options),
        Command::Openapi => {
            println!("{}", hadal_server::openapi_json());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hadal: {}", in_words(&error));
            ExitCode::from(error.downcast_ref::<up::ChildFailed>().map_or(EXIT_SETUP, |failed| failed.code))
        }
    }
}

/// The error and its causes, each said once: some errors name their cause themselves.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.contains(&cause) {
        true => text,
        false if text.is_empty() => cause,
        false => format!("{text}: {cause}"),
    })
}
