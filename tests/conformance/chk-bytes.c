/* SPDX-License-Identifier: MIT */
/* What a program compiled with _FORTIFY_SOURCE calls instead of read, recv,
 * recvfrom, poll and ppoll. */
#include "conf.h"

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
		       struct sockaddr *sa, socklen_t *len);
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		const sigset_t *mask, size_t room);

int main(void)
{
	struct timespec ts = { 2, 0 };
	struct sockaddr_in sa;
	struct pollfd p = { .events = POLLIN };
	socklen_t len = sizeof(sa);
	char buf[16] = "";
	int a, b;

	conf_pair(&a, &b);
	p.fd = b;
	conf_res("__poll_chk", __poll_chk(&p, 1, 0, sizeof(p)));
	conf_put(a, "abcdefghi", 9);
	conf_res("__poll_chk", __poll_chk(&p, 1, 2000, sizeof(p)));
	conf_say("%s", conf_bits((unsigned short)p.revents));
	p.revents = 0;
	conf_res("__ppoll_chk", __ppoll_chk(&p, 1, &ts, NULL, sizeof(p)));
	conf_say("%s", conf_bits((unsigned short)p.revents));
	conf_res("__read_chk", __read_chk(b, buf, 3, sizeof(buf)));
	conf_res("__recv_chk", __recv_chk(b, buf, 3, sizeof(buf), MSG_PEEK));
	conf_res("__recv_chk", __recv_chk(b, buf, 3, sizeof(buf), 0));
	conf_say("%s", buf);
	conf_res("__recvfrom_chk",
		 __recvfrom_chk(b, buf, 16, sizeof(buf), 0, (void *)&sa, &len));
	conf_say("%s length %u", buf, (unsigned int)len);
	conf_res("__recv_chk", __recv_chk(b, buf, 3, 3, MSG_DONTWAIT));
	conf_res("__read_chk", __read_chk(900, buf, 3, 3));
	return 0;
}
