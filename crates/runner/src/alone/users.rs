//! The user that commands run as: found in the image's files, or added to them. Pure.
//!
//! The reference calls `useradd`; images without it are served as well by writing the lines.

use crate::account::find_entry;

/// The shell of a new user, if the image has it.
pub(super) const BASH: &str = "/bin/bash";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is there, with this number and group.
    Keep { uid: u32, gid: u32 },
    /// It is added: new texts of the files, and its home.
    Add(Box<Added>),
}

/// New texts; none where a file stays as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub uid: u32,
    pub passwd: String,
    pub shadow: Option<String>,
    pub group: Option<String>,
    pub sudoers: Option<String>,
    pub home: String,
}

/// The image's files; none that isn't there.
pub(super) struct Image {
    pub passwd: String,
    pub shadow: Option<String>,
    pub group: String,
    pub sudoers: Option<String>,
    pub has_bash: bool,
}

/// What is to be done for a user of this name and number. An existing user keeps its own number.
pub(super) fn plan(image: &Image, name: &str, uid: u32) -> Result<Plan, String> {
    if let Some(entry) = find_entry(&image.passwd, |entry| entry.name == name) {
        return Ok(Plan::Keep { uid: entry.uid, gid: entry.gid });
    }
    if name == "root" || uid == 0 {
        let uid_is_roots = name == "root";
        return if uid_is_roots {
            Ok(Plan::Keep { uid: 0, gid: 0 })
        } else {
            Err(format!("the user {name:?} can't have the number 0, which is root's"))
        };
    }
    if let Some(other) = find_entry(&image.passwd, |entry| entry.uid == uid) {
        let other = other.name;
        return Err(format!(
            "the number {uid} is {other:?}'s in this image: say --username {other}, or another --user-id"
        ));
    }
    let home = format!("/home/{name}");
    let shell = if image.has_bash { BASH } else { "/bin/sh" };
    let passwd = with_line(&image.passwd, &format!("{name}:x:{uid}:0::{home}:{shell}"));
    let shadow = image.shadow.as_ref().map(|shadow| with_line(shadow, &format!("{name}:!:::::::")));
    // Where there is no sudo, a group for it gives nothing.
    let (group, sudoers) = match &image.sudoers {
        None => (None, None),
        Some(sudoers) => (Some(member(&image.group, name)), allowed(sudoers)),
    };
    Ok(Plan::Add(Box::new(Added { uid, passwd, shadow, group, sudoers, home })))
}

/// The text with one more line.
fn with_line(text: &str, line: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}{line}\n")
}

/// `/etc/group` with a new member of `sudo`.
fn member(group: &str, name: &str) -> String {
    let mut found = false;
    let lines: Vec<String> = group
        .lines()
        .map(|line| {
            if found || !line.starts_with("sudo:") {
                return line.to_owned();
            }
            found = true;
            let comma = if line.ends_with(':') { "" } else { "," };
            format!("{line}{comma}{name}")
        })
        .collect();
    let text = format!("{}\n", lines.join("\n"));
    if found { text } else { with_line(group, &format!("sudo:x:27:{name}")) }
}

/// `/etc/sudoers` under which `sudo` asks for no password; none if it is so already.
fn allowed(sudoers: &str) -> Option<String> {
    const LINE: &str = "%sudo ALL=(ALL) NOPASSWD:ALL";
    let is_there = sudoers.lines().any(|line| line.trim() == LINE);
    (!is_there).then(|| with_line(sudoers, LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(sudo: bool) -> Image {
        Image {
            passwd: "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh".into(),
            shadow: Some("root:*::0:::::\n".into()),
            group: "root:x:0:\nsudo:x:27:ann\nusers:x:100:\n".into(),
            sudoers: sudo.then(|| "Defaults x\n".to_owned()),
            has_bash: true,
        }
    }

    #[test]
    fn a_user_that_is_there_keeps_its_number() {
        assert_eq!(plan(&image(false), "node", 7), Ok(Plan::Keep { uid: 1000, gid: 1000 }));
        assert_eq!(plan(&image(false), "root", 1000), Ok(Plan::Keep { uid: 0, gid: 0 }));
        let bare = Image { passwd: String::new(), ..image(false) };
        assert_eq!(plan(&bare, "root", 0), Ok(Plan::Keep { uid: 0, gid: 0 }));
    }

    #[test]
    fn a_new_one_gets_its_lines() {
        let Ok(Plan::Add(added)) = plan(&image(true), "ann", 501) else { panic!("added") };
        assert!(added.passwd.ends_with("/bin/sh\nann:x:501:0::/home/ann:/bin/bash\n"), "{added:?}");
        assert_eq!(added.shadow.unwrap(), "root:*::0:::::\nann:!:::::::\n");
        assert_eq!(added.group.unwrap(), "root:x:0:\nsudo:x:27:ann,ann\nusers:x:100:\n");
        assert_eq!(added.sudoers.unwrap(), "Defaults x\n%sudo ALL=(ALL) NOPASSWD:ALL\n");
        let bare = Image { shadow: None, has_bash: false, ..image(false) };
        let Ok(Plan::Add(added)) = plan(&bare, "ann", 501) else { panic!("added") };
        assert!(added.passwd.ends_with(":/bin/sh\n") && added.shadow.is_none());
        assert!(added.group.is_none() && added.sudoers.is_none());
    }

    #[test]
    fn groups_and_rules_are_not_doubled() {
        assert_eq!(member("sudo:x:27:\n", "ann"), "sudo:x:27:ann\n");
        assert_eq!(member("", "ann"), "sudo:x:27:ann\n");
        assert_eq!(allowed("%sudo ALL=(ALL) NOPASSWD:ALL\n"), None);
    }

    #[test]
    fn a_number_of_somebody_else_is_refused() {
        let wrong = plan(&image(false), "ann", 1000).unwrap_err();
        assert!(wrong.contains("node"), "{wrong}");
        assert!(plan(&image(false), "ann", 0).is_err());
    }
}
