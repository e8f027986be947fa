/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: what programs do now and then. Files, pipes and pairs come and
 * go, numbers are closed in a row, a connection is dissolved or handed to
 * oneself, handlers are set in all the old ways, other programs are started.
 * What takes all connections to TCP for good is rarer than the others.
 */
#include <linux/close_range.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>

#include "calls.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* sigset, siginterrupt */

extern char **environ;

/* ---- numbers that come, and go in a row ---- */

static void act_open(void)
{
	static const char *const names[] = { "open", "open64", "openat", "openat64", "creat",
					     "creat64" };
	const char *path = chance(90) ? "/dev/null" : "/nonexistent/file";
	uint32_t way = below(6);
	int fd;

	if (crowded())
		return;
	switch (way) {
	case 0:
		fd = open(path, O_RDWR);
		break;
	case 1:
		fd = open64(path, O_RDWR | O_CLOEXEC);
		break;
	case 2:
		fd = openat(AT_FDCWD, path, O_RDONLY);
		break;
	case 3:
		fd = openat64(AT_FDCWD, path, O_WRONLY);
		break;
	case 4:
		fd = creat(path, 0600);
		break;
	default:
		fd = creat64(path, 0600);
	}
	say_res(fd < 0 ? fd : 0, "%s(%s)", names[way], path);
	if (fd >= 0)
		number_new(fd, file_new(K_DEV));
}

static void act_two(void)
{
	int two[2], r;
	bool pipes = chance(50);

	if (crowded() || !chance(50))
		return;
	if (pipes)
		r = chance(50) ? pipe(two) : pipe2(two, O_CLOEXEC);
	else
		r = socketpair(AF_UNIX, SOCK_STREAM, 0, two);
	say_res(r, pipes ? "pipe" : "socketpair");
	if (r < 0)
		conf_die("two");
	for (int i = 0; i < 2; i++) {
		conf_nonblock(two[i], true);
		number_new(two[i], file_new(!pipes ? K_UNIX : i ? K_PIPE_W : K_PIPE_R));
	}
}

static void act_close_range(void)
{
	static const int odd[] = { CLOSE_RANGE_CLOEXEC, 1 << 10 };
	unsigned int first = 3 + below(60), last = first + below(4);
	int flags = chance(70) ? 0 : odd[below(2)], r;

	if (chance(5))
		last = first - 1;
	r = chance(80) ? close_range(first, last, flags) :
			 (int)syscall(SYS_close_range, first, last, flags);
	say_res(r, "close_range(%u, %u, %d)", first, last, flags);
	for (unsigned int fd = first; r == 0 && !flags && fd <= last; fd++)
		number_gone((int)fd);
}

/* ---- a connection is dissolved, or handed over ---- */

static void act_unspec(void)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };
	int fd = pick_kind(K_TCP), r;

	/* One that waits to be accepted is known by this file. */
	if (fd < 0 || !chance(30) || w.conns[file_of(fd)->conn].file[!file_of(fd)->end] < 0)
		return;
	r = connect(fd, &sa, sizeof(sa));
	say_res(r, "connect(%s, AF_UNSPEC)", name(fd));
	if (r == 0)
		dissolved(fd);
}

/* By SCM_RIGHTS, through a pair of this process's own. */
static void act_pass(void)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	char byte = 'x';
	struct iovec vec = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u) };
	int fd = pick_kind(K_TCP), two[2], r;

	if (fd < 0 || crowded() || !chance(20) || comes_back(fd, lowest(3)))
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, two) < 0)
		conf_die("socketpair");
	high(two[0], 186);
	high(two[1], 187);
	u.hdr = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.hdr), &fd, sizeof(fd));
	r = (int)sendmsg(186, &msg, 0);
	say_res(r, "pass(%s)", name(fd));
	r = (int)recvmsg(187, &msg, chance(50) ? MSG_CMSG_CLOEXEC : 0);
	say_res(r, "passed, %zu", (size_t)msg.msg_controllen);
	close(186);
	close(187);
	if (r != 1 || u.hdr.cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&r, CMSG_DATA(&u.hdr), sizeof(r));
	number_new(r, (int)(file_of(fd) - w.files));
}

