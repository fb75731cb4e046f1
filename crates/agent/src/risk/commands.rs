//! The rules for commands of the shell. Pure.

use std::collections::BTreeSet;

use super::{
    Assessed, Level,
    paths::{Place, is_secret},
    shell::{Parsed, Simple, Word, parse},
};

/// Programs that only show something.
const HARMLESS: [&str; 53] = [
    "ls", "cat", "head", "tail", "grep", "egrep", "fgrep", "rg", "ag", "fd", "wc", "echo",
    "printf", "pwd", "cd", "pushd", "popd", "which", "type", "file", "stat", "du", "df", "date",
    "true", "false", ":", "test", "[", "[[", "sort", "uniq", "cut", "tr", "diff", "cmp", "tree",
    "less", "more", "basename", "dirname", "realpath", "readlink", "sleep", "seq", "jq", "nl",
    "column", "whoami", "id", "uname", "mkdir", "touch",
];

/// Programs that run a project's own code or change its files: their harm stays in the sandbox.
const LOCAL: [&str; 38] = [
    "cargo", "rustc", "make", "cmake", "ninja", "go", "npm", "npx", "yarn", "pnpm", "node", "deno",
    "bun", "python", "python3", "pip", "pip3", "uv", "poetry", "pytest", "tox", "ruby", "bundle",
    "rake", "java", "javac", "mvn", "gradle", "gcc", "g++", "clang", "tsc", "jest", "ruff",
    "black", "mypy", "export", "tar",
];

/// Words of the shell before a command.
const KEYWORDS: [&str; 13] =
    ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "fi", "done", "esac"];

/// Programs whose arguments are another command; each with its options that take a value.
const WRAPPERS: [(&str, &[&str]); 13] = [
    ("sudo", &["-u", "-g", "-C"]),
    ("doas", &["-u", "-C"]),
    ("env", &["-u", "-C"]),
    ("nohup", &[]),
    ("time", &[]),
    ("nice", &["-n"]),
    ("ionice", &["-c", "-n"]),
    ("timeout", &["-s", "-k"]),
    ("stdbuf", &["-i", "-o", "-e"]),
    ("command", &[]),
    ("exec", &["-a"]),
    ("xargs", &["-n", "-I", "-P", "-d", "-L"]),
    ("builtin", &[]),
];

const SHELLS: [&str; 6] = ["sh", "bash", "zsh", "dash", "ksh", "fish"];
const INTERPRETERS: [&str; 7] = ["python", "python3", "perl", "ruby", "node", "php", "deno"];
const FETCHERS: [&str; 4] = ["curl", "wget", "http", "aria2c"];
const DEEPEST: usize = 4;

/// Programs that are a high risk whatever they are told, by rule.
const ALWAYS: [(&str, &[&str]); 7] = [
    ("privileges", &["su", "pkexec", "setcap", "chroot", "nsenter", "unshare"]),
    ("disk", &["fdisk", "parted", "wipefs", "shred", "mount", "umount", "losetup", "mkswap"]),
    ("power", &["shutdown", "reboot", "halt", "poweroff", "init", "telinit"]),
    ("persistence", &["crontab", "at", "systemctl", "launchctl", "update-rc.d"]),
    (
        "send_out",
        &[
            "scp", "sftp", "ftp", "nc", "ncat", "netcat", "socat", "telnet", "ssh", "mail",
            "sendmail",
        ],
    ),
    (
        "infrastructure",
        &["kubectl", "terraform", "helm", "ansible", "aws", "gcloud", "az", "heroku", "fly"],
    ),
    ("network", &["iptables", "nft", "ufw", "route", "ifconfig"]),
];

/// Commands that put something before the public: program, and words that follow.
const PUBLISH: [(&str, &str); 11] = [
    ("npm", "publish"),
    ("yarn", "publish"),
    ("pnpm", "publish"),
    ("cargo", "publish"),
    ("twine", "upload"),
    ("gem", "push"),
    ("docker", "push"),
    ("poetry", "publish"),
    ("uv", "publish"),
    ("mvn", "deploy"),
    ("gh", "release"),
];

