//! What runners are told of services, by the configuration.

use staithe_protocol::services::Services;

use super::Config;

impl Config {
    /// What runners serve beside commands.
    pub fn services(&self) -> Services {
        Services { watch: self.sandbox.watch.settings(), ..Services::default() }
    }
}
