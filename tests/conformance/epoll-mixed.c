/* SPDX-License-Identifier: MIT */
/* A connection among a signalfd, a timerfd, an eventfd, a pipe and a UNIX
 * socket in one set. */
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "conf.h"

int main(void)
{
	struct itimerspec soon = { .it_value = { 0, 1000000 } };
	struct signalfd_siginfo si;
	int a, b, ep = epoll_create1(0), efd = eventfd(0, EFD_NONBLOCK);
	int tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), sfd, p[2], sv[2];
	uint64_t n = 1;
	sigset_t set;
	char buf[8];

	conf_pair(&a, &b);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sfd = signalfd(-1, &set, SFD_NONBLOCK);
	if (pipe(p) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		conf_die("pipe");
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_watch(ep, EPOLL_CTL_ADD, sfd, EPOLLIN, 2);
	conf_watch(ep, EPOLL_CTL_ADD, tfd, EPOLLIN, 3);
	conf_watch(ep, EPOLL_CTL_ADD, efd, EPOLLIN, 4);
	conf_watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 5);
	conf_watch(ep, EPOLL_CTL_ADD, sv[0], EPOLLIN | EPOLLET, 6);
	conf_silent(ep);
	kill(getpid(), SIGUSR1);
	conf_epoll(ep, 2000);
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	conf_epoll(ep, 2000);
	conf_res("signalfd", read(sfd, &si, sizeof(si)) == sizeof(si) ? (long)si.ssi_signo : -1);
	timerfd_settime(tfd, 0, &soon, NULL);
	conf_poll(tfd, POLLIN, 2000);
	conf_res("eventfd", write(efd, &n, 8));
	conf_res("pipe", write(p[1], "x", 1));
	conf_res("unix", send(sv[1], "x", 1, 0));
	conf_epoll(ep, 2000);
	conf_res("recv", recv(b, buf, 8, 0));
	conf_res("timerfd", read(tfd, &n, 8));
	conf_res("eventfd", read(efd, &n, 8));
	conf_res("pipe", read(p[0], buf, 8));
	conf_silent(ep);
	conf_put(a, "y", 1);
	conf_epoll(ep, 2000);
	return 0;
}
