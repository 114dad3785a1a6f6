/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes every kind of socket call on every kind of socket, and writes down what each one moved. The capture must tell
 * the same.
 *
 *   calls LOG            waits for a line on standard input after it has opened the sockets that are to be older than the
 *                        capture, then makes the calls
 *   calls LOG threads    16 threads write one connection, one reads it
 *   calls LOG flood N    N one-way messages of 100 bytes over one connection
 *
 * Lines of the log:
 *   scenario NAME
 *   call COOKIE r|w LENGTH PID PEER-PORT FLAGS HEX      what a call moved
 * Flags: n no payload is to be had (the bytes never were in the program's memory), u not seen as a call but as a
 * hole of the sequence at the levels that watch sockets, i io_uring, - none. HEX is what was moved, up to 2048 bytes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "calls.c:%d: %s: %s (%s)\n", __LINE__, #what, strerror(errno), scenario); exit(1); } } while (0)

static FILE *out;
static const char *scenario = "";
static char scenario_name[128];

enum kind { TCP4, TCP6, TCP_MAPPED, UDP4, UDP4_OPEN, UDP6, UDP6_OPEN, UNIX_STREAM, UNIX_PAIR, UNIX_DGRAM, UNIX_SEQ, KINDS };
static const char *kind_names[] = { "tcp4", "tcp6", "tcp-mapped", "udp4", "udp4-open", "udp6", "udp6-open", "unix-stream",
				    "unix-pair", "unix-datagram", "unix-seqpacket" };

struct pair {
	enum kind kind;
	int a, b;
	struct sockaddr_storage a_name, b_name;
	socklen_t name_length; /* 0 if connected */
};

static int is_stream(enum kind kind)
{
	return kind <= TCP_MAPPED || kind == UNIX_STREAM || kind == UNIX_PAIR;
}

static int is_open(const struct pair *pair)
{
	return pair->name_length != 0;
}

/* ---- the log ---- */

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);

	CHECK(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0);
	return cookie;
}

static int port_of(const struct sockaddr_storage *name)
{
	if (name->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)name)->sin_port);
	if (name->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)name)->sin6_port);
	return 0;
}

static void note_parts(int fd, char direction, const struct iovec *parts, size_t count, size_t length, int peer,
		       const char *flags)
{
	size_t left = length < 2048 ? length : 2048;

	if (length == 0)
		return;
	fprintf(out, "call %llu %c %zu %d %d %s ", (unsigned long long)cookie_of(fd), direction, length, getpid(), peer, flags);
	for (size_t i = 0; i < count && left; i++) {
		for (size_t j = 0; j < parts[i].iov_len && left; j++, left--)
			fprintf(out, "%02x", ((unsigned char *)parts[i].iov_base)[j]);
	}
	fputs(parts ? "\n" : "-\n", out);
	fflush(out);
}

static void note(int fd, char direction, const void *bytes, size_t length, int peer, const char *flags)
{
	struct iovec part = { (void *)bytes, length };

	note_parts(fd, direction, bytes ? &part : 0, bytes ? 1 : 0, length, peer, flags);
}

static void begin(const char *name, const char *of)
{
	snprintf(scenario_name, sizeof(scenario_name), "%s/%s", of, name);
	scenario = scenario_name;
	fprintf(out, "scenario %s\n", scenario);
	fflush(out);
}

/* ---- sockets ---- */

static socklen_t loopback(enum kind kind, struct sockaddr_storage *name)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)name;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)name;

	memset(name, 0, sizeof(*name));
	if (kind == TCP4 || kind == UDP4 || kind == UDP4_OPEN) {
		v4->sin_family = AF_INET;
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	if (kind == TCP_MAPPED)
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6->sin6_addr);
	else
		v6->sin6_addr = in6addr_loopback;
	return sizeof(*v6);
}

static socklen_t unix_name(struct sockaddr_storage *name)
{
	static int count;
	struct sockaddr_un *un = (struct sockaddr_un *)name;

	memset(name, 0, sizeof(*name));
	un->sun_family = AF_UNIX;
	/* Abstract: nothing is left behind. */
	int length = snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "hadal-calls-%d-%d", getpid(), count++);
	return sizeof(un->sun_family) + 1 + length;
}

