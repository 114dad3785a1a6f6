//! What the time of a tree depended on: had a stretch of the critical path been shorter, the root would have ended earlier.

use hadal_model::MessageType;

use crate::ranked::{HOSTS_SLACK_US, SLACK_US};
use crate::{Evidence, Node, Span};

/// A time in which the tree waited for one span and none of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the span is among the nodes.
    pub place: usize,
    /// In microseconds of the nodes' clock.
    pub from_us: i64,
    /// First microsecond after it.
    pub to_us: i64,
}

/// The critical path of a tree, whose nodes come in order, the root first. Its steps follow each other without a gap.
///
/// It is walked backwards from the root's end: what was open last is what was waited for. Where several children were open
/// at once, it is the one that ended last. A child that outlives its parent was not waited for. A request whose answer
/// nobody saw is taken as open until its next sibling starts, or until its parent ends.
pub fn critical_path(tree: &[(&Node, &Span)]) -> Vec<Step> {
    let Some((root, _)) = tree.first() else { return Vec::new() };
    let children = children(tree);
    let ends = ends(tree, &children);
    let mut steps = Vec::new();
    // Stretches of time that are still to be divided between a span and its children, the latest on top.
    let mut open = vec![(0, root.start_us, ends[0])];
    while let Some((place, from_us, until_us)) = open.pop() {
        divide(place, (from_us, until_us), tree, &children[place], &ends, &mut steps, &mut open);
    }
    steps.sort_unstable_by_key(|step: &Step| (step.from_us, step.to_us));
    steps
}

/// By place: the places of the children.
fn children(tree: &[(&Node, &Span)]) -> Vec<Vec<usize>> {
    let places: std::collections::HashMap<u64, usize> =
        tree.iter().enumerate().map(|(place, (node, _))| (node.id, place)).collect();
    let mut children = vec![Vec::new(); tree.len()];
    for (place, (node, _)) in tree.iter().enumerate() {
        if let Some(parent) = node.link.and_then(|link| places.get(&link.parent)) {
            children[*parent].push(place);
        }
    }
    children
}

/// When each span ended, or could have.
fn ends(tree: &[(&Node, &Span)], children: &[Vec<usize>]) -> Vec<i64> {
    let seen = |(node, span): &(&Node, &Span)| {
        let duration = i64::try_from(span.end_us.saturating_sub(span.start_us)).unwrap_or_default();
        node.start_us.saturating_add(duration)
    };
    let mut ends: Vec<i64> = tree.iter().map(seen).collect();
    if is_open(tree[0].1) {
        ends[0] = ends.iter().copied().max().unwrap_or_default();
    }
    // Parents come before their children, so theirs are known.
    for (place, own) in children.iter().enumerate() {
        for child in own.iter().filter(|child| is_open(tree[**child].1)) {
            let start_us = tree[*child].0.start_us;
            let later = own.iter().map(|other| tree[*other].0.start_us).filter(|other| *other > start_us).min();
            ends[*child] = later.unwrap_or(ends[place]).max(ends[*child]);
        }
    }
    ends
}

fn is_open(span: &Span) -> bool {
    span.kind == MessageType::Request
}

/// Divides a stretch between a span and those of its children that it waited for.
fn divide(
    place: usize,
    (from_us, until_us): (i64, i64),
    tree: &[(&Node, &Span)],
    children: &[usize],
    ends: &[i64],
    steps: &mut Vec<Step>,
    open: &mut Vec<(usize, i64, i64)>,
) {
    let mut waited: Vec<usize> =
        children.iter().copied().filter(|child| is_waited_for(*child, place, tree, ends)).collect();
    waited.sort_by_key(|child| (std::cmp::Reverse(ends[*child]), tree[*child].0.start_us));
    let mut until_us = until_us;
    for child in waited {
        let (start_us, end_us) = (tree[child].0.start_us.max(from_us), ends[child].min(until_us));
        if end_us <= start_us {
            continue;
        }
        if end_us < until_us {
            steps.push(Step { place, from_us: end_us, to_us: until_us });
        }
        open.push((child, start_us, end_us));
        until_us = start_us;
    }
    if from_us < until_us {
        steps.push(Step { place, from_us, to_us: until_us });
    }
}

fn is_waited_for(child: usize, parent: usize, tree: &[(&Node, &Span)], ends: &[i64]) -> bool {
    let is_same_call = tree[child].0.link.is_some_and(|link| link.evidence == Evidence::SameCall);
    let is_one_clock = tree[child].1.agent == tree[parent].1.agent;
    let slack = if is_one_clock { SLACK_US } else { HOSTS_SLACK_US };
    is_same_call || ends[child] <= ends[parent].saturating_add(slack)
}

