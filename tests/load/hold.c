/*
 * hold COUNT RATE EVERY PORT...: opens so many connections, at this rate, with one request each, from as many processes
 * as there are ports; says "open". After SIGUSR1 asks once more on every EVERY-th of them, and ends.
 */
#include "load.h"

static void hold(int port, long count, double rate, int every, int ready)
{
	int *connections = calloc(count, sizeof(*connections)), signal;
	double start = now();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	for (long at = 0; at < count; at++) {
		wait_until(start + at / rate);
		connections[at] = connect_to(port);
		ask(connections[at], KEEP);
	}
	if (write(ready, "x", 1) != 1)
		fail("pipe");
	sigwait(&set, &signal);
	for (long at = 0; at < count; at += every)
		ask(connections[at], KEEP);
	exit(0);
}

int main(int argc, char **argv)
{
	int ports[MAX_PORTS], port_count, ready[2], signal, every;
	long total, asked = 0;
	pid_t pids[MAX_PORTS];
	sigset_t set;
	char byte;

	if (argc < 5)
		return 2;
	prepare();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, 0);
	port_count = ports_of(argv + 4, argc - 4, ports);
	every = atoi(argv[3]);
	total = atol(argv[1]) / port_count;
	if (pipe(ready))
		fail("pipe");
	for (int at = 0; at < port_count; at++) {
		pids[at] = child();
		if (pids[at] == 0)
			hold(ports[at], total, atof(argv[2]) / port_count, every, ready[1]);
		asked += (total + every - 1) / every;
	}
	close(ready[1]);
	for (int at = 0; at < port_count; at++) {
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	}
	puts("open");
	fflush(stdout);
	sigwait(&set, &signal);
	for (int at = 0; at < port_count; at++)
		kill(pids[at], SIGUSR1);
	if (children_failed())
		return 1;
	printf("{\"requests\": %ld, \"asked\": %ld}\n", total * port_count, asked);
	return 0;
}
