//! What happens before anybody is let in: git's identity, its pager, the plugins.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use futures_util::future::join_all;
use staithe_protocol::{
    Action, Observation,
    action::Run,
    plugin::{
        JupyterSettings, PluginPhase, PluginSettings, PluginStart, PluginState, VscodeSettings,
    },
    runner::Limits,
    services::Services,
};

use crate::{app::App, cli::Serve, fault::Fault, plugins::keeper::Word, shell::program::Dialect};

/// How long the shell may take, in milliseconds: the reference's.
const LIMIT_MS: u64 = 300_000;
/// How long a plugin may take, in seconds: the variable's name, and what counts without it.
const DEADLINE: &str = "INIT_PLUGIN_TIMEOUT";
const DEADLINE_SECONDS: u64 = 120;
/// The port of VS Code; the one after ours without it.
const VSCODE_PORT: &str = "VSCODE_PORT";
/// It begins when it is first used.
const BROWSER: &str = "browser";
/// Who commits, where nobody has said it.
const IDENTITY: &str = "if command -v git >/dev/null 2>&1; then \
    git config --global user.name >/dev/null || git config --global user.name \"openhands\"; \
    git config --global user.email >/dev/null || git config --global user.email \"openhands@all-hands.dev\"; fi";
/// A pager would wait for somebody who isn't there.
const ALIAS: &str = "alias git=\"git --no-pager\"";

/// Sets everything up; the error says what could not be.
pub async fn begin(app: &Rc<App>, told: &Serve) -> Result<(), Fault> {
    set_shell_up(app).await?;
    begin_plugins(app, told).await;
    Ok(())
}

/// Begins the plugins that are wanted, and waits for them. One that can't be had is said, and holds
/// nobody up.
async fn begin_plugins(app: &Rc<App>, told: &Serve) {
    let deadline = Duration::from_secs(number_of(DEADLINE).unwrap_or(DEADLINE_SECONDS));
    let plugins = PluginSettings {
        wanted: told.plugins.clone(),
        deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        vscode: VscodeSettings {
            start: PluginStart::Eager,
            listen: told.listen.map(vscode_address),
            ..VscodeSettings::default()
        },
        jupyter: JupyterSettings { start: PluginStart::Eager, ..JupyterSettings::default() },
        ..PluginSettings::default()
    };
    app.equip(Services { plugins, ..Services::default() });
    let eager = told.plugins.iter().filter(|name| *name != BROWSER);
    let begun = eager.map(|name| app.plugins.say(name, Word::Start, deadline));
    for state in join_all(begun).await.into_iter().flatten() {
        let PluginState { name, state, detail, .. } = state;
        if state != PluginPhase::Ready {
            let detail = detail.unwrap_or_default().replace(char::is_control, " ");
            let line = format!("staithe-runner: the plugin {name} can't be had: {detail}");
            drop(writeln!(io::stderr(), "{line}")); // nowhere else to say so
        }
    }
}

/// Where VS Code is: the port that the reference's client looks at.
fn vscode_address(listen: SocketAddr) -> SocketAddr {
    let port = number_of(VSCODE_PORT).and_then(|port| u16::try_from(port).ok());
    SocketAddr::new(listen.ip(), port.unwrap_or_else(|| listen.port().saturating_add(1)))
}

/// The number in a variable.
fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

async fn set_shell_up(app: &Rc<App>) -> Result<(), Fault> {
    let Some(dialect) = app.shells.dialect() else { return Ok(()) };
    let mut commands = vec![IDENTITY];
    if dialect == Dialect::Bash {
        commands.push(ALIAS);
    }
    for command in commands {
        let run =
            Run { command: command.to_owned(), blocking: true, hidden: true, ..Run::default() };
        let limits = Limits { timeout_ms: LIMIT_MS, no_change_ms: LIMIT_MS, max_output: 2_000 };
        let said = app.act(app.new_key(), Action::Run(run), limits).await;
        match said {
            Observation::Run(run) if run.exit_code == 0 => {}
            said => {
                let said = said.content().into_owned();
                return Err(Fault::config(format!("the shell can't be set up: {command}: {said}")));
            }
        }
    }
    Ok(())
}
