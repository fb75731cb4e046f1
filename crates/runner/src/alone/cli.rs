//! The reference's command line (§8.1), with what is ours. Pure.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

/// Plugins that there are.
const PLUGINS: [&str; 4] = ["agent_skills", "browser", "jupyter", "vscode"];
/// The one that the reference has a switch for.
const BROWSER: &str = "browser";

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    pub port: u16,
    pub host: IpAddr,
    pub working_dir: PathBuf,
    pub state_dir: Option<PathBuf>,
    pub plugins: Vec<String>,
    pub username: String,
    pub user_id: u32,
    pub eval_env: Option<String>,
    pub browser: bool,
    /// Paths of requests stay in the working directory.
    pub confine: bool,
}

impl Alone {
    /// The plugins to begin with.
    pub fn wanted(&self) -> Vec<&str> {
        let mut wanted: Vec<&str> = self.plugins.iter().map(String::as_str).collect();
        if !self.browser {
            wanted.retain(|name| *name != BROWSER);
        } else if !wanted.contains(&BROWSER) {
            wanted.push(BROWSER);
        }
        wanted
    }
}

/// The command line is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("unknown argument {0:?}")]
    Unknown(OsString),
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{0} {1:?} is no {2}")]
    Value(&'static str, String, &'static str),
    #[error("the port is missing: staithe-runner PORT --working-dir DIR")]
    NoPort,
    #[error("--working-dir is missing")]
    NoDir,
    #[error("there is no plugin {0:?}: there are agent_skills, browser, jupyter and vscode")]
    NoPlugin(String),
}

/// Whether a command line that begins with this word is one of these.
pub fn is_for(first: &str) -> bool {
    let is_number = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
    is_number || (first.starts_with("--") && !matches!(first, "--help" | "--version"))
}

/// Reads it. Values stand behind an option, or behind `=`.
pub fn read(arguments: &[OsString]) -> Result<Alone, Wrong> {
    let mut words = Vec::new();
    for argument in arguments {
        let word = argument.to_str().ok_or_else(|| Wrong::Unknown(argument.clone()))?;
        match word.split_once('=').filter(|_| word.starts_with("--")) {
            Some((name, value)) => words.extend([name.to_owned(), value.to_owned()]),
            None => words.push(word.to_owned()),
        }
    }
    let mut words = words.into_iter().peekable();
    let mut told = Alone {
        port: 0,
        host: Ipv4Addr::UNSPECIFIED.into(),
        working_dir: PathBuf::new(),
        state_dir: None,
        plugins: Vec::new(),
        username: "openhands".to_owned(),
        user_id: 1000,
        eval_env: None,
        browser: true,
        confine: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| Wrong::NoValue(word.clone()));
        match word.as_str() {
            "--working-dir" => told.working_dir = value()?.into(),
            "--state-dir" => told.state_dir = Some(value()?.into()),
            "--username" => told.username = user_name(value()?)?,
            "--user-id" => told.user_id = parsed("--user-id", value()?, "number of a user")?,
            "--host" => told.host = parsed("--host", value()?, "address of a machine")?,
            "--browsergym-eval-env" => told.eval_env = Some(value()?),
            "--enable-browser" => told.browser = true,
            "--no-enable-browser" => told.browser = false,
            "--confine" => told.confine = true,
            "--plugins" => {
                while let Some(name) = words.next_if(|word| !word.starts_with("--")) {
                    if !PLUGINS.contains(&name.as_str()) {
                        return Err(Wrong::NoPlugin(name));
                    }
                    told.plugins.push(name);
                }
            }
            port if told.port == 0 && !port.starts_with('-') => {
                told.port = parsed("PORT", port.to_owned(), "port from 1 to 65535")?;
                if told.port == 0 {
                    return Err(Wrong::Value("PORT", port.to_owned(), "port from 1 to 65535"));
                }
            }
            _ => return Err(Wrong::Unknown(word.into())),
        }
    }
    if told.port == 0 {
        return Err(Wrong::NoPort);
    }
    if told.working_dir.as_os_str().is_empty() {
        return Err(Wrong::NoDir);
    }
    Ok(told)
}

fn parsed<T: std::str::FromStr>(
    name: &'static str,
    value: String,
    form: &'static str,
) -> Result<T, Wrong> {
    value.parse().map_err(|_| Wrong::Value(name, value, form))
}

/// A name that `/etc/passwd` can have.
fn user_name(name: String) -> Result<String, Wrong> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fits = name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 32;
    if fits { Ok(name) } else { Err(Wrong::Value("--username", name, "name of a user")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Alone, Wrong> {
        let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        read(&words)
    }

    #[test]
    fn the_references_own_line_is_taken() {
        let told = check(
            "30123 --working-dir /workspace --plugins agent_skills jupyter vscode --username openhands \
             --user-id 501 --no-enable-browser",
        )
        .unwrap();
        assert_eq!((told.port, told.user_id), (30_123, 501));
        assert_eq!(told.wanted(), ["agent_skills", "jupyter", "vscode"]);
        assert_eq!(told.host.to_string(), "0.0.0.0");
        let told = check("--working-dir=/w --plugins --host 127.0.0.1 --confine 8000").unwrap();
        assert_eq!((told.username.as_str(), told.user_id, told.confine), ("openhands", 1000, true));
        assert_eq!(told.wanted(), ["browser"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, words) in [
            ("--working-dir /w", "port"),
            ("8000", "--working-dir"),
            ("0 --working-dir /w", "PORT"),
            ("99999 --working-dir /w", "PORT"),
            ("8000 8001 --working-dir /w", "unknown argument"),
            ("8000 --working-dir", "needs a value"),
            ("8000 --working-dir /w --plugins jupiter", "jupiter"),
            ("8000 --working-dir /w --user-id -1", "--user-id"),
            ("8000 --working-dir /w --username a:b", "--username"),
            ("8000 --working-dir /w --username -rf", "--username"),
            ("8000 --working-dir /w --host localhost", "--host"),
            ("8000 --working-dir /w --bogus", "--bogus"),
        ] {
            let wrong = check(line).unwrap_err().to_string();
            assert!(wrong.contains(words), "{line}: {wrong}");
        }
    }

    #[test]
    fn a_port_or_an_option_leads_here() {
        assert!(is_for("3000") && is_for("--working-dir"));
        assert!(!is_for("serve") && !is_for("") && !is_for("--help") && !is_for("--version"));
    }
}
