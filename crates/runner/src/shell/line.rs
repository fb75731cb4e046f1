//! The words typed to the shell. Pure.
//!
//! A command's text goes by a file; what is typed is one short line:
//!
//! ```text
//!  PS1=…; {begin} 2>/dev/null; . 'file'; { eval "{drain}; {end}; PS1=…"; } 2>/dev/null
//! ```
//!
//! The shell parses the whole line before it runs the first word, so the nonce of `end` lives in
//! the parser's memory and in no file, variable, function or environment. The line goes through the
//! terminal, from which only the foreground (the idle shell) can read. `2>/dev/null` hides it from
//! `set -x`; with `set -v` it is echoed before `begin`, where the output is dropped.
//!
//! * `drain` reads away input that the command left behind, which would be run as commands, and says so for each line.
//! * `end` prints `$?`, `$$`, `$-` and `$PWD` to the terminal even if stdout was redirected.
//! * After C-c the shell throws the rest of the line away and prompts; the prompt's own mark makes
//!   the runner type [`question`], which prints the same as `end`.

use super::scan::Nonces;

/// Most bytes of one line: the kernel's line buffer for terminals, less its newline.
pub const LONGEST_LINE: usize = 4095;
/// What is typed beside the file's name has fewer bytes than this.
const FRAME: usize = 1500;
/// The longest name of a file that [`command`] takes.
pub const LONGEST_NAME: usize = (LONGEST_LINE - FRAME) / 4;

/// Quotes for the shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Prints a mark to the terminal; in single quotes for printf, which makes the control characters.
fn say(format: &str, arguments: &str) -> String {
    let print = format!(r"\builtin printf '\033]7717;{format}\007'{arguments}");
    format!("{{ {print} >/dev/tty || {print}; }}")
}

fn prompt(nonces: &Nonces) -> String {
    format!(r"PS1='\033]7717;P;{}\007' PS2=''", nonces.prompt)
}

/// Reads left-over input away, then says how things stand.
fn tail(nonce: &str, nonces: &Nonces) -> String {
    let mark = say(&format!("E;{nonce};%s;%s;%s;%s;{nonce}"), r#" "$1" "$$" "$-" "$PWD""#);
    let unread = format!(r"\builtin printf '\033]7717;U;{nonce}\007' >/dev/tty");
    let drain =
        format!(r"while \builtin read -t 0 && \builtin read -r -t 0.1 _; do {unread}; done");
    let inner = format!("{drain}; {mark}; {}", prompt(nonces));
    // `$?` is put in by the outer shell; everything else by `eval`, after the drain.
    let escaped = inner.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    let escaped = escaped.replace(r#"\"\$1\""#, "$?");
    format!(r#"{{ \builtin eval "{escaped}"; }} 2>/dev/null"#)
}

/// First line typed to a new shell. Nothing of ours goes into the environment of programs.
pub fn init(nonces: &Nonces) -> String {
    let quiet = "export -n PS1 PS2 PROMPT_COMMAND; unset HISTFILE; set +o history +o histexpand";
    format!(" {quiet}; {}\n", tail(&nonces.end, nonces))
}

/// Runs the command in `file`. With `traced`, the file says `begin` by itself: see [`file()`].
pub fn command(file: &str, nonces: &Nonces, status: i64, traced: bool) -> String {
    let begin = if traced { String::new() } else { begin(nonces, status) + "; " };
    let end = tail(&nonces.end, nonces);
    format!(" {}; {begin}. {}; {end}\n", prompt(nonces), quote(file))
}

/// The file's text. Under `set -x` or `set -v` (`traced`) `begin` is said in it, so that the trace
/// of our own line comes before; the line numbers in bash's errors are then one too high.
pub fn file(command: &str, nonces: &Nonces, status: i64, traced: bool) -> String {
    let begin = if traced { begin(nonces, status) + "\n" } else { String::new() };
    format!("{begin}{command}\n")
}

/// Says that the command begins, and lets it find the last exit code.
fn begin(nonces: &Nonces, status: i64) -> String {
    let mark = say(&format!("B;{}", nonces.begin), "");
    if status == 0 {
        return format!("{{ {mark}; }} 2>/dev/null");
    }
    // A function that forgets itself. `(exit 1)` would be a child, and an interrupt that met it would end that alone.
    let body = format!(r"\builtin unset -f _staithe_; {mark}; \builtin return {status}");
    format!("{{ _staithe_() {{ {body}; }}; _staithe_; }} 2>/dev/null")
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
    fn a_line_always_fits_the_terminal() {
        for name in ["x".repeat(LONGEST_NAME), "'".repeat(LONGEST_NAME)] {
            for traced in [true, false] {
                assert!(command(&name, &nonces(), 255, traced).len() <= LONGEST_LINE);
            }
        }
        assert!(init(&nonces()).len() < FRAME);
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

    #[test]
    fn quotes_are_quoted() {
        assert_eq!(quote("a'b"), r"'a'\''b'");
    }
}
