/* SPDX-License-Identifier: MIT */
/* What accept and accept4 give: flags, addresses. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa, peer, self;
	socklen_t len = sizeof(peer), small = 4;
	int lfd = conf_listen(&sa), c, s;
	char buf[4];

	conf_pair(&c, &s); /* the library is awake */
	close(c);
	close(s);
	c = conf_connect(&sa);
	s = accept4(lfd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	conf_say("nonblock %d cloexec %d len %u", !!(fcntl(s, F_GETFL) & O_NONBLOCK),
		 !!(fcntl(s, F_GETFD) & FD_CLOEXEC), (unsigned int)len);
	conf_res("recv", recv(s, buf, 4, 0));
	len = sizeof(self);
	getsockname(c, (struct sockaddr *)&self, &len);
	conf_say("address: %s", self.sin_port == peer.sin_port &&
						self.sin_addr.s_addr ==
							peer.sin_addr.s_addr ?
					"the client's" : "wrong");
	close(c);
	close(s);
	c = conf_connect(&sa);
	memset(&peer, 0, sizeof(peer));
	s = accept(lfd, (struct sockaddr *)&peer, &small);
	conf_say("nonblock %d cloexec %d len %u addr %x",
		 !!(fcntl(s, F_GETFL) & O_NONBLOCK),
		 !!(fcntl(s, F_GETFD) & FD_CLOEXEC), (unsigned int)small,
		 peer.sin_addr.s_addr);
	conf_res("accept4", accept4(lfd, NULL, NULL, 1 << 30));
	conf_nonblock(lfd, true);
	conf_res("accept", accept(lfd, NULL, NULL));
	return 0;
}
