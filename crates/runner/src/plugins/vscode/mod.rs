//! `vscode`: a VS Code server on the sandbox's loopback, opened with a token.
//!
//! | file | what |
//! |---|---|
//! | `find` | which server the image has |
//! | `plan` (pure) | what it is started with |

pub mod find;
pub mod plan;

use std::{
    cell::{Cell, RefCell},
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::Command,
    rc::Rc,
};

use staithe_protocol::plugin::{PluginSettings, VscodeDoor, VscodeSettings};

use super::{
    Later, Plugin, Serving, Trouble,
    log::Log,
    probe::{Ask, free_port},
    program::{Program, command},
};
use crate::{shell::Ground, state};

/// The VS Code server.
pub struct Vscode {
    settings: VscodeSettings,
    /// Of pages, before `/<port>`.
    base: String,
    ground: Rc<Ground>,
    /// Where it keeps its own files.
    dir: PathBuf,
    token: String,
    log: Rc<Log>,
    /// The same for each start, as long as nobody takes it, so that open pages find it again.
    port: Cell<Option<u16>>,
    program: RefCell<Option<Rc<Program>>>,
    serves: Cell<bool>,
}

impl Vscode {
    /// One that does not run yet; `token` will open it.
    pub fn new(settings: &PluginSettings, ground: &Rc<Ground>, token: String) -> Self {
        let dir = ground.state_dir.join("vscode");
        Self {
            settings: settings.vscode.clone(),
            base: settings.base.clone(),
            ground: Rc::clone(ground),
            log: Rc::new(Log::new(&ground.state_dir, "vscode", &token)),
            token,
            dir,
            port: Cell::new(None),
            program: RefCell::default(),
            serves: Cell::new(false),
        }
    }

    /// What its URL is made of, while it serves.
    pub fn door(&self) -> Option<VscodeDoor> {
        let port = self.port.get().filter(|_| self.serves.get())?;
        Some(VscodeDoor {
            token: self.token.clone(),
            port,
            base_path: self.base_path(port),
            folder: self.ground.workspace.clone(),
        })
    }

    fn base_path(&self, port: u16) -> String {
        if self.settings.listen.is_some() {
            return String::new();
        }
        format!("{}/{port}", self.base)
    }

    async fn start(&self) -> Result<Serving, Trouble> {
        let server = find::find(&self.ground, &self.settings.paths)?;
        let port = match self.settings.listen {
            Some(listen) => {
                // Whatever has it might answer in the server's place.
                let free = TcpListener::bind(listen);
                free.map_err(|error| unwell(&format!("can't listen on {listen}"), &error))?;
                listen.port()
            }
            None => free_port(self.port.get()).map_err(|error| unwell("has no port", &error))?,
        };
        self.port.set(Some(port));
        let base_path = self.base_path(port);
        self.prepare().map_err(|error| unwell("has no folder for its files", &error))?;
        let mut command: Command = command(&self.ground, &server.program);
        command.args(&server.arguments);
        let host = self.settings.listen.map_or(Ipv4Addr::LOCALHOST.into(), |listen| listen.ip());
        command.args(plan::arguments(host, port, &base_path, &self.dir));
        // It takes some of its settings from these; a server that starts it has its own.
        for name in ["PORT", "VSCODE_IPC_HOOK_CLI", "NODE_OPTIONS", "ELECTRON_RUN_AS_NODE"] {
            command.env_remove(name);
        }
        let program = Program::start(&self.ground, command, &self.log)
            .map_err(|error| unwell("can't be started", &error))?;
        let program = Rc::new(program);
        self.program.replace(Some(Rc::clone(&program)));
        let probe = format!("{base_path}/version");
        tokio::select! {
            () = async { Ask::get(port, &probe).until_good().await } => {}
            code = program.ended() => return Err(ended(code)),
        }
        self.serves.set(true);
        Ok(Serving { port: Some(port), base_path: Some(base_path) })
    }

    /// Token and settings in its folder.
    fn prepare(&self) -> io::Result<()> {
        let machine = self.dir.join("data/Machine");
        fs::create_dir_all(&machine)?;
        state::write(&self.dir.join(plan::TOKEN_FILE), self.token.as_bytes())?;
        let settings = machine.join("settings.json");
        // What a person set there stays.
        if !settings.exists() {
            state::write(&settings, plan::SETTINGS.as_bytes())?;
        }
        Ok(())
    }
}

impl Plugin for Vscode {
    fn name(&self) -> &'static str {
        "vscode"
    }

    fn begin(&self) -> Later<'_, Result<Serving, Trouble>> {
        Box::pin(self.start())
    }

    fn health(&self) -> Later<'_, Trouble> {
        Box::pin(async {
            let program = self.program.borrow().clone();
            let (Some(program), Some(port)) = (program, self.port.get()) else {
                return Trouble::passing("The VS Code server was not started.");
            };
            let probe = format!("{}/version", self.base_path(port));
            tokio::select! {
                code = program.ended() => ended(code),
                () = async { Ask::get(port, &probe).until_ill().await } => {
                    Trouble::passing("The VS Code server does not answer any more.")
                }
            }
        })
    }

    fn stop(&self) -> Later<'_, ()> {
        Box::pin(async {
            self.serves.set(false);
            let program = self.program.take();
            if let Some(program) = program {
                program.stop().await;
            }
        })
    }

    fn tail(&self) -> String {
        self.log.tail()
    }
}

fn ended(code: i64) -> Trouble {
    Trouble::passing(format!("The VS Code server ended with exit code {code}."))
}

fn unwell(what: &str, error: &io::Error) -> Trouble {
    Trouble::passing(format!("The VS Code server {what}: {error}."))
}
