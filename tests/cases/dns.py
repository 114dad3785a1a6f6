"""DNS between BIND and its clients: exactly the questions that were asked, with their answers, at both ends."""

import json
import re

from harness import PYTHON, check, equal, free_port, settle, wait_for

ZONE = """
$ORIGIN sea.test.
$TTL 60
@ SOA ns root 7 3600 600 86400 60
 NS ns
 MX 10 mail
 TXT "v=spf1 -all" "deep"
ns A 127.0.0.1
www A 192.0.2.7
www A 192.0.2.8
www AAAA 2001:db8::7
alias CNAME www
mail A 192.0.2.25
_ssh._tcp SRV 1 2 22 www
svc HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.7
huge TXT "{long}"
huge TXT "{long}2"
huge TXT "{long}3"
"""

CONFIG = """
options {{
    directory "{work}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; pid-file none;
    session-keyfile none; allow-transfer {{ any; }}; notify no; dnssec-validation no;
}};
controls {{ }};
zone "sea.test" {{ type primary; file "{work}/sea.test.zone"; }};
"""

# Asks in its own way and says what it sent and got: type, name, id, code, bytes sent, bytes received.
CLIENT = """
import json, socket, struct, sys, time
import dns.message, dns.rdatatype, dns.rrset
port, transport = int(sys.argv[1]), sys.argv[2]
rows = []
def query(name, kind, **more):
    return dns.message.make_query(name, kind, **more)
def row(question, answer, sent, got):
    asked = question.question[0]
    rows.append([dns.rdatatype.to_text(asked.rdtype), asked.name.to_text(omit_final_dot=True), question.id, answer.rcode(), sent, got])
singles = [
    query("www.sea.test", "A"), query("WwW.Sea.test", "AAAA"), query("alias.sea.test", "A"), query("sea.test", "MX"),
    query("sea.test", "TXT"), query("_ssh._tcp.sea.test", "SRV"), query("svc.sea.test", "HTTPS"), query("sea.test", "SOA"),
    query("7.2.0.192.in-addr.arpa", "PTR"), query("nothing.sea.test", "A"), query("elsewhere.test", "A"),
    query("www.sea.test", "TYPE65280"), query("mail.sea.test", "A", use_edns=0, want_dnssec=True, payload=1232),
]
batch = [query(f"host{number}.sea.test" if number % 3 else "www.sea.test", "A") for number in range(20)]

def over_udp():
    connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    for question in singles + [query("huge.sea.test", "TXT")]:
        connection.send(question.to_wire())
        answer = connection.recv(65535)
        row(question, dns.message.from_wire(answer), len(question.to_wire()), len(answer))
    # All at once; the answers come in any order.
    for question in batch:
        connection.send(question.to_wire())
    answers = {dns.message.from_wire(answer).id: answer for answer in (connection.recv(65535) for _ in batch)}
    for question in batch:
        answer = answers[question.id]
        row(question, dns.message.from_wire(answer), len(question.to_wire()), len(answer))
    # To and from whom is told with each datagram.
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.settimeout(10)
    question = query("mail.sea.test", "A")
    other.sendto(question.to_wire(), ("127.0.0.1", port))
    answer = other.recvfrom(65535)[0]
    row(question, dns.message.from_wire(answer), len(question.to_wire()), len(answer))

def over_tcp():
    connection = socket.create_connection(("127.0.0.1", port), 30)
    def framed(question):
        return struct.pack("!H", len(question.to_wire())) + question.to_wire()
    def receive(connection):
        length = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))[0]
        return connection.recv(length, socket.MSG_WAITALL)
    for question in singles + [query("huge.sea.test", "TXT")]:
        connection.sendall(framed(question))
        answer = receive(connection)
        row(question, dns.message.from_wire(answer), len(framed(question)), 2 + len(answer))
    # In one write; the answers come in any order.
    connection.sendall(b"".join(map(framed, batch)))
    answers = {dns.message.from_wire(answer).id: answer for answer in (receive(connection) for _ in batch)}
    for question in batch:
        answer = answers[question.id]
        row(question, dns.message.from_wire(answer), len(framed(question)), 2 + len(answer))
    # In many writes.
    question = query("mail.sea.test", "A")
    for byte in framed(question):
        connection.sendall(bytes([byte]))
    answer = receive(connection)
    row(question, dns.message.from_wire(answer), len(framed(question)), 2 + len(answer))
    # A whole zone: the answer is many messages or one.
    transfer = socket.create_connection(("127.0.0.1", port), 30)
    question = query("sea.test", "AXFR")
    transfer.sendall(framed(question))
    got = ends = 0
    while ends < 2:
        answer = receive(transfer)
        got += 2 + len(answer)
        ends += sum(len(rrset) for rrset in dns.message.from_wire(answer, one_rr_per_rrset=True).answer if rrset.rdtype == dns.rdatatype.SOA)
    row(question, dns.message.from_wire(answer), len(framed(question)), got)
    time.sleep(0.2)

over_tcp() if transport == "tcp" else over_udp()
print(json.dumps(rows), flush=True)
"""


