//! A session followed to the end of a task: what comes is shown, what is asked is asked, Ctrl-C stops the agent.

use std::{pin::Pin, time::Duration};

use hyper::Method;
use serde_json::{Value, json};
use staithe_protocol::SessionId;
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep},
};

use super::{
    asked,
    begin::Signals,
    course::{Course, Outcome, Standing},
    lines::{doing, is_asked, text, why_asked},
    show::Show,
    socket::{News, Stream},
    style::Ink,
    typed::{self, Word},
    wire::{RunFailed, Server},
};

/// Events before the head that are read again, to know what a session that is gone on with waits for.
const LOOK_BACK: i64 = 200;
/// How often in a row an answer may be refused.
const MOST_REFUSALS: u32 = 3;
/// How long the agent may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// What is wanted.
pub(super) struct Wish {
    /// None: what is there is gone on with.
    pub(super) task: Option<String>,
    pub(super) approve_all: bool,
    /// One is cloned before the task is told.
    pub(super) repository: bool,
    /// The newest event that is not shown; −1: all are.
    pub(super) head: i64,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// What the agent said last.
    pub(super) last_words: String,
    /// The person did not wait for the end.
    pub(super) left: bool,
    /// The session has something to go on with without a further task.
    pub(super) goes_on: bool,
}

impl Ended {
    /// By the person, before there was anything to follow.
    pub(super) fn early() -> Self {
        let (outcome, last_words) = (Outcome::Interrupted, String::new());
        Self { outcome, last_words, left: false, goes_on: false }
    }
}

/// What the person is being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    None,
    /// Whether an action is agreed to.
    Approve,
    /// Why not.
    Why,
    /// What the agent asks.
    Reply,
}

/// See the module.
pub(super) struct Follow {
    wish: Wish,
    stream: Stream,
    typed: Option<mpsc::Receiver<String>>,
    course: Course,
    /// All events up to the head came.
    caught_up: bool,
    /// The ref of the command with which the run begins.
    beginning: Option<String>,
    /// The ref of the command that stops it, and how long that is waited for.
    stopping: Option<(String, Pin<Box<Sleep>>)>,
    question: Question,
    /// The state's event that was answered already.
    answered: Option<u64>,
    /// The ref of that answer, how often one was refused in a row, and whether it is a message.
    answer: Option<String>,
    refusals: u32,
    server: Server,
    session: SessionId,
}

impl Follow {
    pub(super) fn new(
        wish: Wish,
        server: Server,
        session: SessionId,
        typed: Option<mpsc::Receiver<String>>,
    ) -> Self {
        let after = (wish.head - LOOK_BACK).max(-1);
        Self {
            stream: Stream::join(server.clone(), session, after),
            wish,
            typed,
            course: Course::default(),
            caught_up: false,
            beginning: None,
            stopping: None,
            question: Question::None,
            answered: None,
            answer: None,
            refusals: 0,
            server,
            session,
        }
    }

    /// Follows it to its end.
    pub(super) async fn run(
        mut self,
        show: &mut Show,
        signals: &mut Signals,
    ) -> Result<Ended, RunFailed> {
        loop {
            if let Some(outcome) = self.next(show).await? {
                return self.ended(outcome, false, show);
            }
            let late = self.stopping.as_mut().map(|(_, late)| late);
            tokio::select! {
                news = self.stream.news.recv() => match news {
                    None => return Err(RunFailed::cut("the session's stream ended")),
                    Some(News::Gone(failed)) => return Err(failed),
                    Some(News::Lost(why)) => {
                        let words = format!("… the connection is lost ({why}); joining again");
                        show.note(Ink::Ask, &words).map_err(RunFailed::here)?;
                    }
                    Some(News::Later(why)) => {
                        let words = format!("· not now: {why}; asked again soon");
                        show.note(Ink::Dim, &words).map_err(RunFailed::here)?;
                    }
                    Some(News::Back) => {
                        show.note(Ink::Dim, "· connected again").map_err(RunFailed::here)?;
                    }
                    Some(News::Frame(frame, written)) => {
                        if let Some(outcome) = self.frame(&frame, &written, show)? {
                            return self.ended(outcome, false, show);
                        }
                    }
                },
                line = next_line(&mut self.typed) => match line {
                    None if self.question == Question::Reply => {
                        return self.ended(Outcome::Asks, false, show);
                    }
                    None if self.question == Question::None => {}
                    None => return self.ended(Outcome::NeedsApproval, false, show),
                    Some(line) => {
                        if let Some(outcome) = self.typed(&line, show).await? {
                            return self.ended(outcome, false, show);
                        }
                    }
                },
                () = signals.come() => {
                    if self.stopping.is_some() {
                        return self.ended(Outcome::Interrupted, true, show);
                    }
                    if self.beginning.is_none() {
                        return self.ended(Outcome::Interrupted, false, show);
                    }
                    self.stop(show).await?;
                }
                () = wait(late) => {
                    let words = "the agent did not stop in time; it is told to, and may still";
                    show.note(Ink::Bad, words).map_err(RunFailed::here)?;
                    return self.ended(Outcome::Interrupted, false, show);
                }
            }
        }
    }

