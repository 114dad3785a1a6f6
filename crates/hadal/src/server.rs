//! `hadal server`.

use anyhow::Context;
use hadal_server::ServerConfig;

use crate::cli::ServerOptions;
use crate::{config, privileges, stop};

/// File and flags joined.
pub(crate) fn configuration(options: &ServerOptions) -> anyhow::Result<ServerConfig> {
    let mut server = config::load(options.common.config.as_deref())?.server;
    if let Some(data) = &options.data {
        server.data.clone_from(data);
    }
    server.http = options.http.unwrap_or(server.http);
    server.agents = options.agents.unwrap_or(server.agents);
    Ok(server)
}

/// Runs until a signal.
pub(crate) fn run(options: &ServerOptions) -> anyhow::Result<()> {
    let mut config = configuration(options)?;
    // The user that the process becomes may not reach a relative path's parents.
    config.data = std::path::absolute(&config.data).context("the data directory has no absolute path")?;
    let library = hadal_store::find_library()?;
    privileges::drop_to(&options.user, &config.data)?;
    if options.common.supervised {
        privileges::end_with_parent()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop::on_signal()?;
        hadal_server::run(config, library, stop).await.map_err(anyhow::Error::from)
    })
}
