//! The configuration file.

use std::path::Path;

use anyhow::Context;
use hadal_agent::AgentConfig;
use hadal_server::ServerConfig;
use serde::Deserialize;

/// Both sections; absent values have their defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) agent: AgentConfig,
}

/// Reads the file; all defaults without one.
pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("the configuration {} is wrong", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_errors() {
        let error = toml::from_str::<Config>("[agent]\nring_byte = 1\n").unwrap_err();
        assert!(error.to_string().contains("ring_byte"), "{error}");
        let config: Config = toml::from_str("[server]\nhttp = \"127.0.0.1:1\"\n").unwrap();
        assert_eq!(config.server.http.port(), 1);
    }
}
