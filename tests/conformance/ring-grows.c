/* SPDX-License-Identifier: MIT */
/*
 * Small talk, and then much at once: the ring it began with is too small, and is
 * made anew in the middle of the stream. Whether it was is asked where nobody else
 * moves the connection; that every byte is there, everywhere.
 */
#include "conf.h"

#define TOTAL (16u << 20)

static int (*get_info)(int, struct xvmc_fd_info *);

static struct xvmc_fd_info info_of(int fd)
{
	struct xvmc_fd_info info = { .size = sizeof(info) };

	if (get_info)
		get_info(fd, &info); /* alone, nothing is followed */
	return info;
}

static void *sender(void *arg)
{
	static uint8_t buf[100000];
	int fd = *(int *)arg;

	for (uint64_t pos = 0; pos < TOTAL;) {
		size_t n = pos % sizeof(buf) + 1;

		if (n > TOTAL - pos)
			n = TOTAL - pos;
		conf_fill(buf, n, pos);
		conf_put(fd, buf, n);
		pos += n;
	}
	return NULL;
}

static void send_all(int from, int to)
{
	static uint8_t buf[30000];
	pthread_t t;
	bool same = true;
	uint64_t pos = 0;

	pthread_create(&t, NULL, sender, &from);
	while (pos < TOTAL) {
		ssize_t r = recv(to, buf, sizeof(buf), 0);

		if (r <= 0)
			conf_die("recv");
		same = same && conf_same(buf, (size_t)r, pos);
		pos += (uint64_t)r;
	}
	pthread_join(t, NULL);
	conf_say("%llu bytes, %s", (unsigned long long)pos, same ? "right" : "wrong");
}

/* Small talk goes on until the larger one is in use. */
static bool becomes_larger(int a, int b, const struct xvmc_fd_info *before)
{
	char c = 'x';

	for (int ms = 0; ms < CONF_WARM_MS; ms++) {
		struct xvmc_fd_info now = info_of(a);

		if (conf_on_ring(a) && now.tx_ring_size > before->tx_ring_size)
			return true;
		conf_put(a, &c, 1);
		conf_get(b, &c, 1);
		conf_ms(1);
	}
	return false;
}

/* A ring only grows if its bounds are named, and they are read when a program
 * begins. */
static void begin_anew(char **argv)
{
	if (getenv("XVMC_RING_ORDER_LEAST"))
		return;
	setenv("XVMC_RING_ORDER_LEAST", "2", 1);
	execv("/proc/self/exe", argv);
	conf_die("exec");
}

int main(int argc, char **argv)
{
	const char *ring = getenv("CONF_RING");
	bool rings = ring && *ring == '1';
	struct xvmc_fd_info before, after;
	int a, b;

	(void)argc;
	begin_anew(argv);
	*(void **)&get_info = dlsym(RTLD_DEFAULT, "xvmc_fd_info");
	conf_pair(&a, &b);
	before = info_of(a);
	send_all(a, b);
	conf_say("larger: %s", !rings || becomes_larger(a, b, &before) ? "yes" : "no");
	before = info_of(a);
	send_all(a, b);
	after = info_of(a);
	conf_say("by ring: %s", !rings || after.tx.ring_bytes > before.tx.ring_bytes ? "yes" : "no");
	conf_say("the other one as it was: %s",
		 !rings || after.rx_ring_size < after.tx_ring_size ? "yes" : "no");
	conf_res("close", close(a));
	conf_res("close", close(b));
	return 0;
}
