//! Admission by example, and against what must hold whatever happens.

use proptest::prelude::*;

use super::*;

fn limits(max_sessions: usize, max_sessions_per_user: usize, max_starting: usize) -> Limits {
    Limits {
        max_sessions,
        max_sessions_per_user,
        max_starting,
        queue: true,
        max_waiting: usize::MAX,
        max_queued_actions: 0,
        max_builds: 1,
    }
}

fn ids<const N: usize>() -> [SessionId; N] {
    [(); N].map(|()| SessionId::generate())
}

#[test]
fn a_user_at_his_own_limit_holds_nobody_else_up() {
    let mut admission = Admission::new(limits(3, 1, 9));
    let [a, b, c] = ids();
    for (id, owner) in [(a, "ann"), (b, "ann"), (c, "ben")] {
        assert_eq!(admission.ask(id, owner, Wish::Start), Ok(Standing::Waiting));
    }
    assert_eq!(admission.advance(), [a, c]);
    admission.ended(c);
    assert_eq!(admission.advance(), []);
    admission.ended(a);
    assert_eq!(admission.advance(), [b]);
}

#[test]
fn starting_too_many_waits_and_is_never_denied() {
    let mut admission = Admission::new(Limits { queue: false, max_waiting: 0, ..limits(3, 9, 1) });
    let [a, b, c, d] = ids();
    for id in [a, b, c] {
        assert_eq!(admission.ask(id, "ann", Wish::Start), Ok(Standing::Waiting));
    }
    assert_eq!(admission.ask(d, "ann", Wish::Start), Err(TooMany::Sessions(3)));
    assert_eq!(admission.advance(), [a]);
    assert_eq!(admission.advance(), []);
    admission.started(a);
    assert_eq!(admission.advance(), [b]);
    admission.ended(b);
    assert_eq!(admission.advance(), [c]);
}

#[test]
fn beyond_the_queue_a_start_is_denied() {
    let mut admission = Admission::new(Limits { max_waiting: 1, ..limits(1, 9, 9) });
    let [a, b, c] = ids();
    assert_eq!(admission.ask(a, "ann", Wish::Start), Ok(Standing::Waiting));
    admission.advance();
    assert_eq!(admission.ask(b, "ann", Wish::Start), Ok(Standing::Waiting));
    assert_eq!(admission.ask(b, "ann", Wish::Start), Ok(Standing::Waiting), "it has its place");
    assert_eq!(admission.ask(c, "ann", Wish::Start), Err(TooMany::Waiting(1)));
}

#[test]
fn a_running_session_keeps_its_place_whatever_the_limits() {
    let mut admission = Admission::new(limits(1, 1, 1));
    let [a, b, c] = ids();
    for id in [a, b] {
        assert_eq!(admission.ask(id, "ann", Wish::Attach), Ok(Standing::Granted));
    }
    assert_eq!(admission.ask(c, "ann", Wish::Resume), Ok(Standing::Waiting));
    admission.ended(a);
    assert_eq!(admission.advance(), [], "there is still one");
    admission.ended(b);
    assert_eq!(admission.advance(), [c]);
}

#[test]
fn after_a_crash_what_does_not_run_is_started_in_turn() {
    let mut admission = Admission::new(limits(9, 9, 1));
    let [a, b] = ids();
    for id in [a, b] {
        admission.ask(id, "ann", Wish::Attach).unwrap();
        assert_eq!(admission.ask(id, "ann", Wish::Resume), Ok(Standing::Waiting));
    }
    assert_eq!(admission.advance(), [a]);
    assert_eq!(admission.ask(a, "ann", Wish::Resume), Ok(Standing::Granted), "it is under way");
}

#[tokio::test(start_paused = true)]
async fn the_first_ten_places_are_told_exactly_and_those_behind_by_tenths() {
    let mut admission = Admission::new(limits(0, 9, 9));
    let ids: Vec<_> = (0..40).map(|_| SessionId::generate()).collect();
    for id in &ids {
        admission.ask(*id, "ann", Wish::Start).unwrap();
    }
    let now = Instant::now();
    let (news, next) = admission.news(now);
    assert_eq!((news.len(), next), (40, None));
    admission.ended(ids[0]);
    let soon = now + Duration::from_millis(300);
    assert_eq!(admission.news(soon), (vec![], Some(now + TELL_EVERY)), "at most once a second");
    let later = now + TELL_EVERY;
    let (news, next) = admission.news(later);
    let told: Vec<_> = news.iter().map(|(_, position)| *position).collect();
    assert_eq!((told, next), ((1..=10).collect(), None));
    for id in &ids[1..4] {
        admission.ended(*id);
    }
    let (news, _) = admission.news(later + TELL_EVERY);
    assert!(news.contains(&(ids[39], 36)), "{news:?}");
    assert!(!news.iter().any(|(id, _)| *id == ids[15]) || news.contains(&(ids[15], 12)));
}

