//! Programs that serve the session beside commands.
//!
//! | file | what |
//! |---|---|
//! | `course` (pure) | what a plugin does next |
//! | `keeper` | keeps one on its course and tells its states |
//! | `program`, `log`, `probe` | its process, what that prints, requests to it |
//! | `text` (pure) | terminal output as plain text |
//! | `skills`, `vscode`, `jupyter`, `browser` | the plugins |
//!
//! A new one is a type with the trait [`Plugin`] and a line in `make`.

pub mod browser;
pub mod course;
pub mod jupyter;
pub mod keeper;
pub mod log;
pub mod probe;
pub mod program;
pub mod skills;
pub mod tail;
pub mod text;
pub mod vscode;

use std::{cell::RefCell, collections::BTreeMap, fmt, pin::Pin, rc::Rc, time::Duration};

use hyper::{Method, Request, StatusCode, body::Incoming};
use staithe_protocol::{
    plugin::{PluginPhase, PluginSettings, PluginStart, PluginState},
    runner::FromRunner,
};
use tokio::task::JoinHandle;

use self::{
    browser::Browser,
    jupyter::Jupyter,
    keeper::{Keeper, Keeping, Word},
    skills::Skills,
    vscode::Vscode,
};
use crate::{
    app::App,
    http::words::{Answer, Refusal, bad, nothing_at, ok, query},
    lines::Line,
    shell::Ground,
};

/// The longest that a request waits for a plugin.
const MOST_WAIT: Duration = Duration::from_mins(2);

/// What comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A plugin. Its keeper calls one of these at a time; begin and health may be dropped half-way, and then
/// stop follows.
pub trait Plugin {
    /// As the configuration has it.
    fn name(&self) -> &'static str;
    /// Begins; ends when it answers.
    fn begin(&self) -> Later<'_, Result<Serving, Trouble>>;
    /// Ends when it does not serve any more.
    fn health(&self) -> Later<'_, Trouble>;
    /// Ends all of it. Done when nothing of it runs; also after a begin that failed.
    fn stop(&self) -> Later<'_, ()>;
    /// The last that it printed, without secrets.
    fn tail(&self) -> String {
        String::new()
    }
}

/// Where a plugin is served, for those with a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// On the sandbox's loopback.
    pub port: Option<u16>,
    /// What its addresses begin with.
    pub base_path: Option<String>,
}

/// Why a plugin does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A sentence.
    pub cause: String,
    /// A sentence; empty where nothing is to be done.
    pub remedy: String,
    /// Trying again changes nothing.
    pub lasting: bool,
}

impl Trouble {
    /// One that may pass.
    pub fn passing(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: String::new(), lasting: false }
    }

    /// One that stays until somebody does something.
    pub fn lasting(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into(), lasting: true }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " {}", self.remedy) }
    }
}

/// A plugin that is wanted.
struct Entry {
    keeper: Keeper,
    plugin: Kind,
}

/// What is asked of some plugins beside what all can.
enum Kind {
    /// Nothing.
    Plain,
    Vscode(Rc<Vscode>),
    Jupyter(Rc<Jupyter>),
    Browser(Rc<Browser>),
}

/// All of them; one per process.
#[derive(Default)]
pub struct Plugins {
    settings: RefCell<PluginSettings>,
    entries: RefCell<BTreeMap<String, Entry>>,
    /// Not wanted any more, or not as they were.
    ending: RefCell<BTreeMap<String, JoinHandle<()>>>,
    /// Wanted, and not known here.
    unknown: RefCell<Vec<PluginState>>,
}

/// Makes the plugin of this name.
fn make(
    name: &str,
    settings: &PluginSettings,
    ground: &Rc<Ground>,
    secret: &dyn Fn(&str) -> String,
) -> Option<(Kind, Rc<dyn Plugin>)> {
    Some(match name {
        "agent_skills" => (Kind::Plain, Rc::new(Skills)),
        "vscode" => {
            let vscode = Rc::new(Vscode::new(settings, ground, secret(name)));
            (Kind::Vscode(Rc::clone(&vscode)), vscode)
        }
        "jupyter" => {
            let jupyter = Rc::new(Jupyter::new(settings, ground, secret(name)));
            (Kind::Jupyter(Rc::clone(&jupyter)), jupyter)
        }
        "browser" => {
            let browser = Rc::new(Browser::new(settings, ground));
            (Kind::Browser(Rc::clone(&browser)), browser)
        }
        _ => return None,
    })
}

