/*
 * Threads that fight for one spinlock of the kernel: each calls dup and close again and again on the table of open files that they share, whose
 * lock (files_struct.file_lock) both calls take. Prints how many pairs of calls a second all threads made together.
 *
 *   cc -O2 -static -pthread -o dup-close dup-close.c && ./dup-close THREADS SECONDS
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { threads_max = 1024 };

static atomic_int is_over;

/* A counter has a cache line for itself: the threads are to meet in the kernel only. */
struct counter {
	_Alignas(64) unsigned long pairs;
};
static struct counter counters[threads_max];

static void *work(void *own)
{
	struct counter *counter = own;

	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		int file = dup(0);

		if (file < 0 || close(file) != 0)
			exit(1);
		counter->pairs++;
	}
	return NULL;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static pthread_t threads[threads_max];
	int count = argc == 3 ? atoi(argv[1]) : 0;
	int seconds = argc == 3 ? atoi(argv[2]) : 0;
	unsigned long pairs = 0;
	double began, took;

	if (count < 1 || count > threads_max || seconds < 1) {
		fprintf(stderr, "usage: %s THREADS SECONDS\n", argv[0]);
		return 2;
	}
	began = now();
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, &counters[i]) != 0)
			return 1;
	sleep((unsigned int)seconds);
	atomic_store(&is_over, 1);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	/* A thread may have had to wait for its last lock: what it did until then counts, and so does the time. */
	took = now() - began;
	for (int i = 0; i < count; i++)
		pairs += counters[i].pairs;
	printf("%.1f pairs/s in %.2f s\n", (double)pairs / took, took);
	return 0;
}