static void open_stream(struct pair *pair)
{
	struct sockaddr_storage name;
	socklen_t length = pair->kind == UNIX_STREAM || pair->kind == UNIX_SEQ ? unix_name(&name) : loopback(pair->kind, &name);
	int type = pair->kind == UNIX_SEQ ? SOCK_SEQPACKET : SOCK_STREAM;
	int listener = socket(name.ss_family, type, 0);

	CHECK(listener >= 0);
	CHECK(bind(listener, (struct sockaddr *)&name, length) == 0);
	CHECK(listen(listener, 16) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&name, &length) == 0);
	pair->a = socket(name.ss_family, type, 0);
	cookie_of(pair->a);
	CHECK(pair->a >= 0 && connect(pair->a, (struct sockaddr *)&name, length) == 0);
	pair->b = accept(listener, 0, 0);
	CHECK(pair->b >= 0);
	close(listener);
	if (name.ss_family != AF_UNIX) {
		int on = 1;

		/* What is sent is there to be read at once. */
		setsockopt(pair->a, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(pair->b, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
}

static void open_datagrams(struct pair *pair)
{
	int unix_domain = pair->kind == UNIX_DGRAM;
	int open = pair->kind == UDP4_OPEN || pair->kind == UDP6_OPEN;
	struct sockaddr_storage names[2];
	int fds[2];
	socklen_t length = 0;

	for (int i = 0; i < 2; i++) {
		socklen_t own = unix_domain ? unix_name(&names[i]) : loopback(pair->kind, &names[i]);

		fds[i] = socket(names[i].ss_family, SOCK_DGRAM, 0);
		CHECK(fds[i] >= 0 && bind(fds[i], (struct sockaddr *)&names[i], own) == 0);
		CHECK(getsockname(fds[i], (struct sockaddr *)&names[i], &own) == 0);
		length = own;
	}
	if (!open) {
		CHECK(connect(fds[0], (struct sockaddr *)&names[1], length) == 0);
		CHECK(connect(fds[1], (struct sockaddr *)&names[0], length) == 0);
	}
	pair->a = fds[0];
	pair->b = fds[1];
	pair->a_name = names[0];
	pair->b_name = names[1];
	pair->name_length = open ? length : 0;
}

static struct pair open_pair(enum kind kind)
{
	struct pair pair = { .kind = kind };
	int fds[2];

	if (kind == UNIX_PAIR) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		pair.a = fds[0];
		pair.b = fds[1];
	} else if (is_stream(kind) || kind == UNIX_SEQ) {
		open_stream(&pair);
	} else {
		open_datagrams(&pair);
	}
	cookie_of(pair.a);
	cookie_of(pair.b);
	return pair;
}

static void close_pair(struct pair *pair)
{
	close(pair->a);
	close(pair->b);
}

/* ---- io_uring, without a library ---- */

struct ring {
	int fd;
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};
static struct ring ring = { .fd = -1 };

static int open_ring(void)
{
	struct io_uring_params params = { 0 };
	char *sq, *cq;

	ring.fd = syscall(SYS_io_uring_setup, 8, &params);
	if (ring.fd < 0)
		return 0;
	sq = mmap(0, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
		  IORING_OFF_SQ_RING);
	cq = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_CQ_RING);
	ring.sqes = mmap(0, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			 ring.fd, IORING_OFF_SQES);
	CHECK(sq != MAP_FAILED && cq != MAP_FAILED && ring.sqes != MAP_FAILED);
	ring.sq_tail = (unsigned *)(sq + params.sq_off.tail);
	ring.sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
	ring.sq_array = (unsigned *)(sq + params.sq_off.array);
	ring.cq_head = (unsigned *)(cq + params.cq_off.head);
	ring.cq_tail = (unsigned *)(cq + params.cq_off.tail);
	ring.cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
	ring.cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	return 1;
}

static int uring(int opcode, int fd, void *address, unsigned length)
{
	unsigned tail = *ring.sq_tail, index = tail & *ring.sq_mask, head;
	struct io_uring_sqe *sqe = &ring.sqes[index];
	int result;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = (uint64_t)address;
	sqe->len = length;
	ring.sq_array[index] = index;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	CHECK(syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) == 1);
	head = *ring.cq_head;
	while (head == __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE))
		;
	result = ring.cqes[head & *ring.cq_mask].res;
	__atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

