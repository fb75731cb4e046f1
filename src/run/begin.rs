//! A run from its beginning to its end: the server, the session, the task, and what is said last.

use std::io::{self, Read as _};

use hyper::Method;
use serde_json::{Map, Value, json};
use staithe_protocol::SessionId;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    course::Outcome,
    follow::{Ended, Follow, Wish},
    place::{self, Found, Start},
    show::{self, Show},
    style::{Ink, clean, grouped},
    typed,
    wire::{RunFailed, Server},
};
use crate::cli::run::Run;

/// The largest task, in bytes.
const MOST_TASK: u64 = 4 * 1024 * 1024;
/// Characters of a title.
const MOST_TITLE: usize = 80;
/// What the command exits with when it was interrupted before there was an agent.
const INTERRUPTED: u8 = 130;

/// What asks the command to end.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, RunFailed> {
        let interrupt = signal(SignalKind::interrupt()).map_err(RunFailed::here)?;
        let terminate = signal(SignalKind::terminate()).map_err(RunFailed::here)?;
        Ok(Self { interrupt, terminate })
    }

    /// Asked.
    pub(super) async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Runs it; the exit code.
pub(super) async fn run(wanted: &Run) -> Result<u8, RunFailed> {
    let mut signals = Signals::listen()?;
    let task = tokio::select! {
        task = task(wanted) => task?,
        () = signals.come() => return Ok(INTERRUPTED),
    };
    let mut show = Show::new(wanted.json, wanted.quiet);
    let found = tokio::select! {
        found = place::find(&wanted.place, Start::Always) => found?,
        () = signals.come() => return Ok(INTERRUPTED),
    };
    let Found { server, own } = found;
    if let Some(own) = &own {
        let words = format!("· this command is the server; the page: {}", own.ready.login_url);
        show.note(Ink::Dim, &words).map_err(RunFailed::here)?;
    }
    let ran = work(wanted, task, &server, own.is_some(), &mut show, &mut signals).await;
    let Some(own) = own else { return ran };
    tokio::select! {
        ended = own.end() => ended?,
        // Whoever does not wait leaves the sandboxes to the next server on this data directory.
        () = signals.come() => return Ok(INTERRUPTED),
    }
    ran
}

/// The task in words; none: only go on.
async fn task(wanted: &Run) -> Result<Option<String>, RunFailed> {
    let task = match wanted.task.as_deref() {
        None => return Ok(None),
        Some("-") => tokio::task::spawn_blocking(|| {
            let mut task = String::new();
            let read = io::stdin().take(MOST_TASK + 1).read_to_string(&mut task);
            read.map(|_| task).map_err(|error| RunFailed::Usage(format!("stdin: {error}")))
        })
        .await
        .map_err(RunFailed::here)??,
        Some(task) => task.to_owned(),
    };
    if task.trim().is_empty() {
        return Err(RunFailed::Usage("the task is empty".to_owned()));
    }
    if task.len() as u64 > MOST_TASK {
        return Err(RunFailed::Usage("the task is longer than 4 MiB".to_owned()));
    }
    Ok(Some(task))
}

/// A session that is there, and where its stream is taken up.
struct Begun {
    id: SessionId,
    head: i64,
    used: Value,
}

async fn work(
    wanted: &Run,
    task: Option<String>,
    server: &Server,
    is_own: bool,
    show: &mut Show,
    signals: &mut Signals,
) -> Result<u8, RunFailed> {
    let begun = tokio::select! {
        begun = begin(wanted, task.as_deref(), server) => begun?,
        () = signals.come() => return Ok(INTERRUPTED),
    };
    let words = if is_own {
        format!("· session {}", begun.id)
    } else {
        format!("· session {}: {}/sessions/{}", begun.id, server.url, begun.id)
    };
    show.note(Ink::Dim, &words).map_err(RunFailed::here)?;
    let wish = Wish {
        task,
        approve_all: wanted.yes,
        repository: wanted.repository.is_some(),
        head: begun.head,
    };
    let typed = typed::lines(wanted.task.as_deref() == Some("-"));
    let follow = Follow::new(wish, server.clone(), begun.id, typed);
    let Ended { outcome, last_words, left } = follow.run(show, signals).await?;
    if left {
        return Ok(outcome.exit_code());
    }
    end((wanted, is_own), server, &begun, &outcome, &last_words, show).await
}

