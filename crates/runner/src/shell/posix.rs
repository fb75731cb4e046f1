//! The words typed to a shell that is no bash. Pure.
//!
//! As in `line`, one short line is typed, and the shell parses it whole before it runs the first word:
//!
//! ```text
//!  PS1=…; {begin} 2>/dev/null; . 'file'; { eval "{end}; {wait}; PS1=…"; } 2>/dev/null
//! ```
//!
//! * dash and ash abandon the line not only by C-c but by every error of their own: a syntax error,
//!   `${x:?}`, an unset variable under `set -u`. The prompt's mark then makes the runner ask.
//! * Their prompt takes no escapes, so `printf` makes it.
//! * After `end` they `wait` for a word of the runner, which comes together with the next line; before
//!   it the runner makes the terminal sane. There are three reasons. Input that the command left
//!   behind is read away. The ash of busybox turns to line editing with a history when the terminal
//!   echoes; it never does when ash prompts, so that the line with the nonce of `end` comes into no
//!   history. And ash takes the end of a background job for the end of its input while it prompts
//!   (`fgets` and `EINTR`), but not while it waits; `ignoreeof` is for the moment in between.
//! * ash reads 1023 bytes at once and prompts in between if a line has more.
//!
//! What is weaker than with bash: if a command redirects the shell's own stderr (`exec 2>file`), the
//! prompt goes there, and an error that abandons the line shows only when somebody sends C-c. Input
//! that was typed ahead of such an error may be run as a command. Both concern what a user does to
//! its own shell; that no command can say `end` itself is as with bash. An ash that is
//! linked with glibc may hang for ever if C-c comes while it runs its own words (it jumps out of a
//! signal's handler with locks held); the third C-c ends it.

use super::{line::quote, scan::Nonces};

/// Most bytes of one line, with its newline.
const LONGEST_LINE: usize = 1023;
/// What is typed beside the file's name has fewer bytes than this.
const FRAME: usize = 890;
/// The longest path, quoted, of a folder whose files [`command`] takes.
pub const LONGEST_NAME: usize = LONGEST_LINE - FRAME - LEAF;
/// Room for the file's own name.
const LEAF: usize = 24;

/// Prints a mark to the terminal.
fn say(format: &str, arguments: &str) -> String {
    let print = format!(r"\command printf '\033]7717;{format}\007'{arguments}");
    format!("{{ {print} >/dev/tty || {print}; }}")
}

fn prompt(nonces: &Nonces) -> String {
    format!(r"PS1=$(\command printf '\033]7717;P;{}\007') PS2=", nonces.prompt)
}

/// Says how things stand, then waits.
fn tail(nonce: &str, nonces: &Nonces) -> String {
    let mark = say(&format!("E;{nonce};%s;%s;%s;%s;{nonce}"), r#" "$1" "$$" "$-" "$PWD""#);
    // `_` would be the last word of the last command; PS2 is ours and set anew right after.
    let wait = format!(
        r#"while IFS= \command read -r PS2 && \command [ "$PS2" != "{}" ]; do :; done"#,
        word(nonces)
    );
    let inner = format!("{mark}; {wait}; {}", prompt(nonces));
    // `$?` is put in by the outer shell; everything else by `eval`.
    let escaped = inner.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    let escaped = escaped.replace(r#"\"\$1\""#, "$?");
    format!(r#"{{ \eval "{escaped}"; }} 2>/dev/null"#)
}

/// What the shell waits for. It does nothing if it is read as a command after all.
fn word(nonces: &Nonces) -> String {
    format!(": {}", nonces.prompt.get(..8).unwrap_or_default())
}

/// Lets the shell go on that has said `end` with these nonces. What was typed before may lack its end.
pub fn go_on(nonces: &Nonces) -> String {
    format!("\n{}\n", word(nonces))
}

/// First line typed to a new shell.
pub fn init(nonces: &Nonces) -> String {
    format!(" unset HISTFILE; set -o ignoreeof; {}\n", tail(&nonces.end, nonces))
}

/// Runs the command in `file`. With `traced`, the file says `begin` by itself: see [`file()`].
pub fn command(file: &str, nonces: &Nonces, status: i64, traced: bool) -> String {
    let begin = if traced { String::new() } else { begin(nonces, status) + "; " };
    let end = tail(&nonces.end, nonces);
    format!(" {}; {begin}. {}; {end}\n", prompt(nonces), quote(file))
}

/// The file's text; with `traced` its first line says `begin`.
pub fn file(command: &str, nonces: &Nonces, status: i64, traced: bool) -> String {
    let begin = if traced { begin(nonces, status) + "\n" } else { String::new() };
    format!("{begin}{command}\n")
}

/// Says that the command begins, and lets it find the last exit code.
fn begin(nonces: &Nonces, status: i64) -> String {
    let mark = say(&format!("B;{}", nonces.begin), "");
    let restore = if status == 0 { String::new() } else { format!("(exit {status}); ") };
    // The last word of the last command is `$_`, also in the environment: let it be no mark.
    format!(r"{{ {mark}; \: sh; {restore}}} 2>/dev/null")
}

/// Asks an idle shell how things stand.
pub fn question(nonces: &Nonces) -> String {
    format!(" {}\n", tail(&nonces.answer, nonces))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces() -> Nonces {
        let nonce = |letter: &str| letter.repeat(32);
        Nonces {
            begin: nonce("b"),
            prompt: nonce("c"),
            old_prompt: nonce("d"),
            end: nonce("e"),
            answer: nonce("f"),
        }
    }

    #[test]
    fn a_line_is_read_at_once() {
        let name = "x".repeat(LONGEST_NAME + LEAF);
        for traced in [true, false] {
            let length = command(&name, &nonces(), 255, traced).len();
            assert!(length <= LONGEST_LINE, "{length}");
        }
        assert!(init(&nonces()).len() < FRAME && question(&nonces()).len() < FRAME);
    }

    #[test]
    fn the_nonce_of_the_end_stands_in_no_file() {
        for traced in [true, false] {
            let text = file("echo", &nonces(), 1, traced);
            assert!(!text.contains(&nonces().end) && !text.contains(&nonces().answer));
        }
    }

    #[test]
    fn no_typed_line_holds_a_control_character_but_its_newline() {
        for line in [init(&nonces()), question(&nonces()), command("/f", &nonces(), 1, false)] {
            assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control()), "{line}");
            assert!(line.ends_with('\n'));
        }
    }
}
