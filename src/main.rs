//! The program: reads the command line and goes where it says.

use std::process::ExitCode;

use clap::Parser;
use staithe::{
    admin_cli, boot,
    cli::{Cli, Command, ConfigCommand},
    config::load,
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
        Command::Config(command) => match command {
            ConfigCommand::Check(files) => {
                match load::load(files.config.as_deref(), &files.overrides()) {
                    Ok(_) => say("the configuration is good"),
                    Err(denied) => return usage(&denied),
                }
                Ok(())
            }
            ConfigCommand::Show(files) => {
                match load::show(files.config.as_deref(), &files.overrides()) {
                    Ok(shown) => say(&shown),
                    Err(denied) => return usage(&denied),
                }
                Ok(())
            }
        },
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

#[expect(clippy::print_stdout, reason = "this is the command's answer")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

fn usage(denied: &load::ConfigDenied) -> ExitCode {
    eprintln!("staithe: {denied}");
    ExitCode::from(USAGE)
}
