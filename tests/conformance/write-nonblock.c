/* SPDX-License-Identifier: MIT */
/* Writing until nothing more fits, and going on once the peer has read. */
#include "conf.h"

int main(void)
{
	static uint8_t buf[65536];
	uint64_t pos = 0;
	size_t sum;
	ssize_t r;
	int a, b;

	conf_pair(&a, &b);
	sum = conf_stuff(a, 0);
	conf_say("filled: %s", sum > 0 ? "yes" : "no");
	while (pos < sum) {
		r = recv(b, buf, sizeof(buf), 0);
		if (r <= 0 || !conf_same(buf, (size_t)r, pos)) {
			conf_say("wrong at %s", r <= 0 ? "end" : "content");
			return 0;
		}
		pos += (uint64_t)r;
	}
	conf_say("all of it: %s", pos == sum ? "yes" : "no");
	conf_poll(a, POLLOUT, 2000);
	conf_res("send", send(a, "x", 1, MSG_DONTWAIT));
	conf_res("recv", recv(b, buf, sizeof(buf), 0));
	return 0;
}
