//! Builds: the fake runs no step. It says what the script says, or that all went well.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    Inner,
    answers::{Answer, stream_or_cut},
    images::tagged,
    routes::Recorded,
    serve::Cut,
};

/// How a scripted build goes on after its last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The answer ends, and nothing was built.
    Ends,
    /// The image is there, and the answer says so.
    Built,
    /// The connection is cut.
    Cut,
    /// Nothing comes any more, as long as the client waits.
    Hangs,
}

/// What the next builds say.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Each as it goes over the line.
    pub(super) words: Vec<String>,
    pub(super) then: Then,
}

impl Inner {
    pub(super) fn build(self: &Arc<Self>, asked: &Recorded) -> Answer {
        let said = self.script().builds.clone();
        let Said { mut words, then } = said.unwrap_or(Said { words: usual(), then: Then::Built });
        if then == Then::Built {
            words.extend(self.built(asked));
        }
        let (send, receive) = mpsc::channel(16);
        self.spawn(async move {
            for word in words {
                if send.send(Ok(Bytes::from(word))).await.is_err() {
                    return; // the client went away
                }
            }
            match then {
                Then::Ends | Then::Built => {}
                Then::Cut => drop(send.send(Err(std::io::Error::other(Cut))).await),
                Then::Hangs => send.closed().await,
            }
        });
        stream_or_cut("application/json", receive)
    }

    /// Makes the image; tells its id as either builder does.
    fn built(&self, asked: &Recorded) -> Vec<String> {
        let labels: Value = serde_json::from_str(asked.word("labels")).unwrap_or_default();
        let config = json!({ "Env": [], "Cmd": ["/bin/sh"], "User": "", "Labels": labels });
        let id = self.world().add_image(&tagged(asked.word("t"), ""), config);
        let kind = if asked.word("version") == "2" { Some("moby.image.id") } else { None };
        vec![line(&json!({ "id": kind, "aux": { "ID": id } }))]
    }
}

/// What the first builder says of one step.
fn usual() -> Vec<String> {
    ["Step 1/1 : FROM base", "\n", " ---> 0123456789ab\n"]
        .map(|words| line(&json!({ "stream": words })))
        .into()
}

pub(super) fn line(word: &Value) -> String {
    format!("{word}\r\n")
}
