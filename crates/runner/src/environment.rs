//! What shells have in their environment beside what the runner was started with. Pure.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use crate::account::Entry;

/// Where programs are in images that don't say so; Docker's own words.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables to set, and (without a value) to take away.
pub type Changes = Vec<(&'static str, Option<OsString>)>;

/// What is known of the place.
pub struct Facts<'a> {
    /// The runner's own variables.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    pub is_dir: &'a dyn Fn(&Path) -> bool,
    pub is_program: &'a dyn Fn(&Path) -> bool,
    /// The runner became another user: what is set belongs to the old one.
    pub became: bool,
    pub entry: Option<&'a Entry>,
    pub workspace: &'a Path,
    /// The shell that commands run in.
    pub shell: Option<&'a Path>,
    /// A folder for temporary files; none where `/tmp` is good.
    pub temporary: Option<&'a Path>,
}

/// The changes.
pub fn changes(facts: &Facts<'_>) -> Changes {
    let lacks = |name: &str| {
        // Docker says `HOME=/` to a user that it doesn't know.
        let says_nothing = |value: OsString| value.is_empty() || (name == "HOME" && value == "/");
        (facts.variable)(name).is_none_or(says_nothing) || facts.became
    };
    let mut changes = Changes::new();
    if lacks("HOME") {
        let home = facts.entry.map(|entry| Path::new(&entry.home));
        // A home that isn't there (`/nonexistent`) is as good as none.
        let home = home.filter(|home| home.is_absolute() && (facts.is_dir)(home));
        changes.push(("HOME", Some(home.unwrap_or(facts.workspace).into())));
    }
    for name in ["USER", "LOGNAME"] {
        if lacks(name) {
            changes.push((name, facts.entry.map(|entry| OsString::from(&entry.name))));
        }
    }
    if lacks("SHELL") {
        let shell = facts.entry.map(|entry| Path::new(&entry.shell));
        // Programs start $SHELL: it must be one.
        let is_shell = |shell: &&Path| {
            let refuses = shell.ends_with("nologin") || shell.ends_with("false");
            !refuses && (facts.is_program)(shell)
        };
        changes.push(("SHELL", shell.filter(is_shell).or(facts.shell).map(Into::into)));
    }
    if (facts.variable)("PATH").is_none_or(|path| path.is_empty()) {
        changes.push(("PATH", Some(PATH.into())));
    }
    let no_tmp = (facts.variable)("TMPDIR").is_none_or(|value| value.is_empty());
    if let Some(temporary) = facts.temporary.filter(|_| no_tmp) {
        changes.push(("TMPDIR", Some(temporary.into())));
    }
    changes
}

/// Whether a program can have these variables; if not, what is wrong.
pub fn check(env: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("{name:?} can't be a variable's name"));
        }
        if value.contains('\0') {
            return Err(format!("the value of {name:?} holds a NUL character"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(home: &str, shell: &str) -> Entry {
        let (home, shell) = (home.to_owned(), shell.to_owned());
        Entry { name: "ann".into(), uid: 1, gid: 1, home, shell }
    }

    fn check_changes(own: &[(&str, &str)], became: bool, entry: Option<&Entry>) -> String {
        let variable = |wanted: &str| {
            own.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).into())
        };
        let facts = Facts {
            variable: &variable,
            is_dir: &|dir| dir != "/nonexistent",
            is_program: &|program| program != "/bin/none",
            became,
            entry,
            workspace: Path::new("/w"),
            shell: Some(Path::new("/bin/sh")),
            temporary: None,
        };
        let shown = changes(&facts).into_iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={}", value.display()),
            None => format!("-{name}"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    const OWN: &[(&str, &str)] = &[
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("SHELL", "/bin/x"),
        ("PATH", "/bin"),
    ];

    #[test]
    fn another_user_has_its_own_and_nothing_of_the_old_one() {
        let ann = entry("/home/ann", "/bin/zsh");
        let shown = check_changes(OWN, true, Some(&ann));
        assert_eq!(shown, "HOME=/home/ann USER=ann LOGNAME=ann SHELL=/bin/zsh");
        assert_eq!(check_changes(OWN, true, None), "HOME=/w -USER -LOGNAME SHELL=/bin/sh");
    }

    #[test]
    fn the_same_user_gets_what_is_missing() {
        assert_eq!(check_changes(OWN, false, None), "");
        let ann = entry("/home/ann", "/bin/zsh");
        let shown = check_changes(&[("HOME", "/h"), ("PATH", "")], false, Some(&ann));
        assert_eq!(shown, format!("USER=ann LOGNAME=ann SHELL=/bin/zsh PATH={PATH}"));
        let own = [("HOME", "/"), ("SHELL", "/bin/x"), ("PATH", "/bin")];
        assert_eq!(check_changes(&own, false, None), "HOME=/w -USER -LOGNAME");
    }

    #[test]
    fn a_home_and_a_shell_that_are_not_there_are_not_told() {
        for shell in ["/usr/sbin/nologin", "/bin/false", "/bin/none"] {
            let nobody = entry("/nonexistent", shell);
            let shown = check_changes(OWN, true, Some(&nobody));
            assert_eq!(shown, "HOME=/w USER=ann LOGNAME=ann SHELL=/bin/sh");
        }
    }

    #[test]
    fn what_no_program_can_have_is_refused() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(check(&one("A.b", "=\n")), Ok(()));
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0")] {
            assert!(check(&one(name, value)).is_err(), "{name:?} {value:?}");
        }
    }
}