#[test]
fn who_waits_for_an_image_lets_others_start_and_comes_back_before_those_who_have_not_begun() {
    let mut admission = Admission::new(limits(9, 9, 1));
    let [a, b, c] = ids();
    for id in [a, b, c] {
        admission.ask(id, "ann", Wish::Start).unwrap();
    }
    assert_eq!(admission.advance(), [a]);
    admission.leave(a);
    assert_eq!(admission.advance(), [b], "it keeps its place and frees its turn");
    assert!(admission.come_back(a) && admission.come_back(a));
    assert_eq!(admission.returned(), []);
    admission.started(b);
    assert_eq!(admission.returned(), [a]);
    assert_eq!((admission.returned(), admission.advance()), (vec![], vec![]));
    assert!(!admission.come_back(a) && !admission.come_back(b), "they have what they need");
    admission.leave(b);
    admission.started(a);
    assert_eq!(admission.advance(), [c]);
    admission.leave(c);
    admission.come_back(c);
    admission.ended(c);
    assert_eq!(admission.returned(), [], "who has ended does not come back");
}

#[derive(Clone, Debug)]
enum Step {
    Leave(prop::sample::Index),
    Back(prop::sample::Index),
    Ask { user: u8, wish: Wish },
    Started(prop::sample::Index),
    Ended(prop::sample::Index),
    Again(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let wish =
        prop_oneof![4 => Just(Wish::Start), 1 => Just(Wish::Resume), 1 => Just(Wish::Attach)];
    prop_oneof![
        3 => (0..3_u8, wish).prop_map(|(user, wish)| Step::Ask { user, wish }),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => any::<prop::sample::Index>().prop_map(Step::Back),
        2 => any::<prop::sample::Index>().prop_map(Step::Started),
        2 => any::<prop::sample::Index>().prop_map(Step::Ended),
        1 => any::<prop::sample::Index>().prop_map(Step::Again),
    ]
}

/// A session, its user, and what the model holds of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Model {
    Waiting,
    Starting,
    /// It waits for an image.
    Away,
    /// It waits for a turn to go on.
    Returning,
    Running,
    Gone,
}

struct World {
    admission: Admission,
    sessions: Vec<(SessionId, String, Model)>,
    /// Of each user, in the order of asking.
    lines: HashMap<String, VecDeque<SessionId>>,
}

impl World {
    fn holding(&self, of: impl Fn(&str) -> bool) -> usize {
        let holds = |(_, user, model): &&(SessionId, String, Model)| {
            !matches!(model, Model::Waiting | Model::Gone) && of(user)
        };
        self.sessions.iter().filter(holds).count()
    }

    fn starting(&self) -> usize {
        self.sessions.iter().filter(|(_, _, model)| *model == Model::Starting).count()
    }

    fn advance(&mut self) -> Result<(), TestCaseError> {
        let limits = self.admission.limits.clone();
        for id in self.admission.returned() {
            let at = self.sessions.iter().position(|(other, ..)| *other == id).unwrap();
            prop_assert_eq!(self.sessions[at].2, Model::Returning);
            self.sessions[at].2 = Model::Starting;
            prop_assert!(self.starting() <= limits.max_starting);
        }
        for id in self.admission.advance() {
            let at = self.sessions.iter().position(|(other, ..)| *other == id).unwrap();
            prop_assert_eq!(self.sessions[at].2, Model::Waiting);
            self.sessions[at].2 = Model::Starting;
            let user = self.sessions[at].1.clone();
            prop_assert!(self.holding(|_| true) <= limits.max_sessions);
            prop_assert!(self.holding(|it| it == user) <= limits.max_sessions_per_user);
            prop_assert!(self.starting() <= limits.max_starting);
            prop_assert_eq!(self.lines.get_mut(&user).and_then(VecDeque::pop_front), Some(id));
        }
        // Nobody waits who could have gone.
        let room =
            self.holding(|_| true) < limits.max_sessions && self.starting() < limits.max_starting;
        for (_, user, model) in &self.sessions {
            let own = self.holding(|it| it == user) < limits.max_sessions_per_user;
            prop_assert!(!(*model == Model::Waiting && room && own));
            let turn = self.starting() < limits.max_starting;
            prop_assert!(!(*model == Model::Returning && turn));
        }
        Ok(())
    }

