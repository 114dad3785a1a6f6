/*
 * serve PROCESSES: so many HTTP servers, each a process with a port of its own; their ports are the first line.
 * Heads may have any length and are not kept. A path that starts with /c ends the connection. What does not start like
 * GET gets one +PONG at its first line, and is swallowed from then on.
 */
#include "load.h"
#include <sys/epoll.h>

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static const char LAST[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

struct connection {
	size_t seen; /* bytes of the head so far */
	int end; /* how much of the empty line was seen */
	char kind; /* first byte */
	char path; /* first letter of the path */
};

static struct connection connections[65536];

/* False if the connection is over. */
static int serve_bytes(int fd, struct connection *connection, const char *bytes, ssize_t length)
{
	for (ssize_t at = 0; at < length; at++) {
		char byte = bytes[at];

		if (connection->seen == 0)
			connection->kind = byte;
		if (connection->seen == 5)
			connection->path = byte;
		connection->seen++;
		if (connection->kind != 'G') {
			if (byte == '\n' && !connection->end++ && write(fd, "+PONG\r\n", 7) < 0)
				return 0;
			continue;
		}
		connection->end = byte == "\r\n\r\n"[connection->end] ? connection->end + 1 : byte == '\r';
		if (connection->end < 4)
			continue;
		if (connection->path == 'c') {
			(void)!write(fd, LAST, sizeof(LAST) - 1);
			return 0;
		}
		if (write(fd, ANSWER, sizeof(ANSWER) - 1) < 0)
			return 0;
		*connection = (struct connection){};
	}
	return 1;
}

static void serve(int listener)
{
	static char bytes[65536];
	struct epoll_event events[256], event = { .events = EPOLLIN, .data.fd = listener };
	int poll = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int ready = epoll_wait(poll, events, 256, -1);

		for (int at = 0; at < ready; at++) {
			int fd = events[at].data.fd;
			ssize_t length;

			if (fd == listener) {
				fd = accept4(listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
				if (fd < 0)
					continue;
				event.data.fd = fd;
				connections[fd] = (struct connection){};
				epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
				continue;
			}
			length = read(fd, bytes, sizeof(bytes));
			if (length < 0 && errno == EAGAIN)
				continue;
			if (length <= 0 || !serve_bytes(fd, &connections[fd], bytes, length))
				close(fd);
		}
	}
}

int main(int argc, char **argv)
{
	int processes = argc > 1 ? atoi(argv[1]) : 1;

	prepare();
	for (int at = 0; at < processes; at++) {
		struct sockaddr_in address = loopback(1, 0);
		socklen_t length = sizeof(address);
		int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096))
			fail("listen");
		getsockname(listener, (struct sockaddr *)&address, &length);
		printf("%d ", ntohs(address.sin_port));
		if (child() == 0)
			serve(listener);
		close(listener);
	}
	puts("");
	fflush(stdout);
	return children_failed();
}
