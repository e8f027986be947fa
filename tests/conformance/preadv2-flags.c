/* SPDX-License-Identifier: MIT */
/* The flags of preadv2 and pwritev2. */
#include "conf.h"

int main(void)
{
	char buf[16] = "";
	struct iovec vec[2] = { { buf, 2 }, { buf + 2, 6 } };
	int a, b;

	conf_pair(&a, &b);
	conf_res("NOWAIT", preadv2(b, vec, 2, -1, RWF_NOWAIT));
	memcpy(buf, "abcdefgh", 9);
	conf_res("pwritev2", pwritev2(a, vec, 2, -1, 0));
	conf_res("NOWAIT", pwritev2(a, vec, 2, -1, RWF_NOWAIT));
	conf_res("SYNC", pwritev2(a, vec, 2, -1, RWF_SYNC));
	conf_res("HIPRI", pwritev2(a, vec, 2, -1, RWF_HIPRI));
	memset(buf, 0, sizeof(buf));
	conf_poll(b, POLLIN, 2000);
	conf_res("preadv2", preadv2(b, vec, 2, -1, 0));
	conf_say("%s", buf);
	conf_poll(b, POLLIN, 2000);
	conf_res("HIPRI", preadv2(b, vec, 2, -1, RWF_HIPRI));
	conf_say("%s", buf);
	conf_res("preadv", preadv(b, vec, 2, 0));
	conf_res("pwritev", pwritev(a, vec, 2, 0));
	return 0;
}
