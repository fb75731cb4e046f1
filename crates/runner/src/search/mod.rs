//! Search in the workspace: lines of files, and names. Results are told as they are found; when nobody takes
//! them any more, the search ends.
//!
//! | file | what |
//! |---|---|
//! | `glob` (pure) | globs and lists of them |
//! | `pattern` (pure) | what is looked for in lines |
//! | `fuzzy` (pure) | what is looked for in names |
//! | `walk` | the files, confined to the workspace |
//! | `content` | the lines of one file |
//! | `out` | the way of results, and the limits |
//!
//! The regular expressions are ripgrep's engine. Its other crates are not used: `grep-searcher`, `grep-regex`
//! and `ignore` would make this program 1.2 MiB larger, and a walk by paths could be led out of the
//! workspace.

mod content;
mod fuzzy;
pub(crate) mod glob;
mod out;
mod pattern;
mod walk;

use std::{
    cmp::Reverse, collections::BinaryHeap, io, ops::ControlFlow, os::fd::OwnedFd, rc::Rc, sync::Arc,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{self, HeaderValue},
};
use staithe_protocol::{
    files::EntryType,
    search::{
        ContentSearch, Found, MAX_GLOBS, MAX_QUERY, MAX_RESULTS, NameSearch, SearchCode,
        SearchDenied, Truncated,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    content::{Searcher, Take as _},
    fuzzy::Query,
    glob::Rules,
    out::{Out, PATIENCE},
    pattern::Pattern,
    walk::{Met, Wanted, walk},
};
use crate::{
    app::App,
    http::{
        pieces::{Pieces, pieces},
        words::{Answer, Refusal, fault, json, nothing_at, read_json},
    },
};

/// Searches at once; others wait.
const MOST_AT_ONCE: usize = 2;
/// Searches that run and wait.
const MOST_WAITING: usize = 32;
/// Pieces of an answer that wait for the network.
const PIECES: usize = 4;
/// The largest file that is searched, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// Results, where no number is given.
const USUAL_LINES: u32 = 1_000;
const USUAL_NAMES: u32 = 100;

/// Who may search now.
pub struct Turns {
    all: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        let of = |most| Arc::new(Semaphore::new(most));
        Self { all: of(MOST_WAITING), running: of(MOST_AT_ONCE) }
    }
}

