//! An observation as text for the model. Pure.

use serde_json::Value;
use staithe_protocol::{
    Observation,
    action::RecallType,
    observation::{
        BrowseObservation, EditObservation, McpObservation, RecallObservation, RunObservation,
    },
};

use super::pictures;
use crate::model::Image;

/// A result as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolText {
    /// Never empty.
    pub text: String,
    /// For models that see pictures.
    pub images: Vec<Image>,
}

/// Where what was left out of a command's output is.
const OF_COMMAND: &str =
    "to see all of it, run the command again with its output in a file, and look at parts of that";
/// Stands where the sandbox itself left out the middle.
const CUT_BY_RUNNER: &str = "[... Observation truncated due to length ...]";
const OF_FILE: &str = "view the rest by `view_range`";
const OF_PAGE: &str = "scroll, or open the part that you need";

/// How an observation is told to the model, in at most so many characters beside what stands around its content.
pub fn result_of(observation: &Observation, most: usize) -> ToolText {
    let (text, images) = match observation {
        Observation::Run(run) => (run_text(run, most), Vec::new()),
        Observation::RunIpython(cell) => {
            let text = clipped(&cell.content, most, Some(OF_COMMAND));
            let images = cell.image_urls.iter().flatten().cloned().map(Image).collect();
            (text, images)
        }
        Observation::Browse(page) => browse(page, most),
        Observation::Read(read) => (clipped(&read.content, most, Some(OF_FILE)), Vec::new()),
        Observation::Write(write) => {
            let text = format!("The file {} was written.\n{}", write.path, write.content);
            (clipped(&text, most, None), Vec::new())
        }
        Observation::Edit(edit) => (edit_text(edit, most), Vec::new()),
        Observation::Error(error) => {
            let text = clipped(&error.content, most, None);
            (format!("{text}\n[Error occurred in processing last action]"), Vec::new())
        }
        Observation::UserRejected { content } => {
            let text = clipped(content, most, None);
            (format!("{text}\n[Last action has been rejected by the user]"), Vec::new())
        }
        Observation::Mcp(mcp) => mcp_text(mcp, most),
        Observation::Delegate(delegate) => {
            let of_outputs = delegate.outputs.get("content").and_then(Value::as_str);
            let content = if delegate.content.is_empty() {
                of_outputs.unwrap_or_default()
            } else {
                &delegate.content
            };
            (clipped(content, most, None), Vec::new())
        }
        Observation::Recall(recall) => (recall_text(recall, most), Vec::new()),
        Observation::TaskTracking(tasks) => {
            let list = task_list(&tasks.task_list);
            let text = [tasks.content.as_str(), &list].join("\n");
            (clipped(text.trim(), most, None), Vec::new())
        }
        other => (clipped(&other.content(), most, None), Vec::new()),
    };
    let text = if text.trim().is_empty() { "[No output.]".to_owned() } else { text };
    ToolText { text, images }
}

/// Without pictures in base64, which are no text, and cut.
fn clipped(text: &str, most: usize, whole: Option<&str>) -> String {
    clip(&pictures::without(text), most, whole)
}

/// A text's head and tail, at most so many characters, with a note between them where something is left out; `whole`
/// says how to see it.
pub fn clip(text: &str, most: usize, whole: Option<&str>) -> String {
    let all = if text.len() <= most { text.len() } else { text.chars().count() };
    if all <= most {
        return text.to_owned();
    }
    let (head, tail) = (most.div_ceil(2), most / 2);
    let place = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(place, _)| place);
    let (head_end, tail_start) = (place(head), place(all - tail));
    let left_out = all - head - tail;
    let how = whole.map(|whole| format!("; {whole}")).unwrap_or_default();
    format!(
        "{}\n[… {left_out} of {all} characters are left out here{how} …]\n{}",
        &text[..head_end],
        &text[tail_start..]
    )
}

fn run_text(run: &RunObservation, most: usize) -> String {
    let of = &run.metadata;
    let mut text = clipped(&format!("{}{}", of.prefix, run.content), most, Some(OF_COMMAND));
    let mut line = |line: &str| {
        if !line.is_empty() {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(line);
        }
    };
    if let Some(total) = run.total_bytes.filter(|_| run.content.contains(CUT_BY_RUNNER)) {
        line(&format!("[It printed {total} bytes in all; {OF_COMMAND}]"));
    }
    line(of.suffix.trim());
    line(run.interpreter_details.trim());
    if let Some(dir) = &of.working_dir {
        line(&format!("[Current working directory: {dir}]"));
    }
    if let Some(path) = of.py_interpreter_path.as_ref().filter(|path| !path.is_empty()) {
        line(&format!("[Python interpreter: {path}]"));
    }
    match run.exit_code {
        -1 if of.suffix.is_empty() => line("[The command goes on running]"),
        -1 => {}
        _ if of.suffix.contains("exit code") => {} // said already
        code => line(&format!("[Command finished with exit code {code}]")),
    }
    text
}