def bind(t):
    """Runs BIND with one zone; its port."""
    port = free_port()
    work = t.folder("bind")
    long = "w" * 240
    (work / "sea.test.zone").write_text(ZONE.format(long=long))
    (work / "named.conf").write_text(CONFIG.format(work=work, port=port))
    named = t.spawn("named", ["/usr/sbin/named", "-g", "-n", "1", "-c", work / "named.conf"])
    wait_for("named is ready", lambda: re.search(r" running$", named.output(), re.MULTILINE), 15, 0.05)
    return port


def exact(t, transport):
    """The rows of the client's questions, one for each at each end; those at its end by type and name."""
    port = bind(t)
    hadal = t.hadal().ready()
    (t.work / "sonar.py").write_text(CLIENT)
    client = t.spawn("sonar.py", [PYTHON, t.work / "sonar.py", port, transport])
    equal(client.wait(60), 0, f"the client ended ({client.output()[-500:]})")
    wanted = [tuple(row) for row in json.loads(client.output().splitlines()[-1])]
    sql = f"SELECT * FROM l7_flow_log WHERE server_port = {port} AND l7_protocol_str = 'DNS'"
    wait_for("rows", lambda: hadal.sql(sql), 10)
    rows = settle("rows", lambda: hadal.sql(sql))
    names = ("request_type", "request_resource", "request_id", "response_code", "request_length", "response_length")
    for point in ("c-p", "s-p"):
        seen = [row for row in rows if row["observation_point"] == point]
        found = [tuple(row[name] for name in names) for row in seen]
        missing, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
        equal((missing, more), ([], []), f"rows at {point}: missing, and more than asked")
        equal(sorted(found), sorted(wanted), f"rows at {point}")
        equal({row["type"] for row in seen}, {"session"}, f"types at {point}")
    answers(rows)
    return {(row["request_type"], row["request_resource"]): row for row in rows if row["observation_point"] == "c-p"}


def answers(rows):
    """What the rows tell of the answers."""
    by_question = {(row["request_type"], row["request_resource"]): row for row in rows}

    def result(kind, name):
        return by_question[kind, name]["response_result"]

    equal(sorted(result("A", "www.sea.test").split(", ")), ["192.0.2.7", "192.0.2.8"], "addresses")
    equal(result("AAAA", "WwW.Sea.test"), "2001:db8::7", "an IPv6 address")
    check(result("A", "alias.sea.test").startswith("CNAME www.sea.test, 192.0.2."), "an alias is followed by its addresses")
    equal(result("MX", "sea.test"), "10 mail.sea.test", "a mail server")
    equal(result("TXT", "sea.test"), '"v=spf1 -all" "deep"', "texts")
    equal(result("SRV", "_ssh._tcp.sea.test"), "1 2 22 www.sea.test", "a service")
    equal(result("HTTPS", "svc.sea.test"), "1 . alpn=h2,h3 ipv4hint=192.0.2.7", "a service's parameters")
    outcomes = {
        name: (by_question["A", name]["response_status"], by_question["A", name]["response_exception"])
        for name in ("www.sea.test", "nothing.sea.test", "elsewhere.test")
    }
    equal(
        outcomes,
        {
            "www.sea.test": ("ok", ""),
            "nothing.sea.test": ("client_error", "NXDOMAIN"),
            "elsewhere.test": ("server_error", "REFUSED"),
        },
        "outcomes",
    )
    equal(by_question["AAAA", "WwW.Sea.test"]["endpoint"], "www.sea.test", "an endpoint")
    equal(by_question["PTR", "7.2.0.192.in-addr.arpa"]["endpoint"], "{}.in-addr.arpa", "the endpoint of an address")


