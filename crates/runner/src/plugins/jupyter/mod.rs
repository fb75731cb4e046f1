//! `jupyter`: a kernel that keeps its state over the cells of a session, run by a kernel gateway on the
//! sandbox's loopback and driven over the standard Jupyter protocol.
//!
//! | file | what |
//! |---|---|
//! | `cell`, `words` (pure) | what becomes of a cell's messages, and what is said beside them |
//! | `kernel` | a kernel's REST interface and its WebSocket |
//! | `session` | the cells one after the other: limits, interrupts, deaths |

pub mod cell;
pub mod kernel;
pub mod session;
pub mod words;

use std::{
    cell::{Cell, RefCell},
    io,
    path::Path,
    process::Command,
    rc::Rc,
    time::Duration,
};

use hyper::Method;
use rustix::fs::{Access, access};
use staithe_protocol::{
    Observation,
    action::RunIpython,
    plugin::{JupyterSettings, PluginSettings},
    runner::Limits,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
    time::Instant,
};

use self::{
    kernel::Gateway,
    session::{Ask, Control, Session},
};
use super::{
    Later, Plugin, Serving, Trouble,
    log::Log,
    probe::free_port,
    program::{self, Program, command},
};
use crate::{
    app::App,
    shell::{Ground, output::Output},
};

/// Where images have it, the best first: what Staithe's own builds put there, the reference's, the `PATH`.
const USUAL: [&str; 2] = ["/opt/staithe/jupyter/bin/jupyter", "jupyter"];
/// A cell waits so long for a plugin that has to begin; it goes on beginning. With what a kernel may take, less
/// than the server waits beyond a cell's own limit.
const PATIENCE: Duration = Duration::from_secs(45);
/// Cells that may wait.
const CELLS: usize = 64;

/// The kernel gateway and the session's kernel.
pub struct Jupyter {
    settings: JupyterSettings,
    ground: Rc<Ground>,
    token: String,
    log: Rc<Log>,
    port: Cell<Option<u16>>,
    program: RefCell<Option<Rc<Program>>>,
    gateway: Rc<RefCell<Option<Rc<Gateway>>>>,
    control: Rc<Control>,
    cells: mpsc::Sender<Ask>,
}

/// Runs a cell: the action `run_ipython`.
pub async fn run(app: &App, key: &str, cell: RunIpython, limits: Limits) -> Observation {
    if let Err(cause) = app.plugins.ready("jupyter", PATIENCE).await {
        return words::error(&cause);
    }
    let Some(jupyter) = app.plugins.jupyter() else {
        return words::error("The plugin jupyter was taken away meanwhile.");
    };
    let cwd = app.shells.view.cwd.borrow().clone();
    let (reply, told) = oneshot::channel();
    let ask = Ask { key: key.to_owned(), cell, limits, cwd, reply };
    if jupyter.cells.try_send(ask).is_err() {
        return words::error(&format!("{CELLS} cells are waiting; no more can."));
    }
    let observation = told.await;
    app.shells.view.active.set(Instant::now());
    observation.unwrap_or_else(|_| words::error("The plugin jupyter was taken away meanwhile."))
}

impl Jupyter {
    /// One that does not run yet; `token` will open it.
    pub fn new(settings: &PluginSettings, ground: &Rc<Ground>, token: String) -> Self {
        let (cells, asks) = mpsc::channel(CELLS);
        let (gateway, control) = (Rc::default(), Rc::default());
        let session = Session {
            ground: Rc::clone(ground),
            name: settings.jupyter.kernel.clone(),
            gateway: Rc::clone(&gateway),
            control: Rc::clone(&control),
            live: Output::new(Rc::clone(&ground.lines), ground.began),
            held: None,
            lost: false,
        };
        spawn_local(session.run(asks));
        Self {
            settings: settings.jupyter.clone(),
            ground: Rc::clone(ground),
            log: Rc::new(Log::new(&ground.state_dir, "jupyter", &token)),
            token,
            port: Cell::new(None),
            program: RefCell::default(),
            gateway,
            control,
            cells,
        }
    }

    /// Whether a cell runs.
    pub fn is_busy(&self) -> bool {
        self.control.is_running()
    }

    /// Interrupts the cell that runs. Whether there is one.
    pub fn interrupt(&self) -> bool {
        self.control.interrupt()
    }

