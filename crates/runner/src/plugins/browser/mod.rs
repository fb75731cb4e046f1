//! `browser`: the actions `browse` and `browse_interactive`, with a Chromium of the image, driven over its
//! `DevTools` protocol.
//!
//! | file | what |
//! |---|---|
//! | `script`, `keys` (pure) | calls like `click('12')`, and the names of keys |
//! | `tabs` (pure) | pages, dialogs and downloads, as the browser's events tell them |
//! | `axtree` (pure) | the accessibility tree as text |
//! | `page.js` | what runs in a page: numbers of elements, its text, where things are |
//! | `cdp` | the line to the browser |
//! | `act`, `observe` | calls carried out; what is seen afterwards |
//!
//! It begins when it is first used, and keeps its pages from action to action.

mod act;
mod axtree;
mod cdp;
mod keys;
mod observe;
mod script;
mod tabs;

use std::{
    cell::{Cell, RefCell},
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use staithe_protocol::{
    Observation,
    action::{Browse, BrowseInteractive},
    plugin::{BrowserSettings, PluginSettings},
};
use tokio::{net::unix::pipe, sync::Mutex, task::spawn_blocking, time::Instant};

use self::{act::Hand, cdp::Cdp, observe::Asked};
use super::{
    Later, Plugin, Serving, Trouble,
    log::Log,
    program::{self, Program, command},
};
use crate::{app::App, shell::Ground};

/// Where images have one, the best first.
const USUAL: [&str; 9] = [
    "/opt/staithe/chromium/chromium",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
];
/// What every one is started with.
const FLAGS: [&str; 19] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-search-engine-choice-screen",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--metrics-recording-only",
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
    "--window-size=1280,720",
];
/// An action waits so long for a browser that has to begin; it goes on beginning.
const PATIENCE: Duration = Duration::from_secs(30);
/// Gives the program the two pipes where it wants them.
const PIPES: &str = "in=$1; out=$2; shift 2; exec \"$@\" 3<\"$in\" 4>\"$out\"";

/// The browser.
pub struct Browser {
    settings: BrowserSettings,
    ground: Rc<Ground>,
    log: Rc<Log>,
    /// Its profile, its pipes, and what it downloads.
    dir: PathBuf,
    program: RefCell<Option<Rc<Program>>>,
    cdp: RefCell<Option<Rc<Cdp>>>,
    /// The kernel grants it no sandbox of its own.
    bare: Cell<bool>,
    /// One action at a time.
    turn: Mutex<()>,
}

/// Opens a page: the action `browse`.
pub async fn browse(app: &App, action: Browse) -> Observation {
    let cwd = app.shells.view.cwd.borrow().clone();
    let url = address(&action.url, &cwd);
    let asked = Asked {
        trigger: "browse",
        url: action.url,
        script: format!("goto({})", json!(url)),
        tree: action.return_axtree,
        object: action.return_axtree,
        cwd,
    };
    run(app, asked).await
}

/// Operates it: the action `browse_interactive`.
pub async fn interact(app: &App, action: BrowseInteractive) -> Observation {
    let cwd = app.shells.view.cwd.borrow().clone();
    let asked = Asked {
        trigger: "browse_interactive",
        url: String::new(),
        script: action.browser_actions,
        tree: action.return_axtree,
        object: true,
        cwd,
    };
    run(app, asked).await
}

async fn run(app: &App, asked: Asked) -> Observation {
    let calls = match script::parse(&asked.script) {
        Ok(calls) => calls,
        Err(wrong) => return asked.failed(&wrong),
    };
    if let Err(cause) = app.plugins.ready("browser", PATIENCE).await {
        return asked.failed(&cause);
    }
    let Some(browser) = app.plugins.browser() else {
        return asked.failed("The plugin browser was taken away meanwhile.");
    };
    let _turn = browser.turn.lock().await;
    let Some(cdp) = browser.cdp.borrow().clone() else {
        return asked.failed("The browser ended; it begins anew with the next action.");
    };
    let hand = Hand { cdp, folder: asked.cwd.clone(), said: RefCell::default() };
    let observation = observe::carry_out(&hand, &asked, &calls, &browser.downloads()).await;
    app.shells.view.active.set(Instant::now());
    observation
}

