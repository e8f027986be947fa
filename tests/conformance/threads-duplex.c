/* SPDX-License-Identifier: MIT */
/* Both directions full at once, each end with a reader and a writer. */
#include "conf.h"

#define SIZE 3000000u

static int conn;

static void *writer(void *arg)
{
	static uint8_t buf[10000];

	(void)arg;
	for (uint64_t pos = 0; pos < SIZE; pos += sizeof(buf)) {
		conf_fill(buf, sizeof(buf), pos);
		conf_put(conn, buf, sizeof(buf));
	}
	shutdown(conn, SHUT_WR);
	return NULL;
}

static void both(int fd)
{
	pthread_t t;

	conn = fd;
	pthread_create(&t, NULL, writer, NULL);
	conf_drain(fd);
	pthread_join(t, NULL);
}

int main(void)
{
	return conf_two(both, both);
}
