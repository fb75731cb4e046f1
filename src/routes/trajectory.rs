//! A session's events in the reference's form of trajectories, as a stream: a page of events is in memory at a time.

use std::{collections::VecDeque, io, sync::Arc};

use actix_web::{HttpResponse, http::header, web};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value};
use staithe_actors::Feed;

use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
};

/// Events read at a time.
const PAGE: usize = 64;
/// What trajectories leave out of an event's extras, at every depth (§5.3 of the reference): it is large, and of
/// the moment.
const LEFT_OUT: [&str; 8] = [
    "screenshot",
    "dom_object",
    "axtree_object",
    "active_page_index",
    "last_browser_action",
    "last_browser_action_error",
    "focused_element_bid",
    "extra_element_properties",
];

/// `GET /api/sessions/{id}/trajectory`: `{"trajectory":[…]}` with the events up to now. A read that fails cuts the
/// answer off.
pub async fn get(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let session = front.open(&identity, Need::Read, id).await?;
    let file = format!("attachment; filename=\"{id}.json\"");
    let head = session.feed.head();
    let reading = Reading {
        feed: session.feed.clone(),
        at: -1,
        head,
        page: VecDeque::new(),
        part: Part::Head,
    };
    let pieces = stream::try_unfold(reading, |mut reading| async move {
        Ok::<_, io::Error>(reading.next().await?.map(|piece| (piece, reading)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CONTENT_DISPOSITION, file))
        .streaming(pieces))
}

struct Reading {
    feed: Arc<Feed>,
    /// The last event that was read.
    at: i64,
    head: i64,
    page: VecDeque<Bytes>,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    First,
    Later,
    Done,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, io::Error> {
        match self.part {
            Part::Head => {
                self.part = Part::First;
                return Ok(Some(Bytes::from_static(b"{\"trajectory\":[")));
            }
            Part::Done => return Ok(None),
            Part::First | Part::Later => {}
        }
        if self.page.is_empty() && self.at < self.head {
            let left = usize::try_from(self.head - self.at).unwrap_or(usize::MAX);
            let read = self.feed.events(self.at, PAGE.min(left)).await;
            let (events, reached) = read.map_err(io::Error::other)?;
            self.at = reached;
            self.page = events.into();
        }
        let Some(event) = self.page.pop_front() else {
            self.part = Part::Done;
            return Ok(Some(Bytes::from_static(b"]}")));
        };
        let mut piece = Vec::with_capacity(event.len() + 1);
        if self.part == Part::Later {
            piece.push(b',');
        }
        self.part = Part::Later;
        piece.extend_from_slice(&in_form(&event));
        Ok(Some(piece.into()))
    }
}

/// An event as trajectories have it.
fn in_form(event: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Map<String, Value>>(event) else {
        return event.to_vec(); // kept as it is: a later version understands it
    };
    if let Some(extras) = value.get_mut("extras") {
        strip(extras);
    }
    serde_json::to_vec(&value).unwrap_or_else(|_| event.to_vec())
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn screens_are_left_out_at_every_depth_and_all_else_stays() {
        let event = json!({
            "id": 3,
            "observation": "browse",
            "content": "a page",
            "extras": { "url": "u", "screenshot": "big", "more": [{ "dom_object": {}, "kept": 1 }] },
        });
        let formed: Value =
            serde_json::from_slice(&in_form(&serde_json::to_vec(&event).unwrap())).unwrap();
        assert_eq!(formed["extras"], json!({ "url": "u", "more": [{ "kept": 1 }] }));
        assert_eq!((&formed["id"], &formed["content"]), (&json!(3), &json!("a page")));
        assert_eq!(in_form(b"no json"), b"no json");
    }
}
