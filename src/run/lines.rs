//! An event as the lines that are shown of it. Pure.
//!
//! Events are taken as JSON, so that those of other versions and of `OpenHands` are shown too.

use serde_json::Value;

use super::style::{Ink, clean, cut, grouped, seconds, visible, wrap};

/// Lines of output that are shown of a command that went well, and of one that did not.
const TAIL_GOOD: usize = 3;
const TAIL_BAD: usize = 12;
/// Tasks of a list that are shown.
const MOST_TASKS: usize = 20;

/// One line of a colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) ink: Ink,
    pub(super) text: String,
}

fn line(ink: Ink, text: impl Into<String>) -> Line {
    Line { ink, text: text.into() }
}

/// A text in an event; empty if there is none.
pub(super) fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What the agent says in an action: before it acts, or instead of it.
pub(super) fn said(event: &Value) -> &str {
    if event["source"] != "agent" {
        return "";
    }
    match text(event, "/action") {
        "" | "think" | "recall" | "system" | "condensation" => "",
        "message" => text(event, "/args/content"),
        _ => text(event, "/args/thought"),
    }
}

/// The model's call that an event comes from; empty if there is none.
pub(super) fn call(event: &Value) -> &str {
    text(event, "/tool_call_metadata/tool_call_id")
}

/// Whether somebody is asked about an action.
pub(super) fn is_asked(event: &Value) -> bool {
    event["args"]["confirmation_state"] == "awaiting_confirmation"
}

/// What is shown of an action again that somebody decided on.
pub(super) fn decided(event: &Value) -> Vec<Line> {
    match text(event, "/args/confirmation_state") {
        "rejected" => Vec::new(), // its observation says it
        _ => vec![line(Ink::Dim, "  approved")],
    }
}

/// The lines of an event, without what the agent [`said`]; `took` is how long it took, in milliseconds, for an
/// observation whose action is known.
pub(super) fn of(event: &Value, took: Option<u64>, width: usize) -> Vec<Line> {
    if event["action"].is_string() { action(event, width) } else { observation(event, took, width) }
}

/// What an action does: the tool and its object, whole, with what a terminal would obey written out.
pub(super) fn doing(event: &Value) -> Option<(&'static str, String)> {
    let arg = |name: &str| visible(text(event, &format!("/args/{name}")));
    Some(match text(event, "/action") {
        "run" if event["args"]["is_input"] == true => ("input", arg("command")),
        "run" if arg("command").trim().is_empty() => {
            ("wait", "for the command's output".to_owned())
        }
        "run" => ("run", arg("command")),
        "run_ipython" => ("python", arg("code")),
        "read" => ("read", arg("path")),
        "write" => ("write", arg("path")),
        "edit" => {
            let command = arg("command");
            let path = arg("path");
            ("edit", if command.is_empty() { path } else { format!("{path} ({command})") })
        }
        "browse" => ("browse", arg("url")),
        "browse_interactive" => ("browser", arg("browser_actions")),
        "call_tool_mcp" => {
            let arguments = visible(&event["args"]["arguments"].to_string());
            ("tool", format!("{} {arguments}", arg("name")))
        }
        "delegate" => {
            let task = visible(text(event, "/args/inputs/task"));
            ("delegate", format!("{}: {task}", arg("agent")))
        }
        _ => return None,
    })
}

fn action(event: &Value, width: usize) -> Vec<Line> {
    let by_agent = event["source"] == "agent";
    if let Some((tool, object)) = doing(event) {
        let room = width.saturating_sub(tool.len() + 4);
        return match text(event, "/args/confirmation_state") {
            "awaiting_confirmation" => {
                let mut lines = vec![line(Ink::Ask, format!("? {tool}  {}", cut(&object, room)))];
                lines.extend(why_asked(event).map(|why| line(Ink::Ask, format!("  {why}"))));
                lines
            }
            "rejected" => Vec::new(),
            _ if !by_agent => vec![line(Ink::Dim, format!("· {tool}  {}", cut(&object, room)))],
            _ => vec![line(Ink::Bold, format!("● {tool}  {}", cut(&object, room)))],
        };
    }
    match text(event, "/action") {
        "think" => indented(Ink::Dim, text(event, "/args/thought"), width),
        "finish" => {
            let last = text(event, "/args/final_thought");
            let last = if last.is_empty() { text(event, "/args/outputs/content") } else { last };
            let mut lines = vec![line(Ink::Good, "✓ finished")];
            lines.extend(paragraph(Ink::Plain, last, width));
            lines
        }
        "reject" => {
            let reason = text(event, "/args/outputs/reason");
            let mut lines = vec![line(Ink::Bad, "✗ declined")];
            lines.extend(paragraph(Ink::Plain, reason, width));
            lines
        }
        "message" if event["source"] == "user" => {
            let mut lines = Vec::new();
            for (number, words) in
                wrap(&clean(text(event, "/args/content")), width.saturating_sub(2))
                    .into_iter()
                    .enumerate()
            {
                lines.push(line(
                    Ink::Bold,
                    format!("{} {words}", if number == 0 { ">" } else { " " }),
                ));
            }
            lines
        }
        "condensation" => vec![line(Ink::Dim, "  history condensed")],
        _ => Vec::new(),
    }
}