def test_tcp(t):
    rows = exact(t, "tcp")
    equal(rows["AXFR", "sea.test"]["response_status"], "ok", "a zone transfer")


def test_udp(t):
    exact(t, "udp")


def test_dig_asks_again(t):
    """What does not fit in a datagram is asked for again over TCP."""
    port = bind(t)
    hadal = t.hadal().ready()
    dig = t.spawn("dig", ["dig", "@127.0.0.1", "-p", port, "+noedns", "+tries=1", "huge.sea.test", "TXT"])
    equal(dig.wait(30), 0, f"dig ended ({dig.output()[-500:]})")
    sql = f"SELECT * FROM l7_flow_log WHERE server_port = {port} AND observation_point = 'c-p'"
    wait_for("both rows", lambda: len(hadal.sql(sql)) >= 2, 10)
    rows = sorted(settle("rows", lambda: hadal.sql(sql)), key=lambda row: row["response_length"])
    check(rows[0]["response_result"].count(", ") < 2, "the shorter answer lacks texts")
    equal(rows[1]["response_result"].count(", "), 2, "the longer answer has all three")
    equal({(row["request_type"], row["request_resource"], row["type"]) for row in rows}, {("TXT", "huge.sea.test", "session")}, "rows")


def settled(hadal, sql):
    rows = hadal.sql(sql)
    return rows if len(rows) == 4 and all(row["n"] == 5 for row in rows) else None


def test_getent_asks_for_both_families(t):
    """glibc's resolver: A and AAAA on one socket at once, against a server at the usual port in a network of its own."""
    hadal = t.hadal().ready()
    (t.work / "sea.test.zone").write_text(ZONE.format(long="x" * 200))
    (t.work / "named.conf").write_text(CONFIG.format(work=t.work, port=53))
    (t.work / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:5\n")
    script = f"""
ip link set lo up
mount --bind {t.work}/resolv.conf /etc/resolv.conf
named -f -g -c {t.work}/named.conf -n 1 &
server=$!
for _ in $(seq 100); do dig +time=1 +tries=1 @127.0.0.1 ns.sea.test >/dev/null 2>&1 && break; sleep 0.1; done
for _ in 1 2 3 4 5; do getent ahosts www.sea.test; done
sleep 0.5
kill $server
wait
"""
    own_network = t.spawn("network", ["unshare", "-n", "-m", "sh", "-c", script])
    own_network.wait(60)
    equal(own_network.output().count("2001:db8::7"), 15, f"lines of getent, of {own_network.output()}")
    sql = (
        "SELECT request_type, observation_point, count() AS n, uniqExact(response_result) AS answers, any(response_result) AS answer"
        " FROM l7_flow_log WHERE request_resource = 'www.sea.test' AND process_name_0 = 'getent' AND type = 'session'"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    )
    rows = wait_for("both families at both ends", lambda: settled(hadal, sql), 20)
    for row in rows:
        equal(row["n"], 5, f"questions of {row}")
        check(("192.0.2.7" if row["request_type"] == "A" else "2001:db8::7") in row["answer"], f"the answer of {row}")
