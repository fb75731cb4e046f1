//! The program: reads the command line and goes where it says.

use std::process::ExitCode;

use clap::Parser;
use staithe::{
    admin_cli, boot,
    cli::{Cli, Command, ConfigCommand},
    config::load,
    copy, doctor, images, run,
};

/// A bad configuration (`EX_USAGE` of sysexits.h); a bad command line is clap's 2.
const USAGE: u8 = 64;
/// The manager died or the server could not start (`EX_SOFTWARE`).
const SOFTWARE: u8 = 70;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Serve(serve) => match load::load(serve.config.as_deref(), &serve.overrides()) {
            Ok(config) => boot::run(config, &serve),
            Err(denied) => return usage(&denied),
        },
        Command::Run(wanted) => return run::run(&wanted),
        Command::Session(session) => return run::session(&session),
        Command::Replay(replay) => return run::replay(&replay),
        Command::Doctor(doctor) => return doctor::run(&doctor),
        Command::Config(command) => return configuration(&command),
        Command::Image(image) => return images::cli::run(image),
        Command::Cp(cp) => return copy::run(&cp),
        Command::Admin(admin) => admin_cli::run(&admin),
        Command::LoginLink(link) => admin_cli::login_link(&link),
        Command::RotateKeys(rotate) => admin_cli::rotate_keys(&rotate),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("staithe: {error:#}");
            ExitCode::from(SOFTWARE)
        }
    }
}

fn configuration(command: &ConfigCommand) -> ExitCode {
    let answer = match command {
        ConfigCommand::Check(files) => load::load(files.config.as_deref(), &files.overrides())
            .map(|_| "the configuration is good".to_owned()),
        ConfigCommand::Show(files) => load::show(files.config.as_deref(), &files.overrides()),
    };
    answer.map_or_else(|denied| usage(&denied), |answer| say(&answer))
}

#[expect(clippy::print_stdout, reason = "this is the command's answer")]
fn say(text: &str) -> ExitCode {
    println!("{}", text.trim_end());
    ExitCode::SUCCESS
}

fn usage(denied: &load::ConfigDenied) -> ExitCode {
    eprintln!("staithe: {denied}");
    ExitCode::from(USAGE)
}
