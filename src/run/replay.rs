//! `staithe replay`: a trajectory shown as `run` would have shown it.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    lines::text,
    screen::{Screen, millis},
    show,
    wire::RunFailed,
};
use crate::cli::run::Replay;

/// The largest trajectory, in bytes.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;
/// The longest pause between two steps.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What --step asks before each step.
const STEP: &str = "-- Enter: the next step, Ctrl-D: no more -- ";

/// Shows it; the exit code.
pub(super) fn run(wanted: &Replay) -> Result<u8, RunFailed> {
    let events = read(&wanted.file)?;
    if wanted.step && !io::stdin().is_terminal() {
        return Err(RunFailed::Usage("--step: there is no terminal to press Enter on".to_owned()));
    }
    let mut steps = io::stdin().lines();
    let mut screen = Screen::new(io::stdout(), show::style());
    let mut before = None;
    for event in &events {
        let at = millis(text(event, "/timestamp"));
        if let (Some(speed), Some(before), Some(at)) = (wanted.speed, before, at) {
            pause(before, at, speed);
        }
        before = at.or(before);
        if wanted.step && event["action"].is_string() && event["source"] == "agent" {
            super::typed::ask(STEP);
            if steps.next().is_none() {
                break;
            }
        }
        match screen.event(event) {
            // Whoever reads has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            shown => shown.map_err(RunFailed::here)?,
        }
    }
    Ok(0)
}

#[expect(clippy::disallowed_methods, reason = "no actor is in this process: it shows a file")]
fn pause(before: i64, at: i64, speed: f64) {
    let millis = u64::try_from(at - before).unwrap_or(0);
    let pause = Duration::from_millis(millis).as_secs_f64() / speed;
    thread::sleep(Duration::try_from_secs_f64(pause).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE));
}

fn read(path: &Path) -> Result<Vec<Value>, RunFailed> {
    let failed = |error: io::Error| RunFailed::Here(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let from: Box<dyn io::Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(RunFailed::Here(format!("{}: larger than 1 GiB", path.display())));
    }
    let Some(Read { events, is_cut }) = events(&bytes) else {
        return Err(RunFailed::Usage(format!("{}: no trajectory is in it", path.display())));
    };
    if is_cut {
        eprintln!("staithe: {}: its last line is cut; what is before it is shown", path.display());
    }
    Ok(events)
}

/// What is in a file.
#[derive(Debug, PartialEq)]
struct Read {
    events: Vec<Value>,
    /// Whoever wrote it line by line was killed amid the last one.
    is_cut: bool,
}

/// The events in a trajectory, in its order: `{"trajectory":[…]}`, a list of events, or frames and events line by line.
fn events(bytes: &[u8]) -> Option<Read> {
    let is_event = |value: &Value| value["action"].is_string() || value["observation"].is_string();
    let list = match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Array(list)) => Some(list),
        Ok(Value::Object(mut map)) => {
            match map.remove("trajectory").or_else(|| map.remove("history")) {
                Some(Value::Array(list)) => Some(list),
                _ => None,
            }
        }
        _ => None,
    };
    if let Some(list) = list {
        // Older ones hold pairs of an action and its observation.
        let flat = list.into_iter().flat_map(|item| match item {
            Value::Array(pair) => pair,
            item => vec![item],
        });
        let events: Vec<_> = flat.filter(is_event).collect();
        return (!events.is_empty()).then_some(Read { events, is_cut: false });
    }
    let (mut events, mut is_cut) = (Vec::new(), false);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(line) else {
            // Only the last line can be cut, and then it has no end.
            is_cut = !line.ends_with(b"\n");
            if is_cut {
                break;
            }
            return None;
        };
        if value["type"] == "event" {
            value = value["event"].take();
        }
        if is_event(&value) {
            events.push(value);
        }
    }
    (!events.is_empty()).then_some(Read { events, is_cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_trajectory_is_read() {
        let event = r#"{"id":0,"source":"agent","action":"think","args":{"thought":"hm"}}"#;
        let one: Vec<Value> = vec![serde_json::from_str(event).unwrap()];
        for form in [
            format!("{{\"trajectory\":[{event}]}}"),
            format!("[{event}]"),
            format!("[[{event}]]"),
            format!("{{\"history\":[{event}],\"instance_id\":\"x\"}}"),
            format!(
                "{{\"type\":\"hello\"}}\n{{\"type\":\"event\",\"event\":{event}}}\n{{\"type\":\"outcome\"}}\n"
            ),
        ] {
            let read = Read { events: one.clone(), is_cut: false };
            assert_eq!(events(form.as_bytes()), Some(read), "{form}");
        }
        let line = format!("{{\"type\":\"event\",\"event\":{event}}}\n");
        for cut in 1..line.len() - 1 {
            let form = format!("{line}{}", &line[..cut]);
            let read = Read { events: one.clone(), is_cut: true };
            assert_eq!(events(form.as_bytes()), Some(read), "{form}");
        }
        let amid = format!("{line}{}\n{line}", &line[..9]);
        assert_eq!(events(amid.as_bytes()), None, "a line amid it is no cut");
        for form in
            ["", "{}", "[]", "7", "no json", "{\"trajectory\":3}", "{\"a\":1}\n{\"b\":2}\nx"]
        {
            assert_eq!(events(form.as_bytes()), None, "{form}");
        }
    }
}