async fn begin(wanted: &Run, task: Option<&str>, server: &Server) -> Result<Begun, RunFailed> {
    let id = match &wanted.session {
        Some(id) => id.parse().map_err(|error| RunFailed::Usage(format!("--session: {error}")))?,
        None => create(wanted, task.unwrap_or_default(), server).await?,
    };
    let session = server.ask(Method::GET, &format!("/api/sessions/{id}"), None).await?;
    if matches!(session["phase"].as_str(), Some("stopped" | "failed")) {
        server.ask(Method::POST, &format!("/api/sessions/{id}/start"), None).await?;
    }
    let head = if wanted.session.is_some() { session["head"].as_i64().unwrap_or(-1) } else { -1 };
    let at = format!("/api/sessions/{id}/agent");
    let agent = match choice(wanted) {
        Some(choice) => server.ask(Method::PUT, &at, Some(&choice)).await?,
        None => server.ask(Method::GET, &at, None).await?,
    };
    Ok(Begun { id, head, used: agent["used"].clone() })
}

async fn create(wanted: &Run, task: &str, server: &Server) -> Result<SessionId, RunFailed> {
    let title: String =
        clean(task.trim()).lines().next().unwrap_or_default().chars().take(MOST_TITLE).collect();
    let mut body = json!({ "labels": { "from": "run" } });
    if !title.trim().is_empty() {
        body["title"] = title.into();
    }
    let chosen = [
        ("model", &wanted.model),
        ("repository", &wanted.repository),
        ("branch", &wanted.branch),
        ("image", &wanted.image),
    ];
    for (name, value) in chosen {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    let made = server.ask(Method::POST, "/api/sessions", Some(&body)).await?;
    made["id"].as_str().unwrap_or_default().parse().map_err(RunFailed::cut)
}

/// What is chosen of the agent.
fn choice(wanted: &Run) -> Option<Value> {
    let mut choice = Map::new();
    if let Some(model) = wanted.model.as_ref().filter(|_| wanted.session.is_some()) {
        choice.insert("model".to_owned(), model.as_str().into());
    }
    if let Some(confirm) = wanted.confirm {
        choice.insert("confirm".to_owned(), confirm.as_str().into());
    }
    let limits = [
        ("steps", wanted.limit_steps.map(Value::from)),
        ("cost", wanted.limit_cost.map(Value::from)),
        ("tokens", wanted.limit_tokens.map(Value::from)),
        ("time", wanted.limit_time.map(Value::from)),
    ];
    let limits: Map<String, Value> =
        limits.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if !limits.is_empty() {
        choice.insert("limits".to_owned(), limits.into());
    }
    (!choice.is_empty()).then(|| choice.into())
}

/// Says what it cost and how to go on; stops the sandbox where nothing is left to do in it.
async fn end(
    (wanted, is_own): (&Run, bool),
    server: &Server,
    begun: &Begun,
    outcome: &Outcome,
    last_words: &str,
    show: &mut Show,
) -> Result<u8, RunFailed> {
    let id = begun.id;
    let agent = server.ask(Method::GET, &format!("/api/sessions/{id}/agent"), None).await;
    let used = agent.map_or(Value::Null, |agent| used(&begun.used, &agent["used"]));
    match show {
        Show::Json(_) => {
            let line = outcome.to_json(&id.to_string(), &used);
            show::say(&line.to_string()).map_err(RunFailed::here)?;
        }
        Show::Quiet => {
            if !last_words.trim().is_empty() {
                show::say(clean(last_words).trim()).map_err(RunFailed::here)?;
            }
        }
        Show::Lines(_) => {}
    }
    if let Outcome::Failed { code, why } = outcome
        && !matches!(show, Show::Lines(_))
    {
        eprintln!("staithe: {} ({code})", clean(why).trim());
    }
    show.note(Ink::Dim, &spent(&used)).map_err(RunFailed::here)?;
    let own_session = wanted.session.is_none();
    if outcome.is_over() && own_session && !wanted.keep && !is_own {
        let stopped = server.ask(Method::POST, &format!("/api/sessions/{id}/stop"), None).await;
        if let Err(error) = stopped {
            let words = format!("the sandbox could not be stopped: {error}");
            show.note(Ink::Bad, &words).map_err(RunFailed::here)?;
        }
    }
    for words in next(wanted, is_own, id, outcome) {
        show.note(Ink::Dim, &words).map_err(RunFailed::here)?;
    }
    Ok(outcome.exit_code())
}

/// What was used since.
fn used(before: &Value, now: &Value) -> Value {
    let count = |name: &str| {
        let of = |used: &Value| used[name].as_u64().unwrap_or(0);
        of(now).saturating_sub(of(before))
    };
    let cost = |used: &Value| used["cost"].as_f64().unwrap_or(0.0);
    json!({
        "steps": count("steps"),
        "input_tokens": count("input_tokens"),
        "output_tokens": count("output_tokens"),
        "cost": (cost(now) - cost(before)).max(0.0),
    })
}

/// That in words.
fn spent(used: &Value) -> String {
    if used.is_null() {
        return "what it used is not known".to_owned();
    }
    let count = |name: &str| used[name].as_u64().unwrap_or(0);
    let steps = count("steps");
    let steps = format!("{} step{}", grouped(steps), if steps == 1 { "" } else { "s" });
    let (input, output) = (grouped(count("input_tokens")), grouped(count("output_tokens")));
    let cost = match used["cost"].as_f64() {
        Some(cost) if cost >= 0.01 => format!(" · ${cost:.2}"),
        Some(cost) if cost > 0.0 => format!(" · ${cost:.4}"),
        _ => String::new(),
    };
    format!("{steps} · {input} tokens in, {output} out{cost}")
}

/// How to go on.
fn next(wanted: &Run, is_own: bool, id: SessionId, outcome: &Outcome) -> Vec<String> {
    let place = match (&wanted.place.data_dir, is_own) {
        (Some(dir), true) => format!(" --data-dir {}", dir.display()),
        _ => String::new(),
    };
    let to_go_on = |task: &str| format!("go on:  staithe run{place} --session {id}{task}");
    let mut next = match outcome {
        Outcome::Limit(limit) if limit == "no_price" => vec![
            "set the price of its model, or --limit-cost 0, or go on all the same:".to_owned(),
            format!("        staithe run{place} --session {id}"),
        ],
        Outcome::Limit(limit) => vec![
            format!("go on with as much again, or another --limit-{limit}:"),
            format!("        staithe run{place} --session {id}"),
        ],
        Outcome::NeedsApproval => vec![
            "it waits for your word; on a terminal, or with --yes:".to_owned(),
            format!("        staithe run{place} --session {id}"),
        ],
        Outcome::Failed { .. } => vec![to_go_on("")],
        _ => vec![to_go_on(" \"…\"")],
    };
    if !is_own {
        next.push(format!("files:  staithe cp {id}:. ./workspace"));
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_used_is_the_difference_in_words() {
        let before = json!({ "steps": 3, "cost": 0.5, "input_tokens": 1000, "output_tokens": 10 });
        let now =
            json!({ "steps": 8, "cost": 0.5123, "input_tokens": 13_345, "output_tokens": 310 });
        let difference = used(&before, &now);
        assert_eq!(spent(&difference), "5 steps · 12 345 tokens in, 300 out · $0.01");
        let one = used(
            &Value::Null,
            &json!({ "steps": 1, "input_tokens": 5, "output_tokens": 1, "cost": 0.0 }),
        );
        assert_eq!(spent(&one), "1 step · 5 tokens in, 1 out");
        assert_eq!(spent(&Value::Null), "what it used is not known");
    }
}
