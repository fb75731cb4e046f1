//! A call as an action. Pure.

use serde_json::{Map, Value, json};
use staithe_protocol::{
    Action,
    action::{
        Browse, BrowseInteractive, CallToolMcp, Delegate, Edit, Finish, Read, Run, RunIpython,
        TaskTracking, Think,
    },
};

use super::{
    Called, Misread, Offer,
    arguments::{Arguments, short, whole},
    cut::is_cut,
    specs::{self, LONGEST_TIMEOUT, MOST_TASKS, Tool},
    words,
};
use crate::model::ToolCall;

/// The editor's kind of editing and viewing.
const BY_COMMAND: &str = "oh_aci";

/// Reads a call of a tool that is offered.
pub fn read_call(call: &ToolCall, offer: &Offer) -> Result<Called, Misread> {
    if is_cut(call) {
        return Err(Misread::Cut { tool: short(&call.name) });
    }
    if let Some(tool) = specs::own(offer).find(|tool| tool.name() == call.name) {
        let arguments = Arguments::parse(tool.name(), &call.arguments)?;
        arguments.check(tool.arguments())?;
        return own(tool, arguments);
    }
    let mut foreign = specs::mcp(offer);
    if let Some(at) = foreign.iter().position(|(name, _)| *name == call.name) {
        let arguments = Arguments::parse(&call.name, &call.arguments)?.into_all();
        let name = foreign.swap_remove(at).1.name.clone();
        let thought = String::new();
        let action = CallToolMcp { name, arguments, thought, ..CallToolMcp::default() };
        return Ok(Called { action: Action::CallToolMcp(action), timeout: None, risk: None });
    }
    let own = specs::own(offer).map(|tool| tool.name().to_owned());
    let names: Vec<String> = own.chain(foreign.into_iter().map(|(name, _)| name)).collect();
    let nearest = nearest(&call.name, &names).map(str::to_owned);
    Err(Misread::UnknownTool { name: short(&call.name), nearest, names })
}

fn own(tool: Tool, mut arguments: Arguments<'_>) -> Result<Called, Misread> {
    let plain = |action| Ok(Called { action, timeout: None, risk: None });
    match tool {
        Tool::Bash => bash(arguments),
        Tool::Python => {
            let risk = arguments.risk()?;
            let code = arguments.needed("code")?;
            let action = RunIpython { code, security_risk: risk, ..RunIpython::default() };
            Ok(Called { action: Action::RunIpython(action), timeout: None, risk })
        }
        Tool::Editor => editor(arguments),
        Tool::Browser => {
            let browser_actions = arguments.needed("code")?;
            let return_axtree = true; // the numbers of elements are told in it
            let action = BrowseInteractive {
                browser_actions,
                return_axtree,
                ..BrowseInteractive::default()
            };
            plain(Action::BrowseInteractive(action))
        }
        Tool::WebRead => {
            let url = arguments.needed("url")?;
            plain(Action::Browse(Browse { url, ..Browse::default() }))
        }
        Tool::Think => plain(Action::Think(Think { thought: arguments.needed("thought")? })),
        Tool::Tasks => plain(Action::TaskTracking(task_list(arguments)?)),
        Tool::Finish => {
            let final_thought = arguments.needed("message")?;
            plain(Action::Finish(Finish { final_thought, ..Finish::default() }))
        }
        Tool::Delegate => {
            let task = arguments.needed("task")?;
            if task.trim().is_empty() {
                return Err(arguments.wrong("task", "a text that says what is to be done"));
            }
            let inputs = Map::from_iter([("task".to_owned(), Value::from(task))]);
            let agent = words::AGENT.to_owned();
            plain(Action::Delegate(Delegate { agent, inputs, ..Delegate::default() }))
        }
        Tool::Condense => plain(Action::CondensationRequest),
    }
}

fn bash(mut arguments: Arguments<'_>) -> Result<Called, Misread> {
    let risk = arguments.risk()?;
    let timeout = arguments.seconds("timeout", LONGEST_TIMEOUT)?;
    let is_input = arguments.flag("is_input")?;
    let command = arguments.needed("command")?;
    let action = Action::Run(Run {
        command,
        is_input,
        // Who names a limit waits for the end.
        blocking: timeout.is_some(),
        security_risk: risk,
        ..Run::default()
    });
    Ok(Called { action, timeout, risk })
}