#[cfg(test)]
mod tests {
    use hadal_model::ObservationPoint;

    use super::*;
    use crate::Link;

    /// `[id, parent, start, end]`; an end before the start means that no answer was seen.
    fn check(spans: &[[i64; 4]], want: &[(u64, i64, i64)]) {
        let own: Vec<(Node, Span)> = spans.iter().map(one).collect();
        let tree: Vec<(&Node, &Span)> = own.iter().map(|(node, span)| (node, span)).collect();
        let steps: Vec<_> =
            critical_path(&tree).iter().map(|step| (tree[step.place].0.id, step.from_us, step.to_us)).collect();
        assert_eq!(steps, want);
    }

    fn one([id, parent, start, end]: &[i64; 4]) -> (Node, Span) {
        let link = Link { parent: *parent as u64, evidence: Evidence::TaskContext, confidence: 0.84 };
        let node = Node {
            id: *id as u64,
            index: 0,
            link: (*parent != 0).then_some(link),
            call: *id as u32,
            start_us: *start,
            self_us: 0,
            waiting_us: 0,
            network_us: None,
        };
        let span = Span {
            id: *id as u64,
            start_us: *start as u64,
            end_us: (*end).max(*start) as u64,
            point: ObservationPoint::ServerProcess,
            agent: "a".to_owned(),
            entities: [0; 2],
            addresses: [[0; 16]; 2],
            ports: [0; 2],
            pids: [0; 2],
            protocol: "HTTP1".to_owned(),
            request_id: None,
            seqs: [0; 2],
            contexts: [0; 2],
            joined: 0,
            x_request_ids: [String::new(), String::new()],
            trace_id: String::new(),
            span_id: String::new(),
            parent_span_id: String::new(),
            kind: if end < start { MessageType::Request } else { MessageType::Session },
        };
        (node, span)
    }

    #[test]
    fn one_call_after_the_other() {
        check(&[], &[]);
        check(&[[1, 0, 0, 90]], &[(1, 0, 90)]);
        check(
            &[[1, 0, 0, 90], [2, 1, 10, 30], [3, 1, 40, 80], [4, 3, 50, 60]],
            &[(1, 0, 10), (2, 10, 30), (1, 30, 40), (3, 40, 50), (4, 50, 60), (3, 60, 80), (1, 80, 90)],
        );
    }

    #[test]
    fn of_calls_at_once_the_last_to_end_counts() {
        check(&[[1, 0, 0, 90], [2, 1, 10, 50], [3, 1, 12, 80]], &[(1, 0, 10), (2, 10, 12), (3, 12, 80), (1, 80, 90)]);
        check(&[[1, 0, 0, 90], [2, 1, 10, 80], [3, 1, 20, 60]], &[(1, 0, 10), (2, 10, 80), (1, 80, 90)]);
    }

    #[test]
    fn a_call_that_outlives_its_parent_was_not_waited_for() {
        check(&[[1, 0, 0, 90], [2, 1, 10, 90_000]], &[(1, 0, 90)]);
        check(&[[1, 0, 0, 90], [2, 1, 10, 95]], &[(1, 0, 10), (2, 10, 90)]);
    }

    #[test]
    fn without_an_answer_it_lasts_until_something_else_happens() {
        check(&[[1, 0, 0, 90], [2, 1, 10, -1]], &[(1, 0, 10), (2, 10, 90)]);
        check(&[[1, 0, 0, 90], [2, 1, 10, -1], [3, 1, 60, 80]], &[(1, 0, 10), (2, 10, 60), (3, 60, 80), (1, 80, 90)]);
        check(&[[1, 0, 0, -1], [2, 1, 10, 50]], &[(1, 0, 10), (2, 10, 50)]);
    }

    #[test]
    fn deep_trees_take_no_stack() {
        let spans: Vec<[i64; 4]> = (0..5000).map(|depth| [depth + 1, depth, depth, 20_000 - depth]).collect();
        let own: Vec<(Node, Span)> = spans.iter().map(one).collect();
        let tree: Vec<(&Node, &Span)> = own.iter().map(|(node, span)| (node, span)).collect();
        let steps = critical_path(&tree);
        assert!(steps.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
        assert_eq!(steps.iter().map(|step| step.to_us - step.from_us).sum::<i64>(), 20_000);
    }
}
