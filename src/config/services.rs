//! What runners are told of services, by the configuration.

use staithe_protocol::{port::PortSettings, services::Services};

use super::Config;

impl Config {
    /// What runners serve beside commands. Where a session's pages are is added for each session.
    pub fn services(&self) -> Services {
        let every = self.proxy.find_ports_every.0.as_millis();
        let ports = PortSettings {
            every_ms: u64::try_from(every).unwrap_or(u64::MAX),
            withheld: self.proxy.ignored_ports.clone(),
            owned_only: false,
        };
        Services { ports, plugins: self.plugin_settings(), ..Services::default() }
    }
}