    fn end(&mut self, at: usize) {
        let (id, user, _) = self.sessions[at].clone();
        self.admission.ended(id);
        self.sessions[at].2 = Model::Gone;
        self.lines.entry(user).or_default().retain(|other| *other != id);
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask { user, wish } => {
                let (id, user) = (SessionId::generate(), format!("u{user}"));
                let model = match self.admission.ask(id, &user, *wish) {
                    Err(_) => Model::Gone,
                    Ok(Standing::Granted) => Model::Running,
                    Ok(Standing::Waiting) => {
                        self.lines.entry(user.clone()).or_default().push_back(id);
                        Model::Waiting
                    }
                };
                self.sessions.push((id, user, model));
            }
            Step::Started(at) if !self.sessions.is_empty() => {
                let at = at.index(self.sessions.len());
                let (id, _, model) = &mut self.sessions[at];
                self.admission.started(*id);
                if matches!(model, Model::Starting | Model::Away | Model::Returning) {
                    *model = Model::Running;
                }
            }
            Step::Leave(at) if !self.sessions.is_empty() => {
                let at = at.index(self.sessions.len());
                let (id, _, model) = &mut self.sessions[at];
                self.admission.leave(*id);
                if *model == Model::Starting {
                    *model = Model::Away;
                }
            }
            Step::Back(at) if !self.sessions.is_empty() => {
                let at = at.index(self.sessions.len());
                let (id, _, model) = &mut self.sessions[at];
                let waits = self.admission.come_back(*id);
                assert_eq!(waits, matches!(model, Model::Away | Model::Returning));
                if waits {
                    *model = Model::Returning;
                }
            }
            Step::Ended(at) if !self.sessions.is_empty() => {
                self.end(at.index(self.sessions.len()));
            }
            Step::Again(at) if !self.sessions.is_empty() => {
                let (id, user, model) = self.sessions[at.index(self.sessions.len())].clone();
                if model != Model::Gone {
                    let standing = self.admission.ask(id, &user, Wish::Start);
                    assert_eq!(standing == Ok(Standing::Waiting), model == Model::Waiting);
                }
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn no_grant_passes_a_limit_each_users_turns_keep_their_order_and_everybody_gets_his(
        steps in prop::collection::vec(step(), 0..60),
        max_sessions in 1..6_usize,
        per_user in 1..4_usize,
        max_starting in 1..4_usize,
        queue in any::<bool>(),
        max_waiting in 0..6_usize,
    ) {
        let limits = Limits { queue, max_waiting, ..limits(max_sessions, per_user, max_starting) };
        let admission = Admission::new(limits);
        let mut world = World { admission, sessions: Vec::new(), lines: HashMap::new() };
        for step in &steps {
            world.take(step);
            world.advance()?;
        }
        // Whoever runs ends: then everybody who waits gets a place.
        while let Some(at) = world
            .sessions
            .iter()
            .position(|(_, _, model)| !matches!(model, Model::Waiting | Model::Gone))
        {
            world.end(at);
            world.advance()?;
        }
        prop_assert_eq!(world.admission.waiting(), 0);
    }

    #[test]
    fn who_waits_long_enough_has_been_told_his_place_or_nearly(leaves in prop::collection::vec(any::<prop::sample::Index>(), 0..30)) {
        let mut admission = Admission::new(limits(0, 1, 1));
        let mut ids: Vec<_> = (0..60).map(|_| SessionId::generate()).collect();
        for id in &ids {
            admission.ask(*id, "ann", Wish::Start).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut now = runtime.block_on(async { Instant::now() });
        let mut heard: HashMap<SessionId, u32> = HashMap::new();
        for leave in leaves {
            let gone = ids.remove(leave.index(ids.len()));
            admission.ended(gone);
            let (news, next) = admission.news(now);
            heard.extend(news);
            now = next.unwrap_or(now + Duration::from_millis(300));
            heard.extend(admission.news(now).0);
        }
        now += TELL_EVERY;
        heard.extend(admission.news(now).0);
        for (id, position) in ids.iter().zip(1_u32..) {
            let told = heard[id];
            let near = told == position
                || (position > EXACT && told.abs_diff(position) < told.div_ceil(10));
            prop_assert!(near, "told {told}, is {position}");
        }
    }
}
