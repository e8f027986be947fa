/* SPDX-License-Identifier: MIT */
/* Several threads write and read one connection; no byte is lost. */
#include "conf.h"

#define THREADS 4
#define PIECES 2000

static int a, b;
static _Atomic uint64_t counts[256];
static _Atomic uint64_t left = (uint64_t)THREADS * PIECES * 100;

static void *writer(void *arg)
{
	char buf[100];

	memset(buf, *(int *)arg, sizeof(buf));
	for (int i = 0; i < PIECES; i++)
		conf_put(a, buf, sizeof(buf));
	return NULL;
}

static void *reader(void *arg)
{
	uint8_t buf[777];
	ssize_t r;

	(void)arg;
	while (left) {
		struct pollfd p = { .fd = b, .events = POLLIN };

		if (poll(&p, 1, 100) != 1)
			continue;
		r = recv(b, buf, sizeof(buf), MSG_DONTWAIT);
		for (ssize_t i = 0; i < r; i++)
			counts[buf[i]]++;
		if (r > 0)
			left -= (uint64_t)r;
	}
	return NULL;
}

int main(void)
{
	pthread_t w[THREADS], r[THREADS];
	int id[THREADS];

	conf_pair(&a, &b);
	for (int i = 0; i < THREADS; i++) {
		id[i] = 'a' + i;
		pthread_create(&w[i], NULL, writer, &id[i]);
		pthread_create(&r[i], NULL, reader, NULL);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i], NULL);
		pthread_join(r[i], NULL);
	}
	for (int i = 0; i < THREADS; i++)
		conf_say("%c: %llu", 'a' + i, (unsigned long long)counts['a' + i]);
	return 0;
}