/// When a plugin begins.
fn start_of(name: &str, settings: &PluginSettings) -> PluginStart {
    match name {
        "vscode" => settings.vscode.start,
        "jupyter" => settings.jupyter.start,
        "browser" => PluginStart::Lazy,
        _ => PluginStart::Eager,
    }
}

/// Whether a plugin that runs by one may go on by the other.
fn same(name: &str, one: &PluginSettings, other: &PluginSettings) -> bool {
    match name {
        "vscode" => one.vscode == other.vscode && one.base == other.base,
        "jupyter" => one.jupyter == other.jupyter,
        "browser" => one.browser == other.browser,
        _ => true,
    }
}

impl Plugins {
    /// Has those that are wanted, and no others. One whose settings are as before goes on. `secret` makes a
    /// secret for a purpose, the same each time.
    pub fn equip(
        &self,
        settings: &PluginSettings,
        ground: &Rc<Ground>,
        secret: &dyn Fn(&str) -> String,
    ) {
        let old = self.settings.replace(settings.clone());
        if old == *settings {
            return;
        }
        let (mut entries, mut ending) = (self.entries.borrow_mut(), self.ending.borrow_mut());
        ending.retain(|_, end| !end.is_finished());
        let gone = |name: &String, _: &mut Entry| {
            !settings.wanted.contains(name) || !same(name, &old, settings)
        };
        for (name, entry) in entries.extract_if(.., gone) {
            ending.insert(name, entry.keeper.end());
        }
        let mut unknown = Vec::new();
        for name in &settings.wanted {
            if entries.contains_key(name) {
                continue;
            }
            let Some((plugin, kept)) = make(name, settings, ground, secret) else {
                unknown.push(unknown_state(name));
                continue;
            };
            let keeping = Keeping {
                ground: Rc::clone(ground),
                deadline: Duration::from_millis(settings.deadline_ms),
                start: start_of(name, settings),
                after: ending.remove(name),
            };
            let keeper = Keeper::new(kept, keeping);
            entries.insert(name.clone(), Entry { keeper, plugin });
        }
        for state in &unknown {
            ground.lines.say(&FromRunner::Plugin { plugin: state.clone() });
        }
        self.unknown.replace(unknown);
    }

    /// What all do now.
    pub fn states(&self) -> Vec<PluginState> {
        let entries = self.entries.borrow();
        let known = entries.values().map(|entry| entry.keeper.state());
        known.chain(self.unknown.borrow().iter().cloned()).collect()
    }

    /// Tells a new line what all do.
    pub fn tell(&self, line: &Line) {
        for plugin in self.states() {
            line.say(FromRunner::Plugin { plugin });
        }
    }

    /// Has a plugin running, for whoever uses it: begins it if it rests, and waits until it answers. The error
    /// says why it does not, for people and models.
    pub async fn ready(&self, name: &str, patience: Duration) -> Result<PluginState, String> {
        let Some(state) = self.say(name, Word::Start, patience).await else {
            return Err(format!(
                "The plugin {name} is not part of this session. Add {name:?} to sandbox.plugins."
            ));
        };
        match state.state {
            PluginPhase::Ready => Ok(state),
            PluginPhase::Failed => {
                Err(format!("The plugin {name} can't be had: {}", state.detail.unwrap_or_default()))
            }
            PluginPhase::Starting | PluginPhase::Restarting | PluginPhase::Stopped => Err(format!(
                "The plugin {name} does not answer yet; it goes on starting. Try again in a while."
            )),
        }
    }

