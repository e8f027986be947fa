/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: what children do that inherit a connection: leave it, ask about
 * it, use it, confine themselves first, become another program or a daemon. All
 * of them have ended when the call returns, and their status says how it went.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "calls.h"

extern char **environ;

enum deed {
	LEAVES,
	CLOSES,
	LEAVES_AT_ONCE,
	POLLS,
	ASKS,
	EXECUTES,
	EXECUTES_NUMBER,
	EXECUTES_AT,
	MOVES, /* from here on: bytes, which are counted */
	FILTERED,
	STRICT,
	DAEMON,
	DEEDS
};

static const char *const deeds[DEEDS] = { "leaves", "closes", "leaves at once", "polls", "asks",
					  "executes beside", "executes by number beside",
					  "executes at a path beside", "uses", "filtered, uses",
					  "strict, uses", "in the background, uses" };

/* How many bytes, or 100 and an errno. By the two calls that strict mode allows. */
static int use(int fd, bool out)
{
	char buf[40] = "child";
	long r = out ? write(fd, buf, 5) : read(fd, buf, sizeof(buf));

	return r < 0 ? 100 + errno : (int)r;
}

static int filter(void)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { .len = 1, .filter = &all };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return chance(50) ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) :
			    (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

__attribute__((noreturn)) static void execute(enum deed deed)
{
	static char *const args[] = { (char *)"false", NULL };
	int fd = -1;

	if (deed == EXECUTES_NUMBER)
		fd = open("/bin/false", O_RDONLY | O_CLOEXEC);
	if (deed == EXECUTES)
		execl("/bin/false", "false", NULL);
	else if (deed == EXECUTES_AT)
		execveat(AT_FDCWD, "/bin/false", args, environ, 0);
	else
		fexecve(fd, args, environ);
	_exit(11);
}

__attribute__((noreturn)) static void child(int fd, enum deed deed, bool out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	alarm(20);
	switch (deed) {
	case CLOSES:
		_exit(close(fd) == 0 ? 7 : errno);
	case LEAVES_AT_ONCE:
		chance(50) ? _Exit(8) : quick_exit(9);
	case POLLS:
		poll(&p, 1, 0);
		_exit(p.revents & 0xff);
	case ASKS:
		_exit(fcntl(fd, F_GETFD) < 0 ? errno : 10);
	case EXECUTES:
	case EXECUTES_NUMBER:
	case EXECUTES_AT:
		execute(deed);
	case FILTERED:
		if (filter() < 0)
			_exit(200 + errno % 50);
		_exit(use(fd, out));
	case STRICT:
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
			_exit(200 + errno % 50);
		syscall(SYS_exit, use(fd, out)); /* exit_group is not allowed */
		__builtin_unreachable();
	case DAEMON:
		if (daemon(1, 1) < 0)
			_exit(200 + errno % 50);
		alarm(20);
		_exit(use(fd, out));
	case MOVES:
		_exit(use(fd, out));
	case LEAVES:
	case DEEDS:
		break;
	}
	_exit(7);
}

static int ended(pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, 0) < 0)
		conf_die("waitpid");
	return status;
}

static void act_fork(void)
{
	enum deed deed = (enum deed)below(DEEDS);
	bool out = chance(50);
	int fd = pick_kind(K_TCP), status;
	struct file *f = file_of(fd);
	pid_t pid;

	if (!f || on_the_way(fd, false) > BUDGET - 10)
		return;
	/* Who has sent itself to the background is ours to wait for. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		conf_die("subreaper");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		conf_die("fork");
	if (pid == 0)
		child(fd, deed, out);
	status = ended(pid);
	if (deed == DAEMON && status == 0)
		status = ended(-1);
	if (deed >= MOVES && WIFEXITED(status) && WEXITSTATUS(status) < 100)
		(out ? w.conns[f->conn].sent : w.conns[f->conn].got)[f->end] +=
			(uint64_t)WEXITSTATUS(status);
	wait_came(f->conn, f->end);
	say_res(status, "fork: child %s %s%s", deeds[deed], name(fd),
		deed < MOVES ? "" : out ? ", sends" : ", reads");
}

/* This process itself is filtered from then on: the script goes on on TCP. */
static void act_confine(void)
{
	int r;

	if (!chance(10))
		return;
	r = filter();
	w.confined = w.confined || r == 0;
	say_res(r, "confined");
}

const struct action child_actions[] = {
	{ 2, act_fork },
	{ 1, act_confine },
	{ 0, NULL },
};
