"""Real clients of PostgreSQL, through the live capture: exactly the rows that they caused."""

import json
import os
import pathlib
import pwd
import subprocess

from harness import check, equal, free_port, settle, wait_for

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")

# Each client writes down what it does: statement as it should be shown, SQLSTATE, command tag, each as far as it knows it.
PSYCOPG = """
import json, sys
import psycopg
rows = []
def note(sql, state="", tag="", operation=None):
    rows.append([sql, state, tag])
def run(connection, sql, shown=None, parameters=None, tag="", prepare=None):
    state = ""
    try:
        cursor = connection.execute(sql, parameters, prepare=prepare)
        tag = cursor.statusmessage
    except psycopg.Error as error:
        state, tag = error.sqlstate or error.diag.sqlstate, ""
    note(shown or sql, state, tag)
connection = psycopg.connect(host="127.0.0.1", port=int(sys.argv[1]), user="postgres", dbname="postgres", autocommit=True)
note("postgres")
run(connection, "CREATE TABLE reef (id int PRIMARY KEY, name text)")
run(connection, "INSERT INTO reef VALUES (1, 'secret bass'), (2, 'secret eel')", "INSERT INTO reef VALUES (?, ?), (?, ?)")
for number in range(20):
    if number == 5:
        # From here on the statement is prepared.
        note("SELECT name FROM reef WHERE id = $1")
    run(connection, "SELECT name FROM reef WHERE id = %s", "SELECT name FROM reef WHERE id = $1", (number,))
run(connection, "SELECT * FROM nowhere")
run(connection, "INSERT INTO reef VALUES (1, 'secret')", "INSERT INTO reef VALUES (?, ?)")
run(connection, "SELECT %s::int / 0", "SELECT $1::int / ?", (7,))
run(connection, "SELECT 'secret'::int", "SELECT ?::int")
run(connection, "SELEC 1", "SELEC ?")
# Rows of more bytes than are captured of a call, and then of many calls.
run(connection, "SELECT repeat('x', 5000)", "SELECT repeat(?, ?)")
for _ in range(3):
    run(connection, "SELECT generate_series(1, 20000), 'secret'", "SELECT generate_series(?, ?), ?")
    run(connection, "SELECT 1", "SELECT ?")
# A statement and a parameter of more bytes than are captured.
values = ", ".join(f"({number}, 'secret {number}')" for number in range(100, 600))
run(connection, f"INSERT INTO reef VALUES {values}", "INSERT INTO reef VALUES " + ", ".join(["(?, ?)"] * 500))
run(connection, "INSERT INTO reef VALUES (3, %s)", "INSERT INTO reef VALUES (?, $1)", ("x" * 100_000,))
run(connection, "BEGIN; UPDATE reef SET name = 'secret' WHERE id = 1; COMMIT", "BEGIN; UPDATE reef SET name = ? WHERE id = ?; COMMIT", tag="COMMIT")
rows[-1][2] = "BEGIN; UPDATE 1; COMMIT"
with connection.cursor() as cursor:
    with cursor.copy("COPY reef FROM STDIN") as copy:
        for number in range(1000, 6000):
            copy.write_row((number, "secret copied"))
    note("COPY reef FROM STDIN", tag="COPY 5000")
    with cursor.copy("COPY reef TO STDOUT") as copy:
        for _ in copy:
            pass
    # The end of a long answer may not be captured.
    note("COPY reef TO STDOUT", tag=None)
    try:
        with cursor.copy("COPY reef FROM STDIN") as copy:
            copy.write("secret\\n")
    except psycopg.Error as error:
        note("COPY reef FROM STDIN", error.sqlstate)
# Statements are sent without waiting for results.
with connection.pipeline():
    for number in range(10):
        connection.execute("UPDATE reef SET name = %s WHERE id = %s", ("secret", number))
for number in range(10):
    note("UPDATE reef SET name = $1 WHERE id = $2", tag=None)
try:
    with connection.pipeline():
        connection.execute("INSERT INTO reef VALUES (10, 'x')")
        connection.execute("INSERT INTO reef VALUES (1, 'x')")
        connection.execute("DELETE FROM reef WHERE id = 10")
except psycopg.Error as error:
    note("INSERT INTO reef VALUES (?, ?)", tag="INSERT 0 1")
    note("INSERT INTO reef VALUES (?, ?)", error.sqlstate)
    note("DELETE FROM reef WHERE id = ?", "not run")
run(connection, "DROP TABLE reef")
# What was prepared may not work any more, so psycopg forgets it.
note("DEALLOCATE ALL", tag="DEALLOCATE ALL")
connection.close()
print(json.dumps(rows), flush=True)
"""

