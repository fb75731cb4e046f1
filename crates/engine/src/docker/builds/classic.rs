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
//! Whatever a step prints comes on the same stream: a step that prints the builder's words is believed no
//! further than that a step's number follows the one before.

use super::{
    lines::{Lines, one_line},
    step::{Step, base_of},
};
use crate::images::BuildNews;

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
    /// What it made that no name holds, oldest first. What came from the cache is not its own.
    pub(super) made: Vec<Made>,
    /// Containers of steps that may still be there.
    pub(super) containers: Vec<String>,
    current: Option<String>,
    cached: bool,
    is_base: bool,
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
        if let Some(result) = words.strip_prefix(" ---> ") {
            return self.result(result.trim_end());
        }
        let last = self.at.number == self.at.of;
        if let Some(id) = words.strip_prefix("Removing intermediate container ") {
            let id = id.trim_end();
            self.containers.retain(|container| container != id);
            self.end_of_line().into_iter().collect()
        } else if last && words.starts_with("Successfully ") {
            Vec::new()
        } else {
            self.lines.push(words.as_bytes()).into_iter().map(|line| self.line(line)).collect()
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

    fn result(&mut self, result: &str) -> Vec<BuildNews> {
        let news = self.end_of_line().into_iter().collect();
        if result == "Using cache" {
            self.cached = true;
        } else if let Some(id) = result.strip_prefix("Running in ") {
            if is_id(id) {
                self.containers.push(id.to_owned());
            }
        } else if is_id(result) || result.is_empty() {
            let id = (!result.is_empty()).then(|| result.to_owned());
            // A base is not of this build; what its triggers make upon it is.
            let own = !std::mem::take(&mut self.is_base) && !std::mem::take(&mut self.cached);
            self.at.base = None; // it is had
            let parent = std::mem::replace(&mut self.current, id.clone());
            if let (true, Some(id)) = (own, id) {
                self.made.push(Made { id, parent });
            }
        } else {
            return vec![self.line(one_line(result))]; // a warning
        }
        news
    }

    fn end_of_line(&mut self) -> Option<BuildNews> {
        self.lines.flush().map(|line| self.line(line))
    }

    fn line(&mut self, line: String) -> BuildNews {
        self.at.tail.push(&line);
        BuildNews::Line(line)
    }
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
        assert!(classic.containers.is_empty());
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
