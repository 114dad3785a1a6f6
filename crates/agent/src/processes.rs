//! Processes by id, so that a socket's owner is known even when it is gone before anyone could look.

use std::rc::Rc;

use hadal_tag::ProcessFacts;

use crate::hash::{Map, Set};
use crate::pipeline::ProcessSource;

/// How long a process that has exited is remembered, in microseconds: its last events may still be under way.
const LINGER_US: u64 = 5_000_000;

/// Part of a full table that has to be refused before room is looked for again.
const SHARE: usize = 16;

/// What was executed, as the kernel saw it.
#[derive(Debug)]
struct Executed {
    executable: String,
    args: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Process {
    parent: u32,
    executed: Option<Rc<Executed>>,
    facts: Option<Rc<ProcessFacts>>,
    /// Whether it was met: what runs its code is asked once.
    is_met: bool,
    exited_us: Option<u64>,
}

/// The table. Facts are looked up when a process first owns a socket, not for every process.
pub(crate) struct Processes {
    by_pid: Map<u32, Process>,
    limit: usize,
    /// Processes there was no room for since room was last looked for.
    refused: usize,
}

impl Processes {
    pub(crate) fn new(limit: usize) -> Self {
        Self { by_pid: Map::default(), limit, refused: usize::MAX }
    }

    /// A program was executed: what was known of the process is over, except who made it.
    pub(crate) fn executed(&mut self, pid: u32, parent: u32, filename: &str, args: Vec<String>) {
        let executed = Rc::new(Executed { executable: filename.to_owned(), args });
        self.insert(pid, Process { parent, executed: Some(executed), ..Process::default() });
    }

    /// A process was made: it is what its parent is, until it executes something.
    pub(crate) fn forked(&mut self, parent: u32, child: u32) {
        let inherited = self.by_pid.get(&parent);
        let process = Process {
            parent,
            executed: inherited.and_then(|process| process.executed.clone()),
            facts: inherited.and_then(|process| process.facts.clone()),
            ..Process::default()
        };
        self.insert(child, process);
    }

    /// A process is gone; whether it was met.
    pub(crate) fn exited(&mut self, pid: u32, now_us: u64) -> bool {
        let Some(process) = self.by_pid.get_mut(&pid) else { return false };
        process.exited_us = Some(now_us);
        process.is_met
    }

    /// What is known of a process; asks `source` once.
    pub(crate) fn facts(&mut self, pid: u32, source: &dyn ProcessSource) -> Option<Rc<ProcessFacts>> {
        if let Some(facts) = self.by_pid.get(&pid).and_then(|process| process.facts.clone()) {
            return Some(facts);
        }
        let known = self.by_pid.get(&pid).cloned();
        let facts = match (source.facts(pid), &known) {
            (Some(facts), _) => Rc::new(facts),
            (None, Some(process)) => Rc::new(self.reconstructed(process, source)?),
            (None, None) => return None,
        };
        self.insert(pid, Process { facts: Some(Rc::clone(&facts)), ..known.unwrap_or_default() });
        Some(facts)
    }

    /// Whether a process is met for the first time.
    pub(crate) fn meet(&mut self, pid: u32) -> bool {
        self.by_pid.get_mut(&pid).is_some_and(|process| !std::mem::replace(&mut process.is_met, true))
    }

    /// Forgets what has exited a while ago.
    pub(crate) fn expire(&mut self, now_us: u64) {
        self.by_pid.retain(|_, process| process.exited_us.is_none_or(|exited| exited + LINGER_US > now_us));
    }

    /// Those that do not run any more have exited unseen.
    pub(crate) fn reconcile(&mut self, running: &Set<u32>, now_us: u64) {
        for (_, process) in self.by_pid.iter_mut().filter(|(pid, _)| !running.contains(pid)) {
            process.exited_us.get_or_insert(now_us);
        }
    }