/// What the reference makes of a URL: what doesn't begin with `http` is a path.
fn address(url: &str, cwd: &str) -> String {
    let url = url.trim();
    if url.starts_with("http") || url.starts_with("about:") || url.starts_with("file://") {
        return url.to_owned();
    }
    let path = if url.starts_with('/') { url.to_owned() } else { format!("{cwd}/{url}") };
    let escaped: String = path
        .bytes()
        .map(|b| match b {
            b'/' | b'.' | b'-' | b'_' | b'~' => char::from(b).to_string(),
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    format!("file://{escaped}")
}

impl Browser {
    /// One that does not run yet.
    pub fn new(settings: &PluginSettings, ground: &Rc<Ground>) -> Self {
        Self {
            settings: settings.browser.clone(),
            ground: Rc::clone(ground),
            log: Rc::new(Log::new(&ground.state_dir, "browser", "\0")),
            dir: ground.state_dir.join("browser"),
            program: RefCell::default(),
            cdp: RefCell::default(),
            bare: Cell::new(rustix::process::geteuid().is_root()),
            turn: Mutex::new(()),
        }
    }

    /// Whether it does something for somebody who waits.
    pub fn is_busy(&self) -> bool {
        self.turn.try_lock().is_err()
    }

    fn downloads(&self) -> PathBuf {
        self.dir.join("downloads")
    }

    async fn start(&self) -> Result<Serving, Trouble> {
        let candidates = self.settings.paths.iter().map(String::as_str).chain(USUAL);
        let chromium =
            program::find(&self.ground, candidates).ok_or_else(|| absent(&self.settings))?;
        match self.try_start(&chromium).await {
            Err(trouble) if !self.bare.get() && self.log.tail().contains("sandbox") => {
                // In most containers the kernel grants it none; the container is one.
                self.bare.set(true);
                self.end().await;
                drop(trouble);
                self.try_start(&chromium).await
            }
            result => result,
        }
    }

    async fn try_start(&self, chromium: &Path) -> Result<Serving, Trouble> {
        let unwell = |what: &'static str| {
            move |error: io::Error| Trouble::passing(format!("The browser {what}: {error}."))
        };
        let downloads = self.downloads();
        let emptied = spawn_blocking(move || empty(&downloads)).await;
        let emptied = emptied.unwrap_or_else(|lost| Err(io::Error::other(lost)));
        let prepared = emptied.and_then(|()| self.prepare());
        let (from, to) = prepared.map_err(unwell("has no folder for its files"))?;
        let mut options = pipe::OpenOptions::new();
        let read = options.read_write(true).open_receiver(&from);
        let write = options.read_write(true).open_sender(&to);
        let mut command: Command = command(&self.ground, Path::new("/bin/sh"));
        command.args(["-c", PIPES, "sh"]).arg(&to).arg(&from).arg(chromium).args(FLAGS);
        let profile = self.dir.join("profile");
        command.arg(format!("--user-data-dir={}", profile.display()));
        if self.bare.get() {
            command.arg("--no-sandbox");
        }
        command.arg("about:blank");
        command.env("HOME", &self.dir); // what it keeps in a home is nobody else's business
        let program = Program::start(&self.ground, command, &self.log);
        let program = Rc::new(program.map_err(unwell("can't be started"))?);
        self.program.replace(Some(Rc::clone(&program)));
        let (read, write) =
            (read.map_err(unwell("has no line"))?, write.map_err(unwell("has no line"))?);
        let cdp = Cdp::open(read, write);
        self.cdp.replace(Some(Rc::clone(&cdp)));
        tokio::select! {
            greeted = self.greet(&cdp) => greeted.map_err(Trouble::passing)?,
            code = program.ended() => return Err(ended(code)),
        }
        Ok(Serving::default())
    }

    /// Asks to be told of pages and downloads, and waits for the first page.
    async fn greet(&self, cdp: &Rc<Cdp>) -> Result<(), String> {
        cdp.call(None, "Browser.getVersion", json!({})).await?;
        let attach = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        cdp.call(None, "Target.setDiscoverTargets", json!({ "discover": true })).await?;
        cdp.call(None, "Target.setAutoAttach", attach).await?;
        let download = json!({
            "behavior": "allowAndName",
            "downloadPath": self.downloads(),
            "eventsEnabled": true,
        });
        cdp.call(None, "Browser.setDownloadBehavior", download).await?;
        loop {
            let news = cdp.news.notified();
            if cdp.tabs.borrow().current().is_some() {
                return Ok(());
            }
            news.await;
        }
    }

    /// Its folders and pipes, anew: what it says comes from the first, what it is told goes to the second.
    fn prepare(&self) -> io::Result<(PathBuf, PathBuf)> {
        fs::create_dir_all(self.dir.join("profile"))?;
        // An earlier one that was killed leaves its lock.
        for name in ["SingletonLock", "SingletonSocket", "SingletonCookie"] {
            remove(&self.dir.join("profile").join(name))?;
        }
        let (from, to) = (self.dir.join("from"), self.dir.join("to"));
        for path in [&from, &to] {
            remove(path)?;
            mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        }
        Ok((from, to))
    }

    async fn end(&self) {
        let (program, cdp) = (self.program.take(), self.cdp.take());
        if let Some(program) = program {
            program.stop().await;
        }
        if let Some(cdp) = cdp {
            cdp.close();
        }
    }
}

/// Makes a folder empty: what an earlier browser downloaded is nobody's.
fn empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Plugin for Browser {
    fn name(&self) -> &'static str {
        "browser"
    }

    fn begin(&self) -> Later<'_, Result<Serving, Trouble>> {
        Box::pin(self.start())
    }

    fn health(&self) -> Later<'_, Trouble> {
        Box::pin(async {
            let (program, cdp) = (self.program.borrow().clone(), self.cdp.borrow().clone());
            let (Some(program), Some(cdp)) = (program, cdp) else {
                return Trouble::passing("The browser was not started.");
            };
            tokio::select! {
                code = program.ended() => ended(code),
                () = cdp.gone() => Trouble::passing("The browser says nothing any more."),
            }
        })
    }

    fn stop(&self) -> Later<'_, ()> {
        Box::pin(self.end())
    }

    fn tail(&self) -> String {
        self.log.tail()
    }
}

fn absent(settings: &BrowserSettings) -> Trouble {
    let looked = if settings.paths.is_empty() { "" } else { "plugins.browser.paths and " };
    Trouble::lasting(
        format!("There is no Chromium in this sandbox (looked at {looked}the usual places)."),
        "Have one built into the image: name \"browser\" in sandbox.plugins and leave \
         sandbox.runtime_container_image empty. Or install the package chromium in the image, and name its \
         program in plugins.browser.paths if it is in an unusual place.",
    )
}

fn ended(code: i64) -> Trouble {
    Trouble::passing(format!("The browser ended with exit code {code}."))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn what_is_no_address_is_a_path() {
        assert_eq!(address("https://a/b?c", "/w"), "https://a/b?c");
        assert_eq!(address("about:blank", "/w"), "about:blank");
        assert_eq!(address("site/a b.html", "/w"), "file:///w/site/a%20b.html");
        assert_eq!(address("/x/ä", "/w"), "file:///x/%C3%A4");
    }
}
