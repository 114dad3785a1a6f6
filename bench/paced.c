#define _GNU_SOURCE
/* Asks one HTTP server at an even pace over kept connections, and says what it waited.
 *
 * Request n is due n/rate seconds after the start and is sent on a free connection; its time counts from when it was due,
 * so a server that stalls is not spared the requests it held up. One thread, epoll.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 32, BUFFER = 65536 };

static const char REQUEST[] = "GET /file HTTP/1.1\r\nHost: bench\r\n\r\n";
static char buffer[BUFFER];

struct connection {
    int fd;
    long due_ns;
    /* Bytes of the answer that are still to come; known from the first answer, all are alike. */
    long left;
};

static long now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_connection(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

/* Length of an answer, head and body, from a first request. */
static long answer_length(int fd)
{
    if (write(fd, REQUEST, sizeof REQUEST - 1) < 0)
        fail("write");
    long length = 0;
    for (;;) {
        ssize_t got = read(fd, buffer + length, BUFFER - 1 - length);
        if (got <= 0)
            fail("read");
        length += got;
        buffer[length] = 0;
        char *head_end = strstr(buffer, "\r\n\r\n"), *field = strstr(buffer, "Content-Length: ");
        if (head_end && field) {
            long total = head_end + 4 - buffer + atol(field + strlen("Content-Length: "));
            if (length >= total)
                return total;
        }
    }
}

static int compare(const void *a, const void *b)
{
    long difference = *(const long *)a - *(const long *)b;
    return difference < 0 ? -1 : difference > 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: paced PORT RATE SECONDS\n");
        return 2;
    }
    int port = atoi(argv[1]), poll = epoll_create1(0), idle_count = 0;
    double rate = atof(argv[2]);
    long total = rate * atof(argv[3]), sent = 0, done = 0;
    long *waited = calloc(total, sizeof *waited);
    struct connection connections[CONNECTIONS], *idle[CONNECTIONS];

    prctl(PR_SET_TIMERSLACK, 1000);
    for (int i = 0; i < CONNECTIONS; i++) {
        connections[i] = (struct connection){ .fd = open_connection(port) };
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event);
        idle[idle_count++] = &connections[i];
    }
    long length = answer_length(connections[0].fd), start = now_ns();
    while (done < total) {
        while (sent < total && idle_count > 0 && now_ns() >= start + (long)(sent * 1e9 / rate)) {
            struct connection *connection = idle[--idle_count];
            connection->due_ns = start + (long)(sent++ * 1e9 / rate);
            connection->left = length;
            if (write(connection->fd, REQUEST, sizeof REQUEST - 1) != sizeof REQUEST - 1)
                fail("write");
        }
        long wait = sent < total && idle_count > 0 ? start + (long)(sent * 1e9 / rate) - now_ns() : 1000000000L;
        struct timespec timeout = { .tv_sec = wait > 0 ? wait / 1000000000L : 0, .tv_nsec = wait > 0 ? wait % 1000000000L : 0 };
        struct epoll_event events[CONNECTIONS];
        int count = epoll_pwait2(poll, events, CONNECTIONS, &timeout, NULL);
        if (count < 0 && errno != EINTR)
            fail("epoll_pwait2");
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            ssize_t got = read(connection->fd, buffer, BUFFER);
            if (got <= 0)
                fail("the server closed a connection");
            connection->left -= got;
            if (connection->left == 0) {
                waited[done++] = now_ns() - connection->due_ns;
                idle[idle_count++] = connection;
            }
        }
    }
    double seconds = (now_ns() - start) / 1e9;
    qsort(waited, total, sizeof *waited, compare);
    printf("{\"requests\": %ld, \"made\": %ld, \"seconds\": %f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", total, total + 1, seconds, waited[total / 2] / 1e3,
           waited[(long)(total * 0.99)] / 1e3, waited[total - 1] / 1e3);
    return 0;
}
