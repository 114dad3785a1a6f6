/* forks SECONDS RATE PORT: so many times per second, a process that executes this program to ask once. */
#include "load.h"

int main(int argc, char **argv)
{
	double seconds, rate, start = now();
	long forks = 0, failed = 0;
	int status;

	if (argc == 2) {
		ask(connect_to(atoi(argv[1])), CLOSE);
		return 0;
	}
	if (argc != 4)
		return 2;
	prepare();
	seconds = atof(argv[1]);
	rate = atof(argv[2]);
	for (; now() - start < seconds; forks++) {
		if (child() == 0) {
			execl("/proc/self/exe", argv[0], argv[3], (char *)0);
			_exit(1);
		}
		while (waitpid(-1, &status, WNOHANG) > 0)
			failed += status != 0;
		wait_until(start + (forks + 1) / rate);
	}
	failed += children_failed();
	printf("{\"requests\": %ld, \"failed\": %ld, \"seconds\": %.2f}\n", forks, failed, now() - start);
	return 0;
}
