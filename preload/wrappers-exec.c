/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: this process becomes another program. Its connections go to plain
 * TCP first. Those that cross the exec the new program may go on with, if it
 * has the library and can show that it was executed by us (socket/exec.c): then
 * the path by which it is executed is not quite the program's.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "preload.h"
#include "socket/exec.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

/* ---- which programs have the library ---- */

/* Is there an entry for it, by whatever path? */
static bool names_us(const char *preloads)
{
	for (const char *at = preloads; (at = strstr(at, "libxvmc.so")); at++)
		if (at == preloads || strchr("/: ", at[-1]))
			return true;
	return false;
}

/* We are here by the environment; else for every program of this machine. */
static bool by_environment;

static bool loads_us(char *const envp[])
{
	if (!by_environment)
		return true;
	for (; !nowhere(envp, sizeof(*envp)) && *envp; envp++)
		if (!nowhere(*envp, 1) && strncmp(*envp, "LD_PRELOAD=", 11) == 0)
			return names_us(*envp + 11);
	return false;
}

/* A program for this machine that has a loader, as far as its head says. */
static bool has_loader(int fd)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (os_pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != MACHINE ||
	    head.e_phentsize != sizeof(part))
		return false;
	for (unsigned int i = 0; i < head.e_phnum && i < 128; i++) {
		off_t at = (off_t)(head.e_phoff + i * sizeof(part));

		if (os_pread(fd, &part, sizeof(part), at) != (ssize_t)sizeof(part))
			return false;
		if (part.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* Neither a script nor static, and no privileges to be had from it, in which
 * case the library stays away. */
static bool is_ours(int dir, const char *name)
{
	struct stat st;
	char caps[64];
	bool yes;
	int fd;

	if (OS4(SYS_newfstatat, dir, name, &st, 0) != 0 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & (S_ISUID | S_ISGID)))
		return false;
	fd = OS_MAKE(OS4(SYS_openat, dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0));
	if (fd < 0)
		return false;
	yes = has_loader(fd) &&
	      OS4(SYS_fgetxattr, fd, "security.capability", caps, sizeof(caps)) < 0;
	os_close(fd);
	return yes;
}

/* ---- the way there ---- */

struct way {
	int dir;
	char by[EXEC_BY_MAX];
};

/* False: there is nothing to go on with over there, or nobody to do it. */
static bool way_open(struct way *way, const char *path, char *const envp[])
{
	const char *slash, *name;
	char dir[EXEC_PATH_MAX];
	bool noted = false;

	if (!the_ctx()->opt.enable || !loads_us(envp) || nowhere(path, 1) ||
	    strlen(path) >= sizeof(dir))
		return false;
	/* The loader trusts nobody's environment then. */
	if (getuid() != geteuid() || getgid() != getegid())
		return false;
	slash = strrchr(path, '/');
	name = slash ? slash + 1 : path;
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1,
		 slash ? path : ".");
	way->dir = OS_MAKE(OS4(SYS_openat, AT_FDCWD, dir,
			       O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
	if (way->dir < 0)
		return false;
	if (*name && is_ours(way->dir, name)) {
		snprintf(way->by, sizeof(way->by), "/proc/self/fd/%d/%s", way->dir, name);
		noted = xvmc_sock_exec_note(the_ctx(), way->by, path) == 0;
	}
	if (!noted)
		os_close(way->dir);
	return noted;
}

static void way_close(struct way *way)
{
	xvmc_sock_exec_unnote(the_ctx());
	os_close(way->dir);
}

/* The call itself. RLIMIT_NOFILE goes with it, so none of ours is made meanwhile
 * (xvmc_os_dup_high). */
#define CALL(r, call)                                    \
	do {                                             \
		bool ours_ = tables_are_ours(the_ctx()); \
							 \
		if (ours_)                               \
			xvmc_numbers_use();              \
		(r) = (call);                            \
		if (ours_)                               \
			xvmc_numbers_used();             \
	} while (0)

/* Comes back if there is no such way; the ordinary one is to be tried then. */
static void go_by(const char *path, char *const argv[], char *const envp[])
{
	int saved = errno, r;
	struct way way;

	if (way_open(&way, path, envp)) {
		CALL(r, REAL(execve)(way.by, argv, envp));
		(void)r; /* the ordinary way says why not */
		way_close(&way);
	}
	errno = saved;
}

/* The file that execvp finds first, if it finds one: in room for a path. */
static bool find(const char *file, char *ret_path)
{
	const char *list = getenv("PATH"), *end;

	if (nowhere(file, 1) || !*file || strlen(file) > NAME_MAX)
		return false;
	if (strchr(file, '/')) {
		snprintf(ret_path, EXEC_PATH_MAX, "%s", file);
		return true;
	}
	for (list = list ? list : "/bin:/usr/bin";; list = end + 1) {
		int n;

		end = strchrnul(list, ':');
		n = snprintf(ret_path, EXEC_PATH_MAX, "%.*s%s%s", (int)(end - list), list,
			     end > list ? "/" : "", file);
		if (n < EXEC_PATH_MAX && faccessat(AT_FDCWD, ret_path, X_OK, AT_EACCESS) == 0)
			return true;
		if (!*end)
			return false;
	}
}

/* ---- the arrival ---- */

/* The program is told the path it was meant to be executed by: where the kernel
 * has told it, behind the environment. */
static void correct(char **argv, int argc, const char *by, char *path)
{
	char **at = argv + argc + 1;
	Elf64_auxv_t *aux;

	while (*at)
		at++;
	for (aux = (Elf64_auxv_t *)(void *)(at + 1); aux->a_type != AT_NULL; aux++)
		if (aux->a_type == AT_EXECFN && aux->a_un.a_val == (uintptr_t)by)
			aux->a_un.a_val = (uintptr_t)path;
}

void preload_executed(int argc, char **argv, struct xvmc_ctx *ctx)
{
	const char *by = (const char *)getauxval(AT_EXECFN);
	const char *preloads = getenv("LD_PRELOAD");
	char *path = NULL;

	by_environment = preloads && names_us(preloads);
	if (by && strncmp(by, "/proc/self/fd/", 14) == 0)
		path = xvmc_sock_executed(ctx, by);
	if (path)
		correct(argv, argc, by, path);
}

/* ---- exec ---- */

/* True: the new program gets a connection. */
static bool before(void)
{
	int saved = errno;
	bool some = tables_are_ours(the_ctx()) && xvmc_sock_exec(the_ctx());

	errno = saved;
	return some;
}

static int failed(int r)
{
	int saved = errno;

	if (tables_are_ours(the_ctx()))
		xvmc_sock_exec_failed(the_ctx());
	errno = saved;
	return r;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	int r;

	if (before())
		go_by(path, argv, envp);
	CALL(r, REAL(execve)(path, argv, envp));
	return failed(r);
}

EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[],
		    int flags)
{
	int r;

	before();
	CALL(r, REAL(execveat)(dir, path, argv, envp, flags));
	return failed(r);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	int r;

	before();
	CALL(r, REAL(fexecve)(fd, argv, envp));
	return failed(r);
}

EXPORT int execv(const char *path, char *const argv[])
{
	int r;

	if (before())
		go_by(path, argv, environ);
	CALL(r, REAL(execv)(path, argv));
	return failed(r);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	char path[EXEC_PATH_MAX];
	int r;

	if (before() && find(file, path))
		go_by(path, argv, envp);
	CALL(r, REAL(execvpe)(file, argv, envp));
	return failed(r);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* How many arguments there are from first up to the NULL; -1: too many. */
static int list_len(const char *first, va_list ap)
{
	int n = 0;

	if (!first)
		return 0;
	for (n = 1; va_arg(ap, char *); n++)
		if (n == INT_MAX - 1)
			return -1;
	return n;
}

/* Returns call from a function whose last named argument is first: with the list
 * that begins there as argv, and ap at what follows the NULL. */
#define EXEC_LIST(first, call)                               \
	do {                                                 \
		va_list ap;                                  \
		int n_, r_;                                  \
							     \
		va_start(ap, first);                         \
		n_ = list_len(first, ap);                    \
		va_end(ap);                                  \
		if (n_ < 0)                                  \
			return (int)give(-E2BIG, 0);         \
		{                                            \
			char *argv[n_ + 1];                  \
							     \
			va_start(ap, first);                 \
			argv[0] = (char *)(uintptr_t)(first);\
			for (int i_ = 1; i_ <= n_; i_++)     \
				argv[i_] = va_arg(ap, char *); \
			r_ = (call);                         \
			va_end(ap);                          \
		}                                            \
		return r_;                                   \
	} while (0)

EXPORT int execl(const char *path, const char *arg, ...)
{
	EXEC_LIST(arg, execv(path, argv));
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	EXEC_LIST(arg, execvp(file, argv));
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	EXEC_LIST(arg, execve(path, argv, va_arg(ap, char **)));
}
