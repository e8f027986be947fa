/* SPDX-License-Identifier: MIT */
/*
 * The watcher of --trap: a process in a session of its own, so that what ends
 * or stops the program does not end or stop it. Whatever it finds, each call
 * goes on.
 *
 * Two threads. One takes the calls and lets go at once what the library made;
 * the others it hands on. The second may ask xvmcd about a connection, and
 * xvmcd asks the library, whose own calls must go on meanwhile.
 */
#include "trap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define END_TIMEOUT_MS 10000

struct watcher {
	int listener, ctl;
	FILE *out;
	struct trap_look *look;
	struct trap_lib *lib;
	int hand_on[2];       /* a pipe of seccomp_notif */
	pthread_mutex_t lock; /* of what is reported */
};

static void let_go(const struct watcher *w, uint64_t id)
{
	struct seccomp_notif_resp resp = {
		.id = id,
		.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};

	/* ENOENT: the process has ended meanwhile. */
	ioctl(w->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static void look_into(struct watcher *w, const struct seccomp_notif *req)
{
	const struct trap_call *call = trap_call(req->data.nr);
	struct trap_where where;
	int rc = call && trap_call_matters(&req->data) ?
			 trap_look_at(w->look, req, call, &where) :
			 0;

	/* Who ended while we looked may have lent its number to another. */
	if (rc != 0 && ioctl(w->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &req->id) == 0) {
		pthread_mutex_lock(&w->lock);
		if (rc > 0)
			trap_report(w->out, call, &where);
		else
			trap_report_blind();
		pthread_mutex_unlock(&w->lock);
	}
	let_go(w, req->id);
}

static void *look_main(void *arg)
{
	struct watcher *w = arg;
	struct seccomp_notif req;
	ssize_t n;

	/* Less than a pipe writes in one piece. */
	_Static_assert(sizeof(req) < 512, "PIPE_BUF");
	while ((n = read(w->hand_on[0], &req, sizeof(req))) == (ssize_t)sizeof(req) ||
	       (n < 0 && errno == EINTR))
		if (n > 0)
			look_into(w, &req);
	return NULL;
}

static void take(struct watcher *w)
{
	struct seccomp_notif req;

	memset(&req, 0, sizeof(req));
	if (ioctl(w->listener, SECCOMP_IOCTL_NOTIF_RECV, &req) != 0)
		return;
	if (trap_lib_made(w->lib, &req) ||
	    write(w->hand_on[1], &req, sizeof(req)) != (ssize_t)sizeof(req))
		let_go(w, req.id);
}

static void counts(struct watcher *w)
{
	pthread_mutex_lock(&w->lock);
	trap_report_counts(w->out);
	pthread_mutex_unlock(&w->lock);
}

/* The program has ended, or xvmc-run has. */
static void on_end(struct watcher *w)
{
	char c;

	while (read(w->ctl, &c, 1) < 0 && errno == EINTR)
		;
	counts(w);
	close(w->ctl); /* it waits for that */
	w->ctl = -1;
}

_Noreturn static void watch(struct watcher *w)
{
	bool processes = true;
	pthread_t thread;

	if (pthread_create(&thread, NULL, look_main, w) != 0)
		_exit(1); /* trap_watch() sees the end of ctl */
	if (write(w->ctl, "", 1) != 1)
		_exit(1);
	while (processes || w->ctl >= 0) {
		struct pollfd pfd[2] = {
			{ processes ? w->listener : -1, POLLIN, 0 },
			{ w->ctl, POLLIN, 0 },
		};

		if (poll(pfd, 2, -1) < 0)
			continue;
		if (pfd[0].revents & POLLIN)
			take(w);
		else if (pfd[0].revents)
			processes = false; /* no process is under the filter */
		if (pfd[1].revents)
			on_end(w);
	}
	counts(w);
	_exit(0);
}

/* Nothing of the user's may stay with a process that may live longer. */
static void become_watcher(int listener, int ctl, int out_fd, const char *dir)
{
	struct watcher w = { .lock = PTHREAD_MUTEX_INITIALIZER };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	dup2(null, 0);
	dup2(null, 1);
	w.listener = listener;
	w.ctl = ctl;
	w.out = fdopen(out_fd, "w");
	w.look = trap_look_new(dir);
	w.lib = trap_lib_new();
	if (w.out && w.look && w.lib && pipe2(w.hand_on, O_CLOEXEC) == 0)
		watch(&w);
	_exit(1);
}

int trap_watch(int listener, int out_fd, const char *dir, struct trap *ret_trap)
{
	int ctl[2];
	pid_t pid;
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl) != 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(ctl[0]);
		become_watcher(listener, ctl[1], out_fd, dir);
	}
	close(ctl[1]);
	if (pid < 0 || read(ctl[0], &c, 1) != 1) {
		close(ctl[0]);
		return -EAGAIN;
	}
	close(listener);
	ret_trap->ctl = ctl[0];
	return 0;
}

void trap_end(struct trap *trap)
{
	struct pollfd pfd = { trap->ctl, POLLIN, 0 };

	if (write(trap->ctl, "", 1) == 1)
		poll(&pfd, 1, END_TIMEOUT_MS);
	close(trap->ctl);
}
