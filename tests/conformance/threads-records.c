/* SPDX-License-Identifier: MIT */
/* Two threads write records to one connection: no record is torn. */
#include "conf.h"

#define RECORDS 400
#define SIZE 100

static int a, b;

static void *writer(void *arg)
{
	char buf[SIZE];

	memset(buf, *(char *)arg, sizeof(buf));
	for (int i = 0; i < RECORDS; i++)
		if (send(a, buf, sizeof(buf), 0) != SIZE)
			conf_die("send");
	return NULL;
}

int main(void)
{
	pthread_t t[2];
	char buf[SIZE];
	int torn = 0;

	conf_pair(&a, &b);
	pthread_create(&t[0], NULL, writer, (char *)"x");
	pthread_create(&t[1], NULL, writer, (char *)"y");
	for (int i = 0; i < 2 * RECORDS; i++) {
		conf_get(b, buf, SIZE);
		for (int k = 1; k < SIZE; k++)
			if (buf[k] != buf[0]) {
				torn++;
				break;
			}
	}
	conf_say("torn: %d", torn);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return 0;
}
