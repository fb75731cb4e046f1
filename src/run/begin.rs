//! A run from its beginning to its end: the server, the session, the task, and what is said last.

use std::{
    io::{self, Read as _},
    time::Duration,
};

use hyper::Method;
use serde_json::{Map, Value, json};
use staithe_protocol::SessionId;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use super::{
    course::Outcome,
    follow::{Ended, Follow, Wish},
    hints,
    place::{self, Found, Own, Start},
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
/// How long a session that is being made is waited for by who does not want it any more.
const MAKING: Duration = Duration::from_secs(5);
/// How long it may take to leave a session in order, and for who leaves at once.
const LEAVING: Duration = Duration::from_secs(30);
const AT_ONCE: Duration = Duration::from_secs(1);

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

/// Where a run is: what it has to leave in order, however it ends.
#[derive(Default)]
struct Held {
    server: Option<Server>,
    own: Option<Own>,
    session: Option<Begun>,
}

/// A session that is there, and where its stream is taken up.
struct Begun {
    id: SessionId,
    head: i64,
    used: Value,
}

/// Runs it; the exit code.
pub(super) async fn run(wanted: &Run) -> Result<u8, RunFailed> {
    let mut show = Show::new(wanted.json, wanted.quiet);
    let mut signals = Signals::listen()?;
    let mut held = Held::default();
    let ran = work(wanted, &mut held, &mut show, &mut signals).await;
    let used = leave(wanted, &held, &ran, &mut show, &mut signals).await;
    let said = end(wanted, &held, &ran, &used, &mut show);
    if let Some(own) = held.own {
        tokio::select! {
            ended = own.end() => if let Err(error) = ended {
                eprintln!("staithe: the server did not end well: {error}");
            },
            // Whoever does not wait leaves the sandboxes to the next server on this data directory.
            () = signals.come() => {}
        }
    }
    said.map_err(RunFailed::here)?;
    Ok(ran.map_or_else(|failed| failed.exit_code(), |ended| ended.outcome.exit_code()))
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

async fn work(
    wanted: &Run,
    held: &mut Held,
    show: &mut Show,
    signals: &mut Signals,
) -> Result<Ended, RunFailed> {
    let task = tokio::select! {
        task = task(wanted) => task?,
        () = signals.come() => return Ok(Ended::early()),
    };
    let Found { server, own } = tokio::select! {
        found = place::find(&wanted.place, Start::Always) => found?,
        () = signals.come() => return Ok(Ended::early()),
    };
    let page = own.as_ref().map(|own| own.ready.login_url.clone());
    (held.server, held.own) = (Some(server.clone()), own);
    if let Some(page) = &page {
        let words = format!("· this command is the server; the page: {page}");
        show.note(Ink::Dim, &words).map_err(RunFailed::here)?;
    }
    let Some(id) = session(wanted, task.as_deref(), &server, held, signals).await? else {
        return Ok(Ended::early());
    };
    let words = match page {
        Some(_) => format!("· session {id}"),
        None => format!("· session {id}: {}/sessions/{id}", server.url),
    };
    show.note(Ink::Dim, &words).map_err(RunFailed::here)?;
    let begun = tokio::select! {
        begun = begin(wanted, id, &server) => held.session.insert(begun?),
        () = signals.come() => return Ok(Ended::early()),
    };
    let wish = Wish {
        task,
        approve_all: wanted.yes,
        repository: wanted.repository.is_some(),
        head: begun.head,
    };
    let typed = typed::lines(wanted.task.as_deref() == Some("-"));
    Follow::new(wish, server, id, typed).run(show, signals).await
}

/// The session that is gone on in, or a new one, which is this command's to leave in order from now on; none when the
/// person did not wait for it.
async fn session(
    wanted: &Run,
    task: Option<&str>,
    server: &Server,
    held: &mut Held,
    signals: &mut Signals,
) -> Result<Option<SessionId>, RunFailed> {
    if let Some(id) = &wanted.session {
        let id = id.parse().map_err(|error| RunFailed::Usage(format!("--session: {error}")))?;
        return Ok(Some(id));
    }
    let creating = create(wanted, task.unwrap_or_default(), server);
    tokio::pin!(creating);
    let (made, waits) = tokio::select! {
        made = &mut creating => (made?, true),
        () = signals.come() => {
            // It may be made already, and nobody but this command would end it.
            let made = tokio::select! {
                made = timeout(MAKING, &mut creating) => made,
                () = signals.come() => return Ok(None),
            };
            let Ok(Ok(id)) = made else { return Ok(None) };
            (id, false)
        }
    };
    held.session = Some(Begun { id: made, head: -1, used: Value::Null });
    Ok(waits.then_some(made))
}

async fn begin(wanted: &Run, id: SessionId, server: &Server) -> Result<Begun, RunFailed> {
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

/// Leaves the session in order: what was used is looked at, and the sandbox is stopped where nothing is left to do in
/// it. What was used; null where nobody knows.
async fn leave(
    wanted: &Run,
    held: &Held,
    ran: &Result<Ended, RunFailed>,
    show: &mut Show,
    signals: &mut Signals,
) -> Value {
    let (Some(server), Some(begun)) = (&held.server, &held.session) else { return Value::Null };
    let (is_over, limit) = match ran {
        Ok(ended) if ended.left => (ended.outcome.is_over(), AT_ONCE),
        Ok(ended) => (ended.outcome.is_over(), LEAVING),
        // Nobody is there to be told.
        Err(RunFailed::Unreachable(_) | RunFailed::Cut(_)) => return Value::Null,
        Err(_) => (true, LEAVING),
    };
    let stops = is_over && wanted.session.is_none() && !wanted.keep && held.own.is_none();
    let mut now = Value::Null;
    let leaving = async {
        let at = format!("/api/sessions/{}/agent", begun.id);
        let agent = server.ask(Method::GET, &at, None).await;
        now = agent.map_or(Value::Null, |agent| used(&begun.used, &agent["used"]));
        if stops {
            let stop = format!("/api/sessions/{}/stop", begun.id);
            server.ask(Method::POST, &stop, None).await?;
        }
        Ok::<(), RunFailed>(())
    };
    let left = tokio::select! {
        left = timeout(limit, leaving) => left.unwrap_or(Ok(())),
        () = signals.come() => Ok(()),
    };
    if let Err(error) = left {
        let words = format!("the sandbox could not be stopped: {error}");
        drop(show.note(Ink::Bad, &words)); // whoever does not listen any more is told by the exit code
    }
    now
}

/// Says how it ended, what it cost and how to go on: the only place where that is said, whatever the end is.
fn end(
    wanted: &Run,
    held: &Held,
    ran: &Result<Ended, RunFailed>,
    used: &Value,
    show: &mut Show,
) -> io::Result<()> {
    let id = held.session.as_ref().map(|begun| begun.id);
    match show {
        Show::Json(_) => {
            let session = id.map_or(Value::Null, |id| id.to_string().into());
            let line = match ran {
                Ok(ended) => ended.outcome.to_json(&session, used),
                Err(failed) => failed.to_json(&session, used),
            };
            show::say(&line.to_string())?;
        }
        Show::Quiet => {
            if let Ok(ended) = ran
                && !ended.last_words.trim().is_empty()
            {
                show::say(clean(&ended.last_words).trim())?;
            }
        }
        Show::Lines(_) => {}
    }
    match ran {
        Ok(Ended { outcome: Outcome::Failed { code, why }, .. })
            if !matches!(show, Show::Lines(_)) =>
        {
            eprintln!("staithe: {} ({code})", clean(why).trim());
        }
        Ok(_) => {}
        Err(failed) => {
            show.end_line()?;
            eprintln!("staithe: {failed}");
        }
    }
    let Some(id) = id else { return Ok(()) };
    if ran.is_ok() {
        show.note(Ink::Dim, &spent(used))?;
    }
    let options = hints::options(&wanted.place, |name| std::env::var(name).ok());
    let ended = ran.as_ref().ok();
    let goes_on = ended.is_some_and(|ended| ended.goes_on);
    for words in hints::next(&options, id, ended.map(|ended| &ended.outcome), goes_on) {
        show.note(Ink::Dim, &words)?;
    }
    Ok(())
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
