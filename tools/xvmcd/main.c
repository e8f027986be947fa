/* SPDX-License-Identifier: MIT */
/*
 * xvmcd: one per guest. In local mode it also plays the hypervisor and its
 * hosts. This file: the directory and its lock, the sockets, and an orderly
 * end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/prompt.h"
#include "base/rundir.h"
#include "hv/local-wire.h"
#include "match.h"
#include "xen.h"
#include "xvmc/standard.h"

struct listener {
	struct watch watch; /* first */
	struct xvmcd *d;
	int (*take)(struct xvmcd *d, int sock);
};

struct ends {
	struct watch watch; /* first */
	struct xvmcd *d;
};

/* ---- the directory ---- */

static void make_dir(struct xvmcd *d)
{
	char found[XVMC_RUNDIR_MAX], real[PATH_MAX];
	int rc = 0;

	if (d->opt.dir) {
		if (strlen(d->opt.dir) >= sizeof(found))
			die(1, "%s: the name is too long for a socket in it", d->opt.dir);
		strcpy(found, d->opt.dir);
	} else {
		rc = xvmc_rundir(found);
		if (rc < 0)
			die(1, "no runtime directory: %s", strerror(-rc));
	}
	rc = xvmc_rundir_make(found);
	if (rc < 0)
		die(1, "%s: %s", found, rc == -EPERM ? "another user's, or writable for everyone" : strerror(-rc));
	if (d->opt.open && chmod(found, 0755) < 0)
		die(1, "%s: %s", found, strerror(errno));
	/* It must mean the same after chdir. */
	if (!realpath(found, real) || strlen(real) >= sizeof(d->dir))
		die(1, "%s: the name is too long for a socket in it", found);
	strcpy(d->dir, real);
}

/* One xvmcd per directory. The lock is held until the process is gone. */
static void take_lock(struct xvmcd *d)
{
	char path[128], pid[16] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/xvmcd.lock", d->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		die(1, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

		pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
		die(1, "another xvmcd (pid %s) already serves %s", *pid ? pid : "unknown", d->dir);
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0)
		die(1, "%s: %s", path, strerror(errno));
}

/* ---- sockets ---- */

/* Root and, unless --open, nobody but our own user. */
static bool welcome(const struct xvmcd *d, int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (d->opt.open)
		return true;
	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == 0 || cred.uid == geteuid());
}

static void accept_all(struct watch *watch, uint32_t events)
{
	struct listener *listener = (struct listener *)watch;

	for (int i = 0; i < 64; i++) {
		int sock = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (sock < 0 && (errno == EMFILE || errno == ENFILE)) {
			static bool said;

			/* Level-triggered: do not spin on it. */
			if (!said)
				log_line("out of descriptors");
			said = true;
			usleep(1000);
		}
		if (sock < 0)
			return;
		if (!welcome(listener->d, sock)) {
			close(sock);
			continue;
		}
		listener->take(listener->d, sock);
	}
}

static void listen_on(struct xvmcd *d, struct listener *listener,
		      const char *name, int (*take)(struct xvmcd *, int))
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char path[128];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	/* Ready before it has its name: nobody is turned away. */
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/.new", d->dir);
	unlink(sa.sun_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    chmod(sa.sun_path, d->opt.open ? 0666 : 0600) < 0 ||
	    listen(fd, SOMAXCONN) < 0 || rename(sa.sun_path, path) < 0)
		die(1, "%s: %s", path, strerror(errno));
	listener->watch = (struct watch){ .fd = fd, .ready = accept_all };
	listener->d = d;
	listener->take = take;
	rc = loop_add(d->loop, &listener->watch, EPOLLIN);
	if (rc < 0)
		die(1, "%s: %s", path, strerror(-rc));
}

static void stop_listening(struct xvmcd *d, struct listener *listener,
			   const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	unlink(path);
	loop_del(d->loop, &listener->watch);
	close(listener->watch.fd);
}

/* ---- the loop's surroundings ---- */

static void idle(struct timer *timer)
{
	struct xvmcd *d = xvmc_list_entry(timer, struct xvmcd, idle);

	log_line("idle for %u s", d->opt.idle_exit);
	loop_stop(d->loop);
}

static void after_round(void *ctx)
{
	struct xvmcd *d = ctx;

	conn_bury(d);
	if (d->shutdown)
		loop_stop(d->loop);
	if (d->opt.idle_exit == 0)
		return;
	if (d->nconns > 0)
		loop_disarm(d->loop, &d->idle);
	else if (d->idle.pos == 0)
		loop_arm(d->loop, &d->idle, d->opt.idle_exit * 1000ull * MS);
}

static void got_signal(struct watch *watch, uint32_t events)
{
	struct ends *ends = (struct ends *)watch;
	struct signalfd_siginfo si;

	if (read(watch->fd, &si, sizeof(si)) != sizeof(si))
		return;
	log_line("signal %u from pid %u", si.ssi_signo, si.ssi_pid);
	loop_stop(ends->d->loop);
}

