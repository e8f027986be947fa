/* SPDX-License-Identifier: MIT */
/* A cancellation that is pending acts in the next call, and takes no bytes. */
#include "conf.h"

static int a, b;
static _Atomic int state;
static char kept[8];

static void *worker(void *arg)
{
	char buf[8];

	(void)arg;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	state = 1;
	while (state != 2)
		conf_ms(1);
	conf_res("recv, cancel disabled", recv(b, kept, 2, 0));
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	recv(b, buf, 2, 0);
	conf_say("not cancelled");
	return NULL;
}

int main(void)
{
	char buf[8] = "";
	pthread_t t;
	void *ret;

	conf_pair(&a, &b);
	conf_put(a, "abcd", 4);
	conf_poll(b, POLLIN, 2000);
	pthread_create(&t, NULL, worker, NULL);
	while (state != 1)
		conf_ms(1);
	pthread_cancel(t);
	state = 2;
	pthread_join(t, &ret);
	conf_say("%s", ret == PTHREAD_CANCELED ? "cancelled" : "returned");
	conf_res("recv", recv(b, buf, 8, 0));
	conf_say("%s then %s", kept, buf);
	conf_trip(a, b);
	return 0;
}
