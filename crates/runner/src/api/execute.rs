//! Actions, one at a time and in the order they came, as the reference's clients expect.

use std::{cell::Cell, rc::Rc};

use hyper::{Request, StatusCode, body::Incoming};
use serde_json::{Value, json};
use tokio::task::spawn_local;

use super::{
    asked::{Asked, Unfit, asked},
    invalid, read_value,
    shape::shaped,
};
use crate::{
    app::App,
    http::words::{Answer, Refusal, ok},
};

/// Actions that wait for their turn, with the one that has it.
const MOST_WAITING: usize = 64;

/// Carries out an action. It keeps its turn when its client is gone.
pub(super) async fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let body = read_value(request).await?;
    let Asked { action, limits } =
        asked(&body, app.api.no_change_ms).map_err(|unfit| match unfit {
            Unfit::Invalid(field, message) => invalid(&["body", field], message),
            Unfit::Refused(text) => Refusal::Detail(StatusCode::BAD_REQUEST, text),
        })?;
    let place = Place::take(&app.api.waiting)?;
    let turn = Rc::clone(&app.api.turn);
    let acting = Rc::clone(app);
    let done = spawn_local(async move {
        let _place = place;
        let _turn = turn.lock().await;
        acting.act(acting.new_key(), action, limits).await
    });
    let failed = |_| {
        let body = json!({ "detail": "The action was lost to a fault in the sandbox's runner." });
        Refusal::Whole(StatusCode::INTERNAL_SERVER_ERROR, body)
    };
    let observation = done.await.map_err(failed)?;
    let args = body.get("action").and_then(|action: &Value| action.get("args"));
    Ok(ok(&shaped(&observation, args)))
}

/// One of the places of those who wait.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(waiting: &Rc<Cell<usize>>) -> Result<Self, Refusal> {
        if waiting.get() >= MOST_WAITING {
            let text = format!("{MOST_WAITING} actions are waiting already.");
            return Err(Refusal::Detail(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        waiting.set(waiting.get() + 1);
        Ok(Self(Rc::clone(waiting)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
