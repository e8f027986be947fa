/* SPDX-License-Identifier: MIT */
/* Clients that connect and write before anybody accepts them. */
#include "conf.h"

#define CLIENTS 5

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), c[CLIENTS], s, a, b;
	char buf[8] = "";

	conf_pair(&a, &b);
	for (int i = 0; i < CLIENTS; i++) {
		c[i] = conf_connect(&sa);
		snprintf(buf, sizeof(buf), "no %d", i);
		conf_put(c[i], buf, 5);
	}
	for (int i = 0; i < CLIENTS; i++) {
		s = accept(lfd, NULL, NULL);
		conf_res("recv", recv(s, buf, 5, MSG_WAITALL));
		conf_say("%s", buf);
		conf_put(s, "yes", 4);
		conf_get(c[i], buf, 4);
		conf_say("%s", buf);
		close(s);
		conf_res("recv", recv(c[i], buf, 4, 0));
		close(c[i]);
	}
	conf_trip(a, b);
	return 0;
}
