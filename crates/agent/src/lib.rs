//! The agent: events become rows, rows become batches, batches go to the server. `pipeline` is the logic and does no I/O
//! of its own; `run` feeds it.
#![forbid(unsafe_code)]

pub mod config;
mod event_loops;
mod go;
mod governor;
mod hash;
mod ledger;
mod metrics;
mod outbox;
mod pipeline;
mod processes;
mod python;
mod rows;
mod run;
mod sockets;
mod strays;
mod threads;
mod tokio;

pub use config::AgentConfig;
pub use governor::{Budget, Governor, Stage};
pub use pipeline::{Decision, Pipeline, ProcessSource, Tick};
pub use run::{AgentError, run};
