//! What observations say beside the output. Pure.

use std::{path::Path, time::Duration};

/// Stands before output that goes on from an earlier observation.
pub const GOES_ON: &str = "[Below is the output of the previous command.]\n";
/// Stands before what a background job printed between two commands.
pub const BACKGROUND: &str = "[Output of a background job since the last command:]\n";

const CHOICES: &str = "You may wait longer by sending an empty command '', send other input, or interrupt it with C-c.";

/// Seconds as people write them.
fn seconds(time: Duration) -> String {
    format!("{}", time.as_secs_f64())
}

pub fn completed(status: i64, key: Option<u8>) -> String {
    match key {
        Some(26) if status == 148 => {
            "[The command was stopped (C-z); it waits as a job: fg or bg.]".into()
        }
        Some(key) => format!(
            "[The command completed with exit code {status}. CTRL+{} was sent.]",
            char::from(key | 0x40)
        ),
        None => format!("[The command completed with exit code {status}.]"),
    }
}

pub fn unread(end: &str, lines: u64) -> String {
    let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    format!("{end}\n[It ended without reading {lines} of its input, which was thrown away.]")
}

pub fn no_change(time: Duration) -> String {
    format!("[The command has no new output after {} seconds. {CHOICES}]", seconds(time))
}

pub fn timed_out(time: Duration) -> String {
    format!(
        "[The command timed out after {} seconds and goes on running. {CHOICES}]",
        seconds(time)
    )
}

pub fn timed_out_and_ended(time: Duration) -> String {
    format!("[The command timed out after {} seconds and was ended.]", seconds(time))
}

pub fn busy(command: &str) -> String {
    format!(
        "[Your command {command:?} is NOT executed. The previous command is still running, and another can't be started before it ends. {CHOICES}]"
    )
}

pub fn shell_ended(status: i64, cwd: Option<&str>) -> String {
    match cwd {
        Some(cwd) => format!(
            "[The shell ended with exit code {status}. A new one was started in {cwd}.]\n[Variables, functions and options of the old shell are lost.]"
        ),
        None => format!("[The shell ended with exit code {status}.]"),
    }
}

pub fn untold(status: i64) -> String {
    format!(
        "[The previous command ended with exit code {status}. Below is the rest of its output.]\n"
    )
}

/// The id of the errors that say that commands can't be run here.
pub const NO_SHELL_ID: &str = "AGENT_ERROR$NO_SHELL";

pub const NO_SHELL: &str = "ERROR: There is no shell in this sandbox's image (looked for bash, sh, ash and dash in PATH and /bin), so commands can't be run. Files can be read and written. To run commands, use an image with a shell.";

pub fn unusable(shell: &Path, why: &str) -> String {
    format!(
        "ERROR: The shell {} can't be used ({why}), so commands can't be run. Files can be read and written.",
        shell.display()
    )
}
