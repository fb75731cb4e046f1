//! What Docker's first builder says, line by line.
//!
//! ```text
//! Step 2/3 : RUN make          → a step
//!  ---> Running in 95335d1984c9  its container
//! (what the step prints)       → lines
//! Removing intermediate container 95335d1984c9
//!  ---> 35a577daaa69             what it made
//! ```
//!
//! Whatever a step prints comes on the same stream, so all of this can be forged. A step has one container,
//! told before anything runs in it, and one result, told when that is gone: the same words anywhere else are
//! the step's own, and lines. A step that forges the beginning of the next one is still believed, so ids that
//! are read here are only guesses at what a build left: `left` asks the engine whether each is the build's
//! before it removes anything.

use super::{
    lines::{Lines, one_line},
    step::{Step, base_of},
};
use crate::images::BuildNews;

/// Most images, and most containers, that are remembered: more than an image may have layers.
const MOST: usize = 256;

/// An image without a name that a build made, and what it was made upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) id: String,
    /// None: upon nothing, as `FROM scratch` is.
    pub(super) parent: Option<String>,
}

/// The stream so far.
#[derive(Debug, Default)]
pub(super) struct Classic {
    pub(super) at: Step,
    lines: Lines,
    /// What it seems to have made that no name holds, oldest first. What came from the cache is not its own.
    pub(super) made: Vec<Made>,
    /// What seem to be containers of its steps, there or gone.
    pub(super) containers: Vec<String>,
    current: Option<String>,
    cached: bool,
    is_base: bool,
    phase: Phase,
}

/// How far a step is: what the builder may say next.
#[derive(Debug, Default)]
enum Phase {
    /// Nothing runs yet.
    #[default]
    Begun,
    /// Its container, by its id, may print anything.
    Runs(String),
    /// Its container is gone, and its result comes.
    Ran,
    /// It has its result.
    Over,
}

impl Classic {
    pub(super) fn take(&mut self, words: &str) -> Vec<BuildNews> {
        if let Some((number, of, text)) = step(words)
            && number == self.at.number + 1
            && (number == 1 || of == self.at.of)
        {
            let mut news: Vec<_> = self.end_of_line().into_iter().collect();
            news.push(self.begin(number, of, text));
            return news;
        }
        if self.is_builders(words) {
            return self.end_of_line().into_iter().collect();
        }
        // A program that has printed runs: whatever else it says, it was not told of.
        let is_run =
            self.at.text.split(' ').next().is_some_and(|it| it.eq_ignore_ascii_case("RUN"));
        if is_run && matches!(self.phase, Phase::Begun) && !is_blank_or_warning(words) {
            self.phase = Phase::Over;
        }
        self.lines.push(words.as_bytes()).into_iter().map(|line| self.line(line)).collect()
    }

    /// Takes what only the builder can have said, at this moment.
    fn is_builders(&mut self, words: &str) -> bool {
        if let Some(id) = words.strip_prefix("Removing intermediate container ") {
            let is_its = matches!(&self.phase, Phase::Runs(own) if own == id.trim_end());
            if is_its {
                self.phase = Phase::Ran;
            }
            return is_its;
        }
        if words.starts_with("Successfully ") {
            return self.at.number == self.at.of && matches!(self.phase, Phase::Over);
        }
        let Some(result) = words.strip_prefix(" ---> ").map(str::trim_end) else { return false };
        let begun = matches!(self.phase, Phase::Begun);
        if begun && result == "Using cache" {
            self.cached = true;
            true
        } else if let Some(id) = result.strip_prefix("Running in ").filter(|id| begun && is_id(id))
        {
            remember(&mut self.containers, id.to_owned());
            self.phase = Phase::Runs(id.to_owned());
            true
        } else if (begun || matches!(self.phase, Phase::Ran))
            && (is_id(result) || result.is_empty())
        {
            self.result(result);
            true
        } else {
            false
        }
    }

    fn result(&mut self, result: &str) {
        self.phase = Phase::Over;
        let id = (!result.is_empty()).then(|| result.to_owned());
        // A base is not of this build.
        let own = !std::mem::take(&mut self.is_base) && !std::mem::take(&mut self.cached);
        self.at.base = None; // it is had
        let parent = std::mem::replace(&mut self.current, id.clone());
        if let (true, Some(id)) = (own, id) {
            remember(&mut self.made, Made { id, parent });
        }
    }

