//! `hadal agent`.

use crate::cli::AgentOptions;
use crate::{config, privileges, stop};

/// Runs until a signal.
pub(crate) fn run(options: &AgentOptions) -> anyhow::Result<()> {
    let mut config = config::load(options.common.config.as_deref())?.agent;
    if let Some(server) = &options.server {
        config.server.clone_from(server);
    }
    if let Some(name) = &options.name {
        config.name.clone_from(name);
    }
    if let Some(level) = &options.capture_level {
        config.capture_level.clone_from(level);
    }
    if options.common.supervised {
        privileges::end_with_parent()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop::on_signal()?;
        hadal_agent::run(config, stop).await.map_err(anyhow::Error::from)
    })
}
