//! What becomes of a cell's messages: text, images, its end. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::super::text::Plain;
use crate::shell::capture::Capture;

/// Most images of a cell, and most of their bytes, as they are sent.
const MOST_IMAGES: usize = 32;
const MOST_IMAGE_BYTES: usize = 8 * 1024 * 1024;
/// Images that are taken, the first that a message has.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// A message of the Jupyter protocol, as far as it is read here.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    pub header: Header,
    #[serde(default)]
    pub parent_header: Parent,
    #[serde(default)]
    pub content: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Header {
    pub msg_type: String,
}

/// What a message answers to; nothing of it for those that come by themselves.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Parent {
    #[serde(default)]
    pub msg_id: String,
}

impl Message {
    /// Whether it says that the kernel has died.
    pub fn tells_death(&self) -> bool {
        let state = self.content["execution_state"].as_str();
        self.header.msg_type == "status" && matches!(state, Some("restarting" | "dead"))
    }
}

/// How waiting for a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    /// The kernel stopped at the interrupt after this time.
    TimedOut(Duration),
    /// It did not, and was ended.
    TimedOutDeaf(Duration),
    /// It did not stop at several interrupts, and was ended.
    Deaf,
    /// The kernel died of it.
    Died,
    /// The gateway, or the line to it, is gone.
    Cut,
}

impl End {
    /// Whether the kernel can be used on.
    pub fn spares_kernel(self) -> bool {
        matches!(self, Self::Done | Self::TimedOut(_))
    }
}

/// What is kept of the output of one action: of its cells one after the other.
pub struct Output {
    capture: Capture,
    /// Bytes of text that came in all.
    pub total: u64,
    images: Vec<String>,
    image_bytes: usize,
    left_out: u32,
    /// Sequences are cut out of each stream by itself.
    streams: [Plain; 2],
    ends_line: bool,
}

impl Output {
    /// Keeps at most so many bytes of text.
    pub fn new(most: usize) -> Self {
        Self {
            capture: Capture::new(most),
            total: 0,
            images: Vec::new(),
            image_bytes: 0,
            left_out: 0,
            streams: <[Plain; 2]>::default(),
            ends_line: true,
        }
    }

    fn text(&mut self, text: String, of_own: bool) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let text = if of_own && !self.ends_line { format!("\n{text}") } else { text };
        self.ends_line = text.ends_with('\n');
        self.capture.push(text.as_bytes());
        self.total += text.len() as u64;
        Some(text)
    }

    fn image(&mut self, kind: &str, data: &str) {
        let url = format!("data:{kind};base64,{}", data.replace('\n', ""));
        if self.images.len() >= MOST_IMAGES || self.image_bytes + url.len() > MOST_IMAGE_BYTES {
            self.left_out += 1;
            return;
        }
        self.image_bytes += url.len();
        self.images.push(url);
    }

    /// What the observation says, and its images.
    pub fn finish(mut self, end: End, most: usize) -> (String, Vec<String>) {
        let mut content = self.capture.take(true, most).trim().to_owned();
        let quiet = content.is_empty() && self.images.is_empty();
        let mut notes = Vec::new();
        if self.left_out > 0 {
            let left = self.left_out;
            let (images, were) = if left == 1 { ("image", "was") } else { ("images", "were") };
            notes.push(format!(
                "[{left} {images} {were} left out; there are too many, or too large ones.]"
            ));
        }
        match end {
            End::Done if quiet => {
                notes.push("[Code executed successfully with no output]".to_owned());
            }
            End::Done => {}
            End::TimedOut(time) => notes.push(timed_out(time)),
            End::TimedOutDeaf(time) => {
                notes.push(timed_out(time));
                notes.push(format!("[The kernel did not stop at an interrupt. {ANEW}]"));
            }
            End::Deaf => {
                notes.push(format!("[The kernel did not stop at three interrupts. {ANEW}]"));
            }
            End::Died => notes.push(format!("[The kernel died. {ANEW}]")),
            End::Cut => notes.push(format!(
                "[The kernel was lost: its server ended, or a message was too large. {ANEW}]"
            )),
        }
        for note in notes {
            if !content.is_empty() {
                content.push('\n');
            }
            content.push_str(&note);
        }
        (content, self.images)
    }
}