/// Assesses a line; `depth` scripts stand around it.
pub(super) fn assess(line: &str, place: &Place, depth: usize) -> Assessed {
    let Parsed { commands, sound } = parse(line);
    let mut folder = Some(place.workspace().to_owned());
    let mut whole = Assessed { level: Some(Level::Low), ..Assessed::default() };
    let mut fetched = false;
    for (at, simple) in commands.iter().enumerate() {
        let inner = commands[at.saturating_sub(simple.within)..at].iter();
        let is_download =
            |other: &Simple| FETCHERS.contains(&program(&strip(&other.words)).as_str());
        fetched = (simple.piped && fetched) || inner.clone().any(is_download);
        let one = Command {
            simple,
            words: strip(&simple.words),
            fetched,
            place,
            folder: folder.as_deref(),
            depth,
        };
        let found = one.assess();
        whole.level = match (whole.level, found.level) {
            (Some(Level::High), _) | (_, Some(Level::High)) => Some(Level::High),
            (Some(a), Some(b)) => Some(a.max(b)),
            _ => None,
        };
        if found.kinds.is_empty() {
            whole.kinds.insert(UNLIKE.to_owned());
        }
        whole.rules.extend(found.rules);
        whole.kinds.extend(found.kinds);
        fetched |= is_download(simple);
        if one.name() == "cd" {
            folder = one
                .words
                .get(1)
                .filter(|word| !word.uncertain)
                .and_then(|word| Place::resolved(&word.text, folder.as_deref()));
        }
    }
    if line.split_whitespace().collect::<String>().contains(":(){:|:") {
        whole.rules.insert("fork_bomb");
        whole.kinds.insert(UNLIKE.to_owned());
        whole.level = Some(Level::High);
    }
    if !sound {
        whole.kinds.insert(UNLIKE.to_owned());
        if whole.level != Some(Level::High) {
            whole.level = None;
        }
    }
    if whole.kinds.remove(UNLIKE) {
        whole.kinds.clear();
    }
    whole
}

/// Stands among the kinds of what is like nothing else.
const UNLIKE: &str = "?";

/// Words without what the shell has before a command, without assignments and without wrappers.
fn strip(words: &[Word]) -> Vec<Word> {
    let mut words = words;
    loop {
        let Some(first) = words.first() else { return Vec::new() };
        let text = first.text.as_str();
        if KEYWORDS.contains(&text) || is_assignment(text) {
            words = &words[1..];
        } else if let Some((name, valued)) = WRAPPERS.iter().find(|(name, _)| base(text) == *name) {
            words = &words[1..];
            while let Some(option) = words.first().filter(|word| word.text.starts_with('-')) {
                let takes = valued.contains(&option.text.as_str());
                words = words.get(1 + usize::from(takes)..).unwrap_or_default();
            }
            if *name == "timeout" {
                words = words.get(1..).unwrap_or_default();
            }
        } else {
            return words.to_vec();
        }
    }
}

fn is_assignment(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
    })
}

fn base(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// Its name; empty if that is uncertain.
fn program(words: &[Word]) -> String {
    match words.first() {
        Some(word) if !word.uncertain => base(&word.text).to_owned(),
        _ => String::new(),
    }
}

struct Command<'a> {
    simple: &'a Simple,
    words: Vec<Word>,
    /// Something that was fetched from a network comes in.
    fetched: bool,
    place: &'a Place,
    /// Where it runs; none if that is not known.
    folder: Option<&'a str>,
    depth: usize,
}

