//! Whether the agent goes round in circles: the five rules of the reference (§6.5), event by event, in bounded memory.
//!
//! Two actions are the same if all that they say is, their thought included; two commands' results if command and exit
//! code are; other results by their text.

use std::{
    collections::{VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use staithe_protocol::{Action, EventId, Observation};

/// The rule that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Four times the same action with the same result.
    Repeats,
    /// Three times the same action, and an error each time.
    Errors,
    /// Three times the same words, and nothing between them.
    Monologue,
    /// Two actions by turns, three times.
    Alternates,
    /// Ten times condensed, and nothing between.
    Condensing,
}

impl Rule {
    /// Its stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Repeats => "stuck.repeats",
            Self::Errors => "stuck.errors",
            Self::Monologue => "stuck.monologue",
            Self::Alternates => "stuck.alternates",
            Self::Condensing => "stuck.condensing",
        }
    }

    /// What the agent does, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Repeats => "it did the same four times, with the same result",
            Self::Errors => "the same action failed three times in a row",
            Self::Monologue => "it said the same three times",
            Self::Alternates => "it alternates between two actions",
            Self::Condensing => "its memory is condensed again and again without a step between",
        }
    }
}

/// What is remembered: no more than the longest rule looks at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detector {
    /// The newest actions with their results.
    done: VecDeque<Done>,
    /// The newest words since the last result.
    said: VecDeque<(EventId, u64)>,
    condensed: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct Done {
    id: EventId,
    action: u64,
    /// None until it is there.
    result: Option<u64>,
    failed: bool,
}

/// Twice three by turns.
const LONGEST: usize = 6;
const MOST_CONDENSED: u32 = 10;

impl Detector {
    /// The agent does something.
    pub fn action(&mut self, id: EventId, action: &Action) {
        self.condensed = 0;
        keep(&mut self.done, Done { id, action: of(action), result: None, failed: false });
    }

    /// What came of the newest action.
    pub fn result(&mut self, observation: &Observation) {
        self.said.clear();
        if let Some(last) = self.done.back_mut() {
            last.result = Some(result(observation));
            last.failed = failed(observation);
        }
    }

    /// A call came to nothing: action and result at once.
    pub fn refused(&mut self, id: EventId, call: &str, observation: &Observation) {
        self.condensed = 0;
        let done = Done { id, action: hash(&call), result: None, failed: false };
        keep(&mut self.done, done);
        self.result(observation);
    }

    /// The agent says something.
    pub fn said(&mut self, id: EventId, text: &str) {
        self.condensed = 0;
        keep(&mut self.said, (id, hash(&text)));
    }

    /// The view was condensed.
    pub fn condensed(&mut self) {
        self.condensed = self.condensed.saturating_add(1);
    }

    /// Something new: a word of the user, another beginning.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The rule that is met, and the event with which the loop begins.
    pub fn found(&self) -> Option<(Rule, EventId)> {
        if self.condensed >= MOST_CONDENSED {
            return Some((Rule::Condensing, self.done.front().map_or(EventId(0), |done| done.id)));
        }
        if let Some(first) = alike(&self.said, 3, |(_, text)| *text) {
            return Some((Rule::Monologue, first.0));
        }
        if self.done.iter().any(|done| done.result.is_none()) {
            return None; // it is seen when the result is there
        }
        if let Some(first) = alike(&self.done, 4, |done| (done.action, done.result)) {
            return Some((Rule::Repeats, first.id));
        }
        let failing = self.done.iter().rev().take(3).all(|done| done.failed);
        if let Some(first) = alike(&self.done, 3, |done| done.action).filter(|_| failing) {
            return Some((Rule::Errors, first.id));
        }
        let turns: Vec<_> = self.done.iter().map(|done| (done.action, done.result)).collect();
        match turns.as_slice() {
            [one, other, rest @ ..]
                if turns.len() == LONGEST
                    && one != other
                    && rest.chunks(2).all(|pair| pair[0] == *one && pair[1] == *other) =>
            {
                self.done.front().map(|first| (Rule::Alternates, first.id))
            }
            _ => None,
        }
    }
}

fn keep<T>(row: &mut VecDeque<T>, new: T) {
    if row.len() == LONGEST {
        row.pop_front();
    }
    row.push_back(new);
}