    fn ended(self, outcome: Outcome, left: bool, show: &mut Show) -> Result<Ended, RunFailed> {
        if self.question != Question::None && self.typed.is_some() {
            eprintln!();
        }
        show.end_line().map_err(RunFailed::here)?;
        let last_words = self.course.last_words().to_owned();
        let goes_on = matches!(self.course.state(), "paused" | "error");
        Ok(Ended { outcome, last_words, left, goes_on })
    }

    /// What follows from how it stands; an outcome when nothing more does.
    async fn next(&mut self, show: &mut Show) -> Result<Option<Outcome>, RunFailed> {
        if self.beginning.is_none() {
            let outcome = self.begin(show).await?;
            if outcome.is_some() || self.beginning.is_none() {
                return Ok(outcome);
            }
        }
        let is_answered = self.answered == Some(self.course.state_event());
        match self.course.standing() {
            Standing::Ended(Outcome::Asks) if self.typed.is_some() && self.stopping.is_none() => {
                if !is_answered && self.question != Question::Reply {
                    self.question = Question::Reply;
                    show.end_line().map_err(RunFailed::here)?;
                    typed::ask("your answer (Enter alone ends): ");
                }
            }
            Standing::Ended(Outcome::Asks) | Standing::WaitsForApproval(_)
                if is_answered || self.stopping.is_some() => {}
            Standing::Ended(outcome) => return Ok(Some(outcome)),
            Standing::WaitsForApproval(_) if self.wish.approve_all => {
                self.decide(&Word::Yes).await;
            }
            Standing::WaitsForApproval(action) => {
                if self.typed.is_none() {
                    return Ok(Some(Outcome::NeedsApproval));
                }
                if !matches!(self.question, Question::Approve | Question::Why) {
                    let action = if action.is_null() {
                        // It is older than what was read again.
                        let asked = self.look_back().await?;
                        self.course.waits_on(asked.clone());
                        asked
                    } else {
                        action
                    };
                    self.ask(&action, false, show)?;
                }
            }
            Standing::Works => {
                if self.question != Question::None && !is_answered {
                    self.question = Question::None;
                    eprintln!();
                    let words = "· somebody else answered";
                    show.note(Ink::Dim, words).map_err(RunFailed::here)?;
                }
            }
        }
        Ok(None)
    }

    /// Asks about an action, with all that is agreed to above the question.
    fn ask(&mut self, action: &Value, whole: bool, show: &mut Show) -> Result<(), RunFailed> {
        let seen = show.columns().map(|columns| columns.saturating_sub(14));
        let Some(asked) = asked::of(action, seen, whole) else {
            let why = "what it asks about is not known here: decide in the page".to_owned();
            return Err(RunFailed::Here(why));
        };
        self.question = Question::Approve;
        show.end_line().map_err(RunFailed::here)?;
        if let Show::Lines(screen) = show
            && !whole
            && action["id"].as_i64().is_some_and(|id| id <= self.wish.head)
        {
            screen.event(action).map_err(RunFailed::here)?;
        }
        if seen.is_none()
            && !whole
            && let Some((tool, _)) = doing(action)
        {
            eprintln!("? {tool}\n  {}", why_asked(action).unwrap_or_default());
        }
        asked.lines.iter().for_each(|line| eprintln!("{line}"));
        typed::ask(if asked.more {
            "  [y]es, [n]o and why, [a]ll of this kind, [w]hole text first: "
        } else {
            "  [y]es, [n]o and why, [a]ll of this kind: "
        });
        Ok(())
    }

