//! The workspace's git repositories, by the sandbox's own git. Only questions, but for the repository that a session
//! begins with: what changes one is for the shell.
//!
//! | file | what |
//! |---|---|
//! | `run` | one run of git, with limits |
//! | `parse` (pure) | what it prints |
//! | `ask` | the questions |
//! | `clone` | the repository that a session begins with |

mod ask;
mod clone;
mod parse;
mod run;

use std::rc::Rc;

use hyper::{Method, Request, Response, StatusCode, body::Incoming};

use self::ask::{No, Repository};
pub use self::{clone::clone, run::Turns};
use crate::{
    app::App,
    http::words::{Answer, Body, Refusal, bad, fault, json, nothing_at, ok, query},
};

/// Answers a request below `/git`. Parameters: `path` is the folder that is asked about, `base`, `ref`,
/// `file`, `context`, `most`, `skip` and `limit` are for some.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::GET {
        let text = "This is asked for by GET.".to_owned();
        return Err(Refusal::Detail(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let path = request.uri().path().to_owned();
    let question = path.strip_prefix("/git/").ok_or_else(|| nothing_at(&path))?;
    match reply(app, &request, question).await? {
        Ok(response) => Ok(response),
        Err(No::Git(denied)) => {
            let status = StatusCode::from_u16(denied.code.status()).map_err(|_| fault())?;
            Ok(json(status, &denied))
        }
        Err(No::File(denied)) => Err(Refusal::File(denied)),
    }
}

async fn reply(
    app: &Rc<App>,
    request: &Request<Incoming>,
    question: &str,
) -> Result<Result<Response<Body>, No>, Refusal> {
    let text = |name: &str| query(request, name).filter(|text| !text.is_empty());
    let number = |name: &str| {
        let number = text(name).map(|text| text.parse::<u64>()).transpose();
        number.map_err(|_| bad(&format!("`{name}` is no number")))
    };
    let size = |name: &str| {
        number(name).map(|number| number.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
    };
    if question == "repositories" {
        return Ok(Ok(ok(&app.on_files(ask::repositories).await.ok_or_else(fault)?)));
    }
    let needs = |name: &str| text(name).ok_or_else(|| bad(&format!("`{name}` is missing")));
    let repository = match Repository::of(app, &text("path").unwrap_or_default()).await {
        Ok(repository) => repository,
        Err(no) => return Ok(Err(no)),
    };
    let (base, file) = (text("base"), text("file"));
    Ok(match question {
        "status" => repository.status().await.map(|told| ok(&told)),
        "changes" => repository.changes(base.as_deref()).await.map(|told| ok(&told)),
        "diff" => {
            let context = u32::try_from(number("context")?.unwrap_or(3)).unwrap_or(u32::MAX);
            let most = size("most")?;
            let told = repository.diff(base.as_deref(), file.as_deref(), context, most).await;
            told.map(|told| ok(&told))
        }
        "show" => {
            let name = text("ref").unwrap_or_else(|| "HEAD".to_owned());
            repository.show(&name, &needs("file")?).await.map(|told| ok(&told))
        }
        "branches" => repository.branches().await.map(|told| ok(&told)),
        "log" => {
            let (skip, limit) = (number("skip")?.unwrap_or(0), size("limit")?);
            let told = repository.log(text("ref").as_deref(), file.as_deref(), skip, limit).await;
            told.map(|told| ok(&told))
        }
        _ => return Err(nothing_at(request.uri().path())),
    })
}
