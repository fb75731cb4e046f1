//! What the editor says, word for word as models know it (§8.5). Pure.

/// The longest text that is shown, in characters.
pub(super) const MOST_SHOWN: usize = 16_000;
/// Lines that are shown before and after a change.
pub(super) const CONTEXT: usize = 4;
/// The largest file, in bytes.
pub(super) const MOST_FILE: u64 = 10 * 1024 * 1024;

const CLIPPED: &str = "<response clipped><NOTE>Due to the max output limit, only part of the full response has been shown to you.</NOTE>";
const FILE_CLIPPED: &str = "<response clipped><NOTE>Due to the max output limit, only part of this file has been shown to you. You should retry this tool after you have searched inside the file with `grep -n` in order to find the line numbers of what you are looking for.</NOTE>";
const FOLDER_CLIPPED: &str = "<response clipped><NOTE>Due to the max output limit, only part of this directory has been shown to you. You should use `ls -la` instead to view large directories incrementally.</NOTE>";

/// The commands, in the order in which they are told.
pub(super) const COMMANDS: [&str; 5] = ["view", "create", "str_replace", "insert", "undo_edit"];

/// A text, or its beginning and a note.
fn clip(text: String, note: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}{note}", &text[..end]),
        None => text,
    }
}

/// Numbered lines, as `cat -n` prints them.
pub(super) fn numbered(text: &str, what: &str, first: usize) -> String {
    let text = clip(text.to_owned(), FILE_CLIPPED);
    let mut shown = format!("Here's the result of running `cat -n` on {what}:\n");
    for (at, line) in text.split('\n').enumerate() {
        shown.extend([&format!("{:6}\t", first + at), line, "\n"]);
    }
    shown
}

/// A folder's content, and how much of it is hidden.
pub(super) fn folder(path: &str, lines: &[String], hidden: usize) -> String {
    let lines = clip(lines.join("\n"), FOLDER_CLIPPED);
    let shown = format!(
        "Here's the files and directories up to 2 levels deep in {path}, excluding hidden items:\n{lines}"
    );
    if hidden == 0 {
        return shown;
    }
    format!(
        "{shown}\n\n{hidden} hidden files/directories in this directory are excluded. You can use 'ls -la {path}' to see them."
    )
}

/// Before what is shown when the range reaches beyond the file.
pub(super) fn only(lines: usize, shown: &str) -> String {
    format!(
        "NOTE: We only show up to {lines} since there're only {lines} lines in this file.\n{shown}"
    )
}

pub(super) fn created(path: &str) -> String {
    format!("File created successfully at: {path}")
}

pub(super) fn replaced(path: &str, snippet: &str, first: usize) -> String {
    let snippet = numbered(snippet, &format!("a snippet of {path}"), first);
    format!(
        "The file {path} has been edited. {snippet}Review the changes and make sure they are as expected. Edit the file again if necessary."
    )
}

pub(super) fn inserted(path: &str, snippet: &str, first: usize) -> String {
    let snippet = numbered(snippet, "a snippet of the edited file", first);
    format!(
        "The file {path} has been edited. {snippet}Review the changes and make sure they are as expected (correct indentation, no duplicate lines, etc). Edit the file again if necessary."
    )
}

pub(super) fn undone(path: &str, text: &str) -> String {
    format!("Last edit to {path} undone successfully. {}", numbered(text, path, 1))
}

/// How a failure is shown.
pub(super) fn error(text: String) -> String {
    format!("ERROR:\n{}", clip(text, CLIPPED))
}

pub(super) fn missing(command: &str, parameter: &str) -> String {
    format!("Parameter `{parameter}` is required for command: {command}.")
}

fn invalid(parameter: &str, value: &str, hint: &str) -> String {
    format!("Invalid `{parameter}` parameter: {value}. {hint}")
}

fn bad_path(path: &str, hint: &str) -> String {
    invalid("path", path, hint)
}

