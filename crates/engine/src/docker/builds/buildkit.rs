//! What `BuildKit` says: vertices of a graph, several at work at a time, each with a log of its own.
//!
//! A vertex that stands for a line of the Dockerfile is named `[2/5] RUN …`, or `[stage 2/5] RUN …`; others
//! are the builder's own work. A step's number is how many of the former began, which is what a person
//! sees go by; of how many, the names say.

use std::collections::BTreeMap;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

use super::{
    lines::{Lines, one_line},
    step::{Step, base_of},
};
use crate::images::BuildNews;

const METADATA: &str = "[internal] load metadata for ";
/// Where images without a registry's name come from; the Dockerfile doesn't say it.
const DEFAULT_REGISTRY: [&str; 2] = ["docker.io/library/", "docker.io/"];

/// The graph so far.
#[derive(Debug, Default)]
pub(super) struct BuildKit {
    vertices: BTreeMap<String, Seen>,
    /// Steps by stage.
    stages: BTreeMap<String, u32>,
    begun: u32,
    newest: Option<String>,
    /// The first that failed by itself.
    failed: Option<(String, String)>,
}

#[derive(Debug, Default)]
struct Seen {
    step: Step,
    begun: bool,
    is_step: bool,
    lines: Lines,
}

impl BuildKit {
    pub(super) fn take(&mut self, status: &StatusResponse) -> Vec<BuildNews> {
        let mut news = Vec::new();
        for vertex in &status.vertexes {
            news.extend(self.vertex(vertex));
        }
        for log in &status.logs {
            let Some(seen) = self.vertices.get_mut(&log.vertex) else { continue };
            for line in seen.lines.push(&log.msg) {
                news.push(seen.line(line));
            }
        }
        news
    }

    fn vertex(&mut self, vertex: &Vertex) -> Vec<BuildNews> {
        let named = named(&vertex.name);
        if let Some((stage, of, _)) = named {
            self.stages.insert(stage.to_owned(), of);
        }
        let of = self.stages.values().sum();
        let seen = self.vertices.entry(vertex.digest.clone()).or_default();
        seen.step.of = of;
        seen.step.text = one_line(&tidy(named.map_or(vertex.name.as_str(), |(.., text)| text)));
        seen.step.base = base(&vertex.name, &seen.step.text);
        seen.is_step = named.is_some();
        let mut news = Vec::new();
        if seen.is_step && vertex.started.is_some() && !seen.begun {
            seen.begun = true;
            self.begun += 1;
            self.newest = Some(vertex.digest.clone());
            seen.step.number = self.begun;
            let (number, text) = (self.begun, seen.step.text.clone());
            news.push(BuildNews::Step { number, of: of.max(number), text });
        }
        if vertex.completed.is_some()
            && let Some(line) = seen.lines.flush()
        {
            news.push(seen.line(line));
        }
        // Those that were at work beside it are ended then, and say so.
        let ended = vertex.error.contains("context canceled");
        if !vertex.error.is_empty() && !ended && self.failed.is_none() {
            self.failed = Some((vertex.digest.clone(), vertex.error.clone()));
        }
        news
    }

    /// The newest step.
    pub(super) fn at(&self) -> Step {
        let newest = self.newest.as_ref().and_then(|digest| self.vertices.get(digest));
        newest.map(Seen::at).unwrap_or_default()
    }

    /// The step that failed and its own words; none when it was none: the Dockerfile itself can't be read.
    pub(super) fn failing(mut self) -> (Vec<BuildNews>, Option<(Step, String)>) {
        let Some((digest, cause)) = self.failed.take() else { return (Vec::new(), None) };
        let at = self.at();
        let Some(mut seen) = self.vertices.remove(&digest) else { return (Vec::new(), None) };
        let last = seen.lines.flush().map(|line| seen.line(line));
        let mut step = seen.at();
        if !seen.is_step {
            step.number = at.number;
        }
        (last.into_iter().collect(), Some((step, cause)))
    }
}

impl Seen {
    fn line(&mut self, line: String) -> BuildNews {
        self.step.tail.push(&line);
        BuildNews::Line(line)
    }

    fn at(&self) -> Step {
        let of = self.step.of.max(self.step.number);
        Step { of, ..self.step.clone() }
    }
}

/// Stage, its number of steps, and the line of a vertex that is a step.
fn named(name: &str) -> Option<(&str, u32, &str)> {
    let (place, text) = name.strip_prefix('[')?.split_once("] ")?;
    let (stage, count) = place.rsplit_once(' ').unwrap_or(("", place));
    let (number, of) = count.split_once('/')?;
    number.trim().parse::<u32>().ok()?;
    Some((stage.trim_end(), of.parse().ok()?, text))
}