static void catch_signals(struct xvmcd *d, struct ends *ends)
{
	sigset_t set;
	int fd, rc = 0;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die(1, "signalfd: %s", strerror(errno));
	ends->watch = (struct watch){ .fd = fd, .ready = got_signal };
	ends->d = d;
	rc = loop_add(d->loop, &ends->watch, EPOLLIN);
	if (rc < 0)
		die(1, "signalfd: %s", strerror(-rc));
}

/* Every grant in use is a descriptor here. */
static void raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

/* ---- background ---- */

#define CPUS_MAX 8192

/* Started for one program it serves all of them: on whatever CPU is free, while
 * that program may be confined to one, and keep it busy. */
static void run_anywhere(void)
{
	const struct sched_param usual = { 0 };
	unsigned char all[CPUS_MAX / 8];

	memset(all, 0xff, sizeof(all));
	if (sched_setaffinity(0, sizeof(all), (const cpu_set_t *)all) < 0 ||
	    sched_setscheduler(0, SCHED_OTHER, &usual) < 0)
		log_line("scheduling: %s", strerror(errno));
}

/* The parent waits for the child's word; its exit is the daemon's start. */
static int go_background(void)
{
	int pipefd[2];
	pid_t pid;
	char c;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		die(1, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die(1, "fork: %s", strerror(errno));
	if (pid > 0) {
		ssize_t n;

		close(pipefd[1]);
		do
			n = read(pipefd[0], &c, 1);
		while (n < 0 && errno == EINTR);
		_exit(n == 1 ? 0 : 1);
	}
	close(pipefd[0]);
	setsid();
	run_anywhere();
	return pipefd[1];
}

static void say_ready(struct xvmcd *d, int parent)
{
	if (d->opt.ready_fd >= 0) {
		if (write(d->opt.ready_fd, "\n", 1) < 0)
			log_line("--ready-fd: %s", strerror(errno));
		close(d->opt.ready_fd);
	}
	if (parent >= 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		for (int i = 0; i < 3 && null >= 0; i++)
			dup2(null, i);
		if (null > 2)
			close(null);
		if (chdir("/") < 0 || write(parent, "", 1) < 0)
			log_line("start: %s", strerror(errno));
		close(parent);
	}
}

static void open_log(struct xvmcd *d)
{
	const char *path = d->opt.log;
	char own[128];
	int rc;

	if (!path && d->opt.background) {
		snprintf(own, sizeof(own), "%s/xvmcd.log", d->dir);
		path = own;
	}
	rc = log_open(path ? path : "-");
	if (rc < 0)
		die(1, "%s: %s", path, strerror(-rc));
}

/* Living processes go on without us, and need the board. */
static void end_all(struct xvmcd *d, struct listener *agents,
		    struct listener *hvs)
{
	bool keep = d->nconns > 0;

	if (d->shutdown) /* the tool's own connection is none of those */
		keep = !xvmc_list_empty(&d->hvs);
	stop_listening(d, agents, "agent.sock");
	if (d->xen)
		xen_stop(d);
	else
		stop_listening(d, hvs, XVMC_LW_SOCKET);
	board_close(d, keep);
	/* No goodbyes: what is linked goes on. The kernel closes the rest. */
	log_line("ended");
}

int main(int argc, char **argv)
{
	static struct listener agents, hvs;
	static struct xvmcd d;
	static struct ends ends;
	int rc, parent = -1;

	standard_hold();
	options_parse(argc, argv, &d.opt);
	make_dir(&d);
	if (d.opt.background)
		parent = go_background();
	take_lock(&d);
	open_log(&d);
	raise_limits();
	xvmc_prompt();
	xvmc_list_init(&d.agents);
	xvmc_list_init(&d.hvs);
	xvmc_list_init(&d.dead);
	xvmc_list_init(&d.migrations);
	xvmc_list_init(&d.lists);
	d.idle.fire = idle;
	if (d.opt.dom0) {
		say_ready(&d, parent);
		rc = dom0_run();
		die(1, "xenstore: %s", strerror(-rc));
	}
	rc = d.opt.xen ? xen_open(&d) : 0;
	if (rc < 0)
		die(1, "no Xen guest, or no rights to /dev/xen: %s (xvmc doctor says more)", strerror(-rc));
	rc = loop_new(after_round, &d, &d.loop);
	if (rc == 0)
		rc = xvmc_lh_new(&d.opt.limits, &d.lh);
	if (rc == 0)
		rc = match_new(&d, &d.matcher);
	if (rc == 0)
		rc = hv_make_ff(&d.ff_fd);
	if (rc == 0)
		rc = board_open(&d);
	if (rc < 0)
		die(1, "%s: %s", d.dir, strerror(-rc));
	catch_signals(&d, &ends);
	if (d.xen)
		rc = xen_start(&d);
	else
		listen_on(&d, &hvs, XVMC_LW_SOCKET, hv_accept);
	if (rc < 0)
		die(1, "xenstore: %s", strerror(-rc));
	listen_on(&d, &agents, "agent.sock", agent_accept);
	log_line("ready in %s, pid %d", d.dir, (int)getpid());
	say_ready(&d, parent);
	rc = loop_run(d.loop);
	end_all(&d, &agents, &hvs);
	return rc < 0 ? 1 : 0;
}