/* ---- one message, by one way of sending and receiving ---- */

enum way { RW, VECTOR, TOFROM, MSG, MMSG, URING, URING_MSG, URING_RW, WAYS };
static const char *way_names[] = { "read-write", "readv-writev", "sendto-recvfrom", "sendmsg-recvmsg", "sendmmsg-recvmmsg",
				   "io_uring-send-recv", "io_uring-sendmsg-recvmsg", "io_uring-read-write" };

static unsigned char pattern_byte;
static void fill(void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((unsigned char *)bytes)[i] = pattern_byte++ ^ (i >> 8);
}

static void send_one(int fd, const struct sockaddr_storage *to, socklen_t to_length, enum way way, char *bytes, size_t length)
{
	struct iovec parts[3] = { { bytes, length / 3 }, { bytes, 0 }, { bytes + length / 3, length - length / 3 } };
	struct msghdr header = { .msg_name = (void *)(to_length ? to : 0), .msg_namelen = to_length, .msg_iov = parts, .msg_iovlen = 3 };
	struct mmsghdr headers[2] = { { .msg_hdr = header }, { .msg_hdr = header } };
	int peer = to_length ? port_of(to) : 0;
	ssize_t done = -1;

	switch (way) {
	case RW: done = write(fd, bytes, length); break;
	case VECTOR: done = writev(fd, parts, 3); break;
	case TOFROM: done = sendto(fd, bytes, length, 0, (struct sockaddr *)(to_length ? to : 0), to_length); break;
	case MSG: done = sendmsg(fd, &header, 0); break;
	case MMSG: {
		/* Two messages, the second shorter and of other bytes. */
		struct iovec second = { bytes + length / 4, length / 2 };

		headers[1].msg_hdr.msg_iov = &second;
		headers[1].msg_hdr.msg_iovlen = 1;
		CHECK(sendmmsg(fd, headers, 2, 0) == 2);
		note(fd, 'w', bytes, headers[0].msg_len, peer, "-");
		note(fd, 'w', second.iov_base, headers[1].msg_len, peer, "-");
		return;
	}
	case URING: done = uring(IORING_OP_SEND, fd, bytes, length); break;
	case URING_MSG: done = uring(IORING_OP_SENDMSG, fd, &header, 1); break;
	case URING_RW: done = uring(IORING_OP_WRITE, fd, bytes, length); break;
	default: break;
	}
	CHECK(done == (ssize_t)length);
	note(fd, 'w', bytes, done, peer, way >= URING ? "i" : "-");
}

static void receive_one(int fd, int open, enum way way, size_t length)
{
	char bytes[8192] = { 0 }, more[8192] = { 0 };
	struct sockaddr_storage from = { 0 };
	struct iovec parts[3] = { { bytes, 7 }, { bytes, 0 }, { bytes + 7, sizeof(bytes) - 7 } };
	struct msghdr header = { .msg_name = open ? &from : 0, .msg_namelen = open ? sizeof(from) : 0, .msg_iov = parts, .msg_iovlen = 3 };
	socklen_t from_length = sizeof(from);
	ssize_t done = -1;

	switch (way) {
	case RW: done = read(fd, bytes, sizeof(bytes)); break;
	case VECTOR: done = readv(fd, parts, 3); break;
	case TOFROM: done = recvfrom(fd, bytes, sizeof(bytes), 0, open ? (struct sockaddr *)&from : 0, open ? &from_length : 0); break;
	case MSG: done = recvmsg(fd, &header, 0); break;
	case MMSG: {
		struct iovec second = { more, sizeof(more) };
		struct mmsghdr headers[2] = { { .msg_hdr = header }, { .msg_hdr = header } };
		struct sockaddr_storage from2 = { 0 };
		int got;

		headers[1].msg_hdr.msg_iov = &second;
		headers[1].msg_hdr.msg_iovlen = 1;
		if (open)
			headers[1].msg_hdr.msg_name = &from2;
		got = recvmmsg(fd, headers, 2, MSG_WAITFORONE, 0);
		CHECK(got >= 1);
		note(fd, 'r', bytes, headers[0].msg_len, open ? port_of(&from) : 0, "-");
		if (got == 2)
			note(fd, 'r', more, headers[1].msg_len, open ? port_of(&from2) : 0, "-");
		return;
	}
	case URING: done = uring(IORING_OP_RECV, fd, bytes, sizeof(bytes)); break;
	case URING_MSG: done = uring(IORING_OP_RECVMSG, fd, &header, 1); break;
	case URING_RW: done = uring(IORING_OP_READ, fd, bytes, sizeof(bytes)); break;
	default: break;
	}
	CHECK(done == (ssize_t)length);
	/* io_uring and read tell no name that the program asked for. */
	note(fd, 'r', bytes, done, port_of(&from), way >= URING ? "i" : "-");
}

