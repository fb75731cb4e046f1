//! The models that sessions may use, behind a port: names, keys and adapters are the composition's.

use std::{fmt::Debug, sync::Arc};

use staithe_agent::{model::Model, settings::ModelSettings};

/// Models by name. Whose session it is decides the key.
pub trait Models: Debug + Send + Sync + 'static {
    /// What a session of this owner uses when nobody chose; none: nothing can be used.
    fn default_for(&self, owner: &str) -> Option<String>;

    /// What writes summaries beside this one.
    fn condenser_of(&self, name: &str) -> String;

    /// A model with its key.
    fn settings(&self, owner: &str, name: &str) -> Result<ModelSettings, NoModel>;

    /// The same, to be asked. Its key is that of now: whoever asks often asks here again.
    fn model(&self, owner: &str, name: &str) -> Result<Arc<dyn Model>, NoModel>;
}

/// Why a model can't be asked. For people, without any secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoModel {
    #[error("there is no model `{0}`")]
    Unknown(String),
    #[error("there is no key for the model `{0}`: set one in the page, or in the configuration")]
    NoKey(String),
    #[error("the key of the model `{name}` can't be used: {cause}")]
    BadKey { name: String, cause: String },
    #[error("the model `{name}` can't be asked: {cause}")]
    Unusable { name: String, cause: String },
}

impl NoModel {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "model.unknown_name",
            Self::NoKey(_) => "model.no_key",
            Self::BadKey { .. } => "model.key_unreadable",
            Self::Unusable { .. } => "model.unusable",
        }
    }
}

/// No models at all.
#[derive(Clone, Copy, Debug)]
pub struct NoModels;

impl Models for NoModels {
    fn default_for(&self, _: &str) -> Option<String> {
        None
    }

    fn condenser_of(&self, name: &str) -> String {
        name.to_owned()
    }

    fn settings(&self, _: &str, name: &str) -> Result<ModelSettings, NoModel> {
        Err(NoModel::Unknown(name.to_owned()))
    }

    fn model(&self, _: &str, name: &str) -> Result<Arc<dyn Model>, NoModel> {
        Err(NoModel::Unknown(name.to_owned()))
    }
}
