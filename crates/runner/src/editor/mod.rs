//! The editor that models know (`str_replace_editor`, §8.5): it views, makes and changes text files in the
//! workspace, says what it did in words that models were trained on, and undoes it.
//!
//! | file | what |
//! |---|---|
//! | `words` (pure) | every text |
//! | `text` (pure) | replacing, inserting, differences |
//! | `history` (pure) | what files were |
//! | `first` (pure) | the first paths of a folder |
//!
//! Unlike the original it is confined to the workspace, keeps `\r\n` where a file has it, and gives a last
//! line without an end one before it inserts behind it.

mod first;
mod history;
mod text;
mod words;

use std::sync::{Mutex, PoisonError};

use staithe_protocol::{
    Observation,
    action::{Edit, Read},
    files::{Encoding, EntryType, FileCode, FileDenied, FileDone, FileOp},
    observation::{EditObservation, ReadObservation},
};

use self::{
    first::First,
    history::History,
    text::{Changed, Not, Text},
};
use crate::files::Files;

/// The name of this kind of editing on the wire.
pub const IMPL_SOURCE: &str = "oh_aci";
/// How often an edit begins anew when the file changes meanwhile.
const MOST_TRIES: usize = 8;
/// A file's text goes into an observation up to this size, in bytes: it is stored for ever.
const MOST_OBSERVED: usize = 256 * 1024;

/// The editor; one per process, for it remembers.
#[derive(Default)]
pub struct Editor {
    history: Mutex<History>,
}

/// What was done.
struct Done {
    said: String,
    existed: bool,
    before: Option<String>,
    after: Option<String>,
}

/// What a command is about.
#[derive(Clone, Copy)]
struct On<'a> {
    files: &'a Files,
    /// As it is said.
    path: &'a str,
    /// As the history calls it.
    key: &'a str,
}

/// A file that was read.
struct Found {
    stored: String,
    version: String,
}

impl Editor {
    /// Carries a command out. Relative paths are refused; `cwd` helps to say what was meant.
    pub fn edit(&self, files: &Files, edit: &Edit, cwd: &str) -> Observation {
        if edit.impl_source != IMPL_SOURCE || edit.command.is_empty() {
            let text = "ERROR:\nThe sandbox edits files by command only (`impl_source` is `oh_aci`, and `command` says which); an edit of lines needs a model.";
            return Observation::error(text, "AGENT_ERROR$BAD_ACTION");
        }
        let path = plain(&edit.path);
        let done = self.command(files, edit, &path, cwd).unwrap_or_else(|text| Done {
            said: words::error(text),
            existed: false,
            before: None,
            after: None,
        });
        let small = |text: &String| text.len() <= MOST_OBSERVED;
        let diff = done.after.as_ref().map(|after| {
            text::difference(&path, done.before.as_deref().unwrap_or_default(), after)
        });
        Observation::Edit(EditObservation {
            content: done.said,
            path: edit.path.clone(),
            prev_exist: done.existed,
            old_content: done.before.filter(small),
            new_content: done.after.filter(small),
            impl_source: IMPL_SOURCE.to_owned(),
            formatted_output_and_error: String::new(),
            diff: diff.filter(small),
        })
    }

    /// Views a file or a folder.
    pub fn view(&self, files: &Files, read: &Read, cwd: &str) -> Observation {
        let path = plain(&read.path);
        let seen = check_path(files, &path, cwd).and_then(|_| view(files, &path, read.view_range));
        if let Err(text) = &seen
            && *text == words::binary(&path)
        {
            return Observation::error("ERROR_BINARY_FILE", "");
        }
        Observation::Read(ReadObservation {
            content: seen.unwrap_or_else(words::error),
            path: read.path.clone(),
            impl_source: IMPL_SOURCE.to_owned(),
        })
    }

    fn command(&self, files: &Files, edit: &Edit, path: &str, cwd: &str) -> Result<Done, String> {
        let key = check_path(files, path, cwd)?;
        let on = On { files, path, key: &key };
        let missing = |parameter: &str| words::missing(&edit.command, parameter);
        match edit.command.as_str() {
            "view" => {
                let said = view(files, path, None)?;
                Ok(Done { said, existed: true, before: None, after: None })
            }
            "create" => self.create(on, edit.file_text.as_deref(), &missing),
            "str_replace" => self.change(on, |text| {
                let old = edit.old_str.as_deref().ok_or_else(|| missing("old_str"))?;
                if edit.new_str.as_deref() == Some(old) {
                    return Err(words::same(old));
                }
                let (old, new) = (text.like(old), text.like(edit.new_str.as_deref().unwrap_or("")));
                let changed = text::replace(&text.content, &old, &new, words::CONTEXT);
                let changed = changed.map_err(|not| match not {
                    Not::Found { old } => words::not_found(path, &old),
                    Not::Unique { old, lines } => words::ambiguous(&old, &lines),
                })?;
                Ok((changed, words::replaced))
            }),
            "insert" => self.change(on, |text| {
                let line = edit.insert_line.ok_or_else(|| missing("insert_line"))?;
                let new = edit.new_str.as_deref().ok_or_else(|| missing("new_str"))?;
                let lines = text::count_lines(&text.content);
                let after = usize::try_from(line).ok().filter(|after| *after <= lines);
                let after = after.ok_or_else(|| words::bad_line(line, lines))?;
                let changed = text::insert(&text.content, after, &text.like(new), words::CONTEXT);
                Ok((changed, words::inserted))
            }),
            "undo_edit" => self.undo(on),
            other => match read(files, path) {
                Err(Unread::Absent) => Err(words::absent(path)),
                Err(Unread::Folder) => Err(words::is_folder(path)),
                Err(Unread::Other(_)) | Ok(_) => Err(words::unknown(other)),
            },
        }
    }

