/* What the programs of the load tests share. Everything stays on 127.0.0.0/8. */
#ifndef LOAD_H
#define LOAD_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PORTS = 16 };

#define KEEP "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"
#define CLOSE "GET /close HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

static inline double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static inline void wait_until(double time)
{
	double early = time - now();

	if (early > 0)
		usleep(early * 1e6);
}

static inline struct sockaddr_in loopback(int last, int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last) };
}

/* As many files as allowed; a child ends with its parent. */
static inline void prepare(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	signal(SIGPIPE, SIG_IGN);
}

static inline pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static inline int children_failed(void)
{
	int status, failed = 0;

	while (wait(&status) > 0)
		failed += status != 0;
	return failed;
}

static inline int connect_to(int port)
{
	struct sockaddr_in address = loopback(1, port);
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (connection < 0)
		fail("socket");
	setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)))
		fail("connect");
	return connection;
}

static inline void write_all(int connection, const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(connection, bytes, length);

		if (written <= 0)
			fail("write");
		bytes += written;
		length -= written;
	}
}

/* One request; its answer comes in one piece. */
static inline void ask(int connection, const char *request)
{
	char answer[512];

	write_all(connection, request, strlen(request));
	if (read(connection, answer, sizeof(answer)) <= 0)
		fail("read");
}

/* The other end sees a reset. */
static inline void reset(int connection)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(connection);
}

static inline int ports_of(char **arguments, int count, int *ports)
{
	if (count < 1 || count > MAX_PORTS)
		exit(2);
	for (int at = 0; at < count; at++)
		ports[at] = atoi(arguments[at]);
	return count;
}

#endif
