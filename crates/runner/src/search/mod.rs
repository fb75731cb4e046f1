//! Search in the workspace.

use std::rc::Rc;

use hyper::{Request, body::Incoming};

use crate::{
    app::App,
    http::words::{Answer, nothing_at},
};

/// Answers a request below `/search`.
pub async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let _ = app;
    Err(nothing_at(request.uri().path()))
}
