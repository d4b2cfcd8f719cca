//! What a person would otherwise type: plugins, bench, demo, lab, mongod, schemathesis, tacker-client, test.
//!
//! One file per command. Progress goes to stderr, results to stdout, and an error is one line that says what to do.

#![forbid(unsafe_code)]

mod bench;
mod cargo_deny;
mod components;
mod demo;
mod figures;
mod lab;
mod lab_record;
mod mongod;
mod plugins;
mod prerequisites;
mod python;
mod rustup;
mod schemathesis;
mod tacker_client;
mod target;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What a person would otherwise type")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds every connector, and the guests that tests run, as WebAssembly components.
    Plugins(plugins::Arguments),
    /// Measures a build for release against its aims.
    Bench(bench::Arguments),
    /// Builds all, starts a host with a mock VIM, deploys a network service, and leaves both running.
    Demo(demo::Arguments),
    /// A real OpenStack on loopback, for tests: install, up, down, status.
    Lab(lab::Arguments),
    /// Fetches the MongoDB server that tests run, and says where it is.
    Mongod,
    /// Asks a host thousands of requests made from the descriptions of its admin and VNF LCM interfaces.
    Schemathesis(schemathesis::Arguments),
    /// Fetches OpenStack's client with Tacker's commands, and says where it is.
    TackerClient,
    /// Everything CI runs.
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Plugins(arguments) => plugins::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Lab(arguments) => lab::run_command(&arguments),
        Command::Mongod => mongod::run(),
        Command::Schemathesis(arguments) => schemathesis::run(&arguments),
        Command::TackerClient => tacker_client::run(),
        Command::Test(arguments) => test::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