fn edit_text(edit: &EditObservation, most: usize) -> String {
    let content = [&edit.content, &edit.formatted_output_and_error]
        .into_iter()
        .find(|text| !text.is_empty())
        .or(edit.diff.as_ref());
    match content {
        Some(content) => clipped(content, most, Some(OF_FILE)),
        None => format!("The file {} was edited.", edit.path),
    }
}

fn browse(page: &BrowseObservation, most: usize) -> (String, Vec<Image>) {
    let mut parts = Vec::new();
    if !page.url.is_empty() {
        parts.push(format!("[Page: {}]", clip(&page.url, 2_000, None)));
    }
    if page.open_pages_urls.len() > 1 {
        let pages = page.open_pages_urls.iter().take(20).enumerate();
        let lines = pages.map(|(at, url)| {
            let here = usize::try_from(page.active_page_index).is_ok_and(|active| active == at);
            format!("{at}: {}{}", clip(url, 500, None), if here { " (shown)" } else { "" })
        });
        parts.push(format!("[Open pages]\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    if page.error {
        let error = clip(&page.last_browser_action_error, most, None);
        let action = clip(&page.last_browser_action, 500, None);
        parts.push(format!("[The browser's action failed: {action}]\n{error}"));
    }
    if !page.focused_element_bid.is_empty() {
        parts.push(format!("[Focused element: {}]", page.focused_element_bid));
    }
    // The runner puts the error before the content, too.
    let content =
        page.content.strip_prefix(&page.last_browser_action_error).unwrap_or(&page.content);
    let content = if page.error { content.trim_start() } else { &page.content };
    if !content.is_empty() {
        parts.push(clipped(content, most, Some(OF_PAGE)));
    }
    let shot = &page.screenshot;
    let images = match shot.as_str() {
        "" => Vec::new(),
        url if url.starts_with("data:") => vec![Image(url.to_owned())],
        bare => vec![Image(format!("data:image/png;base64,{bare}"))],
    };
    (parts.join("\n"), images)
}

/// A tool's answer: its parts where it is in the form of the protocol, else as it is.
fn mcp_text(mcp: &McpObservation, most: usize) -> (String, Vec<Image>) {
    let whole: Option<Value> = serde_json::from_str(&mcp.content).ok();
    let parts = whole.as_ref().and_then(|whole| whole.get("content")).and_then(Value::as_array);
    let Some(parts) = parts else { return (clipped(&mcp.content, most, None), Vec::new()) };
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for part in parts {
        let of = |name: &str| part.get(name).and_then(Value::as_str);
        match (of("type"), of("text"), of("data"), of("mimeType")) {
            (Some("text"), Some(text), ..) => texts.push(text.to_owned()),
            (Some("image"), _, Some(data), kind) => {
                let kind = kind.unwrap_or("image/png");
                images.push(Image(format!("data:{kind};base64,{data}")));
                texts.push("[A picture]".to_owned());
            }
            _ => texts.push(part.to_string()),
        }
    }
    let is_error = whole.as_ref().and_then(|whole| whole.get("isError")).and_then(Value::as_bool);
    let mut text = clipped(&texts.join("\n"), most, None);
    if is_error == Some(true) {
        text.push_str("\n[The tool says that this is an error]");
    }
    (text, images)
}

fn task_list(tasks: &[Value]) -> String {
    let lines = tasks.iter().map(|task| {
        let of = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
        let mark = match of("status") {
            "done" => "x",
            "in_progress" => ">",
            _ => " ",
        };
        let notes = of("notes");
        let notes = if notes.is_empty() { String::new() } else { format!(" ({notes})") };
        format!("[{mark}] {}. {}{notes}", of("id"), of("title"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Instructions and knowledge, in a frame that says whose they are. What the system prompt tells is left out; maybe
/// nothing is left.
pub(crate) fn recall_text(recall: &RecallObservation, most: usize) -> String {
    let mut parts = Vec::new();
    if recall.recall_type == RecallType::WorkspaceContext {
        for (name, text) in [
            ("repository_instructions", &recall.repo_instructions),
            ("additional_instructions", &recall.additional_agent_instructions),
            ("conversation_instructions", &recall.conversation_instructions),
        ] {
            if !text.is_empty() {
                parts.push(format!("<{name}>\n{}\n</{name}>", clipped(text, most, None)));
            }
        }
        if !recall.custom_secrets_descriptions.is_empty() {
            let secrets = recall.custom_secrets_descriptions.iter();
            let lines = secrets
                .map(|(name, what)| format!("${name}: {}", what.as_str().unwrap_or_default()));
            let lines: Vec<String> = lines.collect();
            parts.push(format!("Secrets in the environment:\n{}", lines.join("\n")));
        }
    }
    for knowledge in &recall.microagent_knowledge {
        parts.push(format!(
            "<knowledge name={:?} because_of={:?}>\n{}\n</knowledge>",
            knowledge.name,
            knowledge.trigger,
            clipped(&knowledge.content, most, None)
        ));
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests;