    /// Says a word to a plugin, and waits until it is settled: it answers, can't be had, or was stopped. None:
    /// there is none of this name.
    pub async fn say(&self, name: &str, word: Word, patience: Duration) -> Option<PluginState> {
        let mut follow = {
            let entries = self.entries.borrow();
            let Some(entry) = entries.get(name) else {
                return self.unknown.borrow().iter().find(|state| state.name == name).cloned();
            };
            let state = entry.keeper.state();
            let done = match word {
                Word::Start => state.state == PluginPhase::Ready,
                Word::Stop => state.state == PluginPhase::Stopped,
                Word::Restart => false,
            };
            if done {
                return Some(state);
            }
            let mut follow = entry.keeper.follow();
            follow.mark_unchanged();
            entry.keeper.say(word);
            follow
        };
        let settled = async {
            while follow.changed().await.is_ok() {
                let state = follow.borrow().state;
                match word {
                    Word::Stop if state == PluginPhase::Stopped => break,
                    Word::Start | Word::Restart
                        if !matches!(state, PluginPhase::Starting | PluginPhase::Restarting) =>
                    {
                        break;
                    }
                    _ => {}
                }
            }
        };
        drop(tokio::time::timeout(patience, settled).await); // then its state says how far it is
        let state = follow.borrow().clone();
        Some(state)
    }

    /// Whether one does something for somebody who waits.
    pub fn are_busy(&self) -> bool {
        self.jupyter().is_some_and(|jupyter| jupyter.is_busy())
            || self.browser().is_some_and(|browser| browser.is_busy())
    }

    /// The kernel, if it is wanted.
    pub fn jupyter(&self) -> Option<Rc<Jupyter>> {
        self.entries.borrow().values().find_map(|entry| match &entry.plugin {
            Kind::Jupyter(jupyter) => Some(Rc::clone(jupyter)),
            _ => None,
        })
    }

    /// The browser, if it is wanted.
    pub fn browser(&self) -> Option<Rc<Browser>> {
        self.entries.borrow().values().find_map(|entry| match &entry.plugin {
            Kind::Browser(browser) => Some(Rc::clone(browser)),
            _ => None,
        })
    }

    /// The VS Code server, if it is wanted.
    pub fn vscode(&self) -> Option<Rc<Vscode>> {
        self.entries.borrow().values().find_map(|entry| match &entry.plugin {
            Kind::Vscode(vscode) => Some(Rc::clone(vscode)),
            _ => None,
        })
    }
}

fn unknown_state(name: &str) -> PluginState {
    PluginState {
        name: name.to_owned(),
        state: PluginPhase::Failed,
        detail: Some("The runner in this sandbox knows no plugin of this name.".to_owned()),
        port: None,
        base_path: None,
    }
}

/// Answers a request below `/plugins`.
///
/// | request | answer |
/// |---|---|
/// | `GET /plugins` | `[PluginState]` |
/// | `POST /plugins/{name}/start`, `/stop`, `/restart`, each with `?wait_ms=` | its `PluginState`, after at most that wait |
/// | `GET /plugins/vscode/token` | `VscodeDoor`; 503 while it does not run |
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, []) => Ok(ok(&app.plugins.states())),
        (&Method::GET, ["vscode", "token"]) => {
            let door = app.plugins.vscode().and_then(|vscode| vscode.door());
            let door = door.ok_or_else(|| {
                let detail = "The plugin vscode does not run.".to_owned();
                Refusal::Detail(StatusCode::SERVICE_UNAVAILABLE, detail)
            })?;
            Ok(ok(&door))
        }
        (&Method::POST, [name, word]) => {
            let word = match *word {
                "start" => Word::Start,
                "stop" => Word::Stop,
                "restart" => Word::Restart,
                _ => return Err(nothing_at(path)),
            };
            let patience = match query(&request, "wait_ms") {
                None => Duration::ZERO,
                Some(text) => {
                    Duration::from_millis(text.parse().map_err(|_| bad("`wait_ms` is no number"))?)
                }
            };
            let state = app.plugins.say(name, word, patience.min(MOST_WAIT)).await;
            Ok(ok(&state.ok_or_else(|| nothing_at(path))?))
        }
        _ => Err(nothing_at(path)),
    }
}
