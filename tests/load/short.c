/*
 * short COUNT RATE PORT...: so many connections per second (0: as many as can be), each with one request. Half of them
 * are closed by the server, half are reset by the client.
 */
#include "load.h"

enum { THREADS = 8 };

static int ports[MAX_PORTS], port_count;
static long total;
static double rate, start;
static atomic_long next_connection;

static void *connect_and_ask(void *unused)
{
	char end[16];

	for (;;) {
		long number = atomic_fetch_add(&next_connection, 1);
		int connection;

		if (number >= total)
			return unused;
		if (rate > 0)
			wait_until(start + number / rate);
		connection = connect_to(ports[number / 2 % port_count]);
		ask(connection, number % 2 ? CLOSE : KEEP);
		if (number % 2) {
			while (read(connection, end, sizeof(end)) > 0) {
			}
			close(connection);
		} else {
			reset(connection);
		}
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	if (argc < 4)
		return 2;
	prepare();
	total = atol(argv[1]);
	rate = atof(argv[2]);
	port_count = ports_of(argv + 3, argc - 3, ports);
	start = now();
	for (int at = 0; at < THREADS; at++)
		pthread_create(&threads[at], 0, connect_and_ask, 0);
	for (int at = 0; at < THREADS; at++)
		pthread_join(threads[at], 0);
	printf("{\"requests\": %ld, \"seconds\": %.2f}\n", total, now() - start);
	return 0;
}
