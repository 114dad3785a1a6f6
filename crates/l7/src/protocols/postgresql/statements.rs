//! Prepared statements and portals of a connection, so that what executes them can be shown with its SQL.

use std::collections::VecDeque;
use std::sync::Arc;

/// Most names kept of each kind, and most bytes of their statements; the least recently used ones go first.
const MAX_STATEMENTS: usize = 512;
const MAX_BYTES: usize = 64 * 1024;
const MAX_PORTALS: usize = 64;

/// Longest name kept.
const MAX_NAME: usize = 256;

/// A statement as it is shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) summary: String,
    pub(super) copies_in: bool,
}

/// Statements by name, the least recently used first, and those that portals execute.
#[derive(Debug, Default)]
pub(super) struct Statements {
    named: VecDeque<(Box<[u8]>, Arc<Statement>)>,
    bytes: usize,
    portals: VecDeque<(Box<[u8]>, Arc<Statement>)>,
}

impl Statements {
    /// `Parse`.
    pub(super) fn prepare(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.close(name);
        if name.len() > MAX_NAME {
            return;
        }
        self.bytes += cost(name, &statement);
        self.named.push_back((name.into(), statement));
        while self.named.len() > MAX_STATEMENTS || self.bytes > MAX_BYTES {
            let Some((name, statement)) = self.named.pop_front() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(cost(&name, &statement));
        }
    }

    /// The statement of this name, if it was seen.
    pub(super) fn get(&mut self, name: &[u8]) -> Option<Arc<Statement>> {
        let at = self.named.iter().rposition(|(known, _)| **known == *name)?;
        let used = self.named.remove(at)?;
        let statement = Arc::clone(&used.1);
        self.named.push_back(used);
        Some(statement)
    }

    /// `Close` of a statement.
    pub(super) fn close(&mut self, name: &[u8]) {
        let at = self.named.iter().rposition(|(known, _)| **known == *name);
        if let Some((name, statement)) = at.and_then(|at| self.named.remove(at)) {
            self.bytes = self.bytes.saturating_sub(cost(&name, &statement));
        }
    }

    /// `Bind`: the portal executes this statement, or one that was not seen.
    pub(super) fn bind(&mut self, portal: &[u8], statement: Option<Arc<Statement>>) {
        self.close_portal(portal);
        if let Some(statement) = statement.filter(|_| portal.len() <= MAX_NAME) {
            if self.portals.len() == MAX_PORTALS {
                self.portals.pop_front();
            }
            self.portals.push_back((portal.into(), statement));
        }
    }

    /// What a portal executes.
    pub(super) fn portal(&self, name: &[u8]) -> Option<Arc<Statement>> {
        let found = self.portals.iter().rfind(|(known, _)| **known == *name);
        found.map(|(_, statement)| Arc::clone(statement))
    }

    /// `Close` of a portal.
    pub(super) fn close_portal(&mut self, name: &[u8]) {
        self.portals.retain(|(known, _)| **known != *name);
    }

    /// Portals end with their transaction.
    pub(super) fn end_transaction(&mut self) {
        self.portals.clear();
    }
}

fn cost(name: &[u8], statement: &Statement) -> usize {
    name.len() + statement.sql.len() + statement.summary.len() + 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str) -> Arc<Statement> {
        Arc::new(Statement { sql: sql.into(), ..Statement::default() })
    }

    #[test]
    fn names() {
        let mut statements = Statements::default();
        statements.prepare(b"a", statement("A"));
        statements.prepare(b"", statement("first"));
        statements.prepare(b"", statement("second"));
        let found = statements.get(b"");
        assert_eq!(found.as_ref().map(|found| found.sql.as_str()), Some("second"));
        statements.bind(b"p", found);
        assert!(statements.portal(b"p").is_some());
        statements.bind(b"p", None);
        assert!(statements.portal(b"p").is_none());
        statements.close(b"a");
        assert!(statements.get(b"a").is_none());
    }

    #[test]
    fn tables_are_bounded() {
        let mut statements = Statements::default();
        for number in 0..2000u32 {
            statements.prepare(&number.to_be_bytes(), statement(&"x".repeat(number as usize % 500)));
            statements.bind(&number.to_be_bytes(), Some(statement("x")));
            statements.get(&0u32.to_be_bytes());
        }
        assert!(statements.bytes <= MAX_BYTES && statements.named.len() <= MAX_STATEMENTS);
        let bytes: usize = statements.named.iter().map(|(name, statement)| cost(name, statement)).sum();
        assert_eq!(bytes, statements.bytes);
        assert_eq!(statements.portals.len(), MAX_PORTALS);
        assert!(statements.get(&0u32.to_be_bytes()).is_some(), "what is used stays");
        assert!(statements.get(&1u32.to_be_bytes()).is_none());
        statements.prepare(b"big", statement(&"x".repeat(MAX_BYTES)));
        assert_eq!((statements.named.len(), statements.bytes), (0, 0));
        statements.prepare(&[b'n'; MAX_NAME + 1], statement("x"));
        assert!(statements.named.is_empty());
    }
}
