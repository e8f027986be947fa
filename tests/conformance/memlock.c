/* SPDX-License-Identifier: MIT */
/* All memory is locked from now on, and hardly any more may be: connections made
 * after that get no rings, and work. */
#include "conf.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define LOCKED (200u << 10) /* less than a ring has */
#define BYTES (3u << 20)

static uint8_t buf[65536];

/* Who may lock as much as he likes must not. */
static void drop_ipc_lock(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data) != 0)
		conf_die("capget");
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &head, data) != 0)
		conf_die("capset");
}

static void stream(int a, int b)
{
	bool same = true;

	for (uint64_t pos = 0; pos < BYTES; pos += sizeof(buf)) {
		conf_fill(buf, sizeof(buf), pos);
		conf_put(a, buf, sizeof(buf));
		memset(buf, 0, sizeof(buf));
		conf_get(b, buf, sizeof(buf));
		same = same && conf_same(buf, sizeof(buf), pos);
	}
	conf_say("%u bytes, %s", BYTES, same ? "right" : "wrong");
}

int main(void)
{
	struct rlimit lim;
	int a, b, c, d;

	drop_ipc_lock(); /* this thread, and those it makes */
	conf_pair(&a, &b);
	stream(a, b);
	getrlimit(RLIMIT_MEMLOCK, &lim);
	lim.rlim_cur = lim.rlim_cur < LOCKED ? lim.rlim_cur : LOCKED;
	conf_res("setrlimit", setrlimit(RLIMIT_MEMLOCK, &lim));
	conf_res("mlockall", mlockall(MCL_FUTURE));
	unsetenv("CONF_RING");
	conf_pair(&c, &d);
	for (int i = 0; i < 3; i++) {
		stream(c, d);
		stream(d, c);
	}
	stream(a, b);
	return 0;
}
