/* SPDX-License-Identifier: MIT */
/* SO_RCVLOWAT: recv and poll wait for so many bytes. */
#include "conf.h"

int main(void)
{
	struct conf_later l;
	char buf[64] = "";
	int a, b, low = 10, got = -1, ep = epoll_create1(0);
	socklen_t len = sizeof(got);

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_res("set", setsockopt(b, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	conf_res("get", getsockopt(b, SOL_SOCKET, SO_RCVLOWAT, &got, &len));
	conf_say("%d", got);
	conf_put(a, "12345", 5);
	conf_poll(b, POLLIN, 50);
	conf_epoll(ep, 50);
	conf_res("DONTWAIT", recv(b, buf, 64, MSG_DONTWAIT | MSG_PEEK));
	conf_later(&l, 0, a, "6789012345");
	conf_res("recv", recv(b, buf, 64, 0));
	pthread_join(l.thread, NULL);
	conf_say("%s", buf);
	conf_put(a, "1234567890", 10);
	conf_poll(b, POLLIN, 2000);
	conf_epoll(ep, 2000);
	conf_res("recv", recv(b, buf, 4, 0));
	low = 1;
	setsockopt(b, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
	conf_poll(b, POLLIN, 2000);
	conf_res("recv", recv(b, buf, 64, 0));
	return 0;
}