/// Why a person is asked.
pub(super) fn why_asked(event: &Value) -> Option<String> {
    let asked = &event["tool_call_metadata"]["confirmation"];
    let words = |list: &Value| {
        let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(", ")
    };
    let risk = match event["args"]["security_risk"].as_i64() {
        Some(0) => "low",
        Some(1) => "medium",
        Some(2) => "high",
        _ => "unknown",
    };
    let rules = words(&asked["rules"]);
    let rules = if rules.is_empty() { rules } else { format!(" ({rules})") };
    (!asked.is_null() || event["args"]["security_risk"].is_i64())
        .then(|| clean(&format!("risk: {risk}{rules}")))
}

fn observation(event: &Value, took: Option<u64>, width: usize) -> Vec<Line> {
    let content = text(event, "/content");
    let after = took.map(|took| format!(" · {}", seconds(took))).unwrap_or_default();
    match text(event, "/observation") {
        "run" => command(event, &after, width),
        "run_ipython" => outcome("done", true, &after, content, width),
        "read" | "write" | "edit" | "browse" | "mcp" | "download" | "delegate" => {
            let bad = event["extras"]["error"] == true;
            let words = if bad { "failed" } else { "done" };
            let shown = matches!(text(event, "/observation"), "mcp" | "delegate") || bad;
            outcome(words, !bad, &after, if shown { content } else { "" }, width)
        }
        "error" | "user_rejected" => {
            let words = wrap(&clean(content), width.saturating_sub(4)).into_iter().enumerate();
            let mark = |number| if number == 0 { "✗" } else { " " };
            words.map(|(at, words)| line(Ink::Bad, format!("  {} {words}", mark(at)))).collect()
        }
        "task_tracking" => tasks(event, width),
        "model_retry" => vec![line(Ink::Ask, retry(event))],
        "agent_state_changed" => state(event),
        "phase_changed" => phase(event, width),
        "repository" => repository(event, width),
        "loop_detection" => paragraph(Ink::Bad, content, width),
        _ => Vec::new(),
    }
}

fn command(event: &Value, after: &str, width: usize) -> Vec<Line> {
    let code =
        event.pointer("/extras/metadata/exit_code").or_else(|| event.pointer("/extras/exit_code"));
    let code = code.and_then(Value::as_i64).unwrap_or(0);
    let words = if code == -1 { "still running".to_owned() } else { format!("exit {code}") };
    outcome(&words, code <= 0, after, text(event, "/content"), width)
}

/// How a step ended and the end of what it printed.
fn outcome(words: &str, good: bool, after: &str, printed: &str, width: usize) -> Vec<Line> {
    let printed = clean(printed);
    let all: Vec<&str> = printed.trim_end().lines().filter(|it| !it.trim().is_empty()).collect();
    let most = if good { TAIL_GOOD } else { TAIL_BAD };
    let hidden = all.len().saturating_sub(most);
    let mut lines = Vec::new();
    if hidden > 0 {
        let hidden = u64::try_from(hidden).unwrap_or(u64::MAX);
        lines.push(line(Ink::Dim, format!("  │ … {} lines above", grouped(hidden))));
    }
    let shown = all.iter().skip(hidden);
    lines.extend(
        shown.map(|it| line(Ink::Dim, format!("  │ {}", cut_kept(it, width.saturating_sub(4))))),
    );
    let mark = if good { "✓" } else { "✗" };
    lines.push(line(if good { Ink::Good } else { Ink::Bad }, format!("  {mark} {words}{after}")));
    lines
}

/// As [`cut`], with the spaces that it begins with.
fn cut_kept(text: &str, width: usize) -> String {
    let spaces = text.chars().take_while(|c| *c == ' ').count().min(width / 2);
    format!("{}{}", " ".repeat(spaces), cut(text, width - spaces))
}

