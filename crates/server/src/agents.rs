//! The agents that have registered since the server started, and how they do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hadal_link::control::{RegisterRequest, StatusRequest};
use hadal_model::LossCause;

use crate::catalog_db::AgentNumbers;

/// An agent that has not reported for so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// What is known of an agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentState {
    pub(crate) introduction: RegisterRequest,
    pub(crate) status: StatusRequest,
    pub(crate) numbers: AgentNumbers,
    pub(crate) last_seen_s: f64,
    /// Losses found by the server, to be written to the ledger.
    pub(crate) losses: HashMap<LossCause, u64>,
}

impl AgentState {
    /// `running` or `lost`.
    pub(crate) fn state(&self) -> &'static str {
        if now_s() - self.last_seen_s > LOST_AFTER.as_secs_f64() { "lost" } else { "running" }
    }
}

pub(crate) fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The registry.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    by_name: Mutex<HashMap<String, AgentState>>,
}

impl Agents {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, AgentState>) -> T) -> T {
        work(&mut self.by_name.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn register(&self, introduction: RegisterRequest, numbers: AgentNumbers) {
        let name = introduction.agent.clone();
        let status = StatusRequest::default();
        self.with(|agents| {
            // Losses that are not in the ledger yet stay with the agent's name.
            let losses = agents.remove(&name).map(|before| before.losses).unwrap_or_default();
            agents.insert(name, AgentState { introduction, status, numbers, last_seen_s: now_s(), losses });
        });
    }

    /// Notes a report; false if the agent is not known.
    pub(crate) fn report(&self, status: StatusRequest) -> bool {
        self.with(|agents| match agents.get_mut(&status.agent) {
            Some(agent) => {
                agent.last_seen_s = now_s();
                agent.status = status;
                true
            }
            None => false,
        })
    }

    pub(crate) fn numbers(&self, name: &str, boot: u64) -> Option<AgentNumbers> {
        self.with(|agents| agents.get(name).filter(|agent| agent.introduction.boot == boot).map(|agent| agent.numbers))
    }

    pub(crate) fn count_loss(&self, name: &str, cause: LossCause, count: u64) {
        if count > 0 {
            self.with(|agents| {
                if let Some(agent) = agents.get_mut(name) {
                    *agent.losses.entry(cause).or_default() += count;
                }
            });
        }
    }

    /// Losses found by the server since the last call: (agent, cause, count).
    pub(crate) fn take_losses(&self) -> Vec<(String, LossCause, u64)> {
        self.with(|agents| {
            let losses = agents.iter_mut().flat_map(|(name, agent)| {
                agent.losses.drain().map(|(cause, count)| (name.clone(), cause, count)).collect::<Vec<_>>()
            });
            losses.collect()
        })
    }

    /// All agents by name.
    pub(crate) fn all(&self) -> Vec<AgentState> {
        let mut all: Vec<_> = self.with(|agents| agents.values().cloned().collect());
        all.sort_by(|left, right| left.introduction.agent.cmp(&right.introduction.agent));
        all
    }
}