static int can(const struct pair *pair, enum way way)
{
	if (way >= URING && ring.fd < 0)
		return 0;
	/* Without a name an unconnected socket cannot send. */
	return !is_open(pair) || way == TOFROM || way == MSG || way == MMSG;
}

static void exchange(struct pair *pair, enum way way, size_t length)
{
	char bytes[8192];

	fill(bytes, length);
	send_one(pair->a, &pair->b_name, pair->name_length, way, bytes, length);
	receive_one(pair->b, is_open(pair), way, length);
	fill(bytes, length / 2);
	send_one(pair->b, &pair->a_name, pair->name_length, way, bytes, length / 2);
	receive_one(pair->a, is_open(pair), way, length / 2);
}

/* A way that works on every socket. */
static enum way plain_way(const struct pair *pair)
{
	return is_open(pair) ? TOFROM : RW;
}

/* ---- variations ---- */

/* 1024 parts: empty ones, ones that cross a page, the last one at the end of mapped memory. */
static struct iovec *many_parts(size_t *total)
{
	static struct iovec parts[1024];
	size_t page = sysconf(_SC_PAGESIZE), offset = page - 1500;
	char *memory = mmap(0, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED && mprotect(memory + 2 * page, page, PROT_NONE) == 0);
	*total = 0;
	for (int i = 0; i < 1024; i++) {
		size_t length = i % 5 == 0 ? 0 : i % 3 + 2;

		if (i == 1023)
			length = 2 * page - offset;
		parts[i] = (struct iovec){ memory + offset, length };
		offset += length;
		*total += length;
	}
	CHECK(offset == 2 * page);
	fill(parts[0].iov_base, *total);
	return parts;
}

static void iovecs(struct pair *pair)
{
	size_t total;
	struct iovec *parts = many_parts(&total);
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = 1024 };
	struct sockaddr_storage from = { 0 };

	begin("1024-iovecs", kind_names[pair->kind]);
	if (is_open(pair)) {
		header.msg_name = &pair->b_name;
		header.msg_namelen = pair->name_length;
	}
	CHECK(sendmsg(pair->a, &header, 0) == (ssize_t)total);
	note_parts(pair->a, 'w', parts, 1024, total, is_open(pair) ? port_of(&pair->b_name) : 0, "-");
	for (int i = 0; i < 1024; i++)
		memset(parts[i].iov_base, 0, parts[i].iov_len);
	if (is_open(pair)) {
		header.msg_name = &from;
		header.msg_namelen = sizeof(from);
	}
	CHECK(recvmsg(pair->b, &header, is_stream(pair->kind) ? MSG_WAITALL : 0) == (ssize_t)total);
	note_parts(pair->b, 'r', parts, 1024, total, port_of(&from), "-");
	if (!is_open(pair)) {
		fill(parts[1].iov_base, 16);
		CHECK(writev(pair->b, parts, 1024) == (ssize_t)total);
		note_parts(pair->b, 'w', parts, 1024, total, 0, "-");
		CHECK(readv(pair->a, parts, 1024) == (ssize_t)total);
		note_parts(pair->a, 'r', parts, 1024, total, 0, "-");
	}
}

