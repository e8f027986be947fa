/* SPDX-License-Identifier: MIT */
/* A cancellation that is pending acts in every call that is a cancellation
 * point and could go through at once, and the call has done nothing. */
#include "conf.h"

static int a, b, ep;
static _Atomic int state;
static char byte;
static struct iovec vec = { &byte, 1 };
static struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
static struct mmsghdr mm = { .msg_hdr = { .msg_iov = &vec, .msg_iovlen = 1 } };
static struct pollfd p = { .events = POLLIN };
static struct epoll_event ev;

static void do_select(void)
{
	fd_set rd;

	FD_ZERO(&rd);
	FD_SET(b, &rd);
	select(b + 1, &rd, NULL, NULL, NULL);
	pselect(b + 1, &rd, NULL, NULL, NULL, NULL);
}

static void call(int i)
{
	switch (i) {
	case 0: read(b, &byte, 1); break;
	case 1: readv(b, &vec, 1); break;
	case 2: recv(b, &byte, 1, 0); break;
	case 3: recvfrom(b, &byte, 1, 0, NULL, NULL); break;
	case 4: recvmsg(b, &msg, 0); break;
	case 5: recvmmsg(b, &mm, 1, 0, NULL); break;
	case 6: write(b, "x", 1); break;
	case 7: writev(b, &vec, 1); break;
	case 8: send(b, "x", 1, 0); break;
	case 9: sendto(b, "x", 1, 0, NULL, 0); break;
	case 10: sendmsg(b, &msg, 0); break;
	case 11: sendmmsg(b, &mm, 1, 0); break;
	case 12: poll(&p, 1, -1); break;
	case 13: ppoll(&p, 1, NULL, NULL); break;
	case 14: do_select(); break;
	case 15: epoll_wait(ep, &ev, 1, -1); break;
	case 16: epoll_pwait(ep, &ev, 1, -1, NULL); break;
	case 17: preadv2(b, &vec, 1, -1, 0); break;
	case 18: pwritev2(b, &vec, 1, -1, 0); break;
	case 19: close(b); break;
	}
}

static void *worker(void *arg)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	state = 1;
	while (state != 2)
		conf_ms(1);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	call((int)(intptr_t)arg);
	return NULL;
}

int main(void)
{
	char buf[8] = "";

	ep = epoll_create1(0);
	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	p.fd = b;
	conf_put(a, "abcd", 4);
	conf_poll(b, POLLIN, 2000);
	for (int i = 0; i < 20; i++) {
		pthread_t t;
		void *ret;

		state = 0;
		pthread_create(&t, NULL, worker, (void *)(intptr_t)i);
		while (state != 1)
			conf_ms(1);
		pthread_cancel(t);
		state = 2;
		pthread_join(t, &ret);
		conf_say("%d: %s", i, ret == PTHREAD_CANCELED ? "cancelled" : "returned");
	}
	conf_res("recv", recv(b, buf, 8, 0));
	conf_say("%s", buf);
	conf_res("nothing sent", recv(a, buf, 8, MSG_DONTWAIT));
	conf_trip(a, b);
	close(b);
	conf_res("eof", recv(a, buf, 8, 0));
	return 0;
}
