//! Changes of the workspace's files, told to all who watch.

use std::rc::Rc;

use hyper::{Request, body::Incoming};

use crate::{
    app::App,
    http::words::{Answer, nothing_at},
};

/// All of it; one per process.
#[derive(Default)]
pub struct Watch {}

impl Watch {
    /// A client's own change: whoever watches is told that it was `origin`'s.
    pub fn own(&self, origin: Option<String>, path: &str, version: Option<&str>) {
        let _ = (self, origin, path, version);
    }
}

/// Answers a request below `/watch`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let _ = app;
    Err(nothing_at(request.uri().path()))
}
