//! What a step costs does not grow with the log.

use super::world::{World, settings};
use crate::controller::Purpose;

/// Characters and turns of a question.
fn size(world: &World) -> (usize, usize) {
    let (_, question, _) = world.asked.as_ref().unwrap();
    (format!("{:?}", question.said).len(), question.said.len())
}

#[test]
fn two_thousand_steps_cost_the_same_each() {
    let mut world = World::at_work(settings());
    let mut most_early = (0, 0);
    let mut most_late = (0, 0);
    let mut steps = 0;
    while steps < 2000 {
        let (_, _, purpose) = world.asked.as_ref().unwrap();
        if *purpose == Purpose::Condense {
            let summary = world.text("What was done before");
            world.answer(summary);
            continue;
        }
        let most = if steps < 200 { &mut most_early } else { &mut most_late };
        let (length, turns) = size(&world);
        *most = (most.0.max(length), most.1.max(turns));
        let events = world.log.len();
        let answer = world.bash(&[&format!("echo {steps}")]);
        world.answer(answer);
        world.done();
        assert_eq!(world.log.len() - events, 2, "an action and its result");
        steps += 1;
    }
    let (early, late) = (most_early.0, most_late.0);
    assert!(late * 10 <= early * 12, "characters of a question: {early} at first, {late} later");
    assert!(most_late.1 * 10 <= most_early.1 * 12, "turns: {most_early:?}, {most_late:?}");
    assert_eq!(world.controller.spent().steps, 2000);
}
