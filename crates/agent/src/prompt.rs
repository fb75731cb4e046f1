//! What is said to the model beside the log. Pure.

/// What is known of the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub working_dir: String,
    /// As it is told, `2026-11-26`.
    pub date: Option<String>,
    pub repository: Option<Repository>,
    /// Name and address for commits.
    pub git: Option<(String, String)>,
    /// Where people reach a port of the sandbox, each with its port.
    pub hosts: Vec<(u16, String)>,
}

/// The repository that was cloned for the task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    pub name: String,
    pub directory: String,
    pub branch: Option<String>,
}

/// The system prompt.
pub fn system(facts: &Facts, offer: &crate::tools::Offer) -> String {
    let _ = offer;
    facts.working_dir.clone()
}

/// What the call that a person rejected is answered with.
pub fn rejected(reason: Option<&str>) -> String {
    reason.unwrap_or_default().to_owned()
}
