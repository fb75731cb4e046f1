//! Programs that serve the session beside commands.

use std::rc::Rc;

use hyper::{Request, body::Incoming};

use crate::{
    app::App,
    http::words::{Answer, nothing_at},
};

/// All of it; one per process.
#[derive(Default)]
pub struct Plugins {}

/// Answers a request below `/plugins`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let _ = app;
    Err(nothing_at(request.uri().path()))
}
