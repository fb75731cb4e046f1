//! What a step costs does not grow with the log.

use super::world::{World, facts, settings};
use crate::{
    controller::{Configured, ModelFacts, Purpose},
    model::Said,
    settings::{AgentSettings, ViewSettings},
};

/// As `config.toml` has it.
const SHIPPED: ViewSettings = ViewSettings {
    fill: 0.75,
    most_turns: 160,
    keep_first: 2,
    whole_results: 40,
    most_result: 30_000,
};
const STEPS: usize = 2000;
/// Steps that are looked at together: their questions grow, and are condensed.
const TOGETHER: usize = 200;

/// Characters and turns of a question.
fn size(world: &World) -> (usize, usize) {
    let (_, question, _) = world.asked.as_ref().unwrap();
    let length = |said: &Said| match said {
        Said::User { text, .. } | Said::Tool { text, .. } => text.len(),
        Said::Assistant(answered) => {
            answered.text.len()
                + answered.calls.iter().map(|call| call.arguments.len()).sum::<usize>()
        }
    };
    (question.said.iter().map(length).sum(), question.said.len())
}

/// The sizes of the questions of so many steps whose commands and results have so many letters, and how often the view
/// was condensed.
fn steps(world: &mut World, letters: usize) -> (Vec<(usize, usize)>, usize) {
    let (mut sizes, mut condensed) = (Vec::new(), 0);
    while sizes.len() < STEPS {
        let (_, _, purpose) = world.asked.as_ref().unwrap();
        if *purpose == Purpose::Condense {
            let summary = world.text("What was done before");
            world.answer(summary);
            condensed += 1;
            continue;
        }
        sizes.push(size(world));
        let events = world.log.len();
        let answer = world.bash(&[&format!("echo {} {}", sizes.len(), "x".repeat(letters))]);
        world.answer(answer);
        world.done();
        assert_eq!(world.log.len() - events, 2, "an action and its result");
    }
    (sizes, condensed)
}

#[test]
fn two_thousand_steps_cost_the_same_each() {
    for (view, window, letters) in
        [(settings().view, 100_000, 1), (SHIPPED, 200_000, 1), (SHIPPED, 200_000, 1_500)]
    {
        let settings = AgentSettings { view, ..settings() };
        let mut world = World::at_work(settings.clone());
        let model = Ok(ModelFacts { window, ..facts() });
        world.set(Configured { settings, model, condenser: None });
        let (sizes, condensed) = steps(&mut world, letters);
        let mean = |at: usize| {
            let (length, turns) = sizes[at..at + TOGETHER]
                .iter()
                .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
            (length / TOGETHER, turns / TOGETHER)
        };
        let (early, late) = (mean(100), mean(STEPS - TOGETHER));
        let what = format!(
            "{window} {letters}: {early:?} from step 100, {late:?} at the end, condensed {condensed} times"
        );
        assert!(late.0 * 10 <= early.0 * 12, "{what}");
        assert!(late.1 * 10 <= early.1 * 12, "{what}");
        assert!(condensed < STEPS / 10, "the beginning of a question stays for a while: {what}");
        assert_eq!(world.controller.spent().steps, 2000);
    }
}
