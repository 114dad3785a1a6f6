/*
 * heads KIND CONNECTIONS BYTES PORT...: on so many connections at the same time, so many bytes each, a kilobyte per call:
 *   long     a request whose head has that many bytes; answered
 *   endless  a head without an end; the connection is closed
 *   half     the same, and all of them are held for three seconds
 *   inline   a Redis PING, then a line without an end
 */
#include "load.h"

enum { PIECE = 1000 };

int main(int argc, char **argv)
{
	int ports[MAX_PORTS], port_count, *connections;
	long count, pieces;
	char piece[PIECE + 1], answer[512], kind;

	if (argc < 5)
		return 2;
	prepare();
	kind = argv[1][0];
	count = atol(argv[2]);
	pieces = atol(argv[3]) / PIECE;
	port_count = ports_of(argv + 4, argc - 4, ports);
	connections = calloc(count, sizeof(*connections));
	for (long at = 0; at < count; at++) {
		connections[at] = connect_to(ports[at % port_count]);
		if (kind == 'i')
			ask(connections[at], "PING\r\n");
		else
			write_all(connections[at], KEEP, strlen(KEEP) - 2);
	}
	memset(piece, 'a', PIECE);
	if (kind != 'i') {
		memcpy(piece, "X-a: ", 5);
		memcpy(piece + PIECE - 2, "\r\n", 2);
	}
	for (long part = 0; part < pieces; part++) {
		for (long at = 0; at < count; at++)
			write_all(connections[at], piece, PIECE);
	}
	if (kind == 'h')
		sleep(3);
	for (long at = 0; at < count; at++) {
		if (kind == 'l') {
			write_all(connections[at], "\r\n", 2);
			if (read(connections[at], answer, sizeof(answer)) <= 0)
				fail("read");
		}
		close(connections[at]);
	}
	printf("{\"requests\": %ld}\n", count);
	return 0;
}