fn tasks(event: &Value, width: usize) -> Vec<Line> {
    let tasks = event["extras"]["task_list"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = tasks.iter().take(MOST_TASKS).map(|task| {
        let mark = match text(task, "/status") {
            "done" => "✓",
            "in_progress" => "▸",
            _ => "·",
        };
        line(
            Ink::Dim,
            format!("  {mark} {}", cut(&clean(text(task, "/title")), width.saturating_sub(4))),
        )
    });
    shown.collect()
}

fn retry(event: &Value) -> String {
    let number = |name: &str| event["extras"][name].as_u64().unwrap_or(0);
    let why = match text(event, "/extras/code") {
        "model.rate_limited" => "the provider takes no more requests now",
        "model.context_too_long" => {
            return "↻ the model reads less than that: condensed".to_owned();
        }
        _ => "the model did not answer",
    };
    let (attempt, most) = (number("attempt"), number("most"));
    format!("↻ {why}; asked again in {} ({attempt} of {most})", seconds(number("wait_ms")))
}

fn state(event: &Value) -> Vec<Line> {
    let reason = text(event, "/extras/reason");
    match (text(event, "/extras/agent_state"), reason) {
        ("paused", "limit.no_price") => {
            vec![line(Ink::Ask, "⏸ no price is known for its model: its cost can't be limited")]
        }
        ("paused", reason) if reason.starts_with("limit.") => {
            vec![line(
                Ink::Ask,
                format!("⏸ the limit of {} is reached", reason.trim_start_matches("limit.")),
            )]
        }
        ("paused", "crash") => {
            vec![line(Ink::Ask, "⏸ the server was started anew amid the work: paused")]
        }
        ("paused", _) => vec![line(Ink::Ask, "⏸ paused")],
        ("stopped", _) => vec![line(Ink::Ask, "■ stopped")],
        _ => Vec::new(),
    }
}

fn phase(event: &Value, width: usize) -> Vec<Line> {
    match text(event, "/extras/phase") {
        "failed" => {
            let fault = &event["extras"]["fault"];
            let mut lines = vec![line(Ink::Bad, "✗ there is no sandbox")];
            lines.extend(indented(Ink::Bad, text(fault, "/cause"), width));
            lines.extend(indented(Ink::Plain, text(fault, "/remedy"), width));
            let log = fault["log_tail"].as_array().into_iter().flatten().filter_map(Value::as_str);
            lines.extend(log.map(|it| {
                line(Ink::Dim, format!("  │ {}", cut(&clean(it), width.saturating_sub(4))))
            }));
            lines
        }
        "ready" => vec![line(Ink::Dim, "· the sandbox is ready")],
        "starting" if ["image", "build", "queue"].contains(&text(event, "/extras/step")) => {
            vec![line(
                Ink::Dim,
                format!("· {}", cut(&clean(text(event, "/content")), width.saturating_sub(2))),
            )]
        }
        "suspended" | "stopped" => {
            vec![line(Ink::Dim, format!("· {}", clean(text(event, "/content"))))]
        }
        _ => Vec::new(),
    }
}

fn repository(event: &Value, width: usize) -> Vec<Line> {
    let url = clean(text(event, "/extras/url"));
    let room = width.saturating_sub(12);
    match text(event, "/extras/state") {
        "cloning" => vec![line(Ink::Dim, format!("· cloning {}", cut(&url, room)))],
        "failed" => {
            let mut lines = vec![line(Ink::Bad, format!("✗ not cloned: {}", cut(&url, room)))];
            lines.extend(indented(Ink::Bad, text(event, "/content"), width));
            lines
        }
        state => {
            let commit: String = text(event, "/extras/commit").chars().take(10).collect();
            let folder = clean(text(event, "/extras/folder"));
            vec![line(Ink::Dim, format!("· {} in {folder}/ at {}", clean(state), clean(&commit)))]
        }
    }
}

/// A text as it is said.
pub(super) fn paragraph(ink: Ink, words: &str, width: usize) -> Vec<Line> {
    let words = clean(words);
    wrap(words.trim(), width).into_iter().map(|text| line(ink, text)).collect()
}

fn indented(ink: Ink, words: &str, width: usize) -> Vec<Line> {
    let words = clean(words);
    let wrapped = wrap(words.trim(), width.saturating_sub(2)).into_iter();
    wrapped.map(|text| line(ink, format!("  {text}"))).collect()
}

#[cfg(test)]
mod tests;
