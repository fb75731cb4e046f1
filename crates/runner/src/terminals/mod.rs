//! Terminals: programs on terminals of their own, which many clients may share.

use std::rc::Rc;

use hyper::{Request, body::Incoming};

use crate::{
    app::App,
    http::words::{Answer, nothing_at},
};

/// All of it; one per process.
#[derive(Default)]
pub struct Terminals {}

/// Answers a request below `/terminals`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let _ = app;
    Err(nothing_at(request.uri().path()))
}