pub(super) fn unknown(command: &str) -> String {
    let all = COMMANDS.join(", ");
    format!(
        "Unrecognized command {command}. The allowed commands for the oh_editor tool are: {all}"
    )
}

pub(super) fn relative(path: &str, meant: Option<&str>) -> String {
    let hint = "The path should be an absolute path, starting with `/`.";
    match meant {
        Some(meant) => bad_path(path, &format!("{hint} Maybe you meant {meant}?")),
        None => bad_path(path, hint),
    }
}

pub(super) fn outside(path: &str, workspace: &str) -> String {
    bad_path(
        path,
        &format!(
            "The path {path} is outside the workspace {workspace}. Only files below it can be viewed and edited."
        ),
    )
}

pub(super) fn exists(path: &str) -> String {
    bad_path(
        path,
        &format!("File already exists at: {path}. Cannot overwrite files using command `create`."),
    )
}

pub(super) fn absent(path: &str) -> String {
    bad_path(path, &format!("The path {path} does not exist. Please provide a valid path."))
}

pub(super) fn is_folder(path: &str) -> String {
    bad_path(
        path,
        &format!(
            "The path {path} is a directory and only the `view` command can be used on directories."
        ),
    )
}

pub(super) fn range_of_folder(range: [i64; 2]) -> String {
    let hint = "The `view_range` parameter is not allowed when `path` points to a directory.";
    invalid("view_range", &pair(range), hint)
}

pub(super) fn bad_first(range: [i64; 2], lines: usize) -> String {
    let first = range[0];
    let hint = format!(
        "Its first element `{first}` should be within the range of lines of the file: [1, {lines}]."
    );
    invalid("view_range", &pair(range), &hint)
}

/// `last` is the range's end as it was understood.
pub(super) fn bad_last(range: [i64; 2], last: i64) -> String {
    let first = range[0];
    let hint = format!(
        "Its second element `{last}` should be greater than or equal to the first element `{first}`."
    );
    invalid("view_range", &pair(range), &hint)
}

pub(super) fn bad_line(line: i64, lines: usize) -> String {
    let hint = format!("It should be within the range of allowed values: [0, {lines}]");
    invalid("insert_line", &line.to_string(), &hint)
}

pub(super) fn same(new: &str) -> String {
    let hint = "No replacement was performed. `new_str` and `old_str` must be different.";
    invalid("new_str", new, hint)
}

pub(super) fn not_found(path: &str, old: &str) -> String {
    format!("No replacement was performed, old_str `{old}` did not appear verbatim in {path}.")
}

/// `lines` are those in which it begins.
pub(super) fn ambiguous(old: &str, lines: &[usize]) -> String {
    let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
    let lines = lines.join(", ");
    format!(
        "No replacement was performed. Multiple occurrences of old_str `{old}` in lines [{lines}]. Please ensure it is unique."
    )
}

pub(super) fn no_history(path: &str) -> String {
    format!("No edit history found for {path}.")
}

#[expect(clippy::cast_precision_loss, reason = "one decimal place is shown")]
pub(super) fn too_large(path: &str, size: u64) -> String {
    let size = size as f64 / 1024.0 / 1024.0;
    let most = MOST_FILE / 1024 / 1024;
    invalid_file(
        path,
        &format!("File is too large ({size:.1}MB). Maximum allowed size is {most}MB."),
    )
}

pub(super) fn binary(path: &str) -> String {
    let reason =
        "File appears to be binary and this file type cannot be read or edited by this tool.";
    invalid_file(path, reason)
}

fn invalid_file(path: &str, reason: &str) -> String {
    format!("File validation failed for {path}: {reason}")
}

/// `doing` is `read` or `write to`.
pub(super) fn ran_into(what: &str, doing: &str, path: &str) -> String {
    format!("Ran into {what} while trying to {doing} {path}")
}

fn pair([first, last]: [i64; 2]) -> String {
    format!("[{first}, {last}]")
}