    async fn start(&self) -> Result<Serving, Trouble> {
        let candidates = self.settings.paths.iter().map(String::as_str).chain(USUAL);
        let jupyter =
            program::find(&self.ground, candidates).ok_or_else(|| absent(&self.settings))?;
        let port = free_port(self.port.get()).map_err(|error| unwell("has no port", &error))?;
        self.port.set(Some(port));
        let mut command: Command = command(&self.ground, &jupyter);
        command.arg("kernelgateway");
        command.args(arguments(port));
        command.env("KG_AUTH_TOKEN", &self.token);
        // Its kernels' keys are not for a home that may be nobody's or the workspace.
        command.env("JUPYTER_RUNTIME_DIR", self.ground.state_dir.join("jupyter"));
        // What is told of output is text, and a line of it is not cut where a terminal would.
        command.env("PYTHONUNBUFFERED", "1").env("PYDEVD_DISABLE_FILE_VALIDATION", "1");
        self.lend_place(&mut command, &jupyter).map_err(|error| unwell("has no folder", &error))?;
        let program = Program::start(&self.ground, command, &self.log)
            .map_err(|error| unwell("can't be started", &error))?;
        let program = Rc::new(program);
        self.program.replace(Some(Rc::clone(&program)));
        let gateway = Gateway { port, authorization: format!("token {}", self.token) };
        tokio::select! {
            () = async { gateway.ask(Method::GET, "/api", None).until_good().await } => {}
            code = program.ended() => return Err(ended(code)),
        }
        self.gateway.replace(Some(Rc::new(gateway)));
        Ok(Serving { port: Some(port), base_path: None })
    }

    /// Where `%pip install` can't write to the environment of the kernel, it gets a folder that it can.
    fn lend_place(&self, command: &mut Command, jupyter: &Path) -> io::Result<()> {
        let library = jupyter.parent().and_then(Path::parent).map(|root| root.join("lib"));
        if library.is_none_or(|library| access(library, Access::WRITE_OK).is_ok()) {
            return Ok(());
        }
        let place = self.ground.state_dir.join("python");
        std::fs::create_dir_all(&place)?;
        command.env("PIP_TARGET", &place).env("PYTHONPATH", &place);
        Ok(())
    }
}

impl Plugin for Jupyter {
    fn name(&self) -> &'static str {
        "jupyter"
    }

    fn begin(&self) -> Later<'_, Result<Serving, Trouble>> {
        Box::pin(self.start())
    }

    fn health(&self) -> Later<'_, Trouble> {
        Box::pin(async {
            let (program, gateway) = (self.program.borrow().clone(), self.gateway.borrow().clone());
            let (Some(program), Some(gateway)) = (program, gateway) else {
                return Trouble::passing("The kernel gateway was not started.");
            };
            tokio::select! {
                code = program.ended() => ended(code),
                () = async { gateway.ask(Method::GET, "/api", None).until_ill().await } => {
                    Trouble::passing("The kernel gateway does not answer any more.")
                }
            }
        })
    }

    fn stop(&self) -> Later<'_, ()> {
        Box::pin(async {
            self.gateway.take();
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

/// The gateway's arguments. It drops what a kernel prints beyond these rates, and says so in the output; a
/// message's size is bounded by them, too.
fn arguments(port: u16) -> Vec<String> {
    vec![
        "--KernelGatewayApp.ip=127.0.0.1".to_owned(),
        format!("--KernelGatewayApp.port={port}"),
        "--KernelGatewayApp.port_retries=0".to_owned(),
        "--ZMQChannelsWebsocketConnection.iopub_data_rate_limit=8000000".to_owned(),
        "--ZMQChannelsWebsocketConnection.iopub_msg_rate_limit=5000".to_owned(),
    ]
}

fn absent(settings: &JupyterSettings) -> Trouble {
    let looked = if settings.paths.is_empty() { "" } else { "plugins.jupyter.paths and " };
    Trouble::lasting(
        format!("There is no Jupyter in this sandbox (looked at {looked}the usual places)."),
        "Have one built into the image: name \"jupyter\" in sandbox.plugins and leave \
         sandbox.runtime_container_image empty. Or install jupyter-kernel-gateway and ipykernel in the image \
         and name its program `jupyter` in plugins.jupyter.paths.",
    )
}

fn ended(code: i64) -> Trouble {
    Trouble::passing(format!("The kernel gateway ended with exit code {code}."))
}

fn unwell(what: &str, error: &io::Error) -> Trouble {
    Trouble::passing(format!("The kernel gateway {what}: {error}."))
}
