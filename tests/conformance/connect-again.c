/* SPDX-License-Identifier: MIT */
/* connect on a connection, and on one that has ended. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), a, b;
	char c;

	(void)lfd;
	conf_pair(&a, &b);
	conf_res("connected", connect(a, (void *)&sa, sizeof(sa)));
	conf_res("accepted", connect(b, (void *)&sa, sizeof(sa)));
	conf_trip(a, b);
	close(b);
	conf_res("recv", recv(a, &c, 1, 0));
	conf_res("half closed", connect(a, (void *)&sa, sizeof(sa)));
	return 0;
}