    /// The action that is waited on, from the log: the newest that anybody was asked about.
    async fn look_back(&self) -> Result<Value, RunFailed> {
        let mut end = self.wish.head;
        while end >= 0 {
            let after = (end - LOOK_BACK).max(-1);
            let (session, limit) = (self.session, end - after);
            let at = format!("/api/sessions/{session}/events?after={after}&limit={limit}");
            let page = self.server.ask(Method::GET, &at, None).await?;
            let events = page["events"].as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(asked) = events.iter().rev().find(|event| is_asked(event)) {
                return Ok(asked.clone());
            }
            end = after;
        }
        let why = "it waits for an approval, and what of is not in its events: decide in the page";
        Err(RunFailed::Here(why.to_owned()))
    }

    /// Tells the task once it can be told, or goes on with what is there.
    async fn begin(&mut self, show: &mut Show) -> Result<Option<Outcome>, RunFailed> {
        if let Some(outcome) = self.course.fault()
            && self.wish.head < 0
        {
            return Ok(Some(outcome.clone()));
        }
        if !self.caught_up || self.wish.repository && !self.course.has_repository() {
            return Ok(self.course.lacks_repository().cloned());
        }
        if let Some(task) = self.wish.task.take() {
            let action = json!({ "action": "message", "args": { "content": task } });
            self.beginning = Some(self.stream.act(&action).await);
            return Ok(None);
        }
        match self.course.state() {
            "paused" | "error" => {
                show.note(Ink::Dim, "· going on").map_err(RunFailed::here)?;
                let action = changed("running");
                self.beginning = Some(self.stream.act(&action).await);
            }
            "running"
            | "rate_limited"
            | "user_confirmed"
            | "user_rejected"
            | "awaiting_user_confirmation" => self.take_up(),
            "awaiting_user_input" if self.typed.is_some() => self.take_up(),
            state => {
                let words = if state == "awaiting_user_input" {
                    "the agent waits for an answer: give it as the task"
                } else {
                    "there is nothing to go on with in this session: say what is to be done"
                };
                return Err(RunFailed::Usage(words.to_owned()));
            }
        }
        Ok(None)
    }

    fn take_up(&mut self) {
        self.beginning = Some(String::new());
        self.course.begin(self.course.state_event());
    }

    fn frame(
        &mut self,
        frame: &Value,
        written: &str,
        show: &mut Show,
    ) -> Result<Option<Outcome>, RunFailed> {
        match text(frame, "/type") {
            "hello" => {
                self.caught_up |= self.wish.head < 0;
                self.course.hello(text(frame, "/agent_state"));
            }
            "event" => {
                let event = &frame["event"];
                self.course.event(event);
                let id = event["id"].as_i64().unwrap_or(-1);
                self.caught_up |= id >= self.wish.head;
                if id <= self.wish.head {
                    return Ok(None);
                }
                // Whatever is told goes below the question, which is asked again.
                if self.question != Question::None && self.course.state_event() != event["id"] {
                    eprintln!();
                }
            }
            "expired" => self.caught_up = true,
            "done" => {
                let reference = Some(text(frame, "/ref"));
                if self.answer.as_deref() == reference {
                    self.refusals = 0;
                }
                if self.beginning.as_deref() == reference
                    && let Some(event) = frame["event_id"].as_u64()
                {
                    self.course.begin(event);
                }
            }
            "denied" | "unavailable" | "failed" => return self.refused(frame, show),
            _ => {}
        }
        show.frame(frame, written).map_err(RunFailed::here)?;
        Ok(None)
    }

