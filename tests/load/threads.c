/*
 * threads PROCESSES COUNT PORT: so many processes with so many threads each, all there at the same time. Every other
 * thread asks over a connection of its own, the others take turns with one connection.
 */
#include "load.h"

static int port, shared;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all;

static void *call(void *number)
{
	int connection;

	pthread_barrier_wait(&all);
	if ((long)number % 2) {
		pthread_mutex_lock(&turn);
		ask(shared, KEEP);
		pthread_mutex_unlock(&turn);
	} else {
		connection = connect_to(port);
		ask(connection, KEEP);
		close(connection);
	}
	return 0;
}

static void run(long count)
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	pthread_attr_t attributes;

	shared = connect_to(port);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	pthread_barrier_init(&all, 0, count);
	for (long at = 0; at < count; at++) {
		if (pthread_create(&threads[at], &attributes, call, (void *)at))
			fail("pthread_create");
	}
	for (long at = 0; at < count; at++)
		pthread_join(threads[at], 0);
	exit(0);
}

int main(int argc, char **argv)
{
	long processes, count;

	if (argc != 4)
		return 2;
	prepare();
	processes = atol(argv[1]);
	count = atol(argv[2]);
	port = atoi(argv[3]);
	for (long at = 0; at < processes; at++) {
		if (child() == 0)
			run(count);
	}
	if (children_failed())
		return 1;
	printf("{\"requests\": %ld}\n", processes * count);
	return 0;
}