    fn create(
        &self,
        On { files, path, key }: On<'_>,
        text: Option<&str>,
        missing: &impl Fn(&str) -> String,
    ) -> Result<Done, String> {
        let place = || FileOp::Stat { path: path.to_owned() };
        if files.carry_out(place()).is_ok() {
            return Err(words::exists(path));
        }
        let text = text.ok_or_else(|| missing("file_text"))?;
        let done = files.carry_out(FileOp::Create {
            path: path.to_owned(),
            content: text.to_owned(),
            encoding: Encoding::Utf8,
            mode: None,
            create_parents: false,
        });
        match done {
            Ok(_) => self.remember(key, text.to_owned()),
            Err(denied) if denied.code == FileCode::Exists => return Err(words::exists(path)),
            Err(denied) => return Err(ran_into(files, &denied, "write to", path)),
        }
        let said = words::created(path);
        Ok(Done { said, existed: false, before: None, after: Some(text.to_owned()) })
    }

    /// Changes a file's text; begun anew when somebody else changes it meanwhile.
    fn change(
        &self,
        On { files, path, key }: On<'_>,
        work: impl Fn(&Text) -> Result<(Changed, fn(&str, &str, usize) -> String), String>,
    ) -> Result<Done, String> {
        for _ in 0..MOST_TRIES {
            let found = read(files, path).map_err(|unread| unread.said(path))?;
            let text = Text::new(&found.stored);
            let (changed, say) = work(&text)?;
            let after = text.stored(&changed.content);
            match write(files, path, &after, found.version) {
                Ok(_) => {
                    self.remember(key, found.stored.clone());
                    let snippet = text::lines(&changed.content, changed.shown);
                    let said = say(path, snippet, changed.first);
                    let (before, after) = (Some(found.stored), Some(after));
                    return Ok(Done { said, existed: true, before, after });
                }
                Err(denied) if denied.code == FileCode::Conflict => {} // changed meanwhile
                Err(denied) => return Err(ran_into(files, &denied, "write to", path)),
            }
        }
        Err(words::ran_into("a file that changes all the time", "write to", path))
    }

    fn undo(&self, On { files, path, key }: On<'_>) -> Result<Done, String> {
        for _ in 0..MOST_TRIES {
            let found = read(files, path).map_err(|unread| unread.said(path))?;
            let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            let last = history.last(key).map(str::to_owned);
            drop(history);
            let text = last.ok_or_else(|| words::no_history(path))?;
            match write(files, path, &text, found.version) {
                Ok(_) => {
                    let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
                    history.pop(key);
                    let said = words::undone(path, &Text::new(&text).content);
                    let (before, after) = (Some(found.stored), Some(text));
                    return Ok(Done { said, existed: true, before, after });
                }
                Err(denied) if denied.code == FileCode::Conflict => {} // changed meanwhile
                Err(denied) => return Err(ran_into(files, &denied, "write to", path)),
            }
        }
        Err(words::ran_into("a file that changes all the time", "write to", path))
    }

    fn remember(&self, path: &str, text: String) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push(path, text);
    }
}

/// A path without what means nothing: doubled slashes, dots, a slash at the end.
fn plain(path: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", names.join("/"))
}

/// Whether a path may be used at all; how the history calls it.
fn check_path(files: &Files, path: &str, cwd: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        let meant = format!("{}/{path}", cwd.trim_end_matches('/'));
        let exists = files.carry_out(FileOp::Stat { path: meant.clone() }).is_ok();
        return Err(words::relative(path, exists.then_some(&*meant)));
    }
    match crate::files::path::normalise(path, files.workspace()) {
        Ok(relative) => Ok(relative),
        Err(denied) if denied.code == FileCode::OutsideWorkspace => {
            Err(words::outside(path, files.workspace()))
        }
        Err(denied) => Err(denied.message),
    }
}

/// Why a file could not be read.
enum Unread {
    Absent,
    Folder,
    Other(String),
}

impl Unread {
    /// The same in words, for a command that needs a file.
    fn said(self, path: &str) -> String {
        match self {
            Self::Absent => words::absent(path),
            Self::Folder => words::is_folder(path),
            Self::Other(text) => text,
        }
    }
}