fn editor(mut arguments: Arguments<'_>) -> Result<Called, Misread> {
    let risk = arguments.risk()?;
    let command = arguments.needed("command")?;
    let path = arguments.needed("path")?;
    let impl_source = BY_COMMAND.to_owned();
    if command == "view" {
        let view_range = view_range(&mut arguments)?;
        let action = Read { path, impl_source, view_range, security_risk: risk, ..Read::default() };
        return Ok(Called { action: Action::Read(action), timeout: None, risk });
    }
    let needed: &[&str] = match command.as_str() {
        "create" => &["file_text"],
        "str_replace" => &["old_str"],
        "insert" => &["insert_line", "new_str"],
        "undo_edit" => &[],
        _ => {
            let wanted = "`view`, `create`, `str_replace`, `insert` or `undo_edit`";
            return Err(arguments.wrong("command", wanted));
        }
    };
    let edit = Edit {
        path,
        impl_source,
        file_text: arguments.text("file_text")?,
        old_str: arguments.text("old_str")?,
        new_str: arguments.text("new_str")?,
        insert_line: arguments.whole("insert_line")?,
        security_risk: risk,
        ..Edit::default()
    };
    let is_there = |name: &str| match name {
        "file_text" => edit.file_text.is_some(),
        "old_str" => edit.old_str.is_some(),
        "new_str" => edit.new_str.is_some(),
        _ => edit.insert_line.is_some(),
    };
    if let Some(missing) = needed.iter().find(|name| !is_there(name)) {
        return Err(arguments.missing(missing, Some(&format!("for `{command}`"))));
    }
    let action = Action::Edit(Edit { command, ..edit });
    Ok(Called { action, timeout: None, risk })
}

fn view_range(arguments: &mut Arguments<'_>) -> Result<Option<[i64; 2]>, Misread> {
    const NAME: &str = "view_range";
    let Some(range) = arguments.list(NAME)? else { return Ok(None) };
    match range.iter().map(whole).collect::<Option<Vec<i64>>>().as_deref() {
        Some([]) => Ok(None),
        Some([first, last]) => Ok(Some([*first, *last])),
        _ => Err(arguments.wrong(NAME, "a list of two whole numbers, as in [1, 40]")),
    }
}

fn task_list(mut arguments: Arguments<'_>) -> Result<TaskTracking, Misread> {
    const NAME: &str = "task_list";
    let command = arguments.needed("command")?;
    let list = arguments.list(NAME)?;
    let task_list = match (command.as_str(), list) {
        ("view", _) => Vec::new(),
        ("plan", None) => return Err(arguments.missing(NAME, Some("for `plan`"))),
        ("plan", Some(list)) if list.len() > MOST_TASKS => {
            return Err(arguments.wrong(NAME, &format!("a list of at most {MOST_TASKS} tasks")));
        }
        ("plan", Some(list)) => {
            let tasks = list.iter().enumerate().map(|(at, value)| task(at, value));
            tasks.collect::<Option<_>>().ok_or_else(|| {
                let wanted = "a list of objects with `id`, `title`, `status` (`todo`, `in_progress` or `done`) and maybe `notes`";
                arguments.wrong(NAME, wanted)
            })?
        }
        _ => return Err(arguments.wrong("command", "`view` or `plan`")),
    };
    Ok(TaskTracking { command, task_list, thought: String::new() })
}

/// A task in its one form; none if it is none.
fn task(at: usize, value: &Value) -> Option<Value> {
    let of = value.as_object()?;
    if of.keys().any(|name| !matches!(name.as_str(), "id" | "title" | "status" | "notes")) {
        return None;
    }
    let text = |name: &str| match of.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        Some(Value::Number(number)) if name == "id" => Some(Some(number.to_string())),
        Some(_) => None,
    };
    let status = text("status")?.unwrap_or_else(|| "todo".to_owned());
    if !matches!(status.as_str(), "todo" | "in_progress" | "done") {
        return None;
    }
    Some(json!({
        "id": text("id")?.unwrap_or_else(|| (at + 1).to_string()),
        "title": text("title")??,
        "status": status,
        "notes": text("notes")?.unwrap_or_default(),
    }))
}

/// The name that was probably meant: one that holds it or is held by it, else one that few letters make of it.
fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let name: String = name.to_lowercase().chars().take(60).collect();
    let least = names.iter().map(|known| {
        let inside = name.len() > 2 && (known.contains(&name) || name.contains(known.as_str()));
        (if inside { 0 } else { distance(&name, known) }, known)
    });
    let (least, known) = least.min_by_key(|(least, _)| *least)?;
    (least * 3 <= known.chars().count()).then_some(known)
}

/// Letters to add, drop or change.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests;
