//! The actions `read` and `write`, in the reference's words (§8.4), by the same confined way.

use staithe_protocol::{
    Observation,
    action::{Read, Write},
    files::{FileCode, FileDenied, FileOp, MAX_INLINE_CONTENT},
    observation::{ReadObservation, WriteObservation},
};

use super::{Files, change::Precondition, lines};

/// How often a `write` of some lines begins anew when the file changes meanwhile.
const MOST_TRIES: usize = 8;

impl Files {
    /// Reads lines of a file, or an image, a PDF or a video as a `data:` URL. Relative paths are seen
    /// from `cwd`, the shell's folder.
    pub fn read_action(&self, read: &Read, cwd: &str) -> Observation {
        let path = from(cwd, &read.path);
        let wrong = |text: String| Observation::error(text, "");
        let opened = match self.open_for_stream(&path) {
            Ok(opened) => opened,
            Err(denied) => return wrong(refusal(&denied, &read.path, cwd)),
        };
        if opened.size > MAX_INLINE_CONTENT {
            let text = "File is larger than 16 MiB and can't be read at once";
            return wrong(format!("{text}: {}.", read.path));
        }
        let mut bytes = Vec::new();
        let mut limited = std::io::Read::take(opened.file, MAX_INLINE_CONTENT);
        if let Err(error) = std::io::Read::read_to_end(&mut limited, &mut bytes) {
            return wrong(format!("File could not be read: {} ({error}).", read.path));
        }
        let content = match media(&read.path) {
            Some(kind) => format!("data:{kind};base64,{}", data_encoding::BASE64.encode(&bytes)),
            None => match String::from_utf8(bytes) {
                Ok(text) => lines::slice(&text, read.start, read.end).to_owned(),
                Err(_) => {
                    return wrong(format!("File could not be decoded as utf-8: {}.", read.path));
                }
            },
        };
        Observation::Read(ReadObservation {
            content,
            path: read.path.clone(),
            impl_source: read.impl_source.clone(),
        })
    }

    /// Replaces lines of a file, or the whole of it. A missing file and its folders are made.
    pub fn write_action(&self, write: &Write, cwd: &str) -> Observation {
        let path = from(cwd, &write.path);
        for _ in 0..MOST_TRIES {
            match self.try_write(write, &path) {
                Ok(()) => {
                    return Observation::Write(WriteObservation {
                        content: String::new(),
                        path: write.path.clone(),
                    });
                }
                Err(denied) if denied.code == FileCode::Conflict => {} // changed meanwhile
                Err(denied) => {
                    return Observation::error(refusal(&denied, &write.path, cwd), "");
                }
            }
        }
        let text = format!("File changes too often to be written: {}.", write.path);
        Observation::error(text, "")
    }

    fn try_write(&self, write: &Write, path: &str) -> Result<(), FileDenied> {
        if write.start <= 0 && write.end == -1 {
            let content = write.content.as_bytes();
            return self.write(path, content, &Precondition::Force, None, true).map(drop);
        }
        let read = FileOp::Read { path: path.to_owned(), offset: None, length: None };
        let (before, version) = match self.carry_out(read) {
            Ok(done) if done.encoding == Some(staithe_protocol::files::Encoding::Base64) => {
                let text = format!("File could not be decoded as utf-8: {}.", write.path);
                return Err(FileDenied::new(FileCode::BadMessage, text));
            }
            Ok(done) => (done.content.unwrap_or_default(), done.version),
            Err(denied) if denied.code == FileCode::NotFound => (String::new(), None),
            Err(denied) => return Err(denied),
        };
        let after = lines::replace(&before, &write.content, write.start, write.end);
        let version = version.unwrap_or_else(|| super::version::ABSENT.to_owned());
        let precondition = Precondition::Version(version);
        self.write(path, after.as_bytes(), &precondition, None, true).map(drop)
    }
}

/// A path as the shell in `cwd` would take it.
fn from(cwd: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{cwd}/{path}") }
}

fn refusal(denied: &FileDenied, path: &str, cwd: &str) -> String {
    match denied.code {
        FileCode::NotFound => {
            format!("File not found: {path}. Your current working directory is {cwd}.")
        }
        FileCode::IsDirectory => format!("Path is a directory: {path}. You can only read files"),
        FileCode::PermissionDenied => format!("Malformed paths not permitted: {path}"),
        FileCode::OutsideWorkspace => {
            format!("Malformed paths not permitted: {path} ({})", denied.message)
        }
        _ => denied.message.clone(),
    }
}

/// The media type of what is shown and not read.
fn media(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "bmp" => "image/bmp",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "ogg" => "video/ogg",
        _ => return None,
    })
}