ASYNCPG = """
import asyncio, json, sys
import asyncpg
rows = []
def note(sql, state="", tag=""):
    rows.append([sql, state, tag])
async def main():
    connection = await asyncpg.connect(host="127.0.0.1", port=int(sys.argv[1]), user="postgres", database="postgres")
    note("postgres")
    note_tag = lambda sql, tag: note(sql, tag=tag)
    note_tag("CREATE TABLE kelp (id int PRIMARY KEY, name text)", await connection.execute("CREATE TABLE kelp (id int PRIMARY KEY, name text)"))
    await connection.executemany("INSERT INTO kelp VALUES ($1, $2)", [(number, "secret") for number in range(12)])
    note("INSERT INTO kelp VALUES ($1, $2)")
    for number in range(12):
        note("INSERT INTO kelp VALUES ($1, $2)", tag="INSERT 0 1")
    statement = await connection.prepare("SELECT name FROM kelp WHERE id = $1")
    note("SELECT name FROM kelp WHERE id = $1")
    for number in range(20):
        await statement.fetch(number)
        note("SELECT name FROM kelp WHERE id = $1", tag="SELECT 1" if number < 12 else "SELECT 0")
    try:
        await connection.fetch("SELECT * FROM nowhere")
    except asyncpg.PostgresError as error:
        note("SELECT * FROM nowhere", error.sqlstate)
    try:
        await statement.fetch(1, timeout=20)
        note("SELECT name FROM kelp WHERE id = $1", tag="SELECT 1")
        await connection.execute("INSERT INTO kelp VALUES (1, 'secret')")
    except asyncpg.PostgresError as error:
        note("INSERT INTO kelp VALUES (?, ?)", error.sqlstate)
    async with connection.transaction():
        note("BEGIN;", tag="BEGIN")
        note_tag("DELETE FROM kelp WHERE id > ?", await connection.execute("DELETE FROM kelp WHERE id > 4"))
    note("COMMIT;", tag="COMMIT")
    note_tag("DROP TABLE kelp", await connection.execute("DROP TABLE kelp"))
    await connection.close()
asyncio.run(main())
print(json.dumps(rows), flush=True)
"""


def postgresql(t, *settings):
    """A server that trusts everybody; its port. `settings` are more of its options, such as `max_connections=200`."""
    user = pwd.getpwnam("postgres")
    folder, port = t.folder("postgresql"), free_port()
    folder.chmod(0o700)
    # Whoever owns the folder runs the server, and it must not be root.
    os.chown(folder, user.pw_uid, user.pw_gid)
    become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data = folder / "data"
    initdb = subprocess.run(
        [*become, BIN / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    equal(initdb.returncode, 0, f"initdb ended ({initdb.stderr[-500:]})")
    options = [word for setting in ("fsync=off", "ssl=off", "autovacuum=off", *settings) for word in ("-c", setting)]
    server = t.spawn("postgres", [*become, BIN / "postgres", "-D", data, "-p", port, "-h", "127.0.0.1", "-k", folder, *options], cwd="/")
    wait_for("postgres is ready", lambda: "ready to accept connections" in server.output(), 30, 0.1)
    return port


def caused(t, name, source, port):
    """Runs a client to its end; the rows it says it caused."""
    (t.work / name).write_text(source)
    client = t.spawn(name, ["/usr/bin/python3", t.work / name, port])
    equal(client.wait(90), 0, f"{name} ended ({client.output()[-500:]})")
    return [tuple(row) for row in json.loads(client.output().splitlines()[-1])]


def recorded(hadal, port, program):
    columns = (
        "request_type, request_resource, request_domain, endpoint, response_code, response_exception, response_result, "
        "response_status, type, observation_point, start_time"
    )
    sql = (
        f"SELECT {columns} FROM l7_flow_log WHERE server_port = {port} AND l7_protocol_str = 'PostgreSQL' "
        f"AND process_name_0 = '{program}' ORDER BY start_time, req_tcp_seq LIMIT 10000"
    )
    wait_for("rows", lambda: hadal.sql(sql), 15)
    return settle("rows", lambda: hadal.sql(sql))


def follow(t, program, source):
    port = postgresql(t)
    hadal = t.hadal().ready()
    wanted = [(sql[:1024].rstrip(), state, tag) for sql, state, tag in caused(t, program, source, port)]
    rows = recorded(hadal, port, program)
    for point in ("c-p", "s-p"):
        seen = [row for row in rows if row["observation_point"] == point]
        outcome = lambda row: "not run" if row["response_exception"].startswith("not run") else row["response_exception"].split(":")[0]
        found = [(row["request_resource"].rstrip(), outcome(row), row["response_result"]) for row in seen]
        # A request is shown with as much of its text as was captured.
        for number, (have, want) in enumerate(zip(found, wanted)):
            text, state, tag = have
            same = want[0] == text or (len(text) > 300 and want[0].startswith(text))
            check(
                same and state == want[1] and (want[2] in (None, tag) or (tag == "" and len(want[0]) > 0 and may_be_cut(want))),
                f"request {number} at {point}: found {have!r}, wanted {want!r}",
            )
        equal(len(found), len(wanted), f"requests at {point} (the last: {found[-3:]})")
        equal({row["type"] for row in seen}, {"session"}, f"types at {point}")
        equal({row["request_domain"] for row in seen}, {"postgres"}, f"databases at {point}")
    secrets = [row for row in rows if "secret" in json.dumps(row)]
    equal(secrets, [], "rows that tell a value")
    return rows


def may_be_cut(want):
    """Whether the answer is so long that its end may not be captured."""
    return "generate_series" in want[0] or "TO STDOUT" in want[0]


def test_psycopg(t):
    rows = follow(t, "lobster.py", PSYCOPG)
    status = {(row["response_exception"].split(":")[0], row["response_status"]) for row in rows if row["response_exception"]}
    wanted = {(state, "client_error") for state in ("42P01", "23505", "22012", "22P02", "42601")}
    equal({pair for pair in status if not pair[0].startswith("not run")}, wanted, "errors")
    codes = {row["response_code"] for row in rows if row["response_exception"].startswith("23505")}
    equal(codes, {23505}, "codes of errors")
    endpoints = {row["endpoint"] for row in rows}
    for endpoint in ("Startup", "SELECT reef", "INSERT reef", "UPDATE reef", "COPY reef", "CREATE TABLE reef"):
        check(endpoint in endpoints, f"no endpoint {endpoint} in {endpoints}")


def test_asyncpg(t):
    follow(t, "crab.py", ASYNCPG)