static void header_reads(struct pair *pair)
{
	char bytes[300], got[300];

	if (!is_stream(pair->kind))
		return;
	begin("header-reads", kind_names[pair->kind]);
	for (int round = 0; round < 3; round++) {
		fill(bytes, 100);
		send_one(pair->a, 0, 0, RW, bytes, 100);
		CHECK(read(pair->b, got, 4) == 4);
		note(pair->b, 'r', got, 4, 0, "-");
		CHECK(recv(pair->b, got, 96, MSG_WAITALL) == 96);
		note(pair->b, 'r', got, 96, 0, "-");
	}
}

static void peek(struct pair *pair)
{
	char bytes[100], got[100];

	begin("peek", kind_names[pair->kind]);
	fill(bytes, sizeof(bytes));
	send_one(pair->a, &pair->b_name, pair->name_length, plain_way(pair), bytes, sizeof(bytes));
	CHECK(recv(pair->b, got, 10, MSG_PEEK) == 10);
	CHECK(recv(pair->b, got, sizeof(got), MSG_PEEK) == sizeof(got));
	receive_one(pair->b, is_open(pair), plain_way(pair), sizeof(bytes));
}

static void truncate_reads(struct pair *pair)
{
	char bytes[100], got[100] = { 0 };
	struct sockaddr_storage from = { 0 };
	socklen_t length = sizeof(from);

	begin("trunc", kind_names[pair->kind]);
	fill(bytes, sizeof(bytes));
	send_one(pair->a, &pair->b_name, pair->name_length, plain_way(pair), bytes, sizeof(bytes));
	if (pair->kind <= TCP_MAPPED) {
		/* Thrown away: they never come to the program. */
		CHECK(recv(pair->b, got, 60, MSG_TRUNC) == 60);
		note(pair->b, 'r', 0, 60, 0, "n");
		CHECK(recv(pair->b, got, sizeof(got), 0) == 40);
		note(pair->b, 'r', got, 40, 0, "-");
		return;
	}
	if (is_stream(pair->kind)) {
		receive_one(pair->b, 0, RW, sizeof(bytes));
		return;
	}
	/* The rest of the datagram is lost. */
	CHECK(recvfrom(pair->b, got, 10, 0, (struct sockaddr *)&from, &length) == 10);
	note(pair->b, 'r', got, 10, port_of(&from) && is_open(pair) ? port_of(&from) : 0, "-");
	send_one(pair->a, &pair->b_name, pair->name_length, plain_way(pair), bytes, sizeof(bytes));
	length = sizeof(from);
	CHECK(recvfrom(pair->b, got, 10, MSG_TRUNC, (struct sockaddr *)&from, &length) == 100);
	fprintf(out, "call %llu r 100 %d %d - ", (unsigned long long)cookie_of(pair->b), getpid(), is_open(pair) ? port_of(&from) : 0);
	for (int i = 0; i < 10; i++)
		fprintf(out, "%02x", (unsigned char)got[i]);
	fputs("\n", out);
}

