//! The server: takes batches, labels and stores them, answers queries, serves the page.
#![forbid(unsafe_code)]

mod agents;
mod catalog_db;
mod coalesce;
mod compare;
mod config;
mod control;
mod entities;
mod http;
mod ingest;
mod join;
mod label;
mod map;
mod run;
mod trace;

pub use config::ServerConfig;
pub use http::openapi_json;
pub use run::{ServerError, run};