/// A line as the Dockerfile has it.
fn tidy(text: &str) -> String {
    match base_of(text) {
        Some(image) => text.replacen(image, plain(image), 1),
        None => text.to_owned(),
    }
}

/// The image that a vertex fetches.
fn base(name: &str, text: &str) -> Option<String> {
    let image = name.strip_prefix(METADATA).or_else(|| base_of(text))?;
    Some(plain(image).to_owned())
}

fn plain(image: &str) -> &str {
    DEFAULT_REGISTRY.iter().find_map(|registry| image.strip_prefix(registry)).unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use bollard::moby::buildkit::v1::VertexLog;

    use super::*;

    fn vertex(digest: &str, name: &str, begun: bool, error: &str) -> Vertex {
        Vertex {
            digest: digest.into(),
            name: name.into(),
            started: begun.then(Default::default),
            error: error.into(),
            ..Vertex::default()
        }
    }

    fn log(vertex: &str, msg: &str) -> VertexLog {
        VertexLog { vertex: vertex.into(), msg: msg.into(), ..VertexLog::default() }
    }

    fn told(news: Vec<BuildNews>) -> Vec<String> {
        let word = |news| match news {
            BuildNews::Step { number, of, text } => format!("{number}/{of} {text}"),
            BuildNews::Line(line) => line,
        };
        news.into_iter().map(word).collect()
    }

    fn status(vertexes: Vec<Vertex>, logs: Vec<VertexLog>) -> StatusResponse {
        StatusResponse { vertexes, logs, ..StatusResponse::default() }
    }

    #[test]
    fn only_lines_of_the_dockerfile_are_steps() {
        let mut kit = BuildKit::default();
        let news = kit.take(&status(
            vec![
                vertex("i", "[internal] load build definition from Dockerfile", true, ""),
                vertex("c", "copy /context /", true, ""),
                vertex("a", "[1/2] FROM docker.io/library/debian:12", true, ""),
                vertex("b", "[2/2] RUN make", false, ""),
            ],
            vec![],
        ));
        assert_eq!(told(news), ["1/2 FROM debian:12"]);
        let news = kit.take(&status(
            vec![vertex("b", "[2/2] RUN make", true, ""), vertex("b", "[2/2] RUN make", true, "")],
            vec![log("b", "one\r\ntw"), log("b", "o\n"), log("unknown", "x\n")],
        ));
        assert_eq!(told(news), ["2/2 RUN make", "one", "two"]);
    }

    #[test]
    fn stages_are_counted_together() {
        let mut kit = BuildKit::default();
        let news = kit.take(&status(
            vec![
                vertex("a", "[deps 1/2] FROM docker.io/a/b:1", true, ""),
                vertex("b", "[deps 2/2] RUN x", true, ""),
                vertex("c", "[stage-1 3/3] COPY --from=deps /x /x", true, ""),
            ],
            vec![],
        ));
        let expected = ["1/2 FROM a/b:1", "2/2 RUN x", "3/5 COPY --from=deps /x /x"];
        assert_eq!(told(news), expected);
    }

    #[test]
    fn a_failure_is_that_of_the_step_that_failed_by_itself() {
        let mut kit = BuildKit::default();
        kit.take(&status(
            vec![
                vertex("a", "[a 1/1] RUN one", true, ""),
                vertex("b", "[b 1/1] RUN two", true, ""),
            ],
            vec![log("a", "of a\n"), log("b", "of b\nand")],
        ));
        kit.take(&status(
            vec![
                vertex("b", "[b 1/1] RUN two", true, "context canceled"),
                vertex("a", "[a 1/1] RUN one", true, "exit code: 7"),
            ],
            vec![],
        ));
        let (_, failed) = kit.failing();
        let (step, cause) = failed.expect("it failed");
        assert_eq!(
            (step.number, step.text.as_str(), cause.as_str()),
            (1, "RUN one", "exit code: 7")
        );
        assert_eq!(step.tail.lines(), ["of a"]);
    }

    #[test]
    fn a_base_that_is_not_there_is_named_as_the_dockerfile_names_it() {
        let mut kit = BuildKit::default();
        let name = "[internal] load metadata for docker.io/library/nothing:1";
        kit.take(&status(vec![vertex("a", name, true, "pull access denied")], vec![]));
        let (step, _) = kit.failing().1.expect("it failed");
        assert_eq!(step.base.as_deref(), Some("nothing:1"));
    }
}