/* ---- handlers ---- */

static volatile sig_atomic_t ran;

static void on_usr(int sig)
{
	(void)sig;
	ran = ran + 1;
}

static const char *handler_name(void (*fn)(int))
{
	return fn == SIG_DFL ? "default" : fn == SIG_IGN ? "ignored" : fn == on_usr ? "ours" : "another";
}

static void act_signal(void)
{
	static const char *const names[] = { "signal", "sysv_signal", "sigset", "sigaction" };
	void (*fn)(int) = chance(70) ? on_usr : SIG_IGN, (*was)(int) = SIG_DFL;
	struct sigaction sa = { .sa_handler = fn }, old;
	uint32_t way = below(4);

	switch (way) {
	case 0:
		was = signal(SIGUSR1, fn);
		break;
	case 1:
		was = sysv_signal(SIGUSR1, fn);
		break;
	case 2:
		was = sigset(SIGUSR1, fn);
		break;
	default:
		sa.sa_flags = chance(30) ? (int)SA_RESETHAND : SA_RESTART;
		if (sigaction(SIGUSR1, &sa, &old) == 0)
			was = old.sa_handler;
	}
	if (chance(30))
		siginterrupt(SIGUSR1, chance(50));
	ran = 0;
	raise(SIGUSR1);
	say_res(ran, "%s(%s): was %s", names[way], handler_name(fn), handler_name(was));
	sigaction(SIGUSR1, NULL, &old);
	conf_say("  then %s, flags %#x", handler_name(old.sa_handler), (unsigned int)old.sa_flags & ~0x04000000u);
}

/* ---- other programs ---- */

static int wait_child(pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		conf_die("child");
	return status;
}

/* They inherit what is not close-on-exec. */
static void act_program(void)
{
	static char *const yes[] = { (char *)"true", NULL }, *const no[] = { (char *)"false", NULL };
	int fd = pick_kind(K_TCP), r = -1;
	posix_spawn_file_actions_t todo;
	uint32_t way = below(8);
	char line[16] = "";
	pid_t pid;
	FILE *f;

	if (fd < 0 || !chance(10))
		return;
	fflush(NULL);
	switch (way) {
	case 0:
		r = posix_spawn(&pid, "/bin/true", NULL, NULL, yes, environ) ? -1 : wait_child(pid);
		break;
	case 1:
		posix_spawn_file_actions_init(&todo);
		posix_spawn_file_actions_adddup2(&todo, fd, 0);
		r = posix_spawnp(&pid, "false", &todo, NULL, no, environ) ? -1 : wait_child(pid);
		posix_spawn_file_actions_destroy(&todo);
		break;
	case 2:
		r = system("exit 3");
		break;
	case 3:
		f = popen("echo here", "r");
		if (f && fgets(line, sizeof(line), f))
			r = pclose(f);
		break;
	case 4:
		pid = vfork();
		if (pid == 0) {
			execl("/bin/false", "false", NULL);
			_exit(9);
		}
		r = wait_child(pid);
		break;
	case 5:
		r = fexecve(199, yes, environ);
		break;
	case 6:
		r = execveat(AT_FDCWD, "/nonexistent/program", yes, environ, 0);
		break;
	default:
		r = execv("/nonexistent/program", yes);
	}
	say_res(r, "program %u, %s", way, name(fd));
}

/* What else is asked of the kernel about the process as a whole. */
static void act_process(void)
{
	if (!chance(20))
		return;
	switch (below(3)) {
	case 0:
		if (!w.threads) /* or nothing is followed any more */
			say_res(unshare(CLONE_FILES), "unshare(CLONE_FILES)");
		break;
	case 1:
		say_res(unshare(0), "unshare(0)");
		break;
	default:
		say_res(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) < 0 ? 0 : 1, "io_uring_enter");
	}
}

const struct action rare_actions[] = {
	{ 2, act_open },
	{ 1, act_two },
	{ 1, act_close_range },
	{ 1, act_unspec },
	{ 1, act_pass },
	{ 2, act_signal },
	{ 1, act_program },
	{ 1, act_process },
	{ 0, NULL },
};