/// The first of the newest `count`, if they are all the same.
fn alike<T, K: PartialEq>(row: &VecDeque<T>, count: usize, key: impl Fn(&T) -> K) -> Option<&T> {
    let first = row.get(row.len().checked_sub(count)?)?;
    row.iter().rev().take(count).all(|it| key(it) == key(first)).then_some(first)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn of(action: &Action) -> u64 {
    hash(&serde_json::to_string(action).unwrap_or_default())
}

fn result(observation: &Observation) -> u64 {
    match observation {
        Observation::Run(run) => hash(&("run", &run.command, run.exit_code)),
        other => hash(&(other.name(), other.content())),
    }
}

fn failed(observation: &Observation) -> bool {
    match observation {
        Observation::Error(_) => true,
        Observation::RunIpython(cell) => cell.content.contains("SyntaxError"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use staithe_protocol::{
        action::{Run, RunIpython},
        observation::{RunIpythonObservation, RunObservation},
    };

    use super::*;

    fn run(command: &str) -> Action {
        Action::Run(Run { command: command.to_owned(), ..Run::default() })
    }

    fn ran(command: &str, exit_code: i64, content: &str) -> Observation {
        let (command, content) = (command.to_owned(), content.to_owned());
        Observation::Run(RunObservation { command, exit_code, content, ..Default::default() })
    }

    fn detector(done: &[(Action, Observation)]) -> Detector {
        let mut detector = Detector::default();
        for (id, (action, observation)) in (0..).zip(done) {
            detector.action(EventId(id), action);
            detector.result(observation);
        }
        detector
    }

    #[test]
    fn four_times_the_same_with_the_same_result_is_stuck_and_three_times_not() {
        let same = |times| {
            let each = |n| (run("ls"), ran("ls", 0, &format!("other text {n}")));
            detector(&(0..times).map(each).collect::<Vec<_>>())
        };
        assert_eq!(same(3).found(), None);
        assert_eq!(same(4).found(), Some((Rule::Repeats, EventId(0))));
        assert_eq!(same(5).found(), Some((Rule::Repeats, EventId(1))));
    }

    #[test]
    fn another_thought_or_another_exit_code_is_not_the_same() {
        let thinking =
            |thought: &str| Action::Run(Run { thought: thought.to_owned(), ..Run::default() });
        let each = |n: i64| (thinking(&n.to_string()), ran("", 0, ""));
        assert_eq!(detector(&(0..6).map(each).collect::<Vec<_>>()).found(), None);
        let each = |n: i64| (run("make"), ran("make", n, ""));
        assert_eq!(detector(&(0..6).map(each).collect::<Vec<_>>()).found(), None);
    }

    #[test]
    fn three_errors_of_the_same_action_are_stuck_whatever_they_say() {
        let failing = |n: i64| (run("ls"), Observation::error(format!("no {n}"), ""));
        let of = |times| detector(&(0..times).map(failing).collect::<Vec<_>>()).found();
        assert_eq!((of(2), of(3)), (None, Some((Rule::Errors, EventId(0)))));
        let cell = Action::RunIpython(RunIpython { code: "(".to_owned(), ..Default::default() });
        let content = "SyntaxError: incomplete input".to_owned();
        let output =
            Observation::RunIpython(RunIpythonObservation { content, ..Default::default() });
        let three = vec![(cell, output); 3];
        assert_eq!(detector(&three).found(), Some((Rule::Errors, EventId(0))));
    }

    #[test]
    fn a_call_that_is_refused_three_times_is_stuck() {
        let mut detector = Detector::default();
        for id in 0..3 {
            assert_eq!(detector.found(), None);
            detector.refused(EventId(id), "nonsense {}", &Observation::error("unknown", ""));
        }
        assert_eq!(detector.found(), Some((Rule::Errors, EventId(0))));
    }

    #[test]
    fn the_same_words_three_times_are_stuck_unless_something_happened_between() {
        let mut detector = Detector::default();
        detector.said(EventId(1), "Hello");
        detector.said(EventId(2), "Hello");
        assert_eq!(detector.found(), None);
        detector.said(EventId(3), "Hello");
        assert_eq!(detector.found(), Some((Rule::Monologue, EventId(1))));
        detector.action(EventId(4), &run("ls"));
        detector.result(&ran("ls", 0, ""));
        assert_eq!(detector.found(), None);
    }

    #[test]
    fn two_by_turns_three_times_are_stuck() {
        let pair = [(run("a"), ran("a", 0, "")), (run("b"), ran("b", 0, ""))];
        let five: Vec<_> = pair.iter().cloned().cycle().take(5).collect();
        assert_eq!(detector(&five).found(), None);
        let six: Vec<_> = pair.iter().cloned().cycle().take(6).collect();
        assert_eq!(detector(&six).found(), Some((Rule::Alternates, EventId(0))));
    }

    #[test]
    fn ten_condensations_in_a_row_are_stuck() {
        let mut detector = Detector::default();
        for _ in 0..9 {
            detector.condensed();
        }
        assert_eq!(detector.found(), None);
        detector.condensed();
        assert_eq!(detector.found().map(|(rule, _)| rule), Some(Rule::Condensing));
        detector.reset();
        assert_eq!(detector.found(), None);
    }

    proptest! {
        #[test]
        fn what_always_changes_is_never_stuck_and_memory_is_bounded(count in 0..200_u64) {
            let mut detector = Detector::default();
            for n in 0..count {
                detector.action(EventId(n), &run(&format!("echo {n}")));
                detector.result(&Observation::error(n.to_string(), ""));
                prop_assert_eq!(detector.found(), None);
            }
            prop_assert!(detector.done.len() <= LONGEST && detector.said.len() <= LONGEST);
        }
    }
}
