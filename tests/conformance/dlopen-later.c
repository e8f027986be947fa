/* SPDX-License-Identifier: MIT */
/* Calls found by dlsym, and a library loaded after the connection was made. */
#include "conf.h"

int main(void)
{
	ssize_t (*do_send)(int, const void *, size_t, int);
	ssize_t (*do_read)(int, void *, size_t);
	void *lib;
	char buf[16] = "";
	int a, b;

	conf_pair(&a, &b);
	lib = dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
	conf_say("dlopen: %s", lib ? "yes" : "no");
	*(void **)&do_send = dlsym(RTLD_DEFAULT, "send");
	conf_res("send", do_send(a, "abc", 3, 0));
	conf_put(a, "def", 3);
	conf_poll(b, POLLIN, 2000);
	*(void **)&do_read = dlsym(RTLD_NEXT, "read");
	conf_res("read", do_read(b, buf, 3));
	conf_res("recv", recv(b, buf + 3, 3, MSG_WAITALL));
	conf_say("%s", buf);
	if (lib)
		dlclose(lib);
	conf_trip(a, b);
	return 0;
}
