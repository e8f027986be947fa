/* SPDX-License-Identifier: MIT */
/* MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, MSG_TRUNC. */
#include "conf.h"

static void *later(void *arg)
{
	conf_ms(50);
	conf_put(*(int *)arg, "world", 5);
	return NULL;
}

int main(void)
{
	char buf[16] = "";
	pthread_t t;
	int a, b;

	conf_pair(&a, &b);
	conf_res("DONTWAIT", recv(b, buf, 4, MSG_DONTWAIT));
	conf_put(a, "hello", 5);
	conf_res("PEEK", recv(b, buf, 3, MSG_PEEK));
	conf_say("%.3s", buf);
	conf_res("PEEK", recv(b, buf, 16, MSG_PEEK));
	conf_res("recv", recv(b, buf, 2, 0));
	conf_res("PEEK|DONTWAIT", recv(b, buf, 16, MSG_PEEK | MSG_DONTWAIT));
	conf_say("%.3s", buf);
	conf_res("WAITALL|DONTWAIT", recv(b, buf, 8, MSG_WAITALL | MSG_DONTWAIT));
	conf_put(a, "hello ", 6);
	pthread_create(&t, NULL, later, &a);
	conf_res("WAITALL", recv(b, buf, 11, MSG_WAITALL));
	conf_say("%.11s", buf);
	pthread_join(t, NULL);
	conf_put(a, "discarded", 9);
	conf_poll(b, POLLIN, 1000);
	conf_res("TRUNC", recv(b, NULL, 4, MSG_TRUNC));
	conf_res("recv", recv(b, buf, 16, 0));
	conf_say("%.5s", buf);
	conf_put(a, "end", 3);
	shutdown(a, SHUT_WR);
	conf_res("WAITALL", recv(b, buf, 16, MSG_WAITALL));
	conf_res("PEEK", recv(b, buf, 16, MSG_PEEK));
	return 0;
}