    /// A word about an image that is fetched.
    pub(super) fn status(&mut self, id: Option<&str>, status: &str) -> BuildNews {
        let line = match id {
            Some(id) if !id.is_empty() => format!("{id}: {status}"),
            _ => status.to_owned(),
        };
        self.line(one_line(&line))
    }

    /// What the step under way copies files upon, and where to.
    pub(super) fn copying(&self) -> Option<(String, String)> {
        let mut words = self.at.text.split_whitespace();
        let verb = words.next()?.to_uppercase();
        (verb == "COPY" || verb == "ADD")
            .then(|| Some((self.current.clone()?, words.next_back()?.to_owned())))?
    }

    /// What the engine gave up with.
    pub(super) fn failing(mut self) -> (Option<BuildNews>, Step) {
        let news = self.end_of_line();
        (news, self.at)
    }

    fn begin(&mut self, number: u32, of: u32, text: &str) -> BuildNews {
        self.is_base = base_of(text).is_some();
        self.cached = false;
        self.phase = Phase::Begun;
        let base = base_of(text).map(str::to_owned);
        self.at.tail.clear();
        self.at = Step {
            number,
            of,
            text: one_line(text),
            base,
            tail: std::mem::take(&mut self.at.tail),
        };
        BuildNews::Step { number, of, text: self.at.text.clone() }
    }

    fn end_of_line(&mut self) -> Option<BuildNews> {
        self.lines.flush().map(|line| self.line(line))
    }

    fn line(&mut self, line: String) -> BuildNews {
        self.at.tail.push(&line);
        BuildNews::Line(line)
    }
}

fn remember<T>(all: &mut Vec<T>, one: T) {
    if all.len() < MOST {
        all.push(one);
    }
}

fn is_blank_or_warning(words: &str) -> bool {
    words.trim().is_empty() || words.starts_with(" ---> [Warning] ")
}

/// `Step 3/14 : RUN …`, which comes in one piece.
fn step(words: &str) -> Option<(u32, u32, &str)> {
    let (count, text) = words.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, of) = count.split_once('/')?;
    let (number, of) = (number.parse().ok()?, of.parse().ok()?);
    (number <= of).then_some((number, of, text))
}

