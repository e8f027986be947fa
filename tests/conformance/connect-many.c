/* SPDX-License-Identifier: MIT */
/* Connections that come and go, one after the other and at once. */
#include "conf.h"

#define ROUNDS 60
#define AT_ONCE 30

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), a, b, c[AT_ONCE], s[AT_ONCE], good = 0;
	char buf[64] = "";

	conf_pair(&a, &b);
	for (int i = 0; i < ROUNDS; i++) {
		c[0] = conf_connect(&sa);
		s[0] = accept(lfd, NULL, NULL);
		for (int n = 0; n < i; n++) {
			conf_put(c[0], buf, 64);
			conf_get(s[0], buf, 64);
		}
		close(i % 2 ? c[0] : s[0]);
		if (recv(i % 2 ? s[0] : c[0], buf, 1, 0) == 0)
			good++;
		close(i % 2 ? s[0] : c[0]);
	}
	conf_say("good ends: %d", good);
	for (int i = 0; i < AT_ONCE; i++) {
		c[i] = conf_connect(&sa);
		s[i] = accept(lfd, NULL, NULL);
	}
	for (int n = 0; n < 40; n++)
		for (int i = 0; i < AT_ONCE; i++) {
			snprintf(buf, sizeof(buf), "%d %d", n, i);
			conf_put(c[i], buf, 64);
		}
	good = 0;
	for (int i = 0; i < AT_ONCE; i++) {
		for (int n = 0; n < 40; n++) {
			char want[64];

			snprintf(want, sizeof(want), "%d %d", n, i);
			conf_get(s[i], buf, 64);
			good += strcmp(buf, want) == 0;
		}
	}
	conf_say("good messages: %d", good);
	conf_trip(a, b);
	return 0;
}
