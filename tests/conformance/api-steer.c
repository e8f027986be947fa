/* SPDX-License-Identifier: MIT */
/*
 * xvmc_promote and xvmc_demote (xvmc/xvmc.h). Plain TCP has neither: there,
 * and where others steer at the same time, it is true by definition.
 */
#include "conf.h"

static int (*look_up(const char *name))(int)
{
	int (*call)(int);

	*(void **)&call = dlsym(RTLD_DEFAULT, name);
	return call;
}

static bool becomes(int fd, bool ring)
{
	for (int ms = 0; ms < CONF_WARM_MS; ms++) {
		if (conf_on_ring(fd) == ring)
			return true;
		conf_ms(1);
	}
	return false;
}

int main(void)
{
	int (*promote)(int) = look_up("xvmc_promote");
	int (*demote)(int) = look_up("xvmc_demote");
	bool rings = getenv("CONF_RING") && promote && demote;
	char c;
	int a, b;

	conf_pair(&a, &b);
	for (int i = 0; i < 2; i++) {
		conf_say("demote: %s", !rings || demote(a) == 0 ? "yes" : "no");
		conf_say("is on TCP: %s", !rings || becomes(a, false) ? "yes" : "no");
		/* The other end may not take it back. */
		conf_ms(rings ? 200 : 0);
		conf_say("stays there: %s", !rings || !conf_on_ring(a) ? "yes" : "no");
		conf_put(a, "x", 1);
		conf_res("recv", recv(b, &c, 1, 0));
		conf_say("promote: %s", !rings || promote(a) == 0 ? "yes" : "no");
		conf_say("is on a ring: %s", !rings || becomes(a, true) ? "yes" : "no");
		conf_put(b, "y", 1);
		conf_res("recv", recv(a, &c, 1, 0));
	}
	conf_res("close", close(a));
	conf_res("recv", recv(b, &c, 1, 0));
	conf_res("close", close(b));
	if (rings) {
		errno = 0;
		if (promote(a) != -1 || errno != EBADF)
			conf_say("promote of a closed one: %s", strerror(errno));
		if (demote(1) != -1 || errno != ENOTCONN)
			conf_say("demote of no connection: %s", strerror(errno));
	}
	return 0;
}
