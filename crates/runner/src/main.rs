//! The runner's binary: which of its parts is wanted.

use std::{ffi::OsString, io, process::ExitCode};

use staithe_runner::{alone, bridge, cli, fault::Fault, launch, serve, shell};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (word, rest) = match arguments.split_first() {
        Some((word, rest)) => (word.to_str().unwrap_or_default(), rest),
        None => ("", [].as_slice()),
    };
    match word {
        "serve" => match cli::serve(rest) {
            Ok(told) => serve::main(&told),
            Err(wrong) => Fault::usage(wrong).say(),
        },
        "bridge" => match cli::bridge(rest) {
            Ok(told) => bridge::main(&told),
            Err(wrong) => Fault::usage(wrong).say(),
        },
        "launch" => launch::main(rest),
        "launch-inner" => launch::inner(rest),
        shell::stage::WORD => shell::stage::main(rest),
        "--help" | "-h" | "help" => say(cli::HELP),
        "--version" | "-V" => say(concat!("staithe-runner ", env!("CARGO_PKG_VERSION"), "\n")),
        "" => Fault::usage("nothing to do").say(),
        first if alone::cli::is_for(first) => alone::main(&arguments),
        other => Fault::usage(format!("unknown argument {other:?}")).say(),
    }
}

fn say(text: &str) -> ExitCode {
    match io::Write::write_all(&mut io::stdout(), text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