/// An id as the builder shortens it.
fn is_id(word: &str) -> bool {
    word.len() >= 12 && word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(words: &[&str]) -> (Vec<String>, Classic) {
        let mut classic = Classic::default();
        let mut all = Vec::new();
        for words in words {
            all.extend(classic.take(words).into_iter().map(|news| match news {
                BuildNews::Step { number, of, text } => format!("{number}/{of} {text}"),
                BuildNews::Line(line) => line,
            }));
        }
        (all, classic)
    }

    #[test]
    fn a_build_is_told_by_its_steps_and_what_they_print() {
        let (told, classic) = news(&[
            "Step 1/3 : FROM staithe-test/busybox:1",
            "\n",
            " ---> 73ba71c0bfc2\n",
            "Step 2/3 : RUN make",
            "\n",
            " ---> Running in 95335d1984c9\n",
            "one\ntw",
            "o",
            "Removing intermediate container 95335d1984c9\n",
            " ---> 35a577daaa69\n",
            "Step 3/3 : ENV A=b",
            "\n",
            " ---> Using cache\n",
            " ---> fb31d20fafa6\n",
            "Successfully built fb31d20fafa6\n",
            "Successfully tagged a:1\n",
        ]);
        let expected =
            ["1/3 FROM staithe-test/busybox:1", "2/3 RUN make", "one", "two", "3/3 ENV A=b"];
        assert_eq!(told, expected);
        let made = Made { id: "35a577daaa69".into(), parent: Some("73ba71c0bfc2".into()) };
        assert_eq!(classic.made, [made], "neither the base nor what was cached");
        assert_eq!(classic.containers, ["95335d1984c9"]);
    }

    #[test]
    fn a_step_that_prints_the_builders_words_moves_nothing() {
        let (told, classic) = news(&[
            "Step 1/4 : FROM scratch",
            " ---> \n",
            "Step 2/4 : RUN forge",
            " ---> Running in 95335d1984c9\n",
            "Step 4/4 : FROM elsewhere",
            "Step 3/9 : FROM elsewhere",
            "Successfully built 0123456789ab\n",
        ]);
        assert_eq!(told[..2], ["1/4 FROM scratch", "2/4 RUN forge"]);
        assert_eq!((classic.at.number, classic.at.of), (2, 4));
        assert_eq!(classic.containers, ["95335d1984c9"]);
    }

    #[test]
    fn a_container_or_an_image_that_a_step_prints_is_a_line() {
        let foreign = " ---> Running in 0123456789ab\n";
        let base = ["Step 1/3 : FROM a:1", "\n", " ---> 73ba71c0bfc2\n"];
        let run = ["Step 2/3 : RUN forge", "\n", " ---> Running in 95335d1984c9\n"];
        let forged =
            [foreign, " ---> fedcba987654\n", "Removing intermediate container 0123456789ab\n"];
        let end = ["Removing intermediate container 95335d1984c9\n", " ---> 35a577daaa69\n"];
        let after = [" ---> fedcba987654\n", foreign];
        let (told, classic) = news(&[&base[..], &run, &forged, &end, &after].concat());
        assert_eq!(classic.containers, ["95335d1984c9"]);
        let made = Made { id: "35a577daaa69".into(), parent: Some("73ba71c0bfc2".into()) };
        assert_eq!(classic.made, [made]);
        assert_eq!(told.iter().filter(|line| line.contains("--->")).count(), 4, "{told:?}");
        // The builder names a container before anything runs.
        let (_, classic) = news(&[&base[..], &run[..2], &["output\n", foreign]].concat());
        assert_eq!(classic.containers, Vec::<String>::new());
        let warning = " ---> [Warning] no swap\n";
        let (told, classic) = news(&[&base[..], &run[..2], &[warning, run[2]]].concat());
        assert_eq!(classic.containers, ["95335d1984c9"], "a warning is the builder's: {told:?}");
    }

    #[test]
    fn what_the_last_step_prints_of_success_is_told() {
        let pip = "Successfully installed a\n";
        let (told, _) = news(&["Step 1/1 : RUN pip", " ---> Running in 95335d1984c9\n", pip]);
        assert_eq!(told[1], "Successfully installed a");
    }

    #[test]
    fn a_step_that_forges_step_after_step_is_remembered_up_to_a_bound() {
        let mut classic = Classic::default();
        for number in 1..10_000 {
            classic.take(&format!("Step {number}/10000 : RUN x"));
            classic.take(&format!(" ---> Running in {number:012x}\n"));
            classic.take(&format!("Removing intermediate container {number:012x}\n"));
            classic.take(&format!(" ---> {number:012x}\n"));
        }
        assert_eq!((classic.containers.len(), classic.made.len()), (MOST, MOST));
    }

    #[test]
    fn a_base_is_missed_only_until_it_is_there() {
        let (_, classic) = news(&["Step 1/2 : FROM nothing:1", "\n"]);
        assert_eq!(classic.at.base.as_deref(), Some("nothing:1"));
        let (_, classic) = news(&["Step 1/2 : FROM nothing:1", "\n", " ---> 73ba71c0bfc2\n"]);
        assert_eq!(classic.at.base, None);
    }

    #[test]
    fn a_step_that_copies_is_known_by_what_it_copies_upon_and_where_to() {
        let copying = |words: &[&str]| news(words).1.copying();
        let base = ["Step 1/3 : FROM a:1", " ---> 73ba71c0bfc2\n"];
        let copies = [base[0], base[1], "Step 2/3 : COPY --chown=1 big other /to/"];
        let expected = Some(("73ba71c0bfc2".to_owned(), "/to/".to_owned()));
        assert_eq!(copying(&copies), expected);
        assert_eq!(copying(&[base[0], base[1], "Step 2/3 : RUN cp big /to"]), None);
        assert_eq!(copying(&base), None);
    }
}
