//! The runner's binary: which of its parts is wanted.

use std::{ffi::OsString, io, process::ExitCode};

use staithe_runner::{cli, launch, serve, shell};

/// Wrong use, as in sysexits.h.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (word, rest) = match arguments.split_first() {
        Some((word, rest)) => (word.to_str().unwrap_or_default(), rest),
        None => ("", [].as_slice()),
    };
    match word {
        "serve" => match cli::serve(rest) {
            Ok(told) => serve::main(&told),
            Err(wrong) => usage(&wrong.to_string()),
        },
        "launch" => launch::main(rest),
        "launch-inner" => launch::inner(rest),
        shell::stage::WORD => shell::stage::main(rest),
        "--help" | "-h" | "help" => say(&mut io::stdout(), cli::HELP),
        "--version" | "-V" => {
            say(&mut io::stdout(), concat!("staithe-runner ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        "" => usage("nothing to do"),
        other => usage(&format!("unknown argument {other:?}")),
    }
}

fn usage(wrong: &str) -> ExitCode {
    say(&mut io::stderr(), &format!("staithe-runner: {wrong}\n\n{}", cli::HELP));
    ExitCode::from(USAGE)
}

fn say(to: &mut dyn io::Write, text: &str) -> ExitCode {
    match to.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