static void again(struct pair *pair)
{
	static char bytes[1 << 20];
	static char got[1 << 20];
	ssize_t done;
	size_t sent = 0, received = 0;

	begin("eagain-and-partial", kind_names[pair->kind]);
	CHECK(recv(pair->b, got, 10, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	exchange(pair, plain_way(pair), 100);
	CHECK(recv(pair->b, got, 10, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	if (!is_stream(pair->kind))
		return;
	fill(bytes, sizeof(bytes));
	/* Until the buffers are full: the last one is partial. */
	while ((done = send(pair->a, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0 && sent < 64u << 20) {
		note(pair->a, 'w', bytes, done, 0, "-");
		sent += done;
	}
	CHECK(done < 0 && errno == EAGAIN);
	while (received < sent) {
		done = read(pair->b, got, 300000);
		CHECK(done > 0);
		note(pair->b, 'r', got, done, 0, "-");
		received += done;
	}
}

static void duplicate(struct pair *pair)
{
	struct pair copy = *pair;

	begin("dup", kind_names[pair->kind]);
	copy.a = dup(pair->a);
	copy.b = fcntl(pair->b, F_DUPFD, 100);
	CHECK(copy.a >= 0 && copy.b >= 0);
	exchange(&copy, plain_way(pair), 120);
	close_pair(&copy);
	exchange(pair, plain_way(pair), 120);
}

static void in_child(struct pair *pair)
{
	int status;
	pid_t child;

	begin("fork", kind_names[pair->kind]);
	fflush(out);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		exchange(pair, plain_way(pair), 130);
		fflush(out);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	exchange(pair, plain_way(pair), 130);
}

static void passed(struct pair *pair)
{
	int channel[2], status, *descriptors;
	char byte = 'x', control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *rights;
	pid_t child;

	begin("scm-rights", kind_names[pair->kind]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == 0);
	cookie_of(channel[0]);
	cookie_of(channel[1]);
	fflush(out);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		struct pair theirs = *pair;

		close_pair(pair);
		CHECK(recvmsg(channel[1], &header, 0) == 1);
		note(channel[1], 'r', &byte, 1, 0, "-");
		rights = CMSG_FIRSTHDR(&header);
		CHECK(rights && rights->cmsg_type == SCM_RIGHTS);
		descriptors = (int *)CMSG_DATA(rights);
		theirs.a = descriptors[0];
		theirs.b = descriptors[1];
		exchange(&theirs, plain_way(pair), 140);
		fflush(out);
		_exit(0);
	}
	rights = CMSG_FIRSTHDR(&header);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(rights), (int[]){ pair->a, pair->b }, 2 * sizeof(int));
	CHECK(sendmsg(channel[0], &header, 0) == 1);
	note(channel[0], 'w', &byte, 1, 0, "-");
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(channel[0]);
	close(channel[1]);
}

static void reused(enum kind kind)
{
	begin("fd-reuse", kind_names[kind]);
	for (int round = 0; round < 3; round++) {
		struct pair pair = open_pair(kind);

		exchange(&pair, plain_way(&pair), 90 + round);
		close_pair(&pair);
	}
}

static void spliced(struct pair *pair)
{
	char bytes[1000], got[1000];
	int file = memfd_create("calls", 0), pipes[2];
	off_t offset = 0;

	if (!is_stream(pair->kind))
		return;
	begin("sendfile-and-splice", kind_names[pair->kind]);
	fill(bytes, sizeof(bytes));
	CHECK(file >= 0 && pwrite(file, bytes, sizeof(bytes), 0) == sizeof(bytes) && pipe(pipes) == 0);
	CHECK(sendfile(pair->a, file, &offset, 600) == 600);
	note(pair->a, 'w', 0, 600, 0, "n");
	receive_one(pair->b, 0, RW, 600);
	/* File to pipe to socket. */
	offset = 0;
	CHECK(splice(file, &offset, pipes[1], 0, 500, 0) == 500);
	CHECK(splice(pipes[0], 0, pair->a, 0, 500, 0) == 500);
	note(pair->a, 'w', 0, 500, 0, "n");
	receive_one(pair->b, 0, RW, 500);
	/* Socket to pipe: no socket call at all. */
	send_one(pair->a, 0, 0, RW, bytes, 300);
	CHECK(splice(pair->b, 0, pipes[1], 0, 300, 0) == 300);
	note(pair->b, 'r', 0, 300, 0, pair->kind <= TCP_MAPPED ? "u" : "x");
	CHECK(read(pipes[0], got, sizeof(got)) == 300);
	exchange(pair, RW, 110);
	close(file);
	close(pipes[0]);
	close(pipes[1]);
}

static void every_way(struct pair *pair)
{
	for (enum way way = 0; way < WAYS; way++) {
		if (!can(pair, way))
			continue;
		begin(way_names[way], kind_names[pair->kind]);
		if (way == MMSG) {
			char bytes[300];

			fill(bytes, sizeof(bytes));
			send_one(pair->a, &pair->b_name, pair->name_length, way, bytes, sizeof(bytes));
			receive_one(pair->b, is_open(pair), way, 0);
			/* A stream gives both at once. */
			if (!is_stream(pair->kind))
				exchange(pair, plain_way(pair), 50);
			continue;
		}
		exchange(pair, way, 200);
		exchange(pair, way, 200);
	}
}

static void all_on(enum kind kind)
{
	void (*variations[])(struct pair *) = { every_way, iovecs, header_reads, peek, truncate_reads, again, duplicate, in_child,
						passed, spliced };

	/* Each on a socket of its own: the calls of a new socket are copied further than later ones. */
	for (size_t i = 0; i < sizeof(variations) / sizeof(variations[0]); i++) {
		struct pair pair = open_pair(kind);

		variations[i](&pair);
		close_pair(&pair);
	}
	reused(kind);
}

/* ---- threads and floods ---- */

enum { WRITERS = 16, MESSAGES = 1500, MESSAGE = 64 };

struct writer {
	pthread_t thread;
	int fd, number;
};

static void *write_messages(void *argument)
{
	struct writer *writer = argument;
	char bytes[MESSAGE];

	for (int i = 0; i < MESSAGES; i++) {
		int length = 8 + (writer->number * 7 + i) % (MESSAGE - 8);

		memset(bytes, 'a' + writer->number, sizeof(bytes));
		CHECK(write(writer->fd, bytes, length) == length);
	}
	return 0;
}

/* What the reader got is the order in which the bytes were written. */
static void many_writers(void)
{
	struct pair pair = open_pair(TCP4);
	struct writer writers[WRITERS];
	size_t total = 0, received = 0;
	static unsigned char got[WRITERS * MESSAGES * MESSAGE];

	begin("16-writers", "tcp4");
	fprintf(out, "writers %llu\n", (unsigned long long)cookie_of(pair.a));
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .fd = pair.a, .number = i };
		for (int j = 0; j < MESSAGES; j++)
			total += 8 + (i * 7 + j) % (MESSAGE - 8);
		CHECK(pthread_create(&writers[i].thread, 0, write_messages, &writers[i]) == 0);
	}
	while (received < total) {
		ssize_t done = read(pair.b, got + received, sizeof(got) - received);

		CHECK(done > 0);
		received += done;
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, 0);
	fputs("stream ", out);
	for (size_t i = 0; i < total; i++)
		fputc(got[i], out);
	fputs("\n", out);
	close_pair(&pair);
}

static void flood(long count)
{
	struct pair pair = open_pair(TCP4);
	char bytes[100];
	static char got[65536];
	pid_t child;

	begin("flood", "tcp4");
	fprintf(out, "flood %llu %ld\n", (unsigned long long)cookie_of(pair.a), count);
	fflush(out);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		long reads = 0;

		close(pair.a);
		while (read(pair.b, got, sizeof(got)) > 0)
			reads++;
		fprintf(out, "reads %ld\n", reads);
		fflush(out);
		_exit(0);
	}
	close(pair.b);
	fill(bytes, sizeof(bytes));
	for (long i = 0; i < count; i++)
		CHECK(send(pair.a, bytes, sizeof(bytes), 0) == sizeof(bytes));
	close(pair.a);
	CHECK(waitpid(child, 0, 0) == child);
}

int main(int argc, char **argv)
{
	struct pair older[KINDS];
	char line[16];

	signal(SIGPIPE, SIG_IGN);
	alarm(300);
	if (argc < 2 || !(out = fopen(argv[1], "a"))) {
		fprintf(stderr, "usage: calls LOG [threads | flood N]\n");
		return 2;
	}
	if (argc > 2 && !strcmp(argv[2], "threads")) {
		many_writers();
		fputs("end\n", out);
		return fclose(out);
	}
	if (argc > 3 && !strcmp(argv[2], "flood")) {
		flood(atol(argv[3]));
		fputs("end\n", out);
		return fclose(out);
	}
	for (enum kind kind = 0; kind < KINDS; kind++) {
		older[kind] = open_pair(kind);
		/* Traffic before anyone looks. */
		CHECK(is_open(&older[kind]) || (write(older[kind].a, "before", 6) == 6 && read(older[kind].b, line, 6) == 6));
	}
	puts("ready");
	fflush(stdout);
	CHECK(fgets(line, sizeof(line), stdin));
	if (!open_ring())
		fputs("without io_uring\n", out);
	for (enum kind kind = 0; kind < KINDS; kind++) {
		begin("older", kind_names[kind]);
		exchange(&older[kind], plain_way(&older[kind]), 150);
		close_pair(&older[kind]);
		all_on(kind);
	}
	fputs("end\n", out);
	return fclose(out);
}
