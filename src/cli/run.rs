//! The command lines of `staithe run`, `staithe session` and `staithe replay`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::EngineChoice;

/// What `staithe run --help` says at its end.
const RUN_HELP: &str = "\
The agent works in a sandbox of its own; what it does is shown as it happens. Its workspace
and its events are kept: what it says at the end tells how to go on, or to get files out.

Where it runs: on the server of --url (or STAITHE_URL), with --token (or STAITHE_TOKEN); else on the
one that runs on the data directory; else this command is a server of its own while it runs, with the page at the address
that it prints. A model has to be usable there: set OPENAI_API_KEY, ANTHROPIC_API_KEY or
GEMINI_API_KEY for a server of its own, or choose one with --model.

Approvals: what the agent calls risky is asked about (--confirm). Answer y, n and why, a for all of
its kind, or w to see the whole of a long text first. Without a terminal give --yes, or the run ends with 4 and waits for
`staithe run --session ID` on a terminal, or for somebody in the page.

Ctrl-C stops the agent and its command; a second one leaves at once (where this command is the
server, a third one leaves its sandboxes to the next server).

Exit codes:
  0   the agent finished
  1   it failed: its model can't be used or did not answer, it went in circles, no sandbox, or the
      repository could not be cloned
  2   a wrong option
  3   a limit was reached: of steps, cost, tokens or time
  4   it needs an approval, and nobody could be asked
  5   it asked something, or declined the task
  64  wrong input: no such session or model, no address of a repository, a token is needed
  69  no server, or it could not be reached any more
  130 stopped: by Ctrl-C, or by somebody else

Examples:
  staithe run \"write a haiku about the sea into sea.txt\"
  staithe run --repository owner/name --branch main \"fix the failing test\"
  staithe run --confirm always \"tidy up the Makefile\"       ask before each step with an effect
  staithe run --yes --limit-cost 0.50 --json \"…\" | jq .     for programs
  git diff | staithe run -q - > review.md                   the task from stdin, only the answer out
  staithe run --session 0198c5…e1 \"now add a test for it\"    go on
  staithe run --session 0198c5…e1                           past a limit, an error or an approval";

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Run {
    /// What is to be done; - reads it from stdin. With --session it may be left out.
    #[arg(value_name = "TASK", required_unless_present = "session")]
    pub task: Option<String>,
    /// Go on in this session.
    #[arg(long, value_name = "ID", conflicts_with_all = ["repository", "image"])]
    pub session: Option<String>,
    /// The name of the group of models to use, as config.toml and the page have it.
    #[arg(long, short, value_name = "NAME")]
    pub model: Option<String>,
    /// A repository to begin with: an https or ssh URL, or owner/name.
    #[arg(long, short, value_name = "REPOSITORY")]
    pub repository: Option<String>,
    /// The branch or tag of it.
    #[arg(long, short, value_name = "NAME", requires = "repository")]
    pub branch: Option<String>,
    /// The sandbox's image, where sandboxes have images.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// What is asked about before it is done.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub confirm: Option<Confirm>,
    /// Agree to everything that is asked about.
    #[arg(long, short)]
    pub yes: bool,
    /// Most answers of the model; 0: no limit.
    #[arg(long, value_name = "N")]
    pub limit_steps: Option<u64>,
    /// Most that it may cost, in US dollars; 0: no limit.
    #[arg(long, value_name = "USD")]
    pub limit_cost: Option<f64>,
    /// Most tokens that go in and come out; 0: no limit.
    #[arg(long, value_name = "N")]
    pub limit_tokens: Option<u64>,
    /// Longest time that it may work, such as 90s, 10m or 2h; 0: no limit.
    #[arg(long, value_name = "TIME", value_parser = crate::config::units::seconds)]
    pub limit_time: Option<u64>,
    /// Print one JSON object a line: the frames of staithe.v1 with events and pieces of answers as
    /// they come, and last {"type":"outcome",…}.
    #[arg(long, conflicts_with = "quiet")]
    pub json: bool,
    /// Print the agent's last words only.
    #[arg(long, short)]
    pub quiet: bool,
    /// Leave the sandbox running at the end. The workspace is kept in any case.
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub place: Place,
}

/// Which server.
#[derive(Clone, Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help prints the text as it is")]
pub struct Place {
    /// The server's address: http or https. Another than the data directory's needs a token.
    #[arg(long, value_name = "URL", env = "STAITHE_URL")]
    pub url: Option<String>,
    /// A token for it; by default one is signed for the server that runs on the data directory, and for no other.
    #[arg(long, value_name = "TOKEN", env = "STAITHE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// For a server of its own: a TOML file, as for `serve`.
    #[arg(long, value_name = "FILE", env = "STAITHE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept. [config: server.data_dir]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// For a server of its own: who makes sandboxes. [config: sandbox.engine]
    #[arg(long, value_enum)]
    pub engine: Option<EngineChoice>,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Confirm {
    /// Nothing.
    Never,
    /// What the model or the list of rules calls risky.
    Risky,
    /// All that has an effect.
    Always,
}

impl Confirm {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Risky => "risky",
            Self::Always => "always",
        }
    }
}

/// What `staithe session --help` says at its end.
const SESSION_HELP: &str = "\
Examples:
  staithe session export 0198c5…e1 -o run.json
  staithe session export 0198c5…e1 | staithe replay -";

#[derive(Debug, Args)]
#[command(after_help = SESSION_HELP)]
pub struct Session {
    #[command(subcommand)]
    pub command: SessionCommand,
}

#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Write a session's trajectory, all its events, as JSON in `OpenHands`' form.
    Export(Export),
}

#[derive(Debug, Args)]
pub struct Export {
    /// The session.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where to; by default stdout.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
}

/// What `staithe replay --help` says at its end.
const REPLAY_HELP: &str = "\
Reads what `staithe session export` or `staithe run --json` wrote, and OpenHands' trajectories.
Nothing is run.

Exit codes: 0 shown, 1 not readable, 64 no trajectory.

Examples:
  staithe replay run.json               all at once
  staithe replay --speed 4 run.json     four times as fast as it was; no pause is longer than 5 s
  staithe replay --step run.json        Enter shows the next step";

#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
pub struct Replay {
    /// The file; - is stdin.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many times as fast as it was.
    #[arg(long, value_name = "N", value_parser = speed)]
    pub speed: Option<f64>,
    /// Wait for Enter before each step.
    #[arg(long, conflicts_with = "speed")]
    pub step: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.001..=1e6).contains(speed));
    speed.ok_or_else(|| "a number such as 1, 4 or 0.5 is expected".to_owned())
}
