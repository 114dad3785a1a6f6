/*
 * datagrams SOURCES EACH: random datagrams from so many sockets, so many from each, to one socket that takes them from
 * anyone and answers each tenth. Each source has an address and port that no other one has.
 */
#include "load.h"

static int target;
static atomic_long received;

static void *receive(void *unused)
{
	struct sockaddr_in from;
	char bytes[512];

	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t got = recvfrom(target, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length);

		if (got < 0)
			return unused;
		if (atomic_fetch_add(&received, 1) % 10 == 0)
			sendto(target, bytes, got / 2, MSG_DONTWAIT, (struct sockaddr *)&from, length);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = loopback(1, 0);
	socklen_t length = sizeof(address);
	int buffer = 4 << 20;
	long sources, each;
	unsigned seed = 7;
	pthread_t thread;
	char bytes[256];

	if (argc != 3)
		return 2;
	prepare();
	sources = atol(argv[1]);
	each = atol(argv[2]);
	target = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(target, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (bind(target, (struct sockaddr *)&address, length))
		fail("bind");
	getsockname(target, (struct sockaddr *)&address, &length);
	pthread_create(&thread, 0, receive, 0);
	for (long source = 0; source < sources; source++) {
		struct sockaddr_in own = loopback(2 + source / 20000, 10000 + source % 20000);
		int sender = socket(AF_INET, SOCK_DGRAM, 0);

		if (bind(sender, (struct sockaddr *)&own, sizeof(own)))
			fail("bind");
		for (long at = 0; at < each; at++) {
			for (size_t byte = 0; byte < sizeof(bytes); byte++)
				bytes[byte] = rand_r(&seed) >> 8;
			sendto(sender, bytes, 20 + rand_r(&seed) % 200, 0, (struct sockaddr *)&address, length);
		}
		close(sender);
	}
	sleep(1);
	printf("{\"port\": %d, \"sent\": %ld, \"received\": %ld}\n", ntohs(address.sin_port), sources * each, received);
	return 0;
}