fn read(files: &Files, path: &str) -> Result<Found, Unread> {
    let whole = FileOp::Read { path: path.to_owned(), offset: None, length: None };
    let done = files.carry_out(whole).map_err(|denied| match denied.code {
        FileCode::NotFound | FileCode::NotDirectory => Unread::Absent,
        FileCode::IsDirectory => Unread::Folder,
        FileCode::TooLarge => {
            let stat = files.carry_out(FileOp::Stat { path: path.to_owned() }).ok();
            let size = stat.and_then(|done| done.size).unwrap_or(words::MOST_FILE);
            Unread::Other(words::too_large(path, size))
        }
        _ => Unread::Other(ran_into(files, &denied, "read", path)),
    })?;
    let size = done.size.unwrap_or(0);
    if size > words::MOST_FILE {
        return Err(Unread::Other(words::too_large(path, size)));
    }
    let content = done.content.unwrap_or_default();
    if done.encoding != Some(Encoding::Utf8) || content.contains('\0') {
        return Err(Unread::Other(words::binary(path)));
    }
    Ok(Found { stored: content, version: done.version.unwrap_or_default() })
}

fn write(
    files: &Files,
    path: &str,
    content: &str,
    version: String,
) -> Result<FileDone, FileDenied> {
    files.carry_out(FileOp::Write {
        path: path.to_owned(),
        content: content.to_owned(),
        encoding: Encoding::Utf8,
        if_match: Some(version),
        force: false,
        mode: None,
        create_parents: false,
    })
}

/// A refusal in the original's words, which are Python's.
fn ran_into(files: &Files, denied: &FileDenied, doing: &str, path: &str) -> String {
    let what = match denied.code {
        FileCode::NotFound => format!("[Errno 2] No such file or directory: '{path}'"),
        FileCode::PermissionDenied => format!("[Errno 13] Permission denied: '{path}'"),
        FileCode::NotDirectory => format!("[Errno 20] Not a directory: '{path}'"),
        FileCode::NoSpace => "[Errno 28] No space left on device".to_owned(),
        FileCode::OutsideWorkspace => return words::outside(path, files.workspace()),
        _ => denied.message.clone(),
    };
    words::ran_into(&what, doing, path)
}

fn view(files: &Files, path: &str, range: Option<[i64; 2]>) -> Result<String, String> {
    let found = match read(files, path) {
        Ok(found) => found,
        Err(Unread::Folder) => return view_folder(files, path, range),
        Err(unread) => return Err(unread.said(path)),
    };
    let text = Text::new(&found.stored).content;
    let Some(range) = range else { return Ok(words::numbered(&text, path, 1)) };
    let lines = text::count_lines(&text);
    let first = usize::try_from(range[0]).ok().filter(|first| (1..=lines).contains(first));
    let first = first.ok_or_else(|| words::bad_first(range, lines))?;
    let last = match range[1] {
        -1 => lines,
        last => match usize::try_from(last) {
            Ok(last) if last.min(lines) >= first => last,
            Ok(last) => return Err(words::bad_last(range, as_i64(last.min(lines)))),
            Err(_) => return Err(words::bad_last(range, last)),
        },
    };
    let part = text::lines(&text, first - 1..last.min(lines));
    let shown = words::numbered(part.strip_suffix('\n').unwrap_or(part), path, first);
    Ok(if last > lines { words::only(lines, &shown) } else { shown })
}

fn as_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn view_folder(files: &Files, path: &str, range: Option<[i64; 2]>) -> Result<String, String> {
    if let Some(range) = range {
        return Err(words::range_of_folder(range));
    }
    let inside = |folder: &str| {
        let op = FileOp::List {
            path: folder.to_owned(),
            depth: Some(1),
            ignore: Vec::new(),
            versions: false,
        };
        let entries = files.carry_out(op).ok()?.entries.unwrap_or_default();
        let names = entries.into_iter().map(|entry| {
            let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
            (name, entry.kind)
        });
        Some(names.collect::<Vec<_>>())
    };
    let is_folder = |path: &str, kind: EntryType| match kind {
        EntryType::Dir => true,
        EntryType::Symlink => files.folder_at(path).is_ok(),
        EntryType::File | EntryType::Other => false,
    };
    let base = path.trim_end_matches('/');
    let here = inside(path).ok_or_else(|| words::absent(path))?;
    let (hidden, mut visible): (Vec<_>, Vec<_>) =
        here.into_iter().partition(|(name, _)| name.starts_with('.'));
    visible.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut found = First::new(words::MOST_SHOWN);
    found.add(path.to_owned(), true);
    for (name, kind) in visible {
        let first = format!("{base}/{name}");
        if found.is_past(&first) {
            break; // and so are all that follow
        }
        let folder = is_folder(&first, kind);
        let below = folder.then(|| inside(&first)).flatten().unwrap_or_default();
        for (name, kind) in below {
            let second = format!("{first}/{name}");
            if !name.starts_with('.') && !found.is_past(&second) {
                let folder = is_folder(&second, kind);
                found.add(second, folder);
            }
        }
        found.add(first, folder);
    }
    Ok(words::folder(path, &found.lines(), hidden.len()))
}

#[cfg(test)]
mod tests;
