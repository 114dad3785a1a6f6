//! Trace assembly: rows of the request log → links with evidence → trees.
//!
//! Pure: no I/O, no clock. [`assemble`] takes the rows that may belong together, in any order, and gives each at most one
//! parent. It does so in three steps:
//!
//! 1. Rows of one call, seen at several points of its path, become a [`call`] (same connection and sequence number).
//! 2. The spans are put into one order, and a parent is only ever an earlier span of it: there are no cycles.
//! 3. The first row of each call asks for its parent. Each kind of [`Evidence`] proposes spans; what is proposed most
//!    surely is the parent, unless another span is about as sure: wrong is worse than orphan.
//!
//! Time is a necessary condition and never a reason: a child starts while its parent is open.
#![forbid(unsafe_code)]

mod call;
mod clock;
mod context;
mod evidence;
mod forest;
mod handover;
mod headers;
mod path;
mod pattern;
mod ranked;
mod span;
mod times;
mod turns;

pub use evidence::{Evidence, EvidenceSet, Link};
pub use forest::{Forest, Limits, Node, assemble};
pub use path::{Step, critical_path};
pub use span::Span;
