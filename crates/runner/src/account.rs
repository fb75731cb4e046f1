//! Users and groups, as the image's `/etc/passwd` and `/etc/group` know them. Pure.
//!
//! A SPEC is read as Docker reads the `USER` of an image: a name goes before a number, an unknown
//! number is good (its group is then 0), and other groups count only where SPEC names none.

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    pub shell: String,
}

/// Who to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    pub entry: Option<Entry>,
}

/// The line that some test is true for; a broken line is none.
pub fn find_entry(passwd: &str, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
    passwd.lines().filter_map(entry).find(wanted)
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.trim().split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let mut fields = fields.skip(1); // the password
    let (uid, gid) = (number(fields.next()?)?, number(fields.next()?)?);
    let mut fields = fields.skip(1).map(str::to_owned); // who that is
    let (home, shell) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    Some(Entry { name: name.to_owned(), uid, gid, home, shell })
}

/// The name, number and members of a line of `/etc/group`.
fn group(line: &str) -> Option<(&str, u32, impl Iterator<Item = &str>)> {
    let mut fields = line.trim().split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let gid = number(fields.nth(1)?)?;
    Some((name, gid, fields.next().unwrap_or_default().split(',')))
}

/// A number of a user or group. The kernel takes the highest one as "leave it".
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

/// Who SPEC is. The error says what is unknown.
pub fn resolve(spec: &str, passwd: &str, groups: &str) -> Result<Account, String> {
    let (user, wanted_group) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (spec, None),
    };
    let entry = find_entry(passwd, |entry| entry.name == user).or_else(|| {
        let uid = number(user)?;
        find_entry(passwd, |entry| entry.uid == uid)
    });
    let uid = match &entry {
        Some(entry) => entry.uid,
        None => number(user).ok_or(format!("there is no user {user:?} in /etc/passwd"))?,
    };
    let all = || groups.lines().filter_map(group);
    if let Some(wanted) = wanted_group {
        let named = all().find(|(name, ..)| *name == wanted).map(|(_, gid, _)| gid);
        let gid = named.or_else(|| number(wanted));
        let gid = gid.ok_or(format!("there is no group {wanted:?} in /etc/group"))?;
        return Ok(Account { uid, gid, groups: Vec::new(), entry });
    }
    let gid = entry.as_ref().map_or(0, |entry| entry.gid);
    let mut further = Vec::new();
    if let Some(entry) = &entry {
        for (_, number, mut members) in all() {
            if number != gid && !further.contains(&number) && members.any(|m| m == entry.name) {
                further.push(number);
            }
        }
    }
    Ok(Account { uid, gid, groups: further, entry })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &str = "# accounts\n\nroot:x:0:0:root:/root:/bin/ash\nbroken:x:\nnotroot:x:-1:0::/:\n\
        ann:x:1000:100:Ann,,,:/home/ann:/bin/zsh\nbare:x:7:8\n12:x:34:56::/twelve:\n";
    const GROUPS: &str = "root:x:0:root\nusers:x:100:ann\nwheel:x:10:bob,ann\naudio:x:29:ann\ntwice:x:29:ann\nbad:x:\n";

    fn who(spec: &str) -> (u32, u32, Vec<u32>) {
        let account = resolve(spec, PASSWD, GROUPS).unwrap();
        (account.uid, account.gid, account.groups)
    }

    #[test]
    fn a_name_has_its_number_group_and_groups() {
        assert_eq!(who("ann"), (1000, 100, vec![10, 29]));
        assert_eq!(who("1000"), who("ann"));
        let entry = resolve("ann", PASSWD, GROUPS).unwrap().entry.unwrap();
        assert_eq!((entry.home.as_str(), entry.shell.as_str()), ("/home/ann", "/bin/zsh"));
        assert_eq!(who("bare"), (7, 8, vec![]));
    }

    #[test]
    fn a_named_group_is_the_only_one() {
        assert_eq!(who("ann:wheel"), (1000, 10, vec![]));
        assert_eq!(who("1000:4242"), (1000, 4242, vec![]));
        assert_eq!(who("31000:users"), (31000, 100, vec![]));
    }

    #[test]
    fn a_number_needs_no_entry_and_a_name_goes_before_it() {
        assert_eq!(who("31000"), (31000, 0, vec![]));
        assert_eq!(who("12"), (34, 56, vec![]));
        assert_eq!(resolve("5:6", "", "").unwrap().entry, None);
    }

    #[test]
    fn what_is_unknown_is_named() {
        for spec in ["bob", "", ":5", "-1", "+5", "4294967295", "99999999999", "broken", "notroot"]
        {
            assert!(resolve(spec, PASSWD, GROUPS).unwrap_err().contains("user"), "{spec}");
        }
        for spec in ["ann:", "ann:nobodies", "5:-1", "5:6:7"] {
            assert!(resolve(spec, PASSWD, GROUPS).unwrap_err().contains("group"), "{spec}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(spec in ".*", passwd in "([a-z0-9:#\n]|.)*", groups in "([a-z0-9:,\n]|.)*") {
            if let Ok(account) = resolve(&spec, &passwd, &groups) {
                prop_assert!(account.uid != u32::MAX && account.gid != u32::MAX);
            }
        }
    }
}
