//! The vimhost binary: command line, configuration, wiring, telemetry.
//!
//! `vimhost serve` is the host. What is asked of a running host is asked by its admin interface, so that what a person can do a program
//! can do too. Needing no host: `check-config` and `doctor`, which look at the machine and its settings, `import-ng-ro`, which works on the
//! database while every host is stopped, `key new` and `mock-vim`. stdout is data, stderr is talk; `-o json` gives every answer as JSON.

#![forbid(unsafe_code)]

mod access;
mod cli;
mod client;
mod clouds;
mod doctor;
mod events;
mod identity;
mod import;
mod mock_vim;
mod osm;
mod output;
mod plugin;
mod plugin_dir;
mod progress;
mod serve;
mod service;
mod settings;
mod store;
mod telemetry;
mod templates;
mod vim;
mod vim_audit;
mod vnf_lcm;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use cli::{Cli, Command, PluginCommand};

/// Documents are read and written as many small pieces on several threads, which is what the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Kept beside what is made of it: it knows which values the environment gave.
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    // Without a runtime: its threads would take of the memory that the templates are given.
    if let Command::RenderTemplates { bounded } = cli.command {
        return templates::run(bounded);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli, &matches)) {
        Ok(true) => ExitCode::SUCCESS,
        // A check that failed has said why.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            // 3 is an action that ended in FAILED; everything else a person can mend by reading the text is 1.
            if error.is::<progress::ActionFailed>() {
                ExitCode::from(3)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Runs a command. False: it checked something, and that is not as it should be.
async fn run(cli: Cli, matches: &ArgMatches) -> anyhow::Result<bool> {
    let Cli { global, command } = cli;
    let own = matches.subcommand().map_or(matches, |(_, own)| own);
    match command {
        Command::Serve(given) => {
            let own = own.clone();
            let resolve = move || given.resolve(&own).map_err(|problems| settings::refused(&problems));
            serve::run(resolve()?, resolve).await?;
        }
        Command::CheckConfig(given) => return settings::check_config(&global, &given, own),
        Command::Doctor(given) => return doctor::run(&global, &given, own).await,
        Command::ImportNgRo(options) => return import::run(&global, &options, own).await,
        Command::MockVim(options) => mock_vim::run(options).await?,
        Command::Vim(command) => return vim::run(&global, command).await,
        Command::Plan { file } => service::plan(&global, &file).await?,
        Command::Deploy { file, wait } => service::deploy(&global, &file, wait).await?,
        Command::Terminate { name, wait } => service::terminate(&global, &name, wait).await?,
        Command::Remove { name } => service::remove(&global, &name).await?,
        Command::Status { name, action } => service::status(&global, name.as_deref(), action.as_deref()).await?,
        Command::Lease(cli::LeaseCommand::List) => service::leases(&global).await?,
        Command::Cancel { name, action } => service::cancel(&global, &name, &action).await?,
        Command::Token(command) => access::token(&global, command).await?,
        Command::Key(command) => access::key(&global, command).await?,
        Command::Audit(options) => access::audit(&global, options).await?,
        Command::Plugins => plugin::run(&global, PluginCommand::List).await?,
        Command::Plugin(command) => plugin::run(&global, command).await?,
        Command::RenderTemplates { .. } => anyhow::bail!("templates are rendered without a runtime"),
    }
    Ok(true)
}
