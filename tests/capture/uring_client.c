/* SPDX-License-Identifier: Apache-2.0 */
/* `uring_client PORT N`: sends N times `GET depth` to a Redis on loopback and reads the answers, by io_uring only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ring;
static unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void open_ring(void)
{
	struct io_uring_params params = { 0 };
	char *sq, *cq;

	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0)
		fail("io_uring_setup");
	sq = mmap(0, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(*cqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(0, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		fail("mmap");
	sq_tail = (unsigned *)(sq + params.sq_off.tail);
	sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
	sq_array = (unsigned *)(sq + params.sq_off.array);
	cq_head = (unsigned *)(cq + params.cq_off.head);
	cq_tail = (unsigned *)(cq + params.cq_off.tail);
	cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
	cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
}

static int call(int opcode, int fd, void *bytes, unsigned length)
{
	unsigned tail = *sq_tail, index = tail & *sq_mask, head = *cq_head;
	int result;

	memset(&sqes[index], 0, sizeof(sqes[index]));
	sqes[index].opcode = opcode;
	sqes[index].fd = fd;
	sqes[index].addr = (unsigned long)bytes;
	sqes[index].len = length;
	sq_array[index] = index;
	__atomic_store_n(sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) != 1)
		fail("io_uring_enter");
	while (head == __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE))
		;
	result = cqes[head & *cq_mask].res;
	__atomic_store_n(cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

int main(int argc, char **argv)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static char request[] = "*2\r\n$3\r\nGET\r\n$5\r\ndepth\r\n", answer[1024];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 3)
		return 2;
	name.sin_port = htons(atoi(argv[1]));
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)))
		fail("connect");
	open_ring();
	for (int i = atoi(argv[2]); i > 0; i--) {
		if (call(IORING_OP_SEND, fd, request, sizeof(request) - 1) != sizeof(request) - 1)
			fail("send");
		if (call(IORING_OP_RECV, fd, answer, sizeof(answer)) != 5 || memcmp(answer, "$-1\r\n", 5))
			fail("recv");
	}
	return 0;
}
