//! What happens before anybody is let in: git's identity, its pager, the plugins.

use std::rc::Rc;

use staithe_protocol::{Action, Observation, action::Run, runner::Limits};

use crate::{app::App, fault::Fault, shell::program::Dialect};

/// How long the shell may take, in milliseconds: the reference's.
const LIMIT_MS: u64 = 300_000;
/// Who commits, where nobody has said it.
const IDENTITY: &str = "if command -v git >/dev/null 2>&1; then \
    git config --global user.name >/dev/null || git config --global user.name \"openhands\"; \
    git config --global user.email >/dev/null || git config --global user.email \"openhands@all-hands.dev\"; fi";
/// A pager would wait for somebody who isn't there.
const ALIAS: &str = "alias git=\"git --no-pager\"";

/// Sets everything up; the error says what could not be.
pub async fn begin(app: &Rc<App>) -> Result<(), Fault> {
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
