/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: where descriptors leave the process, or our sight within it.
 * Everything here moves connections to TCP first and then is libc's own.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/unwind.h"
#include "preload.h"

/* ---- other processes ---- */

/* What it gets by descriptor, it may use. */
static void before_spawn(void)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;

	if (tables_are_ours(ctx))
		xvmc_sock_spawn(ctx);
	errno = saved;
}

/* A wrapper's body. RLIMIT_NOFILE goes with it, so none of ours is made
 * meanwhile (xvmc_os_dup_high). system() may be cancelled. */
#define SPAWN(type, call)                         \
	bool in = false;                          \
	struct unwind u;                          \
	type r;                                   \
						  \
	before_spawn();                           \
	unwind_push(&u, preload_used, &in);       \
	if (tables_are_ours(the_ctx()))           \
		preload_use(&in);                 \
	r = (call);                               \
	unwind_pop(&u, 1);                        \
	return r

/*
 * A wrapper cannot call vfork: the child would return through its frame and
 * destroy it for the parent. And the child runs in the parent's memory, where
 * its close() and dup2() would alter the parent's tables. As a fork it is
 * what POSIX allows it to be, only slower.
 */
EXPORT pid_t vfork(void)
{
	return fork();
}

/* libc's own ends the parent by a way nobody sees, rings and all. */
EXPORT int daemon(int nochdir, int noclose)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		return -1;
	if (pid > 0)
		_exit(0);
	if (setsid() < 0)
		return -1;
	if (!nochdir && chdir("/") < 0)
		return -1;
	if (noclose)
		return 0;
	fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return -1;
	for (int std = 0; std < 3; std++)
		if (dup2(fd, std) < 0)
			return -1;
	if (fd > 2)
		close(fd);
	return 0;
}

EXPORT int posix_spawn(pid_t *pid, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[],
		       char *const envp[])
{
	SPAWN(int, REAL(posix_spawn)(pid, path, actions, attr, argv, envp));
}

EXPORT int posix_spawnp(pid_t *pid, const char *file,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[],
			char *const envp[])
{
	SPAWN(int, REAL(posix_spawnp)(pid, file, actions, attr, argv, envp));
}

/* The duplicate made in the new process has no FD_CLOEXEC, whatever ours has. */
EXPORT int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions,
					    int fd, int to)
{
	if (known(fd))
		preload_escape_fd(fd, XVMC_R_EXEC);
	return REAL(posix_spawn_file_actions_adddup2)(actions, fd, to);
}

/* These spawn inside libc, without coming by posix_spawn's symbol. */
EXPORT int system(const char *command)
{
	if (!command)
		return REAL(system)(command);
	SPAWN(int, REAL(system)(command));
}

EXPORT FILE *popen(const char *command, const char *type)
{
	SPAWN(FILE *, REAL(popen)(command, type));
}

/* ---- limits ---- */

/* How many descriptors there may be is another matter while one of ours is made
 * (xvmc_os_dup_high). */
#define LIMITS(call)              \
	int r;                    \
				  \
	xvmc_numbers_use();       \
	r = (call);               \
	xvmc_numbers_used();      \
	return r

EXPORT int getrlimit(__rlimit_resource_t what, struct rlimit *lim)
{
	LIMITS(REAL(getrlimit)(what, lim));
}

EXPORT int getrlimit64(__rlimit_resource_t what, struct rlimit64 *lim)
{
	LIMITS(REAL(getrlimit64)(what, lim));
}

EXPORT int setrlimit(__rlimit_resource_t what, const struct rlimit *lim)
{
	LIMITS(REAL(setrlimit)(what, lim));
}

EXPORT int setrlimit64(__rlimit_resource_t what, const struct rlimit64 *lim)
{
	LIMITS(REAL(setrlimit64)(what, lim));
}

EXPORT int prlimit(pid_t pid, enum __rlimit_resource what, const struct rlimit *lim,
		   struct rlimit *old)
{
	LIMITS(REAL(prlimit)(pid, what, lim, old));
}

EXPORT int prlimit64(pid_t pid, enum __rlimit_resource what, const struct rlimit64 *lim,
		     struct rlimit64 *old)
{
	LIMITS(REAL(prlimit64)(pid, what, lim, old));
}

/* ---- a descriptor table of one's own ---- */

/* How many threads the process has; 0: nobody knows. */
static unsigned int threads(void)
{
	struct stat st;

	/* A directory for each. */
	return stat("/proc/self/task", &st) == 0 ? (unsigned int)st.st_nlink - 2 : 0;
}

bool preload_part_files(void)
{
	struct xvmc_ctx *ctx = the_ctx();
	unsigned int n = threads();

	if (n == 1)
		return false; /* nobody to part from */
	if (n == 2 && atomic_load(&ctx->service))
		return true;
	ctx->opt.enable = false;
	for (int fd = 0; fd < 65536; fd++)
		preload_escape_fd(fd, XVMC_R_UNFOLLOWED);
	return false;
}

EXPORT int unshare(int flags)
{
	int saved = errno;

	if ((flags & CLONE_FILES) && tables_are_ours(the_ctx()) && preload_part_files())
		flags &= ~CLONE_FILES;
	errno = saved;
	return REAL(unshare)(flags);
}

/* ---- a sandbox ---- */

/*
 * A filter kills whoever makes a call it has not heard of, and it has not heard
 * of ours: no thread, no descriptor, no word to anybody from here on. So what
 * another process has on rings is asked for now, should it be used later.
 */
void preload_confined(void)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;

	if (!tables_are_ours(ctx))
		return;
	/* Once more for what another thread has made meanwhile. */
	for (int pass = 0; pass < 2; pass++) {
		for (int fd = 0; fd < 65536; fd++) {
			ENDPOINT(ep, fd);

			if (ep)
				xvmc_sock_escape(ep, XVMC_R_CONFINED);
		}
		ctx->opt.enable = false;
	}
	errno = saved;
}

EXPORT int prctl(int option, ...)
{
	unsigned long a[4];
	va_list ap;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_SECCOMP)
		preload_confined();
	return REAL(prctl)(option, a[0], a[1], a[2], a[3]);
}

/* ---- ends that call no destructor ---- */

static void before_exit(void)
{
	struct xvmc_ctx *ctx = the_ctx();

	if (tables_are_ours(ctx))
		xvmc_ctx_exit(ctx);
}

EXPORT void _exit(int status)
{
	before_exit();
	REAL(_exit)(status);
	__builtin_unreachable();
}

EXPORT void _Exit(int status)
{
	before_exit();
	REAL(_Exit)(status);
	__builtin_unreachable();
}

EXPORT void quick_exit(int status)
{
	before_exit();
	REAL(quick_exit)(status);
	__builtin_unreachable();
}
