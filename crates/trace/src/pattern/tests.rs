use hadal_model::{MessageType, ObservationPoint};

use crate::pattern::sampler::Dice;
use crate::{Evidence, Forest, Limits, Span, assemble};

const AGENT: &str = "host";
const REDIS: u16 = 6379;
const HTTP: u16 = 80;
const SQL: u16 = 5432;

/// Opened by a thread that works on several requests.
fn context_of(read_us: u64) -> u64 {
    (read_us * 1000) << 8 | hadal_model::CONTEXT_SHARED
}

/// A program with one thread that serves a dozen clients at the same time: each request asks Redis, then two servers at
/// once, then a database. Its steps take their turns, and one context in `wrong` is that of somebody else.
struct Loop {
    dice: Dice,
    spans: Vec<Span>,
    /// The request of each call, by id.
    truth: Vec<(u64, u64)>,
    wrong: u64,
}

impl Loop {
    fn run(seconds: u64, wrong: u64) -> Self {
        let mut own = Self { dice: Dice::new(), spans: Vec::new(), truth: Vec::new(), wrong };
        // Clients by when they ask next.
        let mut clients: Vec<u64> = (0..12).map(|client| 1_000_000 + client * 700).collect();
        while let Some(client) = clients.iter_mut().min().filter(|ready| **ready < 1_000_000 + seconds * 1_000_000) {
            let (start_us, pause) = (*client, own.between(300, 900));
            let end_us = own.request(start_us);
            *client = end_us + pause;
        }
        own
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.dice.next() % (to - from)
    }

    /// When the program gets to what is ready now.
    fn turn(&mut self, ready_us: u64) -> u64 {
        let took = self.between(60, 250);
        ready_us + took
    }

    fn context(&mut self, read_us: u64) -> u64 {
        let is_wrong = self.dice.next().is_multiple_of(self.wrong);
        let stranger = self.spans.len().checked_sub(3).map(|at| self.spans[at].contexts[1]);
        stranger.filter(|_| is_wrong).unwrap_or(context_of(read_us))
    }

    fn add(&mut self, point: ObservationPoint, port: u16, [start_us, end_us]: [u64; 2], contexts: [u64; 2]) -> u64 {
        let id = self.spans.len() as u64 + 1;
        let is_server = point == ObservationPoint::ServerProcess;
        self.spans.push(Span {
            id,
            start_us,
            end_us,
            point,
            agent: AGENT.to_owned(),
            entities: [1, 2],
            addresses: [[0; 16]; 2],
            ports: [1000 + (id % 60_000) as u16, port],
            pids: if is_server { [0, 7] } else { [7, 0] },
            protocol: port.to_string(),
            request_id: None,
            seqs: [id as u32 * 10, id as u32 * 10],
            contexts,
            joined: 0,
            x_request_ids: [String::new(), String::new()],
            trace_id: String::new(),
            span_id: String::new(),
            parent_span_id: String::new(),
            kind: MessageType::Session,
        });
        id
    }

    fn call(&mut self, port: u16, sent_us: u64, read_us: u64, takes: (u64, u64)) -> (u64, u64) {
        let answered_us = sent_us + self.between(takes.0, takes.1);
        let context = self.context(read_us);
        let id =
            self.add(ObservationPoint::ClientProcess, port, [sent_us, answered_us], [context, context_of(answered_us)]);
        (id, answered_us)
    }

    fn request(&mut self, start_us: u64) -> u64 {
        let sent_us = self.turn(start_us);
        let (redis, mut read_us) = self.call(REDIS, sent_us, start_us, (80, 300));
        let sent_us = self.turn(read_us);
        let (one, one_us) = self.call(HTTP, sent_us, read_us, (5_000, 60_000));
        let (other, other_us) = self.call(HTTP, sent_us + 20, read_us, (5_000, 60_000));
        read_us = one_us.max(other_us);
        let sent_us = self.turn(read_us);
        let (sql, read_us) = self.call(SQL, sent_us, read_us, (2_000, 15_000));
        let end_us = self.turn(read_us);
        let context = self.context(read_us);
        let own = self.add(ObservationPoint::ServerProcess, 8000, [start_us, end_us], [context_of(start_us), context]);
        self.truth.extend([redis, one, other, sql].map(|call| (call, own)));
        end_us
    }

    /// The program says which task made each call, and which answered each request.
    fn know_tasks(&mut self) {
        let mut tasks: std::collections::HashMap<u64, u64> = self.truth.iter().copied().collect();
        tasks.extend(self.truth.iter().map(|(_, request)| (*request, *request)));
        for span in &mut self.spans {
            let side = usize::from(span.point == ObservationPoint::ServerProcess);
            span.contexts[side] = tasks[&span.id] << 8 | hadal_model::CONTEXT_OWN;
        }
    }

    fn forest(&self, patterns: bool) -> Forest {
        assemble(&self.spans, &std::collections::HashMap::new(), Limits { patterns, ..Limits::default() })
    }

    /// Calls with the right parent, with a wrong one, and all.
    fn score(&self) -> (usize, usize, usize) {
        let forest = self.forest(true);
        let parent = |call: u64| forest.nodes.iter().find(|node| node.id == call).and_then(|node| node.link);
        let links = self.truth.iter().filter_map(|(call, own)| parent(*call).map(|link| link.parent == *own));
        let (right, wrong): (Vec<bool>, Vec<bool>) = links.partition(|is_right| *is_right);
        assert!(forest.nodes.iter().filter_map(|node| node.link).all(|link| link.evidence != Evidence::SpanId));
        (right.len(), wrong.len(), self.truth.len())
    }
}

#[test]
fn calls_of_an_event_loop_are_found_by_what_is_usual() {
    let (right, wrong, all) = Loop::run(2, 6).score();
    assert!(right * 100 >= all * 75, "{right} of {all} are right, {wrong} wrong");
    assert!(wrong * 100 <= all, "{wrong} of {all} are wrong, {right} right");
}

#[test]
fn without_any_order_nothing_is_claimed() {
    let mut chaos = Loop::run(1, 1);
    let spans = chaos.spans.len();
    for at in 0..spans {
        let length = chaos.spans[at].end_us - chaos.spans[at].start_us;
        if chaos.spans[at].point == ObservationPoint::ClientProcess {
            chaos.spans[at].start_us = 1_000_000 + chaos.dice.next() % 1_000_000;
            chaos.spans[at].end_us = chaos.spans[at].start_us + length;
        }
    }
    let (right, wrong, all) = chaos.score();
    assert!(wrong * 100 <= all * 2, "{wrong} of {all} are wrong, {right} right");
}

#[test]
fn where_the_program_tells_patterns_are_not_asked() {
    let mut known = Loop::run(1, 6);
    assert!(known.forest(true) != known.forest(false), "patterns add nothing");
    known.know_tasks();
    assert!(known.forest(true) == known.forest(false), "patterns were asked");
    let (right, wrong, all) = known.score();
    assert_eq!((right, wrong), (all, 0));
}