/// Answers a request below `/search`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if !matches!(path.as_str(), "/search/content" | "/search/names") {
        return Err(nothing_at(&path));
    }
    if request.method() != Method::POST {
        let text = "This is asked for by POST.".to_owned();
        return Err(Refusal::Detail(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let begun = if path == "/search/content" {
        Lines::new(read_json(request).await?)
            .map(|search| (search.asked.path.clone(), Task::Lines(search)))
    } else {
        Names::new(read_json(request).await?)
            .map(|search| (search.asked.path.clone(), Task::Names(search)))
    };
    let (folder, task) = match begun {
        Ok(begun) => begun,
        Err(message) => return denied(SearchCode::BadQuery, message),
    };
    let opened = app.on_files(move |files| files.folder_at(&folder)).await.ok_or_else(fault)?;
    let (path, folder) = opened.map_err(Refusal::File)?;
    let Ok(place) = Arc::clone(&app.search.all).try_acquire_owned() else {
        return denied(SearchCode::Busy, format!("{MOST_WAITING} searches are under way already."));
    };
    let running = Arc::clone(&app.search.running).acquire_owned().await;
    let turns = (place, running.map_err(|_| fault())?);
    let (send, receive) = pieces(PIECES, PATIENCE);
    begin(task, folder, path, send, turns).map_err(|_| fault())?;
    let body = stream::unfold(receive, |mut receive| async {
        let piece = receive.recv().await?;
        Some((Ok::<_, io::Error>(Frame::data(Bytes::from(piece))), receive))
    });
    let mut response = Response::new(StreamBody::new(body).boxed_unsync());
    let lines = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, lines);
    Ok(response)
}

fn denied(code: SearchCode, message: String) -> Answer {
    let status = StatusCode::from_u16(code.status()).map_err(|_| fault())?;
    Ok(json(status, &SearchDenied { code, message }))
}

/// Searches on a thread of its own, so that file operations always find theirs.
fn begin(
    task: Task,
    folder: OwnedFd,
    path: String,
    send: Pieces<Vec<u8>>,
    turns: (OwnedSemaphorePermit, OwnedSemaphorePermit),
) -> io::Result<()> {
    let work = move || {
        let _turns = turns;
        match task {
            Task::Lines(search) => search.run(&folder, &path, send),
            Task::Names(search) => search.run(&folder, &path, send),
        }
    };
    std::thread::Builder::new().name("search".to_owned()).spawn(work).map(drop)
}

enum Task {
    Lines(Lines),
    Names(Names),
}

/// A search for lines that can be begun.
struct Lines {
    asked: ContentSearch,
    searcher: Searcher,
    include: Rules,
    exclude: Rules,
}

impl Lines {
    fn new(asked: ContentSearch) -> Result<Self, String> {
        let pattern = Pattern::new(&asked)?;
        let (include, exclude) = (rules(&asked.include)?, rules(&asked.exclude)?);
        let per_file = asked.max_per_file.unwrap_or(MAX_RESULTS).clamp(1, MAX_RESULTS);
        let searcher = Searcher::new(pattern, &asked, per_file.into());
        Ok(Self { asked, searcher, include, exclude })
    }

    fn run(self, folder: &OwnedFd, path: &str, send: Pieces<Vec<u8>>) {
        let most = self.asked.max_results.unwrap_or(USUAL_LINES).clamp(1, MAX_RESULTS);
        let mut out = Out::new(send, most.into());
        let wanted = Wanted { hidden: self.asked.hidden, ignored: self.asked.ignored };
        let whole = walk(folder, path, wanted, &mut |met: &Met<'_>| {
            if out.stops() {
                return ControlFlow::Break(());
            }
            let is_wanted = met.kind == EntryType::File
                && (self.include.is_empty() || self.include.covers(met.path))
                && !self.exclude.covers(met.path);
            if !is_wanted {
                return ControlFlow::Continue(());
            }
            out.searched += 1;
            match met.open() {
                None => out.unreadable += 1,
                Some((_, size)) if size > LARGEST => out.skipped_large += 1,
                Some((file, _)) => {
                    let ended = self.searcher.file(met.path, file, &mut out);
                    out.files += u64::from(ended.lines > 0);
                    out.skipped_binary += u64::from(ended.binary);
                    out.unreadable += u64::from(ended.broken);
                }
            }
            if out.truncated.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        out.done(whole);
    }
}

/// A search for names that can be begun.
struct Names {
    asked: NameSearch,
    wanted: Name,
}

enum Name {
    Glob(Rules),
    Letters(Query),
}

impl Names {
    fn new(asked: NameSearch) -> Result<Self, String> {
        if asked.query.len() > MAX_QUERY {
            return Err(format!("The query has more than {MAX_QUERY} bytes."));
        }
        let wanted = if asked.query.contains(['*', '?', '[']) {
            Name::Glob(rules(std::slice::from_ref(&asked.query))?)
        } else {
            Name::Letters(Query::new(&asked.query))
        };
        Ok(Self { asked, wanted })
    }

    fn run(self, folder: &OwnedFd, path: &str, send: Pieces<Vec<u8>>) {
        let most = self.asked.limit.unwrap_or(USUAL_NAMES).clamp(1, MAX_RESULTS) as usize;
        let mut out = Out::new(send, u64::MAX);
        // The best scores so far: what is not among them is not told.
        let mut best: BinaryHeap<Reverse<i64>> = BinaryHeap::new();
        let wanted = Wanted { hidden: self.asked.hidden, ignored: self.asked.ignored };
        let whole = walk(folder, path, wanted, &mut |met: &Met<'_>| {
            if out.stops() {
                return ControlFlow::Break(());
            }
            out.searched += 1;
            let Some((score, positions)) = self.fit(met) else { return ControlFlow::Continue(()) };
            out.results += 1;
            out.files += u64::from(met.kind == EntryType::File);
            if best.len() >= most {
                if best.peek().is_some_and(|worst| worst.0 >= score) {
                    return ControlFlow::Continue(());
                }
                best.pop();
            }
            best.push(Reverse(score));
            let path = met.path.to_owned();
            let goes_on = out.take(&Found::Name { path, kind: met.kind, score, positions });
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if out.truncated.is_none() && out.results > most as u64 {
            out.truncated = Some(Truncated::Results);
        }
        out.done(whole);
    }

    fn fit(&self, met: &Met<'_>) -> Option<(i64, Vec<u64>)> {
        match &self.wanted {
            Name::Glob(rules) => {
                let fits = rules.says(met.path, met.kind == EntryType::Dir) == Some(true);
                fits.then(|| (0, Vec::new()))
            }
            Name::Letters(query) => query.fit(met.path).map(|fit| (fit.score, fit.positions)),
        }
    }
}

fn rules(globs: &[String]) -> Result<Rules, String> {
    if globs.len() > MAX_GLOBS || globs.iter().any(|glob| glob.len() > MAX_QUERY) {
        return Err(format!(
            "There are more than {MAX_GLOBS} globs, or one of more than {MAX_QUERY} bytes."
        ));
    }
    Rules::of_globs(globs)
        .ok_or_else(|| "A glob has an open bracket, or stands for too many.".to_owned())
}