const ANEW: &str = "The next cell begins a new one; variables, functions and imports are lost.";

/// Stands before the output of the first cell after a kernel died while no cell ran.
pub const DIED_BEFORE: &str = "[The kernel had died since the last cell. A new one was begun; variables, functions and imports are lost.]\n";

fn timed_out(time: Duration) -> String {
    format!("[Execution timed out ({} seconds).]", time.as_secs_f64())
}

/// A cell that runs.
pub struct Cell {
    id: String,
    /// The reply, once it came.
    reply: Option<Value>,
    idle: bool,
}

impl Cell {
    /// The cell that was sent with this id.
    pub fn new(id: String) -> Self {
        Self { id, reply: None, idle: false }
    }

    /// Takes what belongs to it into `output`; the text that is new.
    pub fn take(&mut self, message: Message, output: &mut Output) -> Option<String> {
        if message.parent_header.msg_id != self.id {
            return None;
        }
        let content = message.content;
        match message.header.msg_type.as_str() {
            "status" => {
                self.idle |= content["execution_state"] == "idle";
                None
            }
            "execute_reply" => {
                self.reply = Some(content);
                None
            }
            "stream" => {
                let text = content["text"].as_str().unwrap_or_default();
                let which = usize::from(content["name"] == "stderr");
                if which == 1 && text.starts_with("IOPub ") {
                    let lost = "[Output comes too fast; a part of it is lost.]\n".to_owned();
                    return output.text(lost, true);
                }
                let text = output.streams[which].push(text);
                output.text(text, false)
            }
            "execute_result" | "display_data" | "update_display_data" => {
                shown(&content["data"], output)
            }
            "error" => {
                let lines = content["traceback"].as_array().into_iter().flatten();
                let lines: Vec<&str> = lines.filter_map(Value::as_str).collect();
                let text = if lines.is_empty() {
                    let name = content["ename"].as_str().unwrap_or("Error");
                    format!("{name}: {}", content["evalue"].as_str().unwrap_or_default())
                } else {
                    lines.join("\n")
                };
                output.text(Plain::default().push(&text) + "\n", true)
            }
            _ => None,
        }
    }

    /// It has its reply, and all its output came. The two come in any order.
    pub fn is_done(&self) -> bool {
        self.reply.is_some() && self.idle
    }

    /// It has its reply; all of its output should be there very soon.
    pub fn is_replied(&self) -> bool {
        self.reply.is_some()
    }

    /// What an expression that was sent along came to: bytes in hexadecimal digits between quotes.
    pub fn told(&self, expression: &str) -> Option<String> {
        let value = &self.reply.as_ref()?["user_expressions"][expression]["data"]["text/plain"];
        let digits = value.as_str()?.trim_matches('\'');
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
        String::from_utf8(bytes).ok()
    }
}

