/* SPDX-License-Identifier: MIT */
/* The flags of preadv2 and pwritev2: what is written with one comes in its
 * place, whatever it is read with. */
#include "conf.h"

int main(void)
{
	static const int flags[] = { 0, RWF_NOWAIT, RWF_SYNC, RWF_DSYNC, RWF_HIPRI, RWF_APPEND };
	char buf[16] = "";
	struct iovec vec[2] = { { buf, 2 }, { buf + 2, 6 } };
	int a, b;

	conf_pair(&a, &b);
	conf_res("NOWAIT", preadv2(b, vec, 2, -1, RWF_NOWAIT));
	for (int i = 0; i < 6; i++) {
		snprintf(buf, sizeof(buf), "abcdef%02d", i);
		conf_res("pwritev2", pwritev2(a, vec, 2, -1, flags[i]));
	}
	for (int i = 5; i >= 0; i--) {
		memset(buf, 0, sizeof(buf));
		conf_poll(b, POLLIN, 2000);
		conf_res("preadv2", preadv2(b, vec, 2, -1, flags[i]));
		conf_say("%s", buf);
	}
	conf_res("preadv", preadv(b, vec, 2, 0));
	conf_res("pwritev", pwritev(a, vec, 2, 0));
	conf_res("unknown", preadv2(b, vec, 2, -1, 1 << 20));
	conf_res("unknown", pwritev2(a, vec, 2, -1, 1 << 20));
	conf_trip(a, b);
	return 0;
}
