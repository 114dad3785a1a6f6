"""A host that starts a thousand processes per second stays a few entities."""

import json
import re

from harness import check, equal, settle

SECONDS, RATE, LEAST_RATE = 60, 1000, 800

# Forks at an even pace. Of each 20 children one asks the server itself, one executes this program again to ask, one
# executes another program; the others end at once.
FORKER = r"""
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int ask(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *request = "GET /child HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char answer[512];
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) || write(connection, request, strlen(request)) < 0)
        return 1;
    while (read(connection, answer, sizeof answer) > 0) {
    }
    return 0;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    int port = atoi(argv[1]);
    if (argc == 2)
        return ask(port);
    double seconds = atof(argv[2]), rate = atof(argv[3]), start = now();
    long forks = 0, asked = 0, failed = 0;
    for (; now() - start < seconds; forks++) {
        int kind = forks % 20;
        pid_t child = fork();
        if (child == 0) {
            if (kind == 0)
                _exit(ask(port));
            if (kind == 1)
                execl("/proc/self/exe", argv[0], argv[1], (char *)0);
            if (kind == 2)
                execl("/bin/true", "true", (char *)0);
            _exit(0);
        }
        if (child < 0)
            return 1;
        asked += kind < 2;
        int status;
        while (waitpid(-1, &status, WNOHANG) > 0)
            failed += status != 0;
        double early = start + (forks + 1) / rate - now();
        if (early > 0)
            usleep(early * 1e6);
    }
    int status;
    while (wait(&status) > 0)
        failed += status != 0;
    printf("{\"forks\": %ld, \"seconds\": %f, \"asked\": %ld, \"failed\": %ld}\n", forks, now() - start, asked, failed);
    return 0;
}
"""

SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    connection.close()
"""


def test_forks(t):
    source = t.work / "forker.c"
    source.write_text(FORKER)
    equal(t.spawn("gcc", ["gcc", "-O2", "-o", t.work / "forker", source]).wait(60), 0, "exit code of gcc")
    _, port = t.serve("counter.py", SERVER)
    hadal = t.hadal().ready()
    # One child of each kind first: that the programs are entities is right.
    warm = t.spawn("forker", [t.work / "forker", port, "0.2", "100"])
    equal(warm.wait(20), 0, "exit code of the forker")
    entities = "SELECT count() FROM (SELECT id FROM entity GROUP BY id)"
    before = settle("entities", lambda: hadal.value(entities, "meta"))
    forker = t.spawn("forker", [t.work / "forker", port, str(SECONDS), str(RATE)])
    equal(forker.wait(SECONDS + 30), 0, "exit code of the forker")
    done = json.loads(forker.output())
    rate = done["forks"] / done["seconds"]
    check(rate >= LEAST_RATE, f"only {rate:.0f} forks per second, too few to say anything")
    equal(done["failed"], 0, "children that failed")
    warmed = json.loads(re.search(r"\{.*\}", warm.output())[0])
    rows = lambda: hadal.sql(
        f"SELECT process_name_0 AS client, process_name_1 AS server, observation_point AS point, count() AS n FROM l7_flow_log "
        f"WHERE server_port = {port} AND type = 'session' GROUP BY ALL ORDER BY point"
    )
    asked = done["asked"] + warmed["asked"]
    wanted = [{"client": "forker", "server": "counter.py", "point": point, "n": asked} for point in ("c-p", "s-p")]
    equal(settle("rows", rows), wanted, "requests of children that lived for a moment")
    after = hadal.value(entities, "meta")
    check(
        after - before <= 5,
        f"{before} entities became {after}: " + str(hadal.sql("SELECT tags FROM entity FINAL ORDER BY id DESC LIMIT 8", "meta")),
    )
    agent = hadal.get("/v1/agents")["agents"][0]
    check(agent["rss_bytes"] < 500 << 20, f"the agent has grown to {agent['rss_bytes'] >> 20} MiB")