/// A result or a display: its image, and its text.
fn shown(data: &Value, output: &mut Output) -> Option<String> {
    let mut image = None;
    for kind in IMAGES {
        if let Some(data) = data[kind].as_str() {
            output.image(kind, data);
            image = Some(kind);
            break;
        }
    }
    if let Some(svg) = data["image/svg+xml"].as_str().filter(|_| image.is_none()) {
        output.image("image/svg+xml", &data_encoding::BASE64.encode(svg.as_bytes()));
        image = Some("image/svg+xml");
    }
    let text = match (data["text/plain"].as_str(), image) {
        (Some(text), _) => Plain::default().push(text) + "\n",
        (None, Some(kind)) => format!("[An image: {kind}]\n"),
        (None, None) => return None,
    };
    output.text(text, true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(kind: &str, parent: &str, content: &Value) -> Message {
        serde_json::from_value(json!({
            "header": { "msg_type": kind, "msg_id": "x" },
            "parent_header": { "msg_id": parent },
            "content": content,
        }))
        .unwrap()
    }

    fn stream(text: &str) -> Message {
        message("stream", "m", &json!({ "name": "stdout", "text": text }))
    }

    fn check(messages: Vec<Message>, end: End) -> (String, Vec<String>) {
        let (mut cell, mut output) = (Cell::new("m".into()), Output::new(1000));
        for message in messages {
            cell.take(message, &mut output);
        }
        output.finish(end, 1000)
    }

    #[test]
    fn a_cell_ends_when_it_has_its_reply_and_is_idle_in_either_order() {
        let idle = || message("status", "m", &json!({ "execution_state": "idle" }));
        let reply = || message("execute_reply", "m", &json!({ "status": "ok" }));
        for order in [[idle(), reply()], [reply(), idle()]] {
            let (mut cell, mut output) = (Cell::new("m".into()), Output::new(100));
            let [first, second] = order;
            assert_eq!(cell.take(first, &mut output), None);
            assert!(!cell.is_done());
            cell.take(second, &mut output);
            assert!(cell.is_done());
        }
        let mut cell = Cell::new("m".into());
        cell.take(
            message("status", "other", &json!({ "execution_state": "idle" })),
            &mut Output::new(9),
        );
        cell.take(reply(), &mut Output::new(9));
        assert!(!cell.is_done());
    }

    #[test]
    fn text_results_and_errors_stand_one_after_the_other_without_colours() {
        let (content, images) = check(
            vec![
                stream("\x1b[3"),
                stream("1mone\x1b[0m"),
                message("execute_result", "m", &json!({ "data": { "text/plain": "2" } })),
                message("error", "m", &json!({ "traceback": ["\x1b[0;31mTraceback", "E: x"] })),
            ],
            End::Done,
        );
        assert_eq!(content, "one\n2\nTraceback\nE: x");
        assert_eq!(images, Vec::<String>::new());
        assert_eq!(check(vec![], End::Done).0, "[Code executed successfully with no output]");
        let late = check(vec![stream("a\n")], End::TimedOut(Duration::from_millis(1500)));
        assert_eq!(late.0, "a\n[Execution timed out (1.5 seconds).]");
    }

    #[test]
    fn an_image_is_an_address_of_data_and_too_many_are_counted() {
        let image = |data: &str| {
            message(
                "display_data",
                "m",
                &json!({ "data": { "image/png": data, "text/plain": "<Figure>" } }),
            )
        };
        let (content, images) = check(vec![image("AA\nBB\n")], End::Done);
        assert_eq!(content, "<Figure>");
        assert_eq!(images, ["data:image/png;base64,AABB"]);
        let large = "A".repeat(MOST_IMAGE_BYTES / 2);
        let (content, images) = check(vec![image(&large), image(&large), image("AA")], End::Done);
        assert_eq!(images.len(), 2);
        assert!(
            content.ends_with("[1 image was left out; there are too many, or too large ones.]")
        );
    }

    #[test]
    fn of_a_flood_head_and_tail_are_kept_and_all_of_it_is_counted() {
        let (mut cell, mut output) = (Cell::new("m".into()), Output::new(1000));
        for n in 0..10_000 {
            cell.take(stream(&format!("{n:09}\n")), &mut output);
        }
        assert_eq!(output.total, 100_000);
        let (content, _) = output.finish(End::Done, 1000);
        assert!(content.starts_with("000000000") && content.ends_with("000009999"));
        assert!(content.len() < 1100);
    }

    #[test]
    fn an_expression_comes_back_from_its_digits() {
        let mut cell = Cell::new("m".into());
        let told = json!({ "d": { "status": "ok", "data": { "text/plain": "'2f77c3a4'" } }, "e": { "status": "error" } });
        cell.take(
            message("execute_reply", "m", &json!({ "status": "ok", "user_expressions": told })),
            &mut Output::new(9),
        );
        assert_eq!(cell.told("d").as_deref(), Some("/wä"));
        assert_eq!(cell.told("e"), None);
    }

    #[test]
    fn a_death_is_told_by_a_message_of_no_cell() {
        let status = |state: &str| message("status", "", &json!({ "execution_state": state }));
        assert!(status("restarting").tells_death() && status("dead").tells_death());
        assert!(!status("busy").tells_death());
    }
}