    fn insert(&mut self, pid: u32, process: Process) {
        if self.by_pid.len() >= self.limit && !self.by_pid.contains_key(&pid) && !self.make_room() {
            return;
        }
        self.by_pid.insert(pid, process);
    }

    /// Forgets what has exited and what never owned a socket. A process that runs can be asked for again, so nothing is
    /// lost with it. A full table is not searched for each new process.
    fn make_room(&mut self) -> bool {
        self.refused = self.refused.saturating_add(1);
        if self.refused < self.limit / SHARE {
            return false;
        }
        self.refused = 0;
        self.by_pid.retain(|_, process| process.exited_us.is_none() && process.facts.is_some());
        self.by_pid.len() < self.limit
    }

    /// Facts of a process that is gone: what it executed, in the container or unit of its parent.
    fn reconstructed(&self, process: &Process, source: &dyn ProcessSource) -> Option<ProcessFacts> {
        let executed = process.executed.as_ref()?;
        let parent = self.by_pid.get(&process.parent).and_then(|parent| parent.facts.clone());
        let parent = parent.map(|facts| (*facts).clone()).or_else(|| source.facts(process.parent)).unwrap_or_default();
        Some(ProcessFacts {
            executable: source.resolve(&interpreter_of(executed)),
            args: executed.args.clone(),
            container_id: parent.container_id,
            systemd_unit: parent.systemd_unit,
        })
    }
}

/// A script is executed under its own name, but its first argument is the interpreter that runs.
fn interpreter_of(executed: &Executed) -> String {
    match executed.args.first() {
        Some(first) if first.starts_with('/') && *first != executed.executable => first.clone(),
        _ => executed.executable.clone(),
    }
}

#[cfg(test)]
mod tests {
    use hadal_bpf::GoLayout;

    use super::*;

    struct Gone;

    impl ProcessSource for Gone {
        fn facts(&self, _: u32) -> Option<ProcessFacts> {
            None
        }

        fn go_layout(&self, _: u32) -> Option<GoLayout> {
            None
        }

        fn resolve(&self, path: &str) -> String {
            path.replace("/bin/sh", "/usr/bin/dash")
        }
    }

    #[test]
    fn a_process_that_is_gone_is_what_it_executed() {
        let mut table = Processes::new(10);
        table.executed(1, 0, "/usr/bin/curl", vec!["curl".into(), "x".into()]);
        table.forked(1, 2);
        assert_eq!(table.facts(2, &Gone).unwrap().executable, "/usr/bin/curl");
        table.executed(3, 1, "/srv/run", vec!["/bin/sh".into(), "/srv/run".into()]);
        assert_eq!(table.facts(3, &Gone).unwrap().executable, "/usr/bin/dash");
        assert_eq!(table.facts(9, &Gone), None);
    }

    #[test]
    fn a_full_table_has_room_again_for_what_runs() {
        let mut table = Processes::new(32);
        for pid in 1..1000 {
            table.executed(pid, 0, "/a", vec![]);
            if pid % 2 == 0 {
                table.exited(pid, 0);
            }
        }
        assert!(table.by_pid.len() <= 32);
        assert!(table.by_pid.keys().max() > Some(&980));
    }

    #[test]
    fn processes_that_exited_unseen_linger_and_go() {
        let mut table = Processes::new(10);
        table.executed(1, 0, "/a", vec![]);
        table.executed(2, 0, "/b", vec![]);
        table.reconcile(&Set::from_iter([2]), 100);
        table.expire(100 + LINGER_US);
        assert!(table.facts(1, &Gone).is_none() && table.facts(2, &Gone).is_some());
    }

    #[test]
    fn exited_processes_linger_and_go() {
        let mut table = Processes::new(10);
        table.executed(1, 0, "/a", vec![]);
        table.exited(1, 100);
        table.expire(200);
        assert!(table.facts(1, &Gone).is_some());
        table.expire(100 + LINGER_US);
        assert!(table.facts(1, &Gone).is_none());
    }
}