    /// A command was not taken.
    fn refused(&mut self, frame: &Value, show: &mut Show) -> Result<Option<Outcome>, RunFailed> {
        let (code, why) = (text(frame, "/code").to_owned(), text(frame, "/reason").to_owned());
        let reference = text(frame, "/ref");
        if self.stopping.as_ref().is_some_and(|(stop, _)| stop == reference) {
            return Ok(Some(Outcome::Interrupted));
        }
        if self.answer.as_deref() != Some(reference) && self.beginning.as_deref() == Some(reference)
        {
            show.note(Ink::Bad, &format!("✗ {why} ({code})")).map_err(RunFailed::here)?;
            return Ok(Some(Outcome::Failed { code, why }));
        }
        show.note(Ink::Ask, &format!("· not taken: {why} ({code})")).map_err(RunFailed::here)?;
        if self.answer.as_deref() == Some(reference) {
            // Somebody else was faster, and the events tell; or it is asked again.
            (self.answer, self.answered) = (None, None);
            self.refusals += 1;
            if self.refusals >= MOST_REFUSALS {
                return Ok(Some(Outcome::Failed { code, why }));
            }
        }
        Ok(None)
    }

    async fn typed(&mut self, line: &str, show: &mut Show) -> Result<Option<Outcome>, RunFailed> {
        match (self.question, Word::of(line)) {
            (Question::None, _) => {}
            (Question::Approve, Some(Word::No(None))) => {
                self.question = Question::Why;
                typed::ask("  why not (Enter: no reason): ");
            }
            (Question::Approve, Some(Word::Whole)) => {
                if let Standing::WaitsForApproval(action) = self.course.standing() {
                    self.ask(&action, true, show)?;
                }
            }
            (Question::Approve, Some(word)) => self.decide(&word).await,
            (Question::Approve, None) => typed::ask("  y, n, a or w: "),
            (Question::Why, _) => {
                let reason = Some(line.trim().to_owned()).filter(|reason| !reason.is_empty());
                self.decide(&Word::No(reason)).await;
            }
            (Question::Reply, _) if line.trim().is_empty() => return Ok(Some(Outcome::Asks)),
            (Question::Reply, _) => {
                let action = json!({ "action": "message", "args": { "content": line } });
                self.question = Question::None;
                self.answered = Some(self.course.state_event());
                self.answer = Some(self.stream.act(&action).await);
                self.beginning.clone_from(&self.answer);
                show.end_line().map_err(RunFailed::here)?;
            }
        }
        Ok(None)
    }

    async fn decide(&mut self, word: &Word) {
        let mut action = match word {
            Word::Whole => return, // nothing is decided
            Word::Yes => changed("user_confirmed"),
            Word::All => {
                let mut action = changed("user_confirmed");
                action["args"]["scope"] = "kind".into();
                action
            }
            Word::No(reason) => {
                let mut action = changed("user_rejected");
                action["args"]["thought"] = reason.clone().unwrap_or_default().into();
                action
            }
        };
        // Whoever is asked about another action by now is not decided for.
        if let Standing::WaitsForApproval(asked) = self.course.standing() {
            action["args"]["action_id"] = asked["id"].clone();
        }
        self.question = Question::None;
        self.answered = Some(self.course.state_event());
        self.answer = Some(self.stream.act(&action).await);
    }

    async fn stop(&mut self, show: &mut Show) -> Result<(), RunFailed> {
        self.course.stop();
        if self.question != Question::None {
            eprintln!();
            self.question = Question::None;
        }
        let words = "■ stopping the agent; Ctrl-C again leaves at once";
        show.note(Ink::Ask, words).map_err(RunFailed::here)?;
        let reference = self.stream.act(&changed("stopped")).await;
        self.stopping = Some((reference, Box::pin(sleep(STOP))));
        Ok(())
    }
}

/// A change of the agent's state.
fn changed(state: &str) -> Value {
    json!({ "action": "change_agent_state", "args": { "agent_state": state } })
}

/// The next line, if somebody types.
async fn next_line(typed: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match typed {
        None => std::future::pending().await,
        Some(lines) => {
            let line = lines.recv().await;
            if line.is_none() {
                // Ctrl-D: nobody is there any more.
                *typed = None;
            }
            line
        }
    }
}

async fn wait(late: Option<&mut Pin<Box<Sleep>>>) {
    match late {
        None => std::future::pending().await,
        Some(late) => late.await,
    }
}

#[cfg(test)]
mod tests;