impl Command<'_> {
    fn name(&self) -> String {
        program(&self.words)
    }

    fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    /// What is no option.
    fn operands(&self) -> impl Iterator<Item = &Word> {
        self.arguments().iter().filter(|word| !word.text.starts_with('-'))
    }

    fn has(&self, wanted: &[&str]) -> bool {
        self.arguments().iter().any(|word| wanted.contains(&word.text.as_str()))
    }

    /// A letter among the short options, or the long one.
    fn option(&self, letters: &str, long: &str) -> bool {
        self.arguments().iter().any(|word| {
            let short = word.text.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
            short.is_some_and(|rest| rest.chars().any(|c| letters.contains(c))) || word.text == long
        })
    }

    fn outside(&self, word: &Word) -> bool {
        word.uncertain || self.place.is_outside(&word.text, self.folder)
    }

    fn assess(&self) -> Assessed {
        let mut rules = self.rules();
        let name = self.name();
        let script = self.script();
        if let Some(script) = &script
            && self.depth < DEEPEST
        {
            let mut inner = assess(script, self.place, self.depth + 1);
            if !rules.is_empty() {
                inner.level = Some(Level::High);
                inner.kinds.extend(rules.iter().map(|rule| format!("run:{rule}")));
                inner.rules.append(&mut rules);
            }
            return inner;
        }
        let level = if rules.is_empty() { self.level(&name) } else { Some(Level::High) };
        let kinds: BTreeSet<String> = if name.is_empty() && !self.words.is_empty() {
            BTreeSet::new()
        } else if !rules.is_empty() {
            rules.iter().map(|rule| format!("run:{rule}")).collect()
        } else {
            BTreeSet::from([format!("run:{name}")])
        };
        Assessed { level, rules, kinds }
    }

    /// A script that stands in its arguments: `sh -c '…'`, `eval …`.
    fn script(&self) -> Option<String> {
        let name = self.name();
        if name == "eval" {
            let words: Vec<_> = self.arguments().iter().map(|word| word.text.as_str()).collect();
            return Some(words.join(" "));
        }
        if !SHELLS.contains(&name.as_str()) {
            return None;
        }
        let at = self.arguments().iter().position(|word| {
            word.text.starts_with('-') && !word.text.starts_with("--") && word.text.ends_with('c')
        })?;
        self.arguments().get(at + 1).map(|word| word.text.clone())
    }

    /// What it is when no rule is met.
    fn level(&self, name: &str) -> Option<Level> {
        match name {
            "" => self.words.is_empty().then_some(Level::Low),
            "git" => self.git(),
            "rm" | "cp" | "mv" | "ln" | "chmod" | "chown" | "tee" | "install" | "rmdir"
            | "curl" | "wget" | "apt" | "apt-get" | "apk" | "kill" | "pkill" | "killall" => {
                Some(Level::Medium)
            }
            "find" => {
                let acts = self.has(&["-delete", "-exec", "-execdir", "-ok"]);
                Some(if acts { Level::Medium } else { Level::Low })
            }
            "sed" => Some(if self.option("i", "--in-place") { Level::Medium } else { Level::Low }),
            "for" | "case" | "in" | "function" => Some(Level::Low),
            name if HARMLESS.contains(&name) => Some(Level::Low),
            name if LOCAL.contains(&name) => Some(Level::Medium),
            _ => None,
        }
    }

    fn git(&self) -> Option<Level> {
        const SHOWS: [&str; 10] = [
            "status",
            "log",
            "diff",
            "show",
            "branch",
            "blame",
            "ls-files",
            "rev-parse",
            "remote",
            "describe",
        ];
        let what = self.operands().next()?;
        Some(if SHOWS.contains(&what.text.as_str()) { Level::Low } else { Level::Medium })
    }

    /// The rules of high risk that it meets.
    fn rules(&self) -> BTreeSet<&'static str> {
        let name = self.name();
        let always = ALWAYS.iter().filter(|(_, names)| names.contains(&name.as_str()));
        let mut met: BTreeSet<&'static str> = always.map(|(rule, _)| *rule).collect();
        let before = self.simple.words.len() - self.words.len();
        let privileged = self.simple.words[..before]
            .iter()
            .any(|word| matches!(base(&word.text), "sudo" | "doas"));
        let checks: [(&'static str, bool); 13] = [
            ("privileges", privileged),
            ("delete_outside", self.deletes_outside(&name)),
            ("disk", self.writes_disk(&name)),
            ("download_and_run", self.runs_what_was_fetched(&name)),
            ("push", name == "git" && self.has(&["push"])),
            ("force_push", self.forces_push(&name)),
            ("rewrite_history", name == "git" && self.has(&["filter-branch", "filter-repo"])),
            ("permissions", self.opens_permissions(&name)),
            ("publish", PUBLISH.iter().any(|(who, what)| name == *who && self.has(&[what]))),
            ("write_outside", self.writes_outside(&name)),
            ("credentials", self.words.iter().any(|word| is_secret(&word.text))),
            ("send_out", self.sends(&name)),
            ("drop_data", self.drops(&name)),
        ];
        met.extend(checks.into_iter().filter(|(_, is)| *is).map(|(rule, _)| rule));
        if met.contains("force_push") {
            met.remove("push");
        }
        met
    }

    fn deletes_outside(&self, name: &str) -> bool {
        match name {
            "rm" | "rmdir" | "unlink" => self.operands().any(|word| self.outside(word)),
            "find" if self.has(&["-delete", "-exec", "-execdir"]) => {
                let roots = self.arguments().iter().take_while(|word| !word.text.starts_with('-'));
                roots.into_iter().any(|word| self.outside(word))
            }
            _ => false,
        }
    }

    fn writes_disk(&self, name: &str) -> bool {
        let device = |text: &str| {
            text.starts_with("/dev/")
                && !matches!(text, "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty")
        };
        name.starts_with("mkfs")
            || (name == "dd"
                && self.arguments().iter().any(|word| {
                    word.text.strip_prefix("of=").is_some_and(|to| device(to) || word.uncertain)
                }))
            || self.simple.writes.iter().any(|word| device(&word.text))
    }

    fn runs_what_was_fetched(&self, name: &str) -> bool {
        let runs = SHELLS.contains(&name) || name == "eval" || name == "source" || name == ".";
        // An interpreter with a script of its own only reads what comes in.
        let reads = INTERPRETERS.contains(&name)
            && self.operands().next().is_none()
            && !self.has(&["-c", "-e", "-m"]);
        self.fetched && (runs || reads)
    }

    fn forces_push(&self, name: &str) -> bool {
        name == "git"
            && self.has(&["push"])
            && (self.option("f", "--force")
                || self.arguments().iter().any(|word| {
                    word.text.starts_with("--force-with-lease")
                        || word.text == "--mirror"
                        || word.text == "--delete"
                        || word.text.starts_with('+')
                        || word.text.starts_with(':')
                }))
    }

    fn opens_permissions(&self, name: &str) -> bool {
        let recursive = self.option("R", "--recursive");
        match name {
            "chmod" => recursive || self.has(&["777", "a+rwx", "+s", "u+s", "4755"]),
            "chown" | "chgrp" => {
                recursive || self.operands().skip(1).any(|word| self.outside(word))
            }
            _ => false,
        }
    }

    fn writes_outside(&self, name: &str) -> bool {
        let target = match name {
            "cp" | "mv" | "ln" | "install" => {
                self.operands().last().is_some_and(|word| self.outside(word))
            }
            "tee" | "truncate" => self.operands().any(|word| self.outside(word)),
            "sed" if self.option("i", "--in-place") => {
                self.operands().skip(1).any(|word| self.outside(word))
            }
            "dd" => self.arguments().iter().any(|word| {
                word.text
                    .strip_prefix("of=")
                    .is_some_and(|to| word.uncertain || self.place.is_outside(to, self.folder))
            }),
            _ => false,
        };
        target || self.simple.writes.iter().any(|word| self.outside(word))
    }

    fn sends(&self, name: &str) -> bool {
        let local = |word: &Word| {
            let text = word.text.trim_start_matches("http://").trim_start_matches("https://");
            ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"].iter().any(|host| text.starts_with(host))
        };
        let here = self.operands().any(local);
        let begins = |prefixes: &[&str]| {
            self.arguments()
                .iter()
                .any(|word| prefixes.iter().any(|prefix| word.text.starts_with(prefix)))
        };
        match name {
            "curl" if !here => {
                begins(&["-d", "--data", "-F", "--form", "-T", "--upload-file", "--json"])
                    || self.has(&["POST", "PUT", "PATCH", "DELETE"])
                    || begins(&["-XPOST", "-XPUT", "-XPATCH", "-XDELETE"])
            }
            "wget" if !here => begins(&["--post-data", "--post-file", "--body"]),
            "rsync" => self.operands().any(|word| word.text.contains(':')),
            _ => false,
        }
    }

    fn drops(&self, name: &str) -> bool {
        const CLIENTS: [&str; 5] = ["psql", "mysql", "mariadb", "sqlite3", "mongosh"];
        CLIENTS.contains(&name)
            && self.words.iter().any(|word| {
                let text = word.text.to_lowercase();
                ["drop table", "drop database", "truncate", "delete from", "dropdatabase"]
                    .iter()
                    .any(|danger| text.contains(danger))
            })
    }
}
