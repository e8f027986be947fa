/* SPDX-License-Identifier: MIT */
/* shutdown again, of what was never connected, and of what does not exist. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	int a, b, fresh = socket(AF_INET, SOCK_STREAM, 0), lfd = conf_listen(&sa);
	char buf[4];

	conf_pair(&a, &b);
	conf_res("bad how", shutdown(a, 3));
	conf_res("bad how", shutdown(a, -1));
	conf_res("fresh", shutdown(fresh, SHUT_WR));
	conf_res("WR", shutdown(a, SHUT_WR));
	conf_res("WR", shutdown(a, SHUT_WR));
	conf_res("recv", recv(b, buf, 1, 0));
	conf_put(b, "abc", 3);
	conf_res("recv", recv(a, buf, 3, MSG_WAITALL));
	conf_res("WR", shutdown(b, SHUT_WR));
	conf_res("recv", recv(a, buf, 3, 0));
	conf_ms(20);
	conf_res("WR", shutdown(a, SHUT_WR));
	conf_res("RDWR", shutdown(b, SHUT_RDWR));
	conf_res("listener", shutdown(lfd, SHUT_RD));
	return 0;
}
