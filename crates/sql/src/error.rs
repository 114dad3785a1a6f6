//! Errors with their place.

/// What is wrong with a query, where, and what may have been meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong.
    pub message: String,
    /// Where it begins, in characters.
    pub position: usize,
    /// How many characters it spans.
    pub length: usize,
    /// What may have been meant.
    pub suggestion: Option<String>,
}

impl QueryError {
    pub(crate) fn new(message: impl Into<String>, position: usize, length: usize) -> Self {
        Self { message: message.into(), position, length, suggestion: None }
    }

    pub(crate) fn suggest(mut self, wanted: &str, known: impl Iterator<Item = String>) -> Self {
        self.suggestion = nearest(wanted, known);
        self
    }
}

/// The known word nearest to a wanted one, if it is near enough to be a slip.
fn nearest(wanted: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let limit = (wanted.chars().count() / 2).max(2);
    known.map(|word| (distance(wanted, &word), word)).filter(|(far, _)| *far <= limit).min().map(|(_, word)| word)
}

/// Levenshtein distance, over characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let cost = usize::from(a != *b);
            let next = (diagonal + cost).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = || ["auto_service", "endpoint", "status"].map(str::to_owned).into_iter();
        assert_eq!(nearest("stauts", known()).as_deref(), Some("status"));
        assert_eq!(nearest("autoservice", known()).as_deref(), Some("auto_service"));
        assert_eq!(nearest("zzz", known()), None);
    }
}
