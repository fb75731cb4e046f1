//! What is to be done with a `run`, by what the shell is doing. Pure.

/// The longest command, in bytes.
pub const LONGEST_COMMAND: usize = 1024 * 1024;

/// The reference's words (§8.4).
pub const NOTHING_TO_RETRIEVE: &str = "ERROR: No previous running command to retrieve logs from.";
/// The reference's words (§8.4).
pub const NOTHING_TO_INTERACT: &str = "ERROR: No previous running command to interact with.";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run it.
    Start,
    /// Wait for more output of what runs.
    Wait,
    /// Type this text and Enter to what runs, then wait.
    Type(String),
    /// Send this control character, then wait.
    Key(u8),
    /// What ended with nobody waiting is told now.
    Tell,
    /// Another command runs: not carried out.
    Busy,
    /// An error.
    Refuse(String),
}

/// What the shell is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Nothing,
    /// Nothing, but the last command ended with nobody waiting.
    Untold,
    Running,
}

/// Decides.
pub fn decide(doing: Doing, command: &str, is_input: bool) -> Decision {
    if command.contains('\0') {
        return Decision::Refuse("ERROR: A command can't contain a NUL character.".into());
    }
    if command.len() > LONGEST_COMMAND {
        let length = command.len();
        return Decision::Refuse(format!(
            "ERROR: The command has {length} bytes; at most {LONGEST_COMMAND} are possible. Write it to a file and run that."
        ));
    }
    let empty = command.trim().is_empty();
    let key = control_key(command.trim());
    match doing {
        Doing::Running => match key {
            Some(key) => Decision::Key(key),
            None if is_input => Decision::Type(command.to_owned()),
            None if empty => Decision::Wait,
            None => Decision::Busy,
        },
        Doing::Untold if empty => Decision::Tell,
        Doing::Nothing | Doing::Untold => {
            if empty {
                Decision::Refuse(NOTHING_TO_RETRIEVE.into())
            } else if is_input || key.is_some() {
                Decision::Refuse(NOTHING_TO_INTERACT.into())
            } else {
                Decision::Start
            }
        }
    }
}

/// The control character that `C-x` names.
fn control_key(text: &str) -> Option<u8> {
    match text.strip_prefix("C-")?.as_bytes() {
        [letter @ (b'a'..=b'z' | b'A'..=b'Z' | b'@' | b'['..=b'_')] => Some(letter & 0x1f),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_shell_runs_commands_and_refuses_input() {
        assert_eq!(decide(Doing::Nothing, "ls", false), Decision::Start);
        assert_eq!(decide(Doing::Nothing, "", false), Decision::Refuse(NOTHING_TO_RETRIEVE.into()));
        let refused = Decision::Refuse(NOTHING_TO_INTERACT.into());
        assert_eq!(decide(Doing::Nothing, "y", true), refused);
        assert_eq!(decide(Doing::Nothing, "C-c", false), refused);
        assert_eq!(decide(Doing::Untold, "  ", false), Decision::Tell);
        assert_eq!(decide(Doing::Untold, "ls", false), Decision::Start);
    }

    #[test]
    fn a_busy_shell_takes_input_and_no_command() {
        assert_eq!(decide(Doing::Running, "ls", false), Decision::Busy);
        assert_eq!(decide(Doing::Running, "", false), Decision::Wait);
        assert_eq!(decide(Doing::Running, " y ", true), Decision::Type(" y ".into()));
        assert_eq!(decide(Doing::Running, "", true), Decision::Type(String::new()));
        assert_eq!(decide(Doing::Running, "C-c", true), Decision::Key(3));
        assert_eq!(decide(Doing::Running, "C-C", false), Decision::Key(3));
        assert_eq!(decide(Doing::Running, "C-\\", true), Decision::Key(0x1c));
        assert_eq!(decide(Doing::Running, "C-xy", true), Decision::Type("C-xy".into()));
    }

    #[test]
    fn what_no_shell_can_take_is_refused() {
        for doing in [Doing::Nothing, Doing::Running] {
            assert!(matches!(decide(doing, "a\0b", false), Decision::Refuse(_)));
            let long = "x".repeat(LONGEST_COMMAND + 1);
            assert!(matches!(decide(doing, &long, true), Decision::Refuse(_)));
        }
    }
}
